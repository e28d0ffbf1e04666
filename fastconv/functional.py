"""Stateless operators on NumPy arrays, with the names and semantics of ``torch.nn.functional``.

Arrays are float32 or float64 (`max_pool2d` also takes integers), of any strides and memory order,
(N, C, H, W) unless ``data_format="NHWC"``, with or without the batch axis. Inputs are never
written. Keyword arguments that all operators share:

``out``
    Array to write the result into, of its exact shape and dtype, not overlapping any input.
``num_threads``
    At most so many threads for this call; see `fastconv.runtime`.

Errors: `fastconv.errors.ShapeError` (a ``ValueError``) for shapes and sizes, ``TypeError`` for
dtypes and arguments of the wrong kind, ``ValueError`` for words that are not among those allowed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _conv_plans, _native, _plans, shapes
from ._arguments import check_out, hashable
from ._conv_plans import ACTIVATIONS, ConvPlan
from ._views import check_floating, check_same_dtype
from .errors import ShapeError
from .runtime import ALGORITHMS

__all__ = [
    "ACTIVATIONS",
    "ALGORITHMS",
    "PackedWeights",
    "avg_pool2d",
    "col2im",
    "conv2d",
    "flatten",
    "fold",
    "im2col",
    "linear",
    "locally_connected2d",
    "max_pool2d",
    "relu",
    "softmax",
    "unfold",
]

Array = NDArray[Any]


class PackedWeights:
    """Weights in the order in which the kernels read them, made at first use and kept.

    A layer hands one to each call, with the same weight and bias arrays, and takes a new one when
    it replaces them. An array that is not the one packed before is packed anew.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import functional
    >>> packed = functional.PackedWeights()
    >>> x, w = np.ones((1, 2, 4, 4)), np.ones((3, 2, 3, 3))
    >>> functional.conv2d(x, w, packed=packed).shape
    (1, 3, 2, 2)
    """

    __slots__ = ("_buffers",)

    def __init__(self) -> None:
        self._buffers: dict[tuple[Any, ...], tuple[Array, Array, Array | None]] = {}

    def __reduce__(self) -> tuple[type[PackedWeights], tuple[()]]:
        """Leave what was packed behind: another machine may pack otherwise."""
        return PackedWeights, ()

    def get(self, plan: ConvPlan, weight: Array, bias: Array | None) -> Array:
        """Return the packed form that `plan` reads."""
        held = self._buffers.get(plan.packing)
        if held is not None and held[1] is weight and held[2] is bias:
            return held[0]
        assert plan.pack is not None
        buffer = _native.empty_bytes(plan.packed_bytes)
        plan.pack.run((weight,) if bias is None else (weight, bias), (buffer,))
        self._buffers[plan.packing] = buffer, weight, bias
        return buffer


def _run_conv(
    plan: ConvPlan,
    x: Array,
    weight: Array,
    bias: Array | None,
    out: Array | None,
    num_threads: int | None,
    packed: PackedWeights | None,
) -> Array:
    inputs: tuple[Array, ...]
    if packed is not None:
        inputs = x, packed.get(plan, weight, bias)
    elif bias is None:
        inputs = x, weight
    else:
        inputs = x, weight, bias
    return plan.run.run(inputs, None if out is None else (out,), num_threads)  # type: ignore[no-any-return]


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
    activation : {None, "relu", "relu6", "leaky_relu", "hardswish", "sigmoid", "silu"}, optional
        Applied in the same pass (leaky_relu with slope 0.01).
    strict : bool, optional
        Refuse sizes where the output-size formula leaves a remainder (the lecture's "cannot").
    algorithm : {None, "auto", "direct", "im2col"}, optional
        "direct" is implicit GEMM, "im2col" builds the column matrix first; None is what
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
    input, x_key = _native.describe(input, "input")
    weight, w_key = _native.describe(weight, "weight")
    b_key = o_key = None
    if bias is not None:
        bias, b_key = _native.describe(bias, "bias")
    if out is not None:
        o_key = check_out(out, input, weight, bias)
    plan = _conv_plans.conv2d(
        x_key,
        w_key,
        b_key,
        o_key,
        stride if type(stride) is int else hashable(stride, "stride"),
        padding if type(padding) is int else hashable(padding, "padding"),
        dilation if type(dilation) is int else hashable(dilation, "dilation"),
        groups if type(groups) is int else hashable(groups, "groups"),
        data_format,
        activation,
        strict,
        algorithm,
        packed is not None,
    )
    return _run_conv(plan, input, weight, bias, out, num_threads, packed)


def linear(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    activation: str | None = None,
    out: Array | None = None,
    num_threads: int | None = None,
    packed: PackedWeights | None = None,
) -> Array:
    """Apply ``y = x @ weight.T + bias`` to the last axis.

    Parameters
    ----------
    input : ndarray (..., in_features)
        float32 or float64.
    weight : ndarray (out_features, in_features) or (in_features,)
        A weight of one axis gives an output without the last axis, as in PyTorch.
    bias : ndarray (out_features,), optional
        Added to each row (of no axes for a weight of one axis).
    activation, out, num_threads, packed : optional
        As in `conv2d`.

    Returns
    -------
    ndarray (..., out_features)
        Each row is summed in the same order, however many rows there are.

    Raises
    ------
    ShapeError
        If shapes do not fit each other.
    TypeError
        If dtypes are mixed or not supported.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import linear
    >>> linear(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]]), np.array([0.5, 0.0]))
    array([[11.5, 17. ]])
    """
    input, x_key = _native.describe(input, "input")
    weight, w_key = _native.describe(weight, "weight")
    check_floating(x_key, "input")
    check_same_dtype(w_key, "weight", x_key, "input")
    b_key = o_key = None
    if bias is not None:
        bias, b_key = _native.describe(bias, "bias")
    if len(w_key[1]) not in (1, 2) or not x_key[1] or x_key[1][-1] != w_key[1][-1]:
        raise ShapeError(
            f"weight: expected (out_features, in_features) with in_features the last axis of "
            f"input, got {w_key[1]} for input of shape {x_key[1]}"
        )
    lead = x_key[1][:-1]
    if len(w_key[1]) == 1:  # no axis for outputs: one output, whose axis goes
        weight, w_key = _native.describe(weight[None], "weight")
        if bias is not None and b_key is not None:
            if b_key[1] not in ((), (1,)):
                raise ShapeError(f"bias: expected one element for one output, got {b_key[1]}")
            bias, b_key = _native.describe(bias.reshape(1), "bias")
        shape = lead
    else:
        shape = (*lead, w_key[1][0])
    target = out
    if out is not None:
        check_out(out, input, weight, bias, shape=shape)
        target = out.reshape(-1, w_key[1][0])
        if not np.may_share_memory(target, out) and out.size:  # rows that are no rows in memory
            target = np.empty(target.shape, out.dtype)
        _, o_key = _native.describe(target, "out")
    if len(x_key[1]) != 2:
        rows = int(np.prod(lead, dtype=object))
        input, x_key = _native.describe(input.reshape(rows, w_key[1][1]), "input")
    plan = _conv_plans.linear(x_key, w_key, b_key, o_key, activation, packed is not None)
    result = _run_conv(plan, input, weight, bias, target, num_threads, packed)
    if out is None:
        return result.reshape(shape)
    if target is not out and not np.may_share_memory(target, out):
        out[...] = result.reshape(shape)
    return out


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
    input, x_key = _native.describe(input, "input")
    weight, w_key = _native.describe(weight, "weight")
    b_key = o_key = None
    inputs: tuple[Array, ...] = input, weight
    if bias is not None:
        bias, b_key = _native.describe(bias, "bias")
        inputs = input, weight, bias
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
    input, key = _native.describe(input, "input")
    program = _plans.max_pool2d(
        key,
        None if out is None else check_out(out, input),
        hashable(kernel_size, "kernel_size"),
        hashable(stride, "stride"),
        hashable(padding, "padding"),
        hashable(dilation, "dilation"),
        bool(ceil_mode),
        bool(return_indices),
        data_format,
        bool(strict),
    )
    if out is None:
        return program.run((input,), None, num_threads)
    return program.run((input,), (out, None) if return_indices else (out,), num_threads)


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
    input, key = _native.describe(input, "input")
    program = _plans.avg_pool2d(
        key,
        None if out is None else check_out(out, input),
        hashable(kernel_size, "kernel_size"),
        hashable(stride, "stride"),
        hashable(padding, "padding"),
        bool(ceil_mode),
        bool(count_include_pad),
        hashable(divisor_override, "divisor_override"),
        data_format,
        bool(strict),
    )
    return program.run((input,), None if out is None else (out,), num_threads)  # type: ignore[no-any-return]


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
    input, key = _native.describe(input, "input")
    program = _plans.unfold(
        key,
        hashable(kernel_size, "kernel_size"),
        hashable(dilation, "dilation"),
        hashable(padding, "padding"),
        hashable(stride, "stride"),
        order,
    )
    return program.run((input,), None, num_threads)  # type: ignore[no-any-return]


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
    input, key = _native.describe(input, "input")
    program = _plans.fold(
        key,
        hashable(output_size, "output_size"),
        hashable(kernel_size, "kernel_size"),
        hashable(dilation, "dilation"),
        hashable(padding, "padding"),
        hashable(stride, "stride"),
        order,
    )
    return program.run((input,), None, num_threads)  # type: ignore[no-any-return]


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


def relu(input: Array, *, out: Array | None = None, num_threads: int | None = None) -> Array:
    """Elements below zero become zero; NaN stays NaN.

    Parameters
    ----------
    input : ndarray
        float32 or float64, of any shape.
    out : ndarray, optional
        May be `input` itself.

    Returns
    -------
    ndarray
        Of the same shape and, as far as possible, memory order.

    Raises
    ------
    TypeError
        If the dtype is not supported.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import relu
    >>> relu(np.array([-1.5, 0.0, 2.5]))
    array([0. , 0. , 2.5])
    """
    given = input
    input, key = _native.describe(input, "input")
    check_floating(key, "input")
    if out is None:
        target: Array = np.empty_like(input, subok=False)
    else:
        check_out(out, *(() if out is given else (input,)), shape=key[1])
        target = out
    program = _plans.elementwise(key, _native.describe(target, "out")[1], "relu")
    if program is not None:
        return program.run((input,), (target,), num_threads)  # type: ignore[no-any-return]
    flat = relu(np.ascontiguousarray(input).reshape(-1), num_threads=num_threads)
    target[...] = flat.reshape(key[1])
    return target


def softmax(input: Array, dim: int = -1, *, num_threads: int | None = None) -> Array:
    """Exponentials that sum to one along an axis.

    Parameters
    ----------
    input : ndarray
        float32 or float64, of any shape.
    dim : int, optional
        The axis.

    Returns
    -------
    ndarray
        exp(x - max) / sum(exp(x - max)) along the axis.

    Raises
    ------
    ShapeError
        If `dim` is not an axis of `input`.
    TypeError
        If the dtype is not supported.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import softmax
    >>> softmax(np.array([[0.0, 0.0], [1.0, 1.0]]))
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """
    input, key = _native.describe(input, "input")
    check_floating(key, "input")
    axis = _axis(dim, "dim", input.ndim)
    if input.ndim == 0:
        return softmax(input.reshape(1), num_threads=num_threads).reshape(())
    program = _plans.softmax(key, axis)
    if program is None:
        input, key = _native.describe(np.ascontiguousarray(input), "input")
        program = _plans.softmax(key, axis)
        assert program is not None
    return program.run((input,), None, num_threads)  # type: ignore[no-any-return]


def _axis(dim: int, name: str, ndim: int) -> int:
    axis = shapes.integer(dim, name)
    rank = max(ndim, 1)
    if not -rank <= axis < rank:
        raise ShapeError(f"{name}: expected {-rank} to {rank - 1} for {ndim} axes, got {axis}")
    return axis % rank


def flatten(input: Array, start_dim: int = 0, end_dim: int = -1) -> Array:
    """Merge axes `start_dim` to `end_dim` into one; a view where the strides allow it.

    Raises
    ------
    ShapeError
        If the axes do not exist or come in the wrong order.
    TypeError
        If `input` is not an array.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import flatten
    >>> flatten(np.ones((2, 3, 4, 5)), start_dim=1).shape
    (2, 60)
    """
    if not isinstance(input, np.ndarray):
        raise TypeError(f"input: expected a NumPy array, got {type(input).__name__}")
    start = _axis(start_dim, "start_dim", input.ndim)
    end = _axis(end_dim, "end_dim", input.ndim)
    if start > end:
        raise ShapeError(f"start_dim: expected an axis up to end_dim={end_dim}, got {start_dim}")
    if input.ndim == 0:
        return input.reshape(1)
    merged = int(np.prod(input.shape[start : end + 1], dtype=object))
    return input.reshape(*input.shape[:start], merged, *input.shape[end + 1 :])
