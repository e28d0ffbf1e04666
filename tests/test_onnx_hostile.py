"""Broken and hostile files: an error of our own, never another, a crash or a wrong answer."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import fastconv
from fastconv.errors import ModelFormatError, UnsupportedOperatorError

onnx = pytest.importorskip("onnx")


def network(**changes: Any) -> Any:
    """Conv, Relu, MaxPool, Flatten, Gemm, Softmax; the convolution's attributes may be changed."""
    helper, to_tensor = onnx.helper, onnx.numpy_helper.from_array
    attributes: dict[str, Any] = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], **changes}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], **attributes),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MaxPool", ["b"], ["c"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["c"], ["d"]),
        helper.make_node("Gemm", ["d", "v"], ["e"], transB=1),
        helper.make_node("Softmax", ["e"], ["y"], axis=1),
    ]
    w = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
    weights = [to_tensor(w, "w"), to_tensor(np.ones((5, 64), np.float32), "v")]
    x, y = (
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("x", [1, 3, 8, 8]), ("y", None))
    )
    graph = helper.make_graph(nodes, "net", [x], [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def test_the_network_itself_loads() -> None:
    assert fastconv.load(network())(np.ones((1, 3, 8, 8), np.float32)).shape == (1, 5)


@pytest.mark.parametrize(
    "changes", [{"kernel_shape": 3}, {"pads": [1.0] * 4}, {"auto_pad": [1]}, {"group": 1.5}]
)
def test_attributes_of_another_type(changes: dict[str, Any]) -> None:
    with pytest.raises(ModelFormatError, match=f"attribute {next(iter(changes))} is to be of type"):
        fastconv.load(network(**changes))


def test_shapes_that_the_file_declares_and_that_do_not_fit() -> None:
    with pytest.raises(ModelFormatError, match="do not fit"):
        fastconv.load(network(pads=[0, 0, 0, 0]))


def test_an_output_without_a_name() -> None:
    model = network()
    model.graph.output[0].name = ""
    with pytest.raises(ModelFormatError, match="written by nothing"):
        fastconv.load(model)


def mutated(content: bytes, source: random.Random) -> bytes:
    """Return the file with a few bytes changed, left out or put in."""
    data = bytearray(content)
    for _ in range(source.choice((1, 1, 2, 3, 8))):
        at, kind = source.randrange(len(data)), source.random()
        if kind < 0.6:
            data[at] = source.randrange(256)
        elif kind < 0.8 and len(data) > 10:
            del data[at : at + source.randrange(1, 6)]
        else:
            data[at:at] = source.randbytes(source.randrange(1, 5))
    return bytes(data)


@pytest.mark.parametrize("seed", range(4))
def test_mutated_files(seed: int) -> None:
    source, content, loaded = random.Random(seed), network().SerializeToString(), 0
    for _ in range(400):
        try:
            model = fastconv.load(mutated(content, source))
        except (ModelFormatError, UnsupportedOperatorError):
            continue
        loaded += 1
        arrays = []
        for port in model.inputs:
            sizes = [size if isinstance(size, int) else 1 for size in port.shape or ()]
            if np.prod(sizes) < 1e6:
                arrays.append(np.ones(sizes, port.dtype))
        try:
            model(*arrays)
        except (ValueError, TypeError, UnsupportedOperatorError):
            continue
    assert loaded > 0
