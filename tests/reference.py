"""The one oracle: naive float64 loops that share no code with fastconv.

Every operator walks over its output pixels in plain Python and looks at one window at a time. Only
axes that take no part in the operator's geometry (batch, filters, and the sum over one window) are
left to NumPy. `test_reference.py` checks these functions against PyTorch in float64 and against
numbers worked out by hand.

Letters: N C H W input; K filters of R x S; P x Q output; G groups.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Pair: TypeAlias = tuple[int, int]
Padding: TypeAlias = int | str | Sequence[int] | Sequence[Sequence[int]]

#: Sums of `terms` products: |y - exact| <= C[family] * terms * eps * (|w| * |x|). A chain of
#: `terms` roundings is at most terms * eps / 2 (1 + O(eps)) of the absolute sum, so 1 leaves a
#: factor of two, which the oracle's own rounding shares when float64 is tested.
C: dict[str, float] = {
    **dict.fromkeys(("direct", "channels_last", "planar", "depthwise", "im2col"), 1.0),
    **dict.fromkeys(("linear", "mean", "scatter"), 1.0),
}


def two(value: int | Sequence[int]) -> Pair:
    """Return `value` as (height, width)."""
    if isinstance(value, int):
        return value, value
    first, *rest = value
    return int(first), int(rest[0] if rest else first)


def pads(padding: Padding, size: Pair, kernel: Pair, stride: Pair, dilation: Pair) -> list[Pair]:
    """Return [(top, bottom), (left, right)] for every spelling of `padding`."""
    if padding == "valid":
        return [(0, 0), (0, 0)]
    if isinstance(padding, str):
        pairs = []
        for n, f, s, d in zip(size, kernel, stride, dilation, strict=True):
            total = max((math.ceil(n / s) - 1) * s + d * (f - 1) + 1 - n, 0)
            small, large = total // 2, total - total // 2
            pairs.append((small, large) if padding == "same" else (large, small))
        return pairs
    if isinstance(padding, int):
        return [(padding, padding), (padding, padding)]
    pairs = []
    for entry in padding:
        before, after = (entry, entry) if isinstance(entry, int) else (int(entry[0]), int(entry[1]))
        pairs.append((before, after))
    return pairs if len(pairs) == 2 else [pairs[0], pairs[0]]


def unbatched(batch: Array) -> Array:
    """Return the only element of a batch of one."""
    (only,) = batch
    return np.asarray(only)


def _padded(x: Array, pairs: list[Pair]) -> Array:
    (top, bottom), (left, right) = pairs
    n, c, h, w = x.shape
    out = np.zeros((n, c, top + h + bottom, left + w + right), x.dtype)
    out[:, :, top : top + h, left : left + w] = x
    return out


def conv2d(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    activation: str | None = None,
) -> Array:
    """Cross-correlate x (N, C, H, W) or (C, H, W) with w (K, C/G, R, S); y (N, K, P, Q) float64."""
    if x.ndim == 3:
        kwargs: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation}
        return unbatched(conv2d(x[None], w, b, groups=groups, activation=activation, **kwargs))
    n, _, h, width = x.shape
    k, cg, r, s = w.shape
    (sh, sw), (dh, dw) = two(stride), two(dilation)
    around = pads(padding, (h, width), (r, s), (sh, sw), (dh, dw))
    padded = _padded(x.astype(np.float64), around)
    p = (padded.shape[2] - dh * (r - 1) - 1) // sh + 1
    q = (padded.shape[3] - dw * (s - 1) - 1) // sw + 1
    filters = w.astype(np.float64).reshape(groups, k // groups, cg * r * s)
    out = np.empty((n, k, p, q))
    for i in range(p):
        rows = slice(i * sh, i * sh + dh * (r - 1) + 1, dh)
        for j in range(q):
            columns = slice(j * sw, j * sw + dw * (s - 1) + 1, dw)
            window = padded[:, :, rows, columns].reshape(n, groups, cg * r * s)
            out[:, :, i, j] = np.einsum("ngx,gkx->ngk", window, filters).reshape(n, k)
    if b is not None:
        out += b.astype(np.float64).reshape(1, k, 1, 1)
    return activate(out, activation)


def locally_connected2d(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
) -> Array:
    """Unshared filters: x (N, C, H, W), w (K, P, Q, C*R*S), b (K, P, Q) or (K,)."""
    (r, s), (sh, sw) = two(kernel_size), two(stride)
    n, _, h, width = x.shape
    k, p, q, taps = w.shape
    padded = _padded(x.astype(np.float64), pads(padding, (h, width), (r, s), (sh, sw), (1, 1)))
    out = np.empty((n, k, p, q))
    for i in range(p):
        for j in range(q):
            window = padded[:, :, i * sh : i * sh + r, j * sw : j * sw + s].reshape(n, taps)
            out[:, :, i, j] = np.einsum("nx,kx->nk", window, w[:, i, j].astype(np.float64))
    if b is not None:
        wide = b.astype(np.float64)
        out += wide.reshape(1, k, 1, 1) if b.ndim == 1 else wide[None]
    return out


def pooled_size(
    size: int, kernel: int, stride: int, pad: int, dilation: int, ceil_mode: bool
) -> int:
    """Count the windows of one axis; one that starts beyond image and left padding is dropped."""
    span = size + 2 * pad - dilation * (kernel - 1) - 1
    count = (math.ceil(span / stride) if ceil_mode else span // stride) + 1
    if ceil_mode and (count - 1) * stride >= size + pad:
        count -= 1
    return count


def max_pool2d(
    x: Array,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
) -> tuple[Array, Array]:
    """Return maxima in x's own dtype, and indices h * W + w in the unpadded plane.

    PyTorch's rule: scanning in row-major order, a value replaces the maximum if it is greater or a
    NaN; so ties give the first index and NaNs the last NaN's. -1 marks a window without any pixel.
    """
    if x.ndim == 3:
        values, where = max_pool2d(x[None], kernel_size, stride, padding, dilation, ceil_mode)
        return unbatched(values), unbatched(where)
    (r, s), (ph, pw), (dh, dw) = two(kernel_size), two(padding), two(dilation)
    sh, sw = (r, s) if stride is None else two(stride)
    n, c, h, width = x.shape
    p = pooled_size(h, r, sh, ph, dh, ceil_mode)
    q = pooled_size(width, s, sw, pw, dw, ceil_mode)
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    values = np.full((n, c, p, q), lowest, x.dtype)
    where = np.full((n, c, p, q), -1, np.int64)
    for i in range(p):
        for j in range(q):
            best, index = values[:, :, i, j], where[:, :, i, j]
            for a in range(i * sh - ph, i * sh - ph + dh * r, dh):
                for e in range(j * sw - pw, j * sw - pw + dw * s, dw):
                    if 0 <= a < h and 0 <= e < width:
                        v = x[:, :, a, e]
                        take = (v > best) | (v != v) | (index < 0)
                        best[take], index[take] = v[take], a * width + e
    return values, where


def avg_pool2d(
    x: Array,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """Return float64 means; what lies beyond the padding (ceil_mode) is never counted."""
    if x.ndim == 3:
        more = (ceil_mode, count_include_pad, divisor_override)
        return unbatched(avg_pool2d(x[None], kernel_size, stride, padding, *more))
    (r, s), (ph, pw) = two(kernel_size), two(padding)
    sh, sw = (r, s) if stride is None else two(stride)
    n, c, h, width = x.shape
    p = pooled_size(h, r, sh, ph, 1, ceil_mode)
    q = pooled_size(width, s, sw, pw, 1, ceil_mode)
    out = np.empty((n, c, p, q))
    for i in range(p):
        top, bottom = i * sh - ph, min(i * sh - ph + r, h + ph)
        for j in range(q):
            left, right = j * sw - pw, min(j * sw - pw + s, width + pw)
            window = x[:, :, max(top, 0) : min(bottom, h), max(left, 0) : min(right, width)]
            inside = window.shape[2] * window.shape[3]
            count = (bottom - top) * (right - left) if count_include_pad else inside
            divisor = count if divisor_override is None else divisor_override
            out[:, :, i, j] = window.astype(np.float64).sum(axis=(2, 3)) / divisor
    return out


def unfold(
    x: Array,
    kernel_size: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    stride: int | Sequence[int] = 1,
) -> Array:
    """Return columns (N, C*R*S, P*Q) in x's dtype; rows are ordered channel, kernel row, column."""
    if x.ndim == 3:
        return unbatched(unfold(x[None], kernel_size, dilation, padding, stride))
    (r, s), (dh, dw), (sh, sw) = two(kernel_size), two(dilation), two(stride)
    padded = _padded(x, pads(padding, x.shape[2:], (r, s), (sh, sw), (dh, dw)))
    n, c = x.shape[:2]
    p = (padded.shape[2] - dh * (r - 1) - 1) // sh + 1
    q = (padded.shape[3] - dw * (s - 1) - 1) // sw + 1
    out = np.empty((n, c * r * s, p * q), x.dtype)
    for i in range(p):
        rows = slice(i * sh, i * sh + dh * (r - 1) + 1, dh)
        for j in range(q):
            columns = slice(j * sw, j * sw + dw * (s - 1) + 1, dw)
            out[:, :, i * q + j] = padded[:, :, rows, columns].reshape(n, c * r * s)
    return out


