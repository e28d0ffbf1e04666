"""Cases of convolutions over one and three axes, and of transposed ones."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from reference import Array
from reference_volumes import volume

#: name -> (operator, input, weight, options): sizes around tiles and vectors, each stride with each
#: kind of tap count above, at and below it, gaps that share divisors with the stride, and crops.
CASES: dict[str, tuple[str, tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "conv1d-plain": ("conv1d", (2, 3, 20), (5, 3, 4), {}),
    "conv1d-strided": ("conv1d", (1, 17, 33), (33, 17, 3), {"stride": 2, "padding": 1}),
    "conv1d-dilated": ("conv1d", (1, 4, 40), (6, 2, 3), {"dilation": 5, "groups": 2}),
    "conv1d-same": ("conv1d", (3, 1, 15), (2, 1, 6), {"padding": "same", "stride": 2}),
    "conv1d-sides": ("conv1d", (1, 2, 9), (3, 2, 5), {"padding": ((4, 1),)}),
    "conv1d-depthwise": ("conv1d", (1, 19, 30), (19, 1, 3), {"padding": 1, "groups": 19}),
    "conv3d-3x3x3": ("conv3d", (2, 3, 5, 6, 7), (5, 3, 3, 3, 3), {"padding": 1}),
    "conv3d-wide": ("conv3d", (1, 24, 4, 9, 9), (33, 24, 3, 3, 3), {"padding": 1}),
    "conv3d-depth-only": ("conv3d", (1, 8, 6, 5, 5), (17, 8, 3, 1, 1), {"padding": (1, 0, 0)}),
    "conv3d-planes-only": ("conv3d", (1, 5, 6, 7, 9), (4, 5, 1, 3, 3), {"padding": (0, 1, 1)}),
    "conv3d-padded-planes": ("conv3d", (1, 5, 3, 4, 4), (4, 5, 1, 1, 1), {"padding": (2, 0, 0)}),
    "conv3d-strided": (
        "conv3d",
        (1, 3, 9, 13, 11),
        (7, 3, 3, 5, 2),
        {"stride": (2, 3, 2), "padding": (2, 1, 0), "dilation": (2, 1, 3)},
    ),
    "conv3d-depth-strided": ("conv3d", (2, 4, 7, 4, 4), (6, 4, 1, 1, 1), {"stride": (3, 1, 2)}),
    "conv3d-groups": ("conv3d", (1, 6, 4, 5, 6), (9, 2, 2, 3, 3), {"groups": 3}),
    "conv3d-depthwise": ("conv3d", (1, 7, 4, 5, 6), (7, 1, 3, 3, 3), {"groups": 7, "padding": 1}),
    "conv3d-same": ("conv3d", (1, 2, 5, 6, 7), (3, 2, 2, 3, 4), {"padding": "same"}),
    "transpose1d": ("conv_transpose1d", (2, 5, 9), (5, 7, 4), {"stride": 3, "padding": 1}),
    "transpose1d-gaps": ("conv_transpose1d", (1, 3, 6), (3, 2, 2), {"stride": 5}),
    "transpose-4x4-s2": (
        "conv_transpose2d",
        (2, 17, 7, 9),
        (17, 33, 4, 4),
        {"stride": 2, "padding": 1},
    ),
    "transpose-3x3-s2": (
        "conv_transpose2d",
        (1, 6, 5, 6),
        (6, 4, 3, 3),
        {"stride": 2, "padding": 1, "output_padding": 1},
    ),
    "transpose-2x2-s2": ("conv_transpose2d", (1, 16, 7, 7), (16, 17, 2, 2), {"stride": 2}),
    "transpose-s1": ("conv_transpose2d", (1, 24, 9, 10), (24, 16, 3, 3), {"padding": 1}),
    "transpose-1x1-s3": (
        "conv_transpose2d",
        (1, 4, 3, 4),
        (4, 5, 1, 1),
        {"stride": 3, "output_padding": 2},
    ),
    "transpose-common-divisor": (
        "conv_transpose2d",
        (1, 3, 4, 5),
        (3, 4, 3, 4),
        {"stride": (4, 6), "dilation": (6, 4), "padding": (3, 2), "output_padding": (5, 1)},
    ),
    "transpose-coprime": (
        "conv_transpose2d",
        (1, 3, 5, 4),
        (3, 2, 5, 2),
        {"stride": (3, 2), "dilation": (2, 3), "padding": (1, 0)},
    ),
    "transpose-crops": ("conv_transpose2d", (1, 3, 6, 7), (3, 4, 2, 3), {"padding": (3, 4)}),
    "transpose-crops-s2": (
        "conv_transpose2d",
        (1, 2, 8, 9),
        (2, 3, 3, 2),
        {"stride": 2, "padding": ((5, 2), (3, 4))},
    ),
    "transpose-groups": (
        "conv_transpose2d",
        (2, 6, 4, 5),
        (6, 5, 3, 3),
        {"stride": 2, "groups": 3, "padding": 1},
    ),
    "transpose-depthwise": (
        "conv_transpose2d",
        (1, 9, 5, 5),
        (9, 1, 4, 4),
        {"stride": 2, "groups": 9, "padding": 1},
    ),
    "transpose-fcn": (
        "conv_transpose2d",
        (1, 3, 3, 3),
        (3, 3, 16, 16),
        {"stride": 8, "padding": 4},
    ),
    "transpose3d": (
        "conv_transpose3d",
        (1, 3, 3, 4, 5),
        (3, 4, 3, 2, 3),
        {"stride": (2, 1, 2), "padding": (1, 0, 1), "output_padding": (1, 0, 0)},
    ),
    "transpose3d-gaps": ("conv_transpose3d", (2, 4, 2, 3, 2), (4, 2, 1, 2, 1), {"stride": 2}),
    "transpose-empty-batch": ("conv_transpose2d", (0, 3, 4, 4), (3, 2, 2, 2), {"stride": 2}),
    "conv3d-empty-batch": ("conv3d", (0, 3, 4, 4, 4), (2, 3, 2, 2, 2), {}),
}


def numbers(name: str, dtype: str) -> tuple[Array, Array, Array]:
    """Return small whole numbers: every sum is exact."""
    operator, x_shape, w_shape, options = CASES[name]
    rng = np.random.default_rng(len(name))
    filters = w_shape[0]
    if "transpose" in operator:
        filters = w_shape[1] * options.get("groups", 1)
    x, w, b = (rng.integers(-4, 5, s).astype(dtype) for s in (x_shape, w_shape, (filters,)))
    return x, w, b


@functools.cache
def exact(name: str) -> Array:
    """Return the oracle's answer on `numbers`: the same for both dtypes."""
    operator, _, _, options = CASES[name]
    out = volume(operator, *numbers(name, "float64"), **options)
    out.flags.writeable = False
    return out
