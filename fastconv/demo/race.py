"""The demo network run by fastconv and by NumPy: accuracy, equal answers, speed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastconv
from fastconv import nn
from fastconv.benchmarks import baseline, timing

from . import digits

ROUNDS = 9
#: Largest difference between two answers, as a share of the largest score. Each score passes seven
#: layers of sums of at most 161 terms, each of which may round by 6e-8: 7 x 161 x 6e-8 = 7e-5.
TOLERANCE = 1e-4

Float32 = NDArray[np.float32]
Forward = Callable[[Float32], Float32]


@dataclass(frozen=True)
class Times:
    """Median milliseconds of one batch."""

    batch: int
    fastconv_ms: float
    numpy_ms: float
    numpy_blocked_ms: float


@dataclass(frozen=True)
class Report:
    """What the demo found out.

    Attributes
    ----------
    correct, total : int
        Held-out images that the network reads rightly, and all of them.
    largest_difference, allowed_difference : float
        Between the scores of fastconv and of NumPy.
    same_predictions : bool
        Whether fastconv and both NumPy networks name the same digit for every image.
    threads : int
        Threads of fastconv.
    blas : str
        What limits the threads of NumPy's BLAS.
    times : tuple of Times
        For the whole set as one batch, and for one image at a time.
    """

    correct: int
    total: int
    largest_difference: float
    allowed_difference: float
    same_predictions: bool
    threads: int
    blas: str
    times: tuple[Times, ...]

    @property
    def accuracy(self) -> float:
        """Share of the held-out images that the network reads rightly."""
        return self.correct / self.total

    @property
    def same_answers(self) -> bool:
        """Whether fastconv and NumPy agree."""
        return self.same_predictions and self.largest_difference <= self.allowed_difference


def numpy_network(model: nn.Sequential, convolve: Callable[..., Any] = baseline.conv2d) -> Forward:
    """Make a function that runs the same network with the NumPy baseline.

    Parameters
    ----------
    model : Sequential
        A network of Conv2d, ReLU, MaxPool2d, Flatten and Linear layers.
    convolve : callable
        `baseline.conv2d` or `baseline.conv2d_blocked`.

    Returns
    -------
    callable
        From images (N, C, H, W) to scores.

    Raises
    ------
    TypeError
        If the network has a layer that the baseline does not know.

    Examples
    --------
    >>> from fastconv import demo
    >>> from fastconv.demo import race
    >>> forward = race.numpy_network(demo.network())
    >>> forward(demo.to_input(demo.held_out()[0][:5])).argmax(axis=1).tolist()
    [2, 5, 9, 5, 9]
    """
    steps = [_numpy_step(layer, convolve) for layer in model]

    def forward(x: Float32) -> Float32:
        for step in steps:
            x = step(x)
        return x

    return forward


def _numpy_step(layer: object, convolve: Callable[..., Any]) -> Callable[[Any], Any]:
    if isinstance(layer, nn.Conv2d):
        weight, bias = np.asarray(layer.weight), np.asarray(layer.bias)
        return lambda x: convolve(x, weight, bias, stride=layer.stride, padding=layer.padding)
    if isinstance(layer, nn.Linear):
        weight, bias = np.asarray(layer.weight), np.asarray(layer.bias)
        return lambda x: baseline.linear(x, weight, bias)
    if isinstance(layer, nn.MaxPool2d):
        return lambda x: baseline.max_pool2d(x, layer.kernel_size, layer.stride)
    if isinstance(layer, nn.ReLU):
        return baseline.relu
    if isinstance(layer, nn.Flatten):
        return lambda x: x.reshape(len(x), -1)
    raise TypeError(f"model: the NumPy baseline has no {type(layer).__name__}")


def run(
    threads: int = 1, rounds: int = ROUNDS, after_round: Callable[[], None] | None = None
) -> Report:
    """Read the held-out images with fastconv and with NumPy, compare the answers, take the time.

    Parameters
    ----------
    threads : int
        Threads for fastconv and for NumPy's BLAS alike.
    rounds : int
        How often fastconv and NumPy take turns, for each of two batch sizes.
    after_round : callable, optional
        Called after each round, for a progress bar.

    Returns
    -------
    Report

    Examples
    --------
    >>> from fastconv.demo import race
    >>> report = race.run(rounds=1)
    >>> report.same_answers, report.accuracy >= 0.97
    (True, True)
    """
    model = digits.network()
    images, labels = digits.held_out()
    x = digits.to_input(images)
    contestants: list[Forward] = [
        fastconv.compile(model, digits.INPUT_SHAPE),
        numpy_network(model),
        numpy_network(model, baseline.conv2d_blocked),
    ]
    with fastconv.threads(threads), timing.blas_threads(threads) as blas:
        scores, *others = (np.asarray(forward(x)) for forward in contestants)
        times = []
        for batch in (x, x[:1]):
            calls = [lambda f=f, batch=batch: f(batch) for f in contestants]
            seconds = timing.alternate(calls, rounds, after_round=after_round)
            times.append(Times(len(batch), *(1e3 * value for value in seconds)))
    guesses = scores.argmax(axis=1)
    return Report(
        correct=int((guesses == labels).sum()),
        total=len(labels),
        largest_difference=max(float(np.abs(scores - other).max()) for other in others),
        allowed_difference=TOLERANCE * float(np.abs(scores).max()),
        same_predictions=all(np.array_equal(guesses, other.argmax(axis=1)) for other in others),
        threads=threads,
        blas=blas,
        times=tuple(times),
    )
