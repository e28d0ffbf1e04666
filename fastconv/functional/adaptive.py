"""Adaptive pools, pools by powers, and the inverse of max pools."""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd, prod
from typing import Any

import numpy as np

from .. import _axes
from .._arguments import given
from .._views import Array, check_choice
from ..errors import ShapeError
from ..shapes import integer
from .images import interpolate
from .pooling import avg_pool2d, max_pool2d


def adaptive_sizes(output_size: Any, inner: tuple[int, ...]) -> tuple[int, ...]:
    """Output size along each axis: None keeps the input's.

    Examples
    --------
    >>> from fastconv.functional.adaptive import adaptive_sizes
    >>> adaptive_sizes((7, None), (20, 30))
    (7, 30)
    """
    axes = len(inner)
    wanted = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * axes
    if len(wanted) != axes:
        raise ShapeError(f"output_size: expected {axes} numbers, got {output_size!r}")
    return tuple(
        n if w is None else integer(w, "output_size", 1) for w, n in zip(wanted, inner, strict=True)
    )


def _images(input: Any, axes: int, data_format: str) -> tuple[Array, bool]:
    """An input with its batch axis, and whether it came with one."""
    check_choice(data_format, "data_format", ("NCHW", "NHWC"))
    if not isinstance(input, np.ndarray):
        raise TypeError(f"input: expected a NumPy array, got {type(input).__name__}")
    if input.ndim not in (axes + 1, axes + 2):
        raise ShapeError(f"input: expected {axes + 1} or {axes + 2} axes, got shape {input.shape}")
    if 0 in input.shape[-axes - 1 :]:
        raise ShapeError(f"input: expected nonempty axes behind the batch, got {input.shape}")
    batched = input.ndim == axes + 2
    return (input if batched else input[None]), batched


