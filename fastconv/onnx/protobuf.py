"""ONNX's messages, decoded from protocol buffers where they lie.

A message becomes an object with an attribute for each field that is listed here: None, "" or []
where the message does not say. Other fields are passed over. Weights are not copied: of raw data
only its place is noted.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from ..errors import ModelFormatError

#: Fields of each message (onnx.proto): number, then name, kind ("s" repeated), kinds being those of
#: scalars, "place" (of bytes: begin and end), "present", or the name of another message.
FIELDS: dict[str, dict[int, tuple[str, str]]] = {
    "Model": {7: ("graph", "Graph"), 8: ("opset_import", "Opset*"), 25: ("functions", "Function*")},
    "Opset": {1: ("domain", "text"), 2: ("version", "int")},
    "Graph": {
        1: ("node", "Node*"),
        5: ("initializer", "Tensor*"),
        11: ("input", "ValueInfo*"),
        12: ("output", "ValueInfo*"),
        15: ("sparse_initializer", "present"),
    },
    "Function": {
        1: ("name", "text"),
        4: ("input", "text*"),
        5: ("output", "text*"),
        7: ("node", "Node*"),
        9: ("opset_import", "Opset*"),
        10: ("domain", "text"),
        11: ("attribute_proto", "Attribute*"),
    },
    "Node": {
        1: ("input", "text*"),
        2: ("output", "text*"),
        3: ("name", "text"),
        4: ("op_type", "text"),
        5: ("attribute", "Attribute*"),
        7: ("domain", "text"),
    },
    "Attribute": {
        1: ("name", "text"),
        2: ("f", "float"),
        3: ("i", "int"),
        4: ("s", "bytes"),
        5: ("t", "Tensor"),
        7: ("floats", "float*"),
        8: ("ints", "int*"),
        9: ("strings", "bytes*"),
        20: ("type", "int"),
        21: ("ref_attr_name", "text"),
    },
    "Tensor": {
        1: ("dims", "int*"),
        2: ("data_type", "int"),
        4: ("float_data", "float*"),
        5: ("int32_data", "int*"),
        7: ("int64_data", "int*"),
        8: ("name", "text"),
        9: ("raw_data", "place"),
        10: ("double_data", "double*"),
        11: ("uint64_data", "uint*"),
        13: ("external_data", "Entry*"),
        14: ("data_location", "int"),
    },
    "Entry": {1: ("key", "text"), 2: ("value", "text")},
    "ValueInfo": {1: ("name", "text"), 2: ("type", "Type")},
    "Type": {
        1: ("tensor_type", "TensorType"),
        4: ("other", "present"),
        5: ("other", "present"),
        7: ("other", "present"),
        8: ("other", "present"),
        9: ("other", "present"),
    },
    "TensorType": {1: ("elem_type", "int"), 2: ("shape", "Shape")},
    "Shape": {1: ("dim", "Dimension*")},
    "Dimension": {1: ("dim_value", "int"), 2: ("dim_param", "text")},
}

_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_WIRE = {"int": _VARINT, "uint": _VARINT, "float": _FOUR, "double": _EIGHT}
_STRUCT = {"float": struct.Struct("<f"), "double": struct.Struct("<d")}
_EMPTY = {"text": "", "bytes": b""}

#: Fields as decoding wants them: name, kind, whether it is repeated, and how it is written.
_Fields = dict[int, tuple[str, str, bool, int]]
_FIELDS: dict[str, _Fields] = {
    message: {
        number: (name, kind.rstrip("*"), kind.endswith("*"), _WIRE.get(kind.rstrip("*"), _BYTES))
        for number, (name, kind) in fields.items()
    }
    for message, fields in FIELDS.items()
}
_UNKNOWN = "", "", False, -1


class Message:
    """One message; what it is, and where it lies, is for whoever decodes it.

    Examples
    --------
    >>> from fastconv.onnx.protobuf import Message
    >>> Message("Opset").domain
    ''
    """

    def __init__(self, kind: str) -> None:
        for name, of, repeated, _ in _FIELDS[kind].values():
            self.__dict__[name] = [] if repeated else _EMPTY.get(of)

    def __getattr__(self, name: str) -> Any:  # for type checkers: attributes are those of FIELDS
        raise AttributeError(name)


def decode(data: memoryview, kind: str = "Model") -> Message:
    """Decode one message.

    Raises
    ------
    ModelFormatError
        If the bytes are no such message.

    Examples
    --------
    >>> from fastconv.onnx.protobuf import decode
    >>> opset = decode(memoryview(bytes([0x0A, 2, 97, 105, 0x10, 13])), "Opset")
    >>> opset.domain, opset.version
    ('ai', 13)
    """
    message = Message(kind)
    try:
        _fill(message.__dict__, _FIELDS[kind], data, 0, len(data))
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise ModelFormatError(f"not an ONNX model: {error}") from None
    return message


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
        if shift > 63:
            raise ModelFormatError("not an ONNX model: a number of more than ten bytes")


def _fill(values: dict[str, Any], fields: _Fields, data: memoryview, at: int, end: int) -> None:
    """Decode the fields between two places into a message's attributes."""
    while at < end:
        key, at = _varint(data, at)
        wire, begin, number = key & 7, at, 0
        if wire == _VARINT:
            number, at = _varint(data, at)
        elif wire == _BYTES:
            length, begin = _varint(data, at)
            at = begin + length
        elif wire in (_EIGHT, _FOUR):
            at += 8 if wire == _EIGHT else 4
        else:
            raise ModelFormatError(f"not an ONNX model: a field of wire type {wire}")
        if at > end:
            raise ModelFormatError("not an ONNX model: a field is longer than what it is part of")
        name, kind, repeated, expected = fields.get(key >> 3, _UNKNOWN)
        old: Any = values.get(name)
        if wire == expected:
            value = _value(kind, data, begin, at, number, None if repeated else old)
            values[name] = _appended(old, value) if repeated else value
        elif repeated and wire == _BYTES:
            packed = _packed(data[begin:at], kind)
            values[name] = packed if not len(old) else np.append(old, packed)
        # else a field that is not listed, or not of its type: protocol buffers pass it over


