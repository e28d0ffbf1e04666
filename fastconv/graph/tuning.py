"""Measured choice of a network's convolution algorithms and layout, where the user asks for it.

The network itself is what is timed: it is planned once for each algorithm, as far as that computes
its convolutions, and each convolution keeps the one that took the shortest time in its place, with
what its neighbours leave in the caches. What was chosen is a table that the graph carries, so that
every later plan of the model, in another process or from a saved file, gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from ..runtime import ALGORITHMS
from .builder import Builder, Plan
from .ir import Array

#: Builds a plan with channels last or not, and with one algorithm where nothing is chosen yet.
Build = Callable[[bool, str], tuple[Builder, Plan]]

LAYOUTS = {"channels last": True, "planes": False}
CANDIDATES = ("auto", "channels_last", "planar", "winograd", "winograd_rows", "depthwise")
ROUNDS = 5
#: Seconds that one plan runs for in a round, and once in any case.
SECONDS = 5e-3
#: The cost model's own choice stays unless another one takes less than this share of its time.
GAIN = 0.95
#: The slower layout is not looked into where it takes more than this much of the other's time.
HOPELESS = 1.5


def tune(build: Build, arrays: Sequence[Array], place: str, choices: dict[str, str]) -> None:
    """Measure a network for input arrays and add what is fastest to `choices`.

    Parameters
    ----------
    build : callable
        From whether tensors are channels last, and an algorithm, to a builder and its plan.
    arrays : sequence of ndarray
        What the plan's program takes behind its constants.
    place : str
        Key of the layout in `choices`.
    choices : dict
        From convolutions to names of algorithms, from places to names of `LAYOUTS`; what it has
        stays.

    Examples
    --------
    >>> import fastconv
    >>> from fastconv.graph import tuning
    >>> from fastconv.graph.layers import graph_of
    >>> from fastconv.graph.model import Model
    >>> graph = graph_of(fastconv.nn.Conv2d(3, 8, 3), (1, 3, 16, 16), "float32")
    >>> model = Model(graph, tune=True)
    >>> [name for name in graph.choices.values() if name in tuning.LAYOUTS] != []
    True
    """
    known = set(choices)
    plain = {name: build(last, "auto") for name, last in LAYOUTS.items()}
    times = _seconds([plan for _, plan in plain.values()], arrays)
    totals = {name: float(row.sum()) for name, row in zip(LAYOUTS, times, strict=True)}
    least = min(totals.values())
    finalists = [name for name in LAYOUTS if totals[name] <= HOPELESS * least]
    for name in finalists:
        _choose_algorithms(partial(build, LAYOUTS[name]), arrays, choices)
    plans = [plain[name][1] for name in finalists]
    plans += [build(LAYOUTS[name], "auto")[1] for name in finalists]
    best = int(np.argmin([float(row.sum()) for row in _seconds(plans, arrays)]))
    if best < len(finalists):  # all that was chosen makes the whole no faster
        choices.update(dict.fromkeys(choices.keys() - known, "auto"))
    choices[place] = finalists[best % len(finalists)]


def _choose_algorithms(
    build: Callable[[str], tuple[Builder, Plan]], arrays: Sequence[Array], choices: dict[str, str]
) -> None:
    """Measure the algorithms in one layout; each convolution keeps the fastest."""
    built: dict[tuple[Any, ...], tuple[Builder, Plan]] = {}
    for algorithm in CANDIDATES:
        builder, plan = build(algorithm)
        built.setdefault(tuple(step.choice for step in builder.steps), (builder, plan))
    found: dict[str, dict[str, float]] = {}
    for (builder, plan), seconds in zip(
        built.values(), _seconds([plan for _, plan in built.values()], arrays), strict=True
    ):
        once: dict[tuple[str, str], float] = {}
        for step, row, took in zip(builder.steps, plan.rows, _of_rows(plan, seconds), strict=True):
            if step.choice is not None and row.steps:
                once[step.choice] = once.get(step.choice, 0.0) + took
        for (key, algorithm), took in once.items():
            times = found.setdefault(key, {})
            times[algorithm] = min(times.get(algorithm, took), took)
    for key, times in found.items():
        best = min(times, key=times.__getitem__)
        own = times.get("auto", float("inf"))
        choices.setdefault(key, best if times[best] < GAIN * own else "auto")


def _of_rows(plan: Plan, seconds: Array) -> Iterator[float]:
    """Seconds of each row of a plan, from those of the program's steps."""
    for row in plan.rows:
        yield float(sum(seconds[step] for step in row.steps))


def _seconds(plans: Sequence[Plan], arrays: Sequence[Array]) -> list[Array]:
    """Run plans in turns on one thread -> for each the median seconds of its program's steps."""
    samples: list[list[Array]] = [[] for _ in plans]
    for number in range(1 + ROUNDS):
        for plan, rows in zip(plans, samples, strict=True):
            until = perf_counter() + (SECONDS if number else 0)
            while True:
                row = np.zeros(plan.program.step_count)
                plan.program.run((*plan.blocks, *arrays), None, 1, row)
                if number:  # the first round warms up
                    rows.append(row)
                if perf_counter() >= until:
                    break
    return [np.median(rows, axis=0) for rows in samples]


def check_choices(choices: Any) -> dict[str, str]:
    """Return choices that a file had.

    Raises
    ------
    TypeError
        If they are none.

    Examples
    --------
    >>> from fastconv.graph.tuning import check_choices
    >>> check_choices({"a convolution": "planar"})
    {'a convolution': 'planar'}
    """
    if not isinstance(choices, dict) or not set(choices.values()) <= {*ALGORITHMS, *LAYOUTS}:
        raise TypeError("choices: expected names of algorithms and layouts")
    return choices
