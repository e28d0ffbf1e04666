"""Convolution over one and three axes, and what its layers share with transposed ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from .. import _axes, functional
from ..errors import ShapeError
from ..shapes import ReceptiveField, integer
from .checks import check_choice, check_flag
from .module import Module
from .parameter import Array, Parameter

__all__ = ["Conv1d", "Conv3d", "ConvolutionLayer", "Sizes"]

Sizes = tuple[int, ...]


class ConvolutionLayer(Module):
    """What these layers share; `axes`, `transposed` and the operator are the subclass's.

    Examples
    --------
    >>> from fastconv import nn
    >>> from fastconv.nn.volumes import ConvolutionLayer
    >>> issubclass(nn.Conv1d, ConvolutionLayer)
    True
    """

    axes: ClassVar[int]
    transposed: ClassVar[bool]
    operator: ClassVar[Callable[..., Array]]

    weight = Parameter[Array](packed=True)
    bias = Parameter[Array | None]()

    output_padding: Sizes
    strict: bool

    def _set_up(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sizes,
        stride: int | Sizes,
        padding: Any,
        dilation: int | Sizes,
        groups: int,
        bias: bool,
        padding_mode: str,
        activation: str | None,
        data_format: str,
        algorithm: str | None,
        dtype: Any,
        rng: Any,
    ) -> None:
        axes = self.axes
        self.data_format = check_choice(data_format, "data_format", functional.DATA_FORMATS[axes])
        self.in_channels = integer(in_channels, "in_channels", 1)
        self.out_channels = integer(out_channels, "out_channels", 1)
        self.kernel_size = _axes.numbers(kernel_size, axes, "kernel_size", 1)
        self.stride = _axes.numbers(stride, axes, "stride", 1)
        self.dilation = _axes.numbers(dilation, axes, "dilation", 1)
        self.groups = integer(groups, "groups", 1)
        window = self.kernel_size, self.stride, self.dilation
        pads = _axes.pads(padding, self.kernel_size, *window)
        self.padding: Any = padding
        if not isinstance(padding, str):
            even = all(before == after for before, after in pads)
            self.padding = tuple(before for before, _ in pads) if even else pads
        for name, count in (("in_channels", in_channels), ("out_channels", out_channels)):
            if count % self.groups:
                raise ShapeError(
                    f"{name} must be divisible by groups, got {name}={count} and groups={groups}"
                )
        modes = ("zeros",) if self.transposed else tuple(functional.PAD_MODES)
        self.padding_mode = check_choice(padding_mode, "padding_mode", modes)
        self.activation = check_choice(activation, "activation", tuple(functional.ACTIVATIONS))
        self.algorithm = check_choice(algorithm, "algorithm", (None, *functional.ALGORITHMS))
        channels = self.in_channels, self.out_channels
        first, second = channels if self.transposed else channels[::-1]
        shape = (first, second // self.groups, *self.kernel_size)
        self._create_parameters(
            {
                "weight": shape,
                "bias": (self.out_channels,) if check_flag(bias, "bias") else None,
            },
            fan_in=math.prod(shape[1:]),
            dtype=dtype,
            rng=rng,
        )

    def forward(
        self, input: Array, *, out: Array | None = None, num_threads: int | None = None
    ) -> Array:
        """Convolve an input with or without the batch axis.

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv import nn
        >>> nn.Conv1d(2, 4, 3).forward(np.ones((5, 2, 10), np.float32)).shape
        (5, 4, 8)
        """
        return self._run(input, self.activation, out, num_threads)

    def _run(
        self,
        input: Array,
        activation: str | None,
        out: Array | None = None,
        num_threads: int | None = None,
    ) -> Array:
        weight, packed = self._parameters["weight"]
        options: dict[str, Any] = {"stride": self.stride, "padding": self.padding}
        if self.transposed:
            options["output_padding"] = self.output_padding
        else:
            options["strict"] = self.strict
            options["padding_mode"] = self.padding_mode
        return type(self).operator(
            input,
            weight,
            self._parameters["bias"].value,
            dilation=self.dilation,
            groups=self.groups,
            data_format=self.data_format,
            activation=activation,
            out=out,
            algorithm=self.algorithm,
            num_threads=num_threads,
            packed=packed,
            **options,
        )

    def _places(self, shape: Sizes) -> tuple[Sizes, Sizes]:
        """Split a shape into the batch axis (if any) and the sizes behind the channels."""
        last = self.data_format == functional.DATA_FORMATS[self.axes][1]
        wanted = ", ".join(self.data_format).replace("C", str(self.in_channels))
        if len(shape) not in (self.axes + 1, self.axes + 2):
            raise ShapeError(
                f"expected an input of shape ({wanted}), or the same without N, got {shape}"
            )
        own = shape[-self.axes - 1 :]
        depth, size = (own[-1], own[:-1]) if last else (own[0], own[1:])
        if depth != self.in_channels:
            raise ShapeError(
                f"expected {self.in_channels} input channels, as in ({wanted}), got {depth} in an "
                f"input of shape {shape}"
            )
        return shape[: -self.axes - 1], size

    def _output_shape(self, shape: Sizes) -> Sizes:
        batch, size = self._places(shape)
        window = self.kernel_size, self.stride
        pads = _axes.pads(self.padding, size, *window, self.dilation)
        if self.transposed:
            places = _axes.transposed_outputs(
                size, *window, pads, self.dilation, self.output_padding
            )
        else:
            places = _axes.outputs(size, *window, pads, self.dilation, strict=self.strict)
        if self.data_format == functional.DATA_FORMATS[self.axes][1]:
            return (*batch, *places, self.out_channels)
        return (*batch, self.out_channels, *places)

    def _multiply_adds(self, shape: Sizes) -> int:
        places = shape if self.transposed else self._output_shape(shape)
        channels = self.out_channels if self.transposed else self.in_channels
        return math.prod(places) * math.prod(self.kernel_size) * channels // self.groups

    def _receptive_field(self, field: ReceptiveField | None, shape: Sizes) -> ReceptiveField | None:
        if field is None:
            return None
        kernel, stride, dilation = (
            ((1, *values)[-2], values[-1])
            for values in (self.kernel_size, self.stride, self.dilation)
        )
        if not self.transposed:
            return field.through(kernel, stride, dilation)
        # at most so many inputs are behind an output; steps smaller than a pixel count as one
        seen = [
            -(-((f - 1) * d + 1) // s) for f, s, d in zip(kernel, stride, dilation, strict=True)
        ]
        grown = field.through((seen[0], seen[1]), (1, 1))
        step = -(-field.step[0] // stride[0]), -(-field.step[1] // stride[1])
        return ReceptiveField(grown.size, step)

    def extra_repr(self) -> str:
        """Arguments as PyTorch prints them: those that differ from the default.

        Examples
        --------
        >>> from fastconv import nn
        >>> nn.Conv1d(2, 4, 3, padding=1)
        Conv1d(2, 4, kernel_size=(3,), stride=(1,), padding=(1,))
        """
        ones, zeros = (1,) * self.axes, (0,) * self.axes
        text = f"{self.in_channels}, {self.out_channels}"
        text += f", kernel_size={self.kernel_size}, stride={self.stride}"
        text += f", padding={self.padding}" if self.padding != zeros else ""
        text += f", dilation={self.dilation}" if self.dilation != ones else ""
        if self.transposed and self.output_padding != zeros:
            text += f", output_padding={self.output_padding}"
        text += f", groups={self.groups}" if self.groups != 1 else ""
        text += ", bias=False" if self.bias is None else ""
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        text += f", activation={self.activation!r}" if self.activation else ""
        text += f", algorithm={self.algorithm!r}" if self.algorithm else ""
        if self.data_format != functional.DATA_FORMATS[self.axes][0]:
            text += f", data_format={self.data_format!r}"
        return text + (", strict=True" if not self.transposed and self.strict else "")


class Conv1d(ConvolutionLayer):
    """Convolution of sequences: K filters that share their weights over all places.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode
        As in `Conv2d`, with a number for all axes or one for each.
    data_format : {"NCL", "NLC"}, optional
        Axes of input and output.
    activation, strict, algorithm, dtype, rng : optional
        As in `Conv2d`.

    Attributes
    ----------
    weight : ndarray
        Filters (out_channels, in_channels / groups, ...), read-only; assign to change.
    bias : ndarray or None
        Biases (out_channels,), read-only.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> layer = nn.Conv1d(16, 33, kernel_size=3, stride=2)
    >>> layer(np.zeros((20, 16, 50), np.float32)).shape
    (20, 33, 24)
    """

    axes = 1
    transposed = False
    operator = staticmethod(functional.conv1d)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sizes,
        stride: int | Sizes = 1,
        padding: Any = 0,
        dilation: int | Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        activation: str | None = None,
        data_format: str = "NCL",
        strict: bool = False,
        algorithm: str | None = None,
        dtype: Any = np.float32,
        rng: Any = None,
    ) -> None:
        self.strict = check_flag(strict, "strict")
        self._set_up(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,
            activation,
            data_format,
            algorithm,
            dtype,
            rng,
        )


class Conv3d(ConvolutionLayer):
    """Convolution of three axes: K filters that share their weights over all places.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode
        As in `Conv2d`, with a number for all axes or one for each.
    data_format : {"NCDHW", "NDHWC"}, optional
        Axes of input and output.
    activation, strict, algorithm, dtype, rng : optional
        As in `Conv2d`.

    Attributes
    ----------
    weight : ndarray
        Filters (out_channels, in_channels / groups, ...), read-only; assign to change.
    bias : ndarray or None
        Biases (out_channels,), read-only.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> layer = nn.Conv3d(3, 8, kernel_size=3, padding=1)
    >>> layer(np.zeros((1, 3, 4, 16, 16), np.float32)).shape, layer.num_parameters
    ((1, 8, 4, 16, 16), 656)
    """

    axes = 3
    transposed = False
    operator = staticmethod(functional.conv3d)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sizes,
        stride: int | Sizes = 1,
        padding: Any = 0,
        dilation: int | Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        activation: str | None = None,
        data_format: str = "NCDHW",
        strict: bool = False,
        algorithm: str | None = None,
        dtype: Any = np.float32,
        rng: Any = None,
    ) -> None:
        self.strict = check_flag(strict, "strict")
        self._set_up(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,
            activation,
            data_format,
            algorithm,
            dtype,
            rng,
        )
