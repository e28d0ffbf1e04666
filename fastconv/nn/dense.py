"""Fully connected layers and the step from volumes to vectors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import functional
from ..errors import ShapeError
from ..shapes import ReceptiveField, integer
from .checks import check_choice, check_flag
from .module import Module
from .parameter import Array, Parameter

__all__ = ["Flatten", "Linear"]


class Linear(Module):
    """Fully connected layer: ``input @ weight.T + bias``.

    Parameters
    ----------
    in_features, out_features : int
        Sizes of the last axis of input and output.
    bias : bool, optional
        Whether a bias is added.
    activation : str, optional
        Applied to the output in the same pass, as in `Conv2d`.
    dtype, rng : optional
        As in `Conv2d`.

    Attributes
    ----------
    weight : ndarray
        (out_features, in_features), read-only; assign to change.
    bias : ndarray or None
        (out_features,), read-only.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> layer = nn.Linear(4, 2)
    >>> layer(np.zeros((5, 4), np.float32)).shape, layer.num_parameters
    ((5, 2), 10)
    """

    weight = Parameter[Array](packed=True)
    bias = Parameter[Array | None]()

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        activation: str | None = None,
        dtype: Any = np.float32,
        rng: Any = None,
    ) -> None:
        self.in_features = integer(in_features, "in_features", 1)
        self.out_features = integer(out_features, "out_features", 1)
        self.activation = check_choice(activation, "activation", tuple(functional.ACTIVATIONS))
        shape = (self.out_features, self.in_features)
        self._create_parameters(
            {"weight": shape, "bias": shape[:1] if check_flag(bias, "bias") else None},
            fan_in=self.in_features,
            dtype=dtype,
            rng=rng,
        )

    def forward(
        self, input: Array, *, out: Array | None = None, num_threads: int | None = None
    ) -> Array:
        """Apply to an input (..., in_features); output (..., out_features).

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv import nn
        >>> nn.Linear(4, 2).forward(np.zeros((7, 5, 4), np.float32)).shape
        (7, 5, 2)
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
        return functional.linear(
            input,
            weight,
            self._parameters["bias"].value,
            activation=activation,
            out=out,
            num_threads=num_threads,
            packed=packed,
        )

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if not shape or shape[-1] != self.in_features:
            raise ShapeError(f"expected an input of shape (..., {self.in_features}), got {shape}")
        return (*shape[:-1], self.out_features)

    def _multiply_adds(self, shape: tuple[int, ...]) -> int:
        return math.prod(shape) * self.out_features

    def _receptive_field(
        self, field: ReceptiveField | None, shape: tuple[int, ...]
    ) -> ReceptiveField | None:
        return None if len(shape) <= 2 else field  # on a volume it acts on each place alone

    def extra_repr(self) -> str:
        """Arguments as PyTorch prints them.

        Examples
        --------
        >>> from fastconv import nn
        >>> nn.Linear(4, 2)
        Linear(in_features=4, out_features=2, bias=True)
        """
        text = f"in_features={self.in_features}, out_features={self.out_features}"
        text += f", bias={self.bias is not None}"
        return text + (f", activation={self.activation!r}" if self.activation else "")


class Flatten(Module):
    """Join the axes from `start_dim` to `end_dim` into one.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> nn.Flatten()(np.zeros((100, 10, 4, 4))).shape
    (100, 160)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim = integer(start_dim, "start_dim")
        self.end_dim = integer(end_dim, "end_dim")

    def forward(self, input: Array) -> Array:
        """Reshape; a view of the input where its memory allows.

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv import nn
        >>> nn.Flatten(0, 1).forward(np.zeros((2, 3, 4))).shape
        (6, 4)
        """
        return functional.flatten(input, self.start_dim, self.end_dim)

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        axes = max(len(shape), 1)
        for name, dim in (("start_dim", self.start_dim), ("end_dim", self.end_dim)):
            if not -axes <= dim < axes:
                raise ShapeError(f"expected an input that has axis {name}={dim}, got shape {shape}")
        first, last = self.start_dim % axes, self.end_dim % axes
        if first > last:
            raise ShapeError(
                f"expected start_dim to come before end_dim, got axes {first} and {last} "
                f"of shape {shape}"
            )
        return (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :])

    def extra_repr(self) -> str:
        """Arguments as PyTorch prints them.

        Examples
        --------
        >>> from fastconv import nn
        >>> nn.Flatten()
        Flatten(start_dim=1, end_dim=-1)
        """
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
