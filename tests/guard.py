"""Arrays that touch pages nobody may read or write, and the operators that run on them.

`python guard.py FAMILY` runs one family of operators on such arrays. It says what it is about to do
before each call; a stray access kills it (see test_guard_pages.py).
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import reference as ref
from cases import (
    CONVS,
    DEPTHWISE,
    DTYPES,
    FILTERS,
    NETWORKS,
    PIXELS,
    POOLS,
    ConvCase,
    PoolCase,
    exact,
)
from reference import Array
from volume_cases import CASES as VOLUMES
from volume_cases import exact as volume_exact
from volume_cases import numbers as volume_numbers

import fastconv
from fastconv import functional, runtime

PAGE = mmap.PAGESIZE
NO_ACCESS = 0  # PROT_NONE
SIDES = ("end", "begin")

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


class Guarded:
    """Memory between two forbidden pages, from which arrays are cut that touch one of them."""

    def __init__(self) -> None:
        self.maps: list[tuple[mmap.mmap, int, int]] = []
        self.used = 0

    def _inside(self, n_bytes: int) -> tuple[int, int]:
        """Return address and length of an accessible range of at least n_bytes, reused or new."""
        need = max(-(-n_bytes // PAGE), 1) * PAGE
        for i in range(self.used, len(self.maps)):
            if self.maps[i][2] >= need:
                self.maps[self.used], self.maps[i] = self.maps[i], self.maps[self.used]
                break
        else:
            memory = mmap.mmap(-1, need + 2 * PAGE)
            address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
            for page in (address, address + PAGE + need):
                if _libc.mprotect(page, PAGE, NO_ACCESS) != 0:
                    raise OSError(ctypes.get_errno(), "mprotect failed")
            self.maps.append((memory, address + PAGE, need))
            self.maps[self.used], self.maps[-1] = self.maps[-1], self.maps[self.used]
        self.used += 1
        _, address, length = self.maps[self.used - 1]
        return address, length

    def empty(self, shape: tuple[int, ...], dtype: Any, side: str) -> Array:
        """Return an array whose last byte ("end") or first ("begin") touches a forbidden page."""
        n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        address, length = self._inside(n_bytes)
        start = address + length - n_bytes if side == "end" else address
        raw = (ctypes.c_char * n_bytes).from_address(start)
        array = np.frombuffer(raw, dtype).reshape(shape)
        array.view(np.uint8)[...] = 0xFF
        return array

    def copy(self, values: Array | None, side: str) -> Array:
        """Return `values` between the pages."""
        assert values is not None
        array = self.empty(values.shape, values.dtype, side)
        array[...] = values
        return array

    def reset(self) -> None:
        """Hand all memory out again: arrays from before must no longer be used."""
        self.used = 0


guarded = Guarded()


def announce(*words: object) -> None:
    """Say what comes next, so that the last line before a crash names the culprit."""
    print(*words, file=sys.stderr, flush=True)


def same(actual: Array, expected: Array) -> None:
    """Compare, naming what differs."""
    np.testing.assert_array_equal(actual, expected)


def convolve(case: ConvCase, dtype: str, side: str, algorithm: str, layout: str) -> None:
    """Run one convolution with every buffer at a guard page."""
    x, w, b = case.integers(dtype)
    expected = exact(case)
    if layout == "NHWC":
        x, expected = x.transpose(0, 2, 3, 1), expected.transpose(0, 2, 3, 1)
    out = guarded.empty(expected.shape, dtype, side)
    bias = None if b is None else guarded.copy(b, side)
    functional.conv2d(
        guarded.copy(x, side),
        guarded.copy(w, side),
        bias,
        **case.geometry,
        out=out,
        data_format=layout,
        algorithm=algorithm,
    )
    same(out, expected)


@functools.cache
def pooled(case: PoolCase, dtype: str) -> tuple[Array, Array]:
    """Return a pool's input and maxima."""
    x = case.normals("float64").astype(dtype)
    return x, ref.max_pool2d(x, **case.geometry)[0]


def conv2d(isa: str, dtype: str, side: str) -> None:
    """Every case of conv2d, in both layouts and by every exact algorithm."""
    for case in CONVS:
        if not case.n:
            continue
        depthwise = ("depthwise",) if case.c == case.groups else ()
        for algorithm in ("channels_last", "planar", "im2col", *depthwise):
            for layout in ("NCHW", "NHWC"):
                announce(isa, dtype, side, case, algorithm, layout)
                guarded.reset()
                convolve(case, dtype, side, algorithm, layout)


