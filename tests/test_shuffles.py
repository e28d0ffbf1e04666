"""Channel shuffles: groups of channels interleaved, by whoever can, with the bits of a copy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference as ref
from networks import random

import fastconv
from fastconv.graph.ir import Graph, Node, Port
from fastconv.graph.model import Model


def shuffle(x: Any, groups: int) -> Any:
    n, c, h, w = x.shape
    return x.reshape(n, groups, c // groups, h, w).transpose(0, 2, 1, 3, 4).reshape(x.shape)


def shuffling(source: str, target: str) -> list[Node]:
    """Return the operators that networks have for it, with the constants "split" and "joined"."""
    return [
        Node("reshape", [source, "split"], [f"{target}.split"]),
        Node("transpose", [f"{target}.split"], [f"{target}.turned"], {"perm": [0, 2, 1, 3, 4]}),
        Node("reshape", [f"{target}.turned", "joined"], [target]),
    ]


def model(
    shape: tuple[int, ...], groups: int, after: list[Node], outputs: list[str], **constants: Any
) -> Model:
    """Return x -> relu -> shuffle -> "s" -> the other operators."""
    n, c, h, w = shape
    constants["split"] = np.array([n, groups, c // groups, h, w])
    constants["joined"] = np.array(shape)
    port = Port("x", shape, np.dtype(np.float32))
    nodes = [Node("activation", ["x"], ["r"], {"name": "relu"})]
    nodes += [*shuffling("r", "s"), *after]
    ports = [(Port(name, None, np.dtype(np.float32)), name) for name in outputs]
    return Model(Graph([port], ports, nodes, constants))


@pytest.mark.parametrize(("channels", "groups", "to_groups"), [(12, 2, 3), (20, 4, 4), (34, 2, 1)])
@pytest.mark.parametrize("stride", [1, 2])
def test_unit(channels: int, groups: int, to_groups: int, stride: int, isa: str) -> None:
    """A unit of ShuffleNet: the depthwise layer takes channels as they lie, the next shuffles."""
    shape, filters = (2, channels, 7, 9), 6 * to_groups
    w, b = random(channels, 1, 3, 3), random(channels, seed=1)
    w2, b2 = random(filters, channels // to_groups, 1, 1, seed=2), random(filters, seed=3)
    strided = {"pads": [1] * 4, "strides": [2, 2], "groups": channels, "activation": "relu"}
    nodes = [
        Node("conv", ["s", "w", "b"], ["d"], strided),
        Node("conv", ["d", "w2", "b2"], ["y"], {"groups": to_groups, "strides": [stride] * 2}),
    ]
    m = model(shape, groups, nodes, ["y"], w=w, b=b, w2=w2, b2=b2)
    x = random(*shape, seed=4)
    s = shuffle(np.maximum(x, 0), groups)
    d = ref.conv2d(s, w, b, stride=2, padding=1, groups=channels, activation="relu")
    y = ref.conv2d(d, w2, b2, stride=stride, groups=to_groups)
    assert len(m.summary().lines) == 3  # nothing is copied
    found = m(x, num_threads=1)
    np.testing.assert_allclose(found, y, atol=1e-4)
    for threads in (2, 3, 8):
        assert (m(x, num_threads=threads) == found).all()


def test_bits_of_a_copy() -> None:
    """A 1x1 convolution that reads shuffled channels sums in the order of one that reads a copy."""
    shape, w = (1, 24, 6, 5), random(8, 12, 1, 1)
    x = random(*shape, seed=1)
    after = [Node("conv", ["s", "w"], ["y"], {"groups": 2})]
    found = model(shape, 3, after, ["y"], w=w)(x)
    s = shuffle(np.maximum(x, 0), 3)
    assert (found == fastconv.conv2d(s, w, groups=2, algorithm="channels_last")).all()


@pytest.mark.parametrize(
    ("op", "attributes", "expected"),
    [
        ("conv", {"pads": [1] * 4}, lambda s, w: ref.conv2d(s, w, padding=1)),
        ("conv", {}, lambda s, w: ref.conv2d(s, w)),
        ("pool", {"kind": "max", "kernel": (2, 2)}, None),
        ("activation", {"name": "sigmoid"}, None),
    ],
)
def test_others_read_a_copy(op: str, attributes: Any, expected: Any) -> None:
    """The shuffled tensor is read twice, and is an output, too."""
    shape, w = (2, 6, 5, 7), random(4, 6, 3, 3)
    x = random(*shape, seed=1)
    s = shuffle(np.maximum(x, 0), 2)
    after = [
        Node(op, ["s", "w"] if op == "conv" else ["s"], ["y"], attributes),
        Node("activation", ["s"], ["z"], {"name": "hardswish"}),
    ]
    m = model(shape, 2, after, ["y", "z", "s"], w=w)
    y, z, copied = m(x)
    assert (copied == s).all()
    np.testing.assert_allclose(z, s * np.clip(s + 3, 0, 6) / 6, rtol=1e-6)
    if expected is not None:
        np.testing.assert_allclose(y, expected(s, w), atol=1e-4)
    elif op == "pool":
        assert (y == fastconv.max_pool2d(s, 2, stride=1)).all()
    else:
        np.testing.assert_allclose(y, 1 / (1 + np.exp(-s.astype(float))), rtol=1e-5)


def test_residuals_and_convolutions_that_add_them() -> None:
    """What is added has its channels in their order, whoever computes the sum."""
    shape, w, own = (1, 6, 4, 5), random(6, 3, 1, 1), random(6, 1, 1, 1)
    x = random(*shape, seed=1)
    s = shuffle(np.maximum(x, 0), 3)
    for weight, groups in ((w, 2), (own, 6)):
        for order in (["c", "s"], ["s", "c"], ["c", "x"]):
            after = [
                Node("conv", ["s", "w"], ["c"], {"groups": groups}),
                Node("binary", order, ["y"], {"function": "add"}),
            ]
            wanted = ref.conv2d(s, weight, groups=groups) + (x if "x" in order else s)
            found = model(shape, 3, after, ["y"], w=weight)(x)
            np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_multiplied_channels_read_a_copy() -> None:
    """Two filters a channel: their order is not that of the channels."""
    shape, w = (1, 6, 4, 5), random(12, 1, 3, 3)
    x = random(*shape, seed=1)
    m = model(shape, 3, [Node("conv", ["s", "w"], ["y"], {"groups": 6})], ["y"], w=w)
    wanted = ref.conv2d(shuffle(np.maximum(x, 0), 3), w, groups=6)
    np.testing.assert_allclose(m(x), wanted, atol=1e-4)


def test_what_only_looks_like_a_shuffle() -> None:
    """Groups that are not neighbours in memory, sizes that differ, an axis fewer."""
    shape = (2, 8, 3, 5)
    x = random(*shape)
    for split, perm in (
        ((2, 2, 4, 3, 5), (0, 1, 2, 3, 4)),
        ((2, 2, 4, 3, 5), (0, 2, 1, 4, 3)),
        ((2, 2, 4, 5, 3), (0, 2, 1, 3, 4)),
        ((2, 2, 4, 15), (0, 2, 1, 3)),
        ((2, 2, 4, 3, 5), (2, 0, 1, 3, 4)),
    ):
        nodes = [
            Node("reshape", ["x", "split"], ["a"]),
            Node("transpose", ["a"], ["b"], {"perm": list(perm)}),
            Node("reshape", ["b", "joined"], ["c"]),
            Node("activation", ["c"], ["y"], {"name": "relu"}),
        ]
        constants: dict[str, Any] = {"split": np.array(split), "joined": np.array(shape)}
        port = Port("x", shape, np.dtype(np.float32))
        out = Port("y", None, np.dtype(np.float32))
        found = Model(Graph([port], [(out, "y")], nodes, constants))(x)
        wanted = np.maximum(x, 0).reshape(split).transpose(perm).reshape(shape)
        assert (found == wanted).all()
