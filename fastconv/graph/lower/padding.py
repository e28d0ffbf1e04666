"""Padding in every mode: fills and copies, the result being the source of its own borders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...errors import ShapeError, UnsupportedOperatorError
from ..builder import Builder
from ..evaluate import normalized_axes
from ..tensors import Known, Tensor, Value
from .moving import cut, integers, optional


def pad(
    b: Builder,
    x: Tensor,
    pads: Value,
    value: Value | None = None,
    axes: Value | None = None,
    *,
    mode: str,
) -> Value:
    """Pad, or cut where paddings are negative: one axis after the other, from the result itself."""
    amounts = integers(pads)
    named = optional(axes)
    order = normalized_axes(range(len(x.shape)) if named is None else named, len(x.shape))
    if len(amounts) != 2 * len(order):
        raise ShapeError(f"{len(amounts)} paddings for {len(order)} axes")
    for place, axis in enumerate(order):
        low, high = amounts[place], amounts[place + len(order)]
        x = cut(x, axis, max(0, -low), max(0, x.shape[axis] - max(0, -low) - max(0, -high)))
    before = {a: max(0, amounts[i]) for i, a in enumerate(order)}
    after = {a: max(0, amounts[i + len(order)]) for i, a in enumerate(order)}
    if not any((*before.values(), *after.values())):
        return x
    shape = [n + before.get(a, 0) + after.get(a, 0) for a, n in enumerate(x.shape)]
    y = b.new(shape, x.dtype, like=x)
    inner = y.view(y.shape, y.strides)
    for a in order:
        inner = cut(inner, a, before[a], x.shape[a])
    if mode == "constant":
        number = 0 if value is None else float(np.asarray(_known(value)).reshape(-1)[0])
        b.fill(y, number)
        b.copy(x, inner)
        return y
    b.copy(x, inner)
    done = inner
    for a in order:
        done = _pad_axis(b, y, done, a, before[a], after[a], mode)
    return y


def _known(value: Value) -> Any:
    assert isinstance(value, Known)
    return value.array


def _pad_axis(
    b: Builder, y: Tensor, done: Tensor, axis: int, before: int, after: int, mode: str
) -> Tensor:
    """Extend the part of y that is done along one axis; sources lie in that part."""
    n, s = done.shape[axis], done.strides[axis]
    if n == 0 and before + after:
        raise ShapeError(f"an empty axis cannot be padded by mode {mode}")
    start = done.offset - before * s

    def region(first: int, count: int, step: int = 1) -> Tensor:
        """`count` places of the axis from `first` on, counted from the done part's beginning."""
        shape = (*done.shape[:axis], count, *done.shape[axis + 1 :])
        strides = (*done.strides[:axis], step * s, *done.strides[axis + 1 :])
        return Tensor(y.dtype, shape, strides, y.storage, done.offset + first * s)

    if mode == "edge":
        if before:
            b.copy(region(0, before, 0), region(-before, before))
        if after:
            b.copy(region(n - 1, after, 0), region(n, after))
    elif mode == "reflect":
        if (max(before, after) >= max(n, 2) and n > 1) or (n == 1 and before + after):
            raise UnsupportedOperatorError("reflection beyond the opposite edge")
        if before:
            b.copy(region(before, before, -1), region(-before, before))
        if after:
            b.copy(region(n - 2, after, -1), region(n, after))
    else:  # wrap
        if max(before, after) > n:
            raise UnsupportedOperatorError("wrapping around more than once")
        if before:
            b.copy(region(n - before, before), region(-before, before))
        if after:
            b.copy(region(0, after), region(n, after))
    shape = (*done.shape[:axis], n + before + after, *done.shape[axis + 1 :])
    return Tensor(y.dtype, shape, done.strides, y.storage, start)


LOWER: dict[str, Callable[..., Any]] = {"pad": pad}
