"""Plans of convolutions over one and three axes, and of transposed ones: built once, then kept."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np

from . import _axes, _native, shapes
from ._conv_plans import ACTIVATIONS, ConvPlan, bias_view, fused
from ._views import (
    MOST_BYTES,
    Key,
    View,
    Volume,
    check_choice,
    check_floating,
    check_range,
    check_same_dtype,
    contiguous,
    output_key,
)
from .errors import ShapeError
from .runtime import algorithm_code, plan_cache

#: Orders of axes, by the number of axes behind batch and channels.
DATA_FORMATS = {1: ("NCL", "NLC"), 2: ("NCHW", "NHWC"), 3: ("NCDHW", "NDHWC")}

#: What padding holds, with the numbers in the C contract.
PAD_MODES = {"zeros": 0, "reflect": 1, "replicate": 2, "circular": 3}


def check_pads(
    mode: str, size: tuple[int, ...], pads: tuple[tuple[int, int], ...], name: str = "padding"
) -> None:
    """Refuse padding that shows more than there is."""
    for n, sides in zip(size, pads, strict=True):
        for amount in sides:
            most = n - 1 if mode == "reflect" else n if mode == "circular" else amount
            if amount > most:
                raise ShapeError(
                    f"{name}: mode {mode!r} adds at most {most} to an axis of {n}, got {amount}"
                )


def _volume(key: Key, shape: tuple[int, ...], strides: tuple[int, ...]) -> Volume:
    """View (n, c, ...) axes as (n, c, depth, height, width), those that lack being of size 1."""
    size, stride = list(shape[2:]), list(strides[2:])
    while len(size) < 3:
        stride.insert(0, size[0] * stride[0])
        size.insert(0, 1)
    return Volume(key, (*shape[:2], *size), (*strides[:2], *stride))  # type: ignore[arg-type]


def _array(key: Key, name: str, axes: int, data_format: str) -> Volume:
    _, shape, strides = key
    if len(shape) not in (axes + 1, axes + 2):
        raise ShapeError(
            f"{name}: expected {'x'.join(data_format)}, or the same without N, got shape {shape}"
        )
    if len(shape) == axes + 1:
        shape, strides = (1, *shape), (0, *strides)
    if data_format == DATA_FORMATS[axes][1]:
        shape = (shape[0], shape[-1], *shape[1:-1])
        strides = (strides[0], strides[-1], *strides[1:-1])
    if prod(shape) > MOST_BYTES:
        raise ShapeError(f"{name}: shape {key[1]} is too large: expected at most 2**47 elements")
    return _volume(key, shape, strides)


def _output(x: Volume, sizes: tuple[int, ...], data_format: str, out: Key | None) -> Volume:
    """View of an output (channels, *places) with x's batch and layout."""
    axes = len(sizes) - 1
    shape = sizes if data_format == DATA_FORMATS[axes][0] else (*sizes[1:], sizes[0])
    if len(x.key[1]) == axes + 2:
        shape = (x.size[0], *shape)
    return _array(output_key(x.key[0], shape, out), "out", axes, data_format)


class _Request(NamedTuple):
    """Everything that a program of such a convolution is made from."""

    x: Volume
    weight: Volume
    bias: View | None
    y: Volume
    pad: tuple[int, ...]
    pad_mode: int
    options: dict[str, Any]  # what packing looks at, too
    activation: str | None


def _build(request: _Request, algorithm: str | None, packed: bool) -> ConvPlan:
    x, weight, bias, y, pad, pad_mode, options, activation = request
    code = algorithm_code(algorithm)
    run = _native.Program()
    around: dict[str, Any] = {"pad": pad, "pad_mode": pad_mode}
    ending = {**fused(activation), **around}
    x_at = x.at(run.input(x.key))
    if not packed:
        w_at = weight.at(run.input(weight.key))
        b_at = bias and bias.at(run.input(bias.key))
        y_at = y.at(run.output(y.key))
        run.add_conv3d(x_at, w_at, b_at, y_at, algorithm=code, **ending, **options)
        return ConvPlan(run, None, (), 0)
    # any slot will do for asking: the packed weights' comes next, the output's after it
    chosen, size = run.conv3d_packing(
        x_at, weight.at(1), y.at(1), algorithm=code, **around, **options
    )
    buffer = contiguous(np.dtype(np.uint8).num, (size,))
    w_at = weight.at(run.input(buffer))
    y_at = y.at(run.output(y.key))
    run.add_conv3d(x_at, w_at, None, y_at, algorithm=chosen, packed=True, **ending, **options)
    pack = _native.Program()
    w_at = weight.at(pack.input(weight.key))
    b_at = bias and bias.at(pack.input(bias.key))
    pack.add_conv3d_pack(w_at, b_at, pack.output(buffer), algorithm=chosen, **options)
    return ConvPlan(run, pack, (run.isa, chosen, *options.values()), size)


