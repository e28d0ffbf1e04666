"""Outputs and workspaces come from memory that is used again: nobody may notice."""

from __future__ import annotations

import gc
import itertools
import os
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import reference as ref
from cases import NETWORKS, exact
from child import check

import fastconv
from fastconv import avg_pool2d, conv2d, max_pool2d, unfold

BLOCK = np.ones((1, 8, 64, 64), np.float32)


def copied(x: ref.Array) -> ref.Array:
    """Run an operator whose output is its input."""
    return np.asarray(max_pool2d(x, 1, 1))


def test_live_outputs_never_share_memory() -> None:
    alive = []
    for i in range(100):
        alive.append(copied(BLOCK + i))
        alive.append(avg_pool2d(BLOCK + i, 1, 1))
        if i % 3 == 0:
            del alive[i // 3]
    spans = sorted((y.ctypes.data, y.ctypes.data + y.nbytes) for y in alive)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
    for y in alive:
        assert (y == y.flat[0]).all()


def test_views_keep_the_memory_of_their_output() -> None:
    views = []
    for i in range(30):
        y = copied(BLOCK + i)
        views.append(y[0, 3, ::2, 5:9].T)
        del y
    for i in range(30):
        copied(BLOCK - 100)
        np.testing.assert_array_equal(views[i], np.full(views[i].shape, 1 + i, np.float32))


def test_outputs_outlive_trim_and_may_be_written() -> None:
    y = copied(BLOCK)
    fastconv.trim()
    z = copied(BLOCK + 1)
    assert y.flags.writeable
    assert y.flags.c_contiguous
    y += 5
    assert (y == 6).all()
    assert (z == 2).all()


def test_outputs_can_be_pickled_and_copied() -> None:
    y = copied(BLOCK)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(y)), y)
    np.testing.assert_array_equal(y.copy(), y)


def test_trim_gives_back_what_is_kept_and_no_more() -> None:
    fastconv.trim()
    assert fastconv.trim() == 0
    y = copied(np.ones((1, 64, 128, 128), np.float32))
    size = y.nbytes
    assert fastconv.trim() < size, "this memory is still in use"
    del y
    gc.collect()
    assert fastconv.trim() >= size
    assert fastconv.trim() == 0


def test_kept_memory_is_bounded() -> None:
    fastconv.trim()
    outputs = [copied(np.ones((1, 1, 256 + i, 4096), np.float32)) for i in range(100)]
    assert sum(y.nbytes for y in outputs) > 2**28
    outputs.clear()
    gc.collect()
    assert fastconv.trim() <= 2**28


def test_outputs_freed_by_other_threads() -> None:
    for case in NETWORKS:
        exact(case)

    def work(number: int) -> list[ref.Array]:
        case = NETWORKS[number % len(NETWORKS)]
        x, w, b = case.integers("float32")
        outputs = [conv2d(x, w, b, **case.geometry, algorithm="direct") for _ in range(5)]
        for y in outputs:
            np.testing.assert_array_equal(y, exact(case))
        return outputs

    with ThreadPoolExecutor(6) as pool:
        for number, outputs in enumerate(pool.map(work, range(200))):
            for y in outputs:
                np.testing.assert_array_equal(y, exact(NETWORKS[number % len(NETWORKS)]))


@pytest.mark.skipif(
    "libasan" in os.environ.get("LD_PRELOAD", ""), reason="the sanitizer keeps freed memory"
)
@pytest.mark.parametrize("what", ["same", "different", "errors"])
def test_nothing_leaks(what: str) -> None:
    """The resident memory of a fresh process stands still: over equal calls, new shapes, errors."""
    check(
        """
    import gc, sys
    import numpy as np, fastconv
    def resident():
        gc.collect()
        fastconv.trim()
        return int(open("/proc/self/statm").read().split()[1]) * 4096
    x, w = np.ones((1, 8, 64, 64), "f4"), np.ones((16, 8, 3, 3), "f4")
    def same(i):
        fastconv.conv2d(x, w, padding=1)
        fastconv.max_pool2d(x, 2)
    def different(i):
        a, b = 8 + i % 57, 8 + i // 57 % 57
        fastconv.conv2d(x[:, :, :a, :b], w, stride=1 + i % 3)
        fastconv.max_pool2d(x[:, :, :a, :b], 2)
    def errors(i):
        for wrong in (dict(groups=3), dict(dilation=99)):
            try:
                fastconv.conv2d(x, w, **wrong)
            except ValueError:
                pass
    call = globals()[sys.argv[1]]
    fastconv.set_num_threads(1)
    for i in range(3000):
        call(i)
    before = resident()
    for i in range(3000, 9000):
        call(i)
    grown = resident() - before
    assert grown < 8 * 2**20, f"{grown / 2**20:.1f} MiB more after 6000 calls"
    """,
        what,
    )


def test_errors_leave_nothing_half_done() -> None:
    """After each kind of failure the next call is right."""
    case = NETWORKS[0]
    x, w, b = case.integers("float32")
    failures: list[Callable[[], Any]] = [
        lambda: conv2d(x, w[:, :2]),
        lambda: conv2d(x, w, b[:3] if b is not None else None),
        lambda: unfold(np.broadcast_to(np.float32(1), (1, 1, 2**28, 2**28)), 1),
        lambda: conv2d(x, w, out=np.zeros((1, 2, 3, 4), np.float32)),
    ]
    for failure in failures:
        with pytest.raises((ValueError, MemoryError)):
            failure()
        y = conv2d(x, w, b, **case.geometry, algorithm="direct")
        np.testing.assert_array_equal(y, exact(case))
