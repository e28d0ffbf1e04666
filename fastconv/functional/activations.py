"""Element-wise functions, with the names of ``torch.nn.functional`` and ``torch``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _native, _plans
from .._arguments import check_out
from .._views import Array, check_floating, check_same_dtype
from ..errors import ShapeError


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name}: expected a number, got {type(value).__name__}")
    return float(value)


def _apply(
    input: Array,
    activation: str,
    out: Array | None,
    num_threads: int | None,
    alpha: float = 0.0,
    beta: float = 0.0,
) -> Array:
    x, key = _native.describe(input, "input")
    check_floating(key, "input")
    if out is None and not x.flags.c_contiguous:
        out = np.empty_like(x, subok=False)  # the input's memory order
    o_key = None
    if out is not None:
        o_key = check_out(out, *(() if out is input else (x,)), shape=key[1])
    program = _plans.elementwise(key, o_key, activation, alpha, beta)
    if program is not None:
        return program.run((x,), None if out is None else (out,), num_threads)  # type: ignore[no-any-return]
    target = np.empty(key[1], x.dtype) if out is None else out
    flat = np.ascontiguousarray(x).reshape(-1)
    target[...] = _apply(flat, activation, None, num_threads, alpha, beta).reshape(key[1])
    return target


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
    return _apply(input, "relu", out, num_threads)


def relu6(input: Array, *, out: Array | None = None, num_threads: int | None = None) -> Array:
    """Clip to zero below and to six above.

    Parameters, result and errors as those of `relu`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import relu6
    >>> relu6(np.array([-1.0, 2.0, 7.0]))
    array([0., 2., 6.])
    """
    return _apply(input, "relu6", out, num_threads)


def leaky_relu(
    input: Array,
    negative_slope: float = 0.01,
    *,
    out: Array | None = None,
    num_threads: int | None = None,
) -> Array:
    """Multiply what is below zero by `negative_slope`.

    Other parameters, result and errors as those of `relu`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import leaky_relu
    >>> leaky_relu(np.array([-2.0, 3.0]), 0.5)
    array([-1.,  3.])
    """
    slope = _number(negative_slope, "negative_slope")
    return _apply(input, "leaky_relu", out, num_threads, slope)


def prelu(input: Array, weight: Array, *, num_threads: int | None = None) -> Array:
    """Multiply what is below zero by a weight: one for all, or one for each channel.

    Parameters
    ----------
    input : ndarray (N, C, ...)
        float32 or float64, of any number of axes.
    weight : ndarray (C,) or (1,)
        Slopes below zero, of the same dtype.

    Returns
    -------
    ndarray
        Of input's shape.

    Raises
    ------
    ShapeError
        If `weight` has neither one element nor one for each channel.
    TypeError
        If dtypes are mixed or not supported.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import prelu
    >>> prelu(np.array([[-1.0, -1.0]]), np.array([0.5, 2.0]))
    array([[-0.5, -2. ]])
    """
    x, x_key = _native.describe(input, "input")
    weight, w_key = _native.describe(weight, "weight")
    check_floating(x_key, "input")
    check_same_dtype(w_key, "weight", x_key, "input")
    shape = x_key[1]
    channels = shape[1] if len(shape) > 1 else 1
    if w_key[1] not in ((), (1,), (channels,)):
        raise ShapeError(
            f"weight: expected shape (1,) or ({channels},), one for each channel of input of shape "
            f"{shape}, got {w_key[1]}"
        )
    rows = (shape[0], channels, math.prod(shape[2:])) if len(shape) > 1 else (1, 1, x.size)
    flat, key = _native.describe(x.reshape(rows), "input")
    weight, w_key = _native.describe(weight.reshape(-1), "weight")
    result = _plans.prelu(key, w_key).run((flat, weight), None, num_threads)
    return result.reshape(shape)  # type: ignore[no-any-return]


def elu(
    input: Array,
    alpha: float = 1.0,
    *,
    out: Array | None = None,
    num_threads: int | None = None,
) -> Array:
    """``alpha * (exp(x) - 1)`` below zero.

    Other parameters, result and errors as those of `relu`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import elu
    >>> elu(np.array([-1e3, 2.0]), 0.5)
    array([-0.5,  2. ])
    """
    return _apply(input, "elu", out, num_threads, _number(alpha, "alpha"))


def selu(input: Array, *, out: Array | None = None, num_threads: int | None = None) -> Array:
    """`elu` with the factor 1.6733, times 1.0507 (Klambauer et al., 2017).

    Parameters, result and errors as those of `relu`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import selu
    >>> selu(np.array([0.0, 1.0]))
    array([0.        , 1.05070099])
    """
    return _apply(input, "selu", out, num_threads)


def sigmoid(input: Array, *, out: Array | None = None, num_threads: int | None = None) -> Array:
    """``1 / (1 + exp(-x))``.

    Parameters, result and errors as those of `relu`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import sigmoid
    >>> sigmoid(np.array([0.0, 1e3]))
    array([0.5, 1. ])
    """
    return _apply(input, "sigmoid", out, num_threads)


def tanh(input: Array, *, out: Array | None = None, num_threads: int | None = None) -> Array:
    """Hyperbolic tangent.

    Parameters, result and errors as those of `relu`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import tanh
    >>> tanh(np.array([0.0, 1e3]))
    array([0., 1.])
    """
    return _apply(input, "tanh", out, num_threads)


def hardswish(input: Array, *, out: Array | None = None, num_threads: int | None = None) -> Array:
    """``x * relu6(x + 3) / 6``.

    Parameters, result and errors as those of `relu`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import hardswish
    >>> hardswish(np.array([-4.0, 0.0, 3.0]))
    array([-0.,  0.,  3.])
    """
    return _apply(input, "hardswish", out, num_threads)


def hardsigmoid(input: Array, *, out: Array | None = None, num_threads: int | None = None) -> Array:
    """``relu6(x + 3) / 6``.

    Parameters, result and errors as those of `relu`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import hardsigmoid
    >>> hardsigmoid(np.array([-4.0, 0.0, 3.0]))
    array([0. , 0.5, 1. ])
    """
    return _apply(input, "hardsigmoid", out, num_threads)


def silu(input: Array, *, out: Array | None = None, num_threads: int | None = None) -> Array:
    """``x * sigmoid(x)``, also known as swish.

    Parameters, result and errors as those of `relu`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import silu
    >>> silu(np.array([0.0, 1e3]))
    array([   0., 1000.])
    """
    return _apply(input, "silu", out, num_threads)


def gelu(
    input: Array,
    approximate: str = "none",
    *,
    out: Array | None = None,
    num_threads: int | None = None,
) -> Array:
    """``x`` times the normal distribution's function at x.

    Parameters
    ----------
    approximate : {"none", "tanh"}, optional
        The exact function, or the approximation by the hyperbolic tangent.

    Other parameters, result and errors as those of `relu`; ValueError for another word.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import gelu
    >>> gelu(np.array([-9e2, 0.0, 9e2]))
    array([ -0.,   0., 900.])
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f"approximate: expected 'none' or 'tanh', got {approximate!r}")
    kind = "gelu" if approximate == "none" else "gelu_tanh"
    return _apply(input, kind, out, num_threads)


