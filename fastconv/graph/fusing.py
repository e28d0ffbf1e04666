"""Passes that merge operators into the convolution, product or arithmetic before them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .deferred import Constant, scaled
from .ir import Array, Graph, Node

#: Operators that apply an activation to what they compute.
EPILOGUES = frozenset({"conv", "conv_transpose", "gemm", "matmul", "affine", "binary"})
#: Those that take scales and shifts of what they compute into their constants.
SCALED = frozenset({"conv", "conv_transpose", "gemm", "matmul", "affine"})
#: Functions of two operands whose result is a number.
ARITHMETIC = frozenset({"add", "sub", "mul", "div", "min", "max", "prelu", "pow"})


class Neighbours:
    """Who writes and who reads each value, while a pass rewrites a graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.makers = graph.makers()
        self.readers = graph.all_readers()

    def only_reader(self, node: Node) -> Node | None:
        """The one node that reads a node's only output, if there is just one."""
        if len(node.outputs) != 1:
            return None
        readers = self.readers.get(node.outputs[0], [])
        return readers[0] if len(readers) == 1 else None

    def constant(self, name: str) -> Array | None:
        """The array of a constant."""
        found = self.graph.constants.get(name)
        return None if found is None else np.asarray(found)

    def deferred(self, name: str) -> Constant | None:
        """A constant whose elements are not looked at."""
        return self.graph.constants.get(name)

    def scalar(self, name: str) -> float | None:
        """The number that a constant of one element holds."""
        found = self.deferred(name)
        if found is None or found.size != 1:
            return None
        return float(np.asarray(found).reshape(-1)[0])

    def absorb(self, node: Node, follower: Node) -> None:
        """Let a node write what its only reader wrote, and drop that one."""
        node.outputs = list(follower.outputs)
        self.graph.nodes.remove(follower)
        self.makers.update(dict.fromkeys(node.outputs, node))


def clips_to_activations(graph: Graph) -> None:
    """Spell bounds of 0 (and 6) as activations, and a largest of x and 0 as well.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.fusing import clips_to_activations
    >>> from fastconv.graph.ir import Graph, Node
    >>> graph = Graph(nodes=[Node("clip", ["x", "low"], ["y"])], constants={"low": np.zeros(())})
    >>> clips_to_activations(graph)
    >>> graph.nodes[0].op, graph.nodes[0].attributes
    ('activation', {'name': 'relu'})
    """
    around = Neighbours(graph)
    for node in graph:
        if node.op == "clip":
            names = [*node.inputs[1:], "", ""][:2]
            low, high = (around.scalar(name) for name in names)
            if low != 0:
                continue
            if names[1] == "" or high == np.inf:
                name = "relu"
            elif high == 6:
                name = "relu6"
            else:
                continue
        elif node.op == "binary" and node.attributes["function"] == "max":
            left = around.scalar(node.inputs[0])
            right = around.scalar(node.inputs[1])
            constants = [around.deferred(n) for n in node.inputs]
            if node.attributes.get("activation") or 0 not in (left, right):
                continue
            if any(c is not None and c.ndim > 0 for c in constants):
                continue
            node.inputs = [node.inputs[1] if left == 0 else node.inputs[0]]
            name = "relu"
        else:
            continue
        node.op, node.inputs, node.attributes = "activation", node.inputs[:1], {"name": name}


def fold_scales(graph: Graph) -> None:
    """Multiply and add constants of each channel into the convolution, product or scale before.

    Batch normalizations are such scales and shifts; so are Mul, Add, Sub and Div by constants.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.fusing import fold_scales
    >>> from fastconv.graph.ir import Graph, Node
    >>> conv, scale = Node("conv", ["x", "w"], ["y"]), Node("affine", ["y", "a", "b"], ["z"])
    >>> constants = {"w": np.ones((2, 3, 1, 1)), "a": np.full(2, 3.0), "b": np.ones(2)}
    >>> graph = Graph(nodes=[conv, scale], constants=constants)
    >>> fold_scales(graph)
    >>> len(graph.nodes), graph.constants[graph.nodes[0].inputs[2]]
    (1, array([1., 1.]))
    """
    around = Neighbours(graph)
    for node in list(graph):
        if node.op not in SCALED or node not in graph.nodes:
            continue
        while _fold_scale(around, node):
            pass


def _channel_vector(array: Array, filters: int, rank: int, axis: int) -> Array | None:
    """A constant as one number for each filter, if it differs along that axis alone."""
    if array.ndim > rank or axis >= rank:
        return None
    shape = (1,) * (rank - array.ndim) + array.shape
    if any(n != 1 for a, n in enumerate(shape) if a != axis) or shape[axis] not in (1, filters):
        return None
    return np.broadcast_to(array.reshape(-1), (filters,))


