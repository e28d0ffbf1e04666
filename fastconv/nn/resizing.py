"""Layers that change height and width: Upsample and PixelShuffle."""

from __future__ import annotations

from typing import Any

from .. import functional
from .._resize import resized
from ..errors import ShapeError
from ..shapes import ReceptiveField, integer
from .checks import check_choice
from .module import Module
from .parameter import Array

__all__ = ["PixelShuffle", "Upsample"]


class Upsample(Module):
    """Resize height and width (or length, or depth, height and width).

    Parameters
    ----------
    size, scale_factor, mode, align_corners, recompute_scale_factor, data_format : optional
        As in `fastconv.functional.interpolate`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> nn.Upsample(scale_factor=2)(np.array([[[[1.0, 2.0]]]]))
    array([[[[1., 1., 2., 2.],
             [1., 1., 2., 2.]]]])
    """

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
        *,
        data_format: str = "NCHW",
    ) -> None:
        if (size is None) == (scale_factor is None):
            raise ValueError("size, scale_factor: expected one of them")
        self.size, self.scale_factor = size, scale_factor
        self.mode = check_choice(mode, "mode", tuple(functional.RESIZE_MODES))
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor
        self.data_format = check_choice(data_format, "data_format", ("NCHW", "NHWC"))

    def forward(self, input: Array, *, num_threads: int | None = None) -> Array:
        """Apply to an array (N, C, ...).

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv import nn
        >>> nn.Upsample(size=3, mode="linear").forward(np.array([[[0.0, 3.0]]]))
        array([[[0. , 1.5, 3. ]]])
        """
        return functional.interpolate(
            input,
            self.size,
            self.scale_factor,
            self.mode,
            self.align_corners,
            self.recompute_scale_factor,
            data_format=self.data_format,
            num_threads=num_threads,
        )

    def _inner(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if not 3 <= len(shape) <= 5:
            raise ShapeError(f"expected an input of 3 to 5 axes, batch first, got shape {shape}")
        return shape[2:] if self.data_format == "NCHW" else shape[1:-1]

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        sizes, _ = resized(self._inner(shape), self.size, self.scale_factor)
        if self.data_format == "NCHW":
            return (*shape[:2], *sizes)
        return (shape[0], *sizes, shape[-1])

    def _receptive_field(
        self, field: ReceptiveField | None, shape: tuple[int, ...]
    ) -> ReceptiveField | None:
        if field is None:
            return None
        before = (1, *self._inner(shape))[-2:]
        sizes, _ = resized(self._inner(shape), self.size, self.scale_factor)
        after = (1, *sizes)[-2:]
        steps = [-(-field.step[a] * before[a] // after[a]) for a in (0, 1)]
        taps = {"nearest": 1, "nearest-exact": 1, "bicubic": 4}.get(self.mode, 2)
        return ReceptiveField(field.through((taps, taps), (1, 1)).size, (steps[0], steps[1]))

    def extra_repr(self) -> str:
        """Arguments as PyTorch prints them.

        Examples
        --------
        >>> from fastconv import nn
        >>> nn.Upsample(scale_factor=2.0)
        Upsample(scale_factor=2.0, mode='nearest')
        """
        what = "size" if self.scale_factor is None else "scale_factor"
        return f"{what}={getattr(self, what)}, mode={self.mode!r}"


class PixelShuffle(Module):
    """Rearrange channels into blocks of pixels.

    Parameters
    ----------
    upscale_factor, data_format : optional
        As in `fastconv.functional.pixel_shuffle`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> nn.PixelShuffle(3)(np.ones((1, 9, 4, 4))).shape
    (1, 1, 12, 12)
    """

    def __init__(self, upscale_factor: int, *, data_format: str = "NCHW") -> None:
        self.upscale_factor = integer(upscale_factor, "upscale_factor", 1)
        self.data_format = check_choice(data_format, "data_format", ("NCHW", "NHWC"))

    def forward(self, input: Array, *, num_threads: int | None = None) -> Array:
        """Apply to an array (N, C, H, W) or (C, H, W).

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv import nn
        >>> nn.PixelShuffle(2).forward(np.arange(4.0).reshape(4, 1, 1)).ravel()
        array([0., 1., 2., 3.])
        """
        return functional.pixel_shuffle(
            input, self.upscale_factor, data_format=self.data_format, num_threads=num_threads
        )

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(shape) not in (3, 4):
            raise ShapeError(f"expected an input of 3 or 4 axes, got shape {shape}")
        last = self.data_format == "NHWC"
        height, width, depth = shape[-3:] if last else (*shape[-2:], shape[-3])
        square = self.upscale_factor**2
        if depth % square:
            raise ShapeError(f"expected channels divisible by {square}, got shape {shape}")
        sizes = height * self.upscale_factor, width * self.upscale_factor
        own = (*sizes, depth // square) if last else (depth // square, *sizes)
        return (*shape[:-3], *own)

    def _receptive_field(
        self, field: ReceptiveField | None, shape: tuple[int, ...]
    ) -> ReceptiveField | None:
        if field is None:
            return None
        height, width = (-(-step // self.upscale_factor) for step in field.step)
        return ReceptiveField(field.size, (height, width))

    def extra_repr(self) -> str:
        """Arguments as PyTorch prints them.

        Examples
        --------
        >>> from fastconv import nn
        >>> nn.PixelShuffle(2)
        PixelShuffle(upscale_factor=2)
        """
        return f"upscale_factor={self.upscale_factor}"
