"""Convolution with shared and with unshared weights."""

from __future__ import annotations

from typing import Any

from .. import _conv_plans, _native
from .._arguments import check_out, hashable, word
from .._views import Array
from .packed import PackedWeights, convolve, run_conv


def conv2d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    data_format: str = "NCHW",
    activation: str | None = None,
    out: Array | None = None,
    padding_mode: str = "zeros",
    strict: bool = False,
    algorithm: str | None = None,
    num_threads: int | None = None,
    packed: PackedWeights | None = None,
) -> Array:
    """Two-dimensional convolution (cross-correlation, as in PyTorch) over a batch of images.

    Parameters
    ----------
    input : ndarray (N, C, H, W) or (C, H, W)
        float32 or float64; (N, H, W, C) with ``data_format="NHWC"``.
    weight : ndarray (K, C/groups, R, S)
        Filters, of the same dtype; the same axes in both data formats.
    bias : ndarray (K,), optional
        Added to each filter's output.
    stride, dilation : int or (int, int), optional
        Step of the filter, and of its taps, in pixels.
    padding : int, (h, w), ((top, bottom), (left, right)) or str, optional
        Zeros around the image; "valid" for none, "same" for an output of ceil(size / stride), with
        the odd row or column at the end ("same_lower": at the beginning).
    groups : int, optional
        Channels and filters are split into so many groups that do not see each other.
    activation : str, optional
        Applied in the same pass: "relu", "relu6", "leaky_relu" (slope 0.01), "elu", "selu",
        "hardswish", "hardsigmoid", "sigmoid", "silu", "tanh", "gelu", "gelu_tanh", "softplus" or
        "mish".
    padding_mode : {"zeros", "reflect", "replicate", "circular"}, optional
        What the padding holds: zeros, the image mirrored at its edge, its edge repeated, or the
        image again from the other end.
    strict : bool, optional
        Refuse sizes where the output-size formula leaves a remainder (the lecture's "cannot").
    algorithm : {None, "auto", "direct", "winograd", "im2col", ...}, optional
        "direct" sums as written, with vectors along the filters ("channels_last") or the pixels
        ("planar"), or by the kernels for groups of one channel ("depthwise"); "winograd" computes
        undilated 3x3 filters at strides 1 and 2 with up to 2.5 times the rounding error of the
        direct sum, and at stride 1 5x5 with up to 6 times, 1x3, 1x5, 1x7 and their transposes with
        up to 3 times;
        "winograd_rows" is F(4, 3) along columns, for filters of 3 rows at stride 1, with about
        twice that error; "im2col" builds the column matrix first. "auto" chooses by the shape of
        one image and what packing the weights takes, unless a layer has done that; None is what
        `fastconv.set_algorithm` says.
    packed : PackedWeights, optional
        For layers: what was packed from the same weight and bias before.

    Returns
    -------
    ndarray (N, K, P, Q)
        P = (H + top + bottom - dilation*(R - 1) - 1) // stride + 1, Q alike.

    Raises
    ------
    ShapeError
        If shapes do not fit each other, or the filter not the padded image.
    TypeError
        If an argument is not of its kind, or dtypes are mixed or not supported.
    ValueError
        If a word is not among those allowed, or `out` overlaps an input.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import conv2d
    >>> image = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    >>> edges = np.array([[[[-1, 0, 1]]]], np.float32)
    >>> conv2d(image, edges)[0, 0, 0]
    array([2., 2.], dtype=float32)
    """
    x, x_key = _native.describe(input, "input")
    weight, w_key = _native.describe(weight, "weight")
    b_key = o_key = None
    if bias is not None:
        bias, b_key = _native.describe(bias, "bias")
    if out is not None:
        o_key = check_out(out, x, weight, bias)
    if padding_mode != "zeros":
        geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        return convolve(
            2,
            False,
            input,
            weight,
            bias,
            {**geometry, "padding_mode": padding_mode, "strict": strict},
            data_format,
            activation,
            out,
            algorithm,
            num_threads,
            packed,
        )
    plan = _conv_plans.conv2d(
        x_key,
        w_key,
        b_key,
        o_key,
        stride if type(stride) is int else hashable(stride, "stride"),
        padding if type(padding) is int else hashable(padding, "padding"),
        dilation if type(dilation) is int else hashable(dilation, "dilation"),
        groups if type(groups) is int else hashable(groups, "groups"),
        word(data_format, "data_format"),
        word(activation, "activation"),
        bool(strict),
        word(algorithm, "algorithm"),
        packed is not None,
    )
    return run_conv(plan, x, weight, bias, out, num_threads, packed)


def locally_connected2d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    *,
    kernel_size: Any,
    out: Array | None = None,
    num_threads: int | None = None,
) -> Array:
    """Convolution without shared weights: each output place has filters of its own.

    Parameters
    ----------
    input : ndarray (N, C, H, W) or (C, H, W)
        float32 or float64.
    weight : ndarray (K, P, Q, C*R*S)
        A row of weights, in the order (channel, row, column), for each filter and place.
    bias : ndarray (K, P, Q) or (K,), optional
        Added to the output.
    stride, padding, dilation : optional
        As in `conv2d`.
    kernel_size : int or (int, int)
        R and S, which the weight's shape does not tell.

    Returns
    -------
    ndarray (N, K, P, Q)
        The output.

    Raises
    ------
    ShapeError
        If shapes do not fit each other.
    TypeError
        If dtypes are mixed or not supported.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import locally_connected2d
    >>> x = np.ones((1, 1, 3, 3))
    >>> w = np.arange(4.0).reshape(1, 2, 2, 1) * np.ones(4)
    >>> locally_connected2d(x, w, kernel_size=2)
    array([[[[ 0.,  4.],
             [ 8., 12.]]]])
    """
    x, x_key = _native.describe(input, "input")
    weight, w_key = _native.describe(weight, "weight")
    b_key = o_key = None
    inputs: tuple[Array, ...] = x, weight
    if bias is not None:
        bias, b_key = _native.describe(bias, "bias")
        inputs = x, weight, bias
    if out is not None:
        o_key = check_out(out, *inputs)
    program = _conv_plans.locally_connected2d(
        x_key,
        w_key,
        b_key,
        o_key,
        hashable(kernel_size, "kernel_size"),
        hashable(stride, "stride"),
        hashable(padding, "padding"),
        hashable(dilation, "dilation"),
    )
    return program.run(inputs, None if out is None else (out,), num_threads)  # type: ignore[no-any-return]
