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
from .ir import Array
from .memory import ALIGNMENT
from .tensors import Storage


@dataclass(eq=False)
class Packed:
    """A constant: what makes it unique, its bytes, and how to write them."""

    key: Hashable
    count: int
    write: Callable[[Array], None]
    users: list[Storage] = field(default_factory=list)
    block: Array | None = None
    offset: int = 0


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
        self._places: dict[Hashable, tuple[weakref.ref[Any], int]] = {}

    def raw(self, array: Array, name: str | None) -> Packed:
        """Return an array as it is; one without a name is told apart by its contents."""
        identity = name if name is not None else array.tobytes()
        key = ("raw", identity, array.dtype.str, array.shape)
        flat = array.reshape(-1).view(np.uint8)

        def write(target: Array) -> None:
            target[:] = flat

        return Packed(key, array.nbytes, write)

    def place(self, wanted: Sequence[Packed]) -> list[Array]:
        """Give every constant its place -> the blocks that hold them."""
        with self._lock:
            total = 0
            fresh: list[Packed] = []
            places: dict[Hashable, Packed] = {}
            used: dict[int, Array] = {}
            for packed in wanted:
                reference, offset = self._places.get(packed.key, (None, 0))
                packed.block, packed.offset = reference() if reference else None, offset
                if packed.block is not None:
                    used[id(packed.block)] = packed.block
                elif packed.key not in places:
                    places[packed.key] = packed
                    packed.offset = total
                    total += -(-packed.count // ALIGNMENT) * ALIGNMENT
                    fresh.append(packed)
            if not fresh:
                return list(used.values())
            block = _native.empty_bytes(total)
            for packed in fresh:
                packed.write(block[packed.offset : packed.offset + packed.count])
                self._places[packed.key] = weakref.ref(block), packed.offset
            block.flags.writeable = False
            for packed in wanted:
                if packed.block is None:
                    packed.block, packed.offset = block, places[packed.key].offset
            self._places = {k: v for k, v in self._places.items() if v[0]() is not None}
            return [*used.values(), block]
