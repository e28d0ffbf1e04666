"""Operators that move elements and compute nothing: views where possible, else copies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from ...errors import ShapeError, UnsupportedOperatorError
from ..builder import Builder
from ..evaluate import (
    expanded,
    flattened,
    normalized_axes,
    reshaped,
    sizes,
    slices,
    split_sizes,
    squeezed,
    unsqueezed,
)
from ..tensors import (
    Known,
    Storage,
    Tensor,
    Value,
    broadcast_strides,
    contiguous,
    reshaped_strides,
)


def optional(value: Value | None) -> tuple[int, ...] | None:
    """Integers of an operand that is known, or None.

    Examples
    --------
    >>> from fastconv.graph.lower.moving import optional
    >>> optional(None) is None
    True
    """
    if value is None:
        return None
    assert isinstance(value, Known)
    return sizes(value.array)


def integers(value: Value) -> tuple[int, ...]:
    """Integers of an operand that is known.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.lower.moving import integers
    >>> from fastconv.graph.tensors import Known
    >>> integers(Known(np.array([1, 2])))
    (1, 2)
    """
    assert isinstance(value, Known)
    return sizes(value.array)


def with_shape(b: Builder, x: Tensor, shape: Sequence[int]) -> Tensor:
    """See a tensor in another shape, copied where its elements have to move.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.builder import Builder
    >>> from fastconv.graph.constants import Constants
    >>> from fastconv.graph.lower.moving import with_shape
    >>> b = Builder(Constants())
    >>> with_shape(b, b.new((2, 6), np.float32), (3, 4)).strides
    (4, 1)
    """
    shape = tuple(shape)
    if shape == x.shape:
        return x
    strides = reshaped_strides(x.shape, x.strides, shape)
    if strides is None and _shuffles_channels(x, shape):
        y = x.view(shape, (*x.strides[:2], *x.strides[3:]))
        y.shuffle = x.shape[2]
        return y
    if strides is None:
        x = b.compact(x)
        strides = contiguous(shape)
    return x.view(shape, strides)


def _shuffles_channels(x: Tensor, shape: Sequence[int]) -> bool:
    """Whether to see x, transposed groups of channels, as an image shuffles its channels."""
    if len(x.shape) != 5 or 0 in x.shape:
        return False
    n, each, groups, *space = x.shape
    return tuple(shape) == (n, each * groups, *space) and x.strides[2] == each * x.strides[1]


def identity(b: Builder, x: Value) -> Value:
    """Return what comes."""
    return x


def reshape(b: Builder, x: Tensor, shape: Value, *, allow_zero: bool = False) -> Value:
    """Reshape."""
    return with_shape(b, x, reshaped(x.shape, integers(shape), allow_zero=allow_zero))


def flatten(b: Builder, x: Tensor, *, axis: int) -> Value:
    """Flatten into a matrix."""
    return with_shape(b, x, flattened(x.shape, axis))


def squeeze(b: Builder, x: Tensor, axes: Value | None = None) -> Value:
    """Drop axes of size 1."""
    return with_shape(b, x, squeezed(x.shape, optional(axes)))


def unsqueeze(b: Builder, x: Tensor, axes: Value) -> Value:
    """Add axes of size 1."""
    return with_shape(b, x, unsqueezed(x.shape, integers(axes)))


def align(b: Builder, x: Tensor, like: Value, *, axis: int) -> Value:
    """Add axes of size 1 at the end, so that the first of x's meets this axis of the other."""
    rank = len(like.shape)
    missing = rank - normalized_axes([axis], rank)[0] - len(x.shape)
    return with_shape(b, x, (*x.shape, *(1,) * missing))


def transpose(b: Builder, x: Tensor, *, perm: Sequence[int] | None = None) -> Tensor:
    """Permute axes: a view."""
    order = tuple(range(len(x.shape)))[::-1] if perm is None else tuple(perm)
    if sorted(order) != list(range(len(x.shape))):
        raise ShapeError(f"{order} is no permutation of the {len(x.shape)} axes")
    if order == tuple(range(len(x.shape))):
        return x
    return x.view([x.shape[a] for a in order], [x.strides[a] for a in order])


def cut(x: Tensor, axis: int, start: int, count: int) -> Tensor:
    """See a part of an axis.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.builder import Builder
    >>> from fastconv.graph.constants import Constants
    >>> from fastconv.graph.lower.moving import cut
    >>> cut(Builder(Constants()).new((2, 6), np.float32), 1, 4, 2).offset
    4
    """
    shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
    return x.view(shape, x.strides, start * x.strides[axis])


