"""Convolution of images, columns and local response normalization."""

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
from ..tensors import Known, Tensor, Value, contiguous
from .compute import BINARY, binary, check_floating
from .convolving import add_conv, element_strides, prefers_planes
from .moving import integers, with_shape
from .volumes import conv3d

Pads = tuple[tuple[int, int], ...]

#: Taps of a window over three axes and more whose columns are added up one by one.
MOST_TAPS = 4096


def window_pads(
    size: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    pads: Sequence[int] | str,
) -> Pads:
    """Padding (before, after) along each axis; with "same_upper" an odd one is after.

    Examples
    --------
    >>> from fastconv.graph.lower.images import window_pads
    >>> window_pads((5, 6), (3, 3), (2, 2), (1, 1), "same_upper")
    ((1, 1), (0, 1))
    """
    axes = len(size)
    if not isinstance(pads, str):
        return tuple((int(pads[a]), int(pads[a + axes])) for a in range(axes))
    result = []
    for n, k, s, d in zip(size, kernel, strides, dilations, strict=True):
        total = max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
        small, large = total // 2, total - total // 2
        result.append((small, large) if pads == "same_upper" else (large, small))
    return tuple(result)


def window_outputs(
    size: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    pads: Pads,
    *,
    ceil_mode: bool = False,
) -> tuple[int, ...]:
    """Number of windows along each axis; one that begins in the padding at the end is dropped.

    Examples
    --------
    >>> from fastconv.graph.lower.images import window_outputs
    >>> window_outputs((6,), (3,), (2,), (1,), ((0, 0),), ceil_mode=True)
    (3,)
    """
    result = []
    for n, k, s, d, (before, after) in zip(size, kernel, strides, dilations, pads, strict=True):
        span = n + before + after - d * (k - 1) - 1
        if span < 0 or min(k, s, d) < 1 or min(before, after) < 0:
            raise ShapeError(
                f"a window of {k} (stride {s}, dilation {d}, padding {before} and {after}) does "
                f"not fit an axis of {n}"
            )
        count = span // s + 1
        if ceil_mode and span % s and count * s < n + before:
            count += 1
        result.append(count)
    return tuple(result)


