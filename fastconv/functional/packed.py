"""Packed weights, and what all convolutions do with their plans."""

from __future__ import annotations

from typing import Any

from .. import _native, _volume_plans
from .._arguments import check_out, hashable, word
from .._conv_plans import ConvPlan
from .._views import Array


class PackedWeights:
    """Weights in the order in which the kernels read them, made at first use and kept.

    A layer hands one to each call, with the same weight and bias arrays, and takes a new one when
    it replaces them. An array that is not the one packed before is packed anew.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import functional
    >>> packed = functional.PackedWeights()
    >>> x, w = np.ones((1, 2, 4, 4)), np.ones((3, 2, 3, 3))
    >>> functional.conv2d(x, w, packed=packed).shape
    (1, 3, 2, 2)
    """

    __slots__ = ("_buffers",)

    def __init__(self) -> None:
        self._buffers: dict[tuple[Any, ...], tuple[Array, Array, Array | None]] = {}

    def __reduce__(self) -> tuple[type[PackedWeights], tuple[()]]:
        """Leave what was packed behind: another machine may pack otherwise."""
        return PackedWeights, ()

    def get(self, plan: ConvPlan, weight: Array, bias: Array | None) -> Array:
        """Return the packed form that `plan` reads."""
        held = self._buffers.get(plan.packing)
        if held is not None and held[1] is weight and held[2] is bias:
            return held[0]
        assert plan.pack is not None
        buffer = _native.empty_bytes(plan.packed_bytes)
        plan.pack.run((weight,) if bias is None else (weight, bias), (buffer,))
        self._buffers[plan.packing] = buffer, weight, bias
        return buffer


def run_conv(
    plan: ConvPlan,
    x: Array,
    weight: Array,
    bias: Array | None,
    out: Array | None,
    num_threads: int | None,
    packed: PackedWeights | None,
) -> Array:
    """Run a convolution's plan, with weights packed now or before."""
    inputs: tuple[Array, ...]
    if packed is not None:
        inputs = x, packed.get(plan, weight, bias)
    elif bias is None:
        inputs = x, weight
    else:
        inputs = x, weight, bias
    return plan.run.run(inputs, None if out is None else (out,), num_threads)  # type: ignore[no-any-return]


def convolve(
    axes: int,
    transposed: bool,
    input: Array,
    weight: Array,
    bias: Array | None,
    geometry: dict[str, Any],
    data_format: str,
    activation: str | None,
    out: Array | None,
    algorithm: str | None,
    num_threads: int | None,
    packed: PackedWeights | None,
) -> Array:
    """Convolve over so many axes by way of the plans of volumes."""
    x, x_key = _native.describe(input, "input")
    weight, w_key = _native.describe(weight, "weight")
    b_key = o_key = None
    if bias is not None:
        bias, b_key = _native.describe(bias, "bias")
    if out is not None:
        o_key = check_out(out, x, weight, bias)
    plan = _volume_plans.convolution(
        axes,
        transposed,
        x_key,
        w_key,
        b_key,
        o_key,
        hashable(geometry["stride"], "stride"),
        hashable(geometry["padding"], "padding"),
        word(geometry.get("padding_mode", "zeros"), "padding_mode"),
        hashable(geometry.get("output_padding", 0), "output_padding"),
        hashable(geometry["dilation"], "dilation"),
        hashable(geometry["groups"], "groups"),
        word(data_format, "data_format"),
        word(activation, "activation"),
        bool(geometry.get("strict", False)),
        word(algorithm, "algorithm"),
        packed is not None,
    )
    return run_conv(plan, x, weight, bias, out, num_threads, packed)
