"""Normalizations by mean and variance of the data itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...errors import ShapeError
from ..builder import Builder
from ..evaluate import normalized_axes
from ..tensors import Known, Value
from .compute import binary, check_floating, reduce, unary
from .moving import with_shape


def _normalized(
    b: Builder, x: Value, axes: list[int], epsilon: float
) -> tuple[Value, Value, Value]:
    """Compute (x - mean) / sqrt(variance + epsilon) over axes -> it, the mean and the root."""
    over = Known(np.array(axes))
    mean = reduce(b, x, over, function="mean", keep=True)
    centred = binary(b, x, mean, function="sub")
    square = binary(b, centred, centred, function="mul")
    variance = reduce(b, square, over, function="mean", keep=True)
    small = Known(np.asarray(epsilon, x.dtype))
    spread = unary(b, binary(b, variance, small, function="add"), function="sqrt")
    return binary(b, centred, spread, function="div"), mean, spread


def _shaped(b: Builder, value: Value, shape: tuple[int, ...]) -> Value:
    if isinstance(value, Known):
        return Known(value.array.reshape(shape))
    return with_shape(b, value, shape)


def group_norm(
    b: Builder,
    x: Value,
    scale: Value,
    shift: Value,
    *,
    groups: int | None,
    epsilon: float,
    per_group: bool = False,
) -> Value:
    """Normalize groups of channels (each channel alone with None), then scale and shift."""
    check_floating(x, scale, shift)
    x = b.tensor(x)
    n, c = x.shape[:2]
    parts = c if groups is None else groups
    if parts < 1 or c % parts:
        raise ShapeError(f"{c} channels in {parts} groups")
    grouped = with_shape(b, x, (n, parts, x.size // max(n * parts, 1)))
    flat, _, _ = _normalized(b, grouped, [2], epsilon)
    if per_group:
        inner: tuple[int, ...] = (parts, 1)
    else:
        flat = with_shape(b, b.tensor(flat), (n, c, x.size // max(n * c, 1)))
        inner = (c, 1)
    scaled = binary(b, flat, _shaped(b, scale, inner), function="mul")
    moved = binary(b, scaled, _shaped(b, shift, inner), function="add")
    return with_shape(b, b.tensor(moved), x.shape)


def layer_norm(
    b: Builder,
    x: Value,
    scale: Value,
    shift: Value | None = None,
    *,
    axis: int,
    epsilon: float,
    statistics: bool = False,
) -> Any:
    """Normalize over all axes from one on, then scale and shift -> it, or (it, mean, 1/root)."""
    check_floating(x, scale, shift)
    rank = len(x.shape)
    first = normalized_axes([axis], rank)[0]
    y, mean, spread = _normalized(b, x, list(range(first, rank)), epsilon)
    y = binary(b, y, scale, function="mul")
    if shift is not None:
        y = binary(b, y, shift, function="add")
    return (y, mean, unary(b, spread, function="reciprocal")) if statistics else y


LOWER: dict[str, Callable[..., Any]] = {"group_norm": group_norm, "layer_norm": layer_norm}
