"""Max and average pooling."""

from __future__ import annotations

from typing import Any

from .. import _native, _plans
from .._arguments import check_out, hashable, word
from .._views import Array


def max_pool2d(
    input: Array,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    data_format: str = "NCHW",
    out: Array | None = None,
    strict: bool = False,
    num_threads: int | None = None,
) -> Any:
    """Largest value of each window, each channel on its own.

    Parameters
    ----------
    input : ndarray (N, C, H, W) or (C, H, W)
        float32, float64 or integers; (N, H, W, C) with ``data_format="NHWC"``.
    kernel_size, stride : int or (int, int)
        Window and its step, in pixels; a stride of None is the kernel size.
    padding : int or (int, int), optional
        At most half the kernel; padding never wins.
    dilation : int or (int, int), optional
        Step between the window's elements.
    ceil_mode : bool, optional
        Round the output size up; a window wholly in the padding is dropped.
    return_indices : bool, optional
        Also return each maximum's position h*W + w in its channel: the first among equals. NaN
        wins over all numbers.
    strict : bool, optional
        Refuse sizes where the output-size formula leaves a remainder.

    Returns
    -------
    ndarray (N, C, P, Q), or a tuple of it and int64 indices
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
    >>> from fastconv.functional import max_pool2d
    >>> x = np.array([[[1, 5, 2, 0], [3, 4, 8, 6]]], np.int32)
    >>> max_pool2d(x, 2)
    array([[[5, 8]]], dtype=int32)
    """
    x, key = _native.describe(input, "input")
    program = _plans.max_pool2d(
        key,
        None if out is None else check_out(out, x),
        hashable(kernel_size, "kernel_size"),
        hashable(stride, "stride"),
        hashable(padding, "padding"),
        hashable(dilation, "dilation"),
        bool(ceil_mode),
        bool(return_indices),
        word(data_format, "data_format"),
        bool(strict),
    )
    if out is None:
        return program.run((x,), None, num_threads)
    return program.run((x,), (out, None) if return_indices else (out,), num_threads)


def avg_pool2d(
    input: Array,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    data_format: str = "NCHW",
    out: Array | None = None,
    strict: bool = False,
    num_threads: int | None = None,
) -> Array:
    """Mean of each window, each channel on its own.

    Parameters
    ----------
    input : ndarray (N, C, H, W) or (C, H, W)
        float32 or float64; (N, H, W, C) with ``data_format="NHWC"``.
    kernel_size, stride, padding, ceil_mode, strict : optional
        As in `max_pool2d`.
    count_include_pad : bool, optional
        Whether zeros of the padding count in the mean.
    divisor_override : int, optional
        Divide sums by this instead of the number of elements.

    Returns
    -------
    ndarray (N, C, P, Q)
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
    >>> from fastconv.functional import avg_pool2d
    >>> avg_pool2d(np.arange(16.0).reshape(1, 4, 4), 2)
    array([[[ 2.5,  4.5],
            [10.5, 12.5]]])
    """
    x, key = _native.describe(input, "input")
    program = _plans.avg_pool2d(
        key,
        None if out is None else check_out(out, x),
        hashable(kernel_size, "kernel_size"),
        hashable(stride, "stride"),
        hashable(padding, "padding"),
        bool(ceil_mode),
        bool(count_include_pad),
        hashable(divisor_override, "divisor_override"),
        word(data_format, "data_format"),
        bool(strict),
    )
    return program.run((x,), None if out is None else (out,), num_threads)  # type: ignore[no-any-return]
