"""Like `worker`, of whole networks: a problem has the fields of `Network`.

Outputs are saved as an .npz file, in the order of the graph's outputs.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING or __package__:
    from . import worker
else:  # run as a script, in whose process a peer must not find fastconv
    import worker


@dataclass(frozen=True)
class Network:
    """An ONNX file, and name, shape and dtype of each of its inputs.

    Examples
    --------
    >>> from fastconv.benchmarks.network_worker import Network
    >>> Network("net.onnx", [("x", [1, 3], "float32"), ("n", [2], "int64")]).feeds()["n"]
    array([...])
    """

    path: str
    inputs: list[tuple[str, list[int], str]]

    def feeds(self) -> dict[str, NDArray[Any]]:
        """Return arrays for the inputs, the same in every process; integers are 0 or 1."""
        rng = np.random.default_rng(2015)
        return {
            name: (
                rng.integers(0, 2, shape) if "int" in kind else rng.standard_normal(shape)
            ).astype(kind)
            for name, shape, kind in self.inputs
        }


def _onnxruntime_network(network: Network, threads: int) -> worker.Call:
    session, feeds = worker.onnxruntime_session(network.path, threads), network.feeds()
    return lambda: session.run(None, feeds)


def _openvino_network(network: Network, threads: int) -> worker.Call:
    arrays = list(network.feeds().values())
    request = worker.openvino_request(network.path, threads, *arrays)
    count = len(request.results)

    def call(borrowed: Any = arrays) -> Any:
        request.infer()
        return [request.get_output_tensor(place).data for place in range(count)]

    return call


def _ncnn_network(network: Network, threads: int) -> worker.Call:
    """Convert by pnnx, which calls inputs in0, in1, ... and outputs out0, ..."""
    feeds = list(network.feeds().values())
    if any(array.shape[:1] != (1,) for array in feeds):
        raise NotImplementedError("no batches")
    with tempfile.TemporaryDirectory() as folder:
        base = os.path.join(folder, "net")
        shapes = ",".join(f"[{','.join(map(str, array.shape))}]" for array in feeds)
        words = [f"inputshape={shapes}", "fp16=0", f"ncnnparam={base}.param", f"ncnnbin={base}.bin"]
        words += [f"{kind}={base}.{kind}" for kind in ("pnnxparam", "pnnxbin", "pnnxpy", "ncnnpy")]
        words += [f"pnnxonnx={base}.onnx"]
        quiet = subprocess.DEVNULL
        subprocess.run(["pnnx", network.path, *words], cwd=folder, stdout=quiet, stderr=quiet)
        net = worker.ncnn_net(f"{base}.param", f"{base}.bin", threads)
    ncnn: Any = importlib.import_module("ncnn")
    matrices = [ncnn.Mat(array[0]).clone() for array in feeds]
    outputs = net.output_names()

    def call() -> Any:
        extractor = net.create_extractor()
        for place, matrix in enumerate(matrices):
            extractor.input(f"in{place}", matrix)
        return [np.array(extractor.extract(name)[1]) for name in outputs]

    return call


def _fastconv_network(network: Network, threads: int) -> worker.Call:
    import fastconv

    model, feeds = fastconv.load(network.path), list(network.feeds().values())
    outputs = len(model.outputs)
    return lambda: model(*feeds) if outputs > 1 else [model(*feeds)]


#: Those that run whole networks: how each is prepared, and the modules that this takes.
ENGINES: dict[str, tuple[Callable[[Network, int], worker.Call], tuple[str, ...]]] = {
    "fastconv": (_fastconv_network, ()),
    "onnxruntime": (_onnxruntime_network, ("onnxruntime", "onnx")),
    "openvino": (_openvino_network, ("openvino", "onnx")),
    "ncnn": (_ncnn_network, ("ncnn", "pnnx", "onnx")),
}


class NetworkWorker(worker.Worker):
    """What answers the requests about networks.

    Examples
    --------
    >>> import os, tempfile, fastconv
    >>> from fastconv.benchmarks.network_worker import NetworkWorker
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "net")
    ...     fastconv.compile(fastconv.nn.ReLU(), (3,)).save(path)
    ...     problem = {"path": path, "inputs": [["input", [3], "float32"]]}
    ...     NetworkWorker("fastconv", 1).answer(
    ...         {"do": "prepare", "problem": problem, "options": {}}
    ...     )
    {}
    """

    def _prepare(self, problem: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        self._call = None
        call = ENGINES[self._engine][0](Network(**problem), self._threads)
        call()
        self._call = call
        return {}

    def _save(self, call: worker.Call, path: str) -> dict[str, Any]:
        np.savez(path, *call())
        return {}


if __name__ == "__main__":
    sys.path.pop(0)
    worker.main(NetworkWorker)
