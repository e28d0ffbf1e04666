"""Normalization of images: by given statistics, and among neighbouring channels."""

from __future__ import annotations

import math
from typing import Any

from .. import _image_plans, _native
from .._arguments import word
from .._views import Array, Key, check_choice, check_floating
from ..errors import ShapeError, UnsupportedOperatorError
from ..shapes import integer


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool):
        raise TypeError(f"{name}: expected a number, got bool")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name}: expected a number, got {type(value).__name__}") from None


def _rows(input: Array, least: int, data_format: str) -> tuple[Array, Any, bool]:
    """An input as (n, c, inner), or (n, inner, c) where channels are last."""
    check_choice(data_format, "data_format", ("NCHW", "NHWC"))
    x, key = _native.describe(input, "input")
    check_floating(key, "input")
    if x.ndim < least:
        raise ShapeError(f"input: expected at least {least} axes, got shape {x.shape}")
    last = data_format == "NHWC"
    if last:
        rows = x.reshape(x.shape[0], math.prod(x.shape[1:-1]), x.shape[-1])
    else:
        rows = x.reshape(*x.shape[:2], math.prod(x.shape[2:]))
    return (*_native.describe(rows, "input"), last)


def batch_norm(
    input: Array,
    running_mean: Array | None,
    running_var: Array | None,
    weight: Array | None = None,
    bias: Array | None = None,
    training: bool = False,
    momentum: float | None = 0.1,
    eps: float = 1e-5,
    *,
    data_format: str = "NCHW",
    activation: str | None = None,
    num_threads: int | None = None,
) -> Array:
    """Normalize each channel by given statistics: ``(x - mean) / sqrt(var + eps) * weight + bias``.

    Parameters
    ----------
    input : ndarray (N, C, ...)
        float32 or float64; (N, ..., C) with ``data_format="NHWC"``.
    running_mean, running_var : ndarray (C,)
        Statistics of the channels, of the same dtype.
    weight, bias : ndarray (C,), optional
        Factor and addend of the normalized values.
    training : bool, optional
        Statistics of the batch itself are not supported.
    momentum : float, optional
        Taken for the sake of PyTorch's signature.
    eps : float, optional
        Added to the variance.
    activation : str, optional
        Applied in the same pass, as in `conv2d`.

    Returns
    -------
    ndarray
        Of input's shape.

    Raises
    ------
    ShapeError
        If shapes do not fit each other.
    TypeError
        If dtypes are mixed or not supported.
    UnsupportedOperatorError
        If `training`, or without statistics.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import batch_norm
    >>> batch_norm(np.array([[3.0], [5.0]]), np.array([1.0]), np.array([4.0]), eps=0)
    array([[1.],
           [2.]])
    """
    if training or running_mean is None or running_var is None:
        raise UnsupportedOperatorError(
            "batch_norm: only with given statistics (training=False, running_mean and running_var)"
        )
    x, key, last = _rows(input, 2, word(data_format, "data_format"))
    arrays: list[Array] = [x]
    keys: list[Key | None] = []
    for array, name in (
        (running_mean, "running_mean"),
        (running_var, "running_var"),
        (weight, "weight"),
        (bias, "bias"),
    ):
        if array is None:
            keys.append(None)
            continue
        described, factor = _native.describe(array, name)
        arrays.append(described)
        keys.append(factor)
    program = _image_plans.batch_norm(
        key, tuple(keys), _number(eps, "eps"), last, word(activation, "activation")
    )
    return program.run(tuple(arrays), None, num_threads).reshape(input.shape)  # type: ignore[no-any-return]


def local_response_norm(
    input: Array,
    size: int,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
    *,
    data_format: str = "NCHW",
    num_threads: int | None = None,
) -> Array:
    """Divide by the energy of neighbouring channels (Krizhevsky et al., 2012).

    ``x / (k + alpha * s / size) ** beta``, s the sum of squares over `size` channels around, those
    beyond the first and last being zero.

    Parameters
    ----------
    input : ndarray (N, C, ...)
        float32 or float64; (N, ..., C) with ``data_format="NHWC"``.
    size : int
        Channels of a sum: size // 2 before, (size - 1) // 2 behind.
    alpha, beta, k : float, optional
        As above.

    Returns
    -------
    ndarray
        Of input's shape.

    Raises
    ------
    ShapeError
        If there are fewer than three axes, or `size` is not positive.
    TypeError
        If the dtype is not supported.
    ValueError
        If `alpha` is negative or `k` not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import local_response_norm
    >>> local_response_norm(np.ones((1, 2, 1)), 2, alpha=2.0, beta=1.0).ravel()
    array([0.5       , 0.33333333])
    """
    size = integer(size, "size", 1)
    x, key, last = _rows(input, 3, word(data_format, "data_format"))
    values = _number(alpha, "alpha"), _number(beta, "beta"), _number(k, "k")
    if values[0] < 0 or values[2] <= 0:
        raise ValueError(f"alpha, k: expected alpha >= 0 and k > 0, got {alpha} and {k}")
    program = _image_plans.local_response_norm(key, min(size, 1 << 40), *values, last)
    return program.run((x,), None, num_threads).reshape(input.shape)  # type: ignore[no-any-return]
