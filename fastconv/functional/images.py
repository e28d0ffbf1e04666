"""Padding."""

from __future__ import annotations

import functools
from math import prod
from typing import Any

import numpy as np

from .. import _image_plans, _native
from .._arguments import hashable, word
from .._views import Array


def pad(
    input: Array,
    pad: Any,
    mode: str = "constant",
    value: float | None = None,
    *,
    num_threads: int | None = None,
) -> Array:
    """Add to the sides of an array, or cut off where numbers are negative.

    Parameters
    ----------
    input : ndarray
        Of any dtype that `max_pool2d` takes and of any shape.
    pad : sequence of int
        (before, after) of the last axis, then of the one before it, and so on, as in PyTorch.
    mode : {"constant", "reflect", "replicate", "circular"}, optional
        What is added. All but "constant" pad the last one to three axes of arrays (N, C, ...) or
        (C, ...); "reflect" mirrors without repeating the edge.
    value : float, optional
        The constant; zero by default.

    Returns
    -------
    ndarray
        A new array.

    Raises
    ------
    ShapeError
        If numbers and axes do not match, or a mode would show more than there is.
    TypeError
        If the dtype is not supported.
    ValueError
        If `mode` is not among those allowed.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.functional import pad
    >>> pad(np.array([[1.0, 2.0, 3.0]]), (2, 1), "reflect")
    array([[3., 2., 1., 2., 3., 2.]])
    """
    x, key = _native.describe(input, "input")
    amounts = hashable(pad if not isinstance(pad, list) else tuple(pad), "pad")
    if mode == "circular" and isinstance(amounts, tuple) and min(amounts, default=0) < 0:
        # what is cut off does not come around again
        sides = _image_plans.amounts(amounts, x.ndim)
        cut = (slice(max(-b, 0), n - max(-a, 0)) for n, (b, a) in zip(x.shape, sides, strict=True))
        x, key = _native.describe(x[tuple(cut)], "input")
        amounts = tuple(max(n, 0) for n in amounts)
    constant = 0.0 if value is None else float(value)
    program = _image_plans.pad(key, amounts, word(mode, "mode"), constant)
    if program is not None:
        return program.run((x,), None, num_threads)  # type: ignore[no-any-return]
    # more than five axes (and a constant): the last four first, then those in front
    front = x.shape[:-4]
    merged = np.ascontiguousarray(x).reshape(prod(front), *x.shape[-4:])
    inner = _pad(merged, amounts[:8], value=constant, num_threads=num_threads)
    back = inner.shape[1:]
    if len(amounts) > 8:
        rows = inner.reshape(*front, prod(back))
        inner = _pad(rows, (0, 0, *amounts[8:]), value=constant, num_threads=num_threads)
        front = inner.shape[:-1]
    return inner.reshape(*front, *back)


_pad = functools.partial(pad, mode="constant")