def depthwise(isa: str, dtype: str, side: str) -> None:
    """Every case of depthwise convolution, in both layouts."""
    for case in DEPTHWISE:
        for layout in ("NCHW", "NHWC") if case.n else ():
            announce(isa, dtype, side, case, layout)
            guarded.reset()
            convolve(case, dtype, side, "depthwise", layout)


def tiles(isa: str, dtype: str, side: str) -> None:
    """Each count of filters with each width of the output."""
    for kernel, stride in (((1, 1), 1), ((2, 3), 1), ((1, 3), 2)):
        widest = (PIXELS[-1] - 1) * stride + kernel[1]
        case = ConvCase("largest", 1, 3, kernel[0], widest, FILTERS[-1], kernel, (1, stride))
        x, w, b = case.integers(dtype)
        for k in FILTERS:
            for q in PIXELS:
                announce(isa, dtype, side, kernel, f"stride {stride}, {k} filters, {q} wide")
                guarded.reset()
                out = guarded.empty((1, k, 1, q), dtype, side)
                functional.conv2d(
                    guarded.copy(x[..., : (q - 1) * stride + kernel[1]], side),
                    guarded.copy(w[:k], side),
                    None if b is None else guarded.copy(b[:k], side),
                    stride=(1, stride),
                    out=out,
                )
                same(out, exact(case)[:, :k, :, :q])


def pools(isa: str, dtype: str, side: str) -> None:
    """Every case of max_pool2d and avg_pool2d, in both layouts."""
    for case in POOLS:
        x, values = pooled(case, dtype)
        if not x.size:
            continue
        for axes, layout in (((0, 1, 2, 3), "NCHW"), ((0, 2, 3, 1), "NHWC")):
            announce(isa, dtype, side, case, layout)
            guarded.reset()
            given = guarded.copy(x.transpose(axes), side)
            out = guarded.empty(values.transpose(axes).shape, dtype, side)
            more: dict[str, Any] = {"data_format": layout, "out": out}
            functional.max_pool2d(given, **case.geometry, **more)
            same(out, values.transpose(axes))
            out[...] = np.nan
            functional.max_pool2d(given, **case.geometry, **more, return_indices=True)
            same(out, values.transpose(axes))
            if case.dilation == (1, 1):
                functional.avg_pool2d(given, **case.average, **more)
                assert np.isfinite(out).all()


def integers(isa: str, dtype: str, side: str) -> None:
    """max_pool2d of integers of each width (`dtype` picks half of them)."""
    kinds = ("int8", "int16", "int32") if dtype == "float32" else ("uint8", "int64")
    for kind in kinds:
        for case in POOLS[:35]:
            x, values = pooled(case, kind)
            if x.size:
                announce(isa, kind, side, case)
                guarded.reset()
                out = guarded.empty(values.shape, kind, side)
                functional.max_pool2d(guarded.copy(x, side), **case.geometry, out=out)
                same(out, values)


def views(isa: str, dtype: str, side: str) -> None:
    """Reversed and transposed arrays, whose first element lies at the far end of their memory."""
    cases: list[ConvCase | PoolCase] = [*NETWORKS, *DEPTHWISE[::7], *POOLS[:20]]
    for case in cases:
        if "empty" in case.name:
            continue
        for reverse in (True, False):
            announce(isa, dtype, side, case, "reversed" if reverse else "transposed")
            guarded.reset()
            if isinstance(case, ConvCase):
                arrays: list[Any] = [
                    turned(a, side, reverse) for a in case.integers(dtype) if a is not None
                ]
                expected = exact(case)
            else:
                x, expected = pooled(case, dtype)
                arrays = [turned(x, side, reverse)]
            out = turned(np.zeros(expected.shape, dtype), side, reverse)
            arguments: dict[str, Any] = {**case.geometry, "out": out}
            if isinstance(case, ConvCase):
                depthwise = ("depthwise",) if case.c == case.groups else ()
                for algorithm in ("channels_last", "planar", *depthwise):
                    functional.conv2d(*arrays, **arguments, algorithm=algorithm)
                    same(out, expected)
            else:
                same(functional.max_pool2d(*arrays, **arguments), expected)


def turned(values: Array, side: str, reverse: bool) -> Array:
    """Return `values` at a guard page, with negative strides or with axes in another order."""
    if reverse:
        flip = (slice(None, None, -1),) * values.ndim
        return guarded.copy(values[flip], side)[flip]
    return guarded.copy(values.T, side).T


