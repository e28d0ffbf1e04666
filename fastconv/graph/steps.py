"""Steps in waiting, and how they name parts of tensors to a native program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from .. import _native
from .slicing import of_batch
from .strips import Window
from .tensors import Tensor


@dataclass(eq=False)
class At:
    """Makes tensors' tuples for the native program.

    For all images or [first, first + count), for all rows of what is written or rows [begin, end).
    """

    #: Callers' slots are numbered from here.
    slot: int
    y: Tensor
    first: int = 0
    count: int | None = None
    rows: tuple[int, int] | None = None

    def part(self, size: Sequence[int]) -> tuple[int, ...]:
        """Sizes of the part of a tensor that has one for each image, and for each row."""
        part = tuple(size) if self.count is None else (self.count, *size[1:])
        return part if self.rows is None else (*part[:2], self.rows[1] - self.rows[0], *part[3:])

    def window(self, x: Image, window: Window) -> tuple[Any, int]:
        """Tuple of the rows that a step reads through a window, and the padding above them."""
        if self.rows is None:
            return x.at(self), window.pad
        begin, end = window.begin(self.rows[0]), window.end(self.rows[1], x.size[2])
        own = At(self.slot, self.y, self.first, self.count, (begin, end))
        at = own(x.tensor, own.part(x.size), x.stride, 0)
        return at, begin - (self.rows[0] * window.stride - window.pad)

    def __call__(
        self, tensor: Tensor, size: Sequence[int], stride: Sequence[int], offset: int
    ) -> Any:
        """Tuple of a view; of tensors that have a part for each image, of the first's part."""
        storage, itemsize = tensor.storage.root, tensor.dtype.itemsize
        slot = storage.slot if storage.slot >= 0 else self.slot - 1 - storage.slot
        if self.count is not None and of_batch(tensor, self.y) and storage.images == (1, 1):
            offset += self.first * tensor.strides[0]
        if self.rows is not None and len(tensor.shape) == 4 and tensor.shape[2] > 1:
            offset += (self.rows[0] - storage.row) * tensor.strides[2]
        start = storage.offset_bytes + (tensor.offset + offset) * itemsize
        return slot, tensor.dtype.num, start, tuple(size), tuple(s * itemsize for s in stride)


@dataclass(eq=False)
class Step:
    """A step in waiting; `alias` may share the memory of what it reads (in place)."""

    reads: list[Tensor]
    writes: list[Tensor]
    add: Callable[[_native.Program, At], None]
    label: str
    alias: tuple[Tensor, Tensor] | None = None
    detail: str = ""
    flops: int = 0
    #: Of a convolution: its key in the table of choices, and the algorithm that was asked for.
    choice: tuple[str, str] | None = None
    #: Whether it treats each image (along the first axis of what it writes) alone.
    by_image: bool = False
    #: If rows of what it writes are computed alike wherever they are: from which rows of what it
    #: reads first. Of other tensors with as many rows it reads the same ones.
    window: Window | None = None


class Image(NamedTuple):
    """A tensor as four axes: (N, C, H, W); one of (N, C, W) has one row, of (N, C) one pixel."""

    tensor: Tensor
    size: tuple[int, int, int, int]

    @property
    def stride(self) -> tuple[int, int, int, int]:
        """Strides now: they are final when steps are added."""
        s = self.tensor.strides
        height, width = [0, 0, *s[2:]][-2:]
        return s[0], s[1], height, width

    def at(self, at: At) -> Any:
        """The native tuple."""
        return at(self.tensor, at.part(self.size), self.stride, 0)


def image(t: Tensor) -> Image:
    """See an (N, C), (N, C, W) or (N, C, H, W) tensor as an image.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.builder import Builder
    >>> from fastconv.graph.constants import Constants
    >>> from fastconv.graph.steps import image
    >>> image(Builder(Constants()).new((2, 3, 9), np.float32)).size
    (2, 3, 1, 9)
    """
    n, c, *space = t.shape
    height, width = [1, 1, *space][-2:]
    return Image(t, (n, c, height, width))
