"""One layer at a time: fastconv beside the NumPy baseline and the measured FMA peak."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

import fastconv
from fastconv import _native

from . import baseline, timing
from .layers import Layer

ROUNDS = 7
PEAK_SECONDS = 0.02


def measure(
    layer: Layer,
    *,
    threads: int = 1,
    algorithm: str | None = None,
    dtype: Literal["float32", "float64"] = "float32",
    rounds: int = ROUNDS,
    after_round: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """Run one convolution with fastconv and with NumPy in alternating rounds.

    fastconv runs as a layer object, whose weights are packed before the first measured call, on
    arrays (N, C, H, W); its output is a new array on each call, as NumPy's is. The FMA peak of one
    thread is measured in the same rounds, because clocks drift. All answers are compared.

    Parameters
    ----------
    layer : Layer
        What to convolve.
    threads : int
        Threads of fastconv and of NumPy's BLAS alike.
    algorithm : str, optional
        ``"direct"``, ``"im2col"``, or None for fastconv's own choice.
    dtype : str
        ``"float32"`` or ``"float64"``.
    rounds : int
        How often the contestants take turns.
    after_round : callable, optional
        Called after each round, for a progress bar.

    Returns
    -------
    dict
        ``ms``, ``gflops``, ``percent_of_peak``, ``peak_gflops`` (all threads), ``numpy_ms`` and
        ``speedup`` (over `baseline.conv2d`), ``numpy_blocked_ms`` and ``speedup_blocked`` (over
        `baseline.conv2d_blocked`), ``max_abs_difference``, and what was asked for.

    Raises
    ------
    RuntimeError
        If fastconv's answer and NumPy's differ by more than rounding can explain.

    Examples
    --------
    >>> from fastconv.benchmarks import compare, layers
    >>> result = compare.measure(layers.load("digits")[-1], rounds=1)
    >>> result["layer"], result["output"]
    ('block 3', (300, 6, 8, 8))
    """
    rng = np.random.default_rng(2015)
    channels = layer.input[1]
    x = rng.standard_normal(layer.input).astype(dtype)
    convolve = fastconv.nn.Conv2d(
        channels,
        layer.filters,
        layer.kernel,
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
        groups=layer.groups,
        algorithm=algorithm,
        dtype=np.dtype(dtype),
        rng=rng,
    )
    weight, bias = np.asarray(convolve.weight), np.asarray(convolve.bias)
    sliding = (layer.stride, layer.padding, layer.dilation, layer.groups)
    peaks: list[float] = []
    contestants: list[Callable[[], object]] = [
        lambda: convolve(x),
        lambda: baseline.conv2d(x, weight, bias, *sliding),
        lambda: baseline.conv2d_blocked(x, weight, bias, *sliding),
    ]

    def end_round() -> None:
        peaks.append(_native.fma_peak(PEAK_SECONDS, dtype))
        if after_round is not None:
            after_round()

    with fastconv.threads(threads), timing.blas_threads(threads) as limit:
        difference = _largest_difference(contestants, x, weight, bias, sliding)
        seconds = timing.alternate(contestants, rounds, after_round=end_round)
    peak = float(np.median(peaks)) * threads
    gflops = layer.flops / seconds[0] / 1e9
    return {
        "network": layer.network,
        "layer": layer.name,
        "label": layer.label,
        "input": layer.input,
        "output": layer.output,
        "dtype": dtype,
        "threads": threads,
        "blas_threads": limit,
        "algorithm": algorithm or "auto",
        "ms": seconds[0] * 1e3,
        "gflops": gflops,
        "peak_gflops": peak,
        "percent_of_peak": 100 * gflops / peak,
        "numpy_ms": seconds[1] * 1e3,
        "speedup": seconds[1] / seconds[0],
        "numpy_blocked_ms": seconds[2] * 1e3,
        "speedup_blocked": seconds[2] / seconds[0],
        "max_abs_difference": difference,
    }


def _largest_difference(
    contestants: list[Callable[[], object]],
    x: np.ndarray[Any, np.dtype[Any]],
    weight: np.ndarray[Any, np.dtype[Any]],
    bias: np.ndarray[Any, np.dtype[Any]],
    sliding: tuple[Any, ...],
) -> float:
    """Compare all answers with the first; the bound is that of a sum of L products in any order.

    Two such sums differ by at most 2 (L + 1) eps (sum of |products|); the bias is one more term.
    """
    first, *others = (np.asarray(contestant()) for contestant in contestants)
    terms = weight[0].size + 1
    magnitude = baseline.conv2d(np.abs(x), np.abs(weight), np.abs(bias), *sliding)
    bound = 2 * (terms + 1) * np.finfo(x.dtype).eps * magnitude
    largest = 0.0
    for other in others:
        difference = np.abs(first - other)
        if not np.all(difference <= bound):
            raise RuntimeError(f"fastconv and NumPy disagree by {np.nanmax(difference):.3g}")
        largest = max(largest, float(difference.max()))
    return largest
