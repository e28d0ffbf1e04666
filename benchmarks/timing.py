"""Timing that can be trusted a little more: alternating rounds, medians, equal threads.

Clocks drift and caches remember, so functions that are compared take turns: in each round each of
them is called once unmeasured and then for a while measured; the median over all rounds counts.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from fastconv import _native

ENVIRONMENT = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")


def alternate(
    functions: Sequence[Callable[[], object]],
    rounds: int = 7,
    seconds: float = 0.02,
    after_round: Callable[[], None] | None = None,
) -> list[float]:
    """Time functions in turns and return the median of each in seconds.

    Parameters
    ----------
    functions : sequence of callable
        Called without arguments.
    rounds : int
        How often the functions take turns.
    seconds : float
        A function's turn lasts at least one measured call, and goes on until this time is over.
    after_round : callable, optional
        Called after each round, outside the measured time, for a progress bar.

    Returns
    -------
    list of float
        Median seconds of one call, in the order of the functions.

    Examples
    --------
    >>> from fastconv.benchmarks import timing
    >>> short, long = timing.alternate([lambda: sum(range(10)), lambda: sum(range(10_000))])
    >>> 0 < short < long
    True
    """
    samples: list[list[float]] = [[] for _ in functions]
    for _round in range(rounds):
        for function, found in zip(functions, samples, strict=True):
            function()
            until = time.perf_counter() + seconds
            while True:
                start = time.perf_counter()
                function()
                end = time.perf_counter()
                found.append(end - start)
                if end >= until:
                    break
        if after_round is not None:
            after_round()
    return [statistics.median(found) for found in samples]


def fma_peak(threads: int, seconds: float = 0.02) -> float:
    """Measure multiply-adds in registers on several threads at once, in GFLOP/s of float32.

    Examples
    --------
    >>> from fastconv.benchmarks import timing
    >>> timing.fma_peak(1, seconds=0.001) > 0
    True
    """
    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(_native.fma_peak, [seconds] * threads))


def read_bandwidth(threads: int, megabytes: int = 128, rounds: int = 5) -> float:
    """Measure how fast several threads read memory beyond all caches, in GB/s: the best round.

    Each thread reads as many megabytes of its own, by the dot product of NumPy's BLAS.

    Examples
    --------
    >>> from fastconv.benchmarks import timing
    >>> timing.read_bandwidth(1, megabytes=1, rounds=1) > 0
    True
    """
    parts = np.ones((threads, megabytes << 18), np.float32)
    best = 0.0
    with blas_threads(1), ThreadPoolExecutor(threads) as pool:
        for _round in range(rounds):
            start = time.perf_counter()
            list(pool.map(np.dot, parts, parts))
            best = max(best, parts.nbytes / (time.perf_counter() - start) / 1e9)
    return best


@contextlib.contextmanager
def blas_threads(count: int) -> Iterator[str]:
    """Limit the threads of NumPy's BLAS as far as that is possible.

    Parameters
    ----------
    count : int
        Threads that BLAS may use.

    Yields
    ------
    str
        What was done, to be printed beside the results: with threadpoolctl the limit holds; without
        it only the environment can limit BLAS, and only before NumPy is imported.

    Examples
    --------
    >>> from fastconv.benchmarks import timing
    >>> with timing.blas_threads(1) as limit:
    ...     print("BLAS" in limit)
    True
    """
    try:
        import threadpoolctl
    except ImportError:
        yield _blas_environment(count)
        return
    with threadpoolctl.threadpool_limits(count, user_api="blas"):
        yield f"BLAS limited to {count} by threadpoolctl"


def _blas_environment(count: int) -> str:
    """Say how many threads BLAS has when nothing but the environment can limit it."""
    for name in ENVIRONMENT:
        if os.environ.get(name) == str(count):
            return f"BLAS limited to {count} by {name}"
    return (
        "BLAS threads NOT limited: that takes threadpoolctl (pip install fastconv[bench]) or, "
        f"before Python starts, {ENVIRONMENT[0]}={count}"
    )
