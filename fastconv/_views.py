"""Arrays as plans see them: keys, and views of four axes; checks that operators share.

A key is (NumPy type number, shape, strides in bytes), as `_native.describe` returns it: whatever is
planned for a key holds for every array of that key.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from ._fits import show
from .errors import ShapeError

#: An array of any dtype (numpy.typing would cost two milliseconds of import).
Array = np.ndarray[Any, np.dtype[Any]]
Key = tuple[int, tuple[int, ...], tuple[int, ...]]
Tensor = tuple[int, int, int, tuple[int, int, int, int], tuple[int, int, int, int]]

FLOAT32, FLOAT64, INT64 = 11, 12, np.dtype(np.int64).num

#: Where the channels are: the second axis, or the last.
DATA_FORMATS = ("NCHW", "NHWC")


_DTYPES: dict[int, np.dtype[Any]] = {
    np.dtype(code).num: np.dtype(code) for code in np.typecodes["All"]
}


def dtype_name(typenum: int) -> str:
    """Name of a NumPy type number, for errors."""
    return str(_DTYPES[typenum]) if typenum in _DTYPES else f"type number {typenum}"


def check_floating(key: Key, name: str) -> None:
    """Refuse what is not float32 or float64."""
    if key[0] not in (FLOAT32, FLOAT64):
        raise TypeError(
            f"{name}: expected float32 or float64, got {dtype_name(key[0])}; convert it first, "
            f"for example {name}.astype(np.float32)"
        )


def check_same_dtype(key: Key, name: str, other: Key, other_name: str) -> None:
    """Refuse mixed dtypes: nothing is cast silently."""
    if key[0] != other[0]:
        raise TypeError(
            f"{name}: expected {other_name}'s dtype {dtype_name(other[0])}, got "
            f"{dtype_name(key[0])}"
        )


LARGEST = 2**31 - 1
MOST_BYTES = 2**47


def check_range(**sizes: tuple[Any, ...]) -> None:
    """Refuse sizes that C cannot count in comfort, naming the argument."""
    for name, values in sizes.items():
        for value in values:
            if isinstance(value, tuple):
                check_range(**{name: value})
            elif value > LARGEST:
                raise ShapeError(f"{name}: expected sizes up to {LARGEST}, got {show(value)}")


def check_choice(value: Any, name: str, choices: Sequence[Any]) -> None:
    """Refuse what is not one of a few words."""
    if not (value is None or isinstance(value, str)) or value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, choices))}, got {value!r}")


def contiguous(typenum: int, shape: tuple[int, ...]) -> Key:
    """Key of a new C-contiguous array."""
    step = _DTYPES[typenum].itemsize
    strides = []
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    if step > MOST_BYTES:
        raise ShapeError(f"output: one of shape {shape} would exceed the address space")
    return typenum, shape, tuple(reversed(strides))


class View(NamedTuple):
    """An array seen through four axes: for images (N, C, H, W), whatever its layout."""

    key: Key
    size: tuple[int, int, int, int]
    stride: tuple[int, int, int, int]

    def at(self, slot: int) -> Tensor:
        """The view as programs take it."""
        return slot, self.key[0], 0, self.size, self.stride


class Volume(NamedTuple):
    """An array seen through five axes: (N, C, D, H, W), whatever its layout."""

    key: Key
    size: tuple[int, int, int, int, int]
    stride: tuple[int, int, int, int, int]

    def at(self, slot: int) -> tuple[Any, ...]:
        """The view as programs take it."""
        return slot, self.key[0], 0, self.size, self.stride


def image(key: Key, name: str, data_format: str, *, nonempty: bool = True) -> View:
    """View of an (N, C, H, W) or (C, H, W) array; channels last with data_format="NHWC"."""
    _, shape, strides = key
    if len(shape) not in (3, 4):
        raise ShapeError(
            f"{name}: expected {'x'.join(data_format)}, or the same without N, got shape {shape}"
        )
    if len(shape) == 3:
        shape, strides = (1, *shape), (0, *strides)
    if data_format == "NHWC":
        shape = (shape[0], shape[3], shape[1], shape[2])
        strides = (strides[0], strides[3], strides[1], strides[2])
    if prod(shape) > MOST_BYTES:
        raise ShapeError(f"{name}: shape {key[1]} is too large: expected at most 2**47 elements")
    if nonempty and 0 in shape[1:]:
        raise ShapeError(f"{name}: expected at least one channel, row and column, got {key[1]}")
    return View(key, shape, strides)  # type: ignore[arg-type]


def output_key(typenum: int, shape: tuple[int, ...], out: Key | None) -> Key:
    """Key of the output: a new array's, or that of `out` once it is known to fit."""
    if out is None:
        return contiguous(typenum, shape)
    if out[0] != typenum:
        raise TypeError(f"out: expected dtype {dtype_name(typenum)}, got {dtype_name(out[0])}")
    if out[1] != shape:
        raise ShapeError(f"out: expected shape {shape}, got {out[1]}")
    return out


def output_image(
    x: View,
    channels: int,
    height: int,
    width: int,
    data_format: str,
    out: Key | None,
    typenum: int | None = None,
) -> View:
    """View of an output with x's batch and layout."""
    shape: tuple[int, ...] = (x.size[0], channels, height, width)
    if data_format == "NHWC":
        shape = (x.size[0], height, width, channels)
    if len(x.key[1]) == 3:
        shape = shape[1:]
    key = output_key(x.key[0] if typenum is None else typenum, shape, out)
    return image(key, "out", data_format, nonempty=False)
