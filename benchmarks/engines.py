"""fastconv and its peers as processes that compute layers, and the exact answers."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastconv

from . import baseline, timing
from .layers import AnyLayer, Layer, Linear, pair
from .worker import ENGINES, Problem

SCRIPT = Path(__file__).with_name("worker.py")
PEERS = tuple(name for name in ENGINES if name != "fastconv")
FUNCTIONAL_PEERS = ("torch_nhwc", "torch")  # those that have calls beside layers and models

PATIENCE = 300  # seconds after which an engine that does not answer is ended

#: Largest |y - exact| / max |exact| of a right answer in float32. The longest sums (25088 random
#: terms) err by 1e-6; bfloat16 or TF32 products err by 1e-3.
TOLERANCE = 5e-5

#: What holds peers to an instruction set; ONNX Runtime and ncnn choose for themselves.
HELD = {"avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}}


def installed(
    names: Sequence[str] = PEERS, engines: Mapping[str, tuple[Any, tuple[str, ...]]] = ENGINES
) -> tuple[list[str], dict[str, str]]:
    """Divide peers into those that can be measured here and those that cannot, and why.

    Parameters
    ----------
    names : sequence of str
        Some of `PEERS`.
    engines : mapping
        `worker.ENGINES`, or those of `network_worker`.

    Returns
    -------
    list of str, dict
        Names of what is installed; for each of the others what is missing.

    Raises
    ------
    ValueError
        If a name is none of `PEERS`.

    Examples
    --------
    >>> from fastconv.benchmarks import engines
    >>> there, missing = engines.installed()
    >>> sorted([*there, *missing]) == sorted(engines.PEERS)
    True
    """
    there, missing = [], {}
    for name in names:
        if name not in engines or name == "fastconv":
            known = ", ".join(other for other in engines if other != "fastconv")
            raise ValueError(f"peers: expected some of {known}; got {name!r}")
        modules = engines[name][1]
        absent = [module for module in modules if importlib.util.find_spec(module) is None]
        if absent:
            missing[name] = f"not installed: {', '.join(absent)}"
        else:
            there.append(name)
    return there, missing


def versions(names: Sequence[str]) -> dict[str, str]:
    """Return the versions of installed peers, as far as their distributions have their names.

    Examples
    --------
    >>> from fastconv.benchmarks import engines
    >>> engines.versions([])
    {}
    """
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(ENGINES[name][1][0])
        except importlib.metadata.PackageNotFoundError:
            found[name] = "of unknown version"
    return found


def problem(layer: AnyLayer, *, relu: bool = True) -> Problem:
    """Say what a layer computes in the words of `worker`; convolutions with ReLU or without.

    Examples
    --------
    >>> from fastconv.benchmarks import engines, layers
    >>> engines.problem(layers.Pool("", "pool", (1, 8, 6, 6), (3, 3), padding=1)).stride
    (3, 3)
    """
    if isinstance(layer, Linear):
        return Problem("linear", layer.input, layer.weight)
    if isinstance(layer, Layer):
        return Problem(
            "conv",
            layer.input,
            layer.weight,
            layer.kernel,
            pair(layer.stride),
            pair(layer.padding),
            pair(layer.dilation),
            layer.groups,
            relu,
        )
    return Problem(layer.pool, layer.input, (), layer.kernel, pair(layer.step), pair(layer.padding))


def exact(asked: Problem) -> NDArray[np.float64]:
    """Compute a problem in float64 with NumPy alone.

    Examples
    --------
    >>> from fastconv.benchmarks import engines
    >>> engines.exact(engines.Problem("average", (1, 1, 4, 4), (), (2, 2), (2, 2))).shape
    (1, 1, 2, 2)
    """
    x, weight, bias = (array.astype(np.float64) for array in asked.arrays())
    if asked.op == "linear":
        return baseline.linear(x, weight, bias)
    if asked.op == "conv":
        sliding = asked.stride, asked.padding, asked.dilation, asked.groups
        y = baseline.conv2d_blocked(x, weight, bias, *sliding)
        return baseline.relu(y) if asked.relu else y
    pool = baseline.max_pool2d if asked.op == "max" else baseline.avg_pool2d
    return pool(x, asked.kernel, asked.stride, asked.padding)


class Engine:
    """A process that runs `worker` with one engine. What it cannot do comes back as an error.

    Parameters
    ----------
    name : str
        One of `worker.ENGINES`.
    threads : int
        Threads that it may use.
    isa : str, optional
        Instruction set that fastconv is forced to, and peers are held to as far as they let one.
    script : path, optional
        What it runs: `worker` by default.

    Examples
    --------
    >>> from fastconv.benchmarks import engines
    >>> with engines.Engine("fastconv", threads=1) as engine:
    ...     engine.ask(do="time", seconds=0.0)
    {'error': 'RuntimeError: nothing is prepared'}
    """

    def __init__(
        self, name: str, threads: int, isa: str | None = None, script: Path | None = None
    ) -> None:
        self.threads = threads
        variables = dict.fromkeys((*timing.ENVIRONMENT, "FASTCONV_NUM_THREADS"), str(threads))
        if isa is not None:
            variables |= {"FASTCONV_ISA": isa, **HELD.get(isa, {})}
        folders = [str(Path(fastconv.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        variables["PYTHONPATH"] = os.pathsep.join(filter(None, folders))
        self._complaints = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, str(script or SCRIPT), name, str(threads)],
            env={**os.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request of `worker` and return its answer."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        clock = threading.Timer(PATIENCE, process.kill)
        clock.start()
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            line = ""
        finally:
            clock.cancel()
        if not line:
            return {"error": self._last_words()}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def prepare(self, asked: Problem, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Have it prepare a problem; the options are those of `worker`."""
        return self.ask(
            do="prepare", problem=dataclasses.asdict(asked), options=dict(options or {})
        )

    def deviation(self, expected: NDArray[np.float64]) -> dict[str, Any]:
        """Compare the output of what it prepared with the exact one.

        Returns
        -------
        dict
            ``max``, the largest error as a share of the largest exact value, and ``rms``, the root
            mean square of the error as a share of the output's; or ``error``, what went wrong: an
            output that is wrong, too.
        """
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "y.npy")
            answer = self.ask(do="save", path=path)
            if "error" in answer:
                return answer
            y = np.load(path)
        if y.size != expected.size:
            return {"error": f"wrong: shape {y.shape}, expected {expected.shape}"}
        difference = y.reshape(expected.shape) - expected  # ncnn has no axis for the batch
        largest = float(np.abs(difference).max() / np.abs(expected).max())
        if not largest <= TOLERANCE:
            return {"error": f"wrong: off by {largest:.1e} of the largest value"}
        return {
            "max": largest,
            "rms": float(np.sqrt(np.mean(difference**2) / np.mean(expected**2))),
        }

    def _last_words(self) -> str:
        status = self._process.wait()
        self._complaints.seek(0)
        lines = self._complaints.read().strip().splitlines()
        return f"the process ended with {status}" + (f": {lines[-1][:200]}" if lines else "")

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._complaints.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()


@contextlib.contextmanager
def started(
    names: Sequence[str], threads: int, isa: str | None = None, script: Path | None = None
) -> Iterator[dict[str, Engine]]:
    """Start one process an engine, and end them all at the end."""
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(Engine(name, threads, isa, script)) for name in names}
