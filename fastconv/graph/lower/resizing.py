"""Resizing by nearest, linear and cubic interpolation, one axis after the other.

Interpolation along an axis is a matrix that is known while planning: a 1x1 convolution whose
channels are the axis's places. Nearest neighbours are copies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import floor, prod
from typing import Any

import numpy as np

from ...errors import ShapeError
from ..builder import Builder
from ..ir import Array
from ..steps import Image
from ..tensors import Known, Tensor, Value, contiguous
from .convolving import add_conv
from .moving import gather


def coordinates(
    mode: str, length: int, outputs: int, scale: float, region: tuple[float, float]
) -> Array:
    """Where each output lies on the input's axis.

    Examples
    --------
    >>> from fastconv.graph.lower.resizing import coordinates
    >>> coordinates("half_pixel", 2, 4, 2.0, (0.0, 1.0))
    array([-0.25,  0.25,  0.75,  1.25])
    """
    i = np.arange(outputs, dtype=np.float64)
    if mode == "align_corners":
        # by scales, the axis ends where it would before it is cut to whole places
        whole = max(outputs, length * scale)
        return i * ((length - 1) / (whole - 1)) if whole > 1 else i * 0
    if mode == "asymmetric":
        return i / scale
    if mode == "tf_half_pixel_for_nn":
        return (i + 0.5) / scale
    if mode == "tf_crop_and_resize":
        start, end = region
        if outputs == 1:
            return i + 0.5 * (start + end) * (length - 1)
        return start * (length - 1) + i * ((end - start) * (length - 1) / (outputs - 1))
    if mode == "pytorch_half_pixel" and outputs == 1:
        return i * 0
    shift = 0.0
    if mode == "half_pixel_symmetric":
        shift = length / 2 * (1 - outputs / (scale * length))
    return shift + (i + 0.5) / scale - 0.5


def nearest_places(at: Array, rounding: str, length: int) -> list[int]:
    """Index of each coordinate's neighbour.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.lower.resizing import nearest_places
    >>> nearest_places(np.array([0.5, 1.5, 9]), "round_prefer_floor", 4)
    [0, 1, 3]
    """
    rules: dict[str, Callable[[Array], Array]] = {
        "round_prefer_floor": lambda x: np.ceil(x - 0.5),
        "round_prefer_ceil": lambda x: np.floor(x + 0.5),
        "floor": np.floor,
        "ceil": np.ceil,
    }
    return [int(v) for v in np.clip(rules[rounding](at), 0, length - 1)]


def _cubic(distance: Array, a: float) -> Array:
    d = np.abs(distance)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


def weights(
    at: Array,
    length: int,
    scale: float,
    *,
    cubic: bool,
    coefficient: float,
    antialias: bool,
    exclude_outside: bool,
) -> Array:
    """Matrix (outputs, length) of an interpolation.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.lower.resizing import weights
    >>> options = {"cubic": False, "coefficient": 0, "antialias": False, "exclude_outside": False}
    >>> weights(np.array([0.25]), 2, 1.0, **options)
    array([[0.75, 0.25]])
    """
    narrow = min(scale, 1.0) if antialias else 1.0
    reach = 2.0 if cubic else 1.0
    start = floor(-reach / narrow) + 1
    offsets = np.arange(start, 2 - start)
    matrix = np.zeros((len(at), length))
    for row, x in enumerate(at):
        base = floor(x)
        distance = (offsets - (x - base)) * narrow
        near = _cubic(distance, coefficient) if cubic else np.clip(1 - np.abs(distance), 0, 1)
        places = base + offsets
        if exclude_outside:
            near = np.where((places < 0) | (places >= length), 0, near)
        if antialias or exclude_outside:
            near = near / near.sum()
        np.add.at(matrix[row], np.clip(places, 0, length - 1), near)
    return matrix


def _along(b: Builder, x: Tensor, axis: int, matrix: Array, bias: Array | None) -> Tensor:
    """Multiply an axis with a matrix; axes outside it in memory are images, those inside pixels."""
    order = sorted(range(len(x.shape)), key=lambda a: (-abs(x.strides[a]), a))
    place = order.index(axis)
    outer, inner = order[:place], order[place + 1 :]
    sizes = [x.shape[a] for a in order]
    dense = contiguous(sizes)
    if any(n > 1 and x.strides[a] != s for a, n, s in zip(order, sizes, dense, strict=True)):
        copy = b.new(x.shape, x.dtype, like=x)
        b.copy(x, copy)
        x = copy
    outputs, length = matrix.shape
    y = b.new([outputs if a == axis else n for a, n in enumerate(x.shape)], x.dtype, like=x)
    images, pixels = prod(x.shape[a] for a in outer), prod(x.shape[a] for a in inner)

    def seen(t: Tensor, n: int) -> Image:
        if pixels == 1:  # many images of one pixel are one image, channels last
            size, strides = (1, n, 1, images), (n * images, 1, 0, n)
        else:
            size, strides = (images, n, 1, pixels), (n * pixels, pixels, 0, 1)
        return Image(t.view(size, strides), size)

    add_conv(
        b,
        seen(x, length),
        Known(matrix.astype(x.dtype)),
        None if bias is None else Known(bias.astype(x.dtype)),
        seen(y, outputs),
        role="resize",
        w_shape=(outputs, length, 1, 1),
        w_stride=(length, 1, 0, 0),
        algorithm="direct",
        stride=(1, 1),
        pad=(0, 0),
        dilation=(1, 1),
        groups=1,
    )
    return y


def _pick(b: Builder, x: Tensor, axis: int, places: list[int]) -> Tensor:
    """Copy places of an axis; each repeated as often as the others is one copy."""
    n, count = x.shape[axis], len(places)
    times = count // n
    if times * n != count or places != [p // times for p in range(count)]:
        return b.tensor(gather(b, x, Known(np.array(places)), axis=axis))
    y = b.new([count if a == axis else m for a, m in enumerate(x.shape)], x.dtype, like=x)
    split = (*x.shape[:axis], n, times, *x.shape[axis + 1 :])
    source = x.view(split, (*x.strides[: axis + 1], 0, *x.strides[axis + 1 :]))
    step = y.strides[axis]
    target = y.view(split, (*y.strides[:axis], step * times, step, *y.strides[axis + 1 :]))
    b.copy(source, target)
    return y


def resize(
    b: Builder,
    x: Value,
    region: Value | None = None,
    scales: Value | None = None,
    sizes: Value | None = None,
    *,
    mode: str,
    coordinate: str,
    rounding: str = "floor",
    axes: Sequence[int] | None = None,
    coefficient: float = -0.75,
    antialias: bool = False,
    exclude_outside: bool = False,
    outside: float = 0.0,
    policy: str = "stretch",
) -> Value:
    """Resize to sizes, or by scales."""
    x = b.tensor(x)
    rank = len(x.shape)
    named = [a % rank for a in (range(rank) if axes is None else axes)]
    given = None if scales is None else _numbers(scales)
    if given:
        factors = [float(v) for v in given]
        outputs = [floor(x.shape[a] * f) for a, f in zip(named, factors, strict=True)]
    else:
        outputs = [int(v) for v in ([] if sizes is None else _numbers(sizes))]
        if len(outputs) != len(named):
            raise ShapeError(f"{len(outputs)} sizes for {len(named)} axes")
        factors = [n / x.shape[a] for a, n in zip(named, outputs, strict=True)]
        if policy != "stretch":
            factors = [(min if policy == "not_larger" else max)(factors)] * len(named)
            outputs = [floor(f * x.shape[a] + 0.5) for a, f in zip(named, factors, strict=True)]
    if min(outputs, default=1) < 1 or min(factors, default=1) <= 0 or 0 in x.shape:
        raise ShapeError(f"cannot resize shape {x.shape} to {outputs}")
    if b.is_output and prod(outputs) > prod(x.shape[a] for a in named):
        x = b.compact(x)  # planes at last: the smaller one is copied
    roi = [] if region is None else [float(v) for v in _numbers(region)]
    for place, axis in enumerate(named):
        n, scale, length = outputs[place], factors[place], x.shape[axis]
        part = (roi[place], roi[place + len(named)]) if len(roi) == 2 * len(named) else (0.0, 1.0)
        if n == length and scale == 1 and part == (0.0, 1.0):
            continue
        at = coordinates(coordinate, length, n, scale, part)
        crops = coordinate == "tf_crop_and_resize"
        lost = (at < 0) | (at > length - 1) if crops else np.zeros(n, bool)
        if mode == "nearest" and not lost.any():
            x = _pick(b, x, axis, nearest_places(at, rounding, length))
            continue
        if mode == "nearest":
            matrix = np.zeros((n, length))
            matrix[np.arange(n), nearest_places(at, rounding, length)] = 1
        else:
            matrix = weights(
                at,
                length,
                scale,
                cubic=mode == "cubic",
                coefficient=coefficient,
                antialias=antialias and scale < 1,
                exclude_outside=exclude_outside,
            )
        matrix[lost] = 0
        x = _along(b, x, axis, matrix, np.where(lost, outside, 0.0) if lost.any() else None)
    return x


def _numbers(value: Value) -> list[Any]:
    assert isinstance(value, Known)
    return list(value.array.reshape(-1))


LOWER: dict[str, Callable[..., Any]] = {"resize": resize}
