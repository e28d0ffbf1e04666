"""Every operator on every way in which an array can lie in memory; inputs are never written."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference import Array

from fastconv import (
    avg_pool2d,
    conv2d,
    flatten,
    fold,
    linear,
    max_pool2d,
    relu,
    softmax,
    unfold,
)
from fastconv.functional import locally_connected2d

#: name -> (operator, shapes of its arrays, keyword arguments)
OPERATORS: dict[str, tuple[Callable[..., Any], list[tuple[int, ...]], dict[str, Any]]] = {
    "conv2d": (conv2d, [(2, 4, 7, 9), (6, 4, 3, 3), (6,)], {"padding": 1}),
    "conv2d-im2col": (
        conv2d,
        [(2, 4, 7, 9), (6, 4, 3, 3), (6,)],
        {"stride": 2, "algorithm": "im2col"},
    ),
    "conv2d-nhwc": (conv2d, [(2, 7, 9, 4), (6, 4, 3, 3), (6,)], {"data_format": "NHWC"}),
    "conv2d-1x1": (conv2d, [(2, 17, 5, 6), (18, 17, 1, 1), (18,)], {}),
    "conv2d-1x1-nhwc": (conv2d, [(2, 5, 6, 17), (18, 17, 1, 1), (18,)], {"data_format": "NHWC"}),
    "conv2d-depthwise": (conv2d, [(2, 4, 7, 9), (8, 1, 3, 3), (8,)], {"groups": 4}),
    "max_pool2d": (max_pool2d, [(2, 4, 7, 9)], {"kernel_size": 3, "stride": 2, "padding": 1}),
    "max_pool2d-indices": (max_pool2d, [(2, 4, 7, 9)], {"kernel_size": 2, "return_indices": True}),
    "max_pool2d-nhwc": (max_pool2d, [(2, 7, 9, 4)], {"kernel_size": 2, "data_format": "NHWC"}),
    "avg_pool2d": (avg_pool2d, [(2, 4, 7, 9)], {"kernel_size": 3, "stride": 2, "padding": 1}),
    "avg_pool2d-nhwc": (avg_pool2d, [(2, 7, 9, 4)], {"kernel_size": 2, "data_format": "NHWC"}),
    "unfold": (unfold, [(2, 4, 7, 9)], {"kernel_size": (3, 2), "padding": 1, "stride": 2}),
    "fold": (fold, [(2, 24, 20)], {"output_size": (6, 6), "kernel_size": (3, 2)}),
    "linear": (linear, [(3, 4, 19), (17, 19), (17,)], {}),
    "softmax": (softmax, [(3, 4, 19)], {"dim": 1}),
    "relu": (relu, [(3, 4, 19)], {}),
    "flatten": (flatten, [(3, 4, 19)], {"start_dim": 1}),
    "locally_connected2d": (
        locally_connected2d,
        [(2, 4, 5, 6), (3, 3, 4, 36), (3, 3, 4)],
        {"kernel_size": 3},
    ),
}


def fortran(a: Array) -> Array:
    """First axis fastest."""
    return np.asfortranarray(a)


def reversed_axes(a: Array) -> Array:
    """Negative strides along every axis."""
    flip = (slice(None, None, -1),) * a.ndim
    return a[flip].copy()[flip]


def last_axis_first(a: Array) -> Array:
    """The first non-batch axis fastest: how a channels-last image looks as NCHW."""
    if a.ndim < 2:
        return a
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 1, -1)), -1, 1)


def every_other(a: Array) -> Array:
    """Gaps along every axis, filled with NaN."""
    wide = np.full([2 * n + 1 for n in a.shape], np.nan, a.dtype)
    view = wide[tuple(slice(1, 2 * n + 1, 2) for n in a.shape)]
    view[...] = a
    return view


def unaligned(a: Array) -> Array:
    """Start one byte past an element's boundary."""
    raw = np.zeros(a.nbytes + 1, np.uint8)
    view = raw[1:].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


def odd_strides(a: Array) -> Array:
    """A field of packed records: strides that are no multiple of the element's size."""
    records = np.zeros(a.shape, np.dtype([("tag", "u1"), ("value", a.dtype), ("end", "u2")]))
    records["value"] = a
    return records["value"]


def byte_swapped(a: Array) -> Array:
    """The other byte order."""
    return a.astype(a.dtype.newbyteorder())


def read_only(a: Array) -> Array:
    """Not writeable."""
    view = a.copy()
    view.flags.writeable = False
    return view


