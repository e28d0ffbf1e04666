"""One engine in one process, driven by JSON lines: it prepares a layer, times it, saves its output.

`engines` runs this file as a script, ``worker.py ENGINE THREADS``, so that a peer's process never
imports fastconv. A request is one line on the standard input, its answer one line on the output:


==========================================================  =======================================
``{"do": "prepare", "problem": {...}, "options": {...}}``   ``{}``
``{"do": "time", "seconds": 0.1}``                          ``{"seconds": 0.01}``, the median call's
``{"do": "save", "path": "y.npy"}``                         ``{}``; the output as (N, C, H, W)
==========================================================  =======================================

and ``{"error": "..."}`` where that could not be done. A problem has the fields of `Problem`.
Options, for fastconv alone, are ``algorithm``, ``data_format`` and ``functional``.

Every engine is driven as its users drive it. Weights are loaded before the clock runs; ReLU is
fused where the engine fuses; float32 NumPy arrays (N, C, H, W) go in and come out (PyTorch's
channels last keeps its own layout at both ends); output buffers are as the engine hands them out.
What an engine reorders at its edges is part of its time.
"""

from __future__ import annotations

import importlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Pair = tuple[int, int]
Call = Callable[[], Any]

MIN_CALLS = 3


@dataclass(frozen=True)
class Problem:
    """What is computed: ``op`` is "conv", "max", "average" or "linear"; pairs are (down, right).

    Examples
    --------
    >>> from fastconv.benchmarks.worker import Problem
    >>> x, weight, bias = Problem("conv", (1, 2, 5, 5), (3, 2, 3, 3)).arrays()
    >>> x.shape, bias.shape
    ((1, 2, 5, 5), (3,))
    """

    op: str
    input: tuple[int, ...]
    weight: tuple[int, ...] = ()
    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    relu: bool = False

    def arrays(self) -> tuple[Float32, Float32, Float32]:
        """Return input, weight and bias, the same in every process; empty weights in pooling.

        The scale of the weights keeps the output at the scale of the input.
        """
        rng = np.random.default_rng(2015)
        x = rng.standard_normal(self.input, dtype=np.float32)
        if not self.weight:
            return x, np.empty(0, np.float32), np.empty(0, np.float32)
        weight = rng.standard_normal(self.weight, dtype=np.float32)
        weight *= np.float32(np.sqrt(2 / weight[0].size))
        return x, weight, rng.standard_normal(len(weight), dtype=np.float32)


def _onnx_file(problem: Problem, folder: str) -> str:
    """Write a problem as an ONNX model and return its path."""
    onnx: Any = importlib.import_module("onnx")
    helper: Any = importlib.import_module("onnx.helper")
    to_tensor: Any = importlib.import_module("onnx.numpy_helper").from_array
    _, weight, bias = problem.arrays()
    initializers = [to_tensor(weight, "w"), to_tensor(bias, "b")] if problem.weight else []
    window = {
        "kernel_shape": problem.kernel,
        "strides": problem.stride,
        "pads": problem.padding * 2,
    }
    nodes_by_op: dict[str, tuple[str, dict[str, Any]]] = {
        "conv": ("Conv", {**window, "dilations": problem.dilation, "group": problem.groups}),
        "linear": ("Gemm", {"transB": 1}),
        "max": ("MaxPool", window),
        "average": ("AveragePool", {**window, "count_include_pad": 1}),
    }
    kind, attributes = nodes_by_op[problem.op]
    inputs = ["x", *(tensor.name for tensor in initializers)]
    nodes = [helper.make_node(kind, inputs, ["sum" if problem.relu else "y"], **attributes)]
    if problem.relu:
        nodes.append(helper.make_node("Relu", ["sum"], ["y"]))
    x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, problem.input)
    y = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "layer", [x], [y], initializers)
    path = os.path.join(folder, "layer.onnx")
    opsets = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def onnxruntime_session(path: str, threads: int) -> Any:
    """Return a session for an ONNX file."""
    runtime: Any = importlib.import_module("onnxruntime")
    chosen = runtime.SessionOptions()
    chosen.intra_op_num_threads, chosen.inter_op_num_threads = threads, 1
    chosen.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
    chosen.log_severity_level = 3
    return runtime.InferenceSession(path, chosen, providers=["CPUExecutionProvider"])


def _onnxruntime(problem: Problem, threads: int, options: dict[str, Any]) -> Call:
    with tempfile.TemporaryDirectory() as folder:
        session = onnxruntime_session(_onnx_file(problem, folder), threads)
    feed = {"x": problem.arrays()[0]}
    return lambda: session.run(None, feed)[0]


