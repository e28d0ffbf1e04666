"""MaxUnpool and Col2Im over three axes, beside the definition of ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastconv
from fastconv.errors import ModelFormatError, ShapeError

onnx = pytest.importorskip("onnx")
reference = pytest.importorskip("onnx.reference")

RNG = np.random.default_rng(11)


def model_of(op: str, inputs: dict[str, Any], constants: dict[str, Any], **attributes: Any) -> Any:
    helper = onnx.helper
    codes = {k: helper.np_dtype_to_tensor_dtype(v.dtype) for k, v in inputs.items()}
    node = helper.make_node(op, [*inputs, *constants], ["y"], **attributes)
    ports = [helper.make_tensor_value_info(k, codes[k], v.shape) for k, v in inputs.items()]
    first = next(iter(codes.values()))
    y = helper.make_tensor_value_info("y", first, None)
    weights = [
        onnx.numpy_helper.from_array(np.asarray(v, np.int64), k) for k, v in constants.items()
    ]
    graph = helper.make_graph([node], "net", ports, [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)


def check(op: str, inputs: dict[str, Any], constants: dict[str, Any], **attributes: Any) -> Any:
    proto = model_of(op, inputs, constants, **attributes)
    (wanted,) = reference.ReferenceEvaluator(proto).run(None, inputs)
    model = fastconv.load(proto)
    for threads in (1, 3):
        found = model(*inputs.values(), num_threads=threads)
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
        assert found.dtype == wanted.dtype
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8"])
@pytest.mark.parametrize("output_shape", [None, (2, 3, 7, 9)])
def test_max_unpool(dtype: str, output_shape: Any) -> None:
    x = (100 * RNG.standard_normal((2, 3, 3, 4))).astype(dtype)
    places = RNG.permutation(2 * 3 * 6 * 8)[: x.size].reshape(x.shape)
    constants = {} if output_shape is None else {"shape": output_shape}
    found = check(
        "MaxUnpool", {"x": x, "i": places}, constants, kernel_shape=[2, 2], strides=[2, 2]
    )
    assert found.shape == (output_shape or (2, 3, 6, 8))
    assert np.count_nonzero(found) == np.count_nonzero(x)


@pytest.mark.parametrize(("kernel", "stride", "pads"), [(2, 2, 0), (3, 2, 1), (3, 3, 0)])
def test_what_max_pool_found(kernel: int, stride: int, pads: int) -> None:
    helper = onnx.helper
    window = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [pads] * 4}
    nodes = [
        helper.make_node("MaxPool", ["x"], ["m", "i"], **window),
        helper.make_node("MaxUnpool", ["m", "i"], ["y"], **window),
    ]
    side = (4 - 1) * stride - 2 * pads + kernel
    x = RNG.standard_normal((2, 5, side, side)).astype(np.float32)
    x_port, y_port = (helper.make_tensor_value_info(n, 1, x.shape) for n in "xy")
    graph = helper.make_graph(nodes, "net", [x_port], [y_port])
    opset = [helper.make_opsetid("", 22)]
    y = fastconv.load(helper.make_model(graph, opset_imports=opset, ir_version=10))(x)
    maxima, indices = fastconv.max_pool2d(x, kernel, stride, pads, return_indices=True)
    wanted = fastconv.max_unpool2d(maxima, indices, kernel, stride, pads)
    np.testing.assert_array_equal(y, wanted)


@pytest.mark.parametrize("wrong", [-1, 64, 2**62])
def test_indices_outside(wrong: int) -> None:
    x, places = np.ones((1, 1, 4, 4), np.float32), np.arange(16).reshape(1, 1, 4, 4)
    proto = model_of("MaxUnpool", {"x": x, "i": places}, {}, kernel_shape=[2, 2], strides=[2, 2])
    model = fastconv.load(proto)
    places[0, 0, 2, 1] = wrong
    with pytest.raises(ValueError, match="index lies outside"):
        model(x, places)
    places[0, 0, 2, 1] = 63
    assert model(x, places).sum() == 16


def test_shapes_that_do_not_fit() -> None:
    x, places = np.ones((1, 1, 4, 4), np.float32), np.arange(16).reshape(1, 1, 4, 4)
    window = {"kernel_shape": [2, 2], "strides": [2, 2]}
    inputs = {"x": x, "i": places}
    with pytest.raises(ModelFormatError, match="output_shape"):
        fastconv.load(model_of("MaxUnpool", inputs, {"shape": [1, 1, 8, 7]}, **window))
    with pytest.raises(ModelFormatError, match=r"1x1x-4x-4"):
        fastconv.load(model_of("MaxUnpool", inputs, {}, **window, pads=[6] * 4))
    model = fastconv.load(model_of("MaxUnpool", inputs, {}, **window))
    with pytest.raises(ShapeError, match="indices"):
        model(x, places[:, :, :2])


GEOMETRIES: list[dict[str, list[int]]] = [
    {},
    {"strides": [2, 1, 3]},
    {"dilations": [1, 2, 1], "pads": [1, 0, 2, 0, 1, 1]},
]


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_columns_over_three_axes(geometry: dict[str, list[int]]) -> None:
    size, kernel = (5, 6, 7), (2, 3, 2)
    steps, spread = geometry.get("strides", [1] * 3), geometry.get("dilations", [1] * 3)
    pads = geometry.get("pads", [0] * 6)
    outputs = [
        (size[a] + pads[a] + pads[3 + a] - spread[a] * (kernel[a] - 1) - 1) // steps[a] + 1
        for a in range(3)
    ]
    columns = RNG.standard_normal((2, 3 * 12, int(np.prod(outputs)))).astype(np.float32)
    proto = model_of("Col2Im", {"x": columns}, {"size": size, "kernel": kernel}, **geometry)
    wanted = np.zeros((2, 3, *(s + pads[a] + pads[3 + a] for a, s in enumerate(size))))
    by_tap = columns.reshape(2, 3, *kernel, *outputs)
    for tap in np.ndindex(*kernel):
        for place in np.ndindex(*outputs):
            at: Any = tuple(
                p * s + t * d for p, s, t, d in zip(place, steps, tap, spread, strict=True)
            )
            wanted[(..., *at)] += by_tap[(slice(None), slice(None), *tap, *place)]
    inner: Any = tuple(slice(pads[a], pads[a] + s) for a, s in enumerate(size))
    np.testing.assert_allclose(fastconv.load(proto)(columns), wanted[(..., *inner)], atol=1e-5)
