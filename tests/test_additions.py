"""Residual connections: convolutions that add, against the same network that adds in steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastconv.graph.ir import Graph, Node, Port
from fastconv.graph.model import Model


def block(
    channels: int, filter_size: int, activation: str | None, *, again: bool, planes: bool = False
) -> Graph:
    """Build act(conv(a) + a) with a = conv(x), channels last; or plus x itself, in planes.

    `again`: a is read once more later, so that the sum may not take its memory.
    """
    rng = np.random.default_rng(channels)
    pads = [filter_size // 2] * 4
    size = channels, channels, filter_size, filter_size
    graph = Graph(
        inputs=[Port("x", (None, channels, None, None), np.dtype(np.float32))],
        constants={
            "w1": rng.standard_normal((channels, channels, 1, 1)).astype(np.float32),
            "w2": rng.standard_normal(size).astype(np.float32),
            "b2": rng.standard_normal(channels).astype(np.float32),
        },
    )
    graph.nodes = [
        Node("conv", ["x", "w1"], ["a"], label="first"),
        Node("activation", ["a"], ["c"], {"name": "relu"}),
        Node("conv", ["c", "w2", "b2"], ["d"], {"pads": pads}, label="second"),
        Node("binary", ["d", "x" if planes else "a"], ["e"], {"function": "add"}),
    ]
    last = "e"
    if activation is not None:
        graph.nodes.append(Node("activation", ["e"], ["f"], {"name": activation}))
        last = "f"
    if again:
        graph.nodes.append(Node("binary", [last, "a"], ["g"], {"function": "mul"}))
        last = "g"
    graph.nodes.append(Node("pool", [last], ["y", ""], {"kind": "max", "kernel": (2, 2)}))
    graph.outputs = [(Port("y", None, np.dtype(np.float32)), "y")]
    return graph


@pytest.mark.usefixtures("eight_threads")
@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("activation", [None, "relu", "silu"])
@pytest.mark.parametrize("filter_size", [1, 3])
@pytest.mark.parametrize("channels", [5, 67])
def test_bits_are_those_of_a_step_of_its_own(
    channels: int, filter_size: int, activation: Any, again: bool, isa: str
) -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, channels, 13, 21)).astype(np.float32)
    graph = block(channels, filter_size, activation, again=again)
    model, plain = Model(graph), Model(graph, without=["fuse_additions"])
    right = plain(x)
    if channels == 67:  # with few, planes may be what pays
        assert len(model.summary(x.shape).lines) < len(plain.summary(x.shape).lines)
    for threads in (1, 2, 3, 8):
        np.testing.assert_array_equal(model(x, num_threads=threads), right)


@pytest.mark.parametrize("filter_size", [1, 3])
def test_the_sum_takes_the_memory_of_what_is_added(filter_size: int) -> None:
    shape = 1, 64, 20, 20
    model = Model(block(64, filter_size, "relu", again=False))
    assert len(model.summary(shape).lines) == 4  # first, relu, second, pool
    again = Model(block(64, filter_size, "relu", again=True))
    sizes = []
    for each in (model, again):
        each(np.zeros(shape, np.float32))
        (ready,) = each._plans.values()
        assert ready.plan is not None
        sizes.append(ready.plan.program.workspace_bytes(1))
    assert sizes[0] < sizes[1]


def test_operands_of_other_shapes_and_layouts() -> None:
    """What is broadcast is added in a step of its own; planes are."""
    rng = np.random.default_rng(2)
    graph = block(6, 3, "relu", again=False, planes=True)
    x = rng.standard_normal((2, 6, 9, 10)).astype(np.float32)
    np.testing.assert_array_equal(Model(graph)(x), Model(graph, without=["fuse_additions"])(x))
    port = Port("z", None, np.dtype(np.float32))
    graph.inputs.append(port)
    graph.nodes[3].inputs[1] = "z"
    model, plain = Model(graph), Model(graph, without=["fuse_additions"])
    for shape in ((2, 6, 9, 10), (6, 1, 1), (2, 1, 9, 10), (1,)):
        z = rng.standard_normal(shape).astype(np.float32)
        np.testing.assert_array_equal(model(x, z), plain(x, z))


def test_scales_after_a_sum_stay() -> None:
    """A convolution that adds cannot take a scale of the sum: the addend is scaled, too."""
    graph = Graph(
        inputs=[Port("x", (None, 2, None, None), np.dtype(np.float32))],
        outputs=[(Port("y", None, np.dtype(np.float32)), "y")],
        nodes=[
            Node("conv", ["x", "w", "", "x"], ["a"]),
            Node("binary", ["a", "s"], ["y"], {"function": "mul"}),
        ],
        constants={
            "w": np.eye(2, dtype=np.float32)[:, :, None, None],
            "s": np.full((2, 1, 1), 3, np.float32),
        },
    )
    x = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2)
    np.testing.assert_array_equal(Model(graph)(x), 6 * x)
