"""Convolution of volumes, and transposed convolution over one to three axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from ... import _native
from ..._conv_plans import ACTIVATIONS
from ..._views import check_range
from ...errors import ShapeError, UnsupportedOperatorError
from ...runtime import ALGORITHMS
from ..builder import Builder, shape_text
from ..constants import Packed
from ..ir import Array
from ..steps import At
from ..tensors import Known, Tensor, Value
from .compute import check_floating
from .convolving import element_strides, key_of


def _five(values: Sequence[int], filler: int) -> tuple[int, ...]:
    """(n, c, ...) with what axes that lack have put before the others."""
    return (*values[:2], *(filler,) * (5 - len(values)), *values[2:])


def _three(values: Sequence[int], filler: int) -> tuple[int, ...]:
    return (*(filler,) * (3 - len(values)), *(int(v) for v in values))


def add_volume_conv(
    b: Builder, x: Tensor, w: Value, bias: Value | None, y: Tensor, **options: Any
) -> None:
    """Append a convolution over up to three axes; known weights are packed before anything runs."""
    fused = {"activation": ACTIVATIONS[options.pop("activation")], "alpha": options.pop("alpha")}
    pad = options.pop("pad")
    w_size, w_stride = _five(w.shape, 1), _five(element_strides(w), 0)
    flops = 2 * prod((x if options["transposed"] else y).shape) * prod(w.shape[1:])

    def volume(at: At, t: Tensor) -> Any:
        return at(t, _five(t.shape, 1), _five(t.strides, 0), 0)

    if isinstance(w, Known) and not isinstance(bias, Tensor):
        itemsize = w.dtype.itemsize
        asked: Any = [
            (1, w.dtype.num, 0, size, tuple(s * itemsize for s in stride))
            for size, stride in (
                (_five(x.shape, 1), _five(x.strides, 0)),
                (w_size, w_stride),
                (_five(y.shape, 1), _five(y.strides, 0)),
            )
        ]
        chosen, count = b.question.conv3d_packing(*asked, algorithm=0, pad=pad, **options)
        packed = b.packed(_pack(b, w, w_size, w_stride, bias, chosen, count, options))

        def add(program: _native.Program, at: At) -> None:
            slot, _, offset, *_ = at(packed, (1,) * 5, (0,) * 5, 0)
            weight = (slot, w.dtype.num, offset, w_size, (0,) * 5)
            program.add_conv3d(
                volume(at, x),
                weight,
                None,
                volume(at, y),
                algorithm=chosen,
                packed=True,
                pad=pad,
                **fused,
                **options,
            )

        names = {number: name for name, number in ALGORITHMS.items()}
        b.step([x, packed], [y], add, detail=names.get(chosen & 0xFF, ""), flops=flops)
        return
    weight, bias_tensor = b.tensor(w), None if bias is None else b.tensor(bias)
    reads = [x, weight, *([] if bias_tensor is None else [bias_tensor])]

    def add_unpacked(program: _native.Program, at: At) -> None:
        bias_at = None
        if bias_tensor is not None:
            size, stride = (bias_tensor.size, 1, 1, 1), (bias_tensor.strides[-1], 0, 0, 0)
            bias_at = at(bias_tensor, size, stride, 0)
        w_at = volume(at, weight)
        program.add_conv3d(
            volume(at, x),
            w_at,
            bias_at,
            volume(at, y),
            algorithm=ALGORITHMS["direct"],
            pad=pad,
            **fused,
            **options,
        )

    b.step(reads, [y], add_unpacked, flops=flops)


def _pack(
    b: Builder,
    w: Known,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    bias: Value | None,
    algorithm: int,
    count: int,
    options: dict[str, Any],
) -> Packed:
    def write(target: Array, scratch: Array) -> None:
        program, weight = _native.Program(), w.array_in(scratch)
        key = _native.describe(weight, "weight")[1]
        steps = tuple(s * w.dtype.itemsize for s in stride)
        w_at = (program.input(key), key[0], 0, size, steps)
        arrays: tuple[Array, ...] = (weight,)
        bias_at: Any = None
        if isinstance(bias, Known):
            flat = np.ascontiguousarray(bias.array).reshape(-1)
            b_key = _native.describe(flat, "bias")[1]
            slot = program.input(b_key)
            bias_at = (slot, b_key[0], 0, (*b_key[1], 1, 1, 1), (*b_key[2], 0, 0, 0))
            arrays = (weight, flat)
        out = program.output(_native.describe(target, "packed")[1])
        program.add_conv3d_pack(w_at, bias_at, out, algorithm=algorithm, **options)
        program.run(arrays, (target,))

    key = ("conv3d", key_of(w), key_of(bias), tuple(options.items()), algorithm)
    return Packed((*key, b.question.isa), count, write, w.scratch)


def conv_transpose(
    b: Builder,
    x: Value,
    w: Value,
    bias: Value | None = None,
    *,
    strides: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | str | None = None,
    extra: Sequence[int] | None = None,
    output_shape: Sequence[int] | None = None,
    groups: int = 1,
    kernel: Sequence[int] | None = None,
    activation: str | None = None,
    alpha: float = 0.0,
) -> Value:
    """Convolve with the transpose of weight (C, K/groups, ...); `extra` is added at the end."""
    check_floating(x, w, bias)
    x = b.tensor(x)
    axes = len(x.shape) - 2
    if axes not in (1, 2, 3):
        raise UnsupportedOperatorError(f"transposed convolution over {axes} axes")
    size, taps = x.shape[2:], w.shape[2:]
    if len(w.shape) != axes + 2 or w.shape[0] != x.shape[1] or groups < 1 or x.shape[1] % groups:
        raise ShapeError(
            f"weight of shape {shape_text(w.shape)} and {groups} groups for input of shape "
            f"{shape_text(x.shape)}"
        )
    if kernel is not None and tuple(kernel) != taps:
        raise ShapeError(f"kernel_shape {tuple(kernel)} for weight {shape_text(w.shape)}")
    steps, spread = tuple(strides or (1,) * axes), tuple(dilations or (1,) * axes)
    added = tuple(extra or (0,) * axes)
    before, outputs = [], []
    for a in range(axes):
        reach = steps[a] * (size[a] - 1) + added[a] + spread[a] * (taps[a] - 1) + 1
        wanted = size[a] * steps[a] if isinstance(pads, str) else None
        if output_shape is not None:
            wanted = int(output_shape[a])
        if wanted is None:
            around = (0,) * (2 * axes) if pads is None else pads
            first, count = int(around[a]), reach - int(around[a]) - int(around[a + axes])
        else:
            total = max(0, reach - wanted)
            first = total // 2 if pads == "same_upper" else total - total // 2
            count = wanted
        before.append(first)
        outputs.append(count)
    if min(outputs) < 1 or min(before) < 0:
        raise ShapeError(f"outputs of sizes {outputs} with padding {before}")
    check_range(input=size, strides=steps, dilations=spread, output=tuple(outputs))
    filters = w.shape[1] * groups
    if bias is not None and bias.shape != (filters,):
        raise ShapeError(f"bias of shape {bias.shape} for {filters} filters")
    y = b.new((x.shape[0], filters, *outputs), x.dtype)
    add_volume_conv(
        b,
        x,
        w,
        bias,
        y,
        activation=activation,
        alpha=alpha,
        pad=_three(before, 0),
        stride=_three(steps, 1),
        dilation=_three(spread, 1),
        groups=groups,
        transposed=True,
    )
    return y


def conv3d(
    b: Builder,
    x: Tensor,
    w: Value,
    bias: Value | None,
    y: Tensor,
    *,
    pad: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    groups: int,
    activation: str | None,
    alpha: float,
) -> None:
    """Append a convolution of volumes, checked by the caller."""
    add_volume_conv(
        b,
        x,
        w,
        bias,
        y,
        activation=activation,
        alpha=alpha,
        pad=_three(pad, 0),
        stride=_three(strides, 1),
        dilation=_three(dilations, 1),
        groups=groups,
        transposed=False,
    )


LOWER: dict[str, Callable[..., Any]] = {"conv_transpose": conv_transpose}
