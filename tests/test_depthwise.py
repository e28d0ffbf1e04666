"""Depthwise convolution by its own kernels: right in any layout, and the same for any team."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference as ref
from cases import DEPTHWISE, NETWORKS, ConvCase, exact

import fastconv
from fastconv import _native, conv2d, nn

AXES = {"NCHW": (0, 1, 2, 3), "NHWC": (0, 2, 3, 1)}
BACK = {"NCHW": (0, 1, 2, 3), "NHWC": (0, 3, 1, 2)}


def depthwise(case: ConvCase, arrays: Any, layout: Any, **more: Any) -> Any:
    """Run a case -> (N, K, P, Q), from a contiguous array of that layout."""
    x, w, b = arrays
    more = {"algorithm": "depthwise", **case.geometry, **more}
    x = np.ascontiguousarray(x.transpose(AXES[layout]))
    return conv2d(x, w, b, data_format=layout, **more).transpose(BACK[layout])


@pytest.mark.parametrize("layout", AXES)
def test_whole_numbers_are_exact(layout: Any, dtype: str, isa: str) -> None:
    for case in DEPTHWISE:
        y = depthwise(case, case.integers(dtype), layout)
        np.testing.assert_array_equal(y, exact(case), err_msg=str(case))


@pytest.mark.parametrize("layout", AXES)
def test_rounding_stays_within_bounds(layout: Any, dtype: str, isa: str) -> None:
    for case in (c for c in NETWORKS if c.c == c.groups):
        x, w, b = case.normals(dtype)
        y = depthwise(case, (x, w, b), layout)
        expected = ref.conv2d(x, w, b, **case.geometry)
        limit = ref.conv2d_bound("depthwise", x, w, b, **case.geometry)
        ref.assert_close(y, expected, limit, str(case))


@pytest.mark.parametrize("activation", [*ref.ACTIVATIONS])
@pytest.mark.parametrize("layout", AXES)
def test_fused_activations(activation: str, layout: Any, isa: str) -> None:
    for kernel, w, m in (((3, 3), 40, 1), ((5, 5), 6, 1), ((2, 3), 9, 1), ((3, 3), 17, 2)):
        case = ConvCase("activation", 2, 19, 11, w, 19 * m, kernel, padding=1, groups=19)
        arrays = case.normals("float32")
        y = depthwise(case, arrays, layout, activation=activation)
        fused = {**case.geometry, "activation": activation}
        limit = ref.conv2d_bound("depthwise", *arrays, **fused)
        ref.assert_close(y, ref.conv2d(*arrays, **fused), limit, str(case))


@pytest.mark.parametrize("mixed", [("NCHW", "NHWC"), ("NHWC", "NCHW")])
def test_layouts_may_differ(mixed: Any, dtype: str, isa: str) -> None:
    """An input of one layout and an output of the other, both strided."""
    for case in DEPTHWISE[::5]:
        if not case.n:
            continue
        x, w, b = case.integers(dtype)
        wide = np.full((*x.transpose(AXES[mixed[0]]).shape, 2), np.nan, dtype)
        wide[..., 0] = x.transpose(AXES[mixed[0]])
        expected = exact(case)
        out = np.full((*expected.transpose(AXES[mixed[1]]).shape, 3), np.nan, dtype)
        for given, to in (
            (wide[..., 0], out[..., 0]),
            (wide[..., 0].copy(), out[..., 0].copy()),
        ):
            y = to.transpose(BACK[mixed[1]])
            given = given.transpose(BACK[mixed[0]])
            conv2d(given, w, b, **case.geometry, algorithm="depthwise", out=y)
            np.testing.assert_array_equal(y, expected, err_msg=str(case))


LARGE = (
    ConvCase("planes", 1, 131, 57, 55, 131, padding=1, groups=131),
    ConvCase("planes-5x5-s2", 2, 67, 91, 83, 67, (5, 5), (2, 2), 2, groups=67),
    ConvCase("strips", 2, 517, 9, 10, 517, (7, 7), padding=3, groups=517),
    ConvCase("taps", 2, 67, 57, 60, 67, (4, 3), padding=3, dilation=(2, 1), groups=67),
)


@pytest.mark.parametrize("layout", AXES)
@pytest.mark.parametrize("case", LARGE, ids=str)
@pytest.mark.usefixtures("eight_threads")
def test_same_bits_for_any_team_and_batch_split(
    case: ConvCase, layout: Any, dtype: str, isa: str
) -> None:
    x, w, b = case.normals(dtype)
    answers = {}
    for threads in (1, 2, 3, 8):
        y = depthwise(case, (x, w, b), layout, num_threads=threads)
        assert _native.last_num_threads() == (threads if _native.has_openmp() else 1)
        answers[threads] = y.tobytes()
    assert len(set(answers.values())) == 1
    parts = [depthwise(case, (x[i : i + 1], w, b), layout) for i in range(case.n)]
    assert np.concatenate(parts).tobytes() == answers[1]


def test_layers_and_calls_choose_it() -> None:
    case = ConvCase("mobilenet", 1, 32, 28, 28, 32, padding=1, groups=32)
    x, w, b = case.normals("float32")
    layer = nn.Conv2d(32, 32, 3, padding=1, groups=32)
    layer.weight, layer.bias = w, b
    forced = depthwise(case, (x, w, b), "NCHW")
    np.testing.assert_array_equal(layer(x), forced)
    np.testing.assert_array_equal(depthwise(case, (x, w, b), "NCHW", algorithm="direct"), forced)


def test_refused_where_it_does_not_fit() -> None:
    x, w = np.ones((1, 4, 5, 5)), np.ones((2, 2, 3, 3))
    with pytest.raises(ValueError, match=r"algorithm: 'depthwise'.* got 3x3 of 2 channels"):
        conv2d(x, w, groups=2, algorithm="depthwise")
    fastconv.set_algorithm("depthwise")  # a default is for what it fits
    np.testing.assert_array_equal(conv2d(x, w, groups=2), np.full((1, 2, 3, 3), 18.0))
