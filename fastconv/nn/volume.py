"""What layers on volumes share: the layout of (N, C, H, W) and (N, H, W, C) shapes."""

from __future__ import annotations

from typing import Any

from ..errors import ShapeError
from ..shapes import Pair, pair
from .checks import check_choice, check_flag
from .module import Module

__all__ = ["VolumeLayer"]


class VolumeLayer(Module):
    """Base class of layers that slide a window over width and height.

    Examples
    --------
    >>> from fastconv import nn
    >>> isinstance(nn.MaxPool2d(2), nn.VolumeLayer)
    True
    """

    data_format: str
    strict: bool

    def _set_volume_options(self, data_format: str, strict: bool) -> None:
        self.data_format = check_choice(data_format, "data_format", ("NCHW", "NHWC"))
        self.strict = check_flag(strict, "strict")

    def _split(
        self, shape: tuple[int, ...], channels: int | None = None
    ) -> tuple[tuple[int, ...], int, Pair]:
        """Split a shape into the batch axis (if any), the channels and (height, width)."""
        wanted = "C" if channels is None else str(channels)
        volume = f"{wanted}, H, W" if self.data_format == "NCHW" else f"H, W, {wanted}"
        if len(shape) not in (3, 4):
            raise ShapeError(f"expected an input of shape (N, {volume}) or ({volume}), got {shape}")
        if self.data_format == "NCHW":
            depth, height, width = shape[-3:]
        else:
            height, width, depth = shape[-3:]
        if channels is not None and depth != channels:
            raise ShapeError(
                f"expected {channels} input channels, as in (N, {volume}), "
                f"got {depth} in an input of shape {shape}"
            )
        return shape[:-3], depth, (height, width)

    def _join(self, batch: tuple[int, ...], channels: int, size: Pair) -> tuple[int, ...]:
        if self.data_format == "NCHW":
            return (*batch, channels, *size)
        return (*batch, *size, channels)

    def _volume_repr(self) -> str:
        """Options that PyTorch does not have, where they differ from the default."""
        text = "" if self.data_format == "NCHW" else f", data_format={self.data_format!r}"
        return text + (", strict=True" if self.strict else "")


def plain_pair(value: Any, name: str, minimum: int) -> int | Pair:
    """Check a pooling argument and keep it as PyTorch does: an integer stays an integer.

    Examples
    --------
    >>> from fastconv.nn.volume import plain_pair
    >>> plain_pair(2, "kernel_size", 1), plain_pair([2, 3], "kernel_size", 1)
    (2, (2, 3))
    """
    both = pair(value, name, minimum)
    return both if hasattr(value, "__len__") else both[0]
