"""unfold, fold, im2col and col2im: against the oracle, and as each other's adjoints."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import reference as ref

from fastconv import col2im, conv2d, fold, im2col, unfold

GEOMETRIES: list[dict[str, Any]] = [
    {"kernel_size": kernel, "dilation": dilation, "padding": padding, "stride": stride}
    for kernel, dilation, padding, stride in itertools.product(
        [1, 2, (2, 3), (3, 1)], [1, 2, (1, 2)], [0, 1, (1, 2)], [1, 2, (1, 3), (3, 2)]
    )
]
SHAPES = [(2, 3, 7, 8), (0, 1, 5, 7), (1, 17, 6, 19), (3, 7, 9)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_unfold(shape: tuple[int, ...], dtype: str, isa: str, rng: np.random.Generator) -> None:
    x = rng.standard_normal(shape).astype(dtype)
    for geometry in GEOMETRIES:
        columns = unfold(x, **geometry)
        assert columns.dtype == dtype
        np.testing.assert_array_equal(columns, ref.unfold(x, **geometry), err_msg=str(geometry))
        np.testing.assert_array_equal(im2col(x, **geometry), columns)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_fold(shape: tuple[int, ...], dtype: str, isa: str, rng: np.random.Generator) -> None:
    image = np.zeros(shape, dtype)
    for geometry in GEOMETRIES:
        columns = rng.standard_normal(ref.unfold(image, **geometry).shape).astype(dtype)
        expected = ref.fold(columns, shape[-2:], **geometry)
        magnitude = ref.fold(abs(columns), shape[-2:], **geometry)
        limit = ref.bound("scatter", math.prod(ref.two(geometry["kernel_size"])), magnitude, dtype)
        image = fold(columns, shape[-2:], **geometry)
        assert image.dtype == dtype
        ref.assert_close(image, expected, limit, str(geometry))
        np.testing.assert_array_equal(col2im(columns, shape[-2:], **geometry), image)


@pytest.mark.parametrize("geometry", GEOMETRIES[::5], ids=str)
def test_fold_is_the_adjoint_of_unfold(
    geometry: dict[str, Any], dtype: str, rng: np.random.Generator
) -> None:
    """<unfold(x), c> == <x, fold(c)>, exactly, on whole numbers."""
    x = rng.integers(-9, 10, (2, 3, 9, 11)).astype(dtype)
    columns = unfold(x, **geometry)
    c = rng.integers(-9, 10, columns.shape).astype(dtype)
    left = np.sum(columns.astype(np.int64) * c.astype(np.int64))
    right = np.sum(x.astype(np.int64) * fold(c, (9, 11), **geometry).astype(np.int64))
    assert left == right


def test_positional_order_is_torchs(dtype: str, rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 3, 9, 10)).astype(dtype)
    expected = ref.unfold(x, (3, 2), dilation=2, padding=1, stride=3)
    np.testing.assert_array_equal(unfold(x, (3, 2), 2, 1, 3), expected)
    back = ref.fold(expected, (9, 10), (3, 2), dilation=2, padding=1, stride=3)
    np.testing.assert_allclose(fold(expected, (9, 10), (3, 2), 2, 1, 3), back, rtol=1e-5, atol=1e-5)


def test_columns_times_weights_is_the_convolution(dtype: str, rng: np.random.Generator) -> None:
    x = rng.integers(-4, 5, (2, 3, 8, 9)).astype(dtype)
    w = rng.integers(-4, 5, (5, 3, 3, 2)).astype(dtype)
    columns = unfold(x, (3, 2), padding=1, stride=2)
    y = conv2d(x, w, padding=1, stride=2)
    np.testing.assert_array_equal((w.reshape(5, -1) @ columns).reshape(y.shape), y)


def cs231n_im2col(x: ref.Array, size: ref.Pair, padding: int, stride: int) -> ref.Array:
    """Return the course's order: rows channel, kernel row, column; columns (p, q, image)."""
    torch_order = ref.unfold(x, size, 1, padding, stride)
    return np.ascontiguousarray(torch_order.transpose(1, 2, 0)).reshape(torch_order.shape[1], -1)


@pytest.mark.parametrize("size", [(3, 3), (2, 3), (3, 2)])
@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("stride", [1, 2])
def test_cs231n_order(
    size: ref.Pair, padding: int, stride: int, dtype: str, rng: np.random.Generator
) -> None:
    """Filters that are not square included: the course's own code gets those wrong."""
    x = rng.integers(-9, 10, (3, 2, 7, 9)).astype(dtype)
    columns = im2col(x, size, padding=padding, stride=stride, order="cs231n")
    np.testing.assert_array_equal(columns, cs231n_im2col(x, size, padding, stride))
    c = rng.integers(-9, 10, columns.shape).astype(dtype)
    image = col2im(c, (7, 9), size, padding=padding, stride=stride, order="cs231n")
    assert image.shape == x.shape
    left = np.sum(columns.astype(np.int64) * c.astype(np.int64))
    assert left == np.sum(x.astype(np.int64) * image.astype(np.int64))


def test_unknown_order_is_refused() -> None:
    x = np.zeros((1, 1, 4, 4), np.float32)
    with pytest.raises(ValueError, match=r"order.*torch.*cs231n"):
        im2col(x, 2, order="matlab")
    with pytest.raises(ValueError, match=r"order.*torch.*cs231n"):
        col2im(np.zeros((1, 4, 9), np.float32), 4, 2, order="matlab")
