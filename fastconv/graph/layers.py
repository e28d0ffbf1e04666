"""From `fastconv.nn` layers to a graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import nn
from .._conv_plans import ALPHAS
from ..errors import UnsupportedOperatorError
from ..nn.activations import fused_name
from ..shapes import pair
from .ir import Graph, Node, Port


def graph_of(layers: nn.Module, input_shape: Sequence[int], dtype: str) -> Graph:
    """Return the graph of layers, see `fastconv.compile`.

    Examples
    --------
    >>> from fastconv import nn
    >>> from fastconv.graph.layers import graph_of
    >>> graph_of(nn.ReLU(), (3,), "float32").nodes[0].op
    'activation'
    """
    innermost = list(_innermost(layers, ""))
    shape: tuple[Any, ...] = tuple(input_shape)
    fixed = shape
    if innermost and isinstance(innermost[0][1], nn.VolumeLayer) and len(shape) == 3:
        shape, fixed = (None, *shape), (1, *shape)
    port = Port("input", shape, np.dtype(dtype))
    graph = Graph(inputs=[port])
    value = port.name
    for name, layer in innermost:
        make = _MAKERS.get(type(layer), _activation if fused_name(layer) else None)
        if make is None:
            raise UnsupportedOperatorError(f"layer {name}: {type(layer).__name__}")
        value = make(graph, f"layer {name} ({type(layer).__name__})", layer, value, fixed)
        fixed = layer.output_shape(fixed)
    graph.outputs = [(Port("output", (shape[0], *fixed[1:]), port.dtype), value)]
    return graph


def _innermost(layer: nn.Module, prefix: str) -> list[tuple[str, nn.Module]]:
    if not isinstance(layer, nn.Sequential):
        return [(prefix or "0", layer)]
    found = []
    for name, child in layer._children().items():
        found += _innermost(child, f"{prefix}.{name}" if prefix else name)
    return found


def _add(graph: Graph, label: str, op: str, inputs: list[str], **attributes: Any) -> str:
    output = f"{label}.{len(graph.nodes)}"
    graph.nodes.append(Node(op, inputs, [output], attributes, label))
    return output


def _constants(graph: Graph, label: str, **arrays: Any) -> list[str]:
    names = []
    for key, array in arrays.items():
        if array is not None:
            names.append(f"{label}.{key}")
            graph.constants[names[-1]] = array
    return names


def _pads(padding: Any) -> Any:
    if isinstance(padding, str):
        return {"same": "same_upper", "same_lower": "same_lower", "valid": None}[padding]
    pairs = [p if isinstance(p, tuple) else (p, p) for p in padding]
    return [before for before, _ in pairs] + [after for _, after in pairs]


def _refuse(label: str, **options: bool) -> None:
    for name, given in options.items():
        if given:
            raise UnsupportedOperatorError(f"{label}: option {name}")


def _fused(layer: Any) -> dict[str, Any]:
    """The activation that a layer ends with, with PyTorch's default for its parameter."""
    return {"activation": layer.activation, "alpha": ALPHAS.get(layer.activation, 0.0)}


def _conv(graph: Graph, label: str, layer: Any, x: str, shape: tuple[int, ...]) -> str:
    _refuse(label, data_format=layer.data_format != "NCHW")
    weights = _constants(graph, label, weight=layer.weight, bias=layer.bias)
    return _add(
        graph,
        label,
        "conv",
        [x, *weights],
        strides=list(layer.stride),
        dilations=list(layer.dilation),
        pads=_pads(layer.padding),
        groups=layer.groups,
        **_fused(layer),
    )


def _pool(graph: Graph, label: str, layer: Any, x: str, shape: tuple[int, ...]) -> str:
    average = isinstance(layer, nn.AvgPool2d)
    _refuse(
        label,
        data_format=layer.data_format != "NCHW",
        return_indices=getattr(layer, "return_indices", False),
        divisor_override=getattr(layer, "divisor_override", None) is not None,
    )
    return _add(
        graph,
        label,
        "pool",
        [x],
        kind="average" if average else "max",
        kernel=list(pair(layer.kernel_size, "kernel_size")),
        strides=list(pair(layer.stride, "stride")),
        dilations=list(pair(getattr(layer, "dilation", 1), "dilation")),
        pads=_pads(pair(layer.padding, "padding")),
        ceil_mode=layer.ceil_mode,
        count_include_pad=getattr(layer, "count_include_pad", False),
    )


