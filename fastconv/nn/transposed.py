"""Transposed convolution over one, two and three axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _axes, functional
from .volume import VolumeLayer
from .volumes import ConvolutionLayer, Sizes

__all__ = ["ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]


class ConvTranspose1d(ConvolutionLayer):
    """Transposed convolution over one axis: the adjoint of `Conv1d`, for growing volumes.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, output_padding : optional
        As in `ConvTranspose2d`, with a number for all axes or one for each.
    groups, bias, dilation, activation, algorithm, dtype, rng : optional
        As in `ConvTranspose2d`.
    data_format : {"NCL", "NLC"}, optional
        Axes of input and output.

    Examples
    --------
    >>> from fastconv import nn
    >>> nn.ConvTranspose1d(16, 8, 4, stride=2, padding=1).output_shape((1, 16, 50))
    (1, 8, 100)
    """

    axes = 1
    transposed = True
    operator = staticmethod(functional.conv_transpose1d)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sizes,
        stride: int | Sizes = 1,
        padding: Any = 0,
        output_padding: int | Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | Sizes = 1,
        padding_mode: str = "zeros",
        *,
        activation: str | None = None,
        data_format: str = "NCL",
        algorithm: str | None = None,
        dtype: Any = np.float32,
        rng: Any = None,
    ) -> None:
        self.output_padding = _axes.numbers(output_padding, 1, "output_padding", 0)
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


class ConvTranspose2d(ConvolutionLayer, VolumeLayer):
    """Transposed convolution over height and width: the adjoint of `Conv2d`, for growing volumes.

    Parameters
    ----------
    in_channels, out_channels : int
        Depth of the input and number of filters.
    kernel_size : int or (int, int)
        Height and width of the filters.
    stride, padding, output_padding, groups, dilation : optional
        As in `fastconv.functional.conv_transpose2d`.
    bias : bool, optional
        Whether a bias is added to each filter's output.
    padding_mode : {"zeros"}, optional
        As in PyTorch nothing else.
    data_format : {"NCHW", "NHWC"}, optional
        Axes of input and output.
    activation, algorithm, dtype, rng : optional
        As in `Conv2d`.

    Attributes
    ----------
    weight : ndarray
        Filters (in_channels, out_channels / groups, height, width), read-only; assign to change.
    bias : ndarray or None
        Biases (out_channels,), read-only.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> layer = nn.ConvTranspose2d(16, 8, kernel_size=4, stride=2, padding=1)
    >>> layer(np.zeros((1, 16, 12, 12), np.float32)).shape
    (1, 8, 24, 24)
    """

    axes = 2
    transposed = True
    operator = staticmethod(functional.conv_transpose2d)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sizes,
        stride: int | Sizes = 1,
        padding: Any = 0,
        output_padding: int | Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | Sizes = 1,
        padding_mode: str = "zeros",
        *,
        activation: str | None = None,
        data_format: str = "NCHW",
        algorithm: str | None = None,
        dtype: Any = np.float32,
        rng: Any = None,
    ) -> None:
        self.output_padding = _axes.numbers(output_padding, 2, "output_padding", 0)
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


class ConvTranspose3d(ConvolutionLayer):
    """Transposed convolution over three axes: the adjoint of `Conv3d`, for growing volumes.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, output_padding : optional
        As in `ConvTranspose2d`, with a number for all axes or one for each.
    groups, bias, dilation, activation, algorithm, dtype, rng : optional
        As in `ConvTranspose2d`.
    data_format : {"NCDHW", "NDHWC"}, optional
        Axes of input and output.

    Examples
    --------
    >>> from fastconv import nn
    >>> nn.ConvTranspose3d(16, 8, 2, stride=2).output_shape((1, 16, 4, 7, 7))
    (1, 8, 8, 14, 14)
    """

    axes = 3
    transposed = True
    operator = staticmethod(functional.conv_transpose3d)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sizes,
        stride: int | Sizes = 1,
        padding: Any = 0,
        output_padding: int | Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | Sizes = 1,
        padding_mode: str = "zeros",
        *,
        activation: str | None = None,
        data_format: str = "NCDHW",
        algorithm: str | None = None,
        dtype: Any = np.float32,
        rng: Any = None,
    ) -> None:
        self.output_padding = _axes.numbers(output_padding, 3, "output_padding", 0)
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