def _scale_and_shift(
    around: Neighbours, follower: Node, value: str, filters: int, rank: int, axis: int
) -> tuple[Any, Any] | None:
    """(scale, shift) that a follower applies to each filter's output; None where it is no such."""
    if follower.op == "affine" and axis == 1 and follower.inputs[0] == value:
        scale, shift = (around.constant(name) for name in follower.inputs[1:])
        return None if scale is None or shift is None else (scale, shift)
    if follower.op != "binary" or follower.inputs[0] == follower.inputs[1]:
        return None
    is_left = follower.inputs[0] == value
    array = around.constant(follower.inputs[1 if is_left else 0])
    vector = None if array is None else _channel_vector(array, filters, rank, axis)
    if vector is None:
        return None
    function = follower.attributes["function"]
    if function == "mul":
        return vector, np.zeros_like(vector)
    if function == "div" and is_left and vector.all():
        return 1 / vector, np.zeros_like(vector)
    if function == "add":
        return np.ones_like(vector), vector
    if function == "sub":
        sign = 1 if is_left else -1
        return np.full_like(vector, sign), -sign * vector
    return None


def _rank(around: Neighbours, name: str) -> int:
    """How many axes a value has; 0 where only shapes would tell."""
    while (node := around.makers.get(name)) is not None:
        if node.op in ("conv", "conv_transpose"):
            weight = around.deferred(node.inputs[1])
            return 0 if weight is None else weight.ndim
        if node.op == "pool":
            return 2 + len(node.attributes["kernel"])
        if node.op not in ("activation", "affine", "clip", "concat"):
            return 0
        name = node.inputs[0]
    port = next((port for port in around.graph.inputs if port.name == name), None)
    return 0 if port is None or port.shape is None else len(port.shape)


def _fold_scale(around: Neighbours, node: Node) -> bool:
    follower = around.only_reader(node)
    weight = around.deferred(node.inputs[1])
    bias_name = node.inputs[2] if len(node.inputs) > 2 else ""
    bias = around.constant(bias_name)
    if follower is None or weight is None or node.attributes.get("activation"):
        return False
    if len(node.inputs) > 3 and node.op == "conv":  # what it adds would have to be scaled, too
        return False
    if bias_name and bias is None:
        return False
    if node.op == "conv":
        rank, axis, filters, along = weight.ndim, 1, weight.shape[0], 0
    elif node.op == "affine":
        rank, axis, filters, along = _rank(around, node.inputs[0]), 1, weight.shape[0], 0
    elif node.op == "conv_transpose":
        if node.attributes.get("groups", 1) != 1:
            return False
        rank, axis, filters, along = weight.ndim, 1, weight.shape[1], 1
    elif node.op == "gemm":
        plain = node.attributes.get("scale", 1) == node.attributes.get("c_scale", 1) == 1
        along = 0 if node.attributes.get("trans_b") else 1
        rank, axis, filters = 2, 1, weight.shape[along]
        if not plain or (bias is not None and bias.shape not in ((filters,), (1, filters))):
            return False
    else:  # matmul: the rank of the product is at least 2, and its last axis counts
        if weight.ndim != 2 or follower.op != "binary":
            return False
        filters, along = weight.shape[1], 1
        other = follower.inputs[0 if follower.inputs[1] == node.outputs[0] else 1]
        array = around.constant(other)
        if array is None or array.ndim > 2:
            return False
        rank, axis = 2, 1
    found = _scale_and_shift(around, follower, node.outputs[0], filters, rank, axis)
    if found is None:
        return False
    scale, shift = (np.asarray(a, np.float64) for a in found)
    if not (np.isfinite(scale).all() and np.isfinite(shift).all()):
        return False
    shape = [1] * weight.ndim
    shape[along] = filters
    graph = around.graph
    if (scale != 1).any():
        node.inputs[1] = graph.fresh(node.inputs[1])
        graph.constants[node.inputs[1]] = scaled(weight, scale.reshape(shape))
    before = 0.0 if bias is None else bias.astype(np.float64).reshape(-1)
    name = graph.fresh(bias_name or f"{node.outputs[0]}.bias")
    graph.constants[name] = np.broadcast_to(before * scale + shift, (filters,)).astype(weight.dtype)
    node.inputs = [*node.inputs[:2], name]
    for key in ("activation", "alpha"):
        if key in follower.attributes:
            node.attributes[key] = follower.attributes[key]
    around.absorb(node, follower)
    return True


