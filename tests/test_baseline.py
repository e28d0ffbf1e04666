"""The NumPy baseline gives right answers: it is measured against, so it must do all of the work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import reference as ref

from fastconv.benchmarks import baseline, layers, timing

FORMULATIONS = [baseline.conv2d, baseline.conv2d_blocked]
GEOMETRIES: list[dict[str, Any]] = [
    {},
    {"padding": 1},
    {"stride": 2, "padding": 1},
    {"stride": (1, 3), "padding": (2, 0)},
    {"dilation": (2, 1), "padding": (2, 1)},
    {"groups": 2, "stride": 2},
    {"groups": 6, "padding": 1},
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kernel", [(3, 3), (1, 1), (2, 5)], ids=str)
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("convolve", FORMULATIONS, ids=lambda f: f.__name__)
def test_convolution_is_within_rounding_of_the_loops(
    convolve: Callable[..., Any], geometry: dict[str, Any], kernel: tuple[int, int], dtype: str
) -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((3, 6, 9, 11)).astype(dtype)
    w = rng.standard_normal((6, 6 // geometry.get("groups", 1), *kernel)).astype(dtype)
    b = rng.standard_normal(6).astype(dtype)
    y = convolve(x, w, b, **geometry)
    assert y.dtype == dtype
    assert y.flags.c_contiguous
    limit = ref.conv2d_bound("im2col", x, w, b, **geometry)
    ref.assert_close(y, ref.conv2d(x, w, b, **geometry), limit)


@pytest.mark.parametrize("batch", [1, 7, 40])
def test_blocks_of_the_batch_change_nothing(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    x = rng.integers(-3, 4, (batch, 2, 8, 8)).astype(np.float32)
    w = rng.integers(-3, 4, (5, 2, 3, 3)).astype(np.float32)
    b = rng.integers(-3, 4, 5).astype(np.float32)
    monkeypatch.setattr(baseline, "BLOCK_BYTES", 3 * 2 * 9 * 64 * 4)  # three images a block
    np.testing.assert_array_equal(
        baseline.conv2d_blocked(x, w, b, padding=1), baseline.conv2d(x, w, b, padding=1)
    )


def test_inputs_are_left_alone() -> None:
    x = np.arange(32.0).reshape(1, 2, 4, 4)
    w, b = np.ones((3, 2, 2, 2)), np.ones(3)
    kept = x.copy(), w.copy(), b.copy()
    for convolve in FORMULATIONS:
        convolve(x, w, b, padding=1)
    baseline.max_pool2d(x, 2)
    for now, before in zip((x, w, b), kept, strict=True):
        np.testing.assert_array_equal(now, before)


def test_columns_are_the_patches_in_the_order_of_the_weights() -> None:
    x = np.random.default_rng(3).standard_normal((2, 3, 6, 5))
    columns = baseline.im2col(x, (3, 2), stride=(2, 1), padding=(1, 0))
    np.testing.assert_array_equal(columns, ref.unfold(x, (3, 2), stride=(2, 1), padding=(1, 0)))


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(2, None, 0), (3, 2, 1), ((3, 2), (1, 2), (1, 0)), (2, 1, 0)]
)
def test_max_pooling_is_exact(kernel: Any, stride: Any, padding: Any) -> None:
    x = np.random.default_rng(4).standard_normal((2, 3, 8, 9)).astype(np.float32)
    expected, _ = ref.max_pool2d(x, kernel, stride, padding)
    np.testing.assert_array_equal(baseline.max_pool2d(x, kernel, stride, padding), expected)


def test_linear_and_relu() -> None:
    rng = np.random.default_rng(5)
    x, w, b = rng.standard_normal((4, 7)), rng.standard_normal((3, 7)), rng.standard_normal(3)
    ref.assert_close(
        baseline.linear(x, w, b), ref.linear(x, w, b), ref.linear_bound(x, w, b), "linear"
    )
    np.testing.assert_array_equal(baseline.relu(x.copy()), ref.relu(x))


@pytest.mark.parametrize("network", layers.available())
def test_shape_files_describe_layers_that_exist(network: str) -> None:
    for layer in layers.convolutions(layers.load(network)):
        n, channels, height, width = layer.input
        assert min(layer.output) > 0
        assert channels % layer.groups == layer.filters % layer.groups == 0
        x = np.zeros((1, channels, height, width), np.float32)
        w = np.zeros((layer.filters, channels // layer.groups, *layer.kernel), np.float32)
        sliding = (layer.stride, layer.padding, layer.dilation, layer.groups)
        assert baseline.conv2d_blocked(x, w, None, *sliding).shape == (1, *layer.output[1:])
        assert layer.output[0] == n
        assert layer.flops == 2 * np.prod(layer.output, dtype=int) * w[0].size


def test_the_lectures_layers_have_its_numbers() -> None:
    first, second, assignment = layers.load("lecture")
    assert first.output == second.output == (100, 10, 32, 32)
    assert assignment.output == (100, 25, 16, 16)


def test_an_unknown_network_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"one of alexnet, .*vgg; got 'lenet'"):
        layers.load("lenet")


def test_functions_take_turns() -> None:
    calls: list[str] = []
    rounds: list[int] = []
    medians = timing.alternate(
        [lambda: calls.append("a"), lambda: calls.append("b")],
        rounds=3,
        seconds=0.0,
        after_round=lambda: rounds.append(len(calls)),
    )
    assert "".join(calls) == "aabb" * 3
    assert rounds == [4, 8, 12]
    assert len(medians) == 2


def test_blas_is_limited_and_let_go_again() -> None:
    threadpoolctl = pytest.importorskip("threadpoolctl")

    def counts() -> list[int]:
        pools = threadpoolctl.threadpool_info()
        return [pool["num_threads"] for pool in pools if pool["user_api"] == "blas"]

    before = counts()
    with timing.blas_threads(1) as limit:
        assert set(counts()) <= {1}
        assert limit == "BLAS limited to 1 by threadpoolctl"
    assert counts() == before


def test_an_unlimited_blas_is_admitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "threadpoolctl", None)
    for name in timing.ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    with timing.blas_threads(1) as limit:
        assert "NOT limited" in limit
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    with timing.blas_threads(1) as limit:
        assert limit == "BLAS limited to 1 by OPENBLAS_NUM_THREADS"
