"""Rounding errors of fastconv's algorithms and of the peers, against NumPy in float64, by class."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from fastconv import runtime

from .engines import Engine, exact, problem, started
from .layers import CLASSES, AnyLayer, Layer


def measure(
    chosen: Iterable[AnyLayer],
    names: Sequence[str],
    after_layer: Callable[[], None] | None = None,
) -> list[dict[str, Any]]:
    """Compute layers by every algorithm and every peer, and compare each output with float64.

    Parameters
    ----------
    chosen : iterable of Layer, Pool or Linear
        What to compute; inputs and weights are normally distributed.
    names : sequence of str
        Peers, installed ones.
    after_layer : callable, optional
        Called after each layer, for a progress bar.

    Returns
    -------
    list of dict
        For each layer ``label``, ``class``, and by algorithm or peer ``max_error`` and
        ``rms_error`` as `engines.Engine.deviation` defines them, and ``failed``: reasons.
        Algorithms that do not compute such layers are in neither.

    Examples
    --------
    >>> from fastconv.benchmarks import errors, layers
    >>> layer = layers.Layer("", "1x1", (1, 8, 9, 9), 8, (1, 1))
    >>> (result,) = errors.measure([layer], [])
    >>> "direct" in result["max_error"], "winograd" in result["max_error"], result["failed"]
    (True, False, {})
    """
    isa = runtime.show_config()["isa"]
    results = []
    with started(["fastconv", *names], 1, isa) as engines:
        for layer in chosen:
            results.append(_one(layer, engines))
            if after_layer is not None:
                after_layer()
    return results


def _one(layer: AnyLayer, engines: Mapping[str, Engine]) -> dict[str, Any]:
    """Run one layer by each algorithm (only convolutions have several) and each peer."""
    asked = problem(layer)
    expected = exact(asked)
    algorithms = list(runtime.ALGORITHMS) if isinstance(layer, Layer) else ["auto"]
    contestants = [(name, engines["fastconv"], {"algorithm": name}) for name in algorithms]
    contestants += [(name, engines[name], {}) for name in engines if name != "fastconv"]
    result: dict[str, Any] = {"network": layer.network, "layer": layer.name, "label": layer.label}
    result |= {"class": layer.category, "max_error": {}, "rms_error": {}, "failed": {}}
    for label, engine, options in contestants:
        answer = engine.prepare(asked, options)
        found = answer if "error" in answer else engine.deviation(expected)
        if found.get("error", "").startswith("ValueError: algorithm"):
            continue  # it does not compute such layers
        if "error" in found:
            result["failed"][label] = found["error"]
        else:
            result["max_error"][label] = found["max"]
            result["rms_error"][label] = found["rms"]
    return result


def summarize(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Sum errors up by class.

    Parameters
    ----------
    results : sequence of mapping
        What `measure` returns.

    Returns
    -------
    list of dict
        For each class that has layers ``class``, and by algorithm or peer ``max_error`` (the
        largest) and ``rms_error`` (root mean square over those layers that it can do).

    Examples
    --------
    >>> from fastconv.benchmarks import errors
    >>> found = [({"a": 3e-7}, {"a": 3e-8}), ({"a": 2e-7, "b": 1e-7}, {"a": 4e-8, "b": 1e-8})]
    >>> results = [{"class": "1x1", "max_error": m, "rms_error": r} for m, r in found]
    >>> errors.summarize(results)[0]["max_error"]
    {'a': 3e-07, 'b': 1e-07}
    """
    table = []
    for name in CLASSES:
        rows = [result for result in results if result["class"] == name]
        labels = list(dict.fromkeys(label for row in rows for label in row["max_error"]))
        if rows:
            table.append(
                {
                    "class": name,
                    "max_error": {k: max(_found(rows, "max_error", k)) for k in labels},
                    "rms_error": {k: _rms(_found(rows, "rms_error", k)) for k in labels},
                }
            )
    return table


def _found(rows: Sequence[Mapping[str, Any]], kind: str, label: str) -> list[float]:
    return [row[kind][label] for row in rows if label in row[kind]]


def _rms(values: Sequence[float]) -> float:
    return math.sqrt(sum(value * value for value in values) / len(values))
