"""Plans of pooling, columns, element-wise functions and softmax: built once, then kept."""

from __future__ import annotations

from math import prod
from typing import Any

from . import _native, shapes
from ._conv_plans import ACTIVATIONS
from ._views import (
    DATA_FORMATS,
    FLOAT32,
    INT64,
    Key,
    Tensor,
    View,
    check_choice,
    check_floating,
    check_range,
    dtype_name,
    image,
    output_image,
    output_key,
)
from .errors import ShapeError
from .runtime import plan_cache

#: Element-wise functions, with their numbers in the C contract.
ELEMENTWISE = {**ACTIVATIONS, "clamp": 15}
#: fc_binary's number of PReLU.
PRELU = 6


def _window(
    kernel_size: Any, stride: Any, padding: Any
) -> tuple[shapes.Pair, shapes.Pair, shapes.Pads]:
    kernel = shapes.pair(kernel_size, "kernel_size", 1)
    strides = kernel if stride is None or stride == () else shapes.pair(stride, "stride", 1)
    return kernel, strides, shapes.pooling_pads(padding, kernel)


@plan_cache
def max_pool2d(
    x_key: Key,
    out: Key | None,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
    return_indices: bool,
    data_format: str,
    strict: bool,
) -> _native.Program:
    """Check everything about a max pool and build its program."""
    check_choice(data_format, "data_format", DATA_FORMATS)
    if not _native.has_dtype(x_key[0]):
        raise TypeError(
            f"input: expected float32, float64 or an integer dtype, got {dtype_name(x_key[0])}"
        )
    x = image(x_key, "input", data_format)
    kernel, strides, pads = _window(kernel_size, stride, padding)
    dilations = shapes.pair(dilation, "dilation", 1)
    p, q = shapes.output_hw(
        x.size[2:],
        kernel,
        strides,
        pads,
        dilations,
        ceil_mode=ceil_mode,
        strict=strict,
        pooling=True,
    )
    check_range(
        input=x.size[2:],
        kernel_size=kernel,
        stride=strides,
        dilation=dilations,
        output=(p, q),
    )
    program = _native.Program()
    x_at = x.at(program.input(x_key))
    y = output_image(x, x.size[1], p, q, data_format, out)
    y_at = y.at(program.output(y.key))
    indices_at = None
    if return_indices:
        indices = output_image(x, x.size[1], p, q, data_format, None, INT64)
        indices_at = indices.at(program.output(indices.key))
    program.add_pool2d(
        x_at,
        y_at,
        indices_at,
        kernel=kernel,
        stride=strides,
        dilation=dilations,
        pad=(pads[0][0], pads[1][0], pads[0][1], pads[1][1]),
    )
    return program


@plan_cache
def avg_pool2d(
    x_key: Key,
    out: Key | None,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: Any,
    data_format: str,
    strict: bool,
) -> _native.Program:
    """Check everything about an average pool and build its program."""
    check_choice(data_format, "data_format", DATA_FORMATS)
    check_floating(x_key, "input")
    x = image(x_key, "input", data_format)
    kernel, strides, pads = _window(kernel_size, stride, padding)
    divisor = 0
    if divisor_override is not None:
        divisor = shapes.integer(divisor_override, "divisor_override")
        if not 0 < abs(divisor) < 1 << 62:
            raise ShapeError(f"divisor_override must not be zero (nor huge), got {divisor}")
    p, q = shapes.output_hw(
        x.size[2:], kernel, strides, pads, ceil_mode=ceil_mode, strict=strict, pooling=True
    )
    check_range(input=x.size[2:], kernel_size=kernel, stride=strides, output=(p, q))
    y = output_image(x, x.size[1], p, q, data_format, out)
    program = _native.Program()
    x_at = x.at(program.input(x_key))
    program.add_pool2d(
        x_at,
        y.at(program.output(y.key)),
        None,
        kernel=kernel,
        stride=strides,
        pad=(pads[0][0], pads[1][0], pads[0][1], pads[1][1]),
        average=True,
        divisor_override=divisor,
        count_include_pad=count_include_pad,
    )
    return program


