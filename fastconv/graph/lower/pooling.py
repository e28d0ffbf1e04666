"""Pooling over one to three axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from ... import _native
from ..._views import check_range
from ...errors import ShapeError, UnsupportedOperatorError
from ..builder import Builder, shape_text
from ..steps import At, Image, image
from ..tensors import Known, Tensor, Value, channels_last, contiguous
from .compute import binary, check_floating, reduce, unary
from .images import two_axes, window_outputs, window_pads
from .moving import cast, integers


def pool(
    b: Builder,
    x: Value,
    *,
    kind: str,
    kernel: Sequence[int],
    strides: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | str | None = None,
    ceil_mode: bool = False,
    count_include_pad: bool = False,
    divisor: int = 0,
    indices: bool = False,
    column_major: bool = False,
) -> Any:
    """Pool (N, C, W), (N, C, H, W) or (N, C, D, H, W): kind "max" or "average"."""
    x = b.tensor(x)
    axes = len(x.shape) - 2
    if axes not in (1, 2, 3) or (indices and axes == 3):
        what = "indices of maxima" if indices else "pooling"
        raise UnsupportedOperatorError(f"{what} over {axes} axes (1 to 3 are supported)")
    size = x.shape[2:]
    if len(kernel) != axes:
        raise ShapeError(f"a window of {len(kernel)} axes for input {shape_text(x.shape)}")
    steps, spread = tuple(strides or (1,) * axes), tuple(dilations or (1,) * axes)
    padding = window_pads(size, kernel, steps, spread, pads or (0,) * (2 * axes))
    outputs = window_outputs(size, kernel, steps, spread, padding, ceil_mode=ceil_mode)
    check_range(input=size, strides=steps, dilations=spread, pads=padding, output=outputs)
    counting: dict[str, Any] = {
        "average": kind == "average",
        "count_include_pad": count_include_pad,
        "divisor_override": divisor,
    }
    if axes == 3:
        return _pool_volume(b, x, (kernel, steps, spread, padding, outputs), counting)
    y = b.new((*x.shape[:2], *outputs), x.dtype, like=x)
    places = b.own(y.shape, np.int64, contiguous(y.shape)) if indices else None
    before = two_axes([p[0] for p in padding], 0)
    after = two_axes([p[1] for p in padding], 0)
    geometry: dict[str, Any] = {
        "kernel": two_axes(kernel, 1),
        "stride": two_axes(steps, 1),
        "pad": (*before, *after),
        "dilation": two_axes(spread, 1),
        **counting,
    }
    source, target = image(x), image(y)
    where = None if places is None else image(places)

    def add(program: _native.Program, at: At) -> None:
        program.add_pool2d(
            source.at(at), target.at(at), None if where is None else where.at(at), **geometry
        )

    b.step([x], [y] if places is None else [y, places], add, by_image=True)
    if places is None:
        return y
    return y, _positions(b, places, size, column_major)


def _pool_volume(
    b: Builder, x: Tensor, window: tuple[Any, ...], counting: dict[str, Any]
) -> Tensor:
    """Pool (N, C, D, H, W): each slice of the depth as an image, then along the depth."""
    last = x.strides == channels_last(x.shape)
    x = x if last else b.compact(x)
    kernel, steps, spread, padding, outputs = window
    n, c, depth = x.shape[:3]
    layout = channels_last if last else contiguous

    def geometry(axes: tuple[int, ...]) -> dict[str, Any]:
        along = {
            name: two_axes([values[a] for a in axes], 1)[:: -1 if len(axes) == 1 else 1]
            for name, values in (("kernel", kernel), ("stride", steps), ("dilation", spread))
        }
        before, after = (two_axes([padding[a][i] for a in axes], 0) for i in (0, 1))
        if len(axes) == 1:
            before, after = before[::-1], after[::-1]
        return {**along, "pad": (*before, *after), **counting}

    def slices(t: Tensor) -> Tensor:
        height, width = t.shape[3:]
        if last:
            row = c * width
            return t.view((n * depth, c, height, width), (row * height, 1, row, c))
        return t.view((n, c * depth, height, width), contiguous((n, c * depth, height, width)))

    def columns(t: Tensor) -> Tensor:
        shape = (n, c, t.shape[2], prod(t.shape[3:]))
        return t.view(shape, layout(shape))

    middle = b.own((n, c, depth, *outputs[1:]), x.dtype, layout((n, c, depth, *outputs[1:])))
    y = b.own((n, c, *outputs), x.dtype, layout((n, c, *outputs)))
    _pool_step(b, slices(x), slices(middle), geometry((1, 2)))
    counting = {**counting, "divisor_override": 1 if counting["divisor_override"] else 0}
    _pool_step(b, columns(middle), columns(y), geometry((0,)))
    return y


def _pool_step(b: Builder, x: Tensor, y: Tensor, geometry: dict[str, Any]) -> None:
    source, target = Image(x, x.shape), Image(y, y.shape)  # type: ignore[arg-type]

    def add(program: _native.Program, at: At) -> None:
        program.add_pool2d(source.at(at), target.at(at), None, **geometry)

    b.step([x], [y], add)


def global_pool(b: Builder, x: Value, *, function: str) -> Value:
    """Pool over all axes but the first two."""
    rank = len(x.shape)
    if rank in (3, 4) and 0 not in x.shape and function in ("mean", "max"):
        kind = "average" if function == "mean" else "max"
        return pool(b, x, kind=kind, kernel=x.shape[2:])  # type: ignore[no-any-return]
    axes = Known(np.arange(2, rank))
    return reduce(b, x, axes, function=function, keep=True)


def _positions(b: Builder, places: Tensor, size: tuple[int, ...], column_major: bool) -> Value:
    """Places within a plane -> places within the whole tensor; float64 counts them exactly."""
    n, c = places.shape[:2]
    axes = len(size)
    value: Value = cast(b, places, dtype=np.dtype(np.float64))

    def with_number(function: str, x: Value, number: Any) -> Value:
        return binary(b, x, Known(np.asarray(number, np.float64)), function=function)

    if column_major and axes == 2:
        height, width = size
        row = unary(b, with_number("div", value, width), function="floor")
        column = binary(b, value, with_number("mul", row, width), function="sub")
        value = binary(b, with_number("mul", column, height), row, function="add")
    planes = np.arange(n * c, dtype=np.float64).reshape(n, c, *(1,) * axes)
    whole = with_number("add", value, planes * prod(size))
    return cast(b, whole, dtype=np.dtype(np.int64))


def lp_pool(
    b: Builder,
    x: Value,
    *,
    p: int,
    kernel: Sequence[int],
    strides: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | str | None = None,
    ceil_mode: bool = False,
) -> Value:
    """Compute (sum of |x|^p)^(1/p) over windows."""
    check_floating(x)

    def number(v: float) -> Known:
        return Known(np.asarray(v, x.dtype))

    powers = unary(b, x, function="abs")
    if p != 1:
        powers = binary(b, powers, number(p), function="pow")
    window: dict[str, Any] = {
        "strides": strides,
        "dilations": dilations,
        "pads": pads,
        "ceil_mode": ceil_mode,
    }
    sums = pool(b, powers, kind="average", kernel=kernel, divisor=1, **window)
    return sums if p == 1 else binary(b, sums, number(1 / p), function="pow")


def max_unpool(
    b: Builder,
    x: Value,
    places: Value,
    output_shape: Value | None = None,
    *,
    kernel: Sequence[int],
    strides: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
) -> Value:
    """Put maxima where a pool found them; an output that is larger has zeros at its ends."""
    x, places = b.compact(b.tensor(x)), b.compact(b.tensor(places))
    axes = len(x.shape) - 2
    if axes < 1 or len(kernel) != axes or places.shape != x.shape:
        raise ShapeError(
            f"a window of {len(kernel)} axes and indices {shape_text(places.shape)} for input "
            f"{shape_text(x.shape)}"
        )
    steps, around = strides or (1,) * axes, pads or (0,) * (2 * axes)
    size = [
        (n - 1) * step - before - after + k
        for n, step, before, after, k in zip(
            x.shape[2:], steps, around[:axes], around[axes:], kernel, strict=True
        )
    ]
    if min(size) < 1:
        raise ShapeError(f"an output of shape {shape_text((*x.shape[:2], *size))}")
    check_range(output=tuple(size))
    y = b.own((*x.shape[:2], *size), x.dtype, contiguous((*x.shape[:2], *size)))

    def add(program: _native.Program, at: At) -> None:
        flat = (at(t, (t.size, 1, 1, 1), (1, 0, 0, 0), 0) for t in (x, places, y))
        program.add_scatter(*flat)

    if y.size:
        b.step([x, places], [y], add)
    wanted = y.shape if output_shape is None else integers(output_shape)
    if len(wanted) != axes + 2 or any(w < n for w, n in zip(wanted, y.shape, strict=True)):
        raise ShapeError(f"output_shape: expected {shape_text(y.shape)} or more, got {wanted}")
    if wanted == y.shape:
        return y
    check_range(output=wanted)
    whole = b.own(wanted, x.dtype, contiguous(wanted))
    b.fill(whole, 0)
    b.copy(y, whole.view(y.shape, whole.strides))
    return whole


LOWER: dict[str, Callable[..., Any]] = {
    "pool": pool,
    "global_pool": global_pool,
    "lp_pool": lp_pool,
    "max_unpool": max_unpool,
}
