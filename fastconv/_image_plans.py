"""Plans of padding, resizing, rearranging and normalizing: built once, then kept."""

from __future__ import annotations

from typing import Any

from . import _native, _resize, shapes
from ._conv_plans import ACTIVATIONS, fused
from ._views import (
    MOST_BYTES,
    Key,
    Tensor,
    View,
    Volume,
    check_choice,
    check_range,
    check_same_dtype,
    contiguous,
    dtype_name,
    image,
    output_image,
    output_key,
)
from ._volume_plans import PAD_MODES, check_pads
from .errors import ShapeError
from .runtime import plan_cache

#: torch.nn.functional.pad's words for what _volume_plans.PAD_MODES names.
MODES = {"constant": 0, **{name: code for name, code in PAD_MODES.items() if code}}


def _five(key: Key, shape: tuple[int, ...], strides: tuple[int, ...]) -> Volume:
    missing = 5 - len(shape)
    return Volume(key, (1,) * missing + shape, (0,) * missing + strides)  # type: ignore[arg-type]


def amounts(pad: Any, ndim: int) -> tuple[tuple[int, int], ...]:
    """Read PyTorch's flat padding, last axis first -> (before, after) for each axis."""
    if not isinstance(pad, tuple) or len(pad) % 2 or len(pad) > 2 * ndim:
        raise ShapeError(
            f"pad: expected (before, after) of the last axis, then of the one before it, ..., for "
            f"at most {ndim} axes, got {pad!r}"
        )
    numbers = [shapes.integer(n, f"pad[{i}]") for i, n in enumerate(pad)]
    pairs = [(numbers[i], numbers[i + 1]) for i in range(0, len(numbers), 2)]
    return ((0, 0),) * (ndim - len(pairs)) + tuple(reversed(pairs))


def check_dtype(key: Key) -> None:
    """Refuse what copies do not know."""
    if not _native.has_dtype(key[0]):
        raise TypeError(
            f"input: expected a floating or integer dtype of 1 to 8 bytes, got {dtype_name(key[0])}"
        )


@plan_cache
def pad(x_key: Key, pad: Any, mode: str, value: float) -> _native.Program | None:
    """Check everything about a padding and build its program; None for more than five axes."""
    check_choice(mode, "mode", tuple(MODES))
    typenum, shape, strides = x_key
    check_dtype(x_key)
    around = amounts(pad, len(shape))
    if mode != "constant":
        axes = len(pad) // 2
        if not 1 <= axes <= 3 or len(shape) not in (axes + 1, axes + 2):
            raise ShapeError(
                f"pad: mode {mode!r} pads the last 1 to 3 axes behind channels and an optional "
                f"batch axis, got {len(pad)} numbers for input of shape {shape}"
            )
        if 0 in shape[len(shape) - axes - 1 :]:
            raise ShapeError(f"input: expected nonempty axes behind the batch, got shape {shape}")
        check_pads(mode, shape[-axes:], around[-axes:], "pad")
    sizes = tuple(n + b + a for n, (b, a) in zip(shape, around, strict=True))
    if any(n < 0 for n in sizes) or any(abs(p) > MOST_BYTES for side in around for p in side):
        raise ShapeError(f"pad: {pad} of input of shape {shape} would give shape {sizes}")
    if len(shape) > 5:
        return None
    key = contiguous(typenum, sizes)
    program = _native.Program()
    x_at = _five(x_key, shape, strides).at(program.input(x_key))
    program.add_pad(
        x_at,
        _five(key, sizes, key[2]).at(program.output(key)),
        before=(0,) * (5 - len(shape)) + tuple(before for before, _ in around),
        mode=MODES[mode],
        value=value,
    )
    return program


@plan_cache
def resize(
    x_key: Key,
    size: tuple[int, int],
    scale: tuple[float | None, float | None],
    mode: str,
    align_corners: bool,
    smooth: bool,
    data_format: str,
) -> _native.Program:
    """Build the program that resizes (N, C, H, W) images; arguments are checked."""
    x = image(x_key, "input", data_format)
    check_range(size=size)
    y = output_image(x, x.size[1], *size, data_format, None)
    tables = [
        _resize.table(_resize.Axis(x.size[2 + a], size[a], scale[a], align_corners), mode, smooth)
        if (size[a], scale[a]) != (x.size[2 + a], None)
        else _resize.identity(size[a])
        for a in (0, 1)
    ]
    program = _native.Program()
    x_at = x.at(program.input(x_key))
    program.add_resize(x_at, y.at(program.output(y.key)), *tables)
    return program


