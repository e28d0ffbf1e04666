"""Batches in groups of images: networks that treat images alike, and such that look at several."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastconv
from fastconv import demo
from fastconv.graph import slicing

onnx = pytest.importorskip("onnx")

Nodes = list[tuple[str, list[str], str, dict[str, Any]]]

RNG = np.random.default_rng(3)
CONSTANTS = {
    "w": RNG.standard_normal((4, 3, 3, 3)),
    "w1": RNG.standard_normal((4, 4, 1, 1)),
    "matrix": RNG.standard_normal((100, 5)),
    "bias": RNG.standard_normal((1, 5)),
    "row": RNG.standard_normal((1, 4, 1, 1)),
    "of_each": RNG.standard_normal((7, 4, 1, 1)),
    "of_each_bias": RNG.standard_normal((7, 5)),
}
SHAPES = {"flat": [7, 100], "two": [-1, 100], "keep": [0, 100], "rest": [1, 700], "one": [1]}

CONV: Nodes = [("Conv", ["x", "w"], "c", {"pads": [1, 1, 1, 1]})]
ALONE: dict[str, Nodes] = {
    "convolutions": [*CONV, ("Relu", ["c"], "d", {}), ("Conv", ["d", "w1"], "y", {})],
    "residual": [*CONV, ("Conv", ["c", "w1"], "d", {}), ("Add", ["c", "d"], "y", {})],
    "scales": [*CONV, ("Mul", ["c", "row"], "y", {})],
    "channels": [*CONV, ("Concat", ["c", "c", "x"], "y", {"axis": 1})],
    "pool": [*CONV, ("MaxPool", ["c"], "y", {"kernel_shape": [2, 2]})],
    "mean": [*CONV, ("GlobalAveragePool", ["c"], "y", {})],
    "softmax": [*CONV, ("Softmax", ["c"], "y", {"axis": 1})],
    "shuffle": [*CONV, ("Transpose", ["c"], "y", {"perm": [0, 2, 3, 1]})],
    "matrix": [*CONV, ("Flatten", ["c"], "f", {}), ("Gemm", ["f", "matrix", "bias"], "y", {})],
    "shape": [*CONV, ("Reshape", ["c", "flat"], "f", {}), ("MatMul", ["f", "matrix"], "y", {})],
    "free shape": [*CONV, ("Reshape", ["c", "two"], "y", {})],
    "kept shape": [*CONV, ("Reshape", ["c", "keep"], "y", {})],
    "computed shape": [
        *CONV,
        ("Shape", ["c"], "s", {}),
        ("Gather", ["s", "first"], "n", {}),
        ("Concat", ["n", "rest100"], "wanted", {"axis": 0}),
        ("Reshape", ["c", "wanted"], "y", {}),
    ],
}
TOGETHER: dict[str, Nodes] = {
    "softmax over images": [*CONV, ("Softmax", ["c"], "y", {"axis": 0})],
    "images after each other": [*CONV, ("Concat", ["c", "c"], "y", {"axis": 0})],
    "constant of each image": [*CONV, ("Mul", ["c", "of_each"], "y", {})],
    "bias of each image": [
        *CONV,
        ("Flatten", ["c"], "f", {}),
        ("Gemm", ["f", "matrix", "of_each_bias"], "y", {}),
    ],
    "axes exchanged": [*CONV, ("Transpose", ["c"], "y", {"perm": [1, 0, 2, 3]})],
    "one row": [*CONV, ("Reshape", ["c", "rest"], "y", {})],
    "mean over images": [*CONV, ("ReduceMean", ["c"], "y", {"axes": [0]})],
    "number of images as data": [
        *CONV,
        ("Shape", ["c"], "s", {}),
        ("Gather", ["s", "first"], "n", {}),
        ("Cast", ["n"], "count", {"to": 1}),
        ("Mul", ["c", "count"], "y", {}),
    ],
}


def model_of(nodes: Nodes) -> Any:
    helper = onnx.helper
    made = [helper.make_node(op, reads, [y], **attributes) for op, reads, y, attributes in nodes]
    constants = {k: v.astype(np.float32) for k, v in CONSTANTS.items()}
    constants |= {k: np.array(v, np.int64) for k, v in SHAPES.items()}
    constants |= {"first": np.array([0], np.int64), "rest100": np.array([100], np.int64)}
    used = {name for _, reads, _, _ in nodes for name in reads}
    weights = [onnx.numpy_helper.from_array(v, k) for k, v in constants.items() if k in used]
    port = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [7, 3, 5, 5])
    y = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    graph = helper.make_graph(made, "net", [port], [y], weights)
    opset = [helper.make_opsetid("", 13)]
    return fastconv.load(helper.make_model(graph, opset_imports=opset, ir_version=8))


@pytest.mark.parametrize("name", [*ALONE, *TOGETHER])
def test_groups_give_the_same_bits(name: str, monkeypatch: pytest.MonkeyPatch, isa: str) -> None:
    """Groups of one image each, where steps treat images alike."""
    x = RNG.standard_normal((7, 3, 5, 5)).astype(np.float32)
    whole = model_of({**ALONE, **TOGETHER}[name])(x)
    monkeypatch.setattr(slicing, "group_sizes", lambda costs, batch, least: [1] * len(costs))
    assert model_of({**ALONE, **TOGETHER}[name])(x).tobytes() == whole.tobytes()


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_groups_of_several_images_and_a_rest(threads: int) -> None:
    model = fastconv.compile(demo.network(), demo.INPUT_SHAPE)
    x = demo.to_input(demo.held_out()[0])
    whole = model(x, num_threads=threads)
    alone = [model(image[None], num_threads=threads) for image in x[:40]]
    assert whole[:40].tobytes() == np.concatenate(alone).tobytes()
    reverse = model(x[::-1], num_threads=threads)
    assert reverse[::-1].tobytes() == whole.tobytes()