def concat(b: Builder, *values: Value, axis: int) -> Value:
    """Join along an axis; parts that may be laid out anew are written there in the first place."""
    rank = len(values[0].shape)
    axis = normalized_axes([axis], rank)[0]
    first = values[0]
    for value in values:
        rest = [n for a, n in enumerate(value.shape) if a != axis]
        if rest != [n for a, n in enumerate(first.shape) if a != axis] or len(value.shape) != rank:
            raise ShapeError(f"shapes {', '.join(str(v.shape) for v in values)} along axis {axis}")
        if value.dtype != first.dtype:
            raise ShapeError(f"{value.dtype} beside {first.dtype}")
    total = sum(value.shape[axis] for value in values)
    shape = (*first.shape[:axis], total, *first.shape[axis + 1 :])
    tensors = [v for v in values if isinstance(v, Tensor)]
    like = max(tensors, key=lambda t: t.size, default=None)
    y = b.new(shape, first.dtype, like=like)
    y.storage.axis = axis
    start = 0
    for value in values:
        count = value.shape[axis]
        if count and not (isinstance(value, Tensor) and _adopt(value, y, axis, start)):
            part = Tensor(
                y.dtype, value.shape, y.strides, y.storage, start * y.strides[axis], start
            )
            y.storage.tensors.append(part)
            b.copy(b.tensor(value), part)
        start += count
    return y


def _adopt(x: Tensor, y: Tensor, axis: int, start: int) -> bool:
    """Let x and all that shares its storage live inside y from now on, if nothing forbids it."""
    storage = x.storage
    if (
        not storage.movable
        or storage.slot != 0
        or storage is y.storage
        or storage.axis not in (None, axis)
        or x.start != 0
        or x.shape[axis] != _extent(storage, axis)
        or len(x.shape) != len(y.shape)
    ):
        return False
    for tensor in storage.tensors:
        tensor.storage = y.storage
        tensor.start += start
        tensor.strides = y.strides
        tensor.offset = tensor.start * y.strides[axis]
        y.storage.tensors.append(tensor)
    storage.tensors = []
    return True


def _extent(storage: Storage, axis: int) -> int:
    return max(t.start + t.shape[axis] for t in storage.tensors)


def split(
    b: Builder, x: Tensor, parts: Value | None = None, *, axis: int, pieces: int, even: bool
) -> tuple[Value, ...]:
    """Cut an axis into parts: views."""
    axis = normalized_axes([axis], len(x.shape))[0]
    chosen = split_sizes(x.shape[axis], optional(parts), pieces, even=even)
    starts = [sum(chosen[:i]) for i in range(len(chosen))]
    return tuple(cut(x, axis, start, n) for start, n in zip(starts, chosen, strict=True))


def slice_(
    b: Builder,
    x: Tensor,
    starts: Value,
    ends: Value,
    axes: Value | None = None,
    steps: Value | None = None,
) -> Value:
    """Cut a slice: a view."""
    chosen = slices(x.shape, integers(starts), integers(ends), optional(axes), optional(steps))
    offset = sum(first * s for (first, _, count), s in zip(chosen, x.strides, strict=True) if count)
    strides = [step * s for (_, step, _), s in zip(chosen, x.strides, strict=True)]
    return x.view([count for _, _, count in chosen], strides, offset)


def expand(b: Builder, x: Tensor, shape: Value) -> Value:
    """Repeat along axes of size 1: a view."""
    target = expanded(x.shape, integers(shape))
    return x.view(target, broadcast_strides(x.shape, x.strides, target))


def tile(b: Builder, x: Tensor, repeats: Value) -> Value:
    """Repeat whole axes."""
    times = integers(repeats)
    if len(times) != len(x.shape) or min(times, default=0) < 0:
        raise ShapeError(f"repeats {times} for shape {x.shape}")
    y = b.own(
        tuple(n * t for n, t in zip(x.shape, times, strict=True)),
        x.dtype,
        contiguous([n * t for n, t in zip(x.shape, times, strict=True)]),
    )
    if y.size == 0:
        return y
    shape, x_strides, y_strides = [], [], []
    for n, t, s, d in zip(x.shape, times, x.strides, y.strides, strict=True):
        shape += [t, n]
        x_strides += [0, s]
        y_strides += [n * d, d]
    b.copy(x.view(shape, x_strides), y.view(shape, y_strides))
    return y


