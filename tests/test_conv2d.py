"""conv2d against the oracle: every case, algorithm, instruction set and dtype."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference as ref
from cases import (
    BLOCKS,
    CONVS,
    DTYPES,
    EDGES,
    FILTERS,
    GEOMETRIES,
    NETWORKS,
    PIXELS,
    ConvCase,
    exact,
)

import fastconv
from fastconv import _native, conv2d, runtime
from fastconv.functional import PackedWeights, locally_connected2d

ALGORITHMS = ("direct", "channels_last", "planar", "im2col")
LAYOUTS = ("NCHW", "NHWC")


def channels_last(x: ref.Array) -> ref.Array:
    """Return (N, C, H, W) as a contiguous (N, H, W, C) array."""
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1))


@pytest.mark.parametrize("case", CONVS, ids=str)
def test_whole_numbers_are_exact(case: ConvCase, dtype: str, isa: str) -> None:
    for algorithm in ALGORITHMS:
        check_exact(case, algorithm, dtype)


def check_exact(case: ConvCase, algorithm: Any, dtype: str) -> None:
    """Run a case in both layouts."""
    x, w, b = case.integers(dtype)
    y = conv2d(x, w, b, **case.geometry, algorithm=algorithm)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, exact(case))
    last = conv2d(channels_last(x), w, b, **case.geometry, algorithm=algorithm, data_format="NHWC")
    np.testing.assert_array_equal(last, exact(case).transpose(0, 2, 3, 1))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("case", NETWORKS, ids=str)
def test_rounding_stays_within_bounds(case: ConvCase, algorithm: Any, dtype: str, isa: str) -> None:
    x, w, b = case.normals(dtype)
    y = conv2d(x, w, b, **case.geometry, algorithm=algorithm)
    expected = ref.conv2d(x, w, b, **case.geometry)
    limit = ref.conv2d_bound(algorithm, x, w, b, **case.geometry)
    ref.assert_close(y, expected, limit, f"{case} {algorithm} {isa}")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3)])
@pytest.mark.parametrize("stride", [1, 2])
def test_every_tile_edge(kernel: Any, stride: int, layout: Any, dtype: str, isa: str) -> None:
    """Each count of filters with each width of the output: slices of one large answer."""
    r, s = kernel
    widest = (PIXELS[-1] - 1) * stride + s
    case = ConvCase("largest", 1, 3, r + 1, widest, FILTERS[-1], kernel, (1, stride), seed=1)
    x, w, b = case.integers(dtype)
    assert b is not None
    for k in FILTERS:
        for q in PIXELS:
            part = x[..., : (q - 1) * stride + s]
            if layout == "NHWC":
                part = part.transpose(0, 2, 3, 1)
            part = np.ascontiguousarray(part)
            y = conv2d(part, w[:k], b[:k], stride=(1, stride), data_format=layout)
            y = y if layout == "NCHW" else y.transpose(0, 3, 1, 2)
            np.testing.assert_array_equal(y, exact(case)[:, :k, :, :q], err_msg=f"K={k} Q={q}")


@pytest.mark.parametrize("activation", [*ref.ACTIVATIONS])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_fused_activation(
    activation: str, algorithm: Any, layout: Any, dtype: str, isa: str
) -> None:
    x, w, b = ConvCase("activation", 2, 5, 9, 11, 19, padding=1).normals(dtype)
    expected = ref.conv2d(x, w, b, padding=1, activation=activation)
    limit = ref.conv2d_bound(algorithm, x, w, b, padding=1, activation=activation)
    given = x if layout == "NCHW" else channels_last(x)
    y = conv2d(
        given, w, b, padding=1, activation=activation, algorithm=algorithm, data_format=layout
    )
    ref.assert_close(y if layout == "NCHW" else y.transpose(0, 3, 1, 2), expected, limit)


@pytest.mark.parametrize("activation", [*ref.ACTIVATIONS])
def test_activation_at_the_ends_of_the_range(activation: str, dtype: str, isa: str) -> None:
    """Large, infinite and NaN sums: a 1x1 filter of one passes each value to the activation."""
    large = float(np.finfo(dtype).max)
    values = [np.nan, np.inf, -np.inf, large, -large, 1e4, -1e4, 88.0, -88.0, 709.0, -709.0]
    values += [6.0, -3.0, 3.0, 0.0, -0.0, 1.0]
    x = np.array(values, dtype).reshape(1, 1, 1, -1)
    y = conv2d(x, np.ones((1, 1, 1, 1), dtype), activation=activation)
    with np.errstate(all="ignore"):
        expected = ref.activate(x.astype(np.longdouble), activation)
    if activation == "hardswish":  # x * relu6(x + 3) leaves the range before / 6: either is right
        keep = np.abs(x) < 1e30
        y, expected = y[keep], expected[keep]
    nan_either_way = np.isneginf(x).ravel() & (activation == "silu")  # -inf * 0
    y, expected = y.ravel(), expected.ravel()
    if nan_either_way.any():
        y, expected = y[~nan_either_way], expected[~nan_either_way]
    np.testing.assert_array_equal(np.isnan(y), np.isnan(expected))
    tiny, eps = float(np.finfo(dtype).tiny), float(np.finfo(dtype).eps)
    finite = np.isfinite(expected) & (np.abs(expected) < large)
    with np.errstate(over="ignore"):
        rounded = expected.astype(dtype)
    np.testing.assert_array_equal(y[~finite], rounded[~finite])
    atol = 1000 * tiny  # a sigmoid that is flushed to zero, times x
    np.testing.assert_allclose(y[finite], rounded[finite], rtol=8 * eps, atol=atol)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", NETWORKS[:4] + NETWORKS[14:18], ids=str)
def test_out_is_filled_whatever_was_in_it(
    case: ConvCase, layout: Any, dtype: str, isa: str
) -> None:
    x, w, b = case.integers(dtype)
    expected = exact(case)
    if layout == "NHWC":
        x, expected = channels_last(x), expected.transpose(0, 2, 3, 1)
    out = np.full(expected.shape, np.nan, dtype)
    y = conv2d(x, w, b, **case.geometry, data_format=layout, out=out, algorithm="direct")
    assert y is out
    np.testing.assert_array_equal(out, expected)
    out.fill(np.nan)
    conv2d(x, w, b, **case.geometry, data_format=layout, out=out)
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=2e-3)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("fill", [-1, 0x00, 0xA5, 0xFF])
def test_workspace_contents_do_not_matter(fill: int, algorithm: Any, dtype: str, isa: str) -> None:
    for case in NETWORKS:
        x, w, b = case.normals(dtype)
        _native.set_workspace_fill(0xFF)
        expected = conv2d(x, w, b, **case.geometry, algorithm=algorithm)
        _native.set_workspace_fill(fill)
        y = conv2d(x, w, b, **case.geometry, algorithm=algorithm)
        assert y.tobytes() == expected.tobytes(), str(case)


@pytest.mark.parametrize("case", NETWORKS + EDGES[::4] + GEOMETRIES[::4] + BLOCKS[::2], ids=str)
def test_packed_weights(case: ConvCase, dtype: str, isa: str) -> None:
    """One cache serves every layout, algorithm and size of image, with the bits of plain calls."""
    x, w, b = case.integers(dtype)
    packed = PackedWeights()
    for _ in range(2):
        for algorithm in ALGORITHMS:
            arguments: dict[str, Any] = {**case.geometry, "algorithm": algorithm, "packed": packed}
            np.testing.assert_array_equal(conv2d(x, w, b, **arguments), exact(case))
            last = conv2d(channels_last(x), w, b, **arguments, data_format="NHWC")
            np.testing.assert_array_equal(last, exact(case).transpose(0, 2, 3, 1))
            if case.n:
                np.testing.assert_array_equal(conv2d(x[0], w, b, **arguments), exact(case)[0])
    if isinstance(case.padding, int) and case.n:
        wider = np.concatenate([x, x[..., :9]], axis=3)
        direct: dict[str, Any] = {**case.geometry, "algorithm": "direct"}
        plain = conv2d(wider, w, b, **direct)
        np.testing.assert_array_equal(conv2d(wider, w, b, **direct, packed=packed), plain)


def test_packed_weights_follow_the_instruction_set(dtype: str) -> None:
    x, w, b = NETWORKS[0].normals(dtype)
    direct: dict[str, Any] = {**NETWORKS[0].geometry, "algorithm": "direct"}
    packed = PackedWeights()
    names = fastconv.show_config()["isa_supported"]
    for name in [*names, *names[::-1]]:
        runtime.set_isa(name)
        plain = conv2d(x, w, b, **direct)
        kept = conv2d(x, w, b, **direct, packed=packed)
        assert kept.tobytes() == plain.tobytes()


def test_unbatched_input(dtype: str) -> None:
    x, w, b = ConvCase("unbatched", 1, 4, 6, 7, 5, padding=1).integers(dtype)
    expected = ref.conv2d(x[0], w, b, padding=1)
    np.testing.assert_array_equal(conv2d(x[0], w, b, padding=1), expected)
    last = conv2d(channels_last(x)[0], w, b, padding=1, data_format="NHWC")
    np.testing.assert_array_equal(last, expected.transpose(1, 2, 0))
    out = np.full(expected.shape, np.nan, dtype)
    assert conv2d(x[0], w, b, padding=1, out=out) is out
    np.testing.assert_array_equal(out, expected)


def test_infinities_and_nan_stay_where_they_are(dtype: str, isa: str) -> None:
    """One odd pixel touches exactly the outputs whose windows hold it."""
    for odd in (np.nan, np.inf):
        for channel, row, column in ((0, 0, 0), (16, 6, 8), (5, 3, 4)):
            case = ConvCase("odd-pixel", 1, 17, 7, 9, 18, padding=1)
            x, w, b = case.integers(dtype)
            w = np.where(w == 0, np.ones((), dtype), w)
            x[0, channel, row, column] = odd
            y = conv2d(x, w, b, padding=1)
            touched = ~np.isfinite(y)
            expected = np.zeros(y.shape, bool)
            expected[:, :, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = True
            np.testing.assert_array_equal(touched, expected)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("stride", [1, 2])
def test_taps_in_the_padding_are_left_out(layout: Any, stride: int, dtype: str, isa: str) -> None:
    """Only the middle of the filter ever meets the image: the other weights are not touched."""
    case = ConvCase("padding", 2, 18, 9, 8, 35, (3, 3), padding=10, dilation=(10, 10))
    x, w, b = case.integers(dtype)
    expected = ref.conv2d(x, w[:, :, 1:2, 1:2], b, stride=stride)
    w[:, :, ::2] = np.nan
    w[:, :, :, ::2] = np.nan
    if layout == "NHWC":
        x, expected = channels_last(x), expected.transpose(0, 2, 3, 1)
    arguments: dict[str, Any] = {"stride": stride, "padding": 10, "dilation": 10}
    y = conv2d(x, w, b, **arguments, data_format=layout, algorithm="channels_last")
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_scale_of_the_numbers_does_not_matter(scale: float, isa: str) -> None:
    """A power of two times the input is the same power of two times the output, bit for bit."""
    x, w, b = ConvCase("scaled", 1, 7, 8, 9, 6, padding=1, bias=False).normals("float32")
    factor = np.float32(2.0 ** round(np.log2(scale)))
    np.testing.assert_array_equal(conv2d(x * factor, w, b), conv2d(x, w, b) * factor)


def test_default_algorithm_is_one_of_the_named(dtype: str) -> None:
    case = NETWORKS[0]
    x, w, b = case.normals(dtype)
    named = {}
    for algorithm in (*ALGORITHMS, "winograd_rows"):
        named[algorithm] = conv2d(x, w, b, **case.geometry, algorithm=algorithm).tobytes()
        fastconv.set_algorithm(algorithm)
        assert fastconv.show_config()["algorithm"] == algorithm
        assert conv2d(x, w, b, **case.geometry).tobytes() == named[algorithm]
    fastconv.set_algorithm("auto")
    assert conv2d(x, w, b, **case.geometry).tobytes() in named.values()
    assert (
        conv2d(x, w, b, **case.geometry, algorithm="auto").tobytes()
        == conv2d(x, w, b, **case.geometry).tobytes()
    )
    with pytest.raises(ValueError, match=r"(?s)direct.*im2col|im2col.*direct"):
        fastconv.set_algorithm("fastest")


@pytest.mark.parametrize("dtype_name", DTYPES)
@pytest.mark.parametrize("padding", [0, 1, (1, 0), ((1, 0), (0, 2)), "same"])
@pytest.mark.parametrize("stride", [1, (2, 1)])
def test_locally_connected(dtype_name: str, padding: Any, stride: Any, isa: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(-4, 5, (2, 5, 7, 9)).astype(dtype_name)
    (sh, sw), kernel = ref.two(stride), (3, 2)
    around = ref.pads(padding, (7, 9), kernel, (sh, sw), (1, 1))
    p, q = (
        (n + sum(a) - f) // s + 1
        for n, a, f, s in zip((7, 9), around, kernel, (sh, sw), strict=True)
    )
    w = rng.integers(-4, 5, (17, p, q, 30)).astype(dtype_name)
    for b in (None, rng.integers(-9, 9, 17), rng.integers(-9, 9, (17, p, q))):
        bias = None if b is None else b.astype(dtype_name)
        geometry: dict[str, Any] = {"kernel_size": kernel, "stride": stride, "padding": padding}
        y = locally_connected2d(x, w, bias, **geometry)
        assert y.dtype == dtype_name
        np.testing.assert_array_equal(y, ref.locally_connected2d(x, w, bias, **geometry))
