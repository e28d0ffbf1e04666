"""Pooling layers: no parameters, each channel on its own."""

from __future__ import annotations

from typing import Any

from .. import functional
from .._arguments import given
from ..shapes import Pair, ReceptiveField, integer, output_hw, pair, pooling_pads
from .checks import check_flag
from .parameter import Array
from .volume import VolumeLayer, plain_pair

__all__ = ["AvgPool2d", "MaxPool2d"]


class _Pool2d(VolumeLayer):
    """What both pooling layers share: the window and its sizes."""

    def _set_window(self, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool) -> None:
        self.kernel_size = plain_pair(kernel_size, "kernel_size", 1)
        self.stride = plain_pair(stride, "stride", 1) if given(stride) else self.kernel_size
        self.padding = plain_pair(padding, "padding", 0)
        self.ceil_mode = check_flag(ceil_mode, "ceil_mode")
        pooling_pads(self.padding, pair(self.kernel_size, "kernel_size"))

    def _dilation(self) -> Pair:
        return 1, 1

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        batch, channels, size = self._split(shape)
        kernel = pair(self.kernel_size, "kernel_size")
        places = output_hw(
            size,
            kernel,
            pair(self.stride, "stride"),
            pooling_pads(self.padding, kernel),
            self._dilation(),
            ceil_mode=self.ceil_mode,
            strict=self.strict,
            pooling=True,
        )
        return self._join(batch, channels, places)

    def _receptive_field(
        self, field: ReceptiveField | None, shape: tuple[int, ...]
    ) -> ReceptiveField | None:
        kernel, stride = pair(self.kernel_size, "kernel_size"), pair(self.stride, "stride")
        return field and field.through(kernel, stride, self._dilation())


class MaxPool2d(_Pool2d):
    """Maximum of each window.

    Parameters
    ----------
    kernel_size : int or (int, int)
        Height and width of the window.
    stride : int or (int, int), optional
        The kernel size by default: windows side by side.
    padding : int or (int, int), optional
        At most half the kernel; padding never is the maximum.
    dilation : int or (int, int), optional
        Distance between the values of a window.
    return_indices : bool, optional
        Return (output, indices) with the flat positions of the maxima in their planes.
    ceil_mode : bool, optional
        Round the output size up instead of down.
    data_format, strict : optional
        As in `Conv2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> pool = nn.MaxPool2d(2)
    >>> pool(np.arange(16.0).reshape(1, 4, 4))
    array([[[ 5.,  7.],
            [13., 15.]]])
    >>> pool.output_shape((10, 32, 32)), pool.num_parameters
    ((10, 16, 16), 0)
    """

    def __init__(
        self,
        kernel_size: int | Pair,
        stride: int | Pair | None = None,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
        *,
        data_format: str = "NCHW",
        strict: bool = False,
    ) -> None:
        self._set_volume_options(data_format, strict)
        self._set_window(kernel_size, stride, padding, ceil_mode)
        self.dilation = plain_pair(dilation, "dilation", 1)
        self.return_indices = check_flag(return_indices, "return_indices")

    def _dilation(self) -> Pair:
        return pair(self.dilation, "dilation")

    def forward(
        self, input: Array, *, out: Array | None = None, num_threads: int | None = None
    ) -> Any:
        """Pool: input (N, C, H, W) or (C, H, W); (output, indices) with `return_indices`.

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv import nn
        >>> output, indices = nn.MaxPool2d(2, return_indices=True).forward(np.eye(2)[None])
        >>> output, indices
        (array([[[1.]]]), array([[[0]]]))
        """
        return functional.max_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            self.return_indices,
            data_format=self.data_format,
            out=out,
            strict=self.strict,
            num_threads=num_threads,
        )

    def extra_repr(self) -> str:
        """Arguments as PyTorch prints them.

        Examples
        --------
        >>> from fastconv import nn
        >>> nn.MaxPool2d(3, stride=2)
        MaxPool2d(kernel_size=3, stride=2, padding=0, dilation=1, ceil_mode=False)
        """
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}{self._volume_repr()}"
        )


class AvgPool2d(_Pool2d):
    """Mean of each window.

    Parameters
    ----------
    kernel_size, stride, padding, ceil_mode, data_format, strict : optional
        As in `MaxPool2d`.
    count_include_pad : bool, optional
        Whether padding counts as values (zeros) of the mean.
    divisor_override : int, optional
        Divide by this instead of the number of values.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> nn.AvgPool2d(2)(np.arange(16.0).reshape(1, 4, 4))
    array([[[ 2.5,  4.5],
            [10.5, 12.5]]])
    """

    def __init__(
        self,
        kernel_size: int | Pair,
        stride: int | Pair | None = None,
        padding: int | Pair = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
        *,
        data_format: str = "NCHW",
        strict: bool = False,
    ) -> None:
        self._set_volume_options(data_format, strict)
        self._set_window(kernel_size, stride, padding, ceil_mode)
        self.count_include_pad = check_flag(count_include_pad, "count_include_pad")
        self.divisor_override = divisor_override
        if divisor_override is not None:
            self.divisor_override = integer(divisor_override, "divisor_override")
            if self.divisor_override == 0:
                raise ValueError("divisor_override must not be zero")

    def forward(
        self, input: Array, *, out: Array | None = None, num_threads: int | None = None
    ) -> Array:
        """Pool: input (N, C, H, W) or (C, H, W).

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv import nn
        >>> nn.AvgPool2d((1, 4)).forward(np.arange(8.0).reshape(1, 2, 4))
        array([[[1.5],
                [5.5]]])
        """
        return functional.avg_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
            data_format=self.data_format,
            out=out,
            strict=self.strict,
            num_threads=num_threads,
        )

    def extra_repr(self) -> str:
        """Arguments as PyTorch prints them.

        Examples
        --------
        >>> from fastconv import nn
        >>> nn.AvgPool2d((2, 3))
        AvgPool2d(kernel_size=(2, 3), stride=(2, 3), padding=0)
        """
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"
            f"{self._volume_repr()}"
        )
