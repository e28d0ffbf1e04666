"""Tables for resizing along one axis: which inputs each output sums, with which weights.

PyTorch's formulas; for the antialiased filters see Pillow's resampling, from which those come.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._axes import NAMES, numbers
from ._views import Array
from .errors import ShapeError

#: Factor of the cubic polynomials: PyTorch's for interpolation, and for antialiasing filters.
CUBIC, CUBIC_FILTER = -0.75, -0.5


class Table(NamedTuple):
    """Taps of an output, and for each output as many indices and weights."""

    taps: int
    places: Array
    weight: Array


class Axis(NamedTuple):
    """How one axis is resized: `scale` is what the user gave, or None for outputs / inputs."""

    inputs: int
    outputs: int
    scale: float | None
    align_corners: bool

    @property
    def step(self) -> float:
        """Inputs from one output to the next."""
        if self.align_corners:
            return (self.inputs - 1) / (self.outputs - 1) if self.outputs > 1 else 0.0
        return 1 / self.scale if self.scale else self.inputs / self.outputs

    def places(self) -> Array:
        """Where the outputs lie among the inputs."""
        outputs = np.arange(self.outputs)
        if self.align_corners:
            return np.asarray(outputs * self.step)
        return np.asarray((outputs + 0.5) * self.step - 0.5)


def identity(size: int) -> Table:
    """Every output is an input."""
    return Table(1, np.arange(size), np.ones(size))


def nearest(axis: Axis, shift: float) -> Table:
    """Take the input below; in single precision, as PyTorch counts for every dtype."""
    step = np.float32(axis.step)
    places = np.floor((np.arange(axis.outputs, dtype=np.float32) + np.float32(shift)) * step)
    index = np.minimum(places.astype(np.int64), axis.inputs - 1)
    return Table(1, index, np.ones(axis.outputs))


def linear(axis: Axis) -> Table:
    """Weigh the two inputs around."""
    places = np.maximum(axis.places(), 0)
    below = np.minimum(places.astype(np.int64), axis.inputs - 1)
    above = np.minimum(below + 1, axis.inputs - 1)
    rest = np.clip(places - below, 0, 1)
    return Table(2, np.stack([below, above], 1), np.stack([1 - rest, rest], 1))


def _cubic(x: Array, a: float) -> Array:
    """Keys' cubic convolution kernel."""
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def cubic(axis: Axis) -> Table:
    """Weigh the four inputs around, those beyond the edge being the edge's."""
    places = axis.places()
    below = np.floor(places)
    around = below[:, None] + np.arange(-1, 3)
    weight = _cubic(places[:, None] - around, CUBIC)
    return Table(4, np.clip(around, 0, axis.inputs - 1).astype(np.int64), weight)


def _ranges(first: Array, last: Array, weight: Any, inputs: int) -> Table:
    """Sums over [first, last) of each output.

    In shorter ones the first input counts several times, each with a part of its weight: a weight
    of zero would make NaN of infinity.
    """
    taps = int((last - first).max())
    index = first[:, None] + np.arange(taps)
    inside = index < last[:, None]
    weights = np.where(inside, weight(index), 0.0)
    weights /= weights.sum(1, keepdims=True)
    parts = weights[:, :1] / (1 + (~inside).sum(1, keepdims=True))
    weights = np.where(inside & (index > first[:, None]), weights, parts)
    return Table(taps, np.where(inside, index, first[:, None]).clip(0, inputs - 1), weights)


def antialias(axis: Axis, mode: str) -> Table:
    """Average the inputs that an output covers, with a triangle or a cubic kernel."""
    scale = max(axis.step, 1.0)
    support = (1 if mode == "linear" else 2) * scale
    centre = axis.step * (np.arange(axis.outputs) + 0.5)
    first = np.maximum((centre - support + 0.5).astype(np.int64), 0)
    last = np.minimum((centre + support + 0.5).astype(np.int64), axis.inputs)

    def weight(index: Array) -> Array:
        x = (index - centre[:, None] + 0.5) / scale
        return np.maximum(1 - np.abs(x), 0) if mode == "linear" else _cubic(x, CUBIC_FILTER)

    return _ranges(first, last, weight, axis.inputs)


def area(axis: Axis) -> Table:
    """Average the inputs that an output covers in part: adaptive pooling."""
    outputs = np.arange(axis.outputs)
    first = outputs * axis.inputs // axis.outputs
    last = -(-(outputs + 1) * axis.inputs // axis.outputs)
    return _ranges(first, last, lambda index: np.ones(index.shape), axis.inputs)


def table(axis: Axis, mode: str, smooth: bool) -> Table:
    """Table of one axis for a mode of `interpolate`."""
    if mode in ("linear", "bilinear", "trilinear"):
        return antialias(axis, "linear") if smooth else linear(axis)
    if mode == "bicubic":
        return antialias(axis, "cubic") if smooth else cubic(axis)
    if mode == "area":
        return area(axis)
    return nearest(axis, 0.5 if mode == "nearest-exact" else 0.0)


def resized(
    shape: tuple[int, ...], size: Any, scale_factor: Any
) -> tuple[tuple[int, ...], tuple[float | None, ...]]:
    """Sizes of the output for the input's, and the scales that were given."""
    axes = len(shape)
    if (size is None) == (scale_factor is None):
        raise ValueError("size, scale_factor: expected one of them")
    if size is not None:
        return numbers(size, axes, "size", 1), (None,) * axes
    given = tuple(scale_factor) if isinstance(scale_factor, (list, tuple)) else (scale_factor,)
    if len(given) not in (1, axes):
        raise ShapeError(
            f"scale_factor: expected a number or ({', '.join(NAMES[axes])}), got {scale_factor!r}"
        )
    scales = tuple(float(s) for s in (given if len(given) == axes else given * axes))
    sizes = tuple(int(n * s) for n, s in zip(shape, scales, strict=True))
    if min(sizes) < 1:
        raise ShapeError(f"scale_factor: {scale_factor!r} of size {shape} would leave {sizes}")
    return sizes, scales
