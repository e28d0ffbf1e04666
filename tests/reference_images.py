"""Oracles of resizing and normalization: naive float64 loops, one output at a time."""

from __future__ import annotations

import math

import numpy as np
from reference import Array


def source(mode: str, o: int, inputs: int, outputs: int, scale: float | None, align: bool) -> float:
    """Return where output `o` lies among the inputs of an axis."""
    if align:
        return o * (inputs - 1) / (outputs - 1) if outputs > 1 else 0.0
    step = 1 / scale if scale else inputs / outputs
    if mode == "nearest":
        return float(np.floor(np.float32(o) * np.float32(step)))
    if mode == "nearest-exact":
        return float(np.floor((np.float32(o) + np.float32(0.5)) * np.float32(step)))
    return (o + 0.5) * step - 0.5


def taps(mode: str, place: float) -> list[tuple[int, float]]:
    """Return inputs and weights around a place."""
    if mode.startswith("nearest"):
        return [(int(place), 1.0)]
    below = math.floor(place)
    t = place - below
    if mode != "bicubic":
        return [(below, 1 - t), (below + 1, t)]
    a, found = -0.75, []
    for i in range(-1, 3):
        d = abs(t - i)
        near = (a + 2) * d**3 - (a + 3) * d**2 + 1
        found.append((below + i, near if d <= 1 else a * (d**3 - 5 * d**2 + 8 * d - 4)))
    return found


def interpolate(
    x: Array, sizes: tuple[int, ...], mode: str, align: bool, scales: tuple[float | None, ...]
) -> Array:
    """Resize the axes behind the channels of x (N, C, ...), one after another."""
    out = x.astype(np.float64)
    for a, (size, scale) in enumerate(zip(sizes, scales, strict=True)):
        line = np.moveaxis(out, 2 + a, 0)
        found = np.zeros((size, *line.shape[1:]))
        for o in range(size):
            place = source(mode, o, len(line), size, scale, align)
            for index, weight in taps(mode, place):
                found[o] += weight * line[min(max(index, 0), len(line) - 1)]
        out = np.moveaxis(found, 0, 2 + a)
    return out


def local_response_norm(x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
    """Divide each channel by the energy of those around."""
    wide = x.astype(np.float64)
    out = np.empty_like(wide)
    for c in range(x.shape[1]):
        around = wide[:, max(c - size // 2, 0) : c + (size - 1) // 2 + 1]
        out[:, c] = wide[:, c] / (k + alpha / size * (around**2).sum(1)) ** beta
    return out
