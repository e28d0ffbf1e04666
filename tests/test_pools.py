"""max_pool2d and avg_pool2d against the oracle."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import reference as ref
from cases import POOLS, PoolCase

from fastconv import avg_pool2d, max_pool2d

INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")


def last(x: ref.Array) -> ref.Array:
    """Return (N, C, H, W) as a contiguous (N, H, W, C) array."""
    return np.ascontiguousarray(np.moveaxis(x, -3, -1))


@functools.cache
def answer(case: PoolCase, dtype: str) -> tuple[ref.Array, ref.Array, ref.Array]:
    """Return input, maxima and indices of a case."""
    x = case.normals(dtype)
    return (x, *ref.max_pool2d(x, **case.geometry))


def assert_indices(actual: ref.Array, expected: ref.Array) -> None:
    """Compare indices wherever the window holds a pixel at all."""
    assert actual.dtype == np.int64
    assert actual.shape == expected.shape
    inside = expected >= 0
    np.testing.assert_array_equal(actual[inside], expected[inside])


@pytest.mark.parametrize("case", POOLS, ids=str)
def test_max(case: PoolCase, dtype: str, isa: str) -> None:
    x, values, where = answer(case, dtype)
    y = max_pool2d(x, **case.geometry)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, values)
    y, index = max_pool2d(x, **case.geometry, return_indices=True)
    np.testing.assert_array_equal(y, values)
    assert_indices(index, where)
    y = max_pool2d(last(x), **case.geometry, data_format="NHWC")
    np.testing.assert_array_equal(y, last(values))


@functools.cache
def odd_answers(case: PoolCase, dtype: str) -> list[tuple[ref.Array, ref.Array, ref.Array]]:
    """Return input, maxima and indices: ties, then more and more infinities and NaN as well."""
    rng = np.random.default_rng(1)
    x = np.round(case.normals(dtype))
    answers = []
    for odd in (None, -np.inf, np.inf, np.nan):
        if odd is not None:
            x[rng.random(x.shape) < 0.2] = odd
        answers.append((x.copy(), *ref.max_pool2d(x, **case.geometry)))
    return answers


@pytest.mark.parametrize("case", POOLS[:20], ids=str)
def test_max_with_ties_infinities_and_nan(case: PoolCase, dtype: str, isa: str) -> None:
    for x, values, where in odd_answers(case, dtype):
        np.testing.assert_array_equal(max_pool2d(x, **case.geometry), values)
        np.testing.assert_array_equal(
            max_pool2d(last(x), **case.geometry, data_format="NHWC"), last(values)
        )
        y, index = max_pool2d(x, **case.geometry, return_indices=True)
        np.testing.assert_array_equal(y, values)
        assert_indices(index, where)
        y, index = max_pool2d(last(x), **case.geometry, return_indices=True, data_format="NHWC")
        np.testing.assert_array_equal(y, last(values))
        assert_indices(index, last(where))


def test_max_of_nothing_but_the_lowest(dtype: str, isa: str) -> None:
    x = np.full((1, 17, 5, 6), -np.inf, dtype)
    y, index = max_pool2d(x, 3, 1, 1, return_indices=True)
    values, where = ref.max_pool2d(x, 3, 1, 1)
    np.testing.assert_array_equal(y, values)
    assert_indices(index, where)


@functools.cache
def integer_answers(case: PoolCase, integer: str) -> list[tuple[ref.Array, ref.Array, ref.Array]]:
    """Both ends of the range: values that no float can tell apart, and the lowest one."""
    info = np.iinfo(integer)
    rng = np.random.default_rng(2)
    high = rng.integers(info.max - 5, info.max, case.shape, integer, endpoint=True)
    low = rng.integers(info.min, info.min + 5, case.shape, integer, endpoint=True)
    both = np.where(rng.random(case.shape) < 0.5, high, low)
    return [(x, *ref.max_pool2d(x, **case.geometry)) for x in (high, low, both)]


@pytest.mark.parametrize("integer", INTEGERS)
@pytest.mark.parametrize("case", POOLS[:20], ids=str)
def test_max_of_integers(case: PoolCase, integer: str, isa: str) -> None:
    for x, values, where in integer_answers(case, integer):
        y, index = max_pool2d(x, **case.geometry, return_indices=True)
        assert y.dtype == integer
        np.testing.assert_array_equal(y, values)
        assert_indices(index, where)
        np.testing.assert_array_equal(max_pool2d(x, **case.geometry), values)
        y = max_pool2d(last(x), **case.geometry, data_format="NHWC")
        np.testing.assert_array_equal(y, last(values))


def average_bound(x: ref.Array, expected: ref.Array, **arguments: Any) -> ref.Array:
    """A sum of the window's elements, one division."""
    r, s = ref.two(arguments["kernel_size"])
    arguments["divisor_override"] = abs(arguments.get("divisor_override") or 0) or None
    return ref.bound("mean", r * s + 2, ref.avg_pool2d(abs(x), **arguments), x.dtype)


