"""What cannot be computed is refused: ValueError or TypeError that names the argument."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import pytest

import fastconv
from fastconv import functional as F
from fastconv.errors import ShapeError

X = np.zeros((2, 4, 6, 7), np.float32)
W = np.zeros((6, 4, 3, 3), np.float32)
B = np.zeros(6, np.float32)
POOLS = (F.max_pool2d, F.avg_pool2d)

EITHER = (TypeError, ValueError)
Errors: TypeAlias = type[Exception] | tuple[type[Exception], ...]
Refused: TypeAlias = tuple[str, Callable[[], Any], Errors, str]

#: Calls that a type checker would refuse as well.
conv2d: Any = F.conv2d
softmax: Any = F.softmax
max_pool2d: Any = F.max_pool2d
avg_pool2d: Any = F.avg_pool2d
set_num_threads: Any = fastconv.set_num_threads


#: What is no size, stride, padding or count: name, value, the error that it gives.
WRONG_NUMBERS: list[tuple[str, Any, Errors]] = [
    ("minus-one", -1, ValueError),
    ("float", 1.5, TypeError),
    ("whole-float", 2.0, TypeError),
    ("bool", True, TypeError),
    ("text", "2", EITHER),
    ("nan", float("nan"), TypeError),
    ("array-of-floats", np.array([1.0, 1.0]), TypeError),
    ("object", object(), TypeError),
    ("dictionary", {1: 2}, TypeError),
    ("beyond-64-bits", 2**70, ValueError),
    ("below-64-bits", -(2**70), ValueError),
    ("pair-with-minus", (1, -1), ValueError),
    ("three", (1, 1, 1), ValueError),
    ("pair-with-none", (1, None), TypeError),
]


def _parameters() -> list[Refused]:
    """Return every integer parameter with values that no operator takes."""
    owners: list[tuple[str, Callable[..., Any], list[str]]] = [
        ("conv2d", lambda **k: conv2d(X, W, B, **k), ["stride", "padding", "dilation", "groups"]),
        (
            "im2col-algorithm",
            lambda **k: conv2d(X, W, B, algorithm="im2col", **k),
            ["stride", "padding", "dilation", "groups"],
        ),
        (
            "max_pool2d",
            lambda **k: max_pool2d(X, **{"kernel_size": 2, **k}),
            ["kernel_size", "stride", "padding", "dilation"],
        ),
        (
            "avg_pool2d",
            lambda **k: avg_pool2d(X, **{"kernel_size": 2, **k}),
            ["kernel_size", "stride", "padding"],
        ),
        (
            "unfold",
            lambda **k: F.unfold(X, **{"kernel_size": 2, **k}),
            ["kernel_size", "stride", "padding", "dilation"],
        ),
        (
            "fold",
            lambda **k: F.fold(
                np.zeros((2, 16, 30), np.float32), **{"output_size": (6, 7), "kernel_size": 2, **k}
            ),
            ["output_size", "kernel_size", "stride", "padding", "dilation"],
        ),
    ]
    table: list[Refused] = []
    for owner, call, names in owners:
        for name in names:
            for label, value, error in WRONG_NUMBERS:
                if name in ("stride", "dilation") and label == "beyond-64-bits":
                    continue  # one window fits with any stride: see test_huge_sizes
                if name == "groups" and isinstance(value, tuple):
                    error = TypeError
                said = "kernel" if label == "beyond-64-bits" and "kernel" in name else name
                table.append(
                    (f"{owner}-{name}-{label}", partial(call, **{name: value}), error, said)
                )
            if name != "padding":
                table.append((f"{owner}-{name}-zero", partial(call, **{name: 0}), ValueError, name))
            if name not in ("stride", "groups"):
                table.append(
                    (f"{owner}-{name}-empty", partial(call, **{name: ()}), ValueError, name)
                )
    return table


def _arrays() -> list[Refused]:
    """Return arrays of wrong kinds, dtypes, ranks and channels."""
    table: list[Refused] = []
    kinds: list[tuple[str, Any]] = [
        ("list", X.tolist()),
        ("none", None),
        ("number", 1.0),
        ("text", "image"),
        ("object-dtype", X.astype(object)),
        ("text-dtype", np.zeros((2, 4, 6, 7), "U3")),
        ("record", np.zeros((2, 4, 6, 7), [("a", "f4")])),
        ("complex", X.astype(complex)),
        ("float16", X.astype(np.float16)),
        ("longdouble", X.astype(np.longdouble)),
        ("bool", X.astype(bool)),
        ("datetime", X.astype("M8[s]")),
        ("nothing", np.zeros(X.shape, "V0")),
    ]
    unary: list[tuple[str, Callable[[Any], Any]]] = [
        ("conv2d", lambda a: conv2d(a, W, B)),
        ("max_pool2d", lambda a: max_pool2d(a, 2)),
        ("avg_pool2d", lambda a: avg_pool2d(a, 2)),
        ("unfold", lambda a: F.unfold(a, 2)),
        ("fold", lambda a: F.fold(a, (6, 7), 2)),
        ("relu", F.relu),
        ("softmax", F.softmax),
        ("linear", lambda a: F.linear(a, np.zeros((3, 7), np.float32))),
    ]
    empty = [(2, 0, 6, 7), (2, 4, 0, 7), (2, 4, 6, 0), (4, 0, 7)]
    for owner, function in unary:
        for label, value in kinds:
            table.append((f"{owner}-{label}", partial(function, value), TypeError, "input"))
        if owner != "max_pool2d":
            whole = X.astype(np.int32)
            table.append((f"{owner}-int32", partial(function, whole), TypeError, "input"))
        if owner not in ("relu", "softmax", "linear"):
            ranks: list[tuple[int, ...]] = [(), (4,), (1, 2, 4, 6, 7)]
            for shape in ranks + ([] if owner == "fold" else [(4, 6), *empty]):
                call = partial(function, np.zeros(shape, np.float32))
                table.append((f"{owner}-shape-{shape}", call, ShapeError, "input"))
    for label, value in kinds:
        if label != "none":
            call = partial(conv2d, X, W, value)
            table.append((f"conv2d-bias-{label}", call, TypeError, "bias"))
        table.append((f"conv2d-weight-{label}", partial(conv2d, X, value), TypeError, "weight"))
    return table


def _f32(*shape: int) -> Any:
    return np.zeros(shape, np.float32)


OTHERS: list[Refused] = [
    ("mixed-weight", lambda: conv2d(X, W.astype("f8")), TypeError, "weight"),
    ("mixed-input", lambda: conv2d(X.astype("f8"), W), TypeError, "weight|input"),
    ("mixed-bias", lambda: conv2d(X, W, B.astype("f8")), TypeError, "bias"),
    ("integer-weight", lambda: conv2d(X, W.astype("i4")), TypeError, "weight"),
    ("mixed-linear", lambda: F.linear(_f32(2, 7), np.zeros((3, 7))), TypeError, "weight"),
    ("channels", lambda: conv2d(X, _f32(6, 3, 3, 3)), ShapeError, "weight|channels"),
    ("channels-nhwc", lambda: conv2d(X, W, data_format="NHWC"), ShapeError, "weight|channels"),
    ("group-channels", lambda: conv2d(X, W, groups=2), ShapeError, "weight|groups"),
    ("groups-of-c", lambda: conv2d(X, W, groups=3), ShapeError, "groups"),
    ("groups-of-k", lambda: conv2d(X, _f32(6, 1, 3, 3), groups=4), ShapeError, "groups"),
    ("no-filters", lambda: conv2d(X, _f32(0, 4, 3, 3)), ShapeError, "weight"),
    ("no-kernel-rows", lambda: conv2d(X, _f32(6, 4, 0, 3)), ShapeError, "weight"),
    ("weight-rank-3", lambda: conv2d(X, _f32(6, 4, 3)), ShapeError, "weight"),
    ("weight-rank-5", lambda: conv2d(X, _f32(6, 4, 3, 3, 1)), ShapeError, "weight"),
    ("bias-length", lambda: conv2d(X, W, _f32(5)), ShapeError, "bias"),
    ("bias-of-one", lambda: conv2d(X, W, _f32(1)), ShapeError, "bias"),
    ("bias-rank", lambda: conv2d(X, W, _f32(6, 1)), ShapeError, "bias"),
    ("kernel-beyond-image", lambda: conv2d(X, _f32(6, 4, 7, 3)), ShapeError, "height"),
    ("kernel-beyond-width", lambda: conv2d(X, _f32(6, 4, 3, 8)), ShapeError, "width"),
    ("dilated-beyond-image", lambda: conv2d(X, W, dilation=3), ShapeError, "height"),
    ("flat-padding", lambda: conv2d(X, W, padding=(1, 1, 1, 1)), ShapeError, "padding"),
    ("padding-word", lambda: conv2d(X, W, padding="full"), ValueError, "padding.*same"),
    ("padding-ragged", lambda: conv2d(X, W, padding=((1, 1), 1)), EITHER, "padding"),
    ("padding-minus", lambda: conv2d(X, W, padding=((0, 0), (0, -1))), ShapeError, "padding"),
    ("layout-word", lambda: conv2d(X, W, data_format="CHWN"), ValueError, "data_format.*NHWC"),
    ("layout-none", lambda: conv2d(X, W, data_format=None), EITHER, "data_format"),
    ("activation-word", lambda: conv2d(X, W, activation="swoosh"), ValueError, "activation.*relu"),
    ("activation-kind", lambda: conv2d(X, W, activation=1), EITHER, "activation"),
    ("algorithm-word", lambda: conv2d(X, W, algorithm="fast"), ValueError, "algorithm.*direct"),
    ("threads-zero", lambda: conv2d(X, W, num_threads=0), ValueError, "num_threads"),
    ("threads-minus", lambda: conv2d(X, W, num_threads=-2), ValueError, "num_threads"),
    ("threads-float", lambda: conv2d(X, W, num_threads=1.5), TypeError, "num_threads"),
    ("threads-text", lambda: conv2d(X, W, num_threads="2"), TypeError, "num_threads"),
    ("strict-remainder", lambda: conv2d(X, W, stride=4, strict=True), ShapeError, "stride"),
    ("strict-pool", lambda: max_pool2d(X, 2, 3, strict=True), ShapeError, "stride"),
    ("max-half", lambda: max_pool2d(X, 3, padding=2), ShapeError, "padding"),
    ("avg-half", lambda: avg_pool2d(X, 2, padding=(1, 2)), ShapeError, "padding"),
    ("max-too-small", lambda: max_pool2d(X, 8), ShapeError, "height"),
    ("max-padding-pairs", lambda: max_pool2d(X, 2, padding=((1, 1),) * 2), EITHER, "padding"),
    ("divisor-zero", lambda: avg_pool2d(X, 2, divisor_override=0), ValueError, "divisor_override"),
    ("divisor-float", lambda: avg_pool2d(X, 2, divisor_override=2.5), TypeError, "divisor"),
    ("avg-integers", lambda: avg_pool2d(X.astype("i4"), 2), TypeError, "input"),
    ("unfold-too-small", lambda: F.unfold(X, 9), ShapeError, "height"),
    ("fold-length", lambda: F.fold(_f32(2, 16, 29), (6, 7), 2), ShapeError, "input|L"),
    ("fold-channels", lambda: F.fold(_f32(2, 15, 30), (6, 7), 2), ShapeError, "input"),
    ("linear-features", lambda: F.linear(_f32(2, 7), _f32(3, 6)), ShapeError, "weight"),
    ("linear-bias", lambda: F.linear(_f32(2, 7), _f32(3, 7), _f32(4)), ShapeError, "bias"),
    ("linear-scalar", lambda: F.linear(_f32(), _f32(3, 1)), ShapeError, "input"),
    ("linear-weight-rank", lambda: F.linear(_f32(2, 7), _f32(3, 7, 1)), ShapeError, "weight"),
    ("softmax-dim", lambda: F.softmax(X, 4), ValueError, "dim"),
    ("softmax-dim-minus", lambda: F.softmax(X, -5), ValueError, "dim"),
    ("softmax-dim-float", lambda: softmax(X, 1.0), TypeError, "dim"),
    ("set-threads-zero", lambda: set_num_threads(0), ValueError, r"threads|\bn\b"),
    ("set-threads-text", lambda: set_num_threads("two"), TypeError, r"threads|\bn\b"),
    ("set-threads-bool", lambda: set_num_threads(True), TypeError, r"threads|\bn\b"),
    ("set-algorithm", lambda: fastconv.set_algorithm("magic"), ValueError, "algorithm.*direct"),
]  # fmt: skip

TABLE = _parameters() + _arrays() + OTHERS


@pytest.mark.parametrize(
    ("call", "error", "names"), [t[1:] for t in TABLE], ids=[t[0] for t in TABLE]
)
def test_refused(call: Callable[[], Any], error: Errors, names: str) -> None:
    with pytest.raises(error, match=rf"(?s){names}") as caught:
        call()
    assert len(str(caught.value)) < 1000, "a message, not the array itself"


@pytest.mark.parametrize("wrong", [2.0, True, np.float64(2), np.bool_(True)], ids=repr)
@pytest.mark.parametrize("form", [lambda v: v, lambda v: (v, v), lambda v: [v, v], lambda v: (v,)])
def test_right_values_before_do_not_let_equal_ones_of_wrong_type_in(form: Any, wrong: Any) -> None:
    """2.0 and 2 are equal, and so are True and 1: what was planned for one is not for the other."""
    right = form(int(wrong))
    calls: list[Callable[[Any], Any]] = [
        lambda v: conv2d(X, W, stride=v),
        lambda v: conv2d(X, W, padding=v),
        lambda v: conv2d(X, W, dilation=v),
        lambda v: max_pool2d(X, v),
        lambda v: avg_pool2d(X, 2, v),
        lambda v: F.unfold(X, 2, padding=v),
        lambda v: F.fold(np.zeros((2, 4, 42), np.float32), (6, 7), 1, dilation=v),
    ]
    for call in calls:
        call(right)
        with pytest.raises(TypeError):
            call(form(wrong))


#: name -> call with `out`, the right shape of `out`
WITH_OUT: dict[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    "conv2d": (lambda out: conv2d(X, W, out=out), (2, 6, 4, 5)),
    "conv2d-im2col": (lambda out: conv2d(X, W, out=out, algorithm="im2col"), (2, 6, 4, 5)),
    "max_pool2d": (lambda out: max_pool2d(X, 2, out=out), (2, 4, 3, 3)),
    "avg_pool2d": (lambda out: avg_pool2d(X, 2, out=out), (2, 4, 3, 3)),
    "relu": (lambda out: F.relu(X, out=out), X.shape),
    "linear": (lambda out: F.linear(X, _f32(5, 7), out=out), (2, 4, 6, 5)),
}


@pytest.mark.parametrize("name", WITH_OUT)
def test_wrong_out_is_refused(name: str) -> None:
    call, shape = WITH_OUT[name]
    right = np.zeros(shape, np.float32)
    assert call(right) is right
    with pytest.raises(ShapeError, match="out"):
        call(np.zeros((1, *shape), np.float32))
    with pytest.raises(ShapeError, match="out"):
        call(np.zeros((*shape[:-1], shape[-1] + 1), np.float32))
    with pytest.raises(TypeError, match="out"):
        call(np.zeros(shape, np.float64))
    with pytest.raises(TypeError, match="out"):
        call(right.tolist())
    right.flags.writeable = False
    with pytest.raises(ValueError, match=r"out.*(read-only|writ)"):
        call(right)
    single = np.zeros((), np.float32)
    shared = np.lib.stride_tricks.as_strided(single, shape, (0,) * len(shape))
    with pytest.raises(ValueError, match="out"):
        call(shared)


@pytest.mark.parametrize("name", WITH_OUT)
def test_out_that_no_kernel_can_write_is_filled_or_refused(name: str) -> None:
    """Unaligned, byte-swapped and oddly strided outputs: the right answer, or an error."""
    call, shape = WITH_OUT[name]
    count = int(np.prod(shape))
    raw = np.zeros(4 * count + 1, np.uint8)
    records = np.zeros(shape, [("tag", "u1"), ("value", "f4"), ("end", "u2")])
    expected = call(np.zeros(shape, np.float32))
    swapped = np.zeros(shape, np.dtype(np.float32).newbyteorder())
    for out in (raw[1:].view(np.float32).reshape(shape), swapped, records["value"]):
        out[...] = 7
        try:
            assert call(out) is out
        except (TypeError, ValueError) as error:
            text = str(error)
            np.testing.assert_array_equal(out, np.full(shape, 7))
        else:
            text = "out is filled"
            np.testing.assert_array_equal(out, expected)
        assert "out" in text


@pytest.mark.parametrize("shift", [0, 1, 50])
def test_out_that_overlaps_an_input_is_refused(shift: int) -> None:
    memory = np.zeros(4000, np.float32)
    x = memory[: 2 * 4 * 6 * 7].reshape(2, 4, 6, 7)
    conv_out = memory[shift : shift + 240].reshape(2, 6, 4, 5)
    with pytest.raises(ValueError, match=r"out.*overlap|overlap.*out"):
        conv2d(x, W, out=conv_out)
    pool_out = memory[shift : shift + 72].reshape(2, 4, 3, 3)
    for pool in POOLS:
        with pytest.raises(ValueError, match=r"out.*overlap|overlap.*out"):
            pool(x, 2, out=pool_out)
    weight = memory[1000:1216].reshape(6, 4, 3, 3)
    weight_out = memory[1000 + shift : 1240 + shift].reshape(2, 6, 4, 5)
    with pytest.raises(ValueError, match=r"out.*overlap|overlap.*out"):
        conv2d(X, weight, out=weight_out)


def test_out_beside_the_input_in_one_buffer_is_fine() -> None:
    memory = np.zeros(336 + 240, np.float32)
    x, out = memory[:336].reshape(2, 4, 6, 7), memory[336:].reshape(2, 6, 4, 5)
    memory[:336] = 1
    conv2d(x, W + 1, out=out)
    np.testing.assert_array_equal(out, np.full(out.shape, 36, np.float32))
    np.testing.assert_array_equal(x, np.ones(x.shape, np.float32))


def test_message_says_expected_and_got() -> None:
    with pytest.raises(ShapeError) as caught:
        conv2d(X, _f32(6, 3, 3, 3))
    text = str(caught.value)
    assert "(6, 3, 3, 3)" in text
    assert "4" in text
    with pytest.raises(TypeError, match=r"float16.*float32|float32.*float16"):
        F.relu(X.astype(np.float16))
