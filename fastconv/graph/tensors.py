"""Values while a plan is made: arrays that are known, and tensors that will exist at run time.

Strides and offsets count elements here; bytes appear where tensors are handed to a program.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from .deferred import Constant, Deferred
from .ir import Array

Shape = tuple[int, ...]
Strides = tuple[int, ...]


@dataclass(eq=False)
class Known:
    """A value that is known while planning; `name` if it is a constant of the graph."""

    constant: Constant
    name: str | None = None

    @property
    def array(self) -> Array:
        """Its elements, which may have to be read or computed first."""
        return np.asarray(self.constant)

    @property
    def scratch(self) -> int:
        """Bytes that `array_in` needs."""
        return self.constant.nbytes if isinstance(self.constant, Deferred) else 0

    def array_in(self, scratch: Array) -> Array:
        """The elements, made in this memory if they are not there."""
        found = self.constant
        return found.into(scratch) if isinstance(found, Deferred) else found

    @property
    def shape(self) -> Shape:
        """Sizes of the axes."""
        return tuple(self.constant.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements."""
        return self.constant.dtype


@dataclass(eq=False)
class Storage:
    """Memory that tensors share: of the arena (slot 0), or a slot of its own.

    `movable`: the tensors in it are parts of one whole along `axis` and have its strides, so that
    all of them can be laid out anew at once.
    """

    elements: int
    slot: int = 0
    movable: bool = True
    axis: int | None = None
    tensors: list[Tensor] = field(default_factory=list)
    first: int = -1  # the step that writes it first; -1: before all steps
    last: int = -1  # the step that uses it last
    offset_bytes: int = 0
    merged: Storage | None = None  # another that stands for this one
    images: tuple[int, int] = (1, 1)  # of a batch of so many, it holds so many at a time
    rows: tuple[int, int] = (1, 1)  # of so many rows, it holds so many at a time,
    row: int = 0  # from this one on

    @property
    def held(self) -> int:
        """Elements that it has room for."""
        (batch, images), (height, rows) = self.images, self.rows
        return self.elements // batch * images // height * rows

    @property
    def root(self) -> Storage:
        """The storage that stands for this one."""
        return self if self.merged is None else self.merged.root


@dataclass(eq=False)
class Tensor:
    """A strided view of a storage.

    `shuffle`: channel c is number c % shuffle * (C / shuffle) + c // shuffle by the strides, a
    channel shuffle that is yet to be carried out. `Builder.ordered` does, where nobody else will.
    """

    dtype: np.dtype[Any]
    shape: Shape
    strides: Strides
    storage: Storage
    offset: int = 0
    start: int = 0  # where it begins along its storage's axis
    shuffle: int = 1

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    def view(self, shape: Sequence[int], strides: Sequence[int], offset: int = 0) -> Tensor:
        """Another view of the same memory; from now on that keeps its layout."""
        self.storage.movable = False
        return Tensor(self.dtype, tuple(shape), tuple(strides), self.storage, self.offset + offset)


Value = Known | Tensor


def contiguous(shape: Sequence[int]) -> Strides:
    """Strides of a C-contiguous array.

    Examples
    --------
    >>> from fastconv.graph.tensors import contiguous
    >>> contiguous((2, 3, 4))
    (12, 4, 1)
    """
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


def channels_last(shape: Sequence[int]) -> Strides:
    """Strides of an (N, C, ...) array whose channels are innermost in memory.

    Examples
    --------
    >>> from fastconv.graph.tensors import channels_last
    >>> channels_last((1, 3, 4, 5))
    (60, 1, 15, 3)
    """
    n, c, *space = shape
    inner = contiguous((n, *space, c))
    return (inner[0], inner[-1], *inner[1:-1])


def in_order_of(strides: Strides, shape: Sequence[int]) -> Strides:
    """Contiguous strides for `shape` with axes nested as `strides` nests them.

    Examples
    --------
    >>> from fastconv.graph.tensors import in_order_of
    >>> in_order_of((60, 1, 15, 3), (1, 7, 4, 5))
    (140, 1, 35, 7)
    """
    order = sorted(range(len(shape)), key=lambda a: (-abs(strides[a]), a))
    inner = contiguous([shape[a] for a in order])
    result = [0] * len(shape)
    for place, axis in enumerate(order):
        result[axis] = inner[place]
    return tuple(result)