def fuse_activations(graph: Graph) -> None:
    """Apply activations where their operand is computed.

    Examples
    --------
    >>> from fastconv.graph.fusing import fuse_activations
    >>> from fastconv.graph.ir import Graph, Node
    >>> add = Node("binary", ["a", "b"], ["y"], {"function": "add"})
    >>> graph = Graph(nodes=[add, Node("activation", ["y"], ["z"], {"name": "relu"})])
    >>> fuse_activations(graph)
    >>> graph.nodes[0].attributes
    {'function': 'add', 'activation': 'relu'}
    """
    around = Neighbours(graph)
    for node in list(graph):
        if node.op not in EPILOGUES or node.attributes.get("activation"):
            continue
        if node.op == "binary" and node.attributes["function"] not in ARITHMETIC:
            continue
        follower = around.only_reader(node)
        if follower is None or follower.op != "activation":
            continue
        node.attributes["activation"] = follower.attributes["name"]
        if "alpha" in follower.attributes:
            node.attributes["alpha"] = follower.attributes["alpha"]
        around.absorb(node, follower)


def fuse_additions(graph: Graph) -> None:
    """Let a convolution add what is added to its output: residual connections.

    Examples
    --------
    >>> from fastconv.graph.fusing import fuse_additions
    >>> from fastconv.graph.ir import Graph, Node
    >>> conv = Node("conv", ["x", "w"], ["y"])
    >>> graph = Graph(nodes=[conv, Node("binary", ["x", "y"], ["z"], {"function": "add"})])
    >>> fuse_additions(graph)
    >>> graph.nodes[0].inputs, graph.nodes[0].outputs
    (['x', 'w', '', 'x'], ['z'])
    """
    around = Neighbours(graph)
    for add in list(graph):
        if add.op != "binary" or add.attributes["function"] != "add":
            continue
        found = [
            (graph.nodes.index(conv), other)
            for name, other in (add.inputs, add.inputs[::-1])
            if (conv := around.makers.get(name)) is not None
            and conv.op == "conv"
            and len(conv.inputs) < 4
            and not conv.attributes.get("activation")
            and around.only_reader(conv) is add
            and other not in graph.constants
        ]
        if not found:
            continue
        place, other = max(found)  # the later one: the other is there by then
        conv = graph.nodes.pop(place)
        conv.inputs = [*[*conv.inputs, ""][:3], other]
        conv.attributes.update({k: v for k, v in add.attributes.items() if k != "function"})
        graph.nodes.insert(graph.nodes.index(add), conv)
        around.absorb(conv, add)


def fold_pads(graph: Graph) -> None:
    """Let a convolution or average pool pad with zeros itself.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.fusing import fold_pads
    >>> from fastconv.graph.ir import Graph, Node
    >>> pad = Node("pad", ["x", "p"], ["y"], {"mode": "constant"})
    >>> constants = {"p": np.array([0, 0, 1, 2, 0, 0, 1, 2]), "w": np.ones((1, 1, 3, 3))}
    >>> graph = Graph(nodes=[pad, Node("conv", ["y", "w"], ["z"])], constants=constants)
    >>> fold_pads(graph)
    >>> graph.nodes[0].inputs, graph.nodes[0].attributes["pads"]
    (['x', 'w'], [1, 2, 1, 2])
    """
    around = Neighbours(graph)
    for pad in list(graph):
        if pad.op != "pad" or pad.attributes["mode"] != "constant" or len(pad.inputs) > 3:
            continue
        amounts = around.constant(pad.inputs[1])
        number = around.scalar(pad.inputs[2]) if len(pad.inputs) > 2 and pad.inputs[2] else 0
        reader = around.only_reader(pad)
        if amounts is None or number != 0 or reader is None or min(amounts, default=0) < 0:
            continue
        axes = len(amounts) // 2 - 2
        if axes < 1 or any(amounts[[0, 1, axes + 2, axes + 3]]):
            continue
        if not _takes_padding(around, reader, axes) or reader.inputs[0] != pad.outputs[0]:
            continue
        own = reader.attributes.get("pads") or [0] * (2 * axes)
        more = [*amounts[2 : 2 + axes], *amounts[4 + axes :]]
        reader.attributes["pads"] = [int(a) + int(m) for a, m in zip(own, more, strict=True)]
        if reader.op == "pool":
            reader.attributes["count_include_pad"] = True
        reader.inputs[0] = pad.inputs[0]
        graph.nodes.remove(pad)


def _takes_padding(around: Neighbours, reader: Node, axes: int) -> bool:
    """Whether zeros around the input mean the same as the reader's own padding."""
    own = reader.attributes.get("pads")
    if isinstance(own, str):
        return False
    if reader.op == "conv":
        weight = around.deferred(reader.inputs[1])
        return weight is not None and weight.ndim == axes + 2 and reader.inputs[1] != ""
    return (
        reader.op == "pool"
        and reader.attributes["kind"] == "average"
        and len(reader.attributes["kernel"]) == axes
        and not reader.attributes.get("ceil_mode")
        and (not own or not any(own) or bool(reader.attributes.get("count_include_pad")))
    )