def adaptive_avg_pool2d(
    input: Array,
    output_size: Any,
    *,
    data_format: str = "NCHW",
    num_threads: int | None = None,
) -> Array:
    """Means of windows that divide an image into so many rows and columns.

    Window i of n along an axis of size s goes from floor(i*s/n) to ceil((i + 1)*s/n).

    Parameters
    ----------
    input : ndarray (N, C, H, W) or (C, H, W)
        float32 or float64; (N, H, W, C) with ``data_format="NHWC"``.
    output_size : int or (int or None, int or None)
        Rows and columns of the output; None keeps the input's.

    Returns
    -------
    ndarray (N, C, P, Q)
        The means.

    Raises
    ------
    ShapeError
        If the input has other axes, or a size is not positive.
    TypeError
        If the dtype is not supported.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import adaptive_avg_pool2d
    >>> adaptive_avg_pool2d(np.arange(9.0).reshape(1, 3, 3), (1, 2))
    array([[[3.5, 4.5]]])
    """
    x, batched = _images(input, 2, data_format)
    inner = x.shape[2:] if data_format == "NCHW" else x.shape[1:3]
    sizes = adaptive_sizes(output_size, inner)
    options: dict[str, Any] = {"data_format": data_format, "num_threads": num_threads}
    if all(n % p == 0 for n, p in zip(inner, sizes, strict=True)):
        window = tuple(n // p for n, p in zip(inner, sizes, strict=True))
        return avg_pool2d(input, window, **options)
    y = interpolate(x, sizes, mode="area", **options)
    return y if batched else y[0]


def adaptive_avg_pool1d(input: Array, output_size: Any, *, num_threads: int | None = None) -> Array:
    """Means of windows that divide a line into so many: `adaptive_avg_pool2d` along one axis.

    Parameters
    ----------
    input : ndarray (N, C, W) or (C, W)
        float32 or float64.
    output_size : int or (int,)
        Number of windows.

    Returns
    -------
    ndarray (N, C, Q)
        The means.

    Raises
    ------
    ShapeError
        If the input has other axes, or a size is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import adaptive_avg_pool1d
    >>> adaptive_avg_pool1d(np.array([[1.0, 2.0, 6.0]]), 2)
    array([[1.5, 4. ]])
    """
    x, batched = _images(input, 1, "NCHW")
    sizes = adaptive_sizes(output_size, x.shape[2:])
    y = adaptive_avg_pool2d(x[:, :, None], (1, *sizes), num_threads=num_threads)
    return y[:, :, 0] if batched else y[0, :, 0]


def _phases(size: int, outputs: int) -> Iterator[tuple[slice, int, int, int]]:
    """Windows of an adaptive pool as strided ones: (outputs, first input, window, stride)."""
    common = gcd(size, outputs)
    inputs, period = size // common, outputs // common
    for i in range(period):
        first = i * inputs // period
        window = -(-(i + 1) * inputs // period) - first
        yield slice(i, None, period), first, window, inputs


def adaptive_max_pool2d(
    input: Array,
    output_size: Any,
    return_indices: bool = False,
    *,
    num_threads: int | None = None,
) -> Any:
    """Maxima of windows that divide an image into so many rows and columns.

    The windows are those of `adaptive_avg_pool2d`.

    Parameters
    ----------
    input : ndarray (N, C, H, W) or (C, H, W)
        float32, float64 or integers.
    output_size : int or (int or None, int or None)
        Rows and columns of the output; None keeps the input's.
    return_indices : bool, optional
        Also return positions h*W + w, as `max_pool2d` does.

    Returns
    -------
    ndarray (N, C, P, Q), or a tuple of it and int64 indices
        The maxima.

    Raises
    ------
    ShapeError
        If the input has other axes, or a size is not positive.
    TypeError
        If the dtype is not supported.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import adaptive_max_pool2d
    >>> adaptive_max_pool2d(np.arange(9.0).reshape(1, 3, 3), (1, 2), return_indices=True)
    (array([[[7., 8.]]]), array([[[7, 8]]]))
    """
    x, batched = _images(input, 2, "NCHW")
    height, width = x.shape[2:]
    p, q = adaptive_sizes(output_size, (height, width))
    y = np.empty((*x.shape[:2], p, q), x.dtype)
    where = np.empty(y.shape, np.int64)
    for rows, top, r, row_step in _phases(height, p):
        for columns, left, s, column_step in _phases(width, q):
            part = x[:, :, top:, left:]
            found = max_pool2d(
                part,
                (r, s),
                (row_step, column_step),
                return_indices=return_indices,
                num_threads=num_threads,
            )
            to = (slice(None), slice(None), rows, columns)
            if return_indices:
                found, index = found
                row, column = np.divmod(index, width - left)
                where[to] = (row + top) * width + column + left
            y[to] = found
    y, where = (y, where) if batched else (y[0], where[0])
    return (y, where) if return_indices else y


def adaptive_max_pool1d(
    input: Array,
    output_size: Any,
    return_indices: bool = False,
    *,
    num_threads: int | None = None,
) -> Any:
    """Maxima of windows that divide a line into so many: `adaptive_max_pool2d` along one axis.

    Parameters
    ----------
    input : ndarray (N, C, W) or (C, W)
        float32, float64 or integers.
    output_size : int or (int,)
        Number of windows.
    return_indices : bool, optional
        Also return positions in the line.

    Returns
    -------
    ndarray (N, C, Q), or a tuple of it and int64 indices
        The maxima.

    Raises
    ------
    ShapeError
        If the input has other axes, or a size is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import adaptive_max_pool1d
    >>> adaptive_max_pool1d(np.array([[1.0, 6.0, 2.0]]), 2)
    array([[6., 6.]])
    """
    x, batched = _images(input, 1, "NCHW")
    sizes = (1, *adaptive_sizes(output_size, x.shape[2:]))
    found = adaptive_max_pool2d(x[:, :, None], sizes, return_indices, num_threads=num_threads)
    lines = [y[:, :, 0] if batched else y[0, :, 0] for y in (found if return_indices else (found,))]
    return tuple(lines) if return_indices else lines[0]


def lp_pool2d(
    input: Array,
    norm_type: float,
    kernel_size: Any,
    stride: Any = None,
    ceil_mode: bool = False,
    *,
    data_format: str = "NCHW",
    num_threads: int | None = None,
) -> Array:
    """Sum of the p-th powers of each window, and the p-th root of that.

    Parameters
    ----------
    input : ndarray (N, C, H, W) or (C, H, W)
        float32 or float64; (N, H, W, C) with ``data_format="NHWC"``.
    norm_type : float
        The power p. Powers keep their sign, as in PyTorch: a negative sum has no root, but NaN.
    kernel_size, stride, ceil_mode : optional
        As in `avg_pool2d`.

    Returns
    -------
    ndarray (N, C, P, Q)
        The roots.

    Raises
    ------
    ShapeError
        If sizes do not fit.
    TypeError
        If the dtype is not supported.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import lp_pool2d
    >>> lp_pool2d(np.array([[[3.0, 4.0]]]), 2, (1, 2))
    array([[[5.]]])
    """
    kernel = _axes.numbers(kernel_size, 2, "kernel_size", 1)
    options: dict[str, Any] = {"data_format": data_format, "num_threads": num_threads}
    x = np.asarray(input)
    with np.errstate(all="ignore"):
        powers = x if norm_type == 1 else np.power(x, x.dtype.type(norm_type))
        means = avg_pool2d(powers, kernel, stride, 0, ceil_mode, **options)
        sums = means * x.dtype.type(prod(kernel))
        return sums if norm_type == 1 else np.asarray(np.power(sums, x.dtype.type(1 / norm_type)))


def max_unpool2d(
    input: Array,
    indices: Array,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
) -> Array:
    """Put maxima back where they came from, zeros elsewhere: the inverse of `max_pool2d`.

    Parameters
    ----------
    input : ndarray (N, C, P, Q) or (C, P, Q)
        Maxima.
    indices : ndarray of int64
        Of the same shape: positions that `max_pool2d` returned. Where several are the same, one of
        their values is left.
    kernel_size, stride, padding : int or (int, int), optional
        Those of the pool.
    output_size : sequence of int, optional
        (H, W), or a whole shape; (P - 1)*stride - 2*padding + kernel_size by default.

    Returns
    -------
    ndarray (N, C, H, W)
        The image.

    Raises
    ------
    ShapeError
        If shapes differ, or the output size is one that the pool could not have had.
    ValueError
        If an index lies outside the image.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import max_pool2d, max_unpool2d
    >>> y, indices = max_pool2d(np.arange(4.0).reshape(1, 2, 2), 2, return_indices=True)
    >>> max_unpool2d(y, indices, 2)
    array([[[0., 0.],
            [0., 3.]]])
    """
    kernel = _axes.numbers(kernel_size, 2, "kernel_size", 1)
    steps = _axes.numbers(stride, 2, "stride", 1) if given(stride) else kernel
    pads = _axes.numbers(padding, 2, "padding", 0)
    x, batched = _images(input, 2, "NCHW")
    if np.shape(indices) != np.shape(input):
        raise ShapeError(f"indices: expected shape {input.shape}, got {np.shape(indices)}")
    usual = tuple(
        (n - 1) * s - 2 * pad + k
        for n, s, pad, k in zip(x.shape[2:], steps, pads, kernel, strict=True)
    )
    size = usual
    if output_size is not None:
        size = tuple(integer(n, "output_size", 1) for n in tuple(output_size)[-2:])
        if len(size) != 2 or any(
            abs(n - u) >= s for n, u, s in zip(size, usual, steps, strict=True)
        ):
            raise ShapeError(f"output_size: expected about {usual}, got {output_size!r}")
    if min(size) < 1:
        raise ShapeError(f"output_size: expected positive numbers, got {size}")
    y = np.zeros((*x.shape[:2], prod(size)), x.dtype)
    flat = np.asarray(indices).reshape(*x.shape[:2], -1)
    if flat.size and not (flat.min() >= 0 and flat.max() < y.shape[2]):
        raise ValueError(f"indices: expected 0 to {y.shape[2] - 1}, got {flat.min()}, {flat.max()}")
    np.put_along_axis(y, flat, x.reshape(flat.shape), 2)
    y = y.reshape(*x.shape[:2], *size)
    return y if batched else y[0]
