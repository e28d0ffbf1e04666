"""Max and average pooling over one and three axes: pools of planes, one after another."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _axes
from .._arguments import given
from .._views import Array
from ..errors import ShapeError
from .pooling import avg_pool2d, max_pool2d


def _batched(input: Any, axes: int) -> tuple[Array, bool]:
    """An input with its batch axis, and whether it came with one."""
    names = ("W",) if axes == 1 else ("D", "H", "W")
    if not isinstance(input, np.ndarray):
        raise TypeError(f"input: expected a NumPy array, got {type(input).__name__}")
    if input.ndim not in (axes + 1, axes + 2):
        volume = ", ".join(("C", *names))
        raise ShapeError(f"input: expected shape (N, {volume}) or ({volume}), got {input.shape}")
    batched = input.ndim == axes + 2
    return (input if batched else input[None]), batched


def _window(
    axes: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any = 1
) -> tuple[tuple[int, ...], ...]:
    kernel = _axes.numbers(kernel_size, axes, "kernel_size", 1)
    return (
        kernel,
        _axes.numbers(stride, axes, "stride", 1) if given(stride) else kernel,
        _axes.numbers(padding, axes, "padding", 0),
        _axes.numbers(dilation, axes, "dilation", 1),
    )


def max_pool1d(
    input: Array,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    num_threads: int | None = None,
) -> Any:
    """Largest value of each window of lines.

    Parameters
    ----------
    input : ndarray (N, C, W) or (C, W)
        float32, float64 or integers.
    kernel_size, stride, padding, dilation : int or (int,), optional
        As in `max_pool2d`, along one axis.
    ceil_mode, return_indices : bool, optional
        As in `max_pool2d`; indices are positions in the line.

    Returns
    -------
    ndarray (N, C, Q), or a tuple of it and int64 indices
        The maxima.

    Raises
    ------
    ShapeError
        If sizes do not fit, or `padding` exceeds half the kernel.
    TypeError
        If the dtype is not supported.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import max_pool1d
    >>> max_pool1d(np.array([[1.0, 4.0, 2.0, 3.0]]), 2, return_indices=True)
    (array([[4., 3.]]), array([[1, 3]]))
    """
    x, batched = _batched(input, 1)
    sizes = ((1, *k) for k in _window(1, kernel_size, stride, padding, dilation))
    kernel, steps, pads, spread = sizes
    found = max_pool2d(
        x[:, :, None],
        kernel,
        steps,
        (0, pads[1]),
        spread,
        ceil_mode,
        return_indices,
        num_threads=num_threads,
    )
    lines = [y[:, :, 0] if batched else y[0, :, 0] for y in (found if return_indices else (found,))]
    return tuple(lines) if return_indices else lines[0]


def avg_pool1d(
    input: Array,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    *,
    num_threads: int | None = None,
) -> Array:
    """Mean of each window of lines.

    Parameters
    ----------
    input : ndarray (N, C, W) or (C, W)
        float32 or float64.
    kernel_size, stride, padding : int or (int,), optional
        As in `avg_pool2d`, along one axis.
    ceil_mode, count_include_pad : bool, optional
        As in `avg_pool2d`.

    Returns
    -------
    ndarray (N, C, Q)
        The means.

    Raises
    ------
    ShapeError
        If sizes do not fit, or `padding` exceeds half the kernel.
    TypeError
        If the dtype is not supported.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import avg_pool1d
    >>> avg_pool1d(np.array([[1.0, 4.0, 2.0, 3.0]]), 2)
    array([[2.5, 2.5]])
    """
    x, batched = _batched(input, 1)
    (kernel,), (step,), (pad,), _ = _window(1, kernel_size, stride, padding)
    y = avg_pool2d(
        x[:, :, None],
        (1, kernel),
        (1, step),
        (0, pad),
        ceil_mode,
        count_include_pad,
        num_threads=num_threads,
    )
    return y[:, :, 0] if batched else y[0, :, 0]


def max_pool3d(
    input: Array,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    num_threads: int | None = None,
) -> Any:
    """Largest value of each window of volumes: of each slice first, then along the depth.

    Parameters
    ----------
    input : ndarray (N, C, D, H, W) or (C, D, H, W)
        float32, float64 or integers.
    kernel_size, stride, padding, dilation : int or (int, int, int), optional
        As in `max_pool2d`, for depth, height and width.
    ceil_mode, return_indices : bool, optional
        As in `max_pool2d`; indices are positions (d*H + h)*W + w.

    Returns
    -------
    ndarray (N, C, O, P, Q), or a tuple of it and int64 indices
        The maxima.

    Raises
    ------
    ShapeError
        If sizes do not fit, or `padding` exceeds half the kernel.
    TypeError
        If the dtype is not supported.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import max_pool3d
    >>> max_pool3d(np.arange(8.0).reshape(1, 2, 2, 2), 2, return_indices=True)
    (array([[[[7.]]]]), array([[[[7]]]]))
    """
    x, batched = _batched(input, 3)
    kernel, steps, pads, spread = _window(3, kernel_size, stride, padding, dilation)
    n, c, depth, height, width = x.shape

    def pool(images: Array, *window: Any) -> Any:
        more: tuple[Any, ...] = (ceil_mode, return_indices)
        return max_pool2d(images, *window, *more, num_threads=num_threads)

    slices = x.reshape(n, c * depth, height, width)
    found = pool(slices, kernel[1:], steps[1:], pads[1:], spread[1:])
    y, within = found if return_indices else (found, None)
    p, q = y.shape[2:]
    columns = y.reshape(n, c, depth, p * q)
    found = pool(columns, (kernel[0], 1), (steps[0], 1), (pads[0], 0), (spread[0], 1))
    y, which = found if return_indices else (found, None)
    shape = (n, c, y.shape[2], p, q) if batched else (c, y.shape[2], p, q)
    if which is None or within is None:
        return y.reshape(shape)
    flat = which.reshape(n, c, -1)
    place = np.take_along_axis(within.reshape(n, c, -1), flat, 2)
    return y.reshape(shape), (place + flat // (p * q) * (height * width)).reshape(shape)


def avg_pool3d(
    input: Array,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    num_threads: int | None = None,
) -> Array:
    """Mean of each window of volumes: of each slice first, then along the depth.

    Parameters
    ----------
    input : ndarray (N, C, D, H, W) or (C, D, H, W)
        float32 or float64.
    kernel_size, stride, padding : int or (int, int, int), optional
        As in `avg_pool2d`, for depth, height and width.
    ceil_mode, count_include_pad, divisor_override : optional
        As in `avg_pool2d`.

    Returns
    -------
    ndarray (N, C, O, P, Q)
        The means.

    Raises
    ------
    ShapeError
        If sizes do not fit, or `padding` exceeds half the kernel.
    TypeError
        If the dtype is not supported.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import avg_pool3d
    >>> avg_pool3d(np.arange(8.0).reshape(1, 2, 2, 2), 2)
    array([[[[3.5]]]])
    """
    x, batched = _batched(input, 3)
    kernel, steps, pads, _ = _window(3, kernel_size, stride, padding)
    n, c, depth, height, width = x.shape

    def pool(images: Array, *window: Any) -> Array:
        return avg_pool2d(images, *window, num_threads=num_threads)

    counted = (ceil_mode, count_include_pad)
    slices = x.reshape(n, c * depth, height, width)
    y = pool(slices, kernel[1:], steps[1:], pads[1:], *counted, divisor_override)
    p, q = y.shape[2:]
    whole = None if divisor_override is None else 1
    columns = y.reshape(n, c, depth, p * q)
    y = pool(columns, (kernel[0], 1), (steps[0], 1), (pads[0], 0), *counted, whole)
    shape = (c, y.shape[2], p, q)
    return y.reshape(n, *shape) if batched else y.reshape(shape)