def softplus(
    input: Array,
    beta: float = 1.0,
    threshold: float = 20.0,
    *,
    out: Array | None = None,
    num_threads: int | None = None,
) -> Array:
    """``log(1 + exp(beta * x)) / beta``, and x itself where ``beta * x`` is above `threshold`.

    Other parameters, result and errors as those of `relu`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import softplus
    >>> softplus(np.array([-1e3, 30.0]))
    array([ 0., 30.])
    """
    numbers = _number(beta, "beta"), _number(threshold, "threshold")
    return _apply(input, "softplus", out, num_threads, *numbers)


def mish(input: Array, *, out: Array | None = None, num_threads: int | None = None) -> Array:
    """``x * tanh(softplus(x))`` (Misra, 2019).

    Parameters, result and errors as those of `relu`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import mish
    >>> mish(np.array([0.0, 1e3]))
    array([   0., 1000.])
    """
    return _apply(input, "mish", out, num_threads)


def clamp(
    input: Array,
    min: float | None = None,
    max: float | None = None,
    *,
    out: Array | None = None,
    num_threads: int | None = None,
) -> Array:
    """Clip to `min` below and to `max` above (`max` where they cross); NaN stays NaN.

    Other parameters, result and errors as those of `relu`; ValueError without either bound.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import clamp
    >>> clamp(np.array([-2.0, 0.5, 2.0]), -1, 1)
    array([-1. ,  0.5,  1. ])
    """
    if min is None and max is None:
        raise ValueError("min, max: expected at least one of them")
    low = -math.inf if min is None else _number(min, "min")
    high = math.inf if max is None else _number(max, "max")
    return _apply(input, "clamp", out, num_threads, low, high)