def _columns_view(key: Key, n: int, depth: int, places: int, order: str) -> View:
    """Columns (N, depth, places), or the course's (depth, places * N) with images side by side."""
    _, shape, strides = key
    if order == "cs231n":
        row, item = strides
        return View(key, (n, depth, places, 1), (item, row, item * n, 0))
    if len(shape) == 2:
        strides = (0, *strides)
    return View(key, (n, depth, places, 1), (*strides, 0))  # type: ignore[arg-type]


def _columns_shape(n: int, depth: int, places: int, batched: bool, order: str) -> tuple[int, ...]:
    if order == "cs231n":
        return depth, places * n
    return (n, depth, places) if batched else (depth, places)


@plan_cache
def unfold(
    x_key: Key, kernel_size: Any, dilation: Any, padding: Any, stride: Any, order: str
) -> _native.Program:
    """Check everything about unfold and build its program."""
    check_choice(order, "order", ("torch", "cs231n"))
    check_floating(x_key, "input")
    x = image(x_key, "input", "NCHW")
    kernel = shapes.pair(kernel_size, "kernel_size", 1)
    dilations = shapes.pair(dilation, "dilation", 1)
    strides = shapes.pair(stride, "stride", 1)
    pads = shapes.padding_pairs(padding, x.size[2:], kernel, strides, dilations)
    output = shapes.output_hw(x.size[2:], kernel, strides, pads, dilations)
    check_range(
        input=x.size[2:],
        kernel_size=kernel,
        stride=strides,
        padding=pads,
        dilation=dilations,
        output=output,
    )
    n, depth, places = x.size[0], x.size[1] * prod(kernel), prod(output)
    key = output_key(x_key[0], _columns_shape(n, depth, places, len(x_key[1]) == 4, order), None)
    program = _native.Program()
    x_at = x.at(program.input(x_key))
    program.add_columns(
        x_at,
        _columns_view(key, n, depth, places, order).at(program.output(key)),
        kernel=kernel,
        stride=strides,
        pad=(pads[0][0], pads[1][0]),
        dilation=dilations,
        output=output,
    )
    return program


