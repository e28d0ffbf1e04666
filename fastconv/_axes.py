"""Sizes of convolutions along one, two or three axes, and of transposed ones.

`fastconv.shapes` is the owner of the size formula; this reads arguments for any number of axes.
"""

from __future__ import annotations

from typing import Any

from ._fits import Pair, brief, kernel_extent, show
from .errors import ShapeError
from .shapes import integer, output_size, padding_pairs

Sizes = tuple[int, ...]
PadsOf = tuple[Pair, ...]

#: Names of the axes behind batch and channels, by their number.
NAMES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}


def _is_sequence(value: Any) -> bool:
    return isinstance(value, (list, tuple)) or (
        hasattr(value, "__len__") and getattr(value, "ndim", 0) != 0
    )


def numbers(value: Any, axes: int, name: str, minimum: int | None = None) -> Sizes:
    """Read one integer for all axes, or one for each."""
    if not _is_sequence(value):
        return (integer(value, name, minimum),) * axes
    if len(value) not in (1, axes):
        raise ShapeError(
            f"{name} must be an integer or ({', '.join(NAMES[axes])}), got {brief(value)}"
        )
    read = tuple(integer(item, f"{name}[{i}]", minimum) for i, item in enumerate(value))
    return read if len(read) == axes else read * axes


def pads(padding: Any, size: Sizes, kernel: Sizes, stride: Sizes, dilation: Sizes) -> PadsOf:
    """Read padding: an integer, one for each axis, (before, after) for each axis, or a word."""
    axes = len(size)
    if isinstance(padding, str):
        sides = (
            padding_pairs(padding, (n, n), (f, f), (s, s), (d, d))[0]
            for n, f, s, d in zip(size, kernel, stride, dilation, strict=True)
        )
        return tuple(sides)
    if _is_sequence(padding) and len(padding) and all(_is_sequence(side) for side in padding):
        if len(padding) != axes or any(len(side) != 2 for side in padding):
            raise ShapeError(
                f"padding must be (before, after) for each of {', '.join(NAMES[axes])}, got "
                f"{brief(padding)}"
            )
        return tuple(
            (integer(b, f"padding[{i}][0]", 0), integer(a, f"padding[{i}][1]", 0))
            for i, (b, a) in enumerate(padding)
        )
    return tuple((n, n) for n in numbers(padding, axes, "padding", 0))


def outputs(
    size: Sizes, kernel: Sizes, stride: Sizes, padding: PadsOf, dilation: Sizes, *, strict: bool
) -> Sizes:
    """`shapes.output_size` along each axis."""
    return tuple(
        output_size(n, f, s, pad, d, strict=strict, axis=axis)
        for n, f, s, pad, d, axis in zip(
            size, kernel, stride, padding, dilation, NAMES[len(size)], strict=True
        )
    )


def transposed_outputs(
    size: Sizes, kernel: Sizes, stride: Sizes, padding: PadsOf, dilation: Sizes, extra: Sizes
) -> Sizes:
    """Sizes that a convolution of these arguments takes to `size`, `extra` of those it ignores."""
    for i, (more, step, gap) in enumerate(zip(extra, stride, dilation, strict=True)):
        if more >= max(step, gap):
            raise ShapeError(
                f"output_padding[{i}] must be smaller than stride or dilation "
                f"({show(max(step, gap))}), got {show(more)}"
            )
    found = []
    for i, axis in enumerate(NAMES[len(size)]):
        if size[i] < 1:
            raise ShapeError(f"{axis} must be at least 1, got 0")
        reach = (size[i] - 1) * stride[i] + kernel_extent(kernel[i], dilation[i]) + extra[i]
        length = reach - sum(padding[i])
        if length < 1:
            raise ShapeError(
                f"padding takes away all of the output: {axis} would be "
                f"({show(size[i])} - 1)*{show(stride[i])} + "
                f"{show(kernel_extent(kernel[i], dilation[i]))} + {show(extra[i])} - "
                f"{show(sum(padding[i]))} = {show(length)}"
            )
        found.append(length)
    return tuple(found)
