"""The lecture's "cannot": which strides and paddings would fit, and how the errors say so.

Split from `fastconv.shapes`, which decides when these messages are due and re-exports `fitting`.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]

ADVICE = (
    "Sizes that avoid this: images whose side is a power of two, 3x3 convolutions with "
    "stride 1 and padding 1, 2x2 pooling with stride 2."
)

# Divisors of a span up to the square of this are all found; beyond, those that are found still
# fit, but a nearer one may exist. It bounds the time that writing an error message can take.
_DIVISOR_LIMIT = 1 << 16


def show(number: int) -> str:
    """Write an integer for an error message, abbreviated when it is absurdly long.

    Examples
    --------
    >>> from fastconv._fits import show
    >>> show(224), show(1 << 9000)
    ('224', 'about 2**9000')
    """
    if number.bit_length() <= 256:
        return str(number)
    return f"about {'-' if number < 0 else ''}2**{number.bit_length() - 1}"


def kernel_extent(kernel: int, dilation: int = 1) -> int:
    """Size of the patch that a dilated kernel covers along one axis.

    Examples
    --------
    >>> from fastconv.shapes import kernel_extent
    >>> kernel_extent(3), kernel_extent(3, dilation=2)
    (3, 5)
    """
    return dilation * (kernel - 1) + 1


def brief(value: Any) -> str:
    """Write a refused argument for an error message, cut short when it is long.

    Examples
    --------
    >>> from fastconv._fits import brief
    >>> brief((1, 2, 3))
    '(1, 2, 3)'
    """
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python agrees to print
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else text[:77] + "..."


class Fits(NamedTuple):
    """Strides and paddings ``(before, after)`` near the wanted ones that leave no remainder.

    Examples
    --------
    >>> from fastconv.shapes import Fits
    >>> Fits(strides=[2, 4], paddings=[(1, 1)]).strides
    [2, 4]
    """

    strides: list[int]
    paddings: list[Pair]


def fitting(
    size: int,
    kernel: int,
    stride: int,
    pad: Pair = (0, 0),
    dilation: int = 1,
    *,
    pooling: bool = False,
) -> Fits:
    """Find the nearest strides and the nearest paddings for which the formula has no remainder.

    Of each, the nearest below and the nearest above the given one, where they exist. Paddings
    are equal on both sides if such ones exist, else (an even stride and an odd rest) one more at
    the end. With `pooling` paddings stay equal and within half the kernel.

    Examples
    --------
    >>> from fastconv.shapes import fitting
    >>> fitting(7, kernel=3, stride=3)
    Fits(strides=[2, 4], paddings=[(1, 1)])
    >>> fitting(32, kernel=5, stride=2)
    Fits(strides=[1, 3], paddings=[(0, 1)])
    """
    extent = kernel_extent(kernel, dilation)
    unpadded = size - extent
    paddings = _fitting_pads(unpadded, stride, sum(pad), equal=True)
    if pooling:
        paddings = [p for p in paddings if p[0] <= kernel // 2]
    elif not paddings:
        paddings = _fitting_pads(unpadded, stride, sum(pad), equal=False)
    return Fits(_fitting_strides(unpadded + sum(pad), stride), paddings)


def _fitting_strides(span: int, stride: int) -> list[int]:
    """Return the nearest divisors of `span` below and above `stride`."""
    if span <= 0:
        return []
    below, above = 0, 0
    for small in range(1, min(math.isqrt(span), _DIVISOR_LIMIT) + 1):
        if span % small:
            continue
        for divisor in (small, span // small):
            if divisor < stride:
                below = max(below, divisor)
            elif divisor > stride and (above == 0 or divisor < above):
                above = divisor
    return [divisor for divisor in (below, above) if divisor]


def _fitting_pads(unpadded: int, stride: int, total: int, *, equal: bool) -> list[Pair]:
    """Return the paddings nearest to `total` in sum that make ``unpadded + sum`` divisible."""
    # Sums that fit are first, first + stride, ...; equal ones (both sides alike) are the even
    # ones among them, which repeat after lcm(2, stride) and need not exist.
    first, period = -unpadded % stride, stride
    if equal and stride % 2:
        first, period = first + stride * (first % 2), 2 * stride
    elif equal and first % 2:
        return []
    smallest = max(0, -unpadded)  # below it the kernel is larger than the padded input
    below = first + (total - first) // period * period
    return [(s // 2, s - s // 2) for s in (below, below + period) if s >= smallest]


def _formula(size: int, extent: int, stride: int, pad: Pair) -> str:
    if pad == (0, 0):
        padding = ""
    elif pad[0] == pad[1]:
        padding = f" + 2*{show(pad[0])}"
    else:
        padding = f" + {show(pad[0])} + {show(pad[1])}"
    span = size - extent + sum(pad)
    quotient = _decimal(span + stride, stride)
    return f"({show(size)} - {show(extent)}{padding})/{show(stride)} + 1 = {quotient}"


def _decimal(numerator: int, denominator: int) -> str:
    """Write a quotient with two decimals, or more where two would make it look whole."""
    whole, rest = divmod(numerator, denominator)
    if rest == 0:
        return show(whole)
    if max(numerator.bit_length(), denominator.bit_length()) > 256:
        return f"{show(whole)} + {show(rest)}/{show(denominator)}"
    digits = 2
    while True:
        scaled = (2 * numerator * 10**digits + denominator) // (2 * denominator)  # nearest
        if scaled % 10**digits:
            break
        digits += 1
    whole, rest = divmod(abs(scaled), 10**digits)
    return f"{'-' if scaled < 0 else ''}{show(whole)}.{str(rest).zfill(digits).rstrip('0')}"


def _kernel_words(kernel: int, dilation: int) -> str:
    if dilation == 1:
        return show(kernel)
    extent = kernel_extent(kernel, dilation)
    return f"{show(kernel)} (covering {show(extent)} with dilation {show(dilation)})"


def _pad_words(pad: Pair, axis: str) -> str:
    if pad[0] == pad[1]:
        return show(pad[0])
    before, after = ("left", "right") if axis == "width" else ("above", "below")
    return f"{show(pad[0])} {before} and {show(pad[1])} {after}"


def too_large(size: int, kernel: int, stride: int, pad: Pair, dilation: int, axis: str) -> str:
    extent = kernel_extent(kernel, dilation)
    return (
        f"a kernel of {_kernel_words(kernel, dilation)} does not fit {axis} {show(size)} with "
        f"padding {_pad_words(pad, axis)}: {_formula(size, extent, stride, pad)}; expected a "
        f"kernel that covers at most {show(size + sum(pad))}, got {show(extent)}"
    )


def cannot(
    size: int, kernel: int, stride: int, pad: Pair, dilation: int, axis: str, *, pooling: bool
) -> str:
    extent = kernel_extent(kernel, dilation)
    fits = fitting(size, kernel, stride, pad, dilation, pooling=pooling)
    nothing = {"stride": "no stride fits", "padding": "no padding fits"}
    if pooling:
        nothing["padding"] = "no padding of at most half the kernel fits"
    options = []
    for label, texts in (
        ("stride", [show(s) for s in fits.strides]),
        ("padding", [_pad_words(p, axis) for p in fits.paddings]),
    ):
        options.append(
            f"nearest {label} that fits: {' or '.join(texts)}" if texts else nothing[label]
        )
    padding = "" if pad == (0, 0) else f" and padding {_pad_words(pad, axis)}"
    return (
        f"cannot place a kernel of {_kernel_words(kernel, dilation)} on {axis} {show(size)} with "
        f"stride {show(stride)}{padding}: {_formula(size, extent, stride, pad)} is not a whole "
        f"number; {'; '.join(options)}. {ADVICE}"
    )
