"""Measured choice of a convolution's algorithm, where the user asks for it."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from .errors import ShapeError
from .runtime import ALGORITHMS

ROUNDS = 3
#: Seconds that one candidate is called for in a round, and more than once in any case.
SECONDS = 2e-3


def fastest(call: Callable[[str], Any]) -> str:
    """Return the name of the algorithm that computes a convolution in the shortest time.

    Parameters
    ----------
    call : callable
        Takes an algorithm's name and computes the convolution with it; ValueError where that
        algorithm does not compute this one.

    Returns
    -------
    str
        The algorithm whose best time over alternating rounds is least.

    Examples
    --------
    >>> import numpy as np, fastconv
    >>> from fastconv import _tuning
    >>> x, w = np.ones((1, 8, 16, 16)), np.ones((8, 8, 5, 5))
    >>> name = _tuning.fastest(lambda name: fastconv.conv2d(x, w, algorithm=name))
    >>> name in fastconv.runtime.ALGORITHMS
    True
    """
    names: list[str] = []
    for name in ALGORITHMS:
        if name in ("auto", "direct"):  # they stand for one of the others
            continue
        try:
            call(name)  # packs the weights
        except ShapeError:
            raise
        except ValueError:
            continue
        names.append(name)
    best = dict.fromkeys(names, float("inf"))
    for _ in range(ROUNDS):
        for name in names:
            best[name] = min(best[name], _shortest(call, name))
    return min(names, key=best.__getitem__)


def _shortest(call: Callable[[str], Any], name: str) -> float:
    """Time of the shortest of several calls."""
    found: list[float] = []
    until = perf_counter() + SECONDS
    while len(found) < 2 or perf_counter() < until:
        start = perf_counter()
        call(name)
        found.append(perf_counter() - start)
    return min(found)
