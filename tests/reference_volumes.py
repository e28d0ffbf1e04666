"""The oracle of convolutions over one to three axes and of transposed ones: naive float64 loops.

As in `reference.py`: one window (or one input's patch) at a time, no code shared with fastconv.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from reference import Array, Pair, pads


def _each(value: Any, axes: int) -> tuple[int, ...]:
    return (value,) * axes if isinstance(value, int) else tuple(value)


def _sides(padding: Any, size: Any, kernel: Any, stride: Any, dilation: Any) -> list[Pair]:
    """Return (before, after) for each axis."""
    if isinstance(padding, str):
        rows = zip(size, kernel, stride, dilation, strict=True)
        return [pads(padding, (n, n), (f, f), (s, s), (d, d))[0] for n, f, s, d in rows]
    sides = [padding] * len(size) if isinstance(padding, int) else padding
    return [(s, s) if isinstance(s, int) else (s[0], s[1]) for s in sides]


def _patch(place: tuple[int, ...], stride: Any, extent: Any, dilation: Any) -> Any:
    steps = zip(place, stride, extent, dilation, strict=True)
    return (slice(None), slice(None), *(slice(i * s, i * s + e, d) for i, s, e, d in steps))


def convolution(x: Array, w: Array, sides: Any, stride: Any, dilation: Any, groups: int) -> Array:
    """Return y (N, K, ...) of x (N, C, ...) and w (K, C/G, ...)."""
    extent = [(f - 1) * d + 1 for f, d in zip(w.shape[2:], dilation, strict=True)]
    padded = np.pad(x, [(0, 0), (0, 0), *sides])
    counts = [(m - e) // s + 1 for m, e, s in zip(padded.shape[2:], extent, stride, strict=True)]
    filters = w.reshape(groups, len(w) // groups, -1)
    out = np.empty((len(x), len(w), *counts))
    for place in np.ndindex(*counts):
        window = padded[_patch(place, stride, extent, dilation)]
        rows = window.reshape(len(x), groups, filters.shape[2])
        at: Any = (slice(None), slice(None), *place)
        out[at] = np.einsum("ngx,gkx->ngk", rows, filters).reshape(len(x), len(w))
    return out


def scatter(
    x: Array, w: Array, sides: Any, stride: Any, dilation: Any, groups: int, extra: Any
) -> Array:
    """Return y (N, K, ...): each input's filters (C, K/G, ...), added where they reach."""
    (n, c), size = x.shape[:2], x.shape[2:]
    extent = [(f - 1) * d + 1 for f, d in zip(w.shape[2:], dilation, strict=True)]
    grown = [(m - 1) * s + e + o for m, s, e, o in zip(size, stride, extent, extra, strict=True)]
    filters = w.reshape(groups, c // groups, *w.shape[1:])
    full = np.zeros((n, w.shape[1] * groups, *grown))
    for place in np.ndindex(*size):
        at: Any = (slice(None), slice(None), *place)
        values = x[at].reshape(n, groups, c // groups)
        patch = np.einsum("ngc,gck...->ngk...", values, filters)
        full[_patch(place, stride, extent, dilation)] += patch.reshape(
            n, full.shape[1], *w.shape[2:]
        )
    cut: Any = [slice(before, g - after) for (before, after), g in zip(sides, grown, strict=True)]
    return full[(slice(None), slice(None), *cut)]


def volume(
    operator: str,
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Array:
    """Return what `operator` ("conv3d", "conv_transpose2d", ...) gives, in float64."""
    axes, x, w = x.ndim - 2, x.astype(np.float64), w.astype(np.float64)
    strides, gaps = _each(stride, axes), _each(dilation, axes)
    sides = _sides(padding, x.shape[2:], w.shape[2:], strides, gaps)
    if "transpose" in operator:
        out = scatter(x, w, sides, strides, gaps, groups, _each(output_padding, axes))
    else:
        out = convolution(x, w, sides, strides, gaps, groups)
    return out if b is None else out + b.astype(np.float64).reshape(-1, *[1] * axes)