def _appended(values: Any, value: Any) -> list[Any]:
    found: list[Any] = values if isinstance(values, list) else list(values)
    found.append(value)
    return found


def _value(kind: str, data: memoryview, begin: int, end: int, number: int, old: Any) -> Any:
    """Value of one field; a message that comes in parts is merged."""
    if kind in _FIELDS:
        message = Message(kind) if old is None else old
        _fill(message.__dict__, _FIELDS[kind], data, begin, end)
        return message
    if kind == "int":
        return number - (1 << 64) if number >> 63 else number
    if kind == "uint":
        return number
    if kind in _STRUCT:
        return _STRUCT[kind].unpack_from(data, begin)[0]
    if kind == "text":
        return str(data[begin:end], "utf-8")
    if kind == "bytes":
        return bytes(data[begin:end])
    return (begin, end) if kind == "place" else True


def _packed(data: memoryview, kind: str) -> Any:
    """Numbers one after another, as an array."""
    if kind in _STRUCT:
        dtype = np.dtype("<f4" if kind == "float" else "<f8")
        if len(data) % dtype.itemsize:
            raise ModelFormatError("not an ONNX model: half a number")
        return np.frombuffer(data, dtype).copy()
    raw = np.frombuffer(data, np.uint8)
    last = np.flatnonzero(raw < 128)  # the last byte of each number
    if len(raw) and (not len(last) or last[-1] != len(raw) - 1):
        raise ModelFormatError("not an ONNX model: half a number")
    first = np.concatenate([[0], last[:-1] + 1]).astype(np.int64)[: len(last)]
    place = np.arange(len(raw)) - np.repeat(first, last - first + 1)
    if len(raw) and place.max() > 9:
        raise ModelFormatError("not an ONNX model: a number of more than ten bytes")
    parts = (raw & 127).astype(np.uint64) << (7 * place).astype(np.uint64)
    numbers = np.bitwise_or.reduceat(parts, first) if len(last) else parts
    return numbers if kind == "uint" else numbers.view(np.int64)
