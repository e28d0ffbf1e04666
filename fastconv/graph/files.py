"""Graphs in files of fastconv's own: a line that says so, a description, then the arrays.

The description is JSON; arrays begin at multiples of 64 bytes. Packed constants are mapped, weights
are read when somebody wants them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from math import prod
from mmap import ACCESS_READ, mmap
from typing import Any
from zlib import crc32

import numpy as np

from .. import _native
from ..errors import ModelFormatError
from .deferred import Array, Constant, FileSource, stored
from .ir import Graph, Node, Port
from .tuning import check_choices

MAGIC = b"fastconv network 1\n"
_ALIGNMENT = 64


def is_saved(path: str | os.PathLike[str]) -> bool:
    """Whether a file is one of these.

    Examples
    --------
    >>> from fastconv.graph.files import is_saved
    >>> import fastconv
    >>> is_saved(fastconv.__file__)
    False
    """
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


class _Writer:
    """Places of arrays behind the description."""

    def __init__(self) -> None:
        self.arrays: list[Constant] = []
        self.size = 0

    def add(self, array: Constant) -> dict[str, Any]:
        entry = {"dtype": array.dtype.str, "shape": array.shape, "at": self.size}
        self.arrays.append(array)
        self.size += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
        return entry

    def encoded(self, value: Any) -> Any:
        """An attribute as JSON can say it."""
        if isinstance(value, np.ndarray):
            return {"array": self.add(value)}
        if isinstance(value, np.dtype):
            return {"dtype": value.str}
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, list | tuple):
            return [self.encoded(v) for v in value]
        return value


def _port(port: Port) -> dict[str, Any]:
    return {"name": port.name, "shape": port.shape, "dtype": port.dtype.str}


def build_id() -> str:
    """What identifies this build of fastconv: packed weights are for no other.

    Examples
    --------
    >>> from fastconv.graph.files import build_id
    >>> build_id().count(" ")
    1
    """
    with open(_native.__file__, "rb") as file:
        contents = file.read()
    return f"{len(contents)} {crc32(contents):08x}"


def save(
    graph: Graph,
    path: str | os.PathLike[str],
    packed: Sequence[tuple[Array, dict[str, int]]] = (),
) -> None:
    """Write a graph, and packed constants; the file appears when it is complete.

    Examples
    --------
    >>> import tempfile, os
    >>> from fastconv.graph.files import is_saved, save
    >>> from fastconv.graph.ir import Graph
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(Graph(), os.path.join(folder, "net.fastconv"))
    ...     is_saved(os.path.join(folder, "net.fastconv"))
    True
    """
    writer = _Writer()
    description = {
        "inputs": [_port(port) for port in graph.inputs],
        "outputs": [[_port(port), name] for port, name in graph.outputs],
        "nodes": [
            {
                "op": node.op,
                "inputs": node.inputs,
                "outputs": node.outputs,
                "attributes": {k: writer.encoded(v) for k, v in node.attributes.items()},
                "label": node.label,
            }
            for node in graph
        ],
        "constants": {name: writer.add(array) for name, array in graph.constants.items()},
        "choices": graph.choices,
        "build": build_id() if packed else "",
        "packed": [[writer.add(block), places] for block, places in packed],
    }
    text = json.dumps(description).encode()
    part = f"{os.fspath(path)}.part"
    with open(part, "wb") as file:
        file.write(MAGIC + len(text).to_bytes(8, "little") + text)
        for array in writer.arrays:
            file.write(b"\0" * (-file.tell() % _ALIGNMENT))
            file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    os.replace(part, path)


class _Reader:
    """Arrays behind the description."""

    def __init__(self, source: FileSource, whole: Array, begin: int) -> None:
        self._source, self._whole, self._begin = source, whole, begin

    def _place(self, entry: Any) -> tuple[int, np.dtype[Any], tuple[int, ...]]:
        dtype, shape = np.dtype(entry["dtype"]), tuple(int(n) for n in entry["shape"])
        start = self._begin + int(entry["at"])
        end = start + prod(shape) * dtype.itemsize
        outside = start < self._begin or min(shape, default=0) < 0 or end > len(self._whole)
        if dtype.hasobject or outside or len(shape) > 32:
            raise ModelFormatError(f"an array of shape {shape} at {start} lies outside the file")
        return start, dtype, shape

    def array(self, entry: Any) -> Constant:
        """An array; a large one is read when it is needed."""
        return stored(self._source, *self._place(entry))

    def mapped(self, entry: Any) -> Array:
        """An array of bytes as it lies in the file."""
        start, dtype, shape = self._place(entry)
        if dtype != np.uint8 or len(shape) != 1:
            raise ModelFormatError(f"packed constants of {dtype} and shape {shape}")
        return self._whole[start : start + shape[0]]

    def decoded(self, value: Any) -> Any:
        """An attribute."""
        if isinstance(value, dict):
            if "array" in value:
                return np.asarray(self.array(value["array"]))
            return np.dtype(value["dtype"])
        if isinstance(value, list):
            return [self.decoded(v) for v in value]
        return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ModelFormatError(f"{value!r:.40} is no name")
    return value


def _texts(values: Any) -> list[str]:
    return [_text(value) for value in values]


def _places(offsets: Any) -> dict[str, int]:
    if not all(type(offset) is int for offset in offsets.values()):
        raise ModelFormatError("packed constants begin where no number says")
    return dict(offsets)


def _read_port(entry: Any) -> Port:
    shape = entry["shape"]
    for size in shape or ():
        if not (size is None or isinstance(size, str) or (type(size) is int and size >= 0)):
            raise ModelFormatError(f"{size!r:.40} is no size")
    dtype = np.dtype(_text(entry["dtype"]))
    return Port(_text(entry["name"]), None if shape is None else tuple(shape), dtype)


def load(path: str | os.PathLike[str]) -> tuple[Graph, list[tuple[Array, dict[str, int]]]]:
    """Map a graph that `save` wrote, and the packed constants if they are of this build.

    Raises
    ------
    ModelFormatError
        If the file is broken.

    Examples
    --------
    >>> import tempfile, os
    >>> from fastconv.graph.files import load, save
    >>> from fastconv.graph.ir import Graph, Node
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(Graph(nodes=[Node("size", ["x"], ["y"])]), os.path.join(folder, "net"))
    ...     load(os.path.join(folder, "net"))[0].nodes[0].op
    'size'
    """
    try:
        source = FileSource(path)
        whole = np.frombuffer(mmap(source.descriptor, 0, access=ACCESS_READ), np.uint8)
        begin = len(MAGIC) + 8
        length = int.from_bytes(whole[len(MAGIC) : begin].tobytes(), "little")
        if whole[: len(MAGIC)].tobytes() != MAGIC or begin + length > len(whole):
            raise ModelFormatError(f"{os.fspath(path)!r} is no network that fastconv saved")
        said = json.loads(whole[begin : begin + length].tobytes())
        reader = _Reader(source, whole, -(-(begin + length) // _ALIGNMENT) * _ALIGNMENT)
        nodes = [
            Node(
                _text(n["op"]),
                _texts(n["inputs"]),
                _texts(n["outputs"]),
                {k: reader.decoded(v) for k, v in n["attributes"].items()},
                _text(n["label"]),
            )
            for n in said["nodes"]
        ]
        packed = []
        if said["packed"] and said["build"] == build_id():
            packed = [(reader.mapped(entry), _places(at)) for entry, at in said["packed"]]
        graph = Graph(
            [_read_port(p) for p in said["inputs"]],
            [(_read_port(p), _text(name)) for p, name in said["outputs"]],
            nodes,
            {name: reader.array(entry) for name, entry in said["constants"].items()},
            check_choices(said.get("choices", {})),
        )
        return graph, packed
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        if isinstance(error, ModelFormatError):
            raise
        raise ModelFormatError(f"{os.fspath(path)!r} is broken: {error!r}") from None
