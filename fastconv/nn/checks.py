"""Checks of constructor arguments that several layers share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..shapes import integer

__all__ = ["check_choice", "check_dtype", "check_flag", "read_shape"]


def read_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """Check that a shape is a sequence of integers that are not negative.

    Examples
    --------
    >>> from fastconv.nn.checks import read_shape
    >>> read_shape([3, 32, 32])
    (3, 32, 32)
    """
    if isinstance(shape, (str, bytes)) or not hasattr(shape, "__iter__"):
        raise TypeError(f"input_shape must be a sequence of integers, got {shape!r}")
    return tuple(integer(size, f"input_shape[{i}]", 0) for i, size in enumerate(shape))


def check_dtype(dtype: Any) -> np.dtype[Any]:
    """Check that a layer's dtype is one that fastconv computes in.

    Examples
    --------
    >>> from fastconv.nn.checks import check_dtype
    >>> check_dtype("float64")
    dtype('float64')
    """
    result: np.dtype[Any] = np.dtype(dtype)
    if result not in (np.float32, np.float64):
        raise TypeError(f"dtype must be float32 or float64, got {result}")
    return result


def check_flag(value: Any, name: str) -> bool:
    """Check that an argument is a truth value.

    Examples
    --------
    >>> from fastconv.nn.checks import check_flag
    >>> check_flag(True, "bias")
    True
    """
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def check_choice(value: Any, name: str, choices: Sequence[Any]) -> Any:
    """Check that an argument is one of a few words.

    Examples
    --------
    >>> from fastconv.nn.checks import check_choice
    >>> check_choice("NHWC", "data_format", ("NCHW", "NHWC"))
    'NHWC'
    """
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
    return value
