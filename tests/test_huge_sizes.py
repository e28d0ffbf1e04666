"""Sizes whose products leave 32 or 64 bits: a right answer or a clear error, never a crash.

No memory is needed: large arrays are views with strides of zero, or sparse pages of a mapping.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import reference as ref

from fastconv import avg_pool2d, conv2d, fold, linear, max_pool2d, relu, unfold

LONGEST = 2**31 - 1
MAP_NORESERVE = 0x4000  # Linux; in `mmap` from Python 3.13 on


def wide(*shape: int, dtype: Any = np.float32) -> ref.Array:
    """Return ones of that shape in one element of memory."""
    return np.broadcast_to(np.ones((), dtype), shape)


ONE = np.ones((1, 1, 1, 1), np.float32)
THREE = np.ones((1, 1, 3, 3), np.float32)


def attempt(call: Callable[[], Any]) -> Any:
    """Return the answer, or None where an axis of more than 31 bits was refused, clearly."""
    try:
        return call()
    except ValueError as error:
        message = str(error)
    clear = r"too large|exceed|expected sizes up to"
    assert re.search(clear, message), message
    return None


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "outputs"),
    [
        ((70_000, 70_000), 1, (70_000, 70_000), (1, 1)),
        ((70_000, 70_000), 3, (34_998, 34_998), (3, 3)),
        ((3, LONGEST), 3, (1, LONGEST), (1, 1)),
        ((LONGEST, 3), 3, (LONGEST - 3, 1), (2, 1)),
        ((2**12, LONGEST), 1, (2**12 - 1, LONGEST), (2, 1)),
    ],
)
@pytest.mark.parametrize("algorithm", ["direct", "im2col"])
def test_huge_images(
    size: ref.Pair, kernel: int, stride: ref.Pair, outputs: ref.Pair, algorithm: Any
) -> None:
    x, w = wide(1, 1, *size), np.ones((1, 1, kernel, kernel), np.float32)
    expected = np.full((1, 1, *outputs), kernel * kernel, np.float32)
    np.testing.assert_array_equal(conv2d(x, w, stride=stride, algorithm=algorithm), expected)


@pytest.mark.parametrize("size", [(70_000, 70_000), (3, LONGEST), (LONGEST, 3), (2**12, LONGEST)])
def test_huge_images_in_pools_and_columns(size: ref.Pair) -> None:
    x = wide(1, 2, *size)
    expected = np.ones((1, 2, 1, 1), np.float32)
    y, index = max_pool2d(x, 3, size, return_indices=True)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(index, np.zeros_like(index))
    np.testing.assert_array_equal(max_pool2d(x, 3, size), expected)
    np.testing.assert_array_equal(avg_pool2d(x, 3, size), expected)
    columns = unfold(x, 3, stride=size)
    np.testing.assert_array_equal(columns, np.ones((1, 18, 1), np.float32))


@pytest.mark.parametrize("size", [(3, 2**31 + 8), (2**31 + 8, 3), (2**20, 2**33), (2**29, 2**31)])
def test_beyond_31_bits_an_axis_is_right_or_refused(size: ref.Pair) -> None:
    x = wide(1, 1, *size)
    calls: dict[str, Callable[[], Any]] = {
        "conv2d": lambda: conv2d(x, THREE, stride=size) == 9,
        "max_pool2d": lambda: max_pool2d(x, 3, size) == 1,
        "avg_pool2d": lambda: avg_pool2d(x, 3, size) == 1,
        "unfold": lambda: unfold(x, 3, stride=size) == 1,
    }
    for name, call in calls.items():
        answer = attempt(call)
        assert answer is None or answer.all(), name


def test_indices_beyond_32_bits() -> None:
    """The last of 2**32 pixels: its index does not fit in an unsigned 32-bit number."""
    x = wide(1, 1, 2**16, 2**17)
    y, index = max_pool2d(x, 1, (2**16 - 1, 2**17 - 1), return_indices=True)
    assert y.shape == (1, 1, 2, 2)
    last_row = (2**16 - 1) * 2**17
    assert index.ravel().tolist() == [0, 2**17 - 1, last_row, last_row + 2**17 - 1]


def test_many_channels_and_images_without_memory() -> None:
    x = wide(2**20, 1, 70_000, 70_000)
    assert conv2d(x[:3], ONE, stride=70_000).ravel().tolist() == [1, 1, 1]
    x = wide(1, 400, 70_000, 70_000)
    w = wide(1, 400, 1, 1)
    assert conv2d(x, w, stride=70_000).ravel().tolist() == [400]


@pytest.mark.parametrize("gap", [2**30, 2**31, 2**32])
@pytest.mark.parametrize("sign", [1, -1])
def test_strides_beyond_32_bits(gap: int, sign: int, isa: str) -> None:
    """Channels and images that lie gigabytes apart in a sparse mapping (`gap` in bytes)."""
    rng = np.random.default_rng(0)
    values = rng.integers(-4, 5, (2, 3, 6, 7)).astype(np.float32)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE
    with mmap.mmap(-1, 6 * gap + 4096, flags=flags) as memory:
        buffer = np.frombuffer(memory, np.uint8)
        x = np.ndarray((2, 3, 6, 7), np.float32, buffer, 0, (3 * gap, gap, 28, 4))
        x = x[::sign, ::sign]
        x[...] = values
        w = rng.integers(-4, 5, (5, 3, 3, 3)).astype(np.float32)
        for algorithm in ("direct", "im2col"):
            y = conv2d(x, w, padding=1, algorithm=algorithm)
            np.testing.assert_array_equal(y, ref.conv2d(values, w, padding=1))
        np.testing.assert_array_equal(max_pool2d(x, 2), ref.max_pool2d(values, 2)[0])
        np.testing.assert_array_equal(avg_pool2d(x, 2), ref.avg_pool2d(values, 2))
        np.testing.assert_array_equal(unfold(x, 2), ref.unfold(values, 2))
        np.testing.assert_array_equal(
            conv2d(x.transpose(0, 2, 3, 1), w, data_format="NHWC"),
            ref.conv2d(values, w).transpose(0, 2, 3, 1),
        )
        del x, buffer


LAST: Any = "NHWC"

#: Results that no machine can hold, or sizes that no 64-bit number can.
TOO_LARGE: dict[str, Callable[[], Any]] = {
    "conv-2**50": lambda: conv2d(wide(1, 1, 2**20, 2**20), wide(2**10, 1, 1, 1)),
    "conv-beyond-64-bits": lambda: conv2d(wide(2**10, 1, 2**25, 2**25), wide(16, 1, 1, 1)),
    "conv-nhwc": lambda: conv2d(wide(2**10, 2**25, 2**25, 1), wide(16, 1, 1, 1), data_format=LAST),
    "conv-padding-2**23": lambda: conv2d(ONE, ONE, padding=2**23),
    "conv-padding-2**31": lambda: conv2d(ONE, ONE, padding=2**31),
    "conv-padding-2**62": lambda: conv2d(ONE, ONE, padding=2**62),
    "conv-padding-2**63": lambda: conv2d(ONE, ONE, padding=2**63),
    "conv-padding-2**80": lambda: conv2d(ONE, ONE, padding=((0, 2**80), (0, 0))),
    "conv-dilation-2**31": lambda: conv2d(THREE, THREE, dilation=2**31),
    "conv-dilation-2**63": lambda: conv2d(THREE, THREE, dilation=2**63 - 1),
    "conv-dilation-same": lambda: conv2d(THREE, THREE, dilation=2**62, padding="same"),
    "conv-groups": lambda: conv2d(THREE, THREE, groups=2**62),
    "max-2**60": lambda: max_pool2d(wide(1, 1, 2**30, 2**30), 1, 1),
    "max-indices": lambda: max_pool2d(wide(1, 1, 2**30, 2**30), 1, 1, return_indices=True),
    "max-kernel": lambda: max_pool2d(THREE, 2**63),
    "max-dilation": lambda: max_pool2d(THREE, 3, dilation=2**62),
    "avg-2**60": lambda: avg_pool2d(wide(1, 1, 2**30, 2**30), 1, 1),
    "avg-kernel": lambda: avg_pool2d(THREE, 2**62, padding=2**61),
    "avg-divisor": lambda: avg_pool2d(THREE, 3, divisor_override=2**80),
    "unfold-2**58": lambda: unfold(wide(1, 1, 2**28, 2**28), 1),
    "unfold-beyond-64-bits": lambda: unfold(wide(1, 1, 2**28, 2**28), 16),
    "unfold-padding": lambda: unfold(THREE, 3, padding=2**62),
    "fold-output": lambda: fold(wide(1, 9, 1), 2**40, 3, stride=2**41),
    "fold-beyond-64-bits": lambda: fold(wide(1, 9, 1), 2**62, 3, stride=2**62),
    "linear-2**52": lambda: linear(wide(2**50, 4), wide(4, 4)),
}  # fmt: skip


@pytest.mark.parametrize("name", TOO_LARGE)
def test_too_large_is_a_clear_error(name: str) -> None:
    with pytest.raises((ValueError, MemoryError)) as caught:
        TOO_LARGE[name]()
    assert str(caught.value)


@pytest.mark.parametrize("huge", [2**30, 2**31 - 1, 2**31, 2**32 + 1, 2**62, 2**63 - 1, 2**70])
def test_huge_strides_and_dilations_that_do_nothing(huge: int) -> None:
    """Only one window or tap: right for every size, or refused beyond 31 bits."""
    x = np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3)
    calls: list[tuple[Callable[[], Any], list[int]]] = [
        (lambda: conv2d(x, ONE, stride=huge), [0]),
        (lambda: conv2d(x, THREE, stride=huge), [36]),
        (lambda: conv2d(x, ONE, dilation=huge), [*range(9)]),
        (lambda: max_pool2d(x, 2, huge), [4]),
        (lambda: avg_pool2d(x, 2, huge), [2]),
        (lambda: unfold(x, 2, stride=huge), [0, 1, 3, 4]),
    ]
    for call, expected in calls:
        answer = attempt(call)
        assert answer is not None or huge >= 2**31
        assert answer is None or answer.ravel().tolist() == expected


def repeated(row: ref.Array, times: int) -> ref.Array:
    """Return (times, len(row)) in which every row is the same memory, mapped again and again.

    Unlike a view with a stride of zero it may be written to: each row has its own address.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (
        *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int),
        ctypes.c_long,
    )
    whole = mmap.mmap(
        -1, times * row.nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE
    )
    start = ctypes.addressof(ctypes.c_char.from_buffer(whole))
    file = os.memfd_create("row")
    os.truncate(file, row.nbytes)
    for i in range(times):
        address = start + i * row.nbytes
        flags = mmap.MAP_SHARED | 0x10  # MAP_FIXED
        placed = libc.mmap(address, row.nbytes, mmap.PROT_READ | mmap.PROT_WRITE, flags, file, 0)
        assert placed == address, os.strerror(ctypes.get_errno())
    os.close(file)
    return np.frombuffer(whole, row.dtype).reshape(times, len(row))


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs Linux")
@pytest.mark.parametrize("name", ["relu", "conv2d"])
def test_output_of_more_than_2_to_31_elements(name: str) -> None:
    row = np.random.default_rng(0).integers(1, 99, 2**20).astype(np.float32)
    out = repeated(row, 16 * 129).reshape(1, 16, 129, -1)
    assert out.size > 2**31
    out[0, 0, 0] = np.nan
    x = np.broadcast_to(row, out.shape)
    if name == "relu":
        assert relu(x, out=out) is out
    else:
        assert conv2d(x[:, :1], np.ones((16, 1, 1, 1), np.float32), out=out) is out
    for filter_, i in ((0, 0), (7, 100), (15, 127), (15, 128)):
        np.testing.assert_array_equal(out[0, filter_, i], row)
