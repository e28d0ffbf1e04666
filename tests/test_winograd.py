"""Winograd's algorithms: right within their own bounds, chosen where those are small enough."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference as ref
from cases import ConvCase

import fastconv
from fastconv import _native, conv2d, nn, runtime

# Sizes on both sides of tiles of 4, blocks of tiles, vectors and panels.
CASES = [
    ConvCase("one-tile", 1, 3, 6, 6, 5),
    ConvCase("vgg-14", 1, 48, 14, 14, 80, padding=1),
    ConvCase("resnet-7", 2, 65, 7, 7, 33, padding=1),
    ConvCase("odd-map", 1, 17, 9, 11, 16, padding=2),
    ConvCase("one-row", 1, 8, 3, 70, 12),
    ConvCase("wide", 1, 4, 5, 301, 3, padding=1),
    ConvCase("groups", 2, 12, 13, 10, 18, padding=1, groups=3),
    ConvCase("uneven-padding", 1, 5, 8, 8, 7, padding=((2, 0), (0, 1))),
    ConvCase("empty-batch", 0, 5, 8, 8, 7),
]
# What only the one along columns takes, and rows of whole vectors.
ROWS = [
    ConvCase("cifar", 2, 3, 32, 32, 10, padding=1),
    ConvCase("cut-tiles", 1, 2, 34, 48, 5, padding=1),
    ConvCase("filter-3x5", 1, 3, 9, 32, 4, (3, 5), padding=(1, 2)),
    ConvCase("column", 1, 7, 10, 19, 3, (3, 1)),
    ConvCase("one-filter", 1, 3, 21, 65, 1, padding=1),
    ConvCase("two-filters", 1, 6, 7, 31, 2, padding=1),
    ConvCase("dilated", 1, 4, 12, 40, 3, padding=2, dilation=(1, 2)),
]

# Height and width of a tile's patch of inputs, filter, stride; the largest ratio that its rms error
# may have to the direct sum's, from 16 channels on, or 96.
TILES = {
    "F(2x2,3x3)": (4, 4, (3, 3), 1, 1.0),
    "F(2x4,3x3)": (4, 6, (3, 3), 1, 1.5),
    "F(4x2,3x3)": (6, 4, (3, 3), 1, 1.5),
    "F(4x4,3x3)": (6, 6, (3, 3), 1, 2.5),
    "F(5x5,3x3)": (7, 7, (3, 3), 1, 2.5),
    "F(2x2,5x5)": (6, 6, (5, 5), 1, 1.7),
    "F(4x4,5x5)": (8, 8, (5, 5), 1, 6.0),
    "F(2x2,3x3)/2": (5, 5, (3, 3), 2, 1.0),
    "F(4x4,3x3)/2": (9, 9, (3, 3), 2, 1.5),
    "F(1x4,1x3)": (1, 6, (1, 3), 1, 2.0),
    "F(1x4,1x5)": (1, 8, (1, 5), 1, 3.0),
    "F(1x2,1x7)": (1, 8, (1, 7), 1, 3.0),
    "F(4x1,3x1)": (6, 1, (3, 1), 1, 2.0),
    "F(4x1,5x1)": (8, 1, (5, 1), 1, 3.0),
    "F(2x1,7x1)": (8, 1, (7, 1), 1, 3.0),
}
FROM_96_CHANNELS = {"F(5x5,3x3)"}


@pytest.fixture(params=TILES)
def tile(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name a tile that can be forced as an algorithm."""
    name: str = request.param
    height, width = TILES[name][:2]
    code = runtime.ALGORITHMS["winograd"] | height << 8 | width << 12
    monkeypatch.setitem(runtime.ALGORITHMS, name, code)
    return name


# The factor over the direct bound: norms of the transforms for the points 0, 5/8, 3/2, infinity.
FACTOR = {"winograd": 60.0, "winograd_rows": 8.0}
Run = tuple[str, ConvCase]
RUNS: list[Run] = [(algorithm, case) for algorithm in FACTOR for case in CASES]
RUNS += [("winograd_rows", case) for case in ROWS]


