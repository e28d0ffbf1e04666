"""Pools over three axes, dilated averages and logic in networks, beside ONNX's reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastconv

pytest.importorskip("onnx")

from onnx.reference import ReferenceEvaluator
from onnx_nets import Net

POOLS: list[tuple[str, dict[str, Any]]] = [
    ("MaxPool", {"kernel_shape": [2, 3, 3], "strides": [1, 2, 2], "pads": [1, 1, 0, 0, 1, 1]}),
    ("MaxPool", {"kernel_shape": [3, 3, 2], "dilations": [2, 1, 2]}),
    ("AveragePool", {"kernel_shape": [3, 2, 3], "strides": [2, 1, 2], "pads": [1, 0, 1] * 2}),
    ("AveragePool", {"kernel_shape": [2, 2, 3], "dilations": [2, 3, 1], "count_include_pad": 1}),
    ("LpPool", {"kernel_shape": [2, 3, 2], "p": 3}),
]


@pytest.mark.parametrize(("op", "attributes"), POOLS, ids=str)
def test_volumes(op: str, attributes: dict[str, Any]) -> None:
    """Behind a convolution, so that one layout is that of its output, and on the input as it is."""
    shape = [2, 3, 6, 7, 8]
    net = Net("float64", opset=22)
    alone = net.add(op, "x", **attributes)
    weight = net.random(5, 3, 1, 1, 1)
    behind = net.add(op, net.add("Conv", "x", weight), **attributes)
    proto = net.model(shape, alone, behind)
    x = np.random.default_rng(0).standard_normal(shape)
    expected = ReferenceEvaluator(proto).run(None, {"x": x})
    for layout in (x, np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)):
        for found, wanted in zip(fastconv.load(proto)(layout), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-14)


def test_logic_of_what_is_computed() -> None:
    net = Net("float64")
    a = net.add("Less", "x", net.const(0.3))
    b = net.add("Greater", "x", net.const(-0.3))
    both = net.add("And", a, b)
    either = net.add("Or", net.add("Not", a), net.add("Xor", a, b))
    y = net.add("Where", both, net.add("Where", either, "x", net.const(7)), net.const(5))
    z = net.add("Where", either, "x", net.const(9))
    x = np.random.default_rng(0).standard_normal((4, 5))
    found_y, found_z = fastconv.load(net.model([4, 5], y, z))(x)
    inside = (x < 0.3) & (x > -0.3)
    np.testing.assert_array_equal(found_y, np.where(inside, 7, 5))
    np.testing.assert_array_equal(found_z, np.where(inside, 9, x))
