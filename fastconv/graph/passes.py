"""Passes over a graph: each makes it smaller or faster and changes no answer beyond rounding."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np

from ..errors import trusting
from .evaluate import evaluate
from .fusing import (
    clips_to_activations,
    fold_pads,
    fold_scales,
    fuse_activations,
    fuse_additions,
)
from .ir import Graph
from .recognizing import recognize_activations

Pass = Callable[[Graph], None]


def fold_constants(graph: Graph) -> None:
    """Compute what depends on constants alone.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.ir import Graph, Node
    >>> from fastconv.graph.passes import fold_constants
    >>> add = Node("binary", ["a", "a"], ["b"], {"function": "add"})
    >>> graph = Graph(nodes=[add], constants={"a": np.ones(1)})
    >>> fold_constants(graph)
    >>> graph.constants["b"]
    array([2.])
    """
    kept = []
    for node in graph:
        result = None
        if all(name == "" or name in graph.constants for name in node.inputs):
            found = [graph.constants.get(name) for name in node.inputs]
            result = evaluate(node, [None if c is None else np.asarray(c) for c in found])
        if result is None:
            kept.append(node)
        else:
            graph.constants.update(zip(node.outputs, result, strict=False))
    graph.nodes = kept


def remove_identities(graph: Graph) -> None:
    """Remove operators that return what comes.

    Examples
    --------
    >>> from fastconv.graph.ir import Graph, Node
    >>> from fastconv.graph.passes import remove_identities
    >>> graph = Graph(nodes=[Node("identity", ["x"], ["y"]), Node("size", ["y"], ["z"])])
    >>> remove_identities(graph)
    >>> graph.nodes[0].inputs
    ['x']
    """
    for node in list(graph):
        if node.op == "identity":
            graph.nodes.remove(node)
            graph.rename(node.outputs[0], node.inputs[0])


#: In the order in which they run.
PASSES: dict[str, Pass] = {
    "fold_constants": fold_constants,
    "remove_identities": remove_identities,
    "fold_pads": fold_pads,
    "clips_to_activations": clips_to_activations,
    "recognize_activations": recognize_activations,
    "fold_scales": fold_scales,
    "fuse_additions": fuse_additions,
    "fuse_activations": fuse_activations,
}


def optimize(graph: Graph, without: Collection[str] = ()) -> Graph:
    """Return a graph that all passes but some have worked on.

    Raises
    ------
    ValueError
        If `without` names no pass.

    Examples
    --------
    >>> from fastconv.graph.ir import Graph
    >>> from fastconv.graph.passes import optimize
    >>> optimize(Graph(), without=["fold_constants"]).nodes
    []
    """
    unknown = set(without) - PASSES.keys()
    if unknown:
        raise ValueError(f"without: expected names of {', '.join(PASSES)}, got {unknown}")
    graph = graph.copy()
    for name, run in PASSES.items():
        if name not in without:
            with trusting(f"what {name} looks at"):
                run(graph)
            graph.drop_dead()
    graph.drop_dead()
    return graph
