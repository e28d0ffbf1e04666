"""From ONNX's protocol buffers to plain data: nodes with opsets, attributes and arrays."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from mmap import ACCESS_READ, mmap
from typing import Any

import numpy as np

from ..errors import ModelFormatError, UnsupportedOperatorError
from ..graph.deferred import Constant, FileSource, MemorySource, Source, stored
from ..graph.ir import Dimension, Port
from .messages import parse

#: Functions within functions, at most.
DEEPEST = 64

#: NumPy's types for ONNX's, by number, and the fields that hold them where they are not raw.
DTYPES: dict[int, tuple[str, str]] = {
    1: ("f4", "float_data"),
    2: ("u1", "int32_data"),
    3: ("i1", "int32_data"),
    4: ("u2", "int32_data"),
    5: ("i2", "int32_data"),
    6: ("i4", "int32_data"),
    7: ("i8", "int64_data"),
    9: ("?", "int32_data"),
    10: ("f2", "int32_data"),
    11: ("f8", "double_data"),
    12: ("u4", "uint64_data"),
    13: ("u8", "uint64_data"),
    14: ("c8", "float_data"),
    15: ("c16", "double_data"),
}
#: ONNX's names of those that Cast took by name before opset 6.
NAMES: dict[str, int] = {
    "FLOAT": 1,
    "UINT8": 2,
    "INT8": 3,
    "UINT16": 4,
    "INT16": 5,
    "INT32": 6,
    "INT64": 7,
    "BOOL": 9,
    "FLOAT16": 10,
    "DOUBLE": 11,
    "UINT32": 12,
    "UINT64": 13,
}
#: What the lists of numbers hold.
LISTS: dict[str, str] = {
    "float_data": "f4",
    "double_data": "f8",
    "int32_data": "i4",
    "int64_data": "i8",
    "uint64_data": "u8",
}
#: The numbers of types that NumPy lacks (brain floats, floats of 8 bits and fewer, half bytes).
FOREIGN = range(16, 29)
STRING = 8


@dataclass
class OnnxNode:
    """One ONNX operator."""

    op: str
    domain: str
    opset: int
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]
    name: str

    @property
    def label(self) -> str:
        """How messages call it."""
        name = self.name or next(filter(None, self.outputs), "")
        where = "" if self.domain in ("", "ai.onnx") else f"{self.domain}."
        return f"node {name!r} ({where}{self.op})"


@dataclass
class OnnxModel:
    """What a file says, functions expanded."""

    inputs: list[Port] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)
    nodes: list[OnnxNode] = field(default_factory=list)
    constants: dict[str, Constant] = field(default_factory=dict)


def read(source: Any) -> OnnxModel:
    """Read a path, bytes or `onnx.ModelProto`.

    Raises
    ------
    ModelFormatError
        If it is broken.
    TypeError
        If `source` is something else.
    ImportError
        If the onnx package is missing (``pip install fastconv[onnx]``).

    Examples
    --------
    >>> from fastconv.onnx.reader import read
    >>> read(b"no model")
    Traceback (most recent call last):
    ...
    fastconv.errors.ModelFormatError: not an ONNX model: ...
    """
    if isinstance(source, str):
        file = FileSource(source)
        if not file.size:
            raise ModelFormatError(f"not an ONNX model: {source!r} is empty")
        proto = parse(memoryview(mmap(file.descriptor, 0, access=ACCESS_READ)))
        weights = _Weights(file, file.size, os.path.dirname(source))
    else:
        if hasattr(source, "SerializeToString"):
            source = source.SerializeToString()
        if not isinstance(source, bytes | bytearray | memoryview):
            raise TypeError(
                f"source: expected a path, bytes or an onnx.ModelProto, got {type(source).__name__}"
            )
        contents = bytes(source)
        proto = parse(memoryview(contents))
        weights = _Weights(MemorySource(contents), len(contents), None)
    try:
        return _model(proto, weights)
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        if isinstance(error, ModelFormatError):
            raise
        raise ModelFormatError(f"broken ONNX model: {error}") from None


class _Weights:
    """Where a file's tensors lie: in itself, or in others of its folder."""

    def __init__(self, own: Source, size: int, folder: str | None) -> None:
        self._own, self._size, self._folder = own, size, folder
        self._others: dict[str, FileSource] = {}

    def place(self, tensor: Any) -> tuple[Source, int, int] | None:
        """Source, begin and end of a tensor's bytes; None where it lists numbers instead."""
        if tensor.data_location == 1:
            return self._elsewhere(tensor)
        if not tensor.HasField("raw_data"):
            return None
        raw = tensor.raw_data
        return MemorySource(raw), 0, len(raw)

    def _elsewhere(self, tensor: Any) -> tuple[Source, int, int]:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        if location == "":
            return self._own, *_span(entries, self._size, tensor, "the file")
        if self._folder is None:
            raise ModelFormatError(f"tensor {tensor.name!r} lies in {location!r}: load from a path")
        folder = os.path.realpath(self._folder)
        path = os.path.realpath(os.path.join(folder, location))
        if os.path.isabs(location) or os.path.commonpath([folder, path]) != folder:
            raise ModelFormatError(f"tensor {tensor.name!r} lies outside the model's folder")
        if path not in self._others:
            if not os.path.isfile(path):
                raise ModelFormatError(f"tensor {tensor.name!r} lies in {location!r}: no such file")
            self._others[path] = FileSource(path)
        source = self._others[path]
        return source, *_span(entries, source.size, tensor, repr(location))


