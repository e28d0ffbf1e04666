"""Small ONNX networks for tests, with seeded weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ONNX_DTYPES = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE}


class Net:
    """A network in the making: `add` returns the name of what a node writes."""

    def __init__(self, dtype: str = "float32", opset: int = 17, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.dtype, self.opset = dtype, opset
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self.count = 0

    def name(self) -> str:
        self.count += 1
        return f"v{self.count}"

    def add(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        names = [self.name() for _ in range(outputs)]
        self.nodes.append(
            helper.make_node(op, inputs, names, name=f"{op}_{names[0]}", **attributes)
        )
        return names[0] if outputs == 1 else names

    def const(self, value: Any, dtype: Any = None) -> str:
        name = self.name()
        array = np.asarray(value, self.dtype if dtype is None else dtype)
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def ints(self, *values: int) -> str:
        return self.const(values, np.int64)

    def random(self, *shape: int, low: float = -1, high: float = 1) -> str:
        return self.const(self.rng.uniform(low, high, shape))

    def conv(self, x: str, c: int, k: int, r: int, bias: bool = True, **attributes: Any) -> str:
        groups = attributes.get("group", 1)
        reach = float(np.sqrt(3 / (c // groups * r * r)))  # keeps values of about the same size
        weight = self.random(k, c // groups, r, r, low=-reach, high=reach)
        return str(self.add("Conv", x, weight, *([self.random(k)] if bias else []), **attributes))

    def batch_norm(self, x: str, c: int) -> str:
        scale, shift, mean = self.random(c), self.random(c), self.random(c)
        variance = self.random(c, low=0.5, high=2)
        return str(self.add("BatchNormalization", x, scale, shift, mean, variance))

    def model(self, shape: list[Any], *outputs: str) -> onnx.ModelProto:
        kind = ONNX_DTYPES[self.dtype]
        x = helper.make_tensor_value_info("x", kind, shape)
        ys = [helper.make_tensor_value_info(name, kind, None) for name in outputs]
        graph = helper.make_graph(self.nodes, "net", [x], ys, self.weights)
        opsets = [helper.make_opsetid("", self.opset)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def residual(dtype: str = "float32") -> onnx.ModelProto:
    """Residual blocks: batch norms, Add, Relu, a concat of branches, pools, Gemm, Softmax."""
    net = Net(dtype)
    x = net.add("Relu", net.batch_norm(net.conv("x", 3, 20, 3, pads=[1] * 4, strides=[2, 2]), 20))
    y = net.add("Relu", net.batch_norm(net.conv(x, 20, 20, 3, bias=False, pads=[1] * 4), 20))
    y = net.batch_norm(net.conv(y, 20, 20, 1), 20)
    x = net.add("Relu", net.add("Add", x, y))
    left = net.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    right = net.conv(x, 20, 12, 3, strides=[2, 2], auto_pad="SAME_UPPER")
    x = net.add("Concat", left, right, axis=1)
    x = net.add("Concat", x, net.conv(x, 32, 7, 1), axis=1)
    x = net.add("Mul", net.batch_norm(x, 39), net.random(39, 1, 1))
    x = net.add("Flatten", net.add("GlobalAveragePool", x))
    x = net.add("Gemm", x, net.random(10, 39, low=-0.2, high=0.2), net.random(10), transB=1)
    return net.model([None, 3, None, None], net.add("Softmax", x, axis=1))


def mobile(dtype: str = "float32") -> onnx.ModelProto:
    """Depthwise convolutions, activations spelled out, squeeze and excitation, explicit padding."""
    net = Net(dtype, seed=1)
    pads = net.ints(0, 0, 1, 0, 0, 0, 1, 2)
    x = net.conv(net.add("Pad", "x", pads), 3, 16, 3)
    x = net.add("Clip", net.add("Mul", x, net.random(1, 16, 1, 1)), net.const(0), net.const(6))
    y = net.conv(x, 16, 16, 3, group=16, pads=[1] * 4)
    gate = net.add("Clip", net.add("Add", y, net.const(3)), net.const(0), net.const(6))
    y = net.add("Div", net.add("Mul", y, gate), net.const(6))
    squeezed = net.add("ReduceMean", y, axes=[2, 3], keepdims=1)
    gate = net.add("Sigmoid", net.conv(net.add("Relu", net.conv(squeezed, 16, 4, 1)), 4, 16, 1))
    y = net.add("Sub", net.add("Mul", y, gate), net.random(16, 1, 1))
    z = net.conv(y, 16, 16, 1)
    z = net.add("Mul", z, net.add("Sigmoid", z))
    x = net.add("Add", x, z)
    y = net.add("AveragePool", net.add("Pad", x, net.ints(0, 0, 1, 1, 0, 0, 1, 1)),
                kernel_shape=[2, 2])  # fmt: skip
    return net.model([None, 3, None, None], y, net.add("LeakyRelu", y, alpha=0.2))


def shuffle(dtype: str = "float32") -> onnx.ModelProto:
    """Groups, channel shuffles by shape arithmetic, splits, slices, transposes, products."""
    net = Net(dtype, seed=2)
    x = net.conv("x", 4, 12, 3, group=2, pads=[1] * 4)
    shape = net.add("Shape", x)
    n, h, w = (net.add("Gather", shape, net.ints(i)) for i in (0, 2, 3))
    parts = net.add("Concat", n, net.ints(3, 4), h, w, axis=0)
    y = net.add("Transpose", net.add("Reshape", x, parts), perm=[0, 2, 1, 3, 4])
    y = net.add("Reshape", y, net.add("Concat", n, net.ints(12), h, w, axis=0))
    left, right = net.add("Split", y, outputs=2, axis=1)
    y = net.add("Concat", right, net.add("Max", left, net.const(0)), x, axis=1)
    y = net.add(
        "Slice", y, net.ints(1, -1), net.ints(2**60, -(2**60)), net.ints(1, 3), net.ints(2, -1)
    )
    y = net.add("Transpose", y, perm=[0, 2, 3, 1])
    y = net.add("Add", net.add("MatMul", y, net.random(12, 5)), net.random(5))
    z = net.add("MatMul", y, net.add("Transpose", y, perm=[0, 1, 3, 2]))
    z = net.add("Softmax", z, axis=-1)
    top = net.add("ReduceMax", z, axes=[1], keepdims=0)
    return net.model([None, 4, None, None], z, net.add("Sqrt", net.add("Abs", top)))


def decoder(dtype: str = "float32") -> onnx.ModelProto:
    """Transposed convolutions with batch norms, resizing, instance normalization."""
    net = Net(dtype, seed=3)
    x = net.conv("x", 3, 12, 3, strides=[2, 2])
    low, high = net.random(12, 7, 3, 2, low=-0.2, high=0.2), net.random(7)
    y = net.add("ConvTranspose", x, low, high, strides=[2, 2], pads=[1, 0, 0, 1])
    y = net.add("Relu", net.batch_norm(y, 7))
    # attributes are float32 in the file: numbers that are exact
    y = net.add("InstanceNormalization", y, net.random(7), net.random(7), epsilon=2.0**-16)
    scales = net.const([1, 1, 2, 3], np.float32)
    near = net.add("Resize", x, "", scales, mode="nearest", nearest_mode="floor",
                   coordinate_transformation_mode="asymmetric")  # fmt: skip
    smooth = net.add("Resize", y, "", net.const([1, 1, 1.5, 0.7], np.float32), mode="linear")
    return net.model([None, 3, None, None], y, near, net.add("HardSigmoid", smooth, alpha=0.25))


NETS = {"residual": residual, "mobile": mobile, "shuffle": shuffle, "decoder": decoder}
CHANNELS = {"residual": 3, "mobile": 3, "shuffle": 4, "decoder": 3}
