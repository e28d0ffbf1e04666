"""Constants of a model's plans: weights, packed once and shared by all plans that want them so.

A plan brings what no earlier plan has: one block of memory, which is one slot of its program. A
block lives as long as a plan that uses it.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import _native
from .deferred import Array, Constant
from .memory import ALIGNMENT
from .tensors import Storage


@dataclass(eq=False)
class Packed:
    """A constant: what makes it unique, its bytes, and how to write them.

    `write` takes the bytes to write and others, `scratch` of them, to work in.
    """

    key: Hashable
    count: int
    write: Callable[[Array, Array], None]
    scratch: int = 0
    users: list[Storage] = field(default_factory=list)
    block: Array | None = None
    offset: int = 0


def identity(array: Constant, name: str | None) -> str:
    """What tells a constant from others: its name, or else its contents.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.constants import identity
    >>> identity(np.ones(1), "weight"), identity(np.ones(1), None)[:8]
    ('weight', '#6c3c396')
    """
    if name is not None:
        return name
    from hashlib import sha256  # slow to import, and rarely needed

    return f"#{sha256(np.ascontiguousarray(array).data).hexdigest()}"


def _holds(block: Array, offset: int, count: int) -> bool:
    """Whether a place lies in a block: files may claim anything."""
    return 0 <= offset <= len(block) - count and offset % ALIGNMENT == 0


class Constants:
    """Blocks of the plans that are alive.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.constants import Constants
    >>> constants = Constants()
    >>> one = constants.raw(np.ones(3, np.float32), "weight")
    >>> (block,) = constants.place([one])
    >>> block[:12].view(np.float32)
    array([1., 1., 1.], dtype=float32)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: dict[str, tuple[weakref.ref[Any], int]] = {}
        self._kept: list[Array] = []

    def raw(self, array: Array, name: str | None) -> Packed:
        """Return an array as it is; one without a name is told apart by its contents."""
        key = ("raw", identity(array, name), array.dtype.str, array.shape)
        flat = array.reshape(-1).view(np.uint8)

        def write(target: Array, scratch: Array) -> None:
            target[:] = flat

        return Packed(key, array.nbytes, write)

    def place(self, wanted: Sequence[Packed]) -> list[Array]:
        """Give every constant its place -> the blocks that hold them."""
        with self._lock:
            total = 0
            fresh: list[Packed] = []
            places: dict[str, Packed] = {}
            used: dict[int, Array] = {}
            for packed in wanted:
                reference, offset = self._places.get(repr(packed.key), (None, 0))
                packed.block, packed.offset = reference() if reference else None, offset
                if packed.block is not None and not _holds(packed.block, offset, packed.count):
                    packed.block = None
                if packed.block is not None:
                    used[id(packed.block)] = packed.block
                elif repr(packed.key) not in places:
                    places[repr(packed.key)] = packed
                    packed.offset = total
                    total += -(-packed.count // ALIGNMENT) * ALIGNMENT
                    fresh.append(packed)
            if not fresh:
                return list(used.values())
            block = _native.empty_bytes(total)
            scratch = np.empty(max(packed.scratch for packed in fresh), np.uint8)
            for packed in fresh:
                packed.write(block[packed.offset : packed.offset + packed.count], scratch)
                self._places[repr(packed.key)] = weakref.ref(block), packed.offset
            block.flags.writeable = False
            for packed in wanted:
                if packed.block is None:
                    packed.block, packed.offset = block, places[repr(packed.key)].offset
            self._places = {k: v for k, v in self._places.items() if v[0]() is not None}
            return [*used.values(), block]

    def blocks(self) -> list[tuple[Array, dict[str, int]]]:
        """Blocks that are alive, each with the constants in it and their offsets."""
        with self._lock:
            found: dict[int, tuple[Array, dict[str, int]]] = {}
            for key, (reference, offset) in self._places.items():
                block = reference()
                if block is not None:
                    found.setdefault(id(block), (block, {}))[1][key] = offset
            return list(found.values())

    def keep(self, blocks: Sequence[tuple[Array, dict[str, int]]]) -> None:
        """Take blocks that another `Constants` made (a file has them)."""
        for block, places in blocks:
            self._kept.append(block)
            for key, offset in places.items():
                self._places[key] = weakref.ref(block), offset