def openvino_request(path: str, threads: int, *inputs: NDArray[Any]) -> Any:
    """Return a request whose inputs are the arrays' own memory: they have to live as long."""
    openvino: Any = importlib.import_module("openvino")
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
    }
    request = openvino.Core().compile_model(path, "CPU", settings).create_infer_request()
    for place, array in enumerate(inputs):
        request.set_input_tensor(place, openvino.Tensor(array, shared_memory=True))
    return request


def _openvino(problem: Problem, threads: int, options: dict[str, Any]) -> Call:
    x = problem.arrays()[0]
    with tempfile.TemporaryDirectory() as folder:
        request = openvino_request(_onnx_file(problem, folder), threads, x)

    def call(borrowed: Any = x) -> Any:
        request.infer()
        return request.get_output_tensor().data

    return call


def _torch(
    problem: Problem, threads: int, options: dict[str, Any], channels_last: bool = False
) -> Call:
    torch: Any = importlib.import_module("torch")
    functional: Any = importlib.import_module("torch.nn.functional")
    torch.set_num_threads(threads)
    tensors = [torch.from_numpy(array) for array in problem.arrays() if array.size]
    if channels_last:
        last = torch.channels_last
        tensors = [t.contiguous(memory_format=last) if t.ndim == 4 else t for t in tensors]
    window = problem.stride, problem.padding
    function, rest = {
        "conv": (functional.conv2d, (*window, problem.dilation, problem.groups)),
        "linear": (functional.linear, ()),
        "max": (functional.max_pool2d, (problem.kernel, *window)),
        "average": (functional.avg_pool2d, (problem.kernel, *window)),
    }[problem.op]

    def call() -> Any:
        with torch.inference_mode():
            y = function(*tensors, *rest)
            return (functional.relu_(y) if problem.relu else y).numpy()

    return call


def _torch_nhwc(problem: Problem, threads: int, options: dict[str, Any]) -> Call:
    return _torch(problem, threads, options, channels_last=True)


def _ncnn_files(problem: Problem, folder: str) -> tuple[str, str]:
    """Write a problem as an ncnn model, whose parameters have numbers for names: its two paths."""
    _, weight, bias = problem.arrays()
    (r, s), (down, right), (top, left) = problem.kernel, problem.stride, problem.padding
    outputs = len(bias)
    if problem.op == "conv":
        grouped = problem.groups > 1
        kind = "ConvolutionDepthWise" if grouped else "Convolution"
        gap_down, gap_right = problem.dilation
        values = {0: outputs, 1: s, 11: r, 2: gap_right, 12: gap_down, 3: right, 13: down, 4: left}
        values |= {14: top, 5: 1, 6: weight.size, 9: int(problem.relu)}
        values |= {7: problem.groups} if grouped else {}
    elif problem.op == "linear":
        kind, values = "InnerProduct", {0: outputs, 1: 1, 2: weight.size}
    else:
        kind, values = "Pooling", {0: int(problem.op == "average"), 1: s, 11: r, 2: right, 12: down}
        values |= {3: left, 13: top, 5: 1, 6: 1}
    extents = problem.input[:0:-1] if len(problem.input) == 4 else problem.input[::-1]
    shape, text = (
        " ".join(f"{number}={value}" for number, value in pairs)
        for pairs in (enumerate(extents), values.items())
    )
    model, weights = os.path.join(folder, "layer.param"), os.path.join(folder, "layer.bin")
    with open(model, "w") as file:
        file.write(f"7767517\n2 2\nInput in 0 1 x {shape}\n{kind} layer 1 1 x y {text}\n")
    with open(weights, "wb") as file:
        if weight.size:
            file.write(np.uint32(0).tobytes() + weight.tobytes() + bias.tobytes())
    return model, weights


def ncnn_net(model: str, weights: str, threads: int) -> Any:
    """Return a network of ncnn's from its two files, float32 throughout."""
    ncnn: Any = importlib.import_module("ncnn")
    net = ncnn.Net()
    net.opt.num_threads = threads
    for name in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(net.opt, f"use_{name}", False)
    if net.load_param(model) or net.load_model(weights):
        raise RuntimeError("the model was refused")
    return net


def _ncnn(problem: Problem, threads: int, options: dict[str, Any]) -> Call:
    ncnn: Any = importlib.import_module("ncnn")
    x = problem.arrays()[0]
    if x.ndim == 4:
        if len(x) != 1:
            raise NotImplementedError("no batches")
        x = x[0]
    with tempfile.TemporaryDirectory() as folder:
        net = ncnn_net(*_ncnn_files(problem, folder), threads)
    matrix = ncnn.Mat(x).clone()

    def call() -> Any:
        extractor = net.create_extractor()
        extractor.input("x", matrix)
        _, y = extractor.extract("y")
        return np.array(y)

    return call


