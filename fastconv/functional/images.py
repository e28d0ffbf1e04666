"""Padding, resizing and rearranging images."""

from __future__ import annotations

import functools
from math import prod
from typing import Any

import numpy as np

from .. import _image_plans, _native
from .._arguments import hashable, word
from .._resize import resized
from .._views import Array, check_choice, check_floating
from ..errors import ShapeError
from ..shapes import integer


def pad(
    input: Array,
    pad: Any,
    mode: str = "constant",
    value: float | None = None,
    *,
    num_threads: int | None = None,
) -> Array:
    """Add to the sides of an array, or cut off where numbers are negative.

    Parameters
    ----------
    input : ndarray
        Of any dtype that `max_pool2d` takes and of any shape.
    pad : sequence of int
        (before, after) of the last axis, then of the one before it, and so on, as in PyTorch.
    mode : {"constant", "reflect", "replicate", "circular"}, optional
        What is added. All but "constant" pad the last one to three axes of arrays (N, C, ...) or
        (C, ...); "reflect" mirrors without repeating the edge.
    value : float, optional
        The constant; zero by default.

    Returns
    -------
    ndarray
        A new array.

    Raises
    ------
    ShapeError
        If numbers and axes do not match, or a mode would show more than there is.
    TypeError
        If the dtype is not supported.
    ValueError
        If `mode` is not among those allowed.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import pad
    >>> pad(np.array([[1.0, 2.0, 3.0]]), (2, 1), "reflect")
    array([[3., 2., 1., 2., 3., 2.]])
    """
    x, key = _native.describe(input, "input")
    amounts = hashable(pad if not isinstance(pad, list) else tuple(pad), "pad")
    if mode == "circular" and isinstance(amounts, tuple) and min(amounts, default=0) < 0:
        # what is cut off does not come around again
        sides = _image_plans.amounts(amounts, x.ndim)
        cut = (slice(max(-b, 0), n - max(-a, 0)) for n, (b, a) in zip(x.shape, sides, strict=True))
        x, key = _native.describe(x[tuple(cut)], "input")
        amounts = tuple(max(n, 0) for n in amounts)
    constant = 0.0 if value is None else float(value)
    program = _image_plans.pad(key, amounts, word(mode, "mode"), constant)
    if program is not None:
        return program.run((x,), None, num_threads)  # type: ignore[no-any-return]
    # more than five axes (and a constant): the last four first, then those in front
    front = x.shape[:-4]
    merged = np.ascontiguousarray(x).reshape(prod(front), *x.shape[-4:])
    inner = _pad(merged, amounts[:8], value=constant, num_threads=num_threads)
    back = inner.shape[1:]
    if len(amounts) > 8:
        rows = inner.reshape(*front, prod(back))
        inner = _pad(rows, (0, 0, *amounts[8:]), value=constant, num_threads=num_threads)
        front = inner.shape[:-1]
    return inner.reshape(*front, *back)


_pad = functools.partial(pad, mode="constant")


def pixel_shuffle(
    input: Array, upscale_factor: int, *, data_format: str = "NCHW", num_threads: int | None = None
) -> Array:
    """Rearrange channels into blocks of pixels: depth to space.

    Parameters
    ----------
    input : ndarray (N, C*r*r, H, W) or (C*r*r, H, W)
        Of any dtype that `max_pool2d` takes; channels last with ``data_format="NHWC"``.
    upscale_factor : int
        r.

    Returns
    -------
    ndarray (N, C, H*r, W*r)
        Pixel (h*r + i, w*r + j) of channel c is pixel (h, w) of channel c*r*r + i*r + j.

    Raises
    ------
    ShapeError
        If the channels are not divisible by r*r.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import pixel_shuffle
    >>> pixel_shuffle(np.arange(4.0).reshape(4, 1, 1), 2)
    array([[[0., 1.],
            [2., 3.]]])
    """
    factor = integer(upscale_factor, "upscale_factor", 1)
    x, key = _native.describe(input, "input")
    program = _image_plans.pixel_shuffle(key, factor, False, word(data_format, "data_format"))
    return program.run((x,), None, num_threads)  # type: ignore[no-any-return]


def pixel_unshuffle(
    input: Array,
    downscale_factor: int,
    *,
    data_format: str = "NCHW",
    num_threads: int | None = None,
) -> Array:
    """Rearrange blocks of pixels into channels: the inverse of `pixel_shuffle`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import pixel_unshuffle
    >>> pixel_unshuffle(np.arange(4.0).reshape(1, 2, 2), 2).ravel()
    array([0., 1., 2., 3.])
    """
    factor = integer(downscale_factor, "downscale_factor", 1)
    x, key = _native.describe(input, "input")
    program = _image_plans.pixel_shuffle(key, factor, True, word(data_format, "data_format"))
    return program.run((x,), None, num_threads)  # type: ignore[no-any-return]


