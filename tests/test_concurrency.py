"""Calls from many Python threads at once, and the GIL while one of them computes."""

from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from cases import NETWORKS, ConvCase, exact
from reference import Array

import fastconv
from fastconv import conv2d, max_pool2d, nn

CALLERS = 8
CASES = [case for case in NETWORKS if case.n]


def convolve(case: ConvCase, dtype: str, threads: int) -> bool:
    """Whether one case comes out right."""
    x, w, b = case.integers(dtype)
    y = conv2d(x, w, b, **case.geometry, num_threads=threads, algorithm="direct")
    return bool((y == exact(case)).all())


@pytest.mark.usefixtures("eight_threads")
def test_mixed_shapes_from_many_threads() -> None:
    for case in CASES:
        exact(case)
    barrier = threading.Barrier(CALLERS)

    def caller(number: int) -> list[str]:
        barrier.wait()
        order = np.random.default_rng(number).permutation(2 * len(CASES))
        wrong = []
        for i in order:
            case, dtype = CASES[i % len(CASES)], ("float32", "float64")[i // len(CASES)]
            if not convolve(case, dtype, 1 + (number + int(i)) % 3):
                wrong.append(f"caller {number}: {case} {dtype}")
        return wrong

    with ThreadPoolExecutor(CALLERS) as pool:
        assert [line for lines in pool.map(caller, range(CALLERS)) for line in lines] == []


@pytest.mark.usefixtures("eight_threads")
def test_one_layer_from_many_threads() -> None:
    """The first call packs the weights: all callers race for it, and all get the same answer."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 16, 19, 19)).astype(np.float32)
    for _ in range(20):
        layer = nn.Conv2d(16, 40, 3, padding=1, algorithm="direct", rng=rng)
        expected = conv2d(x, layer.weight, layer.bias, padding=1, algorithm="direct").tobytes()
        barrier = threading.Barrier(CALLERS)

        def caller(number: int, layer: nn.Conv2d = layer, start: Any = barrier) -> bytes:
            start.wait()
            with fastconv.threads(1 + number % 3):
                return bytes(layer(x).tobytes())

        with ThreadPoolExecutor(CALLERS) as pool:
            assert set(pool.map(caller, range(CALLERS))) == {expected}


def test_weights_replaced_while_others_run() -> None:
    """Every answer belongs to one of the weights, never to a mixture."""
    x = np.ones((1, 8, 15, 15), np.float32)
    layer = nn.Conv2d(8, 32, 3, bias=False, algorithm="direct", rng=np.random.default_rng(0))
    weights = [np.full((32, 8, 3, 3), value, np.float32) for value in (1, 2, 3)]
    layer.weight = weights[0]
    right = {float(72 * value) for value in (1, 2, 3)}
    stop = threading.Event()
    wrong: list[Array] = []

    def caller() -> None:
        while not stop.is_set():
            values = np.unique(layer(x))
            if len(values) != 1 or float(values[0]) not in right:
                wrong.append(values)

    callers = [threading.Thread(target=caller) for _ in range(3)]
    for thread in callers:
        thread.start()
    for i in range(300):
        layer.weight = weights[i % 3]
    stop.set()
    for thread in callers:
        thread.join()
    assert wrong == []


@pytest.fixture
def _no_forced_switches() -> Any:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000.0)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("_no_forced_switches")
@pytest.mark.parametrize("name", ["conv2d", "im2col", "max_pool2d", "softmax", "linear", "unfold"])
def test_gil_is_released_while_computing(name: str) -> None:
    """With forced switches off, another thread counts only while the caller gives the GIL away."""
    x = np.ones((8, 64, 96, 96), np.float32)
    w = np.ones((64, 64, 3, 3), np.float32)
    matrix = np.ones((2048, 2048), np.float32)
    calls: dict[str, Any] = {
        "conv2d": lambda: conv2d(x, w, num_threads=1),
        "im2col": lambda: conv2d(x, w, num_threads=1, algorithm="im2col"),
        "max_pool2d": lambda: max_pool2d(x, 3, 1, num_threads=1),
        "softmax": lambda: fastconv.softmax(x, num_threads=1),
        "linear": lambda: fastconv.linear(matrix[:512], matrix, num_threads=1),
        "unfold": lambda: fastconv.unfold(x, 3, num_threads=1),
    }
    count = 0
    stop = False

    def counter() -> None:
        nonlocal count
        while not stop:
            count += 1
            time.sleep(0)

    other = threading.Thread(target=counter)
    other.start()
    try:
        before = count
        for _ in range(200):  # a busy machine may take longer to wake the other than a call takes
            calls[name]()
            after = count
            if after > before:
                break
    finally:
        stop = True
        other.join()
    assert after > before


def test_state_of_one_thread_does_not_leak_into_another() -> None:
    """threads() in one Python thread, changed and restored while others do the same."""

    def caller(number: int) -> bool:
        ok = True
        for _ in range(200):
            with fastconv.threads(1):
                ok &= fastconv.get_num_threads() == 1
        return ok

    before = fastconv.get_num_threads()
    with ThreadPoolExecutor(CALLERS) as pool:
        assert all(pool.map(caller, range(CALLERS)))
    assert fastconv.get_num_threads() == before
