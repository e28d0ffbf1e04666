"""Plans of padding: built once, then kept."""

from __future__ import annotations

from typing import Any

from . import _native, shapes
from ._views import MOST_BYTES, Key, Volume, check_choice, contiguous, dtype_name
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


@plan_cache
def pad(x_key: Key, pad: Any, mode: str, value: float) -> _native.Program | None:
    """Check everything about a padding and build its program; None for more than five axes."""
    check_choice(mode, "mode", tuple(MODES))
    typenum, shape, strides = x_key
    if not _native.has_dtype(typenum):
        raise TypeError(
            f"input: expected a floating or integer dtype of 1 to 8 bytes, got "
            f"{dtype_name(typenum)}"
        )
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
