"""Appending convolutions, whose weights are packed before anything runs where they are known."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ... import _native
from ..._conv_plans import ACTIVATIONS
from ...runtime import ALGORITHMS
from ..builder import Builder
from ..constants import Packed, identity
from ..ir import Array
from ..steps import At, Image
from ..strips import Window
from ..tensors import Known, Tensor, Value, contiguous

#: Convolution algorithms whose vectors run along the pixels of a plane.
PLANAR = frozenset({"planar", "winograd_rows"})
#: Algorithms whose steps add to their sums, channels last.
ADDING = frozenset({ALGORITHMS["channels_last"], ALGORITHMS["winograd"]})
#: Algorithms that compute a row of outputs alike wherever it is.
BY_ROWS = frozenset({ALGORITHMS["channels_last"], ALGORITHMS["depthwise"]})


def _weight_steps(
    b: Builder, w: Value, bias: Value | None, shape: tuple[int, ...], stride: tuple[int, ...]
) -> Any:
    """Weight and bias that are read as they are: tensors, and how they are handed over."""
    weight = b.tensor(w)
    reads = [weight]
    bias_tensor = None if bias is None else b.tensor(bias)
    if bias_tensor is not None:
        reads.append(bias_tensor)

    def at_run_time(at: At) -> tuple[Any, Any]:
        bias_at = None
        if bias_tensor is not None:
            bias_at = at(bias_tensor, (shape[0], 1, 1, 1), (bias_tensor.strides[-1], 0, 0, 0), 0)
        return at(weight, shape, stride, 0), bias_at

    return reads, at_run_time


def _pack_weights(
    b: Builder,
    key: Any,
    w: Known,
    shape: Sequence[int],
    stride: Sequence[int],
    bias: Value | None,
    groups: int,
    algorithm: int,
    count: int,
) -> Packed:
    def write(target: Array, scratch: Array) -> None:
        weight = _strided(w.array_in(scratch), shape, stride)
        program = _native.Program()
        w_key = _native.describe(weight, "weight")[1]
        w_at: Any = (program.input(w_key), w_key[0], 0, w_key[1], w_key[2])
        arrays: tuple[Array, ...] = (weight,)
        bias_at: Any = None
        if isinstance(bias, Known):
            flat = np.ascontiguousarray(bias.array).reshape(-1)
            b_key = _native.describe(flat, "bias")[1]
            slot = program.input(b_key)
            bias_at = (slot, b_key[0], 0, (*b_key[1], 1, 1, 1), (*b_key[2], 0, 0, 0))
            arrays = (weight, flat)
        out = program.output(_native.describe(target, "packed")[1])
        program.add_conv2d_pack(w_at, bias_at, out, groups=groups, algorithm=algorithm)
        program.run(arrays, (target,))

    return Packed((*key, groups, algorithm, b.question.isa), count, write, w.scratch)


def key_of(value: Value | None) -> Any:
    """What tells a constant from others.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.lower.convolving import key_of
    >>> from fastconv.graph.tensors import Known
    >>> key_of(Known(np.zeros(3, np.float32), "w"))
    ('w', '<f4', (3,))
    """
    if value is None:
        return None
    assert isinstance(value, Known)
    return identity(value.constant, value.name), value.dtype.str, value.shape


def _strided(w: Array, shape: Sequence[int], stride: Sequence[int]) -> Array:
    return np.lib.stride_tricks.as_strided(w, shape, [s * w.itemsize for s in stride])


def element_strides(w: Value) -> tuple[int, ...]:
    """Strides in elements, of tensors and known arrays alike."""
    if isinstance(w, Tensor):
        return w.strides
    return tuple(s // w.dtype.itemsize for s in w.constant.strides)


def _packing(
    b: Builder, asked: Any, algorithm: str, geometry: dict[str, Any]
) -> tuple[tuple[str, str] | None, int, int]:
    """Choose how to compute -> (key and name of the choice, its code, bytes of packed weights).

    A choice that was measured comes first; one that cannot compute this is as if there were none.
    The key tells images apart, not batches.
    """
    if algorithm != "auto":
        return None, *b.question.conv2d_packing(*asked, algorithm=ALGORITHMS[algorithm], **geometry)
    (_, typenum, _, x_size, x_stride), (_, _, _, w_size, _), (_, _, _, y_size, y_stride) = asked
    images = (*x_size[1:], *x_stride[1:]), w_size, (*y_size[1:], *y_stride[1:])
    key = f"{b.question.isa} {typenum} {images} {sorted(geometry.items())}"
    name = b.choices.get(key, b.algorithm)
    try:
        return (key, name), *b.question.conv2d_packing(
            *asked, algorithm=ALGORITHMS[name], **geometry
        )
    except ValueError:
        return (key, "auto"), *b.question.conv2d_packing(*asked, algorithm=0, **geometry)


def prefers_planes(
    b: Builder, x: Image, w: Known, y: Image, w_stride: Sequence[int], geometry: dict[str, Any]
) -> bool:
    """Whether a convolution would be computed in planes, did its images lie so."""
    sizes = (x.size, w.shape, y.size)
    strides = (contiguous(x.size), w_stride, contiguous(y.size))
    asked = [
        (1, w.dtype.num, 0, size, tuple(s * w.dtype.itemsize for s in stride))
        for size, stride in zip(sizes, strides, strict=True)
    ]
    _, chosen, _ = _packing(b, asked, "auto", geometry)
    return any(ALGORITHMS[name] == chosen & 0xFF for name in PLANAR)


def _window(taps: int, *, dilation: Any, stride: Any, pad: Any, **_: Any) -> Window:
    """Which rows a convolution reads."""
    return Window((taps - 1) * dilation[0] + 1, stride[0], pad[0])


def _by_rows(chosen: int, x: Image, y: Image, addend: Image | None) -> bool:
    """Whether a convolution may run for some rows, which are those of its tensors."""
    images = [x, y] if addend is None else [x, y, addend]
    own = all(image.size == image.tensor.shape for image in images)
    return own and chosen & 0xFF in BY_ROWS and y.stride[1] == 1


def add_conv(
    b: Builder,
    x: Image,
    w: Value,
    bias: Value | None,
    y: Image,
    *,
    w_shape: tuple[int, int, int, int],
    w_stride: tuple[int, int, int, int],
    activation: str | None = None,
    alpha: float = 0.0,
    algorithm: str = "auto",
    role: str = "conv",
    addend: Image | None = None,
    **geometry: Any,
) -> bool:
    """Append a convolution; weights that are known are packed once, before anything runs.

    `role` says how the weight's axes become the convolution's, whatever its strides are. `addend`
    is added to the sums if the convolution's own step can; otherwise this appends nothing and
    returns False.
    """
    fused: dict[str, Any] = {"activation": ACTIVATIONS[activation], "alpha": alpha}
    flops = 2 * prod(y.size) * prod(w_shape[1:])
    if isinstance(w, Known) and not isinstance(bias, Tensor):
        asked: Any = [
            (1, w.dtype.num, 0, size, tuple(s * w.dtype.itemsize for s in stride))
            for size, stride in ((x.size, x.stride), (w_shape, w_stride), (y.size, y.stride))
        ]
        choice, chosen, count = _packing(b, asked, algorithm, geometry)
        if addend is not None and not (
            chosen & 0xFF in ADDING and y.stride[1] == addend.stride[1] == 1
        ):
            return False
        key, groups = (role, key_of(w), w_shape, key_of(bias)), geometry["groups"]
        packed = b.packed(_pack_weights(b, key, w, w_shape, w_stride, bias, groups, chosen, count))
        window = _window(w_shape[2], **geometry)

        def add(program: _native.Program, at: At) -> None:
            x_at, top = at.window(x, window)
            slot, _, offset, *_ = at(packed, (1, 1, 1, 1), (0, 0, 0, 0), 0)
            weight = (slot, w.dtype.num, offset, w_shape, (0, 0, 0, 0))
            program.add_conv2d(
                x_at,
                weight,
                None,
                y.at(at),
                algorithm=chosen,
                packed=True,
                addend=None if addend is None else addend.at(at),
                **fused,
                **{**geometry, "pad": (top, *geometry["pad"][1:])},
            )

        # the higher bits say which variant
        names = {number: name for name, number in ALGORITHMS.items()}
        reads, alias = [x.tensor, packed], None
        if addend is not None:
            reads.append(addend.tensor)
            if addend.tensor.storage is not x.tensor.storage:
                alias = y.tensor, addend.tensor
        detail = names[chosen & 0xFF]
        b.step(
            reads,
            [y.tensor],
            add,
            alias,
            detail=detail,
            flops=flops,
            choice=choice,
            by_image=True,
            window=window if _by_rows(chosen, x, y, addend) else None,
        )
        return True
    if addend is not None:
        return False
    if isinstance(w, Known):
        strided = np.ascontiguousarray(_strided(w.array, w_shape, w_stride))
        w = Known(strided, w.name and f"{w.name}~4")
        w_stride = contiguous(w_shape)  # type: ignore[assignment]
    # weights that come with each run: the sum as it is written, exact for whole numbers
    code = ALGORITHMS["direct" if algorithm == "auto" else algorithm]
    reads, at_run_time = _weight_steps(b, w, bias, w_shape, w_stride)

    def add_unpacked(program: _native.Program, at: At) -> None:
        weight, bias_at = at_run_time(at)
        program.add_conv2d(x.at(at), weight, bias_at, y.at(at), algorithm=code, **fused, **geometry)

    b.step([x.tensor, *reads], [y.tensor], add_unpacked, detail=algorithm, flops=flops)
    return True
