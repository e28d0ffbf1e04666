"""Passes that merge constants and paddings into what comes before or after, one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastconv.graph.ir import Graph, Node, Port
from fastconv.graph.model import Model
from fastconv.graph.passes import PASSES, optimize


def scale_chain(*constants: tuple[str, Any], rank: int = 4) -> Graph:
    """Concatenated inputs, a batch norm, and functions with constants after it."""
    graph = Graph(
        inputs=[Port("x", ("n", 3, *[None] * (rank - 2)), np.dtype(np.float32))],
        nodes=[
            Node("concat", ["x", "x"], ["c"], {"axis": 1}),
            Node("affine", ["c", "scale", "shift"], ["v0"]),
        ],
        constants={
            "scale": np.array([1, -2, 3, 0.5, 1, 4], np.float32),
            "shift": np.array([0, 1, -1, 2, 5, 0.25], np.float32),
        },
    )
    for i, (function, constant) in enumerate(constants):
        graph.constants[f"k{i}"] = np.asarray(constant, np.float32)
        names = [f"v{i}", f"k{i}"]
        graph.nodes.append(Node("binary", names, [f"v{i + 1}"], {"function": function}))
    graph.outputs = [(Port("y", None, np.dtype(np.float32)), f"v{len(constants)}")]
    return graph


def test_scales_of_scales_are_one() -> None:
    of_channels = np.arange(1, 7).reshape(6, 1, 1)
    graph = scale_chain(("mul", of_channels), ("add", of_channels[None]), ("div", 4))
    assert len(optimize(graph).nodes) == 2
    x = np.random.default_rng(0).standard_normal((2, 3, 6, 5)).astype(np.float32)
    right = Model(graph, without=["fold_scales"])(x)
    np.testing.assert_allclose(Model(graph)(x), right, rtol=1e-6, atol=1e-6)


def test_constants_along_other_axes_are_no_scales() -> None:
    """Six rows, and as many channels; and a rank that makes (6, 1, 1) the rows'."""
    rows = np.arange(1, 7).reshape(6, 1)
    graph = scale_chain(("mul", rows))
    assert len(optimize(graph).nodes) == 3
    deep = scale_chain(("mul", rows[..., None]), rank=5)
    assert len(optimize(deep).nodes) == 3
    x = np.random.default_rng(0).standard_normal((1, 3, 6, 2, 2)).astype(np.float32)
    right = Model(deep, without=["fold_scales"])(x)
    np.testing.assert_allclose(Model(deep)(x), right, rtol=1e-6)
    deep.inputs = [Port("x", None, np.dtype(np.float32))]
    assert len(optimize(deep).nodes) == 3  # nor where the rank is not known


def network(*nodes: Node, **constants: Any) -> Graph:
    """Return a graph from x (N, 2, H, W) to y."""
    return Graph(
        inputs=[Port("x", (None, 2, None, None), np.dtype(np.float32))],
        outputs=[(Port("y", None, np.dtype(np.float32)), "y")],
        nodes=list(nodes),
        constants={k: np.asarray(v) for k, v in constants.items()},
    )


WEIGHT = np.random.default_rng(1).standard_normal((4, 2, 3, 3)).astype(np.float32)
FACTORS = np.array([1, -2, 0.5, 3], np.float32).reshape(4, 1, 1)
PADDING = np.array([0, 0, 1, 2, 0, 0, 0, 3])
GRAPHS = {
    "fold_scales": network(
        Node("conv", ["x", "w"], ["a"]),
        Node("binary", ["k", "a"], ["b"], {"function": "mul"}),
        Node("binary", ["b", "k"], ["y"], {"function": "add"}),
        w=WEIGHT,
        k=FACTORS,
    ),
    "fold_pads": network(
        Node("pad", ["x", "p"], ["a"], {"mode": "constant"}),
        Node("conv", ["a", "w"], ["y"], {"pads": [1, 0, 1, 0]}),
        w=WEIGHT,
        p=PADDING,
    ),
    "remove_identities": network(
        Node("identity", ["x"], ["a"]), Node("activation", ["a"], ["y"], {"name": "relu"})
    ),
    "fold_constants": network(
        Node("unary", ["k"], ["a"], {"function": "neg"}),
        Node("binary", ["x", "a"], ["y"], {"function": "mul"}),
        k=FACTORS[:2],
    ),
    "fuse_additions": network(
        Node("conv", ["x", "w"], ["a"], {"pads": [1] * 4}),
        Node("binary", ["x", "a"], ["y"], {"function": "add"}),
        w=WEIGHT[:2],
    ),
    "fuse_activations": network(
        Node("conv", ["x", "w"], ["a"]),
        Node("activation", ["a"], ["y"], {"name": "silu"}),
        w=WEIGHT,
    ),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_pass_leaves_one_node(name: str) -> None:
    graph = GRAPHS[name]
    assert len(optimize(graph).nodes) == 1
    assert len(optimize(graph, without=[name]).nodes) == len(graph.nodes) > 1
    x = np.random.default_rng(2).standard_normal((2, 2, 7, 6)).astype(np.float32)
    right = Model(graph, without=list(PASSES))(x)
    np.testing.assert_allclose(Model(graph)(x), right, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "attributes", [{"pads": [0] * 4}, {"pads": [1] * 4, "count_include_pad": True}, {}]
)
def test_pads_before_average_pools(attributes: dict[str, Any]) -> None:
    pool = Node("pool", ["a"], ["y", ""], {"kind": "average", "kernel": (3, 3), **attributes})
    graph = network(Node("pad", ["x", "p"], ["a"], {"mode": "constant"}), pool, p=PADDING)
    assert len(optimize(graph).nodes) == 1
    x = np.random.default_rng(2).standard_normal((2, 2, 7, 6)).astype(np.float32)
    np.testing.assert_allclose(Model(graph)(x), Model(graph, without=["fold_pads"])(x), rtol=1e-6)
    pool.attributes["kind"] = "max"  # zeros of a padded image may be its largest
    assert len(optimize(graph).nodes) == 2