def _unit(values: tuple[int, ...], fill: int) -> tuple[int, ...]:
    """Prepend what axes that lack have."""
    return (fill,) * (3 - len(values)) + values


@plan_cache
def convolution(
    axes: int,
    transposed: bool,
    x_key: Key,
    w_key: Key,
    b_key: Key | None,
    out: Key | None,
    stride: Any,
    padding: Any,
    padding_mode: str,
    output_padding: Any,
    dilation: Any,
    groups: Any,
    data_format: str,
    activation: str | None,
    strict: bool,
    algorithm: str | None,
    packed: bool,
) -> ConvPlan:
    """Check everything about a convolution of so many axes, or its transpose, and build it."""
    check_choice(data_format, "data_format", DATA_FORMATS[axes])
    check_choice(activation, "activation", tuple(ACTIVATIONS))
    check_choice(padding_mode, "padding_mode", tuple(PAD_MODES))
    check_floating(x_key, "input")
    check_same_dtype(w_key, "weight", x_key, "input")
    x = _array(x_key, "input", axes, data_format)
    size = x.size[5 - axes :]
    if 0 in (x.size[1], *size):
        raise ShapeError(f"input: expected at least one channel and place, got shape {x_key[1]}")
    strides = _axes.numbers(stride, axes, "stride", 1)
    dilations = _axes.numbers(dilation, axes, "dilation", 1)
    groups = shapes.integer(groups, "groups", 1)
    kernel, filters = _weight(w_key, x, axes, groups, transposed)
    around = _axes.pads(padding, size, kernel, strides, dilations)
    if transposed:
        extra = _axes.numbers(output_padding, axes, "output_padding", 0)
        places = _axes.transposed_outputs(size, kernel, strides, around, dilations, extra)
    else:
        places = _axes.outputs(size, kernel, strides, around, dilations, strict=strict)
        check_pads(padding_mode, size, around)
    check_range(input=size, stride=strides, padding=around, dilation=dilations, output=places)
    request = _Request(
        x,
        _volume(w_key, w_key[1], w_key[2]),
        bias_view(b_key, filters, x_key),
        _output(x, (filters, *places), data_format, out),
        _unit(tuple(before for before, _ in around), 0),
        PAD_MODES[padding_mode],
        {
            "stride": _unit(strides, 1),
            "dilation": _unit(dilations, 1),
            "groups": groups,
            "transposed": transposed,
        },
        activation,
    )
    return _build(request, algorithm, packed)


def _weight(
    w_key: Key, x: Volume, axes: int, groups: int, transposed: bool
) -> tuple[tuple[int, ...], int]:
    """Check the weight's shape -> the kernel's sizes and the number of filters."""
    channels, shape = x.size[1], w_key[1]
    if channels % groups:
        raise ShapeError(f"groups: expected a divisor of the {channels} channels, got {groups}")
    window = ", ".join(f"kernel {name}" for name in _axes.NAMES[axes])
    wanted = (
        f"({channels}, K/{groups}, {window}), that is (channels, filters/groups, ...)"
        if transposed
        else f"(K, {channels // groups}, {window}), that is (filters, channels/groups, ...)"
    )
    fits = len(shape) == axes + 2 and 0 not in shape
    if not fits or (shape[0] != channels if transposed else shape[1] != channels // groups):
        raise ShapeError(
            f"weight: expected {wanted}, for input of shape {x.key[1]} and groups={groups}, got "
            f"{shape}"
        )
    filters = shape[1] * groups if transposed else shape[0]
    if filters % groups:
        raise ShapeError(f"groups: expected a divisor of the {filters} filters, got {groups}")
    return shape[2:], filters
