"""Layers that keep the shape: ReLU, Softmax and LogSoftmax."""

from __future__ import annotations

from .. import functional
from ..errors import ShapeError
from ..shapes import ReceptiveField, integer
from .checks import check_flag
from .module import Module
from .parameter import Array

__all__ = ["LogSoftmax", "ReLU", "Softmax"]


class ReLU(Module):
    """The larger of each value and zero.

    After a convolution or `Linear` in a `Sequential` it runs within that layer, with the same bits.

    Parameters
    ----------
    inplace : bool, optional
        Taken for the sake of PyTorch's models; fastconv never writes to its inputs.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> nn.ReLU()(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = check_flag(inplace, "inplace")

    def forward(
        self, input: Array, *, out: Array | None = None, num_threads: int | None = None
    ) -> Array:
        """Apply to an array of any shape.

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv import nn
        >>> nn.ReLU().forward(np.array([[-0.5], [0.5]]))
        array([[0. ],
               [0.5]])
        """
        return functional.relu(input, out=out, num_threads=num_threads)

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape

    def extra_repr(self) -> str:
        """Arguments as PyTorch prints them.

        Examples
        --------
        >>> from fastconv import nn
        >>> nn.ReLU(), nn.ReLU(inplace=True)
        (ReLU(), ReLU(inplace=True))
        """
        return "inplace=True" if self.inplace else ""


class Softmax(Module):
    """Exponentials that sum to one along an axis.

    Parameters
    ----------
    dim : int, optional
        The axis. By default PyTorch's choice: axis 0 for inputs of 0, 1 or 3 axes, else axis 1.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> nn.Softmax(dim=1)(np.zeros((1, 4)))
    array([[0.25, 0.25, 0.25, 0.25]])
    """

    def __init__(self, dim: int | None = None) -> None:
        self.dim = None if dim is None else integer(dim, "dim")

    def _axis(self, ndim: int) -> int:
        if self.dim is None:
            return 0 if ndim in (0, 1, 3) else 1
        if not -max(ndim, 1) <= self.dim < max(ndim, 1):
            raise ShapeError(f"expected an input with an axis {self.dim}, got {ndim} axes")
        return self.dim

    def forward(self, input: Array, *, num_threads: int | None = None) -> Array:
        """Apply to an array that has the axis.

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv import nn
        >>> nn.Softmax(dim=-1).forward(np.array([0.0, 0.0]))
        array([0.5, 0.5])
        """
        axes = getattr(input, "ndim", None)  # what is not an array is refused below
        axis = -1 if axes is None else self._axis(axes)
        return functional.softmax(input, axis, num_threads=num_threads)

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        self._axis(len(shape))
        return shape

    def _receptive_field(
        self, field: ReceptiveField | None, shape: tuple[int, ...]
    ) -> ReceptiveField | None:
        return None if len(shape) <= 2 else field

    def extra_repr(self) -> str:
        """Arguments as PyTorch prints them.

        Examples
        --------
        >>> from fastconv import nn
        >>> nn.Softmax(dim=1)
        Softmax(dim=1)
        """
        return f"dim={self.dim}"


class LogSoftmax(Softmax):
    """Logarithm of `Softmax`, without its underflow.

    Parameters
    ----------
    dim : int, optional
        The axis, as in `Softmax`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> nn.LogSoftmax(dim=1)(np.array([[0.0, 1000.0]]))
    array([[-1000.,     0.]])
    """

    def forward(self, input: Array, *, num_threads: int | None = None) -> Array:
        """Apply to an array that has the axis.

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv import nn
        >>> nn.LogSoftmax(dim=-1).forward(np.array([1.0]))
        array([0.])
        """
        axes = getattr(input, "ndim", None)  # what is not an array is refused below
        axis = -1 if axes is None else self._axis(axes)
        return functional.log_softmax(input, axis, num_threads=num_threads)
