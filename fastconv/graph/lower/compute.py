"""Functions of elements, softmax and reductions."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, prod
from typing import Any

import numpy as np

from ... import _native
from ..._conv_plans import ACTIVATIONS
from ...errors import UnsupportedOperatorError
from ..builder import Builder
from ..evaluate import expanded, normalized_axes, reduced_axes, sizes
from ..steps import At, image
from ..strips import Window
from ..tensors import Known, Tensor, Value, contiguous
from .moving import cast, transpose

BINARY = {
    "add": 0,
    "sub": 1,
    "mul": 2,
    "div": 3,
    "min": 4,
    "max": 5,
    "prelu": 6,
    "pow": 7,
    "equal": 8,
    "not_equal": 9,
    "less": 10,
    "less_or_equal": 11,
}
UNARY = {
    "neg": 0,
    "abs": 1,
    "reciprocal": 2,
    "exp": 3,
    "log": 4,
    "sqrt": 5,
    "erf": 6,
    "floor": 7,
    "ceil": 8,
    "round": 9,
    "sign": 10,
}
#: What logic is where truth values are the numbers 0 and 1.
LOGIC = {"and": "min", "or": "max", "xor": "not_equal"}
REDUCE = {
    "sum": 0,
    "mean": 1,
    "max": 2,
    "min": 3,
    "prod": 4,
    "l1": 5,
    "l2": 6,
    "sum_square": 7,
    "log_sum": 8,
    "log_sum_exp": 9,
}


def check_floating(*values: Value | None) -> None:
    """Refuse operands that are not float32 or float64 alike.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.lower.compute import check_floating
    >>> from fastconv.graph.tensors import Known
    >>> check_floating(Known(np.ones(1)), Known(np.ones(2)))
    """
    dtypes = {value.dtype for value in values if value is not None}
    if len(dtypes) > 1 or not dtypes <= {np.dtype(np.float32), np.dtype(np.float64)}:
        found = ", ".join(sorted(map(str, dtypes)))
        raise UnsupportedOperatorError(f"computes float32 or float64 operands alike, got {found}")


def _result(b: Builder, values: list[Value], dtype: Any) -> Tensor:
    """The tensor of an element-wise function: laid out as the largest operand that exists."""
    shape: tuple[int, ...] = ()
    for value in values:
        shape = expanded(shape, value.shape)
    tensors = [v for v in values if isinstance(v, Tensor) and len(v.shape) == len(shape)]
    like = max(tensors, key=lambda t: t.size, default=None)
    if like is None or like.size == 0:
        return b.own(shape, dtype, contiguous(shape))
    return b.new(shape, dtype, like=like)


def activate(b: Builder, x: Value, *, name: str, alpha: float = 0.0) -> Value:
    """Apply an activation, softplus without a threshold."""
    check_floating(x)
    x = b.tensor(x)
    y = b.new(x.shape, x.dtype, like=x)
    code = ACTIVATIONS[name]

    def add(program: _native.Program, t: list[Any]) -> None:
        program.add_elementwise(t[1], t[0], activation=code, alpha=alpha, beta=inf)

    b.each([x], y, add)
    return y


def binary(
    b: Builder,
    left: Value,
    right: Value,
    *,
    function: str,
    activation: str | None = None,
    alpha: float = 0.0,
) -> Value:
    """Apply a function of two operands, then an activation."""
    if function == "pow" and isinstance(right, Known) and right.array.size == 1:
        exponent = float(right.array.reshape(-1)[0])
        if exponent in (0.5, 2.0) and activation is None:
            if exponent == 2:
                return binary(b, left, left, function="mul")
            return unary(b, left, function="sqrt")
        right = Known(right.array.astype(left.dtype))
    if function in LOGIC:
        if function == "xor":
            return binary(b, _numbers(b, left), _numbers(b, right), function="not_equal")
        numbers = binary(b, _numbers(b, left), _numbers(b, right), function=LOGIC[function])
        return truth(b, numbers, dtype=np.dtype(bool))
    check_floating(left, right)
    compares = BINARY[function] >= BINARY["equal"]
    y = _result(b, [left, right], bool if compares else left.dtype)
    operation, code = BINARY[function], ACTIVATIONS[activation]

    def add(program: _native.Program, t: list[Any]) -> None:
        program.add_binary(t[1], t[2], t[0], operation=operation, activation=code, alpha=alpha)

    b.each([b.tensor(left), b.tensor(right)], y, add)
    return y


def _numbers(b: Builder, x: Value) -> Value:
    """Truth values as the numbers 0 and 1."""
    if x.dtype != bool:
        raise UnsupportedOperatorError(f"logic of {x.dtype}")
    return cast(b, x, dtype=np.dtype(np.float32))


def clip(b: Builder, x: Value, low: Value | None = None, high: Value | None = None) -> Value:
    """Bound x from below, then from above."""
    if low is not None:
        x = binary(b, x, low, function="max")
    if high is not None:
        x = binary(b, x, high, function="min")
    return x


def affine(
    b: Builder,
    x: Value,
    scale: Value,
    shift: Value,
    *,
    activation: str | None = None,
    alpha: float = 0.0,
) -> Value:
    """Scale and shift every channel (axis 1), then an activation."""
    if len(x.shape) in (2, 3, 4) and scale.shape == shift.shape == x.shape[1:2]:
        return _affine_image(b, x, scale, shift, ACTIVATIONS[activation], alpha)
    inner = (1,) * (len(x.shape) - 2)

    def along_channels(value: Value) -> Value:
        if isinstance(value, Known):
            return Known(value.array.reshape(-1, *inner), value.name)
        return value.view((*value.shape, *inner), (*value.strides, *inner))

    scaled = binary(b, x, along_channels(scale), function="mul")
    return binary(
        b, scaled, along_channels(shift), function="add", activation=activation, alpha=alpha
    )


def _affine_image(
    b: Builder, x: Value, scale: Value, shift: Value, code: int, alpha: float
) -> Value:
    check_floating(x, scale, shift)
    x, weight, bias = b.tensor(x), b.tensor(scale), b.tensor(shift)
    y = b.new(x.shape, x.dtype, like=x)
    source, target = image(x), image(y)

    def add(program: _native.Program, at: At) -> None:
        factors = (at(t, (t.size, 1, 1, 1), (t.strides[0], 0, 0, 0), 0) for t in (weight, bias))
        program.add_batch_norm(
            source.at(at),
            target.at(at),
            None,
            None,
            *factors,
            epsilon=0.0,
            activation=code,
            alpha=alpha,
        )

    b.step([x, weight, bias], [y], add, (y, x), by_image=True, window=Window())
    return y


def unary(b: Builder, x: Value, *, function: str) -> Value:
    """Apply a mathematical function."""
    if function == "not":
        return binary(b, _numbers(b, x), Known(np.zeros((), np.float32)), function="equal")
    check_floating(x)
    x = b.tensor(x)
    y = b.new(x.shape, x.dtype, like=x)
    code = UNARY[function]
    b.each([x], y, lambda p, t: p.add_unary(t[1], t[0], operation=code))
    return y


def choose(b: Builder, condition: Value, left: Value, right: Value) -> Value:
    """Choose one of two operands."""
    if left.dtype != right.dtype or left.dtype.itemsize < 4 or condition.dtype != bool:
        raise UnsupportedOperatorError(f"a choice of {left.dtype} and {right.dtype}")
    y = _result(b, [left, right, condition], left.dtype)
    reads = [b.tensor(condition), b.tensor(left), b.tensor(right)]
    b.each(reads, y, lambda p, t: p.add_choose(t[1], t[2], t[3], t[0]), in_place=False)
    return y


def softmax(b: Builder, x: Value, *, axis: int, log: bool = False, flat: bool = False) -> Value:
    """Exponentials that add up to 1 along an axis; `flat`: along all axes from that on."""
    check_floating(x)
    x = b.tensor(x)
    rank = len(x.shape)
    axis = normalized_axes([axis], rank)[0] if rank else 0
    x = b.compact(x)
    y = b.own(x.shape, x.dtype, contiguous(x.shape))
    end = rank if flat else axis + 1
    outer, count, inner = prod(x.shape[:axis]), prod(x.shape[axis:end]), prod(x.shape[end:])
    size, stride = (outer, count, inner, 1), (count * inner, inner, 1, 0)

    def add(program: _native.Program, at: At) -> None:
        program.add_softmax(at(x, size, stride, 0), at(y, size, stride, 0))

    if 0 not in x.shape:
        b.step([x], [y], add, (y, x))
    return unary(b, y, function="log") if log else y


def reduce(
    b: Builder,
    x: Value,
    axes: Value | None = None,
    *,
    function: str,
    keep: bool,
    empty_is_none: bool = False,
) -> Value:
    """Reduce over axes (all of them by default)."""
    check_floating(x)
    x = b.tensor(x)
    rank = len(x.shape)
    named = None if axes is None else sizes(axes.array)  # type: ignore[union-attr]
    over = reduced_axes(rank, named, empty_is_none=empty_is_none)
    shape = tuple(1 if a in over else n for a, n in enumerate(x.shape))
    y = b.own(shape, x.dtype, contiguous(shape))
    _add_reduce(b, x, y, over, REDUCE[function])
    if keep:
        return y
    left = tuple(n for a, n in enumerate(x.shape) if a not in over)
    return y.view(left, contiguous(left))


def _steps_evenly(x: Tensor, y: Tensor, over: tuple[int, ...], outer: int, inner: int) -> bool:
    """Whether two axes are like one, for x and, if they are kept, for y."""
    even = x.strides[outer] == x.strides[inner] * x.shape[inner]
    if (outer in over) != (inner in over) or not even:
        return False
    return inner in over or y.strides[outer] == y.strides[inner] * y.shape[inner]


def _add_reduce(b: Builder, x: Tensor, y: Tensor, over: tuple[int, ...], operation: int) -> None:
    """Append a reduction; axes of x are merged until at most four remain."""
    if y.size == 0:
        return
    order = sorted(range(len(x.shape)), key=lambda a: (-abs(x.strides[a]), a))
    groups: list[list[int]] = []
    for a in order:
        if x.shape[a] == 1:
            continue
        if groups and _steps_evenly(x, y, over, groups[-1][-1], a):
            groups[-1].append(a)
        else:
            groups.append([a])
    if len(groups) > 4:
        kept = [a for a in range(len(x.shape)) if a not in over]
        moved = transpose(b, x, perm=(*kept, *over))
        x = b.compact(moved)
        rows, terms = prod(x.shape[: len(kept)]), prod(x.shape[len(kept) :])
        views = [
            x.view((1, 1, rows, terms), (0, 0, terms, 1)),
            y.view((1, 1, rows, 1), (0, 0, 1, 0)),
        ]
        b.step(
            [views[0]],
            [views[1]],
            lambda p, at: p.add_reduce(
                *(at(v, v.shape, v.strides, 0) for v in views), operation=operation
            ),
        )
        return
    missing = (1,) * (4 - len(groups))
    x_size = (*missing, *(prod(x.shape[a] for a in g) for g in groups))
    x_stride = (*missing, *(x.strides[g[-1]] for g in groups))
    y_size = (*missing, *(prod(y.shape[a] for a in g) for g in groups))
    y_stride = (*missing, *(y.strides[g[-1]] for g in groups))

    def add(program: _native.Program, at: At) -> None:
        program.add_reduce(
            at(x, x_size, x_stride, 0), at(y, y_size, y_stride, 0), operation=operation
        )

    x.storage.movable = False
    y.storage.movable = False
    b.step([x], [y], add)


def extreme(
    b: Builder, x: Value, *, axis: int, keep: bool, smallest: bool = False, last: bool = False
) -> Value:
    """Where x is largest or smallest along an axis."""
    check_floating(x)
    x = b.compact(b.tensor(x))
    axis = normalized_axes([axis], len(x.shape))[0]
    outer, count, inner = prod(x.shape[:axis]), x.shape[axis], prod(x.shape[axis + 1 :])
    shape = (*x.shape[:axis], *((1,) if keep else ()), *x.shape[axis + 1 :])
    y = b.own(shape, np.int64, contiguous(shape))

    def add(program: _native.Program, at: At) -> None:
        program.add_extreme(
            at(x, (outer, count, inner, 1), (count * inner, inner, 1, 0), 0),
            at(y, (outer, 1, inner, 1), (inner, 0, 1, 0), 0),
            smallest=smallest,
            last=last,
        )

    b.step([x], [y], add)
    return y


def truth(b: Builder, x: Value, *, dtype: np.dtype[Any]) -> Value:
    """Convert to another dtype; to bool: whether an element is not 0."""
    if dtype.kind != "b" or x.dtype.kind == "b":
        return cast(b, x, dtype=dtype)
    return binary(b, x, Known(np.zeros((), x.dtype)), function="not_equal")


LOWER: dict[str, Callable[..., Any]] = {
    "activation": activate,
    "binary": binary,
    "clip": clip,
    "affine": affine,
    "unary": unary,
    "choose": choose,
    "softmax": softmax,
    "reduce": reduce,
    "extreme": extreme,
    "cast": truth,
}