def fold(
    columns: Array,
    output_size: int | Sequence[int],
    kernel_size: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    stride: int | Sequence[int] = 1,
) -> Array:
    """Add columns (N, C*R*S, P*Q) back to where `unfold` read them: (N, C, H, W) float64."""
    if columns.ndim == 2:
        return unbatched(fold(columns[None], output_size, kernel_size, dilation, padding, stride))
    (h, width), (r, s) = two(output_size), two(kernel_size)
    (dh, dw), (ph, pw), (sh, sw) = two(dilation), two(padding), two(stride)
    n, c = columns.shape[0], columns.shape[1] // (r * s)
    p = (h + 2 * ph - dh * (r - 1) - 1) // sh + 1
    q = (width + 2 * pw - dw * (s - 1) - 1) // sw + 1
    blocks = columns.astype(np.float64).reshape(n, c, r, s, p, q)
    out = np.zeros((n, c, h + 2 * ph, width + 2 * pw))
    for i in range(p):
        for j in range(q):
            rows = slice(i * sh, i * sh + dh * (r - 1) + 1, dh)
            out[:, :, rows, j * sw : j * sw + dw * (s - 1) + 1 : dw] += blocks[..., i, j]
    return out[:, :, ph : ph + h, pw : pw + width]


def linear(x: Array, w: Array, b: Array | None = None, activation: str | None = None) -> Array:
    """Return x (..., I) times w (O, I) transposed, plus b (O,), in float64."""
    out = np.einsum("...i,oi->...o", x.astype(np.float64), w.astype(np.float64))
    return activate(out if b is None else out + b.astype(np.float64), activation)