@plan_cache
def fold(
    c_key: Key,
    output_size: Any,
    kernel_size: Any,
    dilation: Any,
    padding: Any,
    stride: Any,
    order: str,
) -> _native.Program:
    """Check everything about fold and build its program."""
    check_choice(order, "order", ("torch", "cs231n"))
    check_floating(c_key, "input")
    size = shapes.pair(output_size, "output_size", 1)
    kernel = shapes.pair(kernel_size, "kernel_size", 1)
    dilations = shapes.pair(dilation, "dilation", 1)
    strides = shapes.pair(stride, "stride", 1)
    pads = shapes.padding_pairs(padding, size, kernel, strides, dilations)
    output = shapes.output_hw(size, kernel, strides, pads, dilations)
    check_range(
        output_size=size,
        kernel_size=kernel,
        stride=strides,
        padding=pads,
        dilation=dilations,
        output=output,
    )
    shape, places, taps = c_key[1], prod(output), prod(kernel)
    axes = 2 if order == "cs231n" else 3
    if len(shape) not in (2, axes):
        raise ShapeError(f"input: expected {axes} axes of columns, got shape {shape}")
    n = shape[1] // places if order == "cs231n" else shape[0] if len(shape) == 3 else 1
    depth = shape[-2]
    if depth == 0 or depth % taps or shape[-1] != (places * n if order == "cs231n" else places):
        raise ShapeError(
            f"input: expected columns of shape (..., C*{taps}, {places}) for output_size={size}, "
            f"kernel_size={kernel}, stride={strides}, padding={pads}, dilation={dilations}, "
            f"got {shape}"
        )
    batched = order == "cs231n" or len(shape) == 3
    x_shape = (n, depth // taps, *size) if batched else (depth // taps, *size)
    key = output_key(c_key[0], x_shape, None)
    x = image(key, "output", "NCHW", nonempty=False)
    program = _native.Program()
    columns = _columns_view(c_key, n, depth, places, order).at(program.input(c_key))
    program.add_columns(
        x.at(program.output(key)),
        columns,
        kernel=kernel,
        stride=strides,
        pad=(pads[0][0], pads[1][0]),
        dilation=dilations,
        output=output,
        fold=True,
    )
    return program


def _merged(
    shape: tuple[int, ...], *strides: tuple[int, ...]
) -> tuple[list[int], list[list[int]]] | None:
    """Merge neighbouring axes that all arrays step through evenly; None if over four remain."""
    sizes: list[int] = []
    steps: list[list[int]] = [[] for _ in strides]
    for axis, size in enumerate(shape):
        if size == 1:
            continue
        now = [s[axis] for s in strides]
        if sizes and all(step[-1] == s * size for step, s in zip(steps, now, strict=True)):
            sizes[-1] *= size
            for step, s in zip(steps, now, strict=True):
                step[-1] = s
        else:
            sizes.append(size)
            for step, s in zip(steps, now, strict=True):
                step.append(s)
    if len(sizes) > 4:
        return None
    missing = 4 - len(sizes)
    return [1] * missing + sizes, [[0] * missing + step for step in steps]


@plan_cache
def elementwise(
    x_key: Key, out: Key | None, activation: str, alpha: float, beta: float
) -> _native.Program | None:
    """Build the program of an element-wise function; None if the axes do not merge into four."""
    check_floating(x_key, "input")
    y_key = output_key(x_key[0], x_key[1], out)
    merged = _merged(x_key[1], x_key[2], y_key[2])
    if merged is None:
        return None
    size, (x_stride, y_stride) = merged
    if size[3] == 1:  # a single element: any stride will do, and 1 is the fast one
        x_stride[3] = y_stride[3] = 4 if x_key[0] == FLOAT32 else 8
    program = _native.Program()
    x = View(x_key, tuple(size), tuple(x_stride))  # type: ignore[arg-type]
    y = View(y_key, tuple(size), tuple(y_stride))  # type: ignore[arg-type]
    x_at = x.at(program.input(x_key))
    program.add_elementwise(
        x_at,
        y.at(program.output(y_key)),
        activation=ELEMENTWISE[activation],
        alpha=alpha,
        beta=beta,
    )
    return program


@plan_cache
def prelu(x_key: Key, w_key: Key) -> _native.Program:
    """Build x < 0 ? w * x : x for x (n, channels, inner), w one number or one for each channel."""
    shape = x_key[1]
    y_key = output_key(x_key[0], shape, None)
    w_stride = (0, w_key[2][0] if w_key[1] != (1,) else 0, 0)
    program = _native.Program()

    def operand(key: Key, strides: tuple[int, ...], slot: int) -> Tensor:
        return View(key, (1, *shape), (0, *strides)).at(slot)  # type: ignore[arg-type]

    x_at = operand(x_key, x_key[2], program.input(x_key))
    w_at = operand(w_key, w_stride, program.input(w_key))
    y_at = operand(y_key, y_key[2], program.output(y_key))
    program.add_binary(x_at, w_at, y_at, operation=PRELU)
    return program


@plan_cache
def softmax(x_key: Key, axis: int, logarithm: bool) -> _native.Program | None:
    """Build the program of a softmax; None if the axes around `axis` do not merge."""
    check_floating(x_key, "input")
    typenum, shape, strides = x_key
    outer = _merged(shape[:axis], strides[:axis])
    inner = _merged(shape[axis + 1 :], strides[axis + 1 :])
    if outer is None or inner is None or outer[0][2] != 1 or inner[0][2] != 1:
        return None
    key = output_key(typenum, shape, None)
    count = prod(shape[axis + 1 :])
    step = 4 if typenum == FLOAT32 else 8
    x = View(
        x_key,
        (outer[0][3], shape[axis], inner[0][3], 1),
        (outer[1][0][3], strides[axis], inner[1][0][3], 0),
    )
    y = View(key, x.size, (step * count * shape[axis], step * count, step, 0))
    program = _native.Program()
    x_at = x.at(program.input(x_key))
    program.add_softmax(x_at, y.at(program.output(key)), logarithm=logarithm)
    return program