@pytest.mark.parametrize("count_include_pad", [True, False])
@pytest.mark.parametrize("case", [c for c in POOLS if c.dilation == (1, 1)], ids=str)
def test_average(case: PoolCase, count_include_pad: bool, dtype: str, isa: str) -> None:
    x = case.normals(dtype)
    arguments: dict[str, Any] = {**case.average, "count_include_pad": count_include_pad}
    expected = ref.avg_pool2d(x, **arguments)
    limit = average_bound(x, expected, **arguments)
    y = avg_pool2d(x, **arguments)
    assert y.dtype == dtype
    ref.assert_close(y, expected, limit)
    y = avg_pool2d(last(x), **arguments, data_format="NHWC")
    ref.assert_close(y, last(expected), last(limit))


@pytest.mark.parametrize("divisor", [1, 3, 7, 1000, -2])
def test_average_with_its_own_divisor(divisor: int, dtype: str, isa: str) -> None:
    x = POOLS[2].normals(dtype)
    arguments = {**POOLS[2].average, "divisor_override": divisor}
    expected = ref.avg_pool2d(x, **arguments)
    ref.assert_close(avg_pool2d(x, **arguments), expected, average_bound(x, expected, **arguments))


def test_average_of_whole_numbers_is_exact(dtype: str, isa: str) -> None:
    x = np.random.default_rng(3).integers(-99, 99, (2, 19, 9, 10)).astype(dtype)
    for stride, padding in ((1, 0), (2, 0), (2, 1)):
        y = avg_pool2d(x, 2, stride, padding)
        np.testing.assert_array_equal(y, ref.avg_pool2d(x, 2, stride, padding))


def test_nan_touches_only_its_windows(dtype: str, isa: str) -> None:
    x = np.ones((1, 33, 6, 7), dtype)
    x[0, 32, 3, 3] = np.nan
    y = avg_pool2d(x, 2, 2)
    assert np.argwhere(np.isnan(y)).tolist() == [[0, 32, 1, 1]]


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("case", POOLS[:20], ids=str)
def test_out_is_filled_whatever_was_in_it(case: PoolCase, layout: Any, dtype: str) -> None:
    x, values, where = answer(case, dtype)
    if layout == "NHWC":
        x, values, where = last(x), last(values), last(where)
    out = np.full(values.shape, np.nan, dtype)
    assert max_pool2d(x, **case.geometry, data_format=layout, out=out) is out
    np.testing.assert_array_equal(out, values)
    out[...] = np.nan
    arguments: dict[str, Any] = {**case.geometry, "data_format": layout, "out": out}
    y, index = max_pool2d(x, **arguments, return_indices=True)
    assert y is out
    np.testing.assert_array_equal(out, values)
    assert_indices(index, where)
    if case.dilation == (1, 1):
        expected = avg_pool2d(x, **case.average, data_format=layout)
        out[...] = np.nan
        assert avg_pool2d(x, **case.average, data_format=layout, out=out) is out
        np.testing.assert_array_equal(out, expected)


def test_unbatched(dtype: str) -> None:
    x = POOLS[2].normals(dtype)[0]
    values, where = ref.max_pool2d(x, 3, 2, 1)
    y, index = max_pool2d(x, 3, 2, 1, return_indices=True)
    np.testing.assert_array_equal(y, values)
    np.testing.assert_array_equal(index, where)
    np.testing.assert_array_equal(max_pool2d(last(x), 3, 2, 1, data_format="NHWC"), last(values))
    np.testing.assert_array_equal(avg_pool2d(x, 3, 2, 1), avg_pool2d(x[None], 3, 2, 1)[0])


@pytest.mark.parametrize(
    ("size", "stride", "means"),
    [
        ((2,), (), (2, 2)),
        ([2, 3], None, (2, 3)),
        (np.int64(2), [1], (2, 2)),
        ((2, 2), (1,), (2, 2)),
    ],
)
def test_spellings_of_sizes(size: Any, stride: Any, means: ref.Pair, dtype: str) -> None:
    """PyTorch reads a tuple of one as both axes, and an empty or absent stride as the kernel."""
    x = POOLS[0].normals(dtype)
    expected, _ = ref.max_pool2d(x, means, means if not stride else 1)
    np.testing.assert_array_equal(max_pool2d(x, size, stride), expected)
    y = avg_pool2d(x, size, stride)
    assert y.shape == expected.shape