def taps_inside(
    size: int, taps: int, stride: int, dilation: int, before: int, outputs: int
) -> tuple[int, int]:
    """Range of taps along an axis without those at its ends that lie in the padding everywhere.

    Examples
    --------
    >>> from fastconv.graph.lower.images import taps_inside
    >>> taps_inside(14, 3, 1, 24, 24, 14)  # only the one in the middle meets the image
    (1, 2)
    """
    inside = []
    for tap in range(taps):
        start = tap * dilation - before
        first = max(0, -(start // stride))  # the first output for which it is not before the axis
        if first < outputs and start + first * stride < size:
            inside.append(tap)
    first = min(inside[0], before // dilation) if inside else 0  # no padding turns negative
    return first, max(inside[-1], first) + 1 if inside else 1


def two_axes(values: Sequence[int], filler: int) -> tuple[int, int]:
    """Pair of values for height and width: of one axis, height is a single row.

    Examples
    --------
    >>> from fastconv.graph.lower.images import two_axes
    >>> two_axes([3], 1)
    (1, 3)
    """
    return (filler, int(values[0])) if len(values) == 1 else (int(values[0]), int(values[1]))


def conv(
    b: Builder,
    x: Value,
    w: Value,
    bias: Value | None = None,
    addend: Value | None = None,
    *,
    strides: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | str | None = None,
    groups: int = 1,
    kernel: Sequence[int] | None = None,
    activation: str | None = None,
    alpha: float = 0.0,
) -> Value:
    """Convolve (N, C, ...) with weight (K, C/groups, ...); add an addend, with broadcasting."""
    check_floating(x, w, bias, addend)
    x = b.tensor(x)
    axes = len(x.shape) - 2
    if axes not in (1, 2, 3):
        raise UnsupportedOperatorError(f"convolution over {axes} axes (1 to 3 are supported)")
    _check_weights(x, w, bias, groups, kernel)
    size, taps = x.shape[2:], w.shape[2:]
    steps, spread = tuple(strides or (1,) * axes), tuple(dilations or (1,) * axes)
    padding = window_pads(size, taps, steps, spread, pads or (0,) * (2 * axes))
    outputs = window_outputs(size, taps, steps, spread, padding)
    check_range(input=size, strides=steps, dilations=spread, pads=padding, output=outputs)
    if isinstance(addend, Tensor):
        addend = b.ordered(addend)
    is_plain = not any(map(any, padding)) and taps == (1, 1)
    x, w, bias, shuffle = _shuffled(b, x, w, bias, groups, is_plain, addend is not None)
    y = b.new((x.shape[0], w.shape[0], *outputs), x.dtype)
    y.shuffle = x.shuffle // shuffle
    before = [first for first, _ in padding]
    if isinstance(w, Known):
        axis_of = zip(size, taps, steps, spread, before, outputs, strict=True)
        inside = [taps_inside(*axis) for axis in axis_of]
        before = [p - d * first for p, d, (first, _) in zip(before, spread, inside, strict=True)]
        w, taps = _part_of_filters(w, inside), tuple(last - first for first, last in inside)

    w_strides = element_strides(w)
    w_stride: Any = (*w_strides[:2], *two_axes(w_strides[2:], 0))
    geometry: dict[str, Any] = (
        {
            "stride": two_axes(steps, 1),
            "pad": two_axes(before, 0),
            "dilation": two_axes(spread, 1),
            "groups": groups,
            "shuffle": shuffle,
        }
        if axes < 3
        else {}
    )
    # one tap is too little to pay for what planes cost its neighbours
    several = axes == 2 and prod(taps) > 1
    few = several and 1 < groups < x.shape[1] and shuffle == 1 and addend is None
    if few and b.channels_last and isinstance(w, Known) and not isinstance(bias, Tensor):
        # with few filters a group, vectors along them would be half empty
        planes = prefers_planes(b, image(x), w, image(y), w_stride, geometry)
        if planes and b.into_planes(x):
            y.strides = contiguous(y.shape)

    def append(addend: Image | None, activation: str | None, alpha: float) -> bool:
        fused: Any = {"activation": activation, "alpha": alpha}
        if axes == 3:
            padded: Any = {"pad": before, "strides": steps, "dilations": spread}
            conv3d(b, x, w, bias, y, groups=groups, **padded, **fused)
            return True
        w_shape = (w.shape[0], w.shape[1], *two_axes(taps, 1))
        return add_conv(
            b,
            image(x),
            w,
            bias,
            image(y),
            w_shape=w_shape,
            w_stride=w_stride,
            addend=addend,
            **geometry,
            **fused,
        )

    if addend is None:
        append(None, activation, alpha)
        return y
    fits = axes < 3 and addend.shape == y.shape
    if fits and append(image(b.tensor(addend)), activation, alpha):
        return y
    append(None, None, 0.0)
    return binary(b, y, addend, function="add", activation=activation, alpha=alpha)


def _check_weights(
    x: Tensor, w: Value, bias: Value | None, groups: int, kernel: Sequence[int] | None
) -> None:
    if len(w.shape) != len(x.shape) or (kernel is not None and tuple(kernel) != w.shape[2:]):
        raise ShapeError(f"weight of shape {shape_text(w.shape)} for input {shape_text(x.shape)}")
    if w.shape[1] * groups != x.shape[1] or groups < 1 or w.shape[0] % groups:
        raise ShapeError(
            f"weight of shape {shape_text(w.shape)} and {groups} groups for input of shape "
            f"{shape_text(x.shape)}"
        )
    if bias is not None and bias.shape != (w.shape[0],):
        raise ShapeError(f"bias of shape {bias.shape} for {w.shape[0]} filters")


def _part_of_filters(w: Known, inside: Sequence[tuple[int, int]]) -> Known:
    if all(range(*ends) == range(n) for ends, n in zip(inside, w.shape[2:], strict=True)):
        return w
    kept: list[Any] = [slice(None), slice(None), *(slice(*ends) for ends in inside)]
    part = w.array[tuple(kept)]
    return Known(np.ascontiguousarray(part), w.name and f"{w.name}~taps{list(inside)}")


def _shuffled(
    b: Builder,
    x: Tensor,
    w: Value,
    bias: Value | None,
    groups: int,
    is_plain: bool,
    has_addend: bool,
) -> tuple[Tensor, Value, Value | None, int]:
    """Decide who shuffles x's channels -> x, weight, bias, and how much the convolution does.

    A 1x1 convolution reads them in their order; one of each channel by itself takes them as they
    lie, its weights brought into that order, and what reads the result shuffles; others get a copy.
    """
    s, c = x.shuffle, x.shape[1]
    if s == 1 or len(x.shape) != 4:
        return b.ordered(x), w, bias, 1
    own = groups == c == w.shape[0] and not has_addend
    if own and isinstance(w, Known) and not isinstance(bias, Tensor):
        order = np.arange(c).reshape(c // s, s).T.reshape(-1)
        w = Known(w.array[order], w.name and f"{w.name}~shuffled{s}")
        if bias is not None:
            bias = Known(bias.array[order], bias.name and f"{bias.name}~shuffled{s}")
        return x, w, bias, 1
    if is_plain:
        return x, w, bias, s
    return b.ordered(x), w, bias, 1


def response(b: Builder, x: Value, *, size: int, alpha: float, beta: float, bias: float) -> Value:
    """Local response normalization over channels."""
    check_floating(x)
    if len(x.shape) < 2:
        raise ShapeError(f"a window of channels of shape {shape_text(x.shape)}")
    x = b.tensor(x)
    y = b.new(x.shape, x.dtype, like=x)
    n, c = x.shape[:2]
    options: dict[str, Any] = {"size": size, "alpha": alpha, "beta": beta, "bias": bias}
    if len(x.shape) == 4 or len(x.shape) == 3:
        source, target = image(x), image(y)

        def add(program: _native.Program, at: At) -> None:
            program.add_response(source.at(at), target.at(at), **options)

        b.step([x], [y], add, (y, x), by_image=True)
        return y
    flat = with_shape(b, x, (n, c, prod(x.shape[2:])))
    return with_shape(b, b.tensor(response(b, flat, **options)), x.shape)


def fold(
    b: Builder,
    x: Value,
    image_shape: Value,
    block_shape: Value,
    *,
    strides: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
) -> Value:
    """Sum columns (N, C * taps, places) into images: the adjoint of unfold."""
    check_floating(x)
    x = b.tensor(x)
    size, kernel = integers(image_shape), integers(block_shape)
    axes = len(size)
    if not axes or len(kernel) != axes or len(x.shape) != 3:
        raise ShapeError(f"columns {shape_text(x.shape)} for windows {kernel} of images {size}")
    steps, spread = tuple(strides or (1,) * axes), tuple(dilations or (1,) * axes)
    around = window_pads(size, kernel, steps, spread, pads or (0,) * (2 * axes))
    outputs = window_outputs(size, kernel, steps, spread, around)
    n, depth, places = x.shape
    if depth % prod(kernel) or places != prod(outputs):
        raise ShapeError(f"columns {shape_text(x.shape)} for windows {kernel} of images {size}")
    if axes > 2:
        return _fold_by_taps(b, x, size, kernel, (steps, spread, around, outputs))
    y = b.new((n, depth // prod(kernel), *size), x.dtype)
    target = image(y)
    geometry: dict[str, Any] = {
        "kernel": two_axes(kernel, 1),
        "stride": two_axes(steps, 1),
        "pad": two_axes([p[0] for p in around], 0),
        "dilation": two_axes(spread, 1),
        "output": two_axes(outputs, 1),
    }

    def add(program: _native.Program, at: At) -> None:
        columns = at(x, (n, depth, places, 1), (*x.strides, 0), 0)
        program.add_columns(target.at(at), columns, fold=True, **geometry)

    b.step([x], [y], add)
    return y


def _fold_by_taps(
    b: Builder, x: Tensor, size: Sequence[int], kernel: Sequence[int], geometry: Any
) -> Tensor:
    """Add the columns of each tap to a padded image, over any number of axes."""
    steps, spread, around, outputs = geometry
    n, depth, places = x.shape
    if prod(kernel) > MOST_TAPS:
        raise UnsupportedOperatorError(f"Col2Im of windows {shape_text(kernel)}")
    channels, x = depth // prod(kernel), b.compact(x)
    room = (n, channels, *(s + sum(pads) for s, pads in zip(size, around, strict=True)))
    check_range(input=room)
    padded = b.own(room, x.dtype, contiguous(room))
    along = padded.strides[2:]
    b.fill(padded, 0)

    def add(program: _native.Program, t: list[Any]) -> None:
        program.add_binary(t[1], t[2], t[0], operation=BINARY["add"])

    for number, tap in enumerate(np.ndindex(*kernel)):
        reached = padded.view(
            (n, channels, *outputs),
            (*padded.strides[:2], *(s * step for s, step in zip(along, steps, strict=True))),
            sum(t * d * s for t, d, s in zip(tap, spread, along, strict=True)),
        )
        of_channel = (x.strides[0], prod(kernel) * places, *contiguous(outputs))
        column = x.view(reached.shape, of_channel, number * places)
        b.each([reached, column], reached, add, in_place=False)
    first = sum(pads[0] * s for pads, s in zip(around, along, strict=True))
    return padded.view((n, channels, *size), padded.strides, first)


LOWER: dict[str, Callable[..., Any]] = {
    "conv": conv,
    "response": response,
    "fold": fold,
}
