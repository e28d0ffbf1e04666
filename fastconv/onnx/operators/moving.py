"""Constants, shapes, and operators that move elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import ModelFormatError
from ...graph.deferred import Constant
from ..importer import Importer, Unsupported, operator


@operator("Constant")
def constant(
    g: Importer,
    *,
    value: Constant | None = None,
    value_float: float | None = None,
    value_floats: Sequence[float] | None = None,
    value_int: int | None = None,
    value_ints: Sequence[int] | None = None,
) -> str:
    """Constant, since opset 1."""
    if value is not None:
        return g.constant(value)
    for number, dtype in (
        (value_float, np.float32),
        (value_floats, np.float32),
        (value_int, np.int64),
        (value_ints, np.int64),
    ):
        if number is not None:
            return g.constant(number, dtype)
    raise Unsupported("a constant that is no tensor of numbers")


@operator("ConstantOfShape")
def constant_of_shape(g: Importer, shape: str, *, value: Constant | None = None) -> str:
    """ConstantOfShape, since opset 9."""
    fill = np.zeros(1, np.float32) if value is None else np.asarray(value)
    return g.add("constant_of_shape", [shape], value=fill)


@operator("Shape")
def shape(g: Importer, x: str, *, start: int = 0, end: int | None = None) -> str:
    """Shape, since opset 1."""
    return g.add("shape", [x], start=start, end=end)


@operator("Size")
def size(g: Importer, x: str) -> str:
    """Size, since opset 1."""
    return g.add("size", [x])


@operator("Range")
def range_(g: Importer, start: str, limit: str, delta: str) -> str:
    """Range, since opset 11."""
    return g.add("range", [start, limit, delta])


@operator("Reshape")
def reshape(
    g: Importer,
    x: str,
    target: str | None = None,
    *,
    allowzero: int = 0,
    shape: Sequence[int] | None = None,
    consumed_inputs: Sequence[int] | None = None,
) -> str:
    """Reshape; the shape is an attribute before opset 5."""
    return g.add("reshape", [x, target or g.integers(shape)], allow_zero=bool(allowzero))


@operator("Flatten")
def flatten(g: Importer, x: str, *, axis: int = 1) -> str:
    """Flatten, since opset 1."""
    return g.add("flatten", [x], axis=axis)


@operator("Squeeze")
def squeeze(
    g: Importer, x: str, named: str | None = None, *, axes: Sequence[int] | None = None
) -> str:
    """Squeeze; axes are an attribute before opset 13."""
    return g.add("squeeze", [x, named or g.integers(axes)])


@operator("Unsqueeze")
def unsqueeze(
    g: Importer, x: str, named: str | None = None, *, axes: Sequence[int] | None = None
) -> str:
    """Unsqueeze; axes are an attribute before opset 13."""
    named = named or g.integers(axes)
    if named is None:
        raise ModelFormatError(f"{g.node.label} lacks axes")
    return g.add("unsqueeze", [x, named])


@operator("Split")
def split(
    g: Importer,
    x: str,
    parts: str | None = None,
    *,
    axis: int = 0,
    split: Sequence[int] | None = None,
    num_outputs: int | None = None,
) -> Any:
    """Split; sizes are an attribute before opset 13, and an input in opset 1 too."""
    count = len(g.node.outputs)
    if num_outputs is not None and num_outputs != count:
        raise ModelFormatError(f"{g.node.label} has {count} outputs, not {num_outputs}")
    sizes = parts or g.integers(split)
    return g.add_several("split", [x, sizes], count, axis=axis, pieces=count, even=g.opset < 18)


@operator("Slice")
def slice_(
    g: Importer,
    x: str,
    first: str | None = None,
    last: str | None = None,
    named: str | None = None,
    steps: str | None = None,
    *,
    starts: Sequence[int] | None = None,
    ends: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
) -> str:
    """Slice; all but x are attributes before opset 10."""
    first, last = first or g.integers(starts), last or g.integers(ends)
    if first is None or last is None:
        raise ModelFormatError(f"{g.node.label} lacks starts or ends")
    return g.add("slice", [x, first, last, named or g.integers(axes), steps])


@operator("Pad")
def pad(
    g: Importer,
    x: str,
    amounts: str | None = None,
    number: str | None = None,
    axes: str | None = None,
    *,
    mode: str = "constant",
    pads: Sequence[int] | None = None,
    paddings: Sequence[int] | None = None,
    value: float = 0.0,
) -> str:
    """Pad; amounts and value are attributes before opset 11."""
    if mode not in ("constant", "edge", "reflect", "wrap"):
        raise Unsupported(f"attribute mode={mode!r}")
    amounts = amounts or g.integers(pads if pads is not None else paddings)
    if amounts is None:
        raise ModelFormatError(f"{g.node.label} lacks pads")
    if number is None and value:
        number = g.constant(value, np.float64)
    return g.add("pad", [x, amounts, number, axes], mode=mode)


@operator("Transpose")
def transpose(g: Importer, x: str, *, perm: Sequence[int] | None = None) -> str:
    """Transpose, since opset 1."""
    return g.add("transpose", [x], perm=perm)


@operator("Concat")
def concat(g: Importer, *values: str, axis: int = 1) -> str:
    """Concat, since opset 1."""
    return g.add("concat", values, axis=axis)


@operator("Expand")
def expand(g: Importer, x: str, target: str) -> str:
    """Expand, since opset 8."""
    return g.add("expand", [x, target])


@operator("Tile")
def tile(g: Importer, x: str, repeats: str, axis: str | None = None) -> str:
    """Tile, since opset 6."""
    if g.opset < 6:
        raise Unsupported("Tile of opsets before 6")
    return g.add("tile", [x, repeats])


@operator("Gather")
def gather(g: Importer, x: str, indices: str, *, axis: int = 0) -> str:
    """Gather, since opset 1."""
    return g.add("gather", [x, indices], axis=axis)


@operator("DepthToSpace")
def depth_to_space(g: Importer, x: str, *, blocksize: int, mode: str = "DCR") -> str:
    """DepthToSpace, since opset 1."""
    if mode not in ("DCR", "CRD"):
        raise Unsupported(f"attribute mode={mode!r}")
    return g.add("depth_to_space", [x], block=blocksize, column_first=mode == "CRD")


@operator("SpaceToDepth")
def space_to_depth(g: Importer, x: str, *, blocksize: int, mode: str = "DCR") -> str:
    """SpaceToDepth, since opset 1."""
    if mode not in ("DCR", "CRD"):
        raise Unsupported(f"attribute mode={mode!r}")
    return g.add("space_to_depth", [x], block=blocksize, column_first=mode == "CRD")