def gather(b: Builder, x: Tensor, indices: Value, *, axis: int = 0) -> Value:
    """Pick places of an axis: a view of one, else a copy for each run of evenly spaced places."""
    assert isinstance(indices, Known)
    axis = normalized_axes([axis], len(x.shape))[0]
    n = x.shape[axis]
    flat = [int(i) for i in indices.array.reshape(-1)]
    if any(not -n <= i < n for i in flat):
        raise ShapeError(f"an index is outside an axis of size {n}")
    flat = [i % n for i in flat]
    shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
    runs = _even_runs(flat)
    if len(runs) > 1024:
        raise UnsupportedOperatorError(f"Gather of {len(flat)} scattered places")
    if len(runs) == 1:
        picked = _every(x, axis, *runs[0])
        return with_shape(b, picked, shape)
    y = b.own(shape, x.dtype, contiguous(shape))
    inner = prod(x.shape[axis + 1 :])
    whole = y.view(
        (*x.shape[:axis], len(flat), *x.shape[axis + 1 :]),
        contiguous((*x.shape[:axis], len(flat), *x.shape[axis + 1 :])),
    )
    if prod(x.shape[:axis]) * inner == 0:
        return y
    start = 0
    for run in runs:
        b.copy(_every(x, axis, *run), cut(whole, axis, start, run[2]))
        start += run[2]
    return y


def _every(x: Tensor, axis: int, first: int, step: int, count: int) -> Tensor:
    shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
    strides = (*x.strides[:axis], step * x.strides[axis], *x.strides[axis + 1 :])
    return x.view(shape, strides, first * x.strides[axis])


def _even_runs(places: list[int]) -> list[tuple[int, int, int]]:
    """(first, step, count) of runs of evenly spaced places."""
    runs: list[tuple[int, int, int]] = []
    i = 0
    while i < len(places):
        step = places[i + 1] - places[i] if i + 1 < len(places) else 0
        j = i + 1
        while j < len(places) and places[j] - places[j - 1] == step:
            j += 1
        runs.append((places[i], step, j - i))
        i = j
    return runs


def _image_shape(x: Tensor) -> tuple[int, int, int, int]:
    if len(x.shape) != 4:
        raise ShapeError(f"expected (N, C, H, W), got shape {x.shape}")
    n, c, h, w = x.shape
    return n, c, h, w


def depth_to_space(b: Builder, x: Tensor, *, block: int, column_first: bool) -> Value:
    """Rearrange channels into blocks of pixels."""
    n, c, h, w = _image_shape(x)
    if c % (block * block):
        raise ShapeError(f"{c} channels for blocks of {block}")
    deep = c // (block * block)
    if column_first:
        split_, order = (n, deep, block, block, h, w), (0, 1, 4, 2, 5, 3)
    else:
        split_, order = (n, block, block, deep, h, w), (0, 3, 4, 1, 5, 2)
    moved = transpose(b, with_shape(b, x, split_), perm=order)
    return with_shape(b, b.compact(moved), (n, deep, h * block, w * block))


def space_to_depth(b: Builder, x: Tensor, *, block: int, column_first: bool) -> Value:
    """Rearrange blocks of pixels into channels."""
    n, c, h, w = _image_shape(x)
    if h % block or w % block:
        raise ShapeError(f"an image of {h}x{w} for blocks of {block}")
    cells = with_shape(b, x, (n, c, h // block, block, w // block, block))
    order = (0, 1, 3, 5, 2, 4) if column_first else (0, 3, 5, 1, 2, 4)
    moved = transpose(b, cells, perm=order)
    return with_shape(b, b.compact(moved), (n, c * block * block, h // block, w // block))


def cast(b: Builder, x: Value, *, dtype: np.dtype[Any]) -> Value:
    """Convert to another dtype."""
    x = b.tensor(x)
    if x.dtype == dtype:
        return x
    y = b.new(x.shape, dtype, like=x)
    b.copy(x, y)
    return y


def shape_of(b: Builder, x: Value, *, start: int = 0, end: int | None = None) -> Value:
    """Shape of x, or a part of it."""
    return Known(np.array(x.shape, np.int64)[slice(start, end)])


def size_of(b: Builder, x: Value) -> Value:
    """Number of x's elements."""
    return Known(np.array(prod(x.shape), np.int64))


LOWER: dict[str, Callable[..., Any]] = {
    "identity": identity,
    "reshape": reshape,
    "flatten": flatten,
    "squeeze": squeeze,
    "unsqueeze": unsqueeze,
    "align": align,
    "transpose": transpose,
    "concat": concat,
    "split": split,
    "slice": slice_,
    "expand": expand,
    "tile": tile,
    "gather": gather,
    "depth_to_space": depth_to_space,
    "space_to_depth": space_to_depth,
    "shape": shape_of,
    "size": size_of,
}