def problem(run: Run, dtype: str, layout: str) -> tuple[Any, Any, Any, Any, Any]:
    """Return x as laid out, w, b, the oracle's answer and the bound, both laid out alike."""
    algorithm, case = run
    x, w, b = case.normals(dtype)
    expected = ref.conv2d(x, w, b, **case.geometry)
    # an output of a tile is a combination of sums over the whole tile: its error is in proportion
    # to the largest magnitude there, not to its own
    limit = ref.conv2d_bound("direct", x, w, b, **case.geometry)
    limit = np.full_like(limit, FACTOR[algorithm] * limit.max(initial=0))
    if layout == "NHWC":
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
        expected, limit = expected.transpose(0, 2, 3, 1), limit.transpose(0, 2, 3, 1)
    return x, w, b, expected, limit


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("run", RUNS, ids=lambda run: f"{run[0]}-{run[1]}")
def test_within_its_bound(run: Run, layout: str, dtype: str, isa: str) -> None:
    algorithm, case = run
    x, w, b, expected, limit = problem(run, dtype, layout)
    out = np.full(expected.shape, np.nan, dtype)
    y = conv2d(x, w, b, **case.geometry, algorithm=algorithm, data_format=layout, out=out)
    ref.assert_close(y, expected, limit, f"{case} {isa}")


@pytest.mark.parametrize("algorithm", FACTOR)
@pytest.mark.parametrize("activation", ["relu", "relu6", "leaky_relu", "silu"])
def test_fused_activations(activation: str, algorithm: Any, isa: str) -> None:
    case = CASES[2]
    x, w, b, plain, limit = problem((algorithm, case), "float64", "NCHW")
    y = conv2d(x, w, b, **case.geometry, algorithm=algorithm, activation=activation)
    limit = ref.activated_bound(limit, np.abs(plain), activation, "float64")
    ref.assert_close(y, ref.activate(plain, activation), limit)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_every_tile(tile: str, layout: Any, dtype: str, isa: str) -> None:
    """Sizes around its multiples, with padding; a bound that no wrong answer passes."""
    _, _, size, stride, _ = TILES[tile]
    rng = np.random.default_rng(3)
    w = rng.standard_normal((19, 5, *size)).astype(dtype)
    for extra in range(9):
        height, width = size[0] + extra, size[1] + extra * 5 % 9
        x = rng.standard_normal((1, 5, height, width)).astype(dtype)
        geometry: dict[str, Any] = {"stride": stride, "padding": (extra % 3, 1)}
        expected = ref.conv2d(x, w, None, **geometry)
        if layout == "NHWC":
            x, expected = (
                np.ascontiguousarray(x.transpose(0, 2, 3, 1)),
                expected.transpose(0, 2, 3, 1),
            )
        y = conv2d(x, w, **geometry, algorithm=tile, data_format=layout)
        limit = 1000 * np.finfo(dtype).eps * np.abs(expected).max()
        ref.assert_close(y, expected, np.full_like(expected, limit), f"{tile} {height}x{width}")


def layer_rms(x: Any, w: Any, exact: Any, algorithm: Any, **geometry: Any) -> float:
    """Rms error of a layer with these weights."""
    filters, channels, *size = w.shape
    layer = nn.Conv2d(channels, filters, tuple(size), bias=False, algorithm=algorithm, **geometry)
    layer.weight = w
    return float(np.sqrt(np.mean((layer(x) - exact) ** 2)))


@pytest.mark.parametrize("channels", [16, 64, 256])
def test_rms_error_of_every_tile(tile: Any, channels: int, isa: str) -> None:
    """What docs/architecture.md states: for 3x3 at most 2.5 times the direct sum's error."""
    _, _, size, stride, most = TILES[tile]
    channels += 80 * (tile in FROM_96_CHANNELS)
    rng = np.random.default_rng(channels)
    x = rng.standard_normal((1, channels, 28, 28)).astype(np.float32)
    w = rng.standard_normal((32, channels, *size)).astype(np.float32)
    exact = conv2d(x.astype(np.float64), w.astype(np.float64), stride=stride, algorithm="im2col")
    direct = layer_rms(x, w, exact, "direct", stride=stride)
    assert layer_rms(x, w, exact, tile, stride=stride) <= most * direct