def broadcast_strides(shape: Shape, strides: Strides, target: Shape) -> Strides:
    """Strides that repeat an array over a larger shape.

    Examples
    --------
    >>> from fastconv.graph.tensors import broadcast_strides
    >>> broadcast_strides((3, 1), (1, 1), (2, 3, 4))
    (0, 1, 0)
    """
    missing = len(target) - len(shape)
    kept = [
        0 if n == 1 and t != 1 else s
        for n, s, t in zip(shape, strides, target[missing:], strict=True)
    ]
    return (0,) * missing + tuple(kept)


def reshaped_strides(shape: Shape, strides: Strides, new: Shape) -> Strides | None:
    """Strides of a reshaped view; None where elements would have to move.

    Examples
    --------
    >>> from fastconv.graph.tensors import reshaped_strides
    >>> reshaped_strides((2, 3, 4), (12, 4, 1), (6, 2, 2))
    (4, 2, 1)
    >>> reshaped_strides((2, 3, 4), (12, 1, 3), (2, 12)) is None
    True
    """
    if 0 in new:
        return contiguous(new)
    old = [(n, s) for n, s in zip(shape, strides, strict=True) if n != 1]
    result: list[int] = []
    i = j = 0
    targets = list(new)
    while j < len(targets):
        if targets[j] == 1:
            result.append(0)
            j += 1
            continue
        if i == len(old):
            return None
        i_end, j_end = i + 1, j + 1
        left, right = old[i][0], targets[j]
        while left != right:
            if left < right:
                if i_end == len(old):
                    return None
                left *= old[i_end][0]
                i_end += 1
            else:
                right *= targets[j_end]
                j_end += 1
        for a in range(i, i_end - 1):
            if old[a][1] != old[a + 1][0] * old[a + 1][1]:
                return None
        step, group = old[i_end - 1][1], []
        for size in reversed(targets[j:j_end]):
            group.append(step)
            step *= size
        result.extend(reversed(group))
        i, j = i_end, j_end
    return tuple(result)


def blocks(
    shape: Shape, strides: Sequence[Strides]
) -> Iterator[tuple[Shape, list[Strides], list[int]]]:
    """Views of four axes that cover arrays of one shape: (sizes, strides of each, offsets of each).

    Axes are nested as the first array nests them and merged where all step through them evenly;
    where more than four remain, the outermost are walked here.

    Examples
    --------
    >>> from fastconv.graph.tensors import blocks
    >>> list(blocks((2, 3, 4), [(12, 4, 1), (0, 1, 0)]))
    [((1, 2, 3, 4), [(0, 12, 4, 1), (0, 0, 1, 0)], [0, 0])]
    """
    if 0 in shape:
        return
    order = sorted(
        (a for a in range(len(shape)) if shape[a] != 1), key=lambda a: (-abs(strides[0][a]), a)
    )
    sizes: list[int] = []
    steps: list[list[int]] = [[] for _ in strides]
    for axis in order:
        now = [s[axis] for s in strides]
        if sizes and all(step[-1] == s * shape[axis] for step, s in zip(steps, now, strict=True)):
            sizes[-1] *= shape[axis]
            for step, s in zip(steps, now, strict=True):
                step[-1] = s
        else:
            sizes.append(shape[axis])
            for step, s in zip(steps, now, strict=True):
                step.append(s)
    missing, outer = max(0, 4 - len(sizes)), max(0, len(sizes) - 4)
    inner_sizes = (1,) * missing + tuple(sizes[outer:])
    # a single element: any stride will do, and 1 is the fast one
    alone = [1 if not sizes else 0] * len(strides)
    inner = [
        (0,) * (missing - (not sizes)) + (one,) * (not sizes) + tuple(step[outer:])
        for one, step in zip(alone, steps, strict=True)
    ]
    for place in np.ndindex(*sizes[:outer]):
        yield (
            inner_sizes,
            inner,
            [sum(i * s for i, s in zip(place, step[:outer], strict=True)) for step in steps],
        )
