"""Activations in networks: ONNX's operators, spelled-out forms, what becomes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import reference as ref

import fastconv
from fastconv import nn

pytest.importorskip("onnx")

from onnx_nets import Net

ROOT_HALF = 0.7071067811865476
ROOT = 0.7978845608028654


def silu(net: Net, x: str) -> Any:
    return net.add("Mul", net.add("Sigmoid", x), x)


def hardswish(net: Net, x: str) -> Any:
    gate = net.add("Clip", net.add("Add", x, net.const(3)), net.const(0), net.const(6))
    return net.add("Div", net.add("Mul", x, gate), net.const(6))


def hardswish_gate_first(net: Net, x: str) -> Any:
    gate = net.add("Clip", net.add("Add", net.const(3), x), net.const(0), net.const(6))
    return net.add("Mul", x, net.add("Mul", gate, net.const(1 / 6)))


def hardswish_by_hardsigmoid(net: Net, x: str) -> Any:
    return net.add("Mul", x, net.add("HardSigmoid", x, alpha=1 / 6, beta=0.5))


def gelu(net: Net, x: str) -> Any:
    erf = net.add("Erf", net.add("Div", x, net.const(1 / ROOT_HALF)))
    one = net.add("Add", erf, net.const(1))
    return net.add("Mul", net.add("Mul", x, one), net.const(0.5))


def gelu_half_first(net: Net, x: str) -> Any:
    erf = net.add("Erf", net.add("Mul", x, net.const(ROOT_HALF)))
    return net.add("Mul", net.add("Mul", net.const(0.5), x), net.add("Add", net.const(1), erf))


def _gelu_of(net: Net, x: str, inner: str) -> Any:
    one = net.add("Add", net.add("Tanh", inner), net.const(1))
    return net.add("Mul", net.add("Mul", x, net.const(0.5)), one)


def gelu_tanh(net: Net, x: str) -> Any:
    cube = net.add("Mul", net.add("Pow", x, net.const(3)), net.const(0.044715))
    return _gelu_of(net, x, net.add("Mul", net.add("Add", x, cube), net.const(ROOT)))


def gelu_tanh_apart(net: Net, x: str) -> Any:
    square = net.add("Mul", net.add("Mul", net.const(0.044715), x), x)
    rest = net.add("Add", square, net.const(1))
    return _gelu_of(net, x, net.add("Mul", net.add("Mul", x, net.const(ROOT)), rest))


def softplus(net: Net, x: str) -> Any:
    return net.add("Log", net.add("Add", net.add("Exp", x), net.const(1)))


def mish(net: Net, x: str) -> Any:
    return net.add("Mul", x, net.add("Tanh", net.add("Softplus", x)))


def mish_by_logarithm(net: Net, x: str) -> Any:
    return net.add("Mul", net.add("Tanh", softplus(net, x)), x)


def leaky_relu(net: Net, x: str) -> Any:
    return net.add("PRelu", x, net.const([0.01]))


def leaky_relu_by_max(net: Net, x: str) -> Any:
    return net.add("Max", net.add("Mul", x, net.const(0.01)), x)


def operator(name: str, **attributes: Any) -> Callable[[Net, str], Any]:
    def make(net: Net, x: str) -> Any:
        return net.add(name, x, **attributes)

    make.__name__ = f"{name} operator"
    return make


#: a network's part -> the name in the reference of what it computes
FORMS: list[tuple[Callable[[Net, str], Any], str]] = [
    (silu, "silu"),
    (hardswish, "hardswish"),
    (hardswish_gate_first, "hardswish"),
    (hardswish_by_hardsigmoid, "hardswish"),
    (gelu, "gelu"),
    (gelu_half_first, "gelu"),
    (gelu_tanh, "gelu_tanh"),
    (gelu_tanh_apart, "gelu_tanh"),
    (softplus, "softplus"),
    (mish, "mish"),
    (mish_by_logarithm, "mish"),
    (leaky_relu, "leaky_relu"),
    (leaky_relu_by_max, "leaky_relu"),
    (operator("Tanh"), "tanh"),
    (operator("Sigmoid"), "sigmoid"),
    (operator("HardSwish"), "hardswish"),
    (operator("HardSigmoid", alpha=1 / 6, beta=0.5), "hardsigmoid"),
    (operator("Elu"), "elu"),
    (operator("Celu"), "elu"),
    (operator("Selu"), "selu"),
    (operator("Softplus"), "softplus"),
    (operator("Mish"), "mish"),
    (operator("Gelu"), "gelu"),
    (operator("Gelu", approximate="tanh"), "gelu_tanh"),
    (operator("LeakyRelu"), "leaky_relu"),
]


@pytest.mark.parametrize("product", [False, True])
@pytest.mark.parametrize(("make", "name"), FORMS, ids=lambda v: getattr(v, "__name__", v))
def test_found_and_within_the_layer_before(make: Any, name: str, product: bool) -> None:
    """Behind a convolution one step; behind a product of two values found as well."""
    x = np.random.default_rng(0).standard_normal((2, 3, 6, 7)).astype(np.float32) * 3

    def network(activation: Any) -> Any:
        net = Net(opset=20)
        y = net.conv("x", 3, 5, 3)
        y = net.add("Mul", y, net.conv("x", 3, 5, 3)) if product else y
        return net.model([2, 3, 6, 7], activation(net, y))

    model = fastconv.load(network(make))
    before = fastconv.load(network(lambda net, y: y))(x)
    assert len(model._graph.nodes) == (3 if product else 1), model._graph.nodes
    expected = ref.activate(before.astype(np.float64), name)
    np.testing.assert_allclose(model(x), expected, rtol=3e-6, atol=3e-6)
    plain = fastconv.load(network(make), without=["recognize_activations", "fuse_activations"])
    np.testing.assert_allclose(plain(x), expected, rtol=1e-5, atol=1e-5)


def near_misses() -> list[Any]:
    def gelu_of_another(net: Net, x: str) -> Any:
        erf = net.add("Erf", net.add("Mul", x, net.const(0.7)))
        one = net.add("Add", erf, net.const(1))
        return net.add("Mul", net.add("Mul", x, one), net.const(0.5))

    def silu_of_two(net: Net, x: str) -> Any:
        return net.add("Mul", x, net.add("Sigmoid", net.add("Neg", x)))

    def silu_doubled(net: Net, x: str) -> Any:
        return net.add("Mul", net.add("Mul", x, net.const(2)), net.add("Sigmoid", x))

    def softplus_of_two(net: Net, x: str) -> Any:
        return net.add("Log", net.add("Add", net.add("Exp", x), net.const(2)))

    def steep(net: Net, x: str) -> Any:
        return net.add("Max", net.add("Mul", x, net.const(1.5)), x)

    def gate_divides(net: Net, x: str) -> Any:
        return net.add("Div", x, net.add("Sigmoid", x))

    return [gelu_of_another, silu_of_two, silu_doubled, softplus_of_two, steep, gate_divides]


@pytest.mark.parametrize("make", near_misses(), ids=lambda make: make.__name__)
def test_what_only_looks_like_one_is_left_as_it_is(make: Any) -> None:
    net = Net("float64")
    proto = net.model([4, 5], make(net, "x"))
    x = np.random.default_rng(0).standard_normal((4, 5)) * 3
    plain = fastconv.load(proto, without=["recognize_activations"])(x)
    np.testing.assert_allclose(fastconv.load(proto)(x), plain, rtol=1e-14)


def test_thresholds_and_softsign() -> None:
    x = np.array([[-2.0, -0.0, 0.5, 1.0, 1.5]])
    net = Net("float64")
    soft = net.add("Softsign", "x")
    above = net.add("ThresholdedRelu", "x", alpha=1.0)
    celu = net.add("Celu", "x", alpha=0.5)
    swish = net.add("Swish", "x", alpha=2.0)
    net.opset = 24
    found = fastconv.load(net.model([1, 5], soft, above, celu, swish))(x)
    np.testing.assert_allclose(found[0], x / (1 + abs(x)), rtol=1e-15)
    np.testing.assert_array_equal(found[1], [[0, 0, 0, 0, 1.5]])
    np.testing.assert_allclose(
        found[2], np.where(x > 0, x, 0.5 * np.expm1(np.minimum(x, 0) / 0.5)), rtol=1e-14
    )
    np.testing.assert_allclose(found[3], x / (1 + np.exp(-2 * x)), rtol=1e-14)


LAYERS: list[nn.Module] = [nn.ReLU6(), nn.SELU(), nn.GELU(), nn.GELU("tanh"), nn.Mish()]
LAYERS += [nn.Softplus(), nn.SiLU()]
LAYERS += [nn.LeakyReLU(0.2), nn.ELU(0.5), nn.PReLU(5), nn.PReLU(), nn.Hardswish(), nn.Tanh()]


@pytest.mark.parametrize("layer", [*LAYERS, nn.LogSoftmax(1)], ids=str)
def test_layers_compiled(layer: nn.Module) -> None:
    net = nn.Sequential(nn.Conv2d(3, 5, 3, rng=0), layer)
    x = np.random.default_rng(0).standard_normal((2, 3, 6, 7)).astype(np.float32)
    y = fastconv.compile(net, (3, 6, 7))(x)
    np.testing.assert_allclose(y, net(x), rtol=1e-6, atol=1e-6)
