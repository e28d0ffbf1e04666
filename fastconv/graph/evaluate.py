"""Operators on known arrays, in NumPy: shape arithmetic and constant folding.

What is here runs while a graph is loaded or a plan is made, never on images. Sizes are checked
before memory is taken: a file may claim anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from ..errors import ShapeError
from .ir import Array, Node

#: Arrays of more bytes are not computed while planning.
MOST_BYTES = 1 << 32

Function = Callable[..., Any]


def _axis(axis: int, rank: int) -> int:
    if not -rank <= axis < max(rank, 1):
        raise ShapeError(f"axis {axis} is outside the {rank} axes")
    return axis % max(rank, 1)


def sizes(array: Array) -> tuple[int, ...]:
    """A known array as a tuple of integers.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.evaluate import sizes
    >>> sizes(np.array([2, 3]))
    (2, 3)
    """
    return tuple(int(n) for n in np.asarray(array).reshape(-1))


def check_bytes(shape: Sequence[int], itemsize: int) -> None:
    """Refuse arrays that are negative in size or beyond all measure."""
    if any(n < 0 for n in shape) or prod(shape) * itemsize > MOST_BYTES:
        raise ShapeError(f"an array of shape {tuple(shape)} is impossible or too large")


def normalized_axes(axes: Sequence[int], rank: int) -> tuple[int, ...]:
    """Axes from 0 up, each at most once.

    Examples
    --------
    >>> from fastconv.graph.evaluate import normalized_axes
    >>> normalized_axes((-1, 0), 3)
    (2, 0)
    """
    result = tuple(_axis(int(axis), rank) for axis in axes)
    if len(set(result)) != len(result):
        raise ShapeError(f"axes {tuple(axes)} name an axis twice")
    return result


def reshaped(shape: Sequence[int], wanted: Sequence[int], *, allow_zero: bool) -> tuple[int, ...]:
    """Shape that reshape gives: -1 is what remains, 0 the input's size unless `allow_zero`.

    Examples
    --------
    >>> from fastconv.graph.evaluate import reshaped
    >>> reshaped((2, 3, 4), (0, -1), allow_zero=False)
    (2, 12)
    """
    result = list(wanted)
    if not allow_zero:
        if any(n == 0 and i >= len(shape) for i, n in enumerate(result)):
            raise ShapeError(f"cannot reshape {tuple(shape)} to {tuple(wanted)}")
        result = [shape[i] if n == 0 else n for i, n in enumerate(result)]
    if result.count(-1) == 1:
        rest = prod(n for n in result if n != -1)
        result[result.index(-1)] = prod(shape) // rest if rest else 0
    if any(n < 0 for n in result) or prod(result) != prod(shape):
        raise ShapeError(f"cannot reshape {tuple(shape)} to {tuple(wanted)}")
    return tuple(result)


def slices(
    shape: Sequence[int],
    starts: Sequence[int],
    ends: Sequence[int],
    axes: Sequence[int] | None,
    steps: Sequence[int] | None,
) -> list[tuple[int, int, int]]:
    """(first, step, count) for each axis, as ONNX's Slice cuts.

    Examples
    --------
    >>> from fastconv.graph.evaluate import slices
    >>> slices((10, 5), [-1], [-20], [0], [-2])
    [(9, -2, 5), (0, 1, 5)]
    """
    cut = [(0, 1, n) for n in shape]
    named = normalized_axes(range(len(starts)) if axes is None else axes, len(shape))
    for axis, start, end, step in zip(named, starts, ends, steps or [1] * len(starts), strict=True):
        if step == 0:
            raise ShapeError("a slice cannot have step 0")
        first, stop, step = slice(start, end, step).indices(shape[axis])
        cut[axis] = first, step, max(0, -(-(stop - first) // step))
    return cut


def split_sizes(
    size: int, parts: Sequence[int] | None, count: int, *, even: bool
) -> tuple[int, ...]:
    """Sizes of so many parts of an axis; the last is smaller where it does not go up.

    Examples
    --------
    >>> from fastconv.graph.evaluate import split_sizes
    >>> split_sizes(7, None, 3, even=False)
    (3, 3, 1)
    """
    if parts is None:
        if even and size % count:
            raise ShapeError(f"an axis of size {size} does not split into {count} equal parts")
        chunk = -(-size // count)
        parts = [min(chunk, max(0, size - i * chunk)) for i in range(count)]
    if len(parts) != count or sum(parts) != size or min(parts, default=0) < 0:
        raise ShapeError(f"an axis of size {size} does not split into {tuple(parts)}")
    return tuple(int(n) for n in parts)


def _reshape(x: Array, shape: Array, *, allow_zero: bool = False) -> Array:
    return x.reshape(reshaped(x.shape, sizes(shape), allow_zero=allow_zero))


def flattened(shape: Sequence[int], axis: int) -> tuple[int, int]:
    """Shape of a flattened array.

    Examples
    --------
    >>> from fastconv.graph.evaluate import flattened
    >>> flattened((2, 3, 4), 1)
    (2, 12)
    """
    if not -len(shape) <= axis <= len(shape):
        raise ShapeError(f"axis {axis} is outside the {len(shape)} axes")
    axis = axis + len(shape) if axis < 0 else axis
    return prod(shape[:axis]), prod(shape[axis:])


def squeezed(shape: Sequence[int], axes: Sequence[int] | None) -> tuple[int, ...]:
    """Shape without the named axes of size 1 (all of them by default).

    Examples
    --------
    >>> from fastconv.graph.evaluate import squeezed
    >>> squeezed((1, 3, 1), [0])
    (3, 1)
    """
    if axes is None:
        return tuple(n for n in shape if n != 1)
    named = normalized_axes(axes, len(shape))
    if any(shape[a] != 1 for a in named):
        raise ShapeError(f"cannot squeeze axes {tuple(axes)} of shape {tuple(shape)}")
    return tuple(n for a, n in enumerate(shape) if a not in named)


def unsqueezed(shape: Sequence[int], axes: Sequence[int]) -> tuple[int, ...]:
    """Shape with new axes of size 1 at the named places.

    Examples
    --------
    >>> from fastconv.graph.evaluate import unsqueezed
    >>> unsqueezed((3, 4), [0, -1])
    (1, 3, 4, 1)
    """
    named = normalized_axes(axes, len(shape) + len(axes))
    rest = iter(shape)
    return tuple(1 if a in named else next(rest) for a in range(len(shape) + len(axes)))


def _transpose(x: Array, *, perm: Sequence[int] | None = None) -> Array:
    return x.transpose(perm)


def _concat(*arrays: Array, axis: int) -> Array:
    return np.concatenate(arrays, axis)


def _split(x: Array, parts: Array | None = None, *, axis: int, pieces: int, even: bool) -> Any:
    axis = _axis(axis, x.ndim)
    chosen = split_sizes(x.shape[axis], None if parts is None else sizes(parts), pieces, even=even)
    return tuple(np.split(x, np.cumsum(chosen)[:-1], axis))


def _slice(
    x: Array, starts: Array, ends: Array, axes: Array | None = None, steps: Array | None = None
) -> Array:
    cut = slices(
        x.shape,
        sizes(starts),
        sizes(ends),
        None if axes is None else sizes(axes),
        None if steps is None else sizes(steps),
    )
    places = [np.arange(count) * step + first for first, step, count in cut]
    return x[np.ix_(*places)] if places else x


def _gather(x: Array, indices: Array, *, axis: int = 0) -> Array:
    axis = _axis(axis, x.ndim)
    n = x.shape[axis]
    if indices.size and not (-n <= int(indices.min()) and int(indices.max()) < n):
        raise ShapeError(f"an index is outside an axis of size {n}")
    return np.asarray(np.take(x, indices, axis))


def expanded(shape: Sequence[int], target: Sequence[int]) -> tuple[int, ...]:
    """Shape that both broadcast to.

    Examples
    --------
    >>> from fastconv.graph.evaluate import expanded
    >>> expanded((3, 1), (2, 1, 4))
    (2, 3, 4)
    """
    try:
        return tuple(np.broadcast_shapes(tuple(shape), tuple(target)))
    except ValueError:
        raise ShapeError(f"shapes {tuple(shape)} and {tuple(target)} do not broadcast") from None


def _expand(x: Array, shape: Array) -> Array:
    wanted = expanded(x.shape, sizes(shape))
    check_bytes(wanted, x.itemsize)
    return np.broadcast_to(x, wanted)


def _tile(x: Array, repeats: Array) -> Array:
    times = sizes(repeats)
    check_bytes([n * t for n, t in zip(x.shape, times, strict=True)], x.itemsize)
    return np.asarray(np.tile(x, times))


def _constant_of_shape(shape: Array, *, value: Array) -> Array:
    check_bytes(sizes(shape), value.itemsize)
    return np.full(sizes(shape), value.reshape(-1)[0])


def _range(start: Array, limit: Array, delta: Array) -> Array:
    first, last, step = (a.reshape(-1)[0] for a in (start, limit, delta))
    count = max(0, int(np.ceil((last - first) / step))) if step else 0
    check_bytes([count], start.itemsize)
    return np.asarray(first + np.arange(count) * step, start.dtype)


def _cast(x: Array, *, dtype: np.dtype[Any]) -> Array:
    if x.dtype.kind == "f" and dtype.kind in "iu":
        info = np.iinfo(dtype)
        inside = np.clip(np.nan_to_num(x.astype(np.float64)), info.min, info.max)
        return inside.astype(dtype)
    return x.astype(dtype)


def _divide(a: Array, b: Array) -> Array:
    if a.dtype.kind in "iu":
        if not b.all():
            raise ShapeError("an integer is divided by zero")
        quotient = np.floor_divide(abs(a.astype(np.int64)), abs(b.astype(np.int64)))
        return (np.sign(a) * np.sign(b) * quotient).astype(a.dtype)  # towards zero, as C divides
    with np.errstate(all="ignore"):
        return np.asarray(a / b)


BINARY: dict[str, Function] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": _divide,
    "min": np.minimum,
    "max": np.maximum,
    "pow": lambda a, b: np.power(a, b).astype(a.dtype),
    "prelu": lambda a, b: np.where(a < 0, a * b, a),
    "equal": np.equal,
    "not_equal": np.not_equal,
    "less": np.less,
    "less_or_equal": np.less_equal,
    "and": np.logical_and,
    "or": np.logical_or,
    "xor": np.logical_xor,
}
UNARY: dict[str, Function] = {
    "neg": np.negative,
    "abs": np.abs,
    "reciprocal": np.reciprocal,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.rint,
    "sign": np.sign,
    "not": np.logical_not,
}


def _binary(a: Array, b: Array, *, function: str, **fused: Any) -> Array | None:
    shape = expanded(a.shape, b.shape)
    check_bytes(shape, a.itemsize)
    if a.dtype != b.dtype and function != "pow":
        raise ShapeError(f"operands of dtypes {a.dtype} and {b.dtype}")
    with np.errstate(all="ignore"):
        return np.asarray(BINARY[function](a, b)) if not fused.get("activation") else None


def _unary(x: Array, *, function: str) -> Array | None:
    if function not in UNARY:
        return None
    with np.errstate(all="ignore"):
        return np.asarray(UNARY[function](x)).astype(x.dtype if function != "not" else bool)


_REDUCE: dict[str, Function] = {
    "sum": np.sum,
    "mean": np.mean,
    "max": np.max,
    "min": np.min,
    "prod": np.prod,
}


def reduced_axes(rank: int, axes: Sequence[int] | None, *, empty_is_none: bool) -> tuple[int, ...]:
    """Axes that a reduction goes over: all of them by default.

    Examples
    --------
    >>> from fastconv.graph.evaluate import reduced_axes
    >>> reduced_axes(3, None, empty_is_none=False), reduced_axes(3, (), empty_is_none=True)
    ((0, 1, 2), ())
    """
    if axes is None or len(axes) == 0:
        return () if empty_is_none else tuple(range(rank))
    return normalized_axes(axes, rank)


def _reduce(
    x: Array, axes: Array | None = None, *, function: str, keep: bool, empty_is_none: bool = False
) -> Array | None:
    if function not in _REDUCE:
        return None
    over = reduced_axes(x.ndim, None if axes is None else sizes(axes), empty_is_none=empty_is_none)
    if function in ("max", "min"):
        limits = np.iinfo(x.dtype) if x.dtype.kind in "iu" else None
        low, high = (limits.min, limits.max) if limits else (-np.inf, np.inf)
        start = low if function == "max" else high
        if x.dtype == bool:
            start = function == "min"
        found = _REDUCE[function](x, axis=over, keepdims=keep, initial=start)
    else:
        found = _REDUCE[function](x, axis=over, keepdims=keep)
    return np.asarray(found).astype(x.dtype)


EVALUATE: dict[str, Function] = {
    "identity": lambda x: x,
    "reshape": _reshape,
    "flatten": lambda x, *, axis: x.reshape(flattened(x.shape, axis)),
    "squeeze": lambda x, axes=None: x.reshape(
        squeezed(x.shape, None if axes is None else sizes(axes))
    ),
    "unsqueeze": lambda x, axes: x.reshape(unsqueezed(x.shape, sizes(axes))),
    "align": lambda x, like, *, axis: x.reshape(
        *x.shape, *(1,) * (like.ndim - _axis(axis, like.ndim) - x.ndim)
    ),
    "transpose": _transpose,
    "concat": _concat,
    "split": _split,
    "slice": _slice,
    "gather": _gather,
    "expand": _expand,
    "tile": _tile,
    "constant_of_shape": _constant_of_shape,
    "range": _range,
    "cast": _cast,
    "binary": _binary,
    "unary": _unary,
    "reduce": _reduce,
    "choose": lambda c, a, b: np.where(c, a, b),
}


def evaluate(node: Node, arrays: Sequence[Array | None]) -> tuple[Array, ...] | None:
    """Outputs of a node whose inputs are known; None if it has to run in a program.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.evaluate import evaluate
    >>> from fastconv.graph.ir import Node
    >>> evaluate(Node("binary", ["a", "b"], ["c"], {"function": "add"}), [np.ones(2), np.ones(2)])
    (array([2., 2.]),)
    """
    function = EVALUATE.get(node.op)
    if function is None:
        return None
    try:
        result = function(*arrays, **node.attributes)
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        raise ShapeError(f"{node.label}: {error}") from None
    if result is None:
        return None
    return result if isinstance(result, tuple) else (np.asarray(result),)