def columns(isa: str, dtype: str, side: str) -> None:
    """The inputs of unfold and fold."""
    for shape in ((1, 3, 7, 9), (2, 5, 6, 17)):
        x = np.random.default_rng(0).integers(-9, 10, shape).astype(dtype)
        for kernel, stride, padding in (
            ((3, 3), 1, 1),
            ((2, 3), 2, 0),
            ((1, 1), 1, 0),
            ((3, 2), 3, 1),
        ):
            announce(isa, dtype, side, "unfold and fold", shape, kernel, stride, padding)
            guarded.reset()
            expected = ref.unfold(x, kernel, 1, padding, stride)
            same(functional.unfold(guarded.copy(x, side), kernel, 1, padding, stride), expected)
            folded = ref.fold(expected, shape[2:], kernel, 1, padding, stride)
            given = guarded.copy(expected, side)
            same(functional.fold(given, shape[2:], kernel, 1, padding, stride), folded)


def dense(isa: str, dtype: str, side: str) -> None:
    """Run linear, relu, softmax and locally_connected2d."""
    rng = np.random.default_rng(0)
    for rows in (1, 2, 7, 17):
        for inputs in (1, 3, 15, 16, 17, 33, 64, 65):
            for outputs in FILTERS:
                announce(isa, dtype, side, f"linear {rows} rows, {inputs} -> {outputs}")
                guarded.reset()
                x, w, b = (
                    rng.integers(-4, 5, s).astype(dtype)
                    for s in ((rows, inputs), (outputs, inputs), (outputs,))
                )
                out = guarded.empty((rows, outputs), dtype, side)
                arrays = [guarded.copy(a, side) for a in (x, w, b)]
                functional.linear(*arrays, out=out)
                same(out, ref.linear(x, w, b))
    for size in (*PIXELS, 63, 64, 65):
        for shape in ((size,), (3, size), (size, 3)):
            announce(isa, dtype, side, "relu and softmax", shape)
            guarded.reset()
            x = rng.standard_normal(shape).astype(dtype)
            given, out = guarded.copy(x, side), guarded.empty(shape, dtype, side)
            functional.relu(given, out=out)
            same(out, ref.relu(x))
            for dim in range(len(shape)):
                y = functional.softmax(given, dim)
                ref.assert_close(y, ref.softmax(x, dim), ref.softmax_bound(x, dim))
    for k in (1, 7, 16, 17, 33):
        announce(isa, dtype, side, f"locally_connected2d, {k} filters")
        guarded.reset()
        x, w = (rng.integers(-4, 5, s).astype(dtype) for s in ((2, 3, 5, 6), (k, 3, 4, 27)))
        y = functional.locally_connected2d(
            guarded.copy(x, side), guarded.copy(w, side), kernel_size=3
        )
        same(y, ref.locally_connected2d(x, w, kernel_size=3))


def volumes(isa: str, dtype: str, side: str) -> None:
    """Every case of conv1d, conv3d and the transposed convolutions."""
    for name, (operator, *_, options) in VOLUMES.items():
        x, w, b = volume_numbers(name, dtype)
        if not x.size:
            continue
        expected = volume_exact(name)
        for algorithm in ("channels_last", "planar"):
            announce(isa, dtype, side, name, algorithm)
            guarded.reset()
            out = guarded.empty(expected.shape, dtype, side)
            given = [guarded.copy(a, side) for a in (x, w, b)]
            getattr(functional, operator)(*given, **options, algorithm=algorithm, out=out)
            same(out, expected)


def overrun(isa: str, dtype: str, side: str) -> None:
    """Read one element too far, on purpose: the page must kill this process."""
    array = guarded.copy(np.ones(5, dtype), side)
    step = array.itemsize * (5 if side == "end" else -1)
    announce("about to read the forbidden page")
    ctypes.string_at(array.ctypes.data + step, 1)


FAMILIES: dict[str, Callable[[str, str, str], None]] = {
    f.__name__: f
    for f in (
        conv2d,
        depthwise,
        tiles,
        pools,
        views,
        integers,
        columns,
        dense,
        volumes,
        overrun,
    )
}


def main(family: str, isas: list[str]) -> None:
    """Run one family on each instruction set, dtype and side."""
    fastconv.set_num_threads(1)
    for isa in isas:
        runtime.set_isa(isa)
        for dtype in DTYPES:
            for side in SIDES:
                FAMILIES[family](isa, dtype, side)
    print("done")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