#: Modes of `interpolate` -> the numbers of axes behind batch and channels that they resize.
RESIZE_MODES: dict[str, tuple[int, ...]] = {
    "nearest": (1, 2, 3),
    "nearest-exact": (1, 2, 3),
    "area": (1, 2, 3),
    "linear": (1,),
    "bilinear": (2,),
    "bicubic": (2,),
    "trilinear": (3,),
}


def interpolate(
    input: Array,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
    *,
    data_format: str = "NCHW",
    num_threads: int | None = None,
) -> Array:
    """Resize the axes behind batch and channels.

    Parameters
    ----------
    input : ndarray (N, C, L), (N, C, H, W) or (N, C, D, H, W)
        float32 or float64; images channels last with ``data_format="NHWC"``.
    size : int or one for each axis, optional
        Sizes of the output.
    scale_factor : float or one for each axis, optional
        Instead of `size`: output = floor(input * scale).
    mode : str, optional
        "nearest", "nearest-exact", "area" (means of the pixels covered), "linear" (one axis),
        "bilinear", "bicubic" (two), "trilinear" (three).
    align_corners : bool, optional
        Map the centres of corner pixels onto each other, not the corners of the image; for linear
        and cubic modes.
    recompute_scale_factor : bool, optional
        Use the ratio of the sizes instead of `scale_factor`, from which it may differ.
    antialias : bool, optional
        Average over what an output pixel covers; for "bilinear" and "bicubic".

    Returns
    -------
    ndarray
        Of the new sizes.

    Raises
    ------
    ShapeError
        If sizes and axes do not match.
    TypeError
        If the dtype is not supported.
    ValueError
        If arguments do not go with the mode.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import interpolate
    >>> x = np.array([[[[0.0, 1.0]]]])
    >>> interpolate(x, size=(1, 4), mode="bilinear")
    array([[[[0.  , 0.25, 0.75, 1.  ]]]])
    """
    check_choice(mode, "mode", tuple(RESIZE_MODES))
    check_choice(data_format, "data_format", ("NCHW", "NHWC"))
    x, key = _native.describe(input, "input")
    check_floating(key, "input")
    axes = x.ndim - 2
    if axes not in RESIZE_MODES[mode] or (data_format == "NHWC" and axes != 2):
        raise ShapeError(
            f"input: expected 2 axes (batch, channels) and {RESIZE_MODES[mode]} more for mode "
            f"{mode!r}, got shape {x.shape}"
        )
    smooth = mode in ("linear", "bilinear", "bicubic", "trilinear")
    if align_corners is not None and not smooth:
        raise ValueError(f"align_corners: expected None for mode {mode!r}, got {align_corners!r}")
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ValueError(f"antialias: expected mode 'bilinear' or 'bicubic', got {mode!r}")
    if recompute_scale_factor and size is not None:
        raise ValueError("recompute_scale_factor: expected scale_factor, got size")
    inner = x.shape[2:] if data_format == "NCHW" else x.shape[1:3]
    if 0 in x.shape[1:]:
        raise ShapeError(f"input: expected nonempty axes behind the batch, got shape {x.shape}")
    sizes, scales = resized(inner, size, scale_factor)
    if recompute_scale_factor or mode == "area":
        scales = (None,) * axes
    options = (mode, bool(align_corners), bool(antialias))
    if axes == 1:
        planes = _resize(x[:, :, None], (1, *sizes), (None, *scales), options, num_threads)
        return planes[:, :, 0]
    if axes == 2:
        return _resize(x, sizes, scales, options, num_threads, data_format)
    n, c, depth = x.shape[:3]
    planes = x.reshape(n, c * depth, *x.shape[3:])
    planes = _resize(planes, sizes[1:], scales[1:], options, num_threads)
    rows = planes.reshape(n, c, depth, sizes[1] * sizes[2])
    deep = _resize(rows, (sizes[0], rows.shape[3]), (scales[0], None), options, num_threads)
    return deep.reshape(n, c, *sizes)


def _resize(
    images: Array,
    size: tuple[int, ...],
    scale: tuple[float | None, ...],
    options: tuple[str, bool, bool],
    num_threads: int | None,
    data_format: str = "NCHW",
) -> Array:
    x, key = _native.describe(images, "input")
    program = _image_plans.resize(key, size, scale, *options, data_format)  # type: ignore[arg-type]
    return program.run((x,), None, num_threads)  # type: ignore[no-any-return]
