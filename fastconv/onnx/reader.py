"""From ONNX's protocol buffers to plain data: nodes with opsets, attributes and arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import AttributeProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from ..errors import ModelFormatError, UnsupportedOperatorError
from ..graph.ir import Array, Dimension, Port

#: Functions within functions, at most.
DEEPEST = 64


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
    constants: dict[str, Array] = field(default_factory=dict)


def read(source: Any) -> OnnxModel:
    """Read a path, bytes or `onnx.ModelProto`.

    Raises
    ------
    ModelFormatError
        If it is broken.
    TypeError
        If `source` is something else.

    Examples
    --------
    >>> from fastconv.onnx.reader import read
    >>> read(b"no model")
    Traceback (most recent call last):
    ...
    fastconv.errors.ModelFormatError: not an ONNX model: ...
    """
    if isinstance(source, onnx.ModelProto):
        proto = source
    elif isinstance(source, str | bytes | bytearray | memoryview):
        try:
            if isinstance(source, str):
                proto = onnx.load(source)
            else:
                proto = onnx.load_from_string(bytes(source))
        except (DecodeError, ValueError, onnx.checker.ValidationError) as error:
            raise ModelFormatError(f"not an ONNX model: {error}") from None
    else:
        raise TypeError(
            f"source: expected a path, bytes or an onnx.ModelProto, got {type(source).__name__}"
        )
    try:
        return _model(proto)
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        if isinstance(error, ModelFormatError):
            raise
        raise ModelFormatError(f"broken ONNX model: {error}") from None


def _model(proto: onnx.ModelProto) -> OnnxModel:
    if not proto.HasField("graph"):
        raise ModelFormatError("not an ONNX model: it has no graph")
    opsets = _opsets(proto.opset_import)
    functions = {(f.domain, f.name): f for f in proto.functions}
    graph = proto.graph
    model = OnnxModel()
    if graph.sparse_initializer:
        raise UnsupportedOperatorError("sparse initializers")
    for tensor in graph.initializer:
        model.constants[tensor.name] = array_of(tensor)
    model.inputs = [_port(i) for i in graph.input if i.name not in model.constants]
    model.outputs = [_port(o) for o in graph.output]
    model.nodes = _expand(graph.node, opsets, functions, {}, {}, "", 0)
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
    return model


def _opsets(imports: Any) -> dict[str, int]:
    return {("" if o.domain == "ai.onnx" else o.domain): int(o.version) for o in imports}


def _port(info: ValueInfoProto) -> Port:
    kind = info.type.tensor_type
    if not info.type.HasField("tensor_type") and info.type.WhichOneof("value") is not None:
        raise UnsupportedOperatorError(f"{info.name!r} is no tensor")
    dtype = np.dtype(np.float32)
    if kind.elem_type:
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(kind.elem_type))
    shape: tuple[Dimension, ...] | None = None
    if kind.HasField("shape"):
        shape = tuple(
            int(d.dim_value) if d.HasField("dim_value") else (d.dim_param or None)
            for d in kind.shape.dim
        )
        # exporters write 0 or -1 where a size is free
        shape = tuple(None if isinstance(d, int) and d < 0 else d for d in shape)
    return Port(info.name, shape, dtype)


def array_of(tensor: TensorProto) -> Array:
    """Array of a tensor; its size is checked against the bytes that are there.

    Examples
    --------
    >>> import numpy as np
    >>> from onnx import numpy_helper
    >>> from fastconv.onnx.reader import array_of
    >>> array_of(numpy_helper.from_array(np.ones(2, np.float32)))
    array([1., 1.], dtype=float32)
    """
    shape = tuple(int(d) for d in tensor.dims)
    if any(d < 0 for d in shape):
        raise ModelFormatError(f"tensor {tensor.name!r} has shape {shape}")
    if tensor.data_type == TensorProto.STRING:
        raise UnsupportedOperatorError(f"tensor {tensor.name!r} of strings")
    if tensor.data_type == TensorProto.UNDEFINED:
        raise ModelFormatError(f"tensor {tensor.name!r} holds no numbers")
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
    if tensor.HasField("raw_data"):
        raw = tensor.raw_data  # a copy each time
        if dtype.kind in "fiub" and len(raw) != prod(shape) * dtype.itemsize:
            raise ModelFormatError(
                f"tensor {tensor.name!r} ({dtype}, shape {shape}) has {len(raw)} bytes"
            )
        if dtype.kind in "fiub":
            found = np.frombuffer(raw, dtype.newbyteorder("<"))
            return found.astype(dtype, copy=False).reshape(shape)
    try:
        array = numpy_helper.to_array(tensor)
    except (ValueError, TypeError) as error:
        raise ModelFormatError(f"tensor {tensor.name!r}: {error}") from None
    if array.shape != shape:
        raise ModelFormatError(f"tensor {tensor.name!r} is not of shape {shape}")
    return np.asarray(array)


def _attribute(attribute: AttributeProto) -> Any:
    kind = attribute.type
    if kind == AttributeProto.TENSOR:
        return array_of(attribute.t)
    if kind == AttributeProto.STRING:
        return attribute.s.decode("utf-8", "replace")
    if kind == AttributeProto.STRINGS:
        return [s.decode("utf-8", "replace") for s in attribute.strings]
    if kind in (AttributeProto.FLOAT, AttributeProto.INT):
        return helper.get_attribute_value(attribute)
    if kind in (AttributeProto.FLOATS, AttributeProto.INTS):
        return list(helper.get_attribute_value(attribute))
    return attribute  # graphs, sparse tensors, types: no operator here takes them


def _check_names(proto: NodeProto) -> None:
    """Protocol buffers hand out as bytes what is no UTF-8."""
    names = (proto.op_type, proto.domain, proto.name, *proto.input, *proto.output)
    for name in (*names, *(attribute.name for attribute in proto.attribute)):
        if not isinstance(name, str):
            raise ModelFormatError(f"a node has a name that is no UTF-8 text: {name!r}")


def _expand(
    protos: Sequence[NodeProto],
    opsets: Mapping[str, int],
    functions: Mapping[tuple[str, str], Any],
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
        attributes: dict[str, Any] = {}
        for attribute in proto.attribute:
            if not attribute.ref_attr_name:
                attributes[attribute.name] = _attribute(attribute)
            elif attribute.ref_attr_name in bound:
                attributes[attribute.name] = bound[attribute.ref_attr_name]
        domain = "" if proto.domain == "ai.onnx" else proto.domain
        function = functions.get((proto.domain, proto.op_type))
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
        defaults = {a.name: _attribute(a) for a in function.attribute_proto}
        nodes += _expand(
            function.node,
            {**opsets, **_opsets(function.opset_import)},
            functions,
            given,
            {**defaults, **attributes},
            inner,
            depth + 1,
        )
    return nodes