def _rows(key: Key, channels_last: bool) -> View:
    """View of (n, c, inner), or (n, inner, c), as (n, c, 1, inner)."""
    (n, c, inner), (sn, sc, si) = key[1:]
    if channels_last:
        (c, inner), (sc, si) = (inner, c), (si, sc)
    return View(key, (n, c, 1, inner), (sn, sc, inner * si, si))


@plan_cache
def batch_norm(
    x_key: Key,
    factors: tuple[Key | None, ...],
    epsilon: float,
    channels_last: bool,
    activation: str | None,
) -> _native.Program:
    """Build a batch normalization of (n, c, inner) or (n, inner, c)."""
    check_choice(activation, "activation", tuple(ACTIVATIONS))
    x = _rows(x_key, channels_last)
    y = _rows(output_key(x_key[0], x_key[1], None), channels_last)
    program = _native.Program()
    x_at = x.at(program.input(x_key))
    at: list[Tensor | None] = []
    names = ("running_mean", "running_var", "weight", "bias")
    for key, name in zip(factors, names, strict=True):
        if key is None:
            at.append(None)
            continue
        check_same_dtype(key, name, x_key, "input")
        if key[1] != (x.size[1],):
            raise ShapeError(
                f"{name}: expected shape ({x.size[1]},), one for each channel, got {key[1]}"
            )
        view = View(key, (x.size[1], 1, 1, 1), (key[2][0], 0, 0, 0))
        at.append(view.at(program.input(key)))
    program.add_batch_norm(
        x_at, y.at(program.output(y.key)), *at, epsilon=epsilon, **fused(activation)
    )
    return program


@plan_cache
def local_response_norm(
    x_key: Key, size: int, alpha: float, beta: float, k: float, channels_last: bool
) -> _native.Program:
    """Build a local response normalization of (n, c, inner) or (n, inner, c)."""
    x = _rows(x_key, channels_last)
    y = _rows(output_key(x_key[0], x_key[1], None), channels_last)
    program = _native.Program()
    slots = program.input(x_key), program.output(y.key)
    views = []
    for slot, (key, shape, (sn, sc, sh, sw)) in zip(slots, (x, y), strict=True):
        # sums of an even size reach one further down here, and one further up in C (ONNX's rule):
        # seen from the last channel they are the same
        first = 0 if size % 2 else (shape[1] - 1) * sc
        views.append((slot, key[0], first, shape, (sn, sc if size % 2 else -sc, sh, sw)))
    program.add_response(*views, size=size, alpha=alpha, beta=beta, bias=k)
    return program


@plan_cache
def pixel_shuffle(x_key: Key, factor: int, inverse: bool, data_format: str) -> _native.Program:
    """Build the copies, one for each place in a block of factor x factor pixels."""
    check_dtype(x_key)
    x = image(x_key, "input", data_format)
    n, c, h, w = x.size
    square = factor * factor
    if inverse and (h % factor or w % factor):
        raise ShapeError(
            f"input: expected height and width divisible by {factor}, got shape {x_key[1]}"
        )
    if not inverse and c % square:
        raise ShapeError(
            f"input: expected channels divisible by {square} = {factor}*{factor}, got shape "
            f"{x_key[1]}"
        )
    sizes = (
        (c * square, h // factor, w // factor) if inverse else (c // square, h * factor, w * factor)
    )
    y = output_image(x, *sizes, data_format, None)
    program = _native.Program()
    x_slot, y_slot = program.input(x_key), program.output(y.key)
    deep, wide = (y, x) if inverse else (x, y)
    for i in range(factor):
        for j in range(factor):
            few = (n, wide.size[1], *deep.size[2:])
            parts = {
                id(deep): (
                    (i * factor + j) * deep.stride[1],
                    (deep.stride[0], deep.stride[1] * square, *deep.stride[2:]),
                ),
                id(wide): (
                    i * wide.stride[2] + j * wide.stride[3],
                    (*wide.stride[:2], wide.stride[2] * factor, wide.stride[3] * factor),
                ),
            }
            views = [
                (slot, v.key[0], parts[id(v)][0], few, parts[id(v)][1])
                for slot, v in ((x_slot, x), (y_slot, y))
            ]
            program.add_copy(*views)
    return program
