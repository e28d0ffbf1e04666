"""A pass that finds activations where they are spelled out in other operators."""

from __future__ import annotations

from collections.abc import Iterator
from math import pi, sqrt
from typing import Any

import numpy as np

from .fusing import Neighbours
from .ir import Graph, Node


def recognize_activations(graph: Graph) -> None:
    """Find SiLU, HardSwish, GELU (both), softplus, Mish and leaky ReLU where they are spelled out.

    Examples
    --------
    >>> from fastconv.graph.ir import Graph, Node
    >>> from fastconv.graph.recognizing import recognize_activations
    >>> sigmoid = Node("activation", ["x"], ["s"], {"name": "sigmoid"})
    >>> mul = Node("binary", ["x", "s"], ["y"], {"function": "mul"})
    >>> graph = Graph(nodes=[sigmoid, mul])
    >>> recognize_activations(graph)
    >>> graph.nodes[1].attributes
    {'name': 'silu'}
    """
    around = Neighbours(graph)
    for node in graph:
        found = _gated(around, node) or _softplus(around, node) or _leaky(around, node)
        if found is not None:
            name, x, *alpha = found
            node.op, node.inputs, node.attributes = "activation", [x], {"name": name}
            if alpha:
                node.attributes["alpha"] = alpha[0]


def _function(node: Node | None) -> Any:
    """What a plain node of one or two operands computes."""
    if node is None or node.attributes.get("activation"):
        return None
    if node.op in ("binary", "unary"):
        return node.attributes["function"]
    return node.attributes["name"] if node.op == "activation" else None


def _operand(around: Neighbours, name: str, function: str) -> str | None:
    """The first operand of the function that makes a value, if it is that one."""
    maker = around.makers.get(name)
    return maker.inputs[0] if maker is not None and _function(maker) == function else None


def _near(number: float | None, wanted: float) -> bool:
    return number is not None and abs(number - wanted) <= 1e-6 * abs(wanted)


def _pairs(around: Neighbours, name: str, function: str) -> Iterator[tuple[str, str]]:
    """Both orders of the operands of the function that makes a value, if it is that one."""
    maker = around.makers.get(name)
    if maker is not None and _function(maker) == function:
        yield maker.inputs[0], maker.inputs[1]
        yield maker.inputs[1], maker.inputs[0]


def _plus(around: Neighbours, name: str, number: float) -> str | None:
    """The x of x + number."""
    for x, other in _pairs(around, name, "add"):
        if _near(around.scalar(other), number):
            return x
    return None


def _product(around: Neighbours, name: str) -> tuple[float, list[str]]:
    """A value as a number times other values.

    Products, powers and divisions by numbers are undone; what several nodes read stays as it is.
    """
    maker = around.makers.get(name)
    function = _function(maker)
    if maker is None or function not in ("mul", "div", "pow"):
        return 1.0, [name]
    left, right = maker.inputs
    second = around.scalar(right)
    if function == "pow":
        return 1.0, [left] * int(second) if second in (2, 3) else [name]
    if function == "div" and not second:
        return 1.0, [name]
    number, factors = 1.0, []
    for operand in (left, right):
        scalar = around.scalar(operand)
        if scalar is not None:
            number *= scalar if function == "mul" or operand == left else 1 / scalar
        elif len(around.readers.get(operand, [])) > 1:
            factors.append(operand)
        else:
            inner, more = _product(around, operand)
            number, factors = number * inner, factors + more
    return number, factors


def _gated(around: Neighbours, node: Node) -> tuple[str, str] | None:
    """Match x times a function of x."""
    if _function(node) not in ("mul", "div"):
        return None
    number, factors = _product(around, node.outputs[0])
    if len(factors) != 2:
        return None
    for x, gate in (factors, factors[::-1]):
        if _near(number, 1) and _operand(around, gate, "sigmoid") == x:
            return "silu", x
        if _near(number, 1) and _operand(around, gate, "hardsigmoid") == x:
            return "hardswish", x
        if _near(number, 1 / 6) and _plus(around, _operand(around, gate, "relu6") or "", 3) == x:
            return "hardswish", x
        if _near(number, 1) and _is_softplus(around, _operand(around, gate, "tanh") or "", x):
            return "mish", x
        if _near(number, 0.5):
            inner = _plus(around, gate, 1) or ""
            if _is_times(around, _operand(around, inner, "erf"), sqrt(0.5), x):
                return "gelu", x
            if _is_cubic(around, _operand(around, inner, "tanh"), x):
                return "gelu_tanh", x
    return None


def _is_softplus(around: Neighbours, name: str, x: str) -> bool:
    maker = around.makers.get(name)
    return (
        maker is not None
        and maker.attributes.get("alpha") == 1
        and (_operand(around, name, "softplus") == x)
    )


def _is_times(around: Neighbours, name: str | None, number: float, x: str) -> bool:
    if name is None:
        return False
    found, factors = _product(around, name)
    return factors == [x] and _near(found, number)


def _is_cubic(around: Neighbours, name: str | None, x: str) -> bool:
    """Whether a value is sqrt(2/pi) (x + 0.044715 x x x), or sqrt(2/pi) x (1 + 0.044715 x x)."""
    scale, factors = _product(around, name or "")
    if not _near(scale, sqrt(2 / pi)):
        return False
    apart = len(factors) == 2 and x in factors
    sums = [f for f in factors if f != x]
    for one, cube in _pairs(around, sums[0], "add") if len(sums) == 1 else ():
        number, terms = _product(around, cube)
        starts = _near(around.scalar(one), 1) if apart else one == x and len(factors) == 1
        if starts and _near(number, 0.044715) and terms == [x] * (2 if apart else 3):
            return True
    return False


def _softplus(around: Neighbours, node: Node) -> tuple[str, str, float] | None:
    """Match log(1 + exp(x))."""
    if _function(node) != "log":
        return None
    x = _operand(around, _plus(around, node.inputs[0], 1) or "", "exp")
    return None if x is None else ("softplus", x, 1.0)


def _leaky(around: Neighbours, node: Node) -> tuple[str, str, float] | None:
    """Match PReLU by one slope, and max(x, slope * x)."""
    function = _function(node)
    if function == "prelu":
        slope = around.deferred(node.inputs[1])
        if slope is None or slope.size != 1 or slope.ndim > 1:
            return None
        return "leaky_relu", node.inputs[0], float(np.asarray(slope).reshape(-1)[0])
    for x, scaled in (node.inputs, node.inputs[::-1]) if function == "max" else ():
        number, factors = _product(around, scaled)
        if factors == [x] and 0 < number < 1:
            return "leaky_relu", x, number
    return None
