"""Random geometry, memory layout and dtype against the oracle (hypothesis, fixed seeds)."""

from __future__ import annotations

from typing import Any

import numpy as np
import reference as ref
from hypothesis import given
from hypothesis import strategies as st
from reference import Array

import fastconv
from fastconv import avg_pool2d, conv2d, fold, linear, max_pool2d, runtime, softmax, unfold

ISAS: list[str] = fastconv.show_config()["isa_supported"]

small = st.integers(1, 4)
dtypes = st.sampled_from(["float32", "float64"])
seeds = st.integers(0, 2**32 - 1)


@st.composite
def laid_out(draw: st.DrawFn, values: Array) -> Array:
    """Return `values` with axes in any order of memory, reversed or spaced out."""
    order = draw(st.permutations(range(values.ndim)))
    gaps = [draw(st.integers(1, 3)) for _ in order]
    signs = [draw(st.sampled_from([1, 1, -1])) for _ in order]
    store = np.full(
        [values.shape[a] * g for a, g in zip(order, gaps, strict=True)], 9, values.dtype
    )
    view = store[tuple(slice(None, None, g * s) for g, s in zip(gaps, signs, strict=True))]
    view = view.transpose(np.argsort(order))
    view[...] = values
    return view


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[Array, Array, Array | None, dict[str, Any]]:
    """Return x, w, b and keyword arguments that fit each other."""
    dtype, rng = draw(dtypes), np.random.default_rng(draw(seeds))
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    cg, kg = draw(st.integers(1, 9)), draw(st.integers(1, 20))
    if groups > 1 and draw(st.booleans()):
        cg = 1
    kernel, stride, dilation = ((draw(small), draw(small)) for _ in range(3))
    pairs = [(draw(st.integers(0, 3)), draw(st.integers(0, 3))) for _ in range(2)]
    size = []
    for f, d, (before, after) in zip(kernel, dilation, pairs, strict=True):
        least = max(d * (f - 1) + 1 - before - after, 1)
        size.append(least + draw(st.integers(0, 20)))
    n = draw(st.integers(0, 3))
    x = rng.integers(-4, 5, (n, groups * cg, *size)).astype(dtype)
    w = rng.integers(-4, 5, (groups * kg, cg, *kernel)).astype(dtype)
    b = rng.integers(-9, 10, groups * kg).astype(dtype) if draw(st.booleans()) else None
    padding: Any = draw(st.sampled_from([pairs, pairs, "same", "same_lower"]))
    geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return x, w, b, geometry


@given(st.data(), convolutions())
def test_convolution(data: st.DataObject, problem: Any) -> None:
    x, w, b, geometry = problem
    runtime.set_isa(data.draw(st.sampled_from(ISAS)))
    expected = ref.conv2d(x, w, b, **geometry)
    algorithms = ["auto", "direct", "channels_last", "planar", "im2col"]
    if w.shape[1] == 1:
        algorithms += ["depthwise"] * 3
    arguments = {
        **geometry,
        "algorithm": data.draw(st.sampled_from(algorithms)),
        "num_threads": data.draw(st.integers(1, 3)),
    }
    given_x, given_w = data.draw(laid_out(x)), data.draw(laid_out(w))
    if data.draw(st.booleans()):
        y = conv2d(given_x.transpose(0, 2, 3, 1), given_w, b, **arguments, data_format="NHWC")
        y = y.transpose(0, 3, 1, 2)
    else:
        out = data.draw(laid_out(np.full(expected.shape, np.nan, x.dtype)))
        y = conv2d(given_x, given_w, b, **arguments, out=out)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(given_x, x)
    np.testing.assert_array_equal(given_w, w)


