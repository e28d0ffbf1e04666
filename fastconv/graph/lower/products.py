"""Matrix products: 1x1 convolutions whose pixels are the rows of the left matrix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from ...errors import ShapeError, UnsupportedOperatorError
from ..builder import Builder, shape_text
from ..steps import Image
from ..tensors import Known, Tensor, Value, contiguous
from .compute import activate, binary, check_floating
from .convolving import add_conv, element_strides
from .moving import transpose


def matmul(
    b: Builder,
    a: Value,
    w: Value,
    bias: Value | None = None,
    *,
    activation: str | None = None,
    alpha: float = 0.0,
) -> Value:
    """Multiply matrices (..., M, K) and (..., K, N), with broadcasting; then add a bias (N)."""
    check_floating(a, w, bias)
    if not a.shape or not w.shape:
        raise ShapeError("a matrix product of scalars")
    left, right = b.tensor(a), w
    a_shape, w_shape = left.shape, right.shape
    if len(a_shape) == 1:
        left = left.view((1, *a_shape), (0, *left.strides))
    if len(w_shape) == 1:
        right = _as_column(right)
    if left.shape[-1] != right.shape[-2]:
        raise ShapeError(
            f"matrices of shapes {shape_text(a_shape)} and {shape_text(w_shape)} do not multiply"
        )
    m, n = left.shape[-2], right.shape[-1]
    try:
        outer = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    except ValueError:
        raise ShapeError(
            f"batches {shape_text(left.shape[:-2])} and {shape_text(right.shape[:-2])} of matrices"
        ) from None
    if prod(outer) > 4096:
        raise UnsupportedOperatorError(f"{prod(outer)} matrix products in one operator")
    y = b.own((*outer, m, n), left.dtype, contiguous((*outer, m, n)))
    _products(b, left, right, bias, y, activation, alpha)
    shape = (*outer, *((m,) if len(a_shape) > 1 else ()), *((n,) if len(w_shape) > 1 else ()))
    return y if shape == y.shape else y.view(shape, contiguous(shape))


def _as_column(w: Value) -> Value:
    if isinstance(w, Known):
        return Known(w.array[:, None], w.name)
    return w.view((*w.shape, 1), (*w.strides, 0))


def _products(
    b: Builder,
    left: Tensor,
    right: Value,
    bias: Value | None,
    y: Tensor,
    activation: str | None,
    alpha: float,
) -> None:
    """Append y = left @ right: each product is a 1x1 convolution whose pixels are left's rows."""
    m, k, n = left.shape[-2], left.shape[-1], right.shape[-1]
    if isinstance(right, Known) and right.constant.ndim == 2 and len(left.shape) > 2:
        rows = prod(left.shape[:-1])  # one matrix for all: rows of the batch follow each other
        left = b.compact(left)
        flat = [t.view((rows, t.shape[-1]), (t.shape[-1], 1)) for t in (left, y)]
        _products(b, flat[0], right, bias, flat[1], activation, alpha)
        return
    if prod(y.shape) == 0:
        return
    if k == 0:
        b.fill(y, 0)
        return
    outer = y.shape[:-2]
    weights = right if isinstance(right, Known) and right.constant.ndim == 2 else b.tensor(right)
    w_strides = element_strides(weights)
    for place in np.ndindex(*outer):
        a_at = _batch_offset(place, left.shape, left.strides)
        y_at = sum(i * s for i, s in zip(place, y.strides, strict=False))
        part = left.view((1, k, 1, m), (0, left.strides[-1], 0, left.strides[-2]), a_at)
        out = y.view((1, n, 1, m), (0, y.strides[-1], 0, y.strides[-2]), y_at)
        matrix: Value = weights
        if isinstance(weights, Tensor):
            matrix = weights.view(
                weights.shape[-2:],
                weights.strides[-2:],
                _batch_offset(place, weights.shape, weights.strides),
            )
        add_conv(
            b,
            Image(part, (1, k, 1, m)),
            matrix,
            bias,
            Image(out, (1, n, 1, m)),
            role="matmul",
            w_shape=(n, k, 1, 1),
            w_stride=(w_strides[-1], w_strides[-2], 0, 0),
            activation=activation,
            alpha=alpha,
            algorithm="channels_last",  # whatever the number of rows, and so the batch
            stride=(1, 1),
            pad=(0, 0),
            dilation=(1, 1),
            groups=1,
        )


def _batch_offset(place: Sequence[int], shape: Sequence[int], strides: Sequence[int]) -> int:
    batch = shape[:-2]
    index = place[len(place) - len(batch) :]
    return sum(i * s for i, s, n in zip(index, strides, batch, strict=False) if n != 1)


def gemm(
    b: Builder,
    a: Value,
    w: Value,
    c: Value | None = None,
    *,
    trans_a: bool = False,
    trans_b: bool = False,
    scale: float = 1.0,
    c_scale: float = 1.0,
    activation: str | None = None,
    alpha: float = 0.0,
) -> Value:
    """Compute scale * a @ w + c_scale * c, with c broadcast."""
    if len(a.shape) != 2 or len(w.shape) != 2:
        raise ShapeError(f"Gemm of shapes {shape_text(a.shape)} and {shape_text(w.shape)}")
    left = transpose(b, b.tensor(a), perm=(1, 0)) if trans_a else a
    if isinstance(w, Known):
        right: Value = Known(w.constant.T, w.name and f"{w.name}.T") if trans_b else w
    else:
        right = transpose(b, w, perm=(1, 0)) if trans_b else w
    factor = np.asarray(scale, a.dtype)
    n = right.shape[1]
    if (
        scale == 1
        and isinstance(c, Known)
        and isinstance(right, Known)
        and c.shape in ((n,), (1, n))
    ):
        name = c.name and f"{c.name}*{c_scale}"
        bias = Known((c.array.reshape(-1) * np.asarray(c_scale, c.dtype)), name)
        return matmul(b, left, right, bias, activation=activation, alpha=alpha)
    y = matmul(b, left, right)
    if scale != 1:
        y = binary(b, y, Known(factor), function="mul")
    if c is not None:
        if c_scale != 1:
            c = binary(b, c, Known(np.asarray(c_scale, c.dtype)), function="mul")
        return binary(b, y, c, function="add", activation=activation, alpha=alpha)
    return y if activation is None else activate(b, y, name=activation, alpha=alpha)


LOWER: dict[str, Callable[..., Any]] = {"matmul": matmul, "gemm": gemm}
