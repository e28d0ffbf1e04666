"""Plans of convolution, linear and locally connected layers: checked and built once, then kept."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from . import _native, shapes
from ._views import (
    DATA_FORMATS,
    FLOAT32,
    Key,
    View,
    check_choice,
    check_floating,
    check_range,
    check_same_dtype,
    contiguous,
    image,
    output_image,
    output_key,
)
from .errors import ShapeError
from .runtime import ALGORITHMS, algorithm_code, plan_cache

#: Fused activations, with their numbers in the C contract.
ACTIVATIONS: dict[str | None, int] = {
    None: 0,
    "relu": 1,
    "relu6": 2,
    "leaky_relu": 3,
    "hardswish": 4,
    "sigmoid": 5,
    "silu": 6,
    "tanh": 7,
    "hardsigmoid": 8,
    "elu": 9,
    "selu": 10,
    "gelu": 11,
    "gelu_tanh": 12,
    "softplus": 13,
    "mish": 14,
}
#: PyTorch's defaults: the slope below zero, the factor below zero, beta.
ALPHAS: dict[str | None, float] = {"leaky_relu": 0.01, "elu": 1.0, "softplus": 1.0}


def fused(activation: str | None) -> dict[str, Any]:
    """Arguments of a step that ends with an activation."""
    return {"activation": ACTIVATIONS[activation], "alpha": ALPHAS.get(activation, 0.0)}


class ConvPlan(NamedTuple):
    """A convolution's program; with weights packed before, also how to pack them."""

    run: _native.Program
    pack: _native.Program | None
    packing: tuple[Any, ...]  # what the packed layout depends on
    packed_bytes: int


#: What algorithms for some convolutions alone compute.
SPECIAL: dict[int, str] = {
    ALGORITHMS["winograd"]: "'winograd' computes undilated 3x3 filters at strides 1 and 2 and, at "
    "stride 1, 5x5, 1x3, 1x5, 1x7, 3x1, 5x1 and 7x1",
    ALGORITHMS["winograd_rows"]: "'winograd_rows' computes filters of 3 rows (3x3 or other widths) "
    "at stride 1, dilation 1 along columns",
    ALGORITHMS["depthwise"]: "'depthwise' computes groups of one channel",
}
#: (filter, stride) of "winograd".
WINOGRAD_WINDOWS = {((3, 3), (2, 2)), ((3, 3), (1, 1)), ((5, 5), (1, 1))}
WINOGRAD_WINDOWS |= {((1, taps), (1, 1)) for taps in (3, 5, 7)}
WINOGRAD_WINDOWS |= {((taps, 1), (1, 1)) for taps in (3, 5, 7)}


def _fits(code: int, weight: View, geometry: dict[str, Any]) -> bool:
    stride, dilation = geometry["stride"], geometry["dilation"]
    if code == ALGORITHMS["depthwise"]:
        return weight.size[1] == 1
    if code == ALGORITHMS["winograd"]:
        return dilation == (1, 1) and (weight.size[2:], stride) in WINOGRAD_WINDOWS
    return stride == (1, 1) and dilation[0] == 1 and weight.size[2] == 3


def _conv_plan(
    x: View,
    weight: View,
    bias: View | None,
    y: View,
    *,
    algorithm: str | None,
    packed: bool,
    activation: str | None,
    **geometry: Any,
) -> ConvPlan:
    run = _native.Program()
    code = algorithm_code(algorithm)
    if code in SPECIAL and not _fits(code, weight, geometry):
        if algorithm is not None:
            channels, r, s = weight.size[1:]
            raise ValueError(
                f"algorithm: {SPECIAL[code]}, got {r}x{s} of {channels} channels a group at stride "
                f"{geometry['stride']}, dilation {geometry['dilation']}"
            )
        code = ALGORITHMS["auto"]  # a default is for what it fits
    ending = fused(activation)
    x_at = x.at(run.input(x.key))
    if not packed:
        w_at = weight.at(run.input(weight.key))
        b_at = bias and bias.at(run.input(bias.key))
        y_at = y.at(run.output(y.key))
        run.add_conv2d(x_at, w_at, b_at, y_at, algorithm=code, **ending, **geometry)
        return ConvPlan(run, None, (), 0)
    # any slot will do for asking: the packed weights' comes next, the output's after it
    chosen, size = run.conv2d_packing(x_at, weight.at(1), y.at(1), algorithm=code, **geometry)
    buffer = contiguous(np.dtype(np.uint8).num, (size,))
    w_at = weight.at(run.input(buffer))
    y_at = y.at(run.output(y.key))
    run.add_conv2d(x_at, w_at, None, y_at, algorithm=chosen, packed=True, **ending, **geometry)
    pack = _native.Program()
    w_at = weight.at(pack.input(weight.key))
    b_at = bias and bias.at(pack.input(bias.key))
    pack.add_conv2d_pack(
        w_at, b_at, pack.output(buffer), groups=geometry["groups"], algorithm=chosen
    )
    return ConvPlan(run, pack, (run.isa, chosen, geometry["groups"]), size)


