"""Sizes whose products leave 32 or 64 bits: a right answer or a clear error, never a crash.

No memory is needed: large arrays are views with strides of zero, or sparse pages of a mapping.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference as ref

from fastconv import avg_pool2d, conv2d, fold, linear, max_pool2d, unfold

BIG = 2**31 + 8


def wide(*shape: int, dtype: Any = np.float32) -> ref.Array:
    """Return ones of that shape in one element of memory."""
    return np.broadcast_to(np.ones((), dtype), shape)


ONE = np.ones((1, 1, 1, 1), np.float32)
THREE = np.ones((1, 1, 3, 3), np.float32)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "outputs"),
    [
        ((70_000, 70_000), 1, 70_000, 1),
        ((70_000, 70_000), 3, 34_998, 2),
        ((3, BIG), 3, BIG, 1),
        ((3, BIG), 3, 2**31, 2),
        ((BIG, 3), 3, 2**31, 2),
        ((2**29, 2**31), 1, 2**31, 1),
        ((2**20, 2**33), 1, 2**33 - 1, 2),
    ],
)
@pytest.mark.parametrize("algorithm", ["direct", "im2col"])
def test_huge_images(
    size: ref.Pair, kernel: int, stride: int, outputs: int, algorithm: Any
) -> None:
    x, w = wide(1, 1, *size), np.ones((1, 1, kernel, kernel), np.float32)
    q = outputs if size[1] > 3 else 1
    p = outputs if size[0] > 3 else 1
    if size == (2**20, 2**33):
        p = 1
    expected = np.full((1, 1, p, q), kernel * kernel, np.float32)
    np.testing.assert_array_equal(conv2d(x, w, stride=stride, algorithm=algorithm), expected)


@pytest.mark.parametrize("size", [(70_000, 70_000), (3, BIG), (BIG, 3), (2**29, 2**31)])
def test_huge_images_in_pools_and_columns(size: ref.Pair) -> None:
    x = wide(1, 2, *size)
    kernel = (min(size[0], 3), min(size[1], 3))
    expected = np.ones((1, 2, 1, 1), np.float32)
    y, index = max_pool2d(x, kernel, size, return_indices=True)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(index, np.zeros_like(index))
    np.testing.assert_array_equal(avg_pool2d(x, kernel, size), expected)
    columns = unfold(x, kernel, stride=size)
    np.testing.assert_array_equal(columns, np.ones((1, 18, 1), np.float32))


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
    x = wide(1, 40_000, 70_000, 70_000)
    w = wide(1, 40_000, 1, 1)
    assert conv2d(x, w, stride=70_000).ravel().tolist() == [40_000]


@pytest.mark.parametrize("gap", [2**30, 2**31, 2**32])
@pytest.mark.parametrize("sign", [1, -1])
def test_strides_beyond_32_bits(gap: int, sign: int, isa: str) -> None:
    """Channels and images that lie gigabytes apart in a sparse mapping (`gap` in bytes)."""
    rng = np.random.default_rng(0)
    values = rng.integers(-4, 5, (2, 3, 6, 7)).astype(np.float32)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_NORESERVE
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


def test_huge_strides_and_dilations_that_do_nothing() -> None:
    x = np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3)
    for huge in (2**31, 2**32 + 1, 2**62, 2**63 - 1, 2**70):
        assert conv2d(x, ONE, stride=huge).ravel().tolist() == [0]
        assert conv2d(x, THREE, stride=huge).ravel().tolist() == [36]
        np.testing.assert_array_equal(conv2d(x, ONE, dilation=huge), x)
        assert max_pool2d(x, 2, huge).ravel().tolist() == [4]
        assert avg_pool2d(x, 2, huge).ravel().tolist() == [2]
        assert unfold(x, 2, stride=huge).ravel().tolist() == [0, 1, 3, 4]


def available_memory() -> int:
    """Return the bytes that this machine can give, 0 where it does not say."""
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        return 0
    lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
    return int(lines.get("MemAvailable", "0 kB").split()[0]) * 1024


@pytest.mark.skipif(available_memory() < 6 * 2**30, reason="needs 6 GiB of free memory")
def test_output_of_more_than_2_to_31_elements() -> None:
    side = 46_342
    assert side * side > 2**31
    row = np.random.default_rng(0).integers(-128, 128, side).astype(np.int8)
    x = np.broadcast_to(row, (1, 1, side, side))
    y = max_pool2d(x, 1, 1)
    for line in (0, 1, 23_170, 23_171, 46_340, 46_341):
        np.testing.assert_array_equal(y[0, 0, line], row)
    assert int(y[0, 0, :, 0].astype(np.int64).sum()) == side * int(row[0])
