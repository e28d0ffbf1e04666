"""Resize and Upsample."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...errors import ModelFormatError
from ..importer import Importer, Unsupported, operator

_MODES = ("nearest", "linear", "cubic")
_COORDINATES = (
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
    "tf_crop_and_resize",
    "tf_half_pixel_for_nn",
)
_ROUNDINGS = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
_POLICIES = ("stretch", "not_larger", "not_smaller")


def _check(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise Unsupported(f"attribute {name}={value!r}")


@operator("Resize")
def resize(
    g: Importer,
    x: str,
    roi: str | None = None,
    scales: str | None = None,
    sizes: str | None = None,
    *,
    antialias: int = 0,
    axes: Sequence[int] | None = None,
    coordinate_transformation_mode: str = "half_pixel",
    cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0,
    extrapolation_value: float = 0.0,
    keep_aspect_ratio_policy: str = "stretch",
    mode: str = "nearest",
    nearest_mode: str = "round_prefer_floor",
) -> str:
    """Resize; in opset 10 the second input is the scales, and coordinates are asymmetric."""
    if g.opset < 11:
        roi, scales = None, roi
        coordinate_transformation_mode, nearest_mode = "asymmetric", "floor"
    _check("mode", mode, _MODES)
    _check("coordinate_transformation_mode", coordinate_transformation_mode, _COORDINATES)
    _check("nearest_mode", nearest_mode, _ROUNDINGS)
    _check("keep_aspect_ratio_policy", keep_aspect_ratio_policy, _POLICIES)
    if scales is None and sizes is None:
        raise ModelFormatError(f"{g.node.label} has neither scales nor sizes")
    return g.add(
        "resize",
        [x, roi, scales, sizes],
        mode=mode,
        coordinate=coordinate_transformation_mode,
        rounding=nearest_mode,
        axes=axes,
        coefficient=cubic_coeff_a,
        antialias=bool(antialias),
        exclude_outside=bool(exclude_outside),
        outside=extrapolation_value,
        policy=keep_aspect_ratio_policy,
    )


@operator("Upsample")
def upsample(
    g: Importer,
    x: str,
    factors: str | None = None,
    *,
    height_scale: float | None = None,
    mode: str = "nearest",
    scales: Sequence[float] | None = None,
    width_scale: float | None = None,
) -> str:
    """Upsample; scales are attributes before opset 9."""
    if height_scale is not None and width_scale is not None:
        scales = (1, 1, height_scale, width_scale)
    if scales is not None:
        factors = g.constant(scales, np.float32)
    if factors is None:
        raise ModelFormatError(f"{g.node.label} has no scales")
    kind = "linear" if mode in ("linear", "bilinear") else mode
    _check("mode", kind, _MODES[:2])
    return g.add("resize", [x, None, factors], mode=kind, coordinate="asymmetric")
