"""Convolution over one and three axes, and transposed convolution over one, two and three."""

from __future__ import annotations

from typing import Any

from .._views import Array
from .packed import PackedWeights, convolve


def conv1d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    data_format: str = "NCL",
    activation: str | None = None,
    out: Array | None = None,
    padding_mode: str = "zeros",
    strict: bool = False,
    algorithm: str | None = None,
    num_threads: int | None = None,
    packed: PackedWeights | None = None,
) -> Array:
    """One-dimensional convolution (cross-correlation, as in PyTorch) over a batch of sequences.

    Parameters
    ----------
    input : ndarray (N, C, L) or (C, L)
        float32 or float64; (N, L, C) with ``data_format="NLC"``.
    weight : ndarray (K, C/groups, S)
        Filters, of the same dtype.
    bias : ndarray (K,), optional
        Added to each filter's output.
    stride, dilation : int or one for each axis, optional
        Step of the filter, and of its taps.
    padding : int, one for each axis, (before, after) for each axis, or str, optional
        Zeros around the input; "valid", "same" and "same_lower" as in `conv2d`.
    groups, activation, out, padding_mode, strict, num_threads, packed : optional
        As in `conv2d`.
    algorithm : optional
        As in `conv2d`; "winograd" falls back to a direct sum where it does not fit.

    Returns
    -------
    ndarray (N, K, Q)
        Sizes as in `conv2d`, along each axis.

    Raises
    ------
    ShapeError
        If shapes do not fit each other, or the filter not the padded input.
    TypeError
        If an argument is not of its kind, or dtypes are mixed or not supported.
    ValueError
        If a word is not among those allowed, or `out` overlaps an input.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import conv1d
    >>> conv1d(np.array([[1.0, 2.0, 4.0, 7.0]]), np.array([[[-1.0, 1.0]]]))
    array([[1., 2., 3.]])
    """
    geometry = {
        "stride": stride,
        "padding": padding,
        "padding_mode": padding_mode,
        "dilation": dilation,
        "groups": groups,
        "strict": strict,
    }
    return convolve(
        1,
        False,
        input,
        weight,
        bias,
        geometry,
        data_format,
        activation,
        out,
        algorithm,
        num_threads,
        packed,
    )


def conv3d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    data_format: str = "NCDHW",
    activation: str | None = None,
    out: Array | None = None,
    padding_mode: str = "zeros",
    strict: bool = False,
    algorithm: str | None = None,
    num_threads: int | None = None,
    packed: PackedWeights | None = None,
) -> Array:
    """Three-dimensional convolution (cross-correlation, as in PyTorch) over a batch of volumes.

    Parameters
    ----------
    input : ndarray (N, C, D, H, W) or (C, D, H, W)
        float32 or float64; (N, D, H, W, C) with ``data_format="NDHWC"``.
    weight : ndarray (K, C/groups, T, R, S)
        Filters, of the same dtype.
    bias : ndarray (K,), optional
        Added to each filter's output.
    stride, dilation : int or one for each axis, optional
        Step of the filter, and of its taps.
    padding : int, one for each axis, (before, after) for each axis, or str, optional
        Zeros around the input; "valid", "same" and "same_lower" as in `conv2d`.
    groups, activation, out, padding_mode, strict, num_threads, packed : optional
        As in `conv2d`.
    algorithm : optional
        As in `conv2d`; "winograd" falls back to a direct sum where it does not fit.

    Returns
    -------
    ndarray (N, K, O, P, Q)
        Sizes as in `conv2d`, along each axis.

    Raises
    ------
    ShapeError
        If shapes do not fit each other, or the filter not the padded input.
    TypeError
        If an argument is not of its kind, or dtypes are mixed or not supported.
    ValueError
        If a word is not among those allowed, or `out` overlaps an input.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import conv3d
    >>> conv3d(np.ones((1, 2, 8, 16, 16)), np.ones((4, 2, 3, 3, 3)), padding=1).shape
    (1, 4, 8, 16, 16)
    """
    geometry = {
        "stride": stride,
        "padding": padding,
        "padding_mode": padding_mode,
        "dilation": dilation,
        "groups": groups,
        "strict": strict,
    }
    return convolve(
        3,
        False,
        input,
        weight,
        bias,
        geometry,
        data_format,
        activation,
        out,
        algorithm,
        num_threads,
        packed,
    )


