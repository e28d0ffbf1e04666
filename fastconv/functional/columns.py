"""Patches as columns (im2col, unfold) and back (col2im, fold)."""

from __future__ import annotations

from typing import Any

from .. import _native, _plans
from .._arguments import hashable, word
from .._views import Array


def im2col(
    input: Array,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
    *,
    order: str = "torch",
    num_threads: int | None = None,
) -> Array:
    """Lay each patch that a filter sees out as a column.

    Parameters
    ----------
    input : ndarray (N, C, H, W) or (C, H, W)
        float32 or float64.
    kernel_size, dilation, stride : int or (int, int)
        Window, step of its elements, step of the window.
    padding : optional
        As in `conv2d`.
    order : {"torch", "cs231n"}, optional
        PyTorch's (N, C*R*S, L), or the course's (C*R*S, L*N) with the images of one place side
        by side.

    Returns
    -------
    ndarray (N, C*R*S, L)
        Column l is the patch of output place l = p*Q + q; its rows are in the order (channel, row,
        column).

    Raises
    ------
    ShapeError
        If sizes do not fit.
    TypeError
        If the dtype is not supported.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import im2col
    >>> im2col(np.arange(6.0).reshape(1, 2, 3), (2, 2))
    array([[0., 1.],
           [1., 2.],
           [3., 4.],
           [4., 5.]])
    """
    x, key = _native.describe(input, "input")
    program = _plans.unfold(
        key,
        hashable(kernel_size, "kernel_size"),
        hashable(dilation, "dilation"),
        hashable(padding, "padding"),
        hashable(stride, "stride"),
        word(order, "order"),
    )
    return program.run((x,), None, num_threads)  # type: ignore[no-any-return]


def unfold(
    input: Array,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
    *,
    num_threads: int | None = None,
) -> Array:
    """`im2col` in PyTorch's order and under PyTorch's name.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import unfold
    >>> unfold(np.ones((1, 3, 8, 8)), 3).shape
    (1, 27, 36)
    """
    return im2col(input, kernel_size, dilation, padding, stride, num_threads=num_threads)


def col2im(
    input: Array,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
    *,
    order: str = "torch",
    num_threads: int | None = None,
) -> Array:
    """Sum columns back into images: the adjoint of `im2col`.

    Parameters
    ----------
    input : ndarray (N, C*R*S, L) or (C*R*S, L)
        float32 or float64; (C*R*S, L*N) with ``order="cs231n"``.
    output_size : int or (int, int)
        H and W of the images.
    kernel_size, dilation, padding, stride, order : optional
        As in `im2col`.

    Returns
    -------
    ndarray (N, C, H, W)
        Each pixel is the sum over all places of columns that show it.

    Raises
    ------
    ShapeError
        If the columns are not those of such images.
    TypeError
        If the dtype is not supported.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import col2im
    >>> col2im(np.ones((4, 2)), (2, 3), (2, 2))
    array([[[1., 2., 1.],
            [1., 2., 1.]]])
    """
    x, key = _native.describe(input, "input")
    program = _plans.fold(
        key,
        hashable(output_size, "output_size"),
        hashable(kernel_size, "kernel_size"),
        hashable(dilation, "dilation"),
        hashable(padding, "padding"),
        hashable(stride, "stride"),
        word(order, "order"),
    )
    return program.run((x,), None, num_threads)  # type: ignore[no-any-return]


def fold(
    input: Array,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
    *,
    num_threads: int | None = None,
) -> Array:
    """`col2im` in PyTorch's order and under PyTorch's name.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import fold
    >>> fold(np.ones((1, 27, 36)), (8, 8), 3).shape
    (1, 3, 8, 8)
    """
    return col2im(
        input, output_size, kernel_size, dilation, padding, stride, num_threads=num_threads
    )
