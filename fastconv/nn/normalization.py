"""Normalization by the statistics that training has left, and dropout, which is training's."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from .. import functional
from ..errors import ShapeError, UnsupportedOperatorError
from ..shapes import integer
from .checks import check_choice, check_dtype, check_flag
from .module import Module
from .parameter import Array, Parameter, freeze

__all__ = ["BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "Dropout", "LocalResponseNorm"]


class _BatchNorm(Module):
    """What batch normalizations of one to three axes share."""

    axes: ClassVar[tuple[int, ...]]

    weight = Parameter[Array | None]()
    bias = Parameter[Array | None]()
    running_mean = Parameter[Array](buffer=True)
    running_var = Parameter[Array](buffer=True)
    num_batches_tracked = Parameter[Array](buffer=True)

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        activation: str | None = None,
        data_format: str = "NCHW",
        dtype: Any = np.float32,
    ) -> None:
        self.num_features = integer(num_features, "num_features", 1)
        self.eps = float(eps)
        self.momentum = momentum
        self.affine = check_flag(affine, "affine")
        if not check_flag(track_running_stats, "track_running_stats"):
            raise UnsupportedOperatorError(
                f"{type(self).__name__} normalizes by given statistics: expected "
                "track_running_stats=True"
            )
        self.data_format = check_choice(data_format, "data_format", ("NCHW", "NHWC"))
        self.activation = check_choice(activation, "activation", tuple(functional.ACTIVATIONS))
        kind = check_dtype(dtype)
        ones, zeros = np.ones(self.num_features, kind), np.zeros(self.num_features, kind)
        arrays = {
            "weight": ones if self.affine else None,
            "bias": zeros if self.affine else None,
            "running_mean": zeros,
            "running_var": ones,
            "num_batches_tracked": np.array(0),
        }
        self._parameters = {}
        for name, array in arrays.items():
            frozen = None if array is None else freeze(array.copy())
            getattr(type(self), name).hold(self, frozen)

    def forward(self, input: Array, *, num_threads: int | None = None) -> Array:
        """Normalize each channel by the running statistics.

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv import nn
        >>> nn.BatchNorm2d(2, eps=0).forward(np.ones((1, 2, 1, 1), np.float32)).ravel()
        array([1., 1.], dtype=float32)
        """
        if isinstance(input, np.ndarray):
            self._output_shape(input.shape)
        held = self._parameters
        return functional.batch_norm(
            input,
            held["running_mean"].value,
            held["running_var"].value,
            held["weight"].value,
            held["bias"].value,
            eps=self.eps,
            data_format=self.data_format,
            activation=self.activation,
            num_threads=num_threads,
        )

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        channel = 1 if self.data_format == "NCHW" else -1
        if len(shape) not in self.axes or shape[channel] != self.num_features:
            raise ShapeError(
                f"expected an input of {' or '.join(map(str, self.axes))} axes (batch first) and "
                f"{self.num_features} channels, got shape {shape}"
            )
        return shape

    def extra_repr(self) -> str:
        """Arguments as PyTorch prints them.

        Examples
        --------
        >>> from fastconv import nn
        >>> nn.BatchNorm2d(8)
        BatchNorm2d(8, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
        """
        text = f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"
        text += f", affine={self.affine}, track_running_stats=True"
        text += f", activation={self.activation!r}" if self.activation else ""
        return text + ("" if self.data_format == "NCHW" else f", data_format={self.data_format!r}")


class BatchNorm1d(_BatchNorm):
    """Batch normalization of (N, C) or (N, C, L) by running statistics.

    Parameters and attributes are those of `BatchNorm2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> nn.BatchNorm1d(3)(np.zeros((5, 3), np.float32)).shape
    (5, 3)
    """

    axes = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalization of (N, C, H, W) by running statistics, as PyTorch's in evaluation mode.

    Parameters
    ----------
    num_features : int
        Channels.
    eps : float, optional
        Added to the variance.
    momentum : float, optional
        Taken for the sake of PyTorch's models.
    affine : bool, optional
        Whether there are `weight` and `bias`.
    track_running_stats : bool, optional
        There is nothing but running statistics: True.
    activation : str, optional
        Applied in the same pass, as in `Conv2d`.
    data_format : {"NCHW", "NHWC"}, optional
        Axes of input and output.
    dtype : dtype, optional
        float32 or float64.

    Attributes
    ----------
    weight, bias : ndarray or None
        (num_features,), read-only; assign to change.
    running_mean, running_var, num_batches_tracked : ndarray
        What training left; in the state dict, but no parameters.

    Raises
    ------
    UnsupportedOperatorError
        With ``track_running_stats=False``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> layer = nn.BatchNorm2d(3)
    >>> layer(np.zeros((1, 3, 4, 4), np.float32)).shape, layer.num_parameters
    ((1, 3, 4, 4), 6)
    >>> list(layer.state_dict())
    ['weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked']
    """

    axes = (4,)


class BatchNorm3d(_BatchNorm):
    """Batch normalization of (N, C, D, H, W) by running statistics.

    Parameters and attributes are those of `BatchNorm2d`.

    Examples
    --------
    >>> from fastconv import nn
    >>> nn.BatchNorm3d(3).output_shape((1, 3, 2, 4, 4))
    (1, 3, 2, 4, 4)
    """

    axes = (5,)


class LocalResponseNorm(Module):
    """Division by the energy of neighbouring channels.

    Parameters
    ----------
    size, alpha, beta, k, data_format : optional
        As in `fastconv.functional.local_response_norm`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> nn.LocalResponseNorm(5)(np.ones((1, 96, 7, 7), np.float32)).shape
    (1, 96, 7, 7)
    """

    def __init__(
        self,
        size: int,
        alpha: float = 1e-4,
        beta: float = 0.75,
        k: float = 1.0,
        *,
        data_format: str = "NCHW",
    ) -> None:
        self.size = integer(size, "size", 1)
        self.alpha, self.beta, self.k = float(alpha), float(beta), float(k)
        self.data_format = check_choice(data_format, "data_format", ("NCHW", "NHWC"))

    def forward(self, input: Array, *, num_threads: int | None = None) -> Array:
        """Apply to an array (N, C, ...).

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv import nn
        >>> nn.LocalResponseNorm(1, alpha=1.0, beta=1.0).forward(np.ones((1, 1, 1))).ravel()
        array([0.5])
        """
        return functional.local_response_norm(
            input,
            self.size,
            self.alpha,
            self.beta,
            self.k,
            data_format=self.data_format,
            num_threads=num_threads,
        )

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if len(shape) < 3:
            raise ShapeError(f"expected an input of at least 3 axes, got shape {shape}")
        return shape

    def extra_repr(self) -> str:
        """Arguments as PyTorch prints them.

        Examples
        --------
        >>> from fastconv import nn
        >>> nn.LocalResponseNorm(5)
        LocalResponseNorm(5, alpha=0.0001, beta=0.75, k=1.0)
        """
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class Dropout(Module):
    """Nothing: values are dropped in training alone; PyTorch's layer in evaluation mode.

    Parameters
    ----------
    p, inplace : optional
        Taken for the sake of PyTorch's models.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> x = np.ones(3)
    >>> nn.Dropout(0.5)(x) is x
    True
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        if isinstance(p, bool) or not 0 <= p <= 1:
            raise ValueError(f"p must be a probability from 0 to 1, got {p!r}")
        self.p = float(p)
        self.inplace = check_flag(inplace, "inplace")

    def forward(self, input: Array) -> Array:
        """Return the input itself.

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv import nn
        >>> nn.Dropout().forward(np.ones(2))
        array([1., 1.])
        """
        return input

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape

    def extra_repr(self) -> str:
        """Arguments as PyTorch prints them.

        Examples
        --------
        >>> from fastconv import nn
        >>> nn.Dropout()
        Dropout(p=0.5, inplace=False)
        """
        return f"p={self.p}, inplace={self.inplace}"
