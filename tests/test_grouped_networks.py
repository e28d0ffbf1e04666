"""Groups of few channels within a network: planes for them, whoever else reads what they read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator
from onnx_nets import Net

import fastconv


def alone(net: Net, x: str, y: str) -> list[str]:
    """Nobody else: both lie in planes."""
    return [net.conv(y, 24, 8, 1)]


def added(net: Net, x: str, y: str) -> list[str]:
    """A residual connection around the grouped convolution."""
    return [net.conv(net.add("Relu", net.add("Add", x, y)), 24, 8, 1)]


def kept(net: Net, x: str, y: str) -> list[str]:
    """Its input and its result are outputs of the network."""
    return [x, y]


def joined(net: Net, x: str, y: str) -> list[str]:
    """Parts of a concatenation, and an addend of a convolution."""
    both = net.add("Concat", x, y, axis=1)
    return [net.conv(both, 48, 8, 1), net.add("Add", net.conv(y, 24, 24, 3, pads=[1] * 4), x)]


def squeezed(net: Net, x: str, y: str) -> list[str]:
    """Squeeze and excitation."""
    scale = net.add("Sigmoid", net.conv(net.add("GlobalAveragePool", y), 24, 24, 1))
    return [net.conv(net.add("Mul", y, scale), 24, 8, 1)]


@pytest.mark.parametrize("groups", [3, 6])
@pytest.mark.parametrize("after", [alone, added, kept, joined, squeezed], ids=lambda f: f.__name__)
def test_grouped(after: Any, groups: int, dtype: str, isa: str) -> None:
    net = Net(dtype)
    x = net.add("Relu", net.conv("x", 16, 24, 1))
    y = net.add("Relu", net.conv(x, 24, 24, 3, group=groups, pads=[1] * 4))
    proto = net.model([None, 16, None, None], *after(net, x, y))
    model: Any = fastconv.load(proto)
    for shape in ((1, 16, 28, 20), (3, 16, 9, 11)):
        image = np.random.default_rng(1).standard_normal(shape).astype(dtype)
        found = model(image)
        found = found if isinstance(found, tuple) else (found,)
        wanted: Any = ReferenceEvaluator(proto).run(None, {"x": image})
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=500 * float(np.finfo(dtype).eps))


def test_planes_reach_from_the_producer_to_the_reader(dtype: str) -> None:
    net = Net(dtype)
    x = net.conv("x", 16, 24, 1)
    y = net.conv(x, 24, 24, 3, group=6, pads=[1] * 4)
    model = fastconv.load(net.model([1, 16, 56, 56], net.conv(y, 24, 24, 1)))
    last = [line.algorithm for line in model.summary().lines]
    assert last in (
        ["channels_last", name, "channels_last"] for name in ("planar", "winograd_rows")
    )
