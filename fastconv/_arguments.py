"""Arguments of the functional operators, before anything is planned."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _native, shapes
from ._views import Array, Key
from .errors import ShapeError


def hashable(value: Any, name: str) -> Any:
    """Turn an argument that may be a sequence into a key for the plan cache.

    Elements must be integers here and now, since 1, 1.0 and True would be one key in a tuple.
    """
    if value is None or type(value) in (int, str, bool, float):
        return value
    if type(value) is tuple and len(value) == 2 and type(value[0]) is type(value[1]) is int:
        return value  # by far the most common sequence
    if isinstance(value, (list, tuple)):
        return tuple(
            hashable(item, name)
            if isinstance(item, (list, tuple))
            else shapes.integer(item, f"{name}[{i}]")
            for i, item in enumerate(value)
        )
    if isinstance(value, np.ndarray) and value.ndim:
        return hashable(value.tolist(), name)
    return shapes.integer(value, name)


def word(value: Any, name: str) -> Any:
    """Pass an argument that is one of a few words, or None."""
    if value is None or isinstance(value, str):
        return value
    raise TypeError(f"{name}: expected a string, got {type(value).__name__}")


def given(stride: Any) -> bool:
    """Whether a pool's stride is given: None and, as in PyTorch, an empty sequence are not."""
    return stride is not None and not (hasattr(stride, "__len__") and len(stride) == 0)


def _overlaps_itself(array: Array) -> bool:
    """Whether two elements may share memory: steps that do not clear the axes inside them."""
    reach = array.itemsize
    axes = sorted(
        (abs(step), size) for step, size in zip(array.strides, array.shape, strict=True) if size > 1
    )
    for step, size in axes:
        if step < reach:
            return True
        reach += step * (size - 1)
    return False


def check_out(out: Any, *inputs: Array | None, shape: tuple[int, ...] | None = None) -> Key:
    """Key of an output array that can be written: aligned, writeable, apart from all inputs."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out: expected a NumPy array, got {type(out).__name__}")
    if not out.flags.writeable:
        raise ValueError("out: expected a writeable array, got a read-only one")
    described, key = _native.describe(out, "out")
    if described is not out:
        raise ValueError("out: expected an aligned array of native byte order, got another")
    if shape is not None and key[1] != shape:
        raise ShapeError(f"out: expected shape {shape}, got {key[1]}")
    if out.size and _overlaps_itself(out):
        raise ValueError(f"out: its elements overlap each other (strides {out.strides})")
    for array in inputs:
        if array is None or not np.may_share_memory(out, array):
            continue
        try:
            shared = np.shares_memory(out, array, max_work=100_000)  # type: ignore[arg-type]
        except np.exceptions.TooHardError:
            shared = True
        if shared:
            raise ValueError("out: expected memory of its own, got an array that overlaps an input")
    return key
