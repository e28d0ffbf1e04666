"""Convolution, pooling, normalization and matrix products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..importer import Importer, Unsupported, operator

_AUTO_PADS = {"SAME_UPPER": "same_upper", "SAME_LOWER": "same_lower", "VALID": None}


def _pads(auto_pad: str, pads: Sequence[int] | None) -> Any:
    if auto_pad in ("NOTSET", ""):
        if pads is not None and min(pads, default=0) < 0:
            raise Unsupported("negative pads")
        return pads
    if auto_pad not in _AUTO_PADS:
        raise Unsupported(f"attribute auto_pad={auto_pad!r}")
    return _AUTO_PADS[auto_pad]


@operator("Conv")
def conv(
    g: Importer,
    x: str,
    w: str,
    bias: str | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> str:
    """Conv, since opset 1."""
    return g.add(
        "conv",
        [x, w, bias],
        strides=strides,
        dilations=dilations,
        pads=_pads(auto_pad, pads),
        groups=group,
        kernel=kernel_shape,
    )


@operator("MaxPool")
def max_pool(
    g: Importer,
    x: str,
    *,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    kernel_shape: Sequence[int],
    pads: Sequence[int] | None = None,
    storage_order: int = 0,
    strides: Sequence[int] | None = None,
) -> Any:
    """MaxPool, since opset 1; Indices since 8."""
    indices = len(g.node.outputs) > 1 and bool(g.node.outputs[1])
    return g.add_several(
        "pool",
        [x],
        2 if indices else 1,
        kind="max",
        kernel=kernel_shape,
        strides=strides,
        dilations=dilations,
        pads=_pads(auto_pad, pads),
        ceil_mode=bool(ceil_mode),
        indices=indices,
        column_major=bool(storage_order),
    )


@operator("MaxUnpool")
def max_unpool(
    g: Importer,
    x: str,
    indices: str,
    output_shape: str = "",
    *,
    kernel_shape: Sequence[int],
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> str:
    """MaxUnpool, since opset 9."""
    return g.add(
        "max_unpool",
        [x, indices, output_shape],
        kernel=kernel_shape,
        strides=strides,
        pads=pads,
    )


@operator("ConvTranspose")
def conv_transpose(
    g: Importer,
    x: str,
    w: str,
    bias: str | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    output_padding: Sequence[int] | None = None,
    output_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> str:
    """ConvTranspose, since opset 1."""
    return g.add(
        "conv_transpose",
        [x, w, bias],
        strides=strides,
        dilations=dilations,
        pads=_pads(auto_pad, pads),
        extra=output_padding,
        output_shape=output_shape,
        groups=group,
        kernel=kernel_shape,
    )


@operator("LpPool")
def lp_pool(
    g: Importer,
    x: str,
    *,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    kernel_shape: Sequence[int],
    p: float = 2,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> str:
    """LpPool, since opset 1."""
    return g.add(
        "lp_pool",
        [x],
        p=int(p),
        kernel=kernel_shape,
        strides=strides,
        dilations=dilations,
        pads=_pads(auto_pad, pads),
        ceil_mode=bool(ceil_mode),
    )


@operator("Col2Im")
def col2im(
    g: Importer,
    x: str,
    image_shape: str,
    block_shape: str,
    *,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> str:
    """Col2Im, since opset 18."""
    return g.add(
        "fold", [x, image_shape, block_shape], strides=strides, dilations=dilations, pads=pads
    )


@operator("AveragePool")
def average_pool(
    g: Importer,
    x: str,
    *,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    dilations: Sequence[int] | None = None,
    kernel_shape: Sequence[int],
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> str:
    """AveragePool, since opset 1."""
    return g.add(
        "pool",
        [x],
        kind="average",
        kernel=kernel_shape,
        strides=strides,
        dilations=dilations,
        pads=_pads(auto_pad, pads),
        ceil_mode=bool(ceil_mode),
        count_include_pad=bool(count_include_pad),
    )


@operator("GlobalAveragePool")
def global_average_pool(g: Importer, x: str) -> str:
    """GlobalAveragePool, since opset 1."""
    return g.add("global_pool", [x], function="mean")


@operator("GlobalMaxPool")
def global_max_pool(g: Importer, x: str) -> str:
    """GlobalMaxPool, since opset 1."""
    return g.add("global_pool", [x], function="max")


@operator("BatchNormalization")
def batch_normalization(
    g: Importer,
    x: str,
    scale: str,
    shift: str,
    mean: str,
    variance: str,
    *,
    consumed_inputs: Sequence[int] | None = None,
    epsilon: float = 1e-5,
    is_test: int = 0,
    momentum: float = 0.9,
    spatial: int = 1,
    training_mode: int = 0,
) -> str:
    """BatchNormalization, since opset 1, in inference: x * factor + (shift - mean * factor)."""
    if training_mode or (g.opset < 7 and not is_test):
        raise Unsupported("BatchNormalization in training mode")
    if not spatial:
        raise Unsupported("attribute spatial=0")
    spread = g.add("binary", [variance, g.like(epsilon, variance)], function="add")
    root = g.add("unary", [spread], function="sqrt")
    factor = g.add("binary", [scale, root], function="div")
    moved = g.add("binary", [mean, factor], function="mul")
    rest = g.add("binary", [shift, moved], function="sub")
    return g.add("affine", [x, factor, rest])


@operator("InstanceNormalization")
def instance_normalization(
    g: Importer,
    x: str,
    scale: str,
    shift: str,
    *,
    consumed_inputs: Sequence[int] | None = None,
    epsilon: float = 1e-5,
) -> str:
    """InstanceNormalization, since opset 1."""
    return g.add("group_norm", [x, scale, shift], groups=None, epsilon=epsilon)


@operator("GroupNormalization")
def group_normalization(
    g: Importer,
    x: str,
    scale: str,
    shift: str,
    *,
    epsilon: float = 1e-5,
    num_groups: int,
    stash_type: int = 1,
) -> str:
    """GroupNormalization; scales are one for each group before opset 21."""
    return g.add(
        "group_norm",
        [x, scale, shift],
        groups=num_groups,
        epsilon=epsilon,
        per_group=g.opset < 21,
    )


@operator("LayerNormalization")
def layer_normalization(
    g: Importer,
    x: str,
    scale: str,
    shift: str | None = None,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: int = 1,
) -> Any:
    """LayerNormalization, since opset 17."""
    statistics = any(g.node.outputs[1:])
    return g.add_several(
        "layer_norm",
        [x, scale, shift],
        3 if statistics else 1,
        axis=axis,
        epsilon=epsilon,
        statistics=statistics,
    )


@operator("Gemm")
def gemm(
    g: Importer,
    a: str,
    b: str,
    c: str | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    broadcast: int = 0,
    transA: int = 0,
    transB: int = 0,
) -> str:
    """Gemm, since opset 1."""
    return g.add(
        "gemm",
        [a, b, c],
        trans_a=bool(transA),
        trans_b=bool(transB),
        scale=alpha,
        c_scale=beta,
    )


@operator("MatMul")
def matmul(g: Importer, a: str, b: str) -> str:
    """MatMul, since opset 1."""
    return g.add("matmul", [a, b])
