"""Whole networks beside every installed runtime: fastconv, ONNX Runtime, OpenVINO, ncnn.

As `peers` does it for layers: fresh processes that take turns in short rounds, medians, the FMA
peak in the same rounds. All get the same file, the shapes of its inputs fixed. Outputs are compared
with fastconv's; an engine that cannot run the network, or computes something else, takes no part.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastconv

from . import timing
from .engines import Engine, started
from .network_worker import ENGINES

SCRIPT = Path(__file__).with_name("network_worker.py")
PEERS = tuple(name for name in ENGINES if name != "fastconv")
ROUNDS = 7
SECONDS = 0.1
PEAK_SECONDS = 0.02

#: Largest difference between two float32 evaluations of a deep network, as a share of the largest
#: output. Scores behind a softmax differ by less; a wrong operator shows as 0.1 or more.
TOLERANCE = 1e-2


def fixed(path: str, shapes: Sequence[Sequence[int]], target: str) -> list[tuple[str, Any, str]]:
    """Write a copy of an ONNX file whose inputs have fixed shapes.

    Parameters
    ----------
    path : str
        The file.
    shapes : sequence of shapes
        One for each input; what is left out is what the file declares, free batches being 1.
    target : str
        Where the copy goes.

    Returns
    -------
    list of tuple
        Name, shape and dtype of each input.

    Raises
    ------
    ShapeError
        If sizes are free and not given.

    Examples
    --------
    >>> import os, tempfile, onnx
    >>> from onnx import TensorProto, helper
    >>> from fastconv.benchmarks import networks
    >>> x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [None, 3]) for n in "xy")
    >>> graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "net", [x], [y])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "net.onnx")
    ...     onnx.save(helper.make_model(graph), path)
    ...     networks.fixed(path, [(2, 3)], path)
    [('x', (2, 3), 'float32')]
    """
    import onnx

    ports = fastconv.load(path).inputs
    inputs = []
    for place, port in enumerate(ports):
        shape = tuple(shapes[place]) if place < len(shapes) else port.example_shape()
        inputs.append((port.name, shape, str(port.dtype)))
    proto = onnx.load(path)
    by_name = {value.name: value for value in proto.graph.input}
    for name, shape, _ in inputs:
        declared = by_name[name].type.tensor_type
        declared.ClearField("shape")
        for size in shape:
            declared.shape.dim.add().dim_value = size
    for value in proto.graph.output:  # they were for other inputs
        for axis in value.type.tensor_type.shape.dim:
            axis.Clear()
    proto.graph.ClearField("value_info")
    onnx.save(proto, target)
    return inputs


def measure(
    path: str | os.PathLike[str],
    names: Sequence[str],
    *,
    shapes: Sequence[Sequence[int]] = (),
    threads: int = 1,
    rounds: int = ROUNDS,
    seconds: float = SECONDS,
    after_round: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """Run a network with fastconv and with peers, in fresh processes and alternating rounds.

    Parameters
    ----------
    path : path
        An ONNX file.
    names : sequence of str
        Some of `PEERS`, installed ones.
    shapes : sequence of shapes, optional
        Of the inputs, see `fixed`.
    threads : int
        Threads of each engine.
    rounds : int
        How often the engines take turns.
    seconds : float
        Length of a turn; at least three calls.
    after_round : callable, optional
        Called after each round, for a progress bar.

    Returns
    -------
    dict
        ``ms`` and ``difference`` (the largest from fastconv's outputs, as a share of the largest
        value) by engine, ``failed`` with reasons; of fastconv ``gflops`` and ``percent_of_peak``;
        ``peak_gflops`` of all threads; ``best_peer`` and ``ratio``, its time over fastconv's (above
        1: fastconv is ahead); and what was asked for. What could not be found is None.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "net.onnx")
        inputs = fixed(os.fspath(path), shapes, file)
        flops = fastconv.load(file).summary().total.mflop * 1e6
        isa = fastconv.show_config()["isa"]
        with started(["fastconv", *names], threads, isa, SCRIPT) as engines:
            race = _race(engines, {"path": file, "inputs": inputs}, rounds, seconds, after_round)
    failed, turns, peak, differences = race
    ms = {name: 1e3 * statistics.median(turns[name]) for name in turns if name not in failed}
    best = min((name for name in ms if name != "fastconv"), key=ms.__getitem__, default=None)
    own = ms.get("fastconv")
    gflops = flops / own / 1e6 if own else None
    return {
        "network": Path(path).name,
        "layer": Path(path).name,
        "inputs": [list(shape) for _, shape, _ in inputs],
        "dtype": "float32",
        "threads": threads,
        "ms": ms,
        "failed": failed,
        "difference": differences,
        "flops": flops,
        "gflops": gflops,
        "peak_gflops": peak,
        "percent_of_peak": 100 * gflops / peak if gflops else None,
        "best_peer": best,
        "ratio": ms[best] / own if best and own else None,
    }


def _race(
    engines: Mapping[str, Engine],
    problem: dict[str, Any],
    rounds: int,
    seconds: float,
    after_round: Callable[[], None] | None,
) -> tuple[dict[str, str], dict[str, list[float]], float, dict[str, float]]:
    """Prepare, compare, and take turns -> failures, times, FMA peak, differences."""
    failed: dict[str, str] = {}
    differences: dict[str, float] = {}
    first: list[NDArray[Any]] = []
    for name, engine in engines.items():
        answer = engine.ask(do="prepare", problem=problem, options={})
        outputs = [] if "error" in answer else _outputs(engine, answer)
        if "error" in answer:
            failed[name] = answer["error"]
        elif name == "fastconv":
            first = outputs
        elif first:
            differences[name] = _difference(outputs, first)
            if not differences[name] <= TOLERANCE:
                failed[name] = (
                    f"another answer: off by {differences[name]:.1e} of the largest value"
                )
    turns: dict[str, list[float]] = {name: [] for name in engines}
    peaks = []
    threads = next(iter(engines.values())).threads
    for number in range(rounds):
        for name in [name for name in turns if name not in failed][:: (1, -1)[number % 2]]:
            answer = engines[name].ask(do="time", seconds=seconds)
            if "error" in answer:
                failed[name] = answer["error"]
            else:
                turns[name].append(answer["seconds"])
        peaks.append(timing.fma_peak(threads, PEAK_SECONDS))
        if after_round is not None:
            after_round()
    return failed, turns, statistics.median(peaks), differences


def _outputs(engine: Engine, answer: dict[str, Any]) -> list[NDArray[Any]]:
    """Fetch an engine's outputs; `answer` receives the error if there is one."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "y.npz")
        answer |= engine.ask(do="save", path=path)
        if "error" in answer:
            return []
        with np.load(path) as file:
            return [file[name] for name in file.files]


def _difference(outputs: Sequence[NDArray[Any]], others: Sequence[NDArray[Any]]) -> float:
    """Largest difference as a share of the largest value; infinite where sizes differ."""
    if [y.size for y in outputs] != [y.size for y in others]:
        return float("inf")
    found = [0.0]
    for y, other in zip(outputs, others, strict=True):
        difference = np.abs(np.subtract(y.reshape(other.shape), other, dtype=np.float64))
        scale = max(float(np.abs(other).max(initial=0)), 1e-30)
        found.append(float(difference.max(initial=0)) / scale)
    return float(np.max(found))