def bias_view(key: Key | None, filters: int, x_key: Key) -> View | None:
    """Check a bias and view it as programs take it."""
    if key is None:
        return None
    check_same_dtype(key, "bias", x_key, "input")
    if key[1] != (filters,):
        raise ShapeError(f"bias: expected shape ({filters},), one for each filter, got {key[1]}")
    return View(key, (filters, 1, 1, 1), (key[2][0], 0, 0, 0))


@plan_cache
def conv2d(
    x_key: Key,
    w_key: Key,
    b_key: Key | None,
    out: Key | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
    data_format: str,
    activation: str | None,
    strict: bool,
    algorithm: str | None,
    packed: bool,
) -> ConvPlan:
    """Check everything about a convolution and build its program."""
    check_choice(data_format, "data_format", DATA_FORMATS)
    check_choice(activation, "activation", tuple(ACTIVATIONS))
    check_floating(x_key, "input")
    check_same_dtype(w_key, "weight", x_key, "input")
    x = image(x_key, "input", data_format)
    strides = shapes.pair(stride, "stride", 1)
    dilations = shapes.pair(dilation, "dilation", 1)
    groups = shapes.integer(groups, "groups", 1)
    channels = x.size[1]
    if channels % groups:
        raise ShapeError(f"groups: expected a divisor of the {channels} channels, got {groups}")
    wanted = f"(K, {channels // groups}, R, S), that is (filters, channels/groups, height, width)"
    w_shape = w_key[1]
    if len(w_shape) != 4 or w_shape[1] != channels // groups or 0 in w_shape:
        raise ShapeError(
            f"weight: expected {wanted}, for input of shape {x_key[1]} and groups={groups}, "
            f"got {w_shape}"
        )
    filters, kernel = w_shape[0], (w_shape[2], w_shape[3])
    if filters % groups:
        raise ShapeError(f"groups: expected a divisor of the {filters} filters, got {groups}")
    pads = shapes.padding_pairs(padding, x.size[2:], kernel, strides, dilations)
    p, q = shapes.output_hw(x.size[2:], kernel, strides, pads, dilations, strict=strict)
    check_range(input=x.size[2:], stride=strides, padding=pads, dilation=dilations, output=(p, q))
    y = output_image(x, filters, p, q, data_format, out)
    return _conv_plan(
        x,
        View(w_key, w_shape, w_key[2]),  # type: ignore[arg-type]
        bias_view(b_key, filters, x_key),
        y,
        stride=strides,
        pad=(pads[0][0], pads[1][0]),
        dilation=dilations,
        groups=groups,
        activation=activation,
        algorithm=algorithm,
        packed=packed,
    )


def _unpacked_linear(
    x_key: Key, w_key: Key, bias: View | None, y_key: Key, activation: str | None
) -> ConvPlan:
    run = _native.Program()
    x, weight, y = (View(k, (*k[1], 1, 1), (*k[2], 0, 0)) for k in (x_key, w_key, y_key))  # type: ignore[arg-type]
    x_at, w_at = x.at(run.input(x_key)), weight.at(run.input(w_key))
    b_at = bias and bias.at(run.input(bias.key))
    y_at = y.at(run.output(y_key))
    run.add_linear(x_at, w_at, b_at, y_at, **fused(activation))
    return ConvPlan(run, None, (), 0)