def _span(entries: Mapping[str, str], size: int, tensor: Any, where: str) -> tuple[int, int]:
    begin = int(entries.get("offset", 0))
    end = begin + int(entries["length"]) if "length" in entries else size
    if not 0 <= begin <= end <= size:
        raise ModelFormatError(f"tensor {tensor.name!r} lies beyond the end of {where}")
    return begin, end


def _model(proto: Any, weights: _Weights) -> OnnxModel:
    if not proto.HasField("graph"):
        raise ModelFormatError("not an ONNX model: it has no graph")
    graph = proto.graph
    opsets = _opsets(proto.opset_import)
    functions = {(f.domain, f.name): f for f in proto.functions}
    model = OnnxModel()
    if graph.sparse_initializer:
        raise UnsupportedOperatorError("sparse initializers")
    for tensor in graph.initializer:
        model.constants[tensor.name] = _array(tensor, weights)
    model.inputs = [_port(i) for i in graph.input if i.name not in model.constants]
    model.outputs = [_port(o) for o in graph.output]
    model.nodes = _Expansion(functions, weights).nodes(graph.node, opsets, {}, {}, "", 0)
    _check_values(model)
    return model


def _check_values(model: OnnxModel) -> None:
    """Values are written once, before they are read."""
    defined = {"", *model.constants, *(port.name for port in model.inputs)}
    for node in model.nodes:
        for name in node.inputs:
            if name not in defined:
                raise ModelFormatError(f"{node.label} reads {name!r}, which nothing writes before")
        for name in node.outputs:
            if name and name in defined:
                raise ModelFormatError(f"{node.label} writes {name!r}, which exists already")
            defined.add(name)
    for port in model.outputs:
        if not port.name or port.name not in defined:
            raise ModelFormatError(f"output {port.name!r} is written by nothing")


def _opsets(imports: Any) -> dict[str, int]:
    return {("" if o.domain == "ai.onnx" else o.domain): int(o.version) for o in imports}


def dtype_of(code: int | None) -> np.dtype[Any]:
    """NumPy's type for ONNX's.

    Raises
    ------
    UnsupportedOperatorError
        If NumPy has none.

    Examples
    --------
    >>> from fastconv.onnx.reader import dtype_of
    >>> dtype_of(1)
    dtype('float32')
    """
    if code == STRING:
        raise UnsupportedOperatorError("tensors of strings")
    if code in FOREIGN:
        raise UnsupportedOperatorError(f"dtype {code} of ONNX")
    if code not in DTYPES:
        raise ModelFormatError(f"{code} is no type of ONNX")
    return np.dtype(DTYPES[code][0])


def _port(info: Any) -> Port:
    if info.type.WhichOneof("value") not in (None, "tensor_type"):
        raise UnsupportedOperatorError(f"{info.name!r} is no tensor")
    kind = info.type.tensor_type
    dtype = np.dtype(np.float32)
    if kind.elem_type:
        dtype = dtype_of(kind.elem_type)
    shape: tuple[Dimension, ...] | None = None
    if kind.HasField("shape"):
        shape = tuple(
            int(d.dim_value) if d.HasField("dim_value") else (d.dim_param or None)
            for d in kind.shape.dim
        )
        # exporters write 0 or -1 where a size is free
        shape = tuple(None if isinstance(d, int) and d < 0 else d for d in shape)
    return Port(info.name, shape, dtype)


