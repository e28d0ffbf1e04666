"""Layers beside every installed peer: fastconv, ONNX Runtime, OpenVINO, PyTorch, ncnn.

Each engine computes each layer in a process of its own that was started for it, so that no arena,
pool or thread is carried along. The engines take turns in short rounds, forwards and backwards; the
median over the rounds counts. The FMA peak is measured in the same rounds, on as many threads. All
outputs are compared with NumPy's in float64; an engine whose output is wrong, or that cannot do a
layer, takes no part there, and the result says why.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import fastconv

from . import timing
from .engines import exact, problem, started
from .layers import CLASSES, AnyLayer, traffic

ROUNDS = 7
SECONDS = 0.05
PEAK_SECONDS = 0.02


def measure(
    layer: AnyLayer,
    names: Sequence[str],
    *,
    threads: int = 1,
    rounds: int = ROUNDS,
    seconds: float = SECONDS,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Run one layer with fastconv and with peers, in fresh processes and alternating rounds.

    Parameters
    ----------
    layer : Layer, Pool or Linear
        What to compute.
    names : sequence of str
        Some of `PEERS`, installed ones.
    threads : int
        Threads of each engine.
    rounds : int
        How often the engines take turns.
    seconds : float
        Length of a turn; at least three calls.
    options : mapping, optional
        For fastconv: ``algorithm``, ``data_format``, and ``functional`` (calls that pack their
        weights each time; convolutions come without ReLU then).

    Returns
    -------
    dict
        ``ms``, ``max_error`` and ``rms_error`` by engine, ``failed`` with reasons; of fastconv
        ``gflops``, ``percent_of_peak`` and ``gbytes_per_second``; ``peak_gflops`` of all threads;
        ``best_peer`` and ``ratio``, its time over fastconv's (above 1: fastconv is ahead); and what
        was asked for. What could not be found is None.

    Examples
    --------
    >>> from fastconv.benchmarks import layers, peers
    >>> result = peers.measure(layers.Linear("", "fc", (1, 64), 10), [], rounds=1, seconds=0.0)
    >>> result["class"], result["failed"], result["ratio"]
    ('linear', {}, None)
    """
    chosen = dict(options or {})
    asked = problem(layer, relu=not chosen.get("functional"))
    expected = exact(asked)
    failed: dict[str, str] = {}

    def valid(name: str, answer: dict[str, Any]) -> bool:
        if "error" in answer:
            failed[name] = answer["error"]
        return name not in failed

    with started(["fastconv", *names], threads, fastconv.show_config()["isa"]) as engines:
        for name, engine in engines.items():
            valid(name, engine.prepare(asked, chosen if name == "fastconv" else None))
        turns: dict[str, list[float]] = {name: [] for name in engines}
        peaks = []
        for number in range(rounds):
            for name in [name for name in turns if name not in failed][:: (1, -1)[number % 2]]:
                answer = engines[name].ask(do="time", seconds=seconds)
                if valid(name, answer):
                    turns[name].append(answer["seconds"])
            peaks.append(timing.fma_peak(threads, PEAK_SECONDS))
        errors = {}
        for name in [name for name in engines if name not in failed]:
            errors[name] = engines[name].deviation(expected)
            valid(name, errors[name])
    ms = {name: 1e3 * statistics.median(turns[name]) for name in turns if name not in failed}
    peak = statistics.median(peaks)
    others = [name for name in ms if name != "fastconv"]
    best = min(others, key=ms.__getitem__, default=None)
    own = ms.get("fastconv")
    gflops = layer.flops / own / 1e6 if own and layer.flops else None
    return {
        "network": layer.network,
        "layer": layer.name,
        "label": layer.label,
        "class": layer.category,
        "input": layer.input,
        "output": layer.output,
        "dtype": "float32",
        "threads": threads,
        "options": chosen,
        "ms": ms,
        "failed": failed,
        "max_error": {name: errors[name]["max"] for name in ms},
        "rms_error": {name: errors[name]["rms"] for name in ms},
        "flops": layer.flops,
        "bytes": traffic(layer),
        "gflops": gflops,
        "peak_gflops": peak,
        "percent_of_peak": 100 * gflops / peak if gflops else None,
        "gbytes_per_second": traffic(layer) / own / 1e6 if own else None,
        "best_peer": best,
        "ratio": ms[best] / own if best and own else None,
    }


def summarize(results: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Sum ratios up by class, and over all layers.

    Parameters
    ----------
    results : iterable of mapping
        What `measure` returns, of one number of threads. Layers without a ratio do not count.

    Returns
    -------
    list of dict
        For each class that has layers, then for ``"all"``: ``class``, ``layers`` (their number),
        ``ratio`` (geometric mean), ``least``, ``behind`` (layers with a ratio below 1).

    Examples
    --------
    >>> from fastconv.benchmarks import peers
    >>> ratios = [("3x3", 1.0), ("3x3", 4.0), ("1x1", 0.5), ("1x1", None)]
    >>> for line in peers.summarize({"class": name, "ratio": ratio} for name, ratio in ratios):
    ...     print(*line.values())
    3x3 2 2.0 1.0 0
    1x1 1 0.5 0.5 1
    all 3 1.2599210498948732 0.5 1
    """
    by_class: dict[str, list[float]] = {name: [] for name in (*CLASSES, "all")}
    for result in results:
        if result["ratio"] is not None:
            by_class[result["class"]].append(result["ratio"])
            by_class["all"].append(result["ratio"])
    return [
        {
            "class": name,
            "layers": len(ratios),
            "ratio": statistics.geometric_mean(ratios),
            "least": min(ratios),
            "behind": sum(ratio < 1 for ratio in ratios),
        }
        for name, ratios in by_class.items()
        if ratios
    ]
