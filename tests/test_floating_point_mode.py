"""Denormal numbers: flushed inside kernels, never in the caller's own arithmetic."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fastconv import avg_pool2d, conv2d, linear, relu, softmax


def keeps_denormals() -> bool:
    """Whether this thread's arithmetic still has denormal numbers."""
    smallest = np.array([np.finfo(np.float32).tiny], np.float32)
    half = np.finfo(np.float64).tiny * np.array([0.5])
    return bool((smallest * np.float32(0.5) != 0).all() and (half != 0).all())


@pytest.mark.parametrize("num_threads", [1, 2, 8])
@pytest.mark.usefixtures("eight_threads")
def test_callers_mode_is_restored(num_threads: int, dtype: str, isa: str) -> None:
    x = np.full((1, 64, 33, 33), 1e-30, dtype)
    w = np.full((64, 64, 3, 3), 1e-30, dtype)

    def calls() -> bool:
        conv2d(x, w, num_threads=num_threads)
        conv2d(x, w, algorithm="im2col", num_threads=num_threads)
        avg_pool2d(x, 3, num_threads=num_threads)
        linear(x, w[0, :33].reshape(-1, 33)[:5], num_threads=num_threads)
        softmax(x, num_threads=num_threads)
        relu(x, num_threads=num_threads)
        return keeps_denormals()

    assert keeps_denormals()
    assert calls()
    with ThreadPoolExecutor(2) as pool:
        assert all(pool.map(lambda _: calls(), range(4)))


def test_mode_is_restored_after_an_error() -> None:
    with pytest.raises(ValueError, match="weight"):
        conv2d(np.ones((1, 2, 5, 5), np.float32), np.ones((1, 3, 3, 3), np.float32))
    assert keeps_denormals()


def test_denormal_products_are_flushed_to_zero_or_kept(dtype: str, isa: str) -> None:
    """Either is within the bound; what may not come out is a number of normal size, or NaN."""
    tiny = np.finfo(dtype).tiny
    x = np.full((1, 3, 5, 5), tiny, dtype)
    w = np.full((2, 3, 3, 3), 2.0**-20, dtype)
    y = conv2d(x, w)
    assert (y >= 0).all()
    assert (y <= 27 * tiny * 2.0**-20).all()