def _array(tensor: Any, weights: _Weights) -> Constant:
    """Array of a tensor; its size is checked against the bytes that are there."""
    shape = tuple(int(d) for d in tensor.dims)
    if any(d < 0 for d in shape):
        raise ModelFormatError(f"tensor {tensor.name!r} has shape {shape}")
    if not tensor.data_type:
        raise ModelFormatError(f"tensor {tensor.name!r} holds no numbers")
    dtype = dtype_of(tensor.data_type)
    place = weights.place(tensor)
    if place is not None:
        source, begin, end = place
        if end - begin != prod(shape) * dtype.itemsize:
            raise ModelFormatError(
                f"tensor {tensor.name!r} ({dtype}, shape {shape}) has {end - begin} bytes"
            )
        return stored(source, begin, dtype, shape)
    name = DTYPES[tensor.data_type][1]
    listed = np.array(getattr(tensor, name), LISTS[name])
    if dtype.kind == "c":
        array = listed.astype(f"f{dtype.itemsize // 2}")
        if array.size % 2 == 0:
            array = array.view(dtype)
    elif dtype == np.float16:
        array = listed.astype(np.uint16).view(dtype)
    else:
        array = listed.astype(dtype)
    if array.size != prod(shape):
        raise ModelFormatError(f"tensor {tensor.name!r} is not of shape {shape}")
    return array.reshape(shape)


#: Attributes by their types: the field that holds them.
_ATTRIBUTES = {1: "f", 2: "i", 3: "s", 4: "t", 6: "floats", 7: "ints", 8: "strings"}


def _attribute(attribute: Any, weights: _Weights) -> Any:
    name = _ATTRIBUTES.get(attribute.type)
    value: Any = getattr(attribute, name) if name else attribute
    if name == "t":
        return _array(value, weights) if attribute.HasField("t") else None
    if name == "s":
        return value.decode("utf-8", "replace")
    if name == "strings":
        return [s.decode("utf-8", "replace") for s in value]
    if name in ("floats", "ints"):
        return list(value)
    return value  # graphs, sparse tensors, types: no operator here takes them


def _check_names(proto: Any) -> None:
    """Protocol buffers hand out as bytes what is no UTF-8."""
    names = (proto.op_type, proto.domain, proto.name, *proto.input, *proto.output)
    for name in (*names, *(attribute.name for attribute in proto.attribute)):
        if not isinstance(name, str):
            raise ModelFormatError(f"a node has a name that is no UTF-8 text: {name!r}")


class _Expansion:
    """Nodes of a graph, with those of the model's own functions in the place of their calls."""

    def __init__(self, functions: Mapping[tuple[str, str], Any], weights: _Weights) -> None:
        self._functions, self._weights = functions, weights

    def nodes(
        self,
        protos: Sequence[Any],
        opsets: Mapping[str, int],
        names: dict[str, str],
        bound: Mapping[str, Any],
        prefix: str,
        depth: int,
    ) -> list[OnnxNode]:
        """Nodes of a graph or function; `names` renames values, `bound` are a call's attributes."""
        if depth > DEEPEST:
            raise ModelFormatError(f"functions call each other more than {DEEPEST} deep")
        nodes: list[OnnxNode] = []
        for number, proto in enumerate(protos):
            _check_names(proto)
            inputs = [names.get(name, name) for name in proto.input]
            for name in proto.output:
                if prefix and name and name not in names:
                    names[name] = prefix + name
            outputs = [names.get(name, name) for name in proto.output]
            attributes = self._attributes(proto, bound)
            domain = "" if proto.domain == "ai.onnx" else proto.domain
            function = self._functions.get((proto.domain, proto.op_type))
            if function is None:
                opset = opsets.get(domain, 0)
                if domain == "" and opset < 1:
                    raise ModelFormatError("the model does not say which opset it uses")
                nodes.append(
                    OnnxNode(proto.op_type, domain, opset, inputs, outputs, attributes, proto.name)
                )
                continue
            inner = f"{prefix}{proto.name or proto.op_type}{number}/"
            given = dict(zip(function.input, inputs, strict=False))
            given.update(dict.fromkeys(function.input[len(inputs) :], ""))
            given.update({f: o for f, o in zip(function.output, outputs, strict=False) if o})
            defaults = {a.name: _attribute(a, self._weights) for a in function.attribute_proto}
            nodes += self.nodes(
                function.node,
                {**opsets, **_opsets(function.opset_import)},
                given,
                {**defaults, **attributes},
                inner,
                depth + 1,
            )
        return nodes

    def _attributes(self, proto: Any, bound: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for attribute in proto.attribute:
            if not attribute.ref_attr_name:
                found[attribute.name] = _attribute(attribute, self._weights)
            elif attribute.ref_attr_name in bound:
                found[attribute.name] = bound[attribute.ref_attr_name]
        return found
