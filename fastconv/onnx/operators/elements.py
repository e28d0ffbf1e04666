"""Functions of elements: activations, arithmetic, comparisons, casts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...graph.check import STORED
from ..importer import Importer, Unsupported, operator
from ..reader import DTYPES, NAMES


def _activation(name: str) -> Callable[..., str]:
    def function(g: Importer, x: str) -> str:
        return g.add("activation", [x], name=name)

    return function


def _legacy_unary(name: str) -> Callable[..., str]:
    def function(g: Importer, x: str, *, consumed_inputs: Sequence[int] | None = None) -> str:
        return g.add("unary", [x], function=name)

    return function


def _legacy_activation(name: str) -> Callable[..., str]:
    def function(g: Importer, x: str, *, consumed_inputs: Sequence[int] | None = None) -> str:
        return g.add("activation", [x], name=name)

    return function


for _onnx, _name in {"Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh"}.items():
    operator(_onnx)(_legacy_activation(_name))
for _onnx, _name in {"HardSwish": "hardswish", "Mish": "mish"}.items():
    operator(_onnx)(_activation(_name))
for _onnx, _name in {
    "Neg": "neg",
    "Abs": "abs",
    "Reciprocal": "reciprocal",
    "Exp": "exp",
    "Log": "log",
    "Sqrt": "sqrt",
    "Floor": "floor",
    "Ceil": "ceil",
}.items():
    operator(_onnx)(_legacy_unary(_name))


def _unary(name: str) -> Callable[..., str]:
    def function(g: Importer, x: str) -> str:
        return g.add("unary", [x], function=name)

    return function


for _onnx, _name in {"Erf": "erf", "Round": "round", "Sign": "sign", "Not": "not"}.items():
    operator(_onnx)(_unary(_name))


#: Selu's alpha and gamma, as the standard rounds them.
SELU = (1.67326319217681884765625, 1.05070102214813232421875)


@operator("Elu")
def elu(
    g: Importer, x: str, *, alpha: float = 1.0, consumed_inputs: Sequence[int] | None = None
) -> str:
    """Elu, since opset 1."""
    return g.add("activation", [x], name="elu", alpha=alpha)


@operator("Selu")
def selu(
    g: Importer,
    x: str,
    *,
    alpha: float | None = None,
    consumed_inputs: Sequence[int] | None = None,
    gamma: float | None = None,
) -> str:
    """Selu: gamma * elu(x, alpha), since opset 1."""
    usually = SELU if g.opset >= 6 else (1.6732, 1.0507)
    alpha = usually[0] if alpha is None else alpha
    gamma = usually[1] if gamma is None else gamma
    usual = np.float32(alpha) == np.float32(SELU[0]) and np.float32(gamma) == np.float32(SELU[1])
    if usual and g.dtype(x) != np.float64:  # numbers of more digits would be others
        return g.add("activation", [x], name="selu")
    below = g.add("activation", [x], name="elu", alpha=alpha)
    return g.add("binary", [below, g.like(gamma, x)], function="mul")


@operator("Celu")
def celu(g: Importer, x: str, *, alpha: float = 1.0) -> str:
    """Celu, since opset 12: alpha * elu(x / alpha)."""
    if alpha == 1:
        return g.add("activation", [x], name="elu", alpha=1.0)
    inner = g.add("binary", [x, g.like(alpha, x)], function="div")
    outer = g.add("activation", [inner], name="elu", alpha=1.0)
    return g.add("binary", [outer, g.like(alpha, x)], function="mul")


@operator("Softplus")
def softplus(g: Importer, x: str) -> str:
    """Softplus, since opset 1."""
    return g.add("activation", [x], name="softplus", alpha=1.0)


@operator("Softsign")
def softsign(g: Importer, x: str) -> str:
    """Softsign, since opset 1: x / (1 + abs(x))."""
    size = g.add("unary", [x], function="abs")
    return g.add(
        "binary", [x, g.add("binary", [size, g.like(1, x)], function="add")], function="div"
    )


@operator("ThresholdedRelu")
def thresholded_relu(g: Importer, x: str, *, alpha: float = 1.0) -> str:
    """ThresholdedRelu, since opset 10: x where it is above alpha, else 0."""
    above = g.add("binary", [g.like(alpha, x), x], function="less")
    return g.add("choose", [above, x, g.like(0, x)])


@operator("Gelu")
def gelu(g: Importer, x: str, *, approximate: str = "none") -> str:
    """Gelu, since opset 20."""
    if approximate not in ("none", "tanh"):
        raise Unsupported(f"attribute approximate={approximate!r}")
    return g.add("activation", [x], name="gelu" if approximate == "none" else "gelu_tanh")


@operator("Swish")
def swish(g: Importer, x: str, *, alpha: float = 1.0) -> str:
    """Swish: x * sigmoid(alpha * x), since opset 24."""
    if alpha == 1:
        return g.add("activation", [x], name="silu")
    scaled = g.add("binary", [x, g.like(alpha, x)], function="mul")
    gate = g.add("activation", [scaled], name="sigmoid")
    return g.add("binary", [x, gate], function="mul")


@operator("LeakyRelu")
def leaky_relu(
    g: Importer, x: str, *, alpha: float = 0.01, consumed_inputs: Sequence[int] | None = None
) -> str:
    """LeakyRelu, since opset 1."""
    return g.add("activation", [x], name="leaky_relu", alpha=alpha)


@operator("Clip")
def clip(
    g: Importer,
    x: str,
    low: str | None = None,
    high: str | None = None,
    *,
    min: float | None = None,
    max: float | None = None,
    consumed_inputs: Sequence[int] | None = None,
) -> str:
    """Clip; bounds are attributes before opset 11."""
    if min is not None:
        low = g.like(min, x)
    if max is not None:
        high = g.like(max, x)
    return g.add("clip", [x, low, high])


def _aligned(g: Importer, a: str, b: str, broadcast: int, axis: int | None) -> str:
    """Before opset 7 the second operand may be aligned with an axis of the first."""
    if g.opset >= 7 or not broadcast or axis is None:
        return b
    return g.add("align", [b, a], axis=axis)


def _binary(name: str, *, swapped: bool = False, negated: bool = False) -> Callable[..., str]:
    def function(
        g: Importer,
        a: str,
        b: str,
        *,
        axis: int | None = None,
        broadcast: int = 0,
        consumed_inputs: Sequence[int] | None = None,
    ) -> str:
        b = _aligned(g, a, b, broadcast, axis)
        return g.add("binary", [b, a] if swapped else [a, b], function=name)

    return function


for _onnx, _name in {
    "Add": "add",
    "Sub": "sub",
    "Mul": "mul",
    "Div": "div",
    "Pow": "pow",
    "Equal": "equal",
    "Less": "less",
    "LessOrEqual": "less_or_equal",
    "And": "and",
    "Or": "or",
    "Xor": "xor",
}.items():
    operator(_onnx)(_binary(_name))
operator("Greater")(_binary("less", swapped=True))
operator("GreaterOrEqual")(_binary("less_or_equal", swapped=True))


@operator("PRelu")
def prelu(g: Importer, x: str, slope: str, *, consumed_inputs: Sequence[int] | None = None) -> str:
    """PRelu, since opset 1; before 7 the slope is one for each channel."""
    if g.opset < 7:
        slope = g.add("align", [slope, x], axis=1)
    return g.add("binary", [x, slope], function="prelu")


def _chain(name: str) -> Callable[..., str]:
    def function(g: Importer, *values: str, consumed_inputs: Sequence[int] | None = None) -> str:
        result = values[0]
        for value in values[1:]:
            result = g.add("binary", [result, value], function=name)
        return result if len(values) > 1 else g.add("identity", [result])

    return function


for _onnx, _name in {"Sum": "add", "Max": "max", "Min": "min"}.items():
    operator(_onnx)(_chain(_name))


@operator("Mean")
def mean(g: Importer, *values: str, consumed_inputs: Sequence[int] | None = None) -> str:
    """Mean, since opset 1."""
    total: str = _chain("add")(g, *values)
    count = g.like(len(values), values[0])
    return g.add("binary", [total, count], function="div")


@operator("Where")
def where(g: Importer, condition: str, a: str, b: str) -> str:
    """Where, since opset 9."""
    return g.add("choose", [condition, a, b])


@operator("Cast")
def cast(g: Importer, x: str, *, to: int | str, saturate: int = 1, round_mode: str = "up") -> str:
    """Cast, since opset 1 (then by name)."""
    code = NAMES.get(to) if isinstance(to, str) else to
    if code not in DTYPES:
        raise Unsupported(f"attribute to={to}")
    dtype = np.dtype(DTYPES[code][0])
    if dtype not in STORED:
        raise Unsupported(f"attribute to={dtype}")
    return g.add("cast", [x], dtype=dtype)


@operator("CastLike")
def cast_like(g: Importer, x: str, like: str, *, saturate: int = 1, round_mode: str = "up") -> str:
    """CastLike, since opset 15."""
    dtype = g.dtype(like)
    if dtype is None or dtype not in STORED:
        raise Unsupported(f"dtype {dtype}")
    return g.add("cast", [x], dtype=dtype)


@operator("HardSigmoid")
def hard_sigmoid(
    g: Importer,
    x: str,
    *,
    alpha: float = 0.2,
    beta: float = 0.5,
    consumed_inputs: Sequence[int] | None = None,
) -> str:
    """HardSigmoid, since opset 1."""
    if abs(alpha - 1 / 6) < 1e-7 and beta == 0.5 and g.dtype(x) != np.float64:
        return g.add("activation", [x], name="hardsigmoid")
    scaled = g.add("binary", [x, g.like(alpha, x)], function="mul")
    moved = g.add("binary", [scaled, g.like(beta, x)], function="add")
    return g.add("clip", [moved, g.like(0, x), g.like(1, x)])


@operator("Softmax", "LogSoftmax")
def softmax(g: Importer, x: str, *, axis: int | None = None) -> str:
    """Softmax and LogSoftmax; before opset 13 over all axes from `axis` on."""
    flat = g.opset < 13
    if axis is None:
        axis = 1 if flat else -1
    return g.add("softmax", [x], axis=axis, log=g.node.op == "LogSoftmax", flat=flat)


@operator("LRN")
def lrn(
    g: Importer, x: str, *, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0, size: int
) -> str:
    """LRN, since opset 1: x / (bias + alpha * mean of squares over `size` channels) ** beta."""
    if bias <= 0 or alpha < 0 or size < 1:
        raise Unsupported(f"attributes alpha={alpha}, bias={bias}, size={size}")
    return g.add("response", [x], size=size, alpha=alpha, beta=beta, bias=bias)


@operator("Identity")
def identity(g: Importer, x: str) -> str:
    """Identity, since opset 1."""
    return g.add("identity", [x])


@operator("Dropout")
def dropout(
    g: Importer,
    x: str,
    rate: str | None = None,
    training: str | None = None,
    *,
    consumed_inputs: Sequence[int] | None = None,
    is_test: int = 0,
    ratio: float = 0.5,
    seed: int = 0,
) -> Any:
    """Dropout, since opset 1, in inference: the identity."""
    if training is not None:
        flag = g.value(training)
        if flag is None or flag.any():
            raise Unsupported("Dropout in training mode")
    result = g.add("identity", [x])
    if len(g.node.outputs) < 2 or not g.node.outputs[1]:
        return result
    everything = np.ones(1, bool if g.opset >= 10 else np.float32)
    mask = g.add("constant_of_shape", [g.add("shape", [x])], value=everything)
    return result, mask
