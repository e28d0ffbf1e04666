"""What can be known of a graph before shapes are: dtypes, and which inputs plans depend on.

A network that cannot run is refused here, when it is loaded, with all that is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from inspect import signature
from typing import Any, NamedTuple

import numpy as np

from ..errors import ModelFormatError, UnsupportedOperatorError
from .evaluate import EVALUATE
from .ir import Graph, Node
from .lower import LOWER, NEEDS, compute, moving

FLOATING = (np.dtype(np.float32), np.dtype(np.float64))
INTEGERS = (np.dtype(np.int32), np.dtype(np.int64), np.dtype(bool))
#: Operators that move elements of any dtype.
MOVING = frozenset(moving.LOWER) | {"pad", "cast", "choose"}
#: Functions of truth values.
LOGIC = frozenset(compute.LOGIC) | {"not"}
#: Dtypes of run-time values.
STORED = frozenset(np.dtype(c) for c in "fdbBhHiIlL?")


class Checked(NamedTuple):
    """What `check` found out: inputs whose values a plan depends on; the dtype of every value."""

    by_value: frozenset[str]
    dtypes: dict[str, np.dtype[Any]]


def node_dtypes(node: Node, dtypes: Sequence[np.dtype[Any] | None]) -> list[np.dtype[Any]]:
    """Dtypes of a node's outputs.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.check import node_dtypes
    >>> from fastconv.graph.ir import Node
    >>> node_dtypes(Node("shape", ["x"], ["y"]), [np.dtype(np.float32)])
    [dtype('int64')]
    """
    first = next((d for d in dtypes if d is not None), np.dtype(np.float32))
    if node.op in ("shape", "size", "extreme"):
        return [np.dtype(np.int64)]
    if node.op == "cast":
        return [np.dtype(node.attributes["dtype"])]
    if node.op == "constant_of_shape":
        return [node.attributes["value"].dtype]
    if node.op == "choose":
        return [dtypes[1] or first]
    if node.op == "binary" and node.attributes["function"] in (
        "equal",
        "not_equal",
        "less",
        "less_or_equal",
        "and",
        "or",
        "xor",
    ):
        return [np.dtype(bool)]
    if node.op == "pool":
        return [first, np.dtype(np.int64)]
    return [first] * len(node.outputs)


def check(graph: Graph) -> Checked:
    """Check that a graph can be planned.

    Raises
    ------
    ModelFormatError
        If a value is read that nothing writes.
    UnsupportedOperatorError
        If an operator needs a dtype that it lacks, or shapes are computed from data.

    Examples
    --------
    >>> from fastconv.graph.check import check
    >>> from fastconv.graph.ir import Graph
    >>> check(Graph()).by_value
    frozenset()
    """
    dtypes: dict[str, np.dtype[Any] | None] = {"": None}
    dtypes.update({port.name: port.dtype for port in graph.inputs})
    dtypes.update({name: array.dtype for name, array in graph.constants.items()})
    for node in graph:
        _check_attributes(node)
        for name in node.inputs:
            if name not in dtypes:
                raise ModelFormatError(f"{node.label} reads {name!r}, which nothing writes")
        found = node_dtypes(node, [dtypes[name] for name in node.inputs])
        dtypes.update(zip(node.outputs, found, strict=False))
    for port, name in graph.outputs:
        if not name or name not in dtypes:
            raise ModelFormatError(f"output {port.name!r} is written by nothing")
    by_value = _by_value(graph, dtypes)
    problems = _problems(graph, dtypes, by_value)
    if problems:
        raise UnsupportedOperatorError("; ".join(dict.fromkeys(problems)))
    return Checked(by_value, {n: d for n, d in dtypes.items() if d is not None})


@lru_cache(maxsize=256)
def _attributes_of(op: str) -> tuple[frozenset[str], frozenset[str]]:
    """Names of an operator's attributes: all of them, and those that are required."""
    function = LOWER.get(op) or EVALUATE[op]
    named = [p for p in signature(function).parameters.values() if p.kind == p.KEYWORD_ONLY]
    required = frozenset(p.name for p in named if p.default is p.empty)
    return frozenset(p.name for p in named), required


def _check_attributes(node: Node) -> None:
    if node.op not in LOWER and node.op not in EVALUATE:
        raise UnsupportedOperatorError(f"{node.label}: operator {node.op!r}")
    named, required = _attributes_of(node.op)
    given = node.attributes.keys()
    if not required <= given <= named:
        raise ModelFormatError(f"{node.label}: attributes {', '.join(sorted(given))}")


def _runs_on(node: Node, dtypes: dict[str, np.dtype[Any] | None]) -> bool:
    """Whether C steps compute the node on these dtypes."""
    needed = NEEDS.get(node.op, ())
    found = {dtypes[name] for i, name in enumerate(node.inputs) if name and i not in needed}
    if node.attributes.get("function") in LOGIC:
        return found <= {np.dtype(bool)}
    if node.op in MOVING:
        return all(d in STORED for d in found)
    if node.op == "max_unpool":
        return found <= STORED and dtypes[node.inputs[1]] == np.dtype(np.int64)
    if node.op == "pool" and node.attributes["kind"] == "max":
        return all(d in STORED - {np.dtype(bool)} for d in found)
    return node.op in LOWER and all(d in FLOATING for d in found) and len(found) < 2


def _needed(node: Node, dtypes: dict[str, np.dtype[Any] | None]) -> list[str]:
    """Inputs of a node that have to be known."""
    needed = [node.inputs[i] for i in NEEDS.get(node.op, ()) if i < len(node.inputs)]
    if node.op not in ("shape", "size") and not _runs_on(node, dtypes):
        floating = all(dtypes[n] in FLOATING for n in node.inputs if n)
        if not floating and node.op in EVALUATE:
            needed = list(node.inputs)
    return [name for name in needed if name]


def _by_value(graph: Graph, dtypes: dict[str, np.dtype[Any] | None]) -> frozenset[str]:
    """Inputs of the network that nodes need to know, directly or through other nodes."""
    wanted: set[str] = set()
    direct: set[str] = set()
    for node in reversed(graph.nodes):
        if node.op in ("shape", "size"):
            continue
        if wanted.intersection(node.outputs):
            wanted.update(name for name in node.inputs if name)
        direct.update(_needed(node, dtypes))
        wanted.update(direct)
    # what is computed from floating numbers is data, not shapes
    return frozenset(
        port.name
        for port in graph.inputs
        if port.name in (direct if port.dtype in FLOATING else wanted)
    )


def _problems(
    graph: Graph, dtypes: dict[str, np.dtype[Any] | None], by_value: frozenset[str]
) -> list[str]:
    problems = []
    known = {"", *graph.constants, *by_value}
    for port in graph.inputs:
        if port.name in by_value:
            if dtypes[port.name] not in (*INTEGERS, *FLOATING):
                problems.append(f"input {port.name!r}: arithmetic on {port.dtype}")
        elif port.dtype not in STORED:
            problems.append(f"input {port.name!r}: dtype {port.dtype}")
    for node in graph:
        computable = node.op in EVALUATE and all(name in known for name in node.inputs)
        if computable or node.op in ("shape", "size"):
            known.update(node.outputs)
            continue
        missing = [name for name in _needed(node, dtypes) if name not in known]
        if missing:
            problems.append(
                f"{node.label}: its input {missing[0]!r} has to be known before the network runs, "
                "but is computed from its data"
            )
        elif not _runs_on(node, dtypes):
            found = ", ".join(sorted({str(dtypes[name]) for name in node.inputs if name}))
            problems.append(f"{node.label}: operands of dtype {found}")
    return problems
