"""Forked and spawned processes after the parent ran with threads: right answers, and no hang.

Everything runs in a child of its own that is killed when it hangs, so that a hang is a failure.
"""

from __future__ import annotations

import os

import pytest
from child import check

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

PRELUDE = """
    import os, sys, signal, warnings
    warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads: what is tested here
    import numpy as np, fastconv
    from fastconv import _native, nn
    signal.alarm(200)
    _native.set_cpu_limit(8)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 64, 56, 56)).astype("f4")
    w = rng.standard_normal((64, 64, 3, 3)).astype("f4")
    layer = nn.Conv2d(64, 64, 3, padding=1, rng=rng)
    def answers(threads):
        one = fastconv.conv2d(x, w, num_threads=threads).tobytes()
        two = fastconv.max_pool2d(x, 2, num_threads=threads).tobytes()
        with fastconv.threads(threads):
            return one + two + layer(x).tobytes()
    def right(threads):
        return answers(threads) == expected
    def ran(threads):
        return _native.last_num_threads() == (threads if _native.has_openmp() else 1)
    expected = answers(4)
    assert ran(4)
"""

FORK = (
    PRELUDE
    + """
    def forked(work):
        pid = os.fork()
        if pid == 0:
            signal.alarm(60)
            code = 1
            try:
                code = 0 if work() else 2
            finally:
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""
)


def test_fifty_forks() -> None:
    check(
        FORK
        + """
    for i in range(50):
        code = forked(lambda: right(1 + i % 5) and right(2))
        assert code == 0, f"child {i} ended with {code}"
        assert right(3) and ran(3), "the parent keeps its team"
    """
    )


def test_forks_of_forks() -> None:
    check(
        FORK
        + """
    def child():
        return right(4) and forked(grandchild) == 0 and right(2)
    def grandchild():
        return right(4) and forked(lambda: right(2)) == 0
    for i in range(5):
        assert forked(child) == 0, i
    """
    )


def test_fork_in_the_middle_of_another_threads_call() -> None:
    """The child inherits whatever state the other thread's call was in: locks, arenas, counters."""
    check(
        FORK
        + """
    import threading
    stop = threading.Event()
    def busy():
        while not stop.is_set():
            fastconv.conv2d(x, w, num_threads=2)
    threads = [threading.Thread(target=busy) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for i in range(10):
            code = forked(lambda: right(2) and right(1))
            assert code == 0, f"child {i} ended with {code}"
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert right(4)
    """
    )


def test_fork_from_a_thread_that_is_not_the_first() -> None:
    check(
        FORK
        + """
    import threading
    codes = []
    def work():
        assert right(3)
        codes.extend(forked(lambda: right(3)) for _ in range(10))
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert codes == [0] * 10, codes
    """
    )


def test_fork_before_the_first_call() -> None:
    check(
        """
    import os, signal, numpy as np, fastconv
    from fastconv import _native
    signal.alarm(60)
    _native.set_cpu_limit(4)
    x, w = np.ones((1, 64, 56, 56), "f4"), np.ones((64, 64, 3, 3), "f4")
    pid = os.fork()
    y = fastconv.conv2d(x, w, algorithm="direct", num_threads=4)
    assert (y == 576).all()
    if pid == 0:
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    """
    )


def test_fifty_fork_pools() -> None:
    check(
        PRELUDE
        + """
    import multiprocessing
    context = multiprocessing.get_context("fork")
    for i in range(50):
        with context.Pool(2) as pool:
            results = pool.map_async(right, [1, 2, 3, 4]).get(timeout=60)
        assert results == [True] * 4, (i, results)
    assert right(4) and ran(4)
    """
    )


def test_spawned_process() -> None:
    """A fresh interpreter, with a layer that was pickled on the way."""
    check(
        """
    import concurrent.futures, multiprocessing, signal
    import numpy as np, fastconv
    from fastconv import nn
    from spawned import run_layer
    signal.alarm(200)
    layer = nn.Conv2d(3, 8, 3, padding=1, rng=np.random.default_rng(0))
    x = np.random.default_rng(1).standard_normal((2, 3, 9, 9)).astype("f4")
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        y = pool.submit(run_layer, layer, x).result(timeout=100)
    assert y.tobytes() == layer(x).tobytes()
    """
    )