def relu(x: Array) -> Array:
    """Return x where it is positive or NaN, else zero."""
    return np.where(x <= 0, np.zeros((), x.dtype), x)


def softmax(x: Array, dim: int = -1) -> Array:
    """Return exp(x) over its sum along `dim`, in float64."""
    if x.size == 0:
        return x.astype(np.float64)
    wide = np.atleast_1d(x.astype(np.float64))
    powers = np.exp(wide - wide.max(axis=dim, keepdims=True))
    return np.asarray((powers / powers.sum(axis=dim, keepdims=True)).reshape(x.shape))


def _sigmoid(y: Array) -> Array:
    with np.errstate(over="ignore"):
        return np.asarray(1.0 / (1.0 + np.exp(-y)))


def _selu_below(y: Array) -> Array:
    return np.asarray(1.0507009873554805 * 1.6732632423543772 * np.expm1(np.minimum(y, 0.0)))


#: name -> (function, a bound on |slope|)
ACTIVATIONS: dict[str, tuple[Any, float]] = {
    "relu": (lambda y: np.maximum(y, 0.0), 1.0),
    "relu6": (lambda y: np.minimum(np.maximum(y, 0.0), 6.0), 1.0),
    "leaky_relu": (lambda y: np.where(y < 0, 0.01 * y, y), 1.0),
    "hardswish": (lambda y: y * np.minimum(np.maximum(y + 3.0, 0.0), 6.0) / 6.0, 1.5),
    "sigmoid": (_sigmoid, 0.25),
    "silu": (lambda y: y * _sigmoid(y), 1.1),
    "tanh": (np.tanh, 1.0),
    "hardsigmoid": (lambda y: np.minimum(np.maximum(y + 3.0, 0.0), 6.0) / 6.0, 1 / 6),
    "elu": (lambda y: np.where(y > 0, y, np.expm1(np.minimum(y, 0))), 1.0),
    "selu": (lambda y: np.where(y > 0, 1.0507009873554805 * y, _selu_below(y)), 1.8),
    "gelu": (lambda y: y * np.vectorize(math.erfc)(-y / math.sqrt(2.0)) / 2.0, 1.2),
    "gelu_tanh": (lambda y: y * _sigmoid(math.sqrt(8 / math.pi) * (y + 0.044715 * y**3)), 1.2),
    "softplus": (lambda y: np.where(y > 20, y, np.logaddexp(0.0, y)), 1.0),
    "mish": (lambda y: y * np.tanh(np.logaddexp(0.0, y)), 1.1),
}