@pytest.mark.parametrize("channels", [2, 3, 16, 64, 96])
def test_rms_error_of_the_default_choice(channels: int, isa: str) -> None:
    """Where layers choose it, at most 2.5 times the direct sum's error."""
    rng = np.random.default_rng(channels)
    x = rng.standard_normal((1, channels, 20, 20)).astype(np.float32)
    w = rng.standard_normal((32, channels, 3, 3)).astype(np.float32)
    exact = conv2d(x.astype(np.float64), w.astype(np.float64), algorithm="im2col")
    direct = layer_rms(x, w, exact, "direct")
    assert layer_rms(x, w, exact, None) <= 2.5 * direct


@pytest.mark.parametrize("algorithm", FACTOR)
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_same_bits_for_any_team_and_batch_split(
    layout: Any, algorithm: str, dtype: str, isa: str
) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 40, 37, 35) if layout == "NCHW" else (4, 37, 35, 40)).astype(dtype)
    w = rng.standard_normal((150, 40, 3, 3)).astype(dtype)
    arguments: dict[str, Any] = {"padding": 1, "algorithm": algorithm, "data_format": layout}
    _native.set_cpu_limit(8)
    try:
        whole = conv2d(x, w, **arguments, num_threads=1)
        for threads in (2, 3, 8):
            team = conv2d(x, w, **arguments, num_threads=threads)
            assert team.tobytes() == whole.tobytes()
    finally:
        _native.set_cpu_limit(0)
    parts = [conv2d(part, w, **arguments) for part in np.split(x, 4)]
    assert np.concatenate(parts).tobytes() == whole.tobytes()


def test_weights_of_any_strides() -> None:
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((1, 6, 12, 12)), rng.standard_normal((3, 3, 6, 9))
    odd = w.transpose(3, 2, 0, 1)[::-1]
    expected = conv2d(x, np.ascontiguousarray(odd), algorithm="winograd")
    np.testing.assert_array_equal(conv2d(x, odd, algorithm="winograd"), expected)


@pytest.mark.parametrize(
    ("algorithm", "kernel", "arguments"),
    [
        ("winograd", (3, 3), {"stride": 3}),
        ("winograd", (3, 3), {"stride": (1, 2)}),
        ("winograd", (3, 3), {"dilation": (1, 2)}),
        ("winograd", (3, 2), {}),
        ("winograd_rows", (3, 3), {"stride": (1, 2)}),
        ("winograd_rows", (3, 3), {"dilation": (2, 1)}),
        ("winograd_rows", (1, 3), {}),
    ],
)
def test_refused_where_it_does_not_fit(
    algorithm: Any, kernel: tuple[int, int], arguments: dict[str, Any]
) -> None:
    x, w = np.ones((1, 2, 9, 9)), np.ones((3, 2, *kernel))
    with pytest.raises(ValueError, match=f"algorithm: '{algorithm}' .*3x3"):
        conv2d(x, w, **arguments, algorithm=algorithm)


def test_as_the_default_algorithm_it_is_used_where_it_fits() -> None:
    x, w = np.ones((1, 2, 9, 9)), np.ones((3, 2, 4, 4))
    fastconv.set_algorithm("winograd")
    try:
        np.testing.assert_array_equal(conv2d(x, w), np.full((1, 3, 6, 6), 32.0))
        np.testing.assert_allclose(conv2d(x, w[..., :3, :3]), np.full((1, 3, 7, 7), 18.0))
    finally:
        fastconv.set_algorithm("auto")


def test_a_layer_chooses_it_and_can_opt_out() -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((1, 64, 28, 28)).astype(np.float32)
    layer = nn.Conv2d(64, 64, 3, padding=1, rng=0)
    arguments = x, layer.weight, layer.bias, 1, 1
    np.testing.assert_array_equal(layer(x), conv2d(*arguments, algorithm="winograd"))
    layer = nn.Conv2d(64, 64, 3, padding=1, rng=0, algorithm="direct")
    np.testing.assert_array_equal(layer(x), conv2d(*arguments, algorithm="direct"))
    layer = nn.Conv2d(3, 10, 3, padding=1, rng=0)
    x = rng.standard_normal((2, 3, 32, 32)).astype(np.float32)
    if fastconv.show_config()["isa"] == "avx512":
        expected = conv2d(x, layer.weight, layer.bias, padding=1, algorithm="winograd_rows")
        np.testing.assert_array_equal(layer(x), expected)
