"""linear, softmax, relu and flatten against the oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference as ref
from cases import CHANNELS, FILTERS

from fastconv import flatten, linear, relu, softmax

LEADS = [(), (0,), (1,), (2,), (7,), (13,), (2, 3), (1, 2, 1, 3)]


@pytest.mark.parametrize("lead", LEADS, ids=str)
def test_linear_on_whole_numbers_is_exact(lead: Any, dtype: str, isa: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(-4, 5, (*lead, CHANNELS[-1])).astype(dtype)
    w = rng.integers(-4, 5, (FILTERS[-1], CHANNELS[-1])).astype(dtype)
    b = rng.integers(-4, 5, FILTERS[-1]).astype(dtype)
    for k in FILTERS:
        y = linear(x, w[:k], b[:k])
        assert y.dtype == dtype
        np.testing.assert_array_equal(y, ref.linear(x, w[:k], b[:k]))
    for c in CHANNELS:
        np.testing.assert_array_equal(
            linear(x[..., :c], w[:, :c]), ref.linear(x[..., :c], w[:, :c])
        )


@pytest.mark.parametrize("rows", [1, 2, 5, 16, 65])
@pytest.mark.parametrize(("inputs", "outputs"), [(400, 10), (1, 7), (513, 129), (2055, 3)])
def test_linear_rounding(rows: int, inputs: int, outputs: int, dtype: str, isa: str) -> None:
    rng = np.random.default_rng(rows)
    x = rng.standard_normal((rows, inputs)).astype(dtype)
    w = rng.standard_normal((outputs, inputs)).astype(dtype)
    b = rng.standard_normal(outputs).astype(dtype)
    ref.assert_close(linear(x, w, b), ref.linear(x, w, b), ref.linear_bound(x, w, b))


@pytest.mark.parametrize("activation", [*ref.ACTIVATIONS])
def test_linear_with_activation(activation: str, dtype: str, isa: str) -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((5, 19)).astype(dtype), rng.standard_normal((17, 19)).astype(dtype)
    b = rng.standard_normal(17).astype(dtype)
    expected = ref.linear(x, w, b, activation)
    limit = ref.linear_bound(x, w, b, activation)
    ref.assert_close(linear(x, w, b, activation=activation), expected, limit)


def test_linear_sums_one_row_as_it_sums_many(dtype: str, isa: str) -> None:
    rng = np.random.default_rng(0)
    w = rng.standard_normal((131, 1291)).astype(dtype)
    x = rng.standard_normal((133, 1291)).astype(dtype)
    for weight in (w, np.asfortranarray(w)):  # read as they lie, and packed
        many = linear(x, weight)
        for start, stop in ((0, 1), (132, 133), (5, 7), (3, 20), (17, 36), (60, 129)):
            assert linear(x[start:stop], weight).tobytes() == many[start:stop].tobytes()
        assert linear(x[4], weight).tobytes() == many[4].tobytes()


def test_linear_without_features(dtype: str) -> None:
    b = np.arange(4).astype(dtype)
    y = linear(np.zeros((3, 0), dtype), np.zeros((4, 0), dtype), b)
    np.testing.assert_array_equal(y, np.broadcast_to(b, (3, 4)))
    assert linear(np.zeros((3, 2), dtype), np.zeros((0, 2), dtype)).shape == (3, 0)


@pytest.mark.parametrize("shape", [(9,), (3, 9), (0, 9), (2, 3, 9)], ids=str)
def test_linear_with_a_weight_of_one_axis(shape: tuple[int, ...], dtype: str) -> None:
    """PyTorch's rule: one output, and no axis for it."""
    rng = np.random.default_rng(0)
    x, w = rng.integers(-4, 5, shape).astype(dtype), rng.integers(-4, 5, 9).astype(dtype)
    y = linear(x, w)
    assert isinstance(y, np.ndarray)
    np.testing.assert_array_equal(y, ref.linear(x, w[None])[..., 0])
    biased = linear(x, w, np.full((), 3, dtype))
    np.testing.assert_array_equal(biased, ref.linear(x, w[None])[..., 0] + 3)


def test_linear_out(dtype: str) -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((3, 9)).astype(dtype), rng.standard_normal((5, 9)).astype(dtype)
    out = np.full((3, 5), np.nan, dtype)
    assert linear(x, w, out=out) is out
    assert out.tobytes() == linear(x, w).tobytes()