def conv_transpose1d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
    *,
    data_format: str = "NCL",
    activation: str | None = None,
    out: Array | None = None,
    algorithm: str | None = None,
    num_threads: int | None = None,
    packed: PackedWeights | None = None,
) -> Array:
    """Transposed one-dimensional convolution: the adjoint of `conv1d` in its input.

    Parameters
    ----------
    input : ndarray (N, C, L) or (C, L)
        float32 or float64; channels last with ``data_format="NLC"``.
    weight : ndarray (C, K/groups, S)
        Filters, of the same dtype.
    bias, stride, padding, output_padding, groups, dilation : optional
        As in `conv_transpose2d`, for each axis.
    activation, out, algorithm, num_threads, packed : optional
        As in `conv_transpose2d`.

    Returns
    -------
    ndarray (N, K, Q)
        Sizes as in `conv_transpose2d`, along each axis.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import conv_transpose1d
    >>> conv_transpose1d(np.array([[1.0, 2.0]]), np.array([[[1.0, 1.0, 1.0]]]), stride=2)
    array([[1., 1., 3., 2., 2.]])
    """
    geometry = {
        "stride": stride,
        "padding": padding,
        "output_padding": output_padding,
        "dilation": dilation,
        "groups": groups,
    }
    return convolve(
        1,
        True,
        input,
        weight,
        bias,
        geometry,
        data_format,
        activation,
        out,
        algorithm,
        num_threads,
        packed,
    )


def conv_transpose2d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
    *,
    data_format: str = "NCHW",
    activation: str | None = None,
    out: Array | None = None,
    algorithm: str | None = None,
    num_threads: int | None = None,
    packed: PackedWeights | None = None,
) -> Array:
    """Transposed two-dimensional convolution: the adjoint of `conv2d` in its input.

    Parameters
    ----------
    input : ndarray (N, C, H, W) or (C, H, W)
        float32 or float64; (N, H, W, C) with ``data_format="NHWC"``.
    weight : ndarray (C, K/groups, R, S)
        Filters, of the same dtype: those of the convolution that this is the adjoint of.
    bias : ndarray (K,), optional
        Added to each filter's output.
    stride, dilation : int or (int, int), optional
        Step of the filter, and of its taps, in pixels of the output.
    padding : int, (h, w) or ((top, bottom), (left, right)), optional
        Taken away from the sides of the output.
    output_padding : int or (h, w), optional
        Added to the size of the output at the end; smaller than stride or dilation.
    groups, activation, out, num_threads, packed : optional
        As in `conv2d`.
    algorithm : optional
        As in `conv2d`; "winograd" is for those parts of the sum that it fits.

    Returns
    -------
    ndarray (N, K, P, Q)
        P = (H - 1)*stride - top - bottom + dilation*(R - 1) + output_padding + 1, Q alike.

    Raises
    ------
    ShapeError
        If shapes do not fit each other, or nothing of the output is left.
    TypeError
        If an argument is not of its kind, or dtypes are mixed or not supported.
    ValueError
        If a word is not among those allowed, or `out` overlaps an input.

    Notes
    -----
    The outputs of each phase of the stride are an ordinary convolution with every stride-th tap,
    which is how they are computed: no zeros are stuffed between the inputs.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import conv_transpose2d
    >>> conv_transpose2d(np.eye(2)[None], np.arange(4.0).reshape(1, 1, 2, 2), stride=2)
    array([[[0., 1., 0., 0.],
            [2., 3., 0., 0.],
            [0., 0., 0., 1.],
            [0., 0., 2., 3.]]])
    """
    geometry = {
        "stride": stride,
        "padding": padding,
        "output_padding": output_padding,
        "dilation": dilation,
        "groups": groups,
    }
    return convolve(
        2,
        True,
        input,
        weight,
        bias,
        geometry,
        data_format,
        activation,
        out,
        algorithm,
        num_threads,
        packed,
    )


def conv_transpose3d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
    *,
    data_format: str = "NCDHW",
    activation: str | None = None,
    out: Array | None = None,
    algorithm: str | None = None,
    num_threads: int | None = None,
    packed: PackedWeights | None = None,
) -> Array:
    """Transposed three-dimensional convolution: the adjoint of `conv3d` in its input.

    Parameters
    ----------
    input : ndarray (N, C, D, H, W) or (C, D, H, W)
        float32 or float64; channels last with ``data_format="NDHWC"``.
    weight : ndarray (C, K/groups, T, R, S)
        Filters, of the same dtype.
    bias, stride, padding, output_padding, groups, dilation : optional
        As in `conv_transpose2d`, for each axis.
    activation, out, algorithm, num_threads, packed : optional
        As in `conv_transpose2d`.

    Returns
    -------
    ndarray (N, K, O, P, Q)
        Sizes as in `conv_transpose2d`, along each axis.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import conv_transpose3d
    >>> conv_transpose3d(np.ones((1, 2, 4, 8, 8)), np.ones((2, 3, 2, 2, 2)), stride=2).shape
    (1, 3, 8, 16, 16)
    """
    geometry = {
        "stride": stride,
        "padding": padding,
        "output_padding": output_padding,
        "dilation": dilation,
        "groups": groups,
    }
    return convolve(
        3,
        True,
        input,
        weight,
        bias,
        geometry,
        data_format,
        activation,
        out,
        algorithm,
        num_threads,
        packed,
    )
