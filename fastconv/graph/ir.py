"""A network as fastconv sees it: nodes between named values, constants, inputs and outputs.

Operators are fewer and more general than ONNX's; `fastconv.graph.lower` has one function for each,
whose parameters are the operator's inputs and attributes. Shapes are no part of a graph: a plan is
made for the shapes that come.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..errors import ShapeError
from .deferred import Array as Array
from .deferred import Constant

#: A size that is fixed, or free (None, or the name that the file gives it).
Dimension = int | str | None


class Port(NamedTuple):
    """An input or output of a network.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.ir import Port
    >>> Port("x", (None, 3, 224, 224), np.dtype("float32"))
    Port(name='x', shape=(None, 3, 224, 224), dtype=dtype('float32'))
    """

    name: str
    shape: tuple[Dimension, ...] | None
    dtype: np.dtype[Any]

    def shape_text(self) -> str:
        """The shape as messages write it, "?" where a size is free and has no name."""
        if self.shape is None:
            return "[?]"
        return "[" + "x".join("?" if size is None else str(size) for size in self.shape) + "]"

    def example_shape(self) -> tuple[int, ...]:
        """Shape as declared, with one image where the batch is free.

        Raises
        ------
        ShapeError
            If other sizes are free.
        """
        sizes = [size for size in self.shape or () if isinstance(size, int)]
        if self.shape and not isinstance(self.shape[0], int):
            sizes.insert(0, 1)
        if self.shape is None or len(sizes) != len(self.shape):
            raise ShapeError(f"{self.name}: sizes are free {self.shape_text()}, give its shape")
        return tuple(sizes)


@dataclass(eq=False)
class Node:
    """One operator: names of the values that it reads ("" where one is left out) and writes.

    Examples
    --------
    >>> from fastconv.graph.ir import Node
    >>> Node("activation", ["x"], ["y"], {"name": "relu"}).op
    'activation'
    """

    op: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any] = field(default_factory=dict)
    #: What the user knows it by, for errors and tables: "node 'conv1' (Conv)".
    label: str = ""


@dataclass(eq=False)
class Graph:
    """Nodes in an order in which each comes after those that it reads from.

    Examples
    --------
    >>> from fastconv.graph.ir import Graph, Node
    >>> graph = Graph(nodes=[Node("identity", ["x"], ["y"])])
    >>> graph.readers("x")
    1
    """

    inputs: list[Port] = field(default_factory=list)
    #: What users call an output, and the value that it is.
    outputs: list[tuple[Port, str]] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, Constant] = field(default_factory=dict)
    #: What was measured to be fastest (see `tuning`): one table of a graph and its copies.
    choices: dict[str, str] = field(default_factory=dict)

    def readers(self, value: str) -> int:
        """How many nodes and outputs read a value."""
        nodes = sum(node.inputs.count(value) for node in self.nodes)
        return nodes + sum(name == value for _, name in self.outputs)

    def all_readers(self) -> dict[str, list[Node | None]]:
        """Readers of every value; None stands for an output of the network."""
        found: dict[str, list[Node | None]] = {}
        for node in self.nodes:
            for name in node.inputs:
                found.setdefault(name, []).append(node)
        for _, name in self.outputs:
            found.setdefault(name, []).append(None)
        return found

    def makers(self) -> dict[str, Node]:
        """The node that writes each value."""
        return {name: node for node in self.nodes for name in node.outputs if name}

    def rename(self, old: str, new: str) -> None:
        """Let all who read one value read another instead."""
        for node in self.nodes:
            node.inputs = [new if name == old else name for name in node.inputs]
        self.outputs = [(port, new if name == old else name) for port, name in self.outputs]

    def fresh(self, stem: str) -> str:
        """Return a name that no value has yet."""
        taken = {*self.constants, *self.makers(), *(port.name for port in self.inputs)}
        number = 0
        while f"{stem}~{number}" in taken:
            number += 1
        return f"{stem}~{number}"

    def drop_dead(self) -> None:
        """Remove nodes and constants that no output needs."""
        wanted = {name for _, name in self.outputs}
        kept: list[Node] = []
        for node in reversed(self.nodes):
            if wanted.intersection(node.outputs):
                kept.append(node)
                wanted.update(node.inputs)
        self.nodes = kept[::-1]
        self.constants = {name: a for name, a in self.constants.items() if name in wanted}

    def copy(self) -> Graph:
        """Copy the graph; constants are shared, for nothing writes them, and so are choices."""
        nodes = [
            Node(n.op, list(n.inputs), list(n.outputs), dict(n.attributes), n.label)
            for n in self.nodes
        ]
        constants = dict(self.constants)
        return Graph(list(self.inputs), list(self.outputs), nodes, constants, self.choices)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)