@plan_cache
def linear(
    x_key: Key, w_key: Key, b_key: Key | None, out: Key | None, activation: str | None, packed: bool
) -> ConvPlan:
    """A linear layer: x (rows, in), weight (out, in), y (rows, out).

    With weights packed before, or where rows are not contiguous, a 1x1 convolution over rows; else
    weights are read as they lie, whatever the number of rows: bits must not depend on it.
    """
    check_choice(activation, "activation", tuple(ACTIVATIONS))
    (rows, features), (row_stride, feature_stride) = x_key[1:]
    x = View(x_key, (1, features, 1, rows), (0, feature_stride, 0, row_stride))
    (outputs, _), (output_stride, input_stride) = w_key[1:]
    weight = View(w_key, (outputs, features, 1, 1), (output_stride, input_stride, 0, 0))
    y_key = output_key(x_key[0], (rows, outputs), out)
    item = 4 if x_key[0] == FLOAT32 else 8
    steps = (
        (features, feature_stride),
        (features, input_stride),
        (outputs, y_key[2][1]),
    )
    if not packed and all(size <= 1 or step == item for size, step in steps):
        return _unpacked_linear(x_key, w_key, bias_view(b_key, outputs, x_key), y_key, activation)
    y = View(y_key, (1, outputs, 1, rows), (0, y_key[2][1], 0, y_key[2][0]))
    return _conv_plan(
        x,
        weight,
        bias_view(b_key, outputs, x_key),
        y,
        stride=(1, 1),
        pad=(0, 0),
        dilation=(1, 1),
        groups=1,
        activation=activation,
        algorithm="direct",
        packed=packed,
    )


@plan_cache
def locally_connected2d(
    x_key: Key,
    w_key: Key,
    b_key: Key | None,
    out: Key | None,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
) -> _native.Program:
    """Check everything about a locally connected layer and build its program."""
    check_floating(x_key, "input")
    check_same_dtype(w_key, "weight", x_key, "input")
    x = image(x_key, "input", "NCHW")
    kernel = shapes.pair(kernel_size, "kernel_size", 1)
    strides = shapes.pair(stride, "stride", 1)
    dilations = shapes.pair(dilation, "dilation", 1)
    pads = shapes.padding_pairs(padding, x.size[2:], kernel, strides, dilations)
    p, q = shapes.output_hw(x.size[2:], kernel, strides, pads, dilations)
    check_range(input=x.size[2:], stride=strides, padding=pads, dilation=dilations, output=(p, q))
    depth = x.size[1] * kernel[0] * kernel[1]
    if len(w_key[1]) != 4 or w_key[1][1:] != (p, q, depth) or w_key[1][0] < 1:
        raise ShapeError(
            f"weight: expected (K, {p}, {q}, {depth}), that is (filters, output height, output "
            f"width, channels*kernel height*kernel width), got {w_key[1]}"
        )
    filters = w_key[1][0]
    bias = None
    if b_key is not None:
        check_same_dtype(b_key, "bias", x_key, "input")
        if b_key[1] == (filters,):
            bias = View(b_key, (filters, p, q, 1), (b_key[2][0], 0, 0, 0))
        elif b_key[1] == (filters, p, q):
            bias = View(b_key, (filters, p, q, 1), (*b_key[2], 0))  # type: ignore[arg-type]
        else:
            raise ShapeError(
                f"bias: expected ({filters}, {p}, {q}) or ({filters},), got {b_key[1]}"
            )
    y = output_image(x, filters, p, q, "NCHW", out)
    weight = View(w_key, w_key[1], w_key[2])  # type: ignore[arg-type]
    program = _native.Program()
    x_at = x.at(program.input(x_key))
    w_at = weight.at(program.input(w_key))
    b_at = bias and bias.at(program.input(bias.key))
    program.add_local2d(
        x_at,
        w_at,
        b_at,
        y.at(program.output(y.key)),
        kernel=kernel,
        stride=strides,
        pad=(pads[0][0], pads[1][0]),
        dilation=dilations,
    )
    return program
