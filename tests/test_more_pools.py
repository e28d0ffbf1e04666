"""Pools over one and three axes, adaptive ones, powers and unpooling, beside PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastconv
from fastconv import functional, nn
from fastconv.errors import ShapeError, UnsupportedOperatorError

#: our function -> PyTorch's operator, and how many samples it has at least
SAMPLES = {
    "max_pool1d": 100,
    "max_pool3d": 100,
    "avg_pool1d": 5,
    "avg_pool3d": 5,
    "adaptive_avg_pool1d": 3,
    "adaptive_avg_pool2d": 3,
    "adaptive_max_pool1d": 3,
    "adaptive_max_pool2d": 3,
    "max_unpool2d": 3,
}


@pytest.fixture(scope="module")
def torch() -> Any:
    module = pytest.importorskip("torch")
    pytest.importorskip("expecttest")
    module.set_num_threads(1)
    return module


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample(name: str, dtype: str, torch: Any) -> None:
    from torch.testing._internal.common_methods_invocations import op_db

    info = next(
        op for op in op_db if op.name == f"nn.functional.{name}" and not op.variant_test_name
    )
    count = 0
    for sample in info.sample_inputs("cpu", getattr(torch, dtype), requires_grad=False):
        expected = info.op(sample.input, *sample.args, **sample.kwargs)
        args = [a.numpy() if isinstance(a, torch.Tensor) else a for a in sample.args]
        kwargs = {
            k: v.numpy() if isinstance(v, torch.Tensor) else v for k, v in sample.kwargs.items()
        }
        found = getattr(functional, name)(sample.input.numpy(), *args, **kwargs)
        pairs = zip(found, expected, strict=True) if isinstance(expected, tuple) else None
        for mine, theirs in pairs or [(found, expected)]:
            assert mine.shape == tuple(theirs.shape), (args, kwargs)
            eps = 100 * float(np.finfo(dtype).eps) if "avg" in name else 0
            np.testing.assert_allclose(mine, theirs.numpy(), rtol=eps, atol=eps)
        count += 1
    assert count >= SAMPLES[name]


@pytest.mark.parametrize("size", [(13, 17), (7, 7), (5, 30), (14, 9)], ids=str)
@pytest.mark.parametrize("output", [(7, 7), (1, 1), (5, 3), (20, 4)], ids=str)
def test_adaptive_windows(size: tuple[int, int], output: tuple[int, int], dtype: str) -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, *size)).astype(dtype)
    x[0, 0, 0, 0], x[1, 2, -1, -1] = np.inf, -np.inf
    means, maxima = np.empty((2, 3, *output)), np.empty((2, 3, *output), dtype)
    places = np.empty(maxima.shape, np.int64)
    (h, w), (p, q) = size, output
    for i in range(p):
        for j in range(q):
            top, left = i * h // p, j * w // q
            part = x[:, :, top : -(-(i + 1) * h // p), left : -(-(j + 1) * w // q)]
            means[:, :, i, j] = part.astype(np.float64).mean(axis=(2, 3))
            at = part.reshape(2, 3, -1).argmax(axis=2)
            places[:, :, i, j] = (at // part.shape[3] + top) * w + at % part.shape[3] + left
            maxima[:, :, i, j] = part.max(axis=(2, 3))
    y = functional.adaptive_avg_pool2d(x, output)
    eps = 50 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(y, means, rtol=eps, atol=eps)
    last = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    y = functional.adaptive_avg_pool2d(last, output, data_format="NHWC")
    np.testing.assert_allclose(np.moveaxis(y, -1, 1), means, rtol=eps, atol=eps)
    y, where = functional.adaptive_max_pool2d(x, output, return_indices=True)
    np.testing.assert_array_equal(y, maxima)
    np.testing.assert_array_equal(where, places)


@pytest.mark.parametrize("p", [1, 2, 3.5])
def test_powers(p: float, torch: Any) -> None:
    x = np.random.default_rng(0).uniform(0.1, 2, (2, 3, 9, 10))
    for arguments in ((3,), ((2, 3), 1), (3, 2, True)):
        mine = functional.lp_pool2d(x, p, *arguments)
        theirs = torch.nn.functional.lp_pool2d(torch.from_numpy(x), p, *arguments).numpy()
        np.testing.assert_allclose(mine, theirs, rtol=1e-13)


LAYERS: list[tuple[nn.Module, tuple[int, ...]]] = [
    (nn.MaxPool1d(3, 2, 1), (2, 3, 11)),
    (nn.MaxPool1d(2, dilation=2, return_indices=True), (3, 11)),
    (nn.MaxPool3d((1, 2, 3), ceil_mode=True), (2, 3, 5, 6, 7)),
    (nn.MaxPool3d(2, return_indices=True), (3, 5, 6, 7)),
    (nn.AvgPool1d(3, 1, 1, count_include_pad=False), (2, 3, 11)),
    (nn.AvgPool3d(2, padding=1, divisor_override=3), (2, 3, 5, 6, 7)),
    (nn.AdaptiveAvgPool1d(4), (2, 3, 11)),
    (nn.AdaptiveAvgPool2d((3, None)), (2, 3, 8, 9)),
    (nn.AdaptiveMaxPool1d(4), (3, 11)),
    (nn.AdaptiveMaxPool2d(5, return_indices=True), (2, 3, 8, 9)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=lambda v: str(v))
def test_layers_are_torchs(layer: Any, shape: tuple[int, ...], torch: Any) -> None:
    x = np.random.default_rng(0).standard_normal(shape)
    theirs = eval(f"torch.nn.{layer!r}", {"torch": torch})
    found, expected = layer(x), theirs(torch.from_numpy(x))
    if isinstance(expected, tuple):
        np.testing.assert_array_equal(found[1], expected[1].numpy())
        found, expected = found[0], expected[0]
    assert layer.output_shape(shape) == found.shape
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.MaxPool1d(3, 2, 1, ceil_mode=True), (2, 3, 12)),
        (nn.AvgPool1d(3, 2, 1), (2, 3, 11)),
        (nn.MaxPool3d((1, 2, 3), padding=(0, 1, 1)), (2, 3, 5, 6, 7)),
        (nn.AvgPool3d(2, padding=1, count_include_pad=False), (2, 3, 5, 6, 7)),
        (nn.AdaptiveAvgPool1d(4), (2, 3, 12)),
        (nn.AdaptiveAvgPool2d((2, None)), (2, 3, 8, 9)),
    ],
    ids=str,
)
def test_layers_compiled(layer: Any, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    found = fastconv.compile(layer, shape)(x)
    np.testing.assert_allclose(found, layer(x), rtol=1e-6, atol=1e-6)


def test_layers_that_networks_lack_are_refused() -> None:
    with pytest.raises(UnsupportedOperatorError, match="option output_size"):
        fastconv.compile(nn.AdaptiveAvgPool2d(4), (1, 3, 9, 8))
    with pytest.raises(UnsupportedOperatorError, match="option return_indices"):
        fastconv.compile(nn.MaxPool3d(2, return_indices=True), (1, 3, 9, 8, 8))


def test_integers_and_nan_in_volumes() -> None:
    x = np.random.default_rng(0).integers(-9, 9, (2, 3, 4, 5, 6)).astype(np.int16)
    y, where = functional.max_pool3d(x, 2, return_indices=True)
    assert y.dtype == np.int16
    flat = np.take_along_axis(x.reshape(2, 3, -1), where.reshape(2, 3, -1), 2)
    np.testing.assert_array_equal(flat.reshape(y.shape), y)
    z = x.astype(np.float32)
    z[0, 0, 1, 1, 1] = np.nan
    y, where = functional.max_pool3d(z, 2, return_indices=True)
    assert np.isnan(y[0, 0, 0, 0, 0])
    assert where[0, 0, 0, 0, 0] == 37


X = np.ones((1, 2, 4, 4))
AT = np.zeros((1, 2, 4, 4), np.int64)
pools: Any = functional


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: pools.max_pool1d(X, 2), ShapeError, r"input: expected shape \(N, C, W\)"),
        (lambda: pools.max_pool3d([1], 2), TypeError, "input: expected a NumPy array"),
        (lambda: pools.avg_pool3d(X, 2, padding=2), ShapeError, "at most half the kernel"),
        (lambda: pools.adaptive_avg_pool2d(X, 0), ShapeError, "output_size must be at least 1"),
        (lambda: pools.adaptive_max_pool2d(X, (1, 2, 3)), ShapeError, "output_size: expected 2"),
        (lambda: pools.adaptive_avg_pool1d(X[0, 0, 0], 1), ShapeError, "input: expected 2 or 3"),
        (lambda: pools.max_unpool2d(X, AT[0], 2), ShapeError, "indices: expected shape"),
        (lambda: pools.max_unpool2d(X, AT + 64, 2), ValueError, "indices: expected 0 to 63"),
        (lambda: pools.max_unpool2d(X, AT, 2, output_size=(9, 11)), ShapeError, "output_size"),
        (lambda: nn.MaxPool3d(2, padding=2), ShapeError, "padding must be at most half"),
        (lambda: nn.AvgPool1d(3).output_shape((4,)), ShapeError, "expected an input of 2 or 3"),
        (lambda: nn.AdaptiveAvgPool2d((1, 2, 3)), ShapeError, "output_size: expected 2"),
    ],
)
def test_bad_arguments(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call()
