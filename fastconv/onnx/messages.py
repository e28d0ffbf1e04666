"""ONNX files, parsed by the onnx package; large weights stay where they lie."""

from __future__ import annotations

import importlib.util
import os
import sys
from types import ModuleType
from typing import Any

from ..errors import ModelFormatError
from ..graph.deferred import SMALL

#: Fields (onnx.proto) on the way to a tensor's raw data: what they hold.
WAY: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor"},
    "tensor": {9: "weights"},
}


def onnx_messages() -> ModuleType:
    """Return the module of the onnx package that has its messages, and nothing besides.

    Importing the package itself would bring its checker and helpers, too, which take 0.1 s.

    Raises
    ------
    ImportError
        If the onnx package is not installed.

    Examples
    --------
    >>> from fastconv.onnx.messages import onnx_messages
    >>> onnx_messages().TensorProto(dims=[2, 3]).dims
    [2, 3]
    """
    name = "onnx.onnx_ml_pb2"
    if name in sys.modules:
        return sys.modules[name]
    package = importlib.util.find_spec("onnx")
    for folder in (package and package.submodule_search_locations) or ():
        spec = importlib.util.spec_from_file_location(name, os.path.join(folder, "onnx_ml_pb2.py"))
        if spec is None or spec.loader is None or not os.path.isfile(spec.origin or ""):
            continue
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return sys.modules.setdefault(name, module)
    raise ImportError("reading ONNX files needs the onnx package: pip install fastconv[onnx]")


def parse(data: memoryview) -> Any:
    """Parse a model -> its `ModelProto`, where large raw data has become external data.

    The location of that is "": the model's own bytes.

    Raises
    ------
    ModelFormatError
        If the bytes are no such message.
    ImportError
        If the onnx package is not installed.

    Examples
    --------
    >>> from onnx import GraphProto, ModelProto, TensorProto
    >>> from fastconv.onnx.messages import parse
    >>> weights = TensorProto(name="w", raw_data=bytes(100_000))
    >>> content = ModelProto(graph=GraphProto(initializer=[weights])).SerializeToString()
    >>> [entry.value for entry in parse(content).graph.initializer[0].external_data]
    ['', '15', '100000']
    """
    messages = onnx_messages()
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    data = memoryview(data)
    try:
        content = b"".join(_without_weights(messages, data, "model", 0, len(data)))
    except (IndexError, ValueError):
        content = bytes(data)  # broken: the package says how
    try:
        return messages.ModelProto.FromString(content)
    except (DecodeError, ValueError) as error:
        raise ModelFormatError(f"not an ONNX model: {error}") from None


def _without_weights(
    messages: Any, data: memoryview, kind: str, begin: int, end: int
) -> list[bytes | memoryview]:
    """Pieces of a message that are to be joined."""
    pieces: list[bytes | memoryview] = []
    at = kept = begin
    while at < end:
        start = at
        key, at = _varint(data, at)
        inside = length = 0
        if key & 7 == 0:
            _, at = _varint(data, at)
        elif key & 7 == 2:
            length, inside = _varint(data, at)
            at = inside + length
        elif key & 7 in (1, 5):
            at += 8 if key & 7 == 1 else 4
        else:
            raise ValueError("no wire type of messages")
        if at > end:
            raise IndexError
        part = WAY[kind].get(key >> 3)
        if length < SMALL or part is None:
            continue
        if part == "weights":
            told = {"location": "", "offset": str(inside), "length": str(length)}
            inner = messages.TensorProto(
                data_location=1,
                external_data=[{"key": key, "value": value} for key, value in told.items()],
            ).SerializeToString()
            pieces += [data[kept:start], inner]
        else:
            inner = b"".join(_without_weights(messages, data, part, inside, at))
            pieces += [data[kept:start], _number(key), _number(len(inner)), inner]
        kept = at
    return [*pieces, data[kept:end]]


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise ValueError("a number of more than ten bytes")


def _number(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])