def _fastconv(problem: Problem, threads: int, options: dict[str, Any]) -> Call:
    """A layer object, which packs its weights once, or with "functional" calls that cannot."""
    from fastconv import functional, nn

    x, weight, bias = problem.arrays()
    if options.get("data_format") == "NHWC" and x.ndim == 4:
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    layout: dict[str, Any] = {"data_format": options.get("data_format", "NCHW")}
    window = problem.stride, problem.padding
    if problem.op in ("max", "average"):
        most = problem.op == "max"
        if options.get("functional"):
            slide = functional.max_pool2d if most else functional.avg_pool2d
            return lambda: slide(x, problem.kernel, *window, **layout)
        pool = (nn.MaxPool2d if most else nn.AvgPool2d)(problem.kernel, *window, **layout)
        return lambda: pool(x)
    layer: nn.Conv2d | nn.Linear
    if problem.op == "linear":
        if options.get("functional"):
            return lambda: functional.linear(x, weight, bias)
        layer = nn.Linear(weight.shape[1], len(weight))
    else:
        rest = (*window, problem.dilation, problem.groups)
        more = {**layout, "algorithm": options.get("algorithm")}
        more["activation"] = "relu" if problem.relu else None
        if options.get("functional"):
            return lambda: functional.conv2d(x, weight, bias, *rest, **more)
        layer = nn.Conv2d(problem.input[1], len(weight), problem.kernel, *rest, **more)
    layer.load_state_dict({"weight": weight, "bias": bias})
    return lambda: layer(x)


#: The engines: how each is prepared, and the modules that this takes.
ENGINES: dict[str, tuple[Callable[[Problem, int, dict[str, Any]], Call], tuple[str, ...]]] = {
    "fastconv": (_fastconv, ()),
    "onnxruntime": (_onnxruntime, ("onnxruntime", "onnx")),
    "openvino": (_openvino, ("openvino", "onnx")),
    "torch_nhwc": (_torch_nhwc, ("torch",)),
    "torch": (_torch, ("torch",)),
    "ncnn": (_ncnn, ("ncnn",)),
}


class Worker:
    """What answers the requests: one engine, and the layer that it prepared last.

    Examples
    --------
    >>> from fastconv.benchmarks.worker import Worker
    >>> worker = Worker("fastconv", threads=1)
    >>> problem = {"op": "max", "input": [1, 1, 4, 4], "kernel": [2, 2], "stride": [2, 2]}
    >>> worker.answer({"do": "prepare", "problem": problem, "options": {}})
    {}
    >>> worker.answer({"do": "time", "seconds": 0.0})["seconds"] > 0
    True
    """

    def __init__(self, engine: str, threads: int) -> None:
        self._engine, self._threads = engine, threads
        self._call: Call | None = None
        self._channels_last = False

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what a request says; whatever goes wrong is the answer."""
        try:
            if request["do"] == "prepare":
                return self._prepare(request["problem"], request["options"])
            if self._call is None:
                raise RuntimeError("nothing is prepared")
            if request["do"] == "time":
                return {"seconds": self._time(self._call, request["seconds"])}
            return self._save(self._call, request["path"])
        except Exception as error:  # an engine may raise anything
            return {"error": f"{type(error).__name__}: {error}".splitlines()[0][:200]}

    def _prepare(self, problem: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        self._call = None  # what was prepared before gives its memory back first
        fields: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in problem.items()
        }
        self._channels_last = options.get("data_format") == "NHWC" and len(fields["input"]) == 4
        call = ENGINES[self._engine][0](Problem(**fields), self._threads, options)
        call()
        self._call = call
        return {}

    @staticmethod
    def _time(call: Call, seconds: float) -> float:
        call()
        samples: list[float] = []
        until = time.perf_counter() + seconds
        while len(samples) < MIN_CALLS or time.perf_counter() < until:
            start = time.perf_counter()
            call()
            samples.append(time.perf_counter() - start)
        return statistics.median(samples)

    def _save(self, call: Call, path: str) -> dict[str, Any]:
        y = np.asarray(call())
        np.save(path, y.transpose(0, 3, 1, 2) if self._channels_last else y)
        return {}


def main(kind: type[Worker] = Worker) -> None:
    """Answer requests until the standard input ends."""
    worker = kind(sys.argv[1], int(sys.argv[2]))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what an engine prints is no answer
    for line in sys.stdin:
        print(json.dumps(worker.answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    sys.path.pop(0)  # this folder: an engine must not find its modules by their plain names
    main()
