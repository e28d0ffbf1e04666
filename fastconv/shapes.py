"""Sizes of windowed operators: output sizes, padding and receptive fields.

The one owner of the lecture's formula ``(N - F + 2P)/S + 1``, for convolution and pooling alike.
Everything here works on plain Python integers of any size and needs the standard library only.
Letters: N is the input size along one axis, F the kernel's, P the padding, S the stride.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any, NamedTuple

from ._fits import Fits, Pads, Pair, brief, cannot, fitting, kernel_extent, show, too_large
from .errors import ShapeError

__all__ = [
    "Fits",
    "Pads",
    "Pair",
    "ReceptiveField",
    "fitting",
    "integer",
    "kernel_extent",
    "output_hw",
    "output_size",
    "padding_pairs",
    "pair",
    "pooling_pads",
]


def integer(value: Any, name: str, minimum: int | None = None) -> int:
    """Check that `value` is an integer of at least `minimum` and return it as an ``int``.

    Anything with ``__index__`` (NumPy integers too) is an integer; ``bool`` and floats are not.

    Raises
    ------
    TypeError
        If `value` is not an integer.
    ShapeError
        If `value` is smaller than `minimum`.

    Examples
    --------
    >>> from fastconv.shapes import integer
    >>> integer(3, "groups", minimum=1)
    3
    >>> integer(0, "groups", minimum=1)
    Traceback (most recent call last):
    ...
    fastconv.errors.ShapeError: groups must be at least 1, got 0
    """
    if isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, got {brief(value)} (bool)")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(
            f"{name} must be an integer, got {brief(value)} ({type(value).__name__})"
        ) from None
    if minimum is not None and number < minimum:
        raise ShapeError(f"{name} must be at least {minimum}, got {show(number)}")
    return number


def _is_sequence(value: Any) -> bool:
    return (
        hasattr(value, "__len__")
        and hasattr(value, "__getitem__")
        and not isinstance(value, (str, bytes, bytearray, Mapping))
    )


def pair(value: Any, name: str, minimum: int | None = None) -> Pair:
    """Read an argument that is one integer for both axes or a ``(height, width)`` pair.

    Parameters
    ----------
    value : int or sequence of one or two ints
        A single one counts for both axes, as in PyTorch. ``bool`` and floats are refused;
        anything with ``__index__`` is an integer.
    name : str
        The argument's name, for errors.
    minimum : int, optional
        The smallest value that is allowed.

    Returns
    -------
    tuple of int
        ``(height, width)``.

    Raises
    ------
    TypeError
        If `value` is neither an integer nor a sequence of integers.
    ShapeError
        If there are no or more than two values, or one is smaller than `minimum`.

    Examples
    --------
    >>> from fastconv.shapes import pair
    >>> pair(3, "kernel_size")
    (3, 3)
    >>> pair([3, 5], "kernel_size", minimum=1)
    (3, 5)
    >>> pair((1, 2, 3), "stride")
    Traceback (most recent call last):
    ...
    fastconv.errors.ShapeError: stride must be an integer or (height, width), got (1, 2, 3)
    """
    if isinstance(value, int):  # the common case first
        number = integer(value, name, minimum)
        return number, number
    if not _is_sequence(value) or getattr(value, "ndim", 1) == 0:
        number = integer(value, name, minimum)
        return number, number
    if len(value) not in (1, 2):
        raise ShapeError(f"{name} must be an integer or (height, width), got {brief(value)}")
    return integer(value[0], f"{name}[0]", minimum), integer(
        value[-1], f"{name}[{len(value) - 1}]", minimum
    )


def _same_pads(size: int, kernel: int, stride: int, dilation: int, *, lower: bool) -> Pair:
    outputs = -(-size // stride)
    total = max(0, (outputs - 1) * stride + kernel_extent(kernel, dilation) - size)
    small, large = total // 2, total - total // 2
    return (large, small) if lower else (small, large)


def padding_pairs(
    padding: Any, size: Pair, kernel: Pair, stride: Pair, dilation: Pair, name: str = "padding"
) -> Pads:
    """Turn any accepted form of padding into ``((top, bottom), (left, right))``.

    Parameters
    ----------
    padding : int, (h, w), ((top, bottom), (left, right)), "valid", "same" or "same_lower"
        ``"same"`` gives an output of ``ceil(size / stride)``; where the padding cannot be split
        evenly the extra row or column goes to the end (``"same_lower"``: to the beginning).
        Flat tuples of four are refused, because libraries disagree on their order.
    size, kernel, stride, dilation : tuple of int
        ``(height, width)`` of each. Only the "same" forms look at them.
    name : str, optional
        The argument's name, for errors.

    Raises
    ------
    TypeError
        If `padding` holds something that is not an integer.
    ShapeError
        If `padding` is negative, an unknown word or has the wrong number of values.

    Examples
    --------
    >>> from fastconv.shapes import padding_pairs
    >>> padding_pairs((1, 2), (32, 32), (3, 5), (1, 1), (1, 1))
    ((1, 1), (2, 2))
    >>> padding_pairs("same", (32, 32), (3, 4), (1, 2), (1, 1))
    ((1, 1), (1, 1))
    >>> padding_pairs("same", (8, 8), (2, 2), (1, 1), (1, 1))
    ((0, 1), (0, 1))
    """
    if isinstance(padding, str):
        if padding == "valid":
            return (0, 0), (0, 0)
        if padding in ("same", "same_lower"):
            lower = padding == "same_lower"
            return (
                _same_pads(size[0], kernel[0], stride[0], dilation[0], lower=lower),
                _same_pads(size[1], kernel[1], stride[1], dilation[1], lower=lower),
            )
        raise ShapeError(f"{name} must be 'valid', 'same' or 'same_lower', got {brief(padding)}")
    if _is_sequence(padding) and getattr(padding, "ndim", 1) != 0:
        if len(padding) not in (1, 2):
            raise ShapeError(
                f"{name} must be an integer, (h, w) or ((top, bottom), (left, right)), got "
                f"{brief(padding)}. Flat tuples of four are refused because libraries disagree "
                "on their order."
            )
        if len(padding) == 2 and all(_is_sequence(side) for side in padding):
            if any(len(side) != 2 for side in padding):
                raise ShapeError(
                    f"{name} must be ((top, bottom), (left, right)), got {brief(padding)}"
                )
            return pair(padding[0], f"{name}[0]", 0), pair(padding[1], f"{name}[1]", 0)
    height, width = pair(padding, name, 0)
    return (height, height), (width, width)


def pooling_pads(padding: Any, kernel: Pair) -> Pads:
    """Read a pooling operator's padding: an integer or ``(h, w)``, at most half the kernel.

    PyTorch's rule; the kernel is counted without its dilation.

    Raises
    ------
    TypeError
        If `padding` holds something that is not an integer.
    ShapeError
        If `padding` is negative or larger than half the kernel.

    Examples
    --------
    >>> from fastconv.shapes import pooling_pads
    >>> pooling_pads(1, (3, 3))
    ((1, 1), (1, 1))
    >>> pooling_pads((0, 2), (3, 3))
    Traceback (most recent call last):
    ...
    fastconv.errors.ShapeError: padding must be at most half the kernel (1 for a width of 3), got 2
    """
    pads = pair(padding, "padding", 0)
    for amount, size, axis in zip(pads, kernel, ("height", "width"), strict=True):
        if amount > size // 2:
            raise ShapeError(
                f"padding must be at most half the kernel ({show(size // 2)} for a {axis} of "
                f"{show(size)}), got {show(amount)}"
            )
    return (pads[0], pads[0]), (pads[1], pads[1])


def output_size(
    size: int,
    kernel: int,
    stride: int = 1,
    pad: Pair = (0, 0),
    dilation: int = 1,
    *,
    ceil_mode: bool = False,
    strict: bool = False,
    axis: str = "height",
    pooling: bool = False,
) -> int:
    """Number of places where a window fits along one axis: the lecture's formula.

    ``(N - F + 2P)/S + 1``, rounded down; F counts the gaps of a dilated kernel.

    Parameters
    ----------
    size, kernel, stride, dilation : int
        Input size, kernel size, stride and dilation along the axis.
    pad : tuple of int
        Padding ``(before, after)``.
    ceil_mode : bool, optional
        Round up instead, then drop a last window that would start in the padding at the end
        (PyTorch's rule for pooling).
    strict : bool, optional
        Refuse sizes where the formula does not give a whole number: the lecture's "cannot".
    axis : str, optional
        The axis's name, for errors.
    pooling : bool, optional
        Let errors suggest only what a pooling operator accepts: equal padding on both sides, at
        most half the kernel.

    Raises
    ------
    ShapeError
        If the kernel does not fit into the padded input; if `strict` and there is a remainder;
        if a kernel, stride or dilation is not positive, or a size or padding is negative.

    Examples
    --------
    >>> from fastconv.shapes import output_size
    >>> [output_size(7, 3, stride) for stride in (1, 2)]
    [5, 3]
    >>> output_size(227, kernel=11, stride=4)
    55
    >>> output_size(7, kernel=3, stride=3), output_size(7, kernel=3, stride=3, ceil_mode=True)
    (2, 3)
    """
    size = integer(size, axis, 0)
    kernel = integer(kernel, "kernel_size", 1)
    stride = integer(stride, "stride", 1)
    dilation = integer(dilation, "dilation", 1)
    pad = pair(pad, "padding", 0)
    span = size - kernel_extent(kernel, dilation) + pad[0] + pad[1]
    outputs = (span + (stride - 1 if ceil_mode else 0)) // stride + 1
    if ceil_mode and (outputs - 1) * stride >= size + pad[0]:
        outputs -= 1
    if outputs < 1:
        raise ShapeError(too_large(size, kernel, stride, pad, dilation, axis))
    if strict and span % stride:
        raise ShapeError(cannot(size, kernel, stride, pad, dilation, axis, pooling=pooling))
    return outputs


def output_hw(
    size: Pair,
    kernel: Pair,
    stride: Pair,
    pads: Pads,
    dilation: Pair = (1, 1),
    *,
    ceil_mode: bool = False,
    strict: bool = False,
    pooling: bool = False,
) -> Pair:
    """`output_size` for both axes: ``(P, Q)`` from ``(H, W)``.

    Examples
    --------
    >>> from fastconv.shapes import output_hw
    >>> output_hw((32, 48), (5, 5), (1, 1), ((2, 2), (0, 0)))
    (32, 44)
    """
    height, width = (
        output_size(
            size[i],
            kernel[i],
            stride[i],
            pads[i],
            dilation[i],
            ceil_mode=ceil_mode,
            strict=strict,
            axis=("height", "width")[i],
            pooling=pooling,
        )
        for i in (0, 1)
    )
    return height, width


class ReceptiveField(NamedTuple):
    """The patch of the network's input that one value sees, as it grows from layer to layer.

    Counted without clipping at the borders, so that it can exceed the input.

    Attributes
    ----------
    size : tuple of int
        Height and width of the patch, in input pixels.
    step : tuple of int
        Distance in input pixels between the patches of neighbouring values.

    Examples
    --------
    Three 3x3 layers see as much as one 7x7 layer:

    >>> from fastconv.shapes import ReceptiveField
    >>> field = ReceptiveField()
    >>> for _ in range(3):
    ...     field = field.through((3, 3), (1, 1))
    >>> field.size
    (7, 7)
    """

    size: Pair = (1, 1)
    step: Pair = (1, 1)

    def through(self, kernel: Pair, stride: Pair, dilation: Pair = (1, 1)) -> ReceptiveField:
        """Return the field after a windowed layer.

        Examples
        --------
        >>> from fastconv.shapes import ReceptiveField
        >>> ReceptiveField().through((3, 3), (1, 1)).through((2, 2), (2, 2))
        ReceptiveField(size=(4, 4), step=(2, 2))
        """
        (h, w), (y, x) = self.size, self.step
        return ReceptiveField(
            size=(
                h + (kernel_extent(kernel[0], dilation[0]) - 1) * y,
                w + (kernel_extent(kernel[1], dilation[1]) - 1) * x,
            ),
            step=(y * stride[0], x * stride[1]),
        )