def activate(y: Array, activation: str | None) -> Array:
    """Apply the named activation to float64 y."""
    return y if activation is None else np.asarray(ACTIVATIONS[activation][0](y))


Family = Literal[
    "direct", "channels_last", "planar", "depthwise", "im2col", "linear", "mean", "scatter"
]


def bound(family: Family, terms: int, magnitude: Array, dtype: Any) -> Array:
    """Return c * terms * eps * magnitude, plus the smallest normal number: denormals may flush."""
    info = np.finfo(dtype)
    return np.asarray(C[family] * terms * info.eps * magnitude + info.tiny)


def conv2d_bound(family: Family, x: Array, w: Array, b: Array | None, **geometry: Any) -> Array:
    """Bound of a convolution: the sum has a term per weight, one for the bias, one for rounding."""
    activation = geometry.pop("activation", None)
    magnitude = conv2d(abs(x), abs(w), None if b is None else abs(b), **geometry)
    terms = w.shape[1] * w.shape[2] * w.shape[3] + 2
    return activated_bound(bound(family, terms, magnitude, x.dtype), magnitude, activation, x.dtype)


def linear_bound(x: Array, w: Array, b: Array | None, activation: str | None = None) -> Array:
    """Bound of a linear layer."""
    magnitude = linear(abs(x), abs(w), None if b is None else abs(b))
    limit = bound("linear", w.shape[1] + 2, magnitude, x.dtype)
    return activated_bound(limit, magnitude, activation, x.dtype)


def activated_bound(limit: Array, magnitude: Array, activation: str | None, dtype: Any) -> Array:
    """Carry a bound through an activation: its slope, plus 8 roundings up to magnitude."""
    if activation is None:
        return limit
    slope = ACTIVATIONS[activation][1]
    return np.asarray(slope * limit + 8 * np.finfo(dtype).eps * np.maximum(magnitude, 1.0))


def softmax_bound(x: Array, dim: int) -> Array:
    """Relative error: n additions, and exp of a difference d that was rounded (d * eps)."""
    expected = softmax(x, dim)
    if x.size == 0:
        return expected
    wide = np.atleast_1d(x.astype(np.float64))
    spread = (wide.max(axis=dim, keepdims=True) - wide).reshape(x.shape)
    relative = (wide.shape[dim] + 8 + 2 * spread) * np.finfo(x.dtype).eps
    return np.asarray(relative * expected + np.finfo(x.dtype).tiny)


def assert_close(actual: Array, expected: Array, limit: Array, what: str = "") -> None:
    """Fail with the worst element when |actual - expected| exceeds the limit anywhere."""
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, want {expected.shape}"
    if actual.size == 0:
        return
    excess = np.abs(actual.astype(np.float64) - expected) / np.broadcast_to(limit, expected.shape)
    excess = np.where(np.isnan(excess), np.inf, excess)
    if excess.max() <= 1:
        return
    worst = np.unravel_index(int(np.argmax(excess)), excess.shape)
    raise AssertionError(
        f"{what}: {np.count_nonzero(excess > 1)} of {excess.size} elements are out of bounds; "
        f"worst at {tuple(map(int, worst))}: got {actual[worst]!r}, want {expected[worst]!r}, "
        f"{excess.max():.3g} times the bound"
    )
