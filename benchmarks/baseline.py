"""The NumPy baseline: convolution by im2col and matmul (BLAS), and the layers around it.

This is what fastconv is measured against, so it is as fast as plain NumPy code gets.
Milliseconds with one thread of an AMD EPYC (Zen 4), NumPy 2.4, OpenBLAS 0.3.31, bias included:

=======================================================  ============  ============  ============
formulation of the convolution                           100x3x32x32   100x3x31x31   300x10x32x32
                                                         to 10         to 25, /2     to 10
=======================================================  ============  ============  ============
tensordot over the six-dimensional window view           7.3           2.2           83
one matmul, columns (C R S, N P Q), output transposed    2.8           1.5           42
nine shifted slices, batched matmul                      3.0           0.9           46
window view, batched matmul (`conv2d`)                   2.5           0.9           38
the last, a slice of the batch at a time                 1.7           0.9           15
=======================================================  ============  ============  ============

`conv2d` is the last but one, the fastest that treats the whole batch at once. `conv2d_blocked` is
the last: the same arithmetic one slice of the batch at a time, so that the columns stay in the
second-level cache and are never written to memory. That is more code than one usually writes, but
a stricter measure. Both are reported.

Letters: N images, C channels, H x W input; K filters of R x S; P x Q output; G groups.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Float = TypeVar("Float", bound=np.floating[Any])
Size = int | tuple[int, int]

BLOCK_BYTES = 512 * 1024  # columns of one slice: half of a one-megabyte second-level cache


def _pair(value: Size) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


def _padded(x: NDArray[Float], padding: tuple[int, int], fill: float) -> NDArray[Float]:
    """Return x (N, C, H, W) with `padding` rows and columns of `fill` around each image."""
    vertical, horizontal = padding
    if vertical == 0 and horizontal == 0:
        return x
    n, c, h, w = x.shape
    framed = np.full((n, c, h + 2 * vertical, w + 2 * horizontal), fill, dtype=x.dtype)
    framed[:, :, vertical : vertical + h, horizontal : horizontal + w] = x
    return framed


def _windows(
    x: NDArray[Float], kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> NDArray[Float]:
    """Return a view (N, C, R, S, P, Q) of x: for each place in the filter, what it meets."""
    extent = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))
    view = sliding_window_view(x, extent, axis=(2, 3))
    view = view[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
    return view.transpose(0, 1, 4, 5, 2, 3)


def im2col(
    x: NDArray[Float], kernel: Size, stride: Size = 1, padding: Size = 0, dilation: Size = 1
) -> NDArray[Float]:
    """Write each patch that a filter meets as one column.

    Parameters
    ----------
    x : ndarray
        Images (N, C, H, W).
    kernel, stride, padding, dilation : int or (int, int)
        As in `conv2d`; vertical first.

    Returns
    -------
    ndarray
        Columns (N, C R S, P Q), in the order of the weights (K, C, R, S).

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.benchmarks import baseline
    >>> baseline.im2col(np.arange(9.0).reshape(1, 1, 3, 3), kernel=2)
    array([[[0., 1., 3., 4.],
            [1., 2., 4., 5.],
            [3., 4., 6., 7.],
            [4., 5., 7., 8.]]])
    """
    view = _windows(_padded(x, _pair(padding), 0.0), _pair(kernel), _pair(stride), _pair(dilation))
    n, c, r, s, p, q = view.shape
    return view.reshape(n, c * r * s, p * q)


def conv2d(
    x: NDArray[Float],
    weight: NDArray[Float],
    bias: NDArray[Float] | None = None,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> NDArray[Float]:
    """Convolve by im2col and one batched matmul over the whole batch.

    Parameters
    ----------
    x : ndarray
        Images (N, C, H, W).
    weight : ndarray
        Filters (K, C / groups, R, S).
    bias : ndarray, optional
        One number (K,) for each filter.
    stride, padding, dilation : int or (int, int)
        Vertical first; the padding is of zeros on both sides.
    groups : int
        Filters of each group see C / groups channels.

    Returns
    -------
    ndarray
        Activation maps (N, K, P, Q), in C order.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.benchmarks import baseline
    >>> x = np.ones((1, 3, 32, 32), dtype=np.float32)
    >>> baseline.conv2d(x, np.ones((10, 3, 3, 3), dtype=np.float32), padding=1).shape
    (1, 10, 32, 32)
    """
    view = _windows(
        _padded(x, _pair(padding), 0.0), weight.shape[2:], _pair(stride), _pair(dilation)
    )
    n, _, r, s, p, q = view.shape
    k, depth = weight.shape[:2]
    columns = view.reshape(n, groups, depth * r * s, p * q)
    filters = weight.reshape(groups, k // groups, -1)
    y: NDArray[Float] = np.matmul(filters, columns).reshape(n, k, p, q)
    if bias is not None:
        y += bias[:, None, None]
    return y


def conv2d_blocked(
    x: NDArray[Float],
    weight: NDArray[Float],
    bias: NDArray[Float] | None = None,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> NDArray[Float]:
    """Convolve as `conv2d`, one slice of the batch at a time, columns kept in the cache.

    Parameters
    ----------
    x, weight, bias, stride, padding, dilation, groups
        As in `conv2d`.

    Returns
    -------
    ndarray
        Activation maps (N, K, P, Q), in C order.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.benchmarks import baseline
    >>> x = np.ones((100, 3, 32, 32), dtype=np.float32)
    >>> w = np.ones((10, 3, 3, 3), dtype=np.float32)
    >>> np.array_equal(baseline.conv2d_blocked(x, w), baseline.conv2d(x, w))
    True
    """
    n, c, h, w = x.shape
    k, depth, r, s = weight.shape
    (top, left), steps, gaps = _pair(padding), _pair(stride), _pair(dilation)
    p = (h + 2 * top - (r - 1) * gaps[0] - 1) // steps[0] + 1
    q = (w + 2 * left - (s - 1) * gaps[1] - 1) // steps[1] + 1
    size = max(1, min(n, BLOCK_BYTES // (c * r * s * p * q * x.itemsize)))
    framed = np.zeros((size, c, h + 2 * top, w + 2 * left), dtype=x.dtype)
    view = _windows(framed, (r, s), steps, gaps)
    columns = np.empty((size, c, r, s, p, q), dtype=x.dtype)
    matrix = columns.reshape(size, groups, depth * r * s, p * q)
    filters = weight.reshape(groups, k // groups, -1)
    y = np.empty((n, groups, k // groups, p * q), dtype=x.dtype)
    for first in range(0, n, size):
        count = min(size, n - first)
        part = y[first : first + count]
        framed[:count, :, top : top + h, left : left + w] = x[first : first + count]
        columns[:count] = view[:count]
        np.matmul(filters, matrix[:count], out=part)
        if bias is not None:
            part += bias.reshape(groups, -1, 1)
    return y.reshape(n, k, p, q)


def max_pool2d(
    x: NDArray[Float], kernel: Size, stride: Size | None = None, padding: Size = 0
) -> NDArray[Float]:
    """Take the maximum of each window by one `numpy.maximum` for each place in it.

    For the usual 2x2 windows this is over 20 times as fast as ``max`` over a window view.

    Parameters
    ----------
    x : ndarray
        Activation maps (N, C, H, W).
    kernel : int or (int, int)
        Height and width of the window.
    stride : int or (int, int), optional
        The size of the window unless given.
    padding : int or (int, int)
        Rows and columns of minus infinity around each map.

    Returns
    -------
    ndarray
        Maxima (N, C, P, Q).

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.benchmarks import baseline
    >>> baseline.max_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), kernel=2)
    array([[[[ 5.,  7.],
             [13., 15.]]]])
    """
    size = _pair(kernel)
    steps = size if stride is None else _pair(stride)
    view = _windows(_padded(x, _pair(padding), -np.inf), size, steps, (1, 1))
    y = view[:, :, 0, 0].copy()
    for place in range(1, size[0] * size[1]):
        np.maximum(y, view[:, :, place // size[1], place % size[1]], out=y)
    return y


def avg_pool2d(
    x: NDArray[Float], kernel: Size, stride: Size | None = None, padding: Size = 0
) -> NDArray[Float]:
    """Take the mean of each window, padding of zeros included, by one sum for each place in it.

    Parameters
    ----------
    x, kernel, stride, padding
        As in `max_pool2d`.

    Returns
    -------
    ndarray
        Means (N, C, P, Q).

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.benchmarks import baseline
    >>> baseline.avg_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), kernel=2)
    array([[[[ 2.5,  4.5],
             [10.5, 12.5]]]])
    """
    size = _pair(kernel)
    steps = size if stride is None else _pair(stride)
    view = _windows(_padded(x, _pair(padding), 0.0), size, steps, (1, 1))
    y = view[:, :, 0, 0].copy()
    for place in range(1, size[0] * size[1]):
        y += view[:, :, place // size[1], place % size[1]]
    y /= size[0] * size[1]
    return y


def relu(x: NDArray[Float]) -> NDArray[Float]:
    """Replace what is below zero by zero, in place.

    Parameters
    ----------
    x : ndarray
        Any array; it is overwritten.

    Returns
    -------
    ndarray
        The same array.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.benchmarks import baseline
    >>> baseline.relu(np.array([-1.0, 2.0]))
    array([0., 2.])
    """
    np.maximum(x, 0, out=x)
    return x


def linear(
    x: NDArray[Float], weight: NDArray[Float], bias: NDArray[Float] | None = None
) -> NDArray[Float]:
    """Multiply by a weight matrix and add a bias: x W^T + b.

    Parameters
    ----------
    x : ndarray
        Rows (N, in).
    weight : ndarray
        Weights (out, in).
    bias : ndarray, optional
        One number (out,) for each output.

    Returns
    -------
    ndarray
        Rows (N, out).

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.benchmarks import baseline
    >>> baseline.linear(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]), np.array([5.0]))
    array([[16.]])
    """
    y: NDArray[Float] = x @ weight.T
    if bias is not None:
        y += bias
    return y
