"""Pools over one and three axes, and pools of a given output size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from .. import _axes, functional
from .._arguments import given
from ..errors import ShapeError
from ..functional.adaptive import adaptive_sizes
from ..shapes import output_size as places
from .checks import check_flag
from .module import Module
from .parameter import Array

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AvgPool1d",
    "AvgPool3d",
    "MaxPool1d",
    "MaxPool3d",
]


class _Pool(Module):
    """A pool over `axes` axes behind (N, C) or (C): `operator` of `arguments`."""

    axes: ClassVar[int]
    operator: ClassVar[Callable[..., Any]]
    arguments: ClassVar[tuple[str, ...]]

    def forward(self, input: Array, *, num_threads: int | None = None) -> Any:
        """Pool an input with or without the batch axis.

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv import nn
        >>> nn.AvgPool1d(2).forward(np.array([[1.0, 3.0]]))
        array([[2.]])
        """
        values = {name: getattr(self, name) for name in self.arguments}
        return type(self).operator(input, **values, num_threads=num_threads)

    def _sizes(self, size: tuple[int, ...]) -> tuple[int, ...]:
        raise NotImplementedError

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(shape) not in (self.axes + 1, self.axes + 2):
            raise ShapeError(
                f"expected an input of {self.axes + 1} or {self.axes + 2} axes, got {shape}"
            )
        return (*shape[: -self.axes], *self._sizes(shape[-self.axes :]))

    def extra_repr(self) -> str:
        """Arguments as PyTorch prints them.

        Examples
        --------
        >>> from fastconv import nn
        >>> nn.AdaptiveAvgPool2d(1)
        AdaptiveAvgPool2d(output_size=1)
        """
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in self.arguments)


class _WindowPool(_Pool):
    """A pool with a window of given size."""

    def _set_window(
        self, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
    ) -> None:
        self.kernel_size = _axes.numbers(kernel_size, self.axes, "kernel_size", 1)
        steps = _axes.numbers(stride, self.axes, "stride", 1) if given(stride) else None
        self.stride = steps or self.kernel_size
        self.padding = _axes.numbers(padding, self.axes, "padding", 0)
        self.dilation = _axes.numbers(dilation, self.axes, "dilation", 1)
        self.ceil_mode = check_flag(ceil_mode, "ceil_mode")
        if any(p > k // 2 for p, k in zip(self.padding, self.kernel_size, strict=True)):
            raise ShapeError(f"padding must be at most half the kernel, got {padding}")

    def _sizes(self, size: tuple[int, ...]) -> tuple[int, ...]:
        window = self.kernel_size, self.stride, self.padding, self.dilation
        return tuple(
            places(n, k, s, (p, p), d, ceil_mode=self.ceil_mode, axis=axis, pooling=True)
            for n, k, s, p, d, axis in zip(size, *window, _axes.NAMES[self.axes], strict=True)
        )


class _MaxPool(_WindowPool):
    arguments = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        self._set_window(kernel_size, stride, padding, dilation, ceil_mode)
        self.return_indices = check_flag(return_indices, "return_indices")


class MaxPool1d(_MaxPool):
    """Maximum of each window of lines.

    Parameters
    ----------
    kernel_size, stride, padding, dilation, return_indices, ceil_mode : optional
        As in `MaxPool2d`, along one axis.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> nn.MaxPool1d(2)(np.array([[1.0, 4.0, 2.0, 3.0]]))
    array([[4., 3.]])
    """

    axes = 1
    operator = functional.max_pool1d


class MaxPool3d(_MaxPool):
    """Maximum of each window of volumes.

    Parameters
    ----------
    kernel_size, stride, padding, dilation, return_indices, ceil_mode : optional
        As in `MaxPool2d`, for depth, height and width.

    Examples
    --------
    >>> from fastconv import nn
    >>> nn.MaxPool3d(2).output_shape((1, 3, 8, 8, 8))
    (1, 3, 4, 4, 4)
    """

    axes = 3
    operator = functional.max_pool3d


class AvgPool1d(_WindowPool):
    """Mean of each window of lines.

    Parameters
    ----------
    kernel_size, stride, padding, ceil_mode, count_include_pad : optional
        As in `AvgPool2d`, along one axis.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> nn.AvgPool1d(2)(np.array([[1.0, 4.0, 2.0, 3.0]]))
    array([[2.5, 2.5]])
    """

    axes = 1
    operator = functional.avg_pool1d
    arguments = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        self._set_window(kernel_size, stride, padding, 1, ceil_mode)
        self.count_include_pad = check_flag(count_include_pad, "count_include_pad")


class AvgPool3d(_WindowPool):
    """Mean of each window of volumes.

    Parameters
    ----------
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override : optional
        As in `AvgPool2d`, for depth, height and width.

    Examples
    --------
    >>> from fastconv import nn
    >>> nn.AvgPool3d((1, 2, 2)).output_shape((1, 3, 8, 8, 8))
    (1, 3, 8, 4, 4)
    """

    axes = 3
    operator = functional.avg_pool3d
    arguments = (*AvgPool1d.arguments, "divisor_override")

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        self._set_window(kernel_size, stride, padding, 1, ceil_mode)
        self.count_include_pad = check_flag(count_include_pad, "count_include_pad")
        self.divisor_override = divisor_override


class _AdaptivePool(_Pool):
    arguments: ClassVar[tuple[str, ...]] = ("output_size",)

    def __init__(self, output_size: Any) -> None:
        self.output_size = output_size
        adaptive_sizes(output_size, (1,) * self.axes)

    def _sizes(self, size: tuple[int, ...]) -> tuple[int, ...]:
        return adaptive_sizes(self.output_size, size)


class AdaptiveAvgPool1d(_AdaptivePool):
    """Means of windows that divide a line into so many.

    Parameters
    ----------
    output_size : int
        Number of windows.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> nn.AdaptiveAvgPool1d(2)(np.array([[1.0, 2.0, 6.0]]))
    array([[1.5, 4. ]])
    """

    axes = 1
    operator = functional.adaptive_avg_pool1d


class AdaptiveAvgPool2d(_AdaptivePool):
    """Means of windows that divide an image into so many rows and columns.

    Parameters
    ----------
    output_size : int or (int or None, int or None)
        Rows and columns of the output; None keeps the input's.

    Examples
    --------
    >>> from fastconv import nn
    >>> nn.AdaptiveAvgPool2d((7, None)).output_shape((1, 512, 20, 30))
    (1, 512, 7, 30)
    """

    axes = 2
    operator = functional.adaptive_avg_pool2d


class _AdaptiveMaxPool(_AdaptivePool):
    arguments = ("output_size", "return_indices")

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = check_flag(return_indices, "return_indices")


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Maxima of windows that divide a line into so many.

    Parameters
    ----------
    output_size : int
        Number of windows.
    return_indices : bool, optional
        Return (output, indices).

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> nn.AdaptiveMaxPool1d(2)(np.array([[1.0, 2.0, 6.0]]))
    array([[2., 6.]])
    """

    axes = 1
    operator = functional.adaptive_max_pool1d


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Maxima of windows that divide an image into so many rows and columns.

    Parameters
    ----------
    output_size : int or (int or None, int or None)
        Rows and columns of the output; None keeps the input's.
    return_indices : bool, optional
        Return (output, indices).

    Examples
    --------
    >>> from fastconv import nn
    >>> nn.AdaptiveMaxPool2d(1).output_shape((1, 512, 20, 30))
    (1, 512, 1, 1)
    """

    axes = 2
    operator = functional.adaptive_max_pool2d