LAYOUTS = (
    fortran,
    reversed_axes,
    last_axis_first,
    every_other,
    unaligned,
    odd_strides,
    byte_swapped,
    read_only,
)


def arrays(name: str, dtype: str) -> list[Array]:
    """Return contiguous inputs of the named operator."""
    rng = np.random.default_rng(0)
    return [rng.integers(-8, 9, shape).astype(dtype) for shape in OPERATORS[name][1]]


def run(name: str, given: list[Array]) -> list[Array]:
    """Call the named operator and return its outputs."""
    function, _, arguments = OPERATORS[name]
    result = function(*given, **arguments)
    return list(result) if isinstance(result, tuple) else [result]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", OPERATORS)
def test_layout_does_not_matter(name: str, layout: Any, dtype: str, isa: str) -> None:
    plain = arrays(name, dtype)
    expected = run(name, plain)
    for changed in [[layout(a) for a in plain]] + [
        [layout(a) if i == j else a for j, a in enumerate(plain)] for i in range(len(plain))
    ]:
        before = [a.tobytes() for a in changed]
        for y, z in zip(run(name, changed), expected, strict=True):
            if name != "flatten":  # a view
                assert y.dtype == z.dtype
                assert y.dtype.isnative
            np.testing.assert_array_equal(y, z)
        assert [a.tobytes() for a in changed] == before


@pytest.mark.parametrize("axis", range(4))
@pytest.mark.parametrize("name", [n for n in OPERATORS if n != "fold"])
def test_zero_strides(name: str, axis: int, dtype: str) -> None:
    """broadcast_to along each axis of each array, and along all of them."""
    plain = arrays(name, dtype)
    for i, a in enumerate(plain):
        if axis < a.ndim:
            one = a[tuple(slice(1) if d == axis else slice(None) for d in range(a.ndim))]
            changed = list(plain)
            changed[i] = np.broadcast_to(one, a.shape)
            expected = list(plain)
            expected[i] = np.ascontiguousarray(changed[i])
            for y, z in zip(run(name, changed), run(name, expected), strict=True):
                np.testing.assert_array_equal(y, z)
    scalars = [np.broadcast_to(a.ravel()[0], a.shape) for a in plain]
    full = [np.ascontiguousarray(a) for a in scalars]
    for y, z in zip(run(name, scalars), run(name, full), strict=True):
        np.testing.assert_array_equal(y, z)


@pytest.mark.parametrize("name", OPERATORS)
def test_overlapping_views(name: str, dtype: str) -> None:
    """A sliding window over one buffer: elements that several indices share."""
    plain = arrays(name, dtype)
    a = plain[0]
    buffer = np.random.default_rng(1).integers(-8, 9, sum(a.shape)).astype(dtype)
    view = np.lib.stride_tricks.as_strided(
        buffer, a.shape, (buffer.itemsize,) * a.ndim, writeable=False
    )
    given = [view, *plain[1:]]
    copied = [np.ascontiguousarray(view), *plain[1:]]
    for y, z in zip(run(name, given), run(name, copied), strict=True):
        np.testing.assert_array_equal(y, z)


@pytest.mark.parametrize("name", OPERATORS)
def test_memory_mapped_files(name: str, dtype: str, tmp_path: Path) -> None:
    plain = arrays(name, dtype)
    mapped: list[Array] = []
    for i, a in enumerate(plain):
        a.tofile(tmp_path / str(i))
        mapped.append(np.memmap(tmp_path / str(i), dtype, "r", shape=a.shape))
    for y, z in zip(run(name, mapped), run(name, plain), strict=True):
        np.testing.assert_array_equal(y, z)


WITH_OUT = [
    n
    for n, (function, *_) in OPERATORS.items()
    if "out" in inspect.signature(function).parameters and n != "max_pool2d-indices"
]


@pytest.mark.parametrize("layout", [fortran, reversed_axes, last_axis_first, every_other])
@pytest.mark.parametrize("name", WITH_OUT)
def test_out_of_any_layout_is_filled(name: str, layout: Any, dtype: str, isa: str) -> None:
    """Strided outputs: the answer arrives, and the gaps between its elements stay as they were."""
    function, _, arguments = OPERATORS[name]
    given = arrays(name, dtype)
    expected = function(*given, **arguments)
    out = layout(np.full(expected.shape, np.nan, dtype))
    assert function(*given, **arguments, out=out) is out
    np.testing.assert_array_equal(out, expected)
    if layout is every_other:
        assert out.base is not None
        filled = np.count_nonzero(~np.isnan(np.asarray(out.base)))
        assert filled == expected.size