def _pool_axes(graph: Graph, label: str, layer: Any, x: str, shape: tuple[int, ...]) -> str:
    _refuse(
        label,
        return_indices=getattr(layer, "return_indices", False),
        divisor_override=getattr(layer, "divisor_override", None) is not None,
    )
    return _add(
        graph,
        label,
        "pool",
        [x],
        kind="average" if isinstance(layer, (nn.AvgPool1d, nn.AvgPool3d)) else "max",
        kernel=list(layer.kernel_size),
        strides=list(layer.stride),
        dilations=list(layer.dilation),
        pads=[*layer.padding, *layer.padding],
        ceil_mode=layer.ceil_mode,
        count_include_pad=getattr(layer, "count_include_pad", False),
    )


def _adaptive_avg_pool(graph: Graph, label: str, layer: Any, x: str, shape: tuple[int, ...]) -> str:
    outputs = layer.output_shape(shape)[-layer.axes :]
    sizes = list(zip(shape[-layer.axes :], outputs, strict=True))
    _refuse(label, output_size=any(n % p for n, p in sizes))  # windows of several sizes
    window = [n // p for n, p in sizes]
    return _add(graph, label, "pool", [x], kind="average", kernel=window, strides=window)


def _linear(graph: Graph, label: str, layer: Any, x: str, shape: tuple[int, ...]) -> str:
    weights = _constants(graph, label, weight=layer.weight.T, bias=layer.bias)
    return _add(graph, label, "matmul", [x, *weights], **_fused(layer))


def _flatten(graph: Graph, label: str, layer: Any, x: str, shape: tuple[int, ...]) -> str:
    start, end = layer.start_dim % len(shape), layer.end_dim % len(shape)
    target = np.array([0] * start + [-1] + list(shape[end + 1 :]), np.int64)
    return _add(graph, label, "reshape", [x, *_constants(graph, label, shape=target)])


def _activation(graph: Graph, label: str, layer: Any, x: str, shape: tuple[int, ...]) -> str:
    name = fused_name(layer)
    alpha = ALPHAS.get(name, 0.0)
    return _add(graph, label, "activation", [x], name=name, alpha=alpha)


def _leaky_relu(graph: Graph, label: str, layer: Any, x: str, shape: tuple[int, ...]) -> str:
    return _add(graph, label, "activation", [x], name="leaky_relu", alpha=layer.negative_slope)


def _elu(graph: Graph, label: str, layer: Any, x: str, shape: tuple[int, ...]) -> str:
    return _add(graph, label, "activation", [x], name="elu", alpha=layer.alpha)


def _prelu(graph: Graph, label: str, layer: Any, x: str, shape: tuple[int, ...]) -> str:
    slope = np.asarray(layer.weight).reshape(-1, *(1,) * max(0, len(shape) - 2))
    return _add(
        graph, label, "binary", [x, *_constants(graph, label, weight=slope)], function="prelu"
    )


def _softmax(graph: Graph, label: str, layer: Any, x: str, shape: tuple[int, ...]) -> str:
    axis = layer.dim
    if axis is None:  # as PyTorch guesses
        axis = 0 if len(shape) in (0, 1, 3) else 1
    return _add(graph, label, "softmax", [x], axis=axis, log=type(layer) is nn.LogSoftmax)


_MAKERS: dict[type, Callable[..., str]] = {
    nn.Conv2d: _conv,
    nn.MaxPool2d: _pool,
    nn.AvgPool2d: _pool,
    nn.MaxPool1d: _pool_axes,
    nn.MaxPool3d: _pool_axes,
    nn.AvgPool1d: _pool_axes,
    nn.AvgPool3d: _pool_axes,
    nn.AdaptiveAvgPool1d: _adaptive_avg_pool,
    nn.AdaptiveAvgPool2d: _adaptive_avg_pool,
    nn.Linear: _linear,
    nn.Flatten: _flatten,
    nn.LeakyReLU: _leaky_relu,
    nn.ELU: _elu,
    nn.PReLU: _prelu,
    nn.Softmax: _softmax,
    nn.LogSoftmax: _softmax,
}