SOFTMAX_SHAPES = [(), (5,), (1,), (5, 5), (2, 17, 3), (2, 1000), (5, 0, 0), (0, 4), (3, 2, 4, 5)]


@pytest.mark.parametrize("shape", SOFTMAX_SHAPES, ids=str)
@pytest.mark.parametrize("scale", [1, 30, 1e4])
def test_softmax(shape: tuple[int, ...], scale: float, dtype: str, isa: str) -> None:
    x = np.asarray(scale * np.random.default_rng(0).standard_normal(shape), dtype)
    rank = max(len(shape), 1)
    for dim in range(-rank, rank):
        y = softmax(x, dim)
        assert isinstance(y, np.ndarray)
        assert y.dtype == dtype
        ref.assert_close(y, ref.softmax(x, dim), ref.softmax_bound(x, dim), f"dim {dim}")


def test_softmax_of_infinities_and_nan(dtype: str, isa: str) -> None:
    rows = [[0, -np.inf, 1], [-np.inf, -np.inf, -np.inf], [np.inf, 0, 0], [np.nan, 0, 0]]
    y = softmax(np.array([*rows, [3e38, 3e38, -3e38]], dtype), -1)
    assert y[0, 1] == 0
    np.testing.assert_allclose(y[0].sum(), 1, rtol=1e-6)
    assert np.isnan(y[1]).all()
    assert np.isnan(y[2, 0])
    assert np.isnan(y[3]).all()
    np.testing.assert_array_equal(y[4], [0.5, 0.5, 0])


@pytest.mark.parametrize("shape", [(), (0, 3), (1,), (7,), (17, 33), (2, 3, 5, 9)], ids=str)
def test_relu(shape: tuple[int, ...], dtype: str, isa: str) -> None:
    x = np.asarray(np.random.default_rng(0).standard_normal(shape), dtype)
    np.testing.assert_array_equal(relu(x), ref.relu(x))
    if x.ndim:
        x.flat[::3], x.flat[1::5] = np.nan, -np.inf
        y = relu(x)
        assert y.dtype == dtype
        np.testing.assert_array_equal(y, ref.relu(x))
        out = np.full(shape, 7, dtype)
        assert relu(x, out=out) is out
        np.testing.assert_array_equal(out, ref.relu(x))


def test_relu_keeps_denormals_and_the_largest(dtype: str, isa: str) -> None:
    """Nothing is computed, so nothing may be rounded: at most a denormal is flushed to zero."""
    info = np.finfo(dtype)
    x = np.array([info.tiny, -info.tiny, info.max, info.min, np.inf, 1], dtype)
    np.testing.assert_array_equal(relu(x), ref.relu(x))


@pytest.mark.parametrize(
    ("shape", "start", "end", "expected"),
    [
        ((2, 3, 4), 0, -1, (24,)),
        ((2, 3, 4), 1, -1, (2, 12)),
        ((2, 3, 4), 0, 1, (6, 4)),
        ((2, 3, 4), -2, 2, (2, 12)),
        ((2, 3, 4), 1, 1, (2, 3, 4)),
        ((0, 3, 4), 1, -1, (0, 12)),
        ((5,), 0, -1, (5,)),
        ((), 0, -1, (1,)),
    ],
)
def test_flatten(
    shape: tuple[int, ...], start: int, end: int, expected: tuple[int, ...], dtype: str
) -> None:
    x = np.arange(int(np.prod(shape)), dtype=dtype).reshape(shape)
    y = flatten(x, start, end)
    assert y.shape == expected
    np.testing.assert_array_equal(y, x.reshape(expected))
    if x.ndim > 1:
        turned = np.asfortranarray(x)
        np.testing.assert_array_equal(flatten(turned, start, end), x.reshape(expected))


@pytest.mark.parametrize(("start", "end"), [(2, 1), (3, -1), (0, 3), (-4, -1)])
def test_flatten_refuses_axes_that_do_not_exist(start: int, end: int) -> None:
    with pytest.raises(ValueError, match=r"start_dim|end_dim"):
        flatten(np.zeros((2, 3, 4), np.float32), start, end)
