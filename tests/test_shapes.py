"""fastconv.shapes against counting, against PyTorch, and its errors."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastconv import shapes
from fastconv.errors import ShapeError
from fastconv.shapes import (
    ReceptiveField,
    fitting,
    kernel_extent,
    output_hw,
    output_size,
    padding_pairs,
    pair,
    pooling_pads,
)

small = st.integers(1, 12)


def count_windows(size: int, kernel: int, stride: int, pad: tuple[int, int], dilation: int) -> int:
    """Slide the window along and count the places, without any formula."""
    reach = dilation * (kernel - 1)
    start, places = -pad[0], 0
    while start + reach < size + pad[1]:
        places += 1
        start += stride
    return places


def count_windows_ceil(
    size: int, kernel: int, stride: int, pad: tuple[int, int], dilation: int
) -> int:
    """As above with windows that stick out at the end, as long as they start before it."""
    reach = dilation * (kernel - 1)
    start, places = -pad[0], 0
    while start < size and (start == -pad[0] or start - stride + reach < size + pad[1] - 1):
        places += 1
        start += stride
    return places


@given(small, small, small, st.tuples(st.integers(0, 6), st.integers(0, 6)), st.integers(1, 4))
def test_output_size_counts_the_places(
    size: int, kernel: int, stride: int, pad: tuple[int, int], dilation: int
) -> None:
    expected = count_windows(size, kernel, stride, pad, dilation)
    if expected == 0:
        with pytest.raises(ShapeError, match="does not fit"):
            output_size(size, kernel, stride, pad, dilation)
    else:
        assert output_size(size, kernel, stride, pad, dilation) == expected


@given(small, st.integers(1, 5), small, st.integers(0, 2), st.integers(1, 3))
def test_ceil_mode_counts_the_windows_that_start_inside(
    size: int, kernel: int, stride: int, pad: int, dilation: int
) -> None:
    extent = kernel_extent(kernel, dilation)
    pad = min(pad, extent // 2)
    if extent > size + 2 * pad:
        return  # test_ceil_mode_agrees_with_torch covers kernels larger than the input
    expected = count_windows_ceil(size, kernel, stride, (pad, pad), dilation)
    assert output_size(size, kernel, stride, (pad, pad), dilation, ceil_mode=True) == expected


def test_ceil_mode_agrees_with_torch() -> None:
    torch = pytest.importorskip("torch")
    for size, kernel, stride, dilation in itertools.product(
        range(1, 13), range(1, 6), range(1, 6), range(1, 4)
    ):
        for pad, ceil_mode in itertools.product(range(kernel // 2 + 1), (False, True)):
            pool = torch.nn.MaxPool2d(
                (kernel, 1), (stride, 1), (pad, 0), (dilation, 1), False, ceil_mode
            )
            ours: int | None
            try:
                theirs = pool(torch.zeros(1, 1, size, 1)).shape[2]
            except RuntimeError:
                theirs = None
            try:
                ours = output_size(size, kernel, stride, (pad, pad), dilation, ceil_mode=ceil_mode)
            except ShapeError:
                ours = None
            assert ours == theirs, (size, kernel, stride, pad, dilation, ceil_mode)


@given(small, small, small, st.tuples(st.integers(0, 6), st.integers(0, 6)), st.integers(1, 3))
def test_strict_refuses_exactly_the_remainders(
    size: int, kernel: int, stride: int, pad: tuple[int, int], dilation: int
) -> None:
    span = size - kernel_extent(kernel, dilation) + sum(pad)
    if span < 0:
        return
    if span % stride:
        with pytest.raises(ShapeError, match="is not a whole number"):
            output_size(size, kernel, stride, pad, dilation, strict=True)
    else:
        assert output_size(size, kernel, stride, pad, dilation, strict=True) == span // stride + 1


@settings(max_examples=300)
@given(
    st.integers(1, 40),
    st.integers(1, 9),
    st.integers(1, 9),
    st.tuples(st.integers(0, 6), st.integers(0, 6)),
    st.integers(1, 3),
    st.booleans(),
)
def test_suggestions_fit_and_are_the_nearest(
    size: int, kernel: int, stride: int, pad: tuple[int, int], dilation: int, pooling: bool
) -> None:
    extent = kernel_extent(kernel, dilation)
    if pooling:
        pad = (min(pad[0], kernel // 2),) * 2
    span = size - extent + sum(pad)
    if span < 0 or span % stride == 0:
        return
    fits = fitting(size, kernel, stride, pad, dilation, pooling=pooling)

    def works(stride: int, pad: tuple[int, int]) -> bool:
        if extent > size + sum(pad):
            return False
        return (size - extent + sum(pad)) % stride == 0

    for good in fits.strides:
        assert output_size(size, kernel, good, pad, dilation, strict=True) >= 1
    below = [s for s in range(1, stride) if works(s, pad)]
    above = [s for s in range(stride + 1, span + 1) if works(s, pad)]
    assert fits.strides == below[-1:] + above[:1]

    for good_pad in fits.paddings:
        assert output_size(size, kernel, stride, good_pad, dilation, strict=True) >= 1
    limit = kernel // 2 if pooling else 100
    equal = [(p, p) for p in range(limit + 1) if works(stride, (p, p))]
    if not equal and not pooling:
        equal = [
            (t // 2, t - t // 2) for t in range(1, 200, 2) if works(stride, (t // 2, t - t // 2))
        ]
    expected = [p for p in equal if sum(p) < sum(pad)][-1:] + [
        p for p in equal if sum(p) >= sum(pad)
    ][:1]
    assert fits.paddings == expected


@pytest.mark.parametrize("ceil_mode", [False, True])
def test_strict_with_ceil_mode_still_refuses_a_remainder(ceil_mode: bool) -> None:
    with pytest.raises(ShapeError, match=re.escape("(7 - 2)/2 + 1 = 3.5 ")):
        output_size(7, 2, 2, ceil_mode=ceil_mode, strict=True)


@pytest.mark.parametrize(
    ("arguments", "formula"),
    [
        ((7, 3, 3), "(7 - 3)/3 + 1 = 2.33 "),
        ((8, 3, 3), "(8 - 3)/3 + 1 = 2.67 "),
        ((32, 5, 2), "(32 - 5)/2 + 1 = 14.5 "),
        ((32, 5, 2, (1, 1)), "(32 - 5 + 2*1)/2 + 1 = 15.5 "),
        ((32, 5, 4, (1, 2)), "(32 - 5 + 1 + 2)/4 + 1 = 8.5 "),
        ((32, 3, 2, (0, 0), 3), "(32 - 7)/2 + 1 = 13.5 "),
        ((1002, 3, 1000), "(1002 - 3)/1000 + 1 = 1.999 "),
        ((3 + 100_001, 3, 100_000), "(100004 - 3)/100000 + 1 = 2.00001 "),
    ],
)
def test_the_cannot_error_shows_the_formula_with_its_numbers(
    arguments: tuple[Any, ...], formula: str
) -> None:
    with pytest.raises(ShapeError, match=re.escape(formula)):
        output_size(*arguments, strict=True)


def test_the_cannot_error_names_what_would_fit_and_gives_the_advice() -> None:
    with pytest.raises(ShapeError) as caught:
        output_size(7, 3, 3, strict=True, axis="width")
    message = str(caught.value)
    assert "on width 7 with stride 3" in message
    assert "nearest stride that fits: 2 or 4" in message
    assert "nearest padding that fits: 1." in message
    assert "power of two" in message
    assert "3x3 convolutions with stride 1 and padding 1" in message
    assert "2x2 pooling with stride 2" in message


def test_the_cannot_error_says_where_uneven_padding_goes() -> None:
    with pytest.raises(ShapeError, match="nearest padding that fits: 0 above and 1 below"):
        output_size(32, 5, 2, strict=True)
    with pytest.raises(ShapeError, match="nearest padding that fits: 0 left and 1 right"):
        output_size(32, 5, 2, strict=True, axis="width")
    with pytest.raises(ShapeError, match="no padding of at most half the kernel fits"):
        output_size(32, 5, 2, strict=True, pooling=True)


def test_a_kernel_that_does_not_fit_names_axis_and_sizes() -> None:
    with pytest.raises(ShapeError) as caught:
        output_size(4, 3, 2, (1, 0), 3, axis="width")
    assert "kernel of 3 (covering 7 with dilation 3) does not fit width 4" in str(caught.value)
    assert "(4 - 7 + 1 + 0)/2 + 1 = 0" in str(caught.value)
    assert "at most 5, got 7" in str(caught.value)


@pytest.mark.parametrize(
    ("keywords", "name"),
    [
        ({"size": -1}, "height"),
        ({"kernel": 0}, "kernel_size"),
        ({"stride": 0}, "stride"),
        ({"stride": -2}, "stride"),
        ({"dilation": 0}, "dilation"),
        ({"pad": (0, -1)}, r"padding\[1\]"),
    ],
)
def test_output_size_names_the_argument_that_is_too_small(
    keywords: dict[str, Any], name: str
) -> None:
    with pytest.raises(ShapeError, match=f"^{name} must be at least [01], got"):
        output_size(**{"size": 7, "kernel": 3, **keywords})


huge = st.integers(1, 1 << 200)


@given(huge, huge, huge, st.integers(0, 1 << 200), st.integers(1, 1 << 100))
def test_integers_of_any_size_give_right_answers_or_clear_errors(
    size: int, kernel: int, stride: int, pad: int, dilation: int
) -> None:
    covered = dilation * (kernel - 1) + 1
    if covered > size + 2 * pad:
        with pytest.raises(ShapeError, match="does not fit"):
            output_size(size, kernel, stride, (pad, pad), dilation)
        return
    places = output_size(size, kernel, stride, (pad, pad), dilation)
    assert (places - 1) * stride + covered <= size + 2 * pad < places * stride + covered


@pytest.mark.parametrize(
    "size", [2**31, 2**63, 10**60, 10**5000], ids=["31 bits", "63 bits", "60 digits", "5000 digits"]
)
def test_the_cannot_error_stands_integers_of_any_size(size: int) -> None:
    size -= size % 10
    with pytest.raises(
        ShapeError, match="is not a whole number; nearest stride that fits"
    ) as caught:
        output_size(size, 3, 10, strict=True)
    assert len(str(caught.value)) < 1000
    fits = fitting(size, 3, 10)
    assert fits.strides
    for stride in fits.strides:
        output_size(size, 3, stride, strict=True)
    for pad in fits.paddings:
        output_size(size, 3, 10, pad, strict=True)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, (3, 3)),
        ((3, 5), (3, 5)),
        ([3, 5], (3, 5)),
        ((4,), (4, 4)),
        (np.int64(3), (3, 3)),
        (np.array([1, 2]), (1, 2)),
        (np.array(7), (7, 7)),
        (2**80, (2**80, 2**80)),
    ],
)
def test_pair_reads(value: Any, expected: tuple[int, int]) -> None:
    result = pair(value, "stride")
    assert result == expected
    assert all(type(number) is int for number in result)


@pytest.mark.parametrize(
    "value",
    [1.0, "3", "12", None, True, (True, 1), (1.5, 2), {1: 2}, np.float32(2), np.True_, b"ab"],
)
def test_pair_refuses_what_is_not_an_integer(value: Any) -> None:
    with pytest.raises(TypeError, match=r"^stride.* must be an integer, got "):
        pair(value, "stride")


@pytest.mark.parametrize("value", [(), (1, 2, 3), np.arange(4)])
def test_pair_refuses_other_counts(value: Any) -> None:
    with pytest.raises(ShapeError, match=r"^stride must be an integer or \(height, width\), got"):
        pair(value, "stride")


def test_pair_names_the_value_that_is_too_small() -> None:
    with pytest.raises(ShapeError, match=r"^kernel_size\[1\] must be at least 1, got 0$"):
        pair((2, 0), "kernel_size", minimum=1)


def resolve(
    padding: Any,
    size: shapes.Pair = (9, 9),
    kernel: shapes.Pair = (3, 3),
    stride: shapes.Pair = (1, 1),
    dilation: shapes.Pair = (1, 1),
) -> shapes.Pads:
    return padding_pairs(padding, size, kernel, stride, dilation)


@pytest.mark.parametrize(
    ("padding", "expected"),
    [
        (0, ((0, 0), (0, 0))),
        (2, ((2, 2), (2, 2))),
        ((1, 2), ((1, 1), (2, 2))),
        (((1, 2), (3, 4)), ((1, 2), (3, 4))),
        ([[0, 1], [2, 0]], ((0, 1), (2, 0))),
        ("valid", ((0, 0), (0, 0))),
        ("same", ((1, 1), (1, 1))),
        ("same_lower", ((1, 1), (1, 1))),
    ],
)
def test_padding_forms(padding: Any, expected: shapes.Pads) -> None:
    assert resolve(padding) == expected


@given(st.integers(0, 40), st.integers(1, 9), st.integers(1, 6), st.integers(1, 4), st.booleans())
def test_same_padding_gives_the_ceiling_and_puts_the_extra_at_the_end(
    size: int, kernel: int, stride: int, dilation: int, lower: bool
) -> None:
    word = "same_lower" if lower else "same"
    pads = resolve(
        word, size=(size, 5), kernel=(kernel, 1), stride=(stride, 1), dilation=(dilation, 1)
    )
    before, after = pads[0]
    assert (before - after if lower else after - before) in (0, 1)
    assert pads[1] == (0, 0)
    if size:
        places = output_size(size, kernel, stride, pads[0], dilation)
        assert places == -(-size // stride)
        if before + after:  # one less would lose a place
            assert size + before + after - 1 < (places - 1) * stride + kernel_extent(
                kernel, dilation
            )


@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_same_padding_agrees_with_torch() -> None:
    torch = pytest.importorskip("torch")
    marks = torch.arange(1.0, 8.0).reshape(1, 1, 7)
    for kernel, dilation in itertools.product(range(1, 6), range(1, 4)):
        # A filter with a single 1 at its start shows how far torch shifts the input.
        weight = torch.zeros(1, 1, kernel)
        weight[0, 0, 0] = 1
        theirs = torch.nn.functional.conv1d(marks, weight, padding="same", dilation=dilation)
        before, _ = resolve("same", size=(7, 7), kernel=(kernel, 1), dilation=(dilation, 1))[0]
        shifted = [marks[0, 0, i - before].item() if i >= before else 0.0 for i in range(7)]
        assert theirs[0, 0].tolist() == shifted


@pytest.mark.parametrize(
    "padding", [(1, 2, 3, 4), (1, 2, 3), (), ((1, 2, 3), (1, 2)), ((1,), (2,))]
)
def test_padding_refuses_other_counts(padding: Any) -> None:
    with pytest.raises(ShapeError, match=r"^padding must be .*got"):
        resolve(padding)


def test_flat_padding_of_four_is_refused_with_the_reason() -> None:
    with pytest.raises(ShapeError, match="libraries disagree on their order"):
        resolve((1, 1, 1, 1))


@pytest.mark.parametrize("padding", [-1, (0, -1), ((0, 1), (-1, 0))])
def test_negative_padding_is_refused(padding: Any) -> None:
    with pytest.raises(ShapeError, match=r"^padding.* must be at least 0, got -1$"):
        resolve(padding)


@pytest.mark.parametrize("padding", ["SAME", "full", ""])
def test_unknown_padding_words_are_refused(padding: str) -> None:
    with pytest.raises(ShapeError, match="'valid', 'same' or 'same_lower', got"):
        resolve(padding)


@pytest.mark.parametrize("padding", [None, 1.5, True, (1, 2.0), (1, (1, 2))])
def test_padding_of_wrong_type_is_refused(padding: Any) -> None:
    with pytest.raises(TypeError, match=r"^padding.* must be an integer, got"):
        resolve(padding)


def test_padding_errors_use_the_given_name() -> None:
    with pytest.raises(ShapeError, match=r"^pads must be at least 0"):
        padding_pairs(-1, (9, 9), (3, 3), (1, 1), (1, 1), name="pads")


def test_pooling_padding_is_at_most_half_the_kernel() -> None:
    assert pooling_pads((1, 2), (3, 5)) == ((1, 1), (2, 2))
    with pytest.raises(ShapeError, match=r"at most half the kernel \(1 for a height of 2\), got 2"):
        pooling_pads(2, (2, 5))
    with pytest.raises(ShapeError, match="padding must be at least 0"):
        pooling_pads(-1, (2, 2))
    with pytest.raises(TypeError, match="padding"):
        pooling_pads("same", (2, 2))


def test_output_hw_names_the_axis() -> None:
    assert output_hw((9, 12), (3, 4), (2, 1), ((0, 0), (1, 2))) == (4, 12)
    with pytest.raises(ShapeError, match="width 2"):
        output_hw((9, 2), (3, 3), (1, 1), ((0, 0), (0, 0)))


def test_receptive_field_of_stacked_layers() -> None:
    field = ReceptiveField()
    assert (field.size, field.step) == ((1, 1), (1, 1))
    field = field.through((3, 5), (2, 1)).through((3, 3), (1, 1), (2, 2))
    assert (field.size, field.step) == ((3 + 4 * 2, 5 + 4), (2, 1))


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 2)), max_size=4),
)
def test_receptive_field_is_what_reaches_the_first_output(
    layers: list[tuple[int, int, int]],
) -> None:
    field = ReceptiveField()
    reached = {0}
    for kernel, stride, dilation in layers:
        field = field.through((kernel, kernel), (stride, stride), (dilation, dilation))
    for kernel, stride, dilation in reversed(layers):
        reached = {place * stride + dilation * tap for place in reached for tap in range(kernel)}
    assert field.size == (max(reached) + 1, max(reached) + 1)
