"""The table of a network's layers: volumes, parameters, multiply-adds, memory, receptive field."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..shapes import ReceptiveField
from .checks import read_shape
from .container import Sequential
from .module import Module
from .volume import VolumeLayer

__all__ = ["Summary", "SummaryRow", "summary"]

HEADINGS = (
    "layer",
    "output (W x H x D)",
    "parameters",
    "multiply-adds",
    "activation bytes",
    "receptive field",
)


class SummaryRow(NamedTuple):
    """One layer of a `summary`.

    Attributes
    ----------
    name : str
        Name within the network, as in its state dict ("0", "3.1"); "" for a single layer.
    layer : str
        Kind of layer, such as "Conv2d".
    input_shape, output_shape : tuple of int
        With the batch axis if the summary's input has it.
    parameters : int
        Weights and biases; 0 where the layer has appeared before.
    multiply_adds : int
        Multiplications with an addition, of convolutions and linear layers, for the whole input.
    activation_bytes : int
        Memory of the output.
    receptive_field : (int, int) or None
        Height and width of the patch of the input that one output value sees, not clipped at the
        borders; None for the whole input.

    Examples
    --------
    >>> import fastconv
    >>> from fastconv import nn
    >>> row = fastconv.summary(nn.Conv2d(3, 10, 3, padding=1), (3, 32, 32)).rows[0]
    >>> row.layer, row.output_shape, row.parameters, row.receptive_field
    ('Conv2d', (10, 32, 32), 280, (3, 3))
    """

    name: str
    layer: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    activation_bytes: int
    receptive_field: tuple[int, int] | None


class Summary:
    """What `summary` returns: prints as a table; `rows` and totals for code.

    Attributes
    ----------
    input_shape : tuple of int
        As given.
    data_format : str
        Axes of volumes, "NCHW" or "NHWC".
    rows : list of SummaryRow
        One for each layer, in the order in which they run.
    parameters, multiply_adds, activation_bytes : int
        Sums over the rows.

    Examples
    --------
    >>> import fastconv
    >>> from fastconv import nn
    >>> net = nn.Sequential(nn.Conv2d(3, 10, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
    >>> table = fastconv.summary(net, (3, 32, 32))
    >>> table.parameters, table.multiply_adds, table.activation_bytes
    (280, 276480, 92160)
    """

    def __init__(
        self, input_shape: tuple[int, ...], data_format: str, rows: list[SummaryRow]
    ) -> None:
        self.input_shape = input_shape
        self.data_format = data_format
        self.rows = rows
        self.parameters = sum(row.parameters for row in rows)
        self.multiply_adds = sum(row.multiply_adds for row in rows)
        self.activation_bytes = sum(row.activation_bytes for row in rows)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of the last layer's output.

        Examples
        --------
        >>> import fastconv
        >>> from fastconv import nn
        >>> fastconv.summary(nn.MaxPool2d(2), (10, 32, 32)).output_shape
        (10, 16, 16)
        """
        return self.rows[-1].output_shape if self.rows else self.input_shape

    def _volume(self, shape: tuple[int, ...]) -> str:
        """Write a shape as the lecture does: 32x32x3, width by height by depth."""
        if len(shape) not in (3, 4):
            batch = f"{shape[0]} x " if len(shape) == 2 else ""
            return batch + "x".join(map(str, shape[len(shape) == 2 :]))
        batch = f"{shape[0]} x " if len(shape) == 4 else ""
        if self.data_format == "NCHW":
            depth, height, width = shape[-3:]
        else:
            height, width, depth = shape[-3:]
        return f"{batch}{width}x{height}x{depth}"

    def _lines(self) -> Iterator[tuple[str, ...]]:
        yield HEADINGS
        yield ("input", self._volume(self.input_shape), "", "", "", "")
        for row in self.rows:
            field = row.receptive_field
            yield (
                f"{row.name} {row.layer}".strip(),
                self._volume(row.output_shape),
                f"{row.parameters:,}",
                f"{row.multiply_adds:,}",
                f"{row.activation_bytes:,}",
                f"{field[1]}x{field[0]}" if field else "everything",
            )
        totals = (self.parameters, self.multiply_adds, self.activation_bytes)
        yield ("total", "", *(f"{total:,}" for total in totals), "")

    def __str__(self) -> str:
        lines = list(self._lines())
        widths = [max(len(line[i]) for line in lines) for i in range(len(HEADINGS))]
        rule = "  ".join("-" * width for width in widths)
        text = [
            "  ".join(
                cell.ljust(width) if i == 0 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        return "\n".join([text[0], rule, *text[1:-1], rule, text[-1]])

    __repr__ = __str__


def _steps(
    model: Module, shape: tuple[int, ...]
) -> Iterator[tuple[str, Module, tuple[int, ...], tuple[int, ...]]]:
    if isinstance(model, Sequential):
        yield from model._trace(shape)
    else:
        yield "", model, shape, model.output_shape(shape)


def summary(model: Module, input_shape: Sequence[int]) -> Summary:
    """Describe a network for an input shape, without running it.

    Parameters
    ----------
    model : Module
        A layer or a `Sequential`.
    input_shape : sequence of int
        With or without the batch axis; multiply-adds and memory are for all of it.

    Returns
    -------
    Summary
        Prints as a table; its `rows` have the numbers.

    Raises
    ------
    ShapeError
        If a layer cannot take its input; the message names the layer.

    Examples
    --------
    >>> import fastconv
    >>> from fastconv import nn
    >>> net = nn.Sequential(
    ...     nn.Conv2d(3, 10, 3, padding=1),
    ...     nn.ReLU(),
    ...     nn.MaxPool2d(2),
    ...     nn.Flatten(),
    ...     nn.Linear(2560, 10),
    ... )
    >>> fastconv.summary(net, (3, 32, 32))
    layer        output (W x H x D)  parameters  multiply-adds  activation bytes  receptive field
    -----------  ------------------  ----------  -------------  ----------------  ---------------
    input                   32x32x3
    0 Conv2d               32x32x10         280        276,480            40,960              3x3
    1 ReLU                 32x32x10           0              0            40,960              3x3
    2 MaxPool2d            16x16x10           0              0            10,240              4x4
    3 Flatten                  2560           0              0            10,240              4x4
    4 Linear                     10      25,610         25,600                40       everything
    -----------  ------------------  ----------  -------------  ----------------  ---------------
    total                                25,890        302,080           102,440
    """
    if not isinstance(model, Module):
        raise TypeError(f"model must be a fastconv.nn.Module, got {type(model).__name__}")
    shape = read_shape(input_shape)
    dtypes = [array.dtype for _, array in model.named_parameters()]
    itemsize = dtypes[0].itemsize if dtypes else 4
    rows = []
    seen: set[int] = set()
    steps = list(_steps(model, shape))
    formats = [layer.data_format for _, layer, _, _ in steps if isinstance(layer, VolumeLayer)]
    field: ReceptiveField | None = ReceptiveField()
    for name, layer, before, after in steps:
        field = layer._receptive_field(field, before)
        rows.append(
            SummaryRow(
                name,
                type(layer).__name__,
                before,
                after,
                0 if id(layer) in seen else layer.num_parameters,
                layer._multiply_adds(before),
                math.prod(after) * itemsize,
                field.size if field else None,
            )
        )
        seen.add(id(layer))
    return Summary(shape, formats[0] if formats else "NCHW", rows)
