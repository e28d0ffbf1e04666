"""What follows the convolutions: linear, softmax, flatten."""

from __future__ import annotations

import numpy as np

from .. import _conv_plans, _native, _plans, shapes
from .._arguments import check_out, word
from .._views import Array, check_floating, check_same_dtype
from ..errors import ShapeError
from .packed import PackedWeights, run_conv


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
    x, x_key = _native.describe(input, "input")
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
        check_out(out, x, weight, bias, shape=shape)
        target = out.reshape(-1, w_key[1][0])
        if not np.may_share_memory(target, out) and out.size:  # rows that are no rows in memory
            target = np.empty(target.shape, out.dtype)
        _, o_key = _native.describe(target, "out")
    if len(x_key[1]) != 2:
        rows = int(np.prod(lead, dtype=object))
        x, x_key = _native.describe(x.reshape(rows, w_key[1][1]), "input")
    plan = _conv_plans.linear(
        x_key, w_key, b_key, o_key, word(activation, "activation"), packed is not None
    )
    result = run_conv(plan, x, weight, bias, target, num_threads, packed)
    if out is None:
        return result.reshape(shape)
    if target is not out and not np.may_share_memory(target, out):
        out[...] = result.reshape(shape)
    return out


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
    return _softmax(input, dim, logarithm=False, num_threads=num_threads)


def log_softmax(input: Array, dim: int = -1, *, num_threads: int | None = None) -> Array:
    """Logarithm of `softmax`, without its underflow: x - max - log(sum(exp(x - max))).

    Parameters
    ----------
    input, dim, num_threads : optional
        As in `softmax`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import log_softmax
    >>> log_softmax(np.array([0.0, 1000.0]))
    array([-1000.,     0.])
    """
    return _softmax(input, dim, logarithm=True, num_threads=num_threads)


def _softmax(input: Array, dim: int, *, logarithm: bool, num_threads: int | None) -> Array:
    x, key = _native.describe(input, "input")
    check_floating(key, "input")
    axis = _axis(dim, "dim", x.ndim)
    if x.ndim == 0:
        x, key = _native.describe(x.reshape(1), "input")
    program = _plans.softmax(key, axis, logarithm)
    if program is None:
        x, key = _native.describe(np.ascontiguousarray(x), "input")
        program = _plans.softmax(key, axis, logarithm)
        assert program is not None
    return program.run((x,), None, num_threads).reshape(input.shape)  # type: ignore[no-any-return]


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