@st.composite
def pools(draw: st.DrawFn, dilated: bool) -> tuple[Array, dict[str, Any]]:
    """Return x and keyword arguments that fit each other."""
    dtype, rng = draw(dtypes), np.random.default_rng(draw(seeds))
    kernel, stride = (draw(small), draw(small)), (draw(small), draw(small))
    padding = tuple(draw(st.integers(0, f // 2)) for f in kernel)
    dilation = (draw(small), draw(small)) if dilated else (1, 1)
    size = [
        max(d * (f - 1) + 1 - 2 * p, 1) + draw(st.integers(0, 20))
        for f, d, p in zip(kernel, dilation, padding, strict=True)
    ]
    x = rng.integers(-9, 10, (draw(st.integers(0, 2)), draw(st.integers(1, 18)), *size))
    geometry: dict[str, Any] = {
        "kernel_size": kernel,
        "stride": draw(st.sampled_from([stride, None])),
        "padding": padding,
        "ceil_mode": draw(st.booleans()),
    }
    if dilated:
        geometry["dilation"] = dilation
    return x.astype(dtype), geometry


@given(st.data(), pools(dilated=True))
def test_max_pool(data: st.DataObject, problem: Any) -> None:
    x, geometry = problem
    runtime.set_isa(data.draw(st.sampled_from(ISAS)))
    if data.draw(st.booleans()):
        x[np.random.default_rng(data.draw(seeds)).random(x.shape) < 0.1] = np.nan
    values, where = ref.max_pool2d(x, **geometry)
    y, index = max_pool2d(data.draw(laid_out(x)), **geometry, return_indices=True)
    np.testing.assert_array_equal(y, values)
    np.testing.assert_array_equal(index[where >= 0], where[where >= 0])
    np.testing.assert_array_equal(max_pool2d(data.draw(laid_out(x)), **geometry), values)


@given(st.data(), pools(dilated=False), st.booleans(), st.sampled_from([None, None, 3, -2]))
def test_average_pool(data: st.DataObject, problem: Any, count: bool, divisor: int | None) -> None:
    x, geometry = problem
    runtime.set_isa(data.draw(st.sampled_from(ISAS)))
    more: dict[str, Any] = {"count_include_pad": count, "divisor_override": divisor}
    expected = ref.avg_pool2d(x, **geometry, **more)
    r, s = geometry["kernel_size"]
    limit = ref.bound(
        "mean", r * s + 2, ref.avg_pool2d(abs(x), **geometry, count_include_pad=False), x.dtype
    )
    y = avg_pool2d(data.draw(laid_out(x)), **geometry, **more)
    ref.assert_close(y, expected, limit * r * s)


@given(st.data(), convolutions())
def test_columns(data: st.DataObject, problem: Any) -> None:
    x, w, _, geometry = problem
    if not isinstance(geometry["padding"], list):
        geometry["padding"] = [(1, 1), (2, 2)]
    padding = [min(pair) for pair in geometry["padding"]]
    kernel, stride, dilation = w.shape[2:], geometry["stride"], geometry["dilation"]
    if any(
        n + 2 * p < d * (f - 1) + 1
        for n, p, f, d in zip(x.shape[2:], padding, kernel, dilation, strict=True)
    ):
        return
    arguments: dict[str, Any] = {
        "kernel_size": kernel,
        "dilation": dilation,
        "padding": padding,
        "stride": stride,
    }
    expected = ref.unfold(x, **arguments)
    np.testing.assert_array_equal(unfold(data.draw(laid_out(x)), **arguments), expected)
    image = fold(data.draw(laid_out(expected)), x.shape[2:], **arguments)
    np.testing.assert_array_equal(image, ref.fold(expected, x.shape[2:], **arguments))


@given(st.data(), dtypes, seeds, st.integers(0, 20), st.integers(1, 70), st.integers(1, 70))
def test_linear(
    data: st.DataObject, dtype: str, seed: int, rows: int, inputs: int, outputs: int
) -> None:
    rng = np.random.default_rng(seed)
    runtime.set_isa(data.draw(st.sampled_from(ISAS)))
    x, w = (
        rng.integers(-9, 10, shape).astype(dtype) for shape in ((rows, inputs), (outputs, inputs))
    )
    y = linear(data.draw(laid_out(x)), data.draw(laid_out(w)))
    np.testing.assert_array_equal(y, ref.linear(x, w))


@given(st.data(), dtypes, seeds, st.lists(st.integers(1, 20), min_size=1, max_size=4))
def test_softmax(data: st.DataObject, dtype: str, seed: int, shape: list[int]) -> None:
    x = np.random.default_rng(seed).standard_normal(shape).astype(dtype) * 10
    runtime.set_isa(data.draw(st.sampled_from(ISAS)))
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    y = softmax(data.draw(laid_out(x)), dim)
    ref.assert_close(y, ref.softmax(x, dim), ref.softmax_bound(x, dim))
