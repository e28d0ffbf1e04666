"""Activations as layers, each of which a convolution or `Linear` before it can run itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from .. import functional
from ..errors import ShapeError
from ..shapes import integer
from .checks import check_choice, check_flag
from .elementwise import ReLU
from .module import Module
from .parameter import Array, Parameter

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "Hardsigmoid",
    "Hardswish",
    "LeakyReLU",
    "Mish",
    "PReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Tanh",
    "fused_name",
]


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a number, got {value!r}")
    return float(value)


class _Activation(Module):
    """A function of each element; `operator` and `arguments` are the subclass's."""

    operator: ClassVar[Callable[..., Array]]
    arguments: ClassVar[tuple[str, ...]] = ()

    def forward(
        self, input: Array, *, out: Array | None = None, num_threads: int | None = None
    ) -> Array:
        """Apply to an array of any shape.

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv import nn
        >>> nn.Hardsigmoid().forward(np.array([-3.0, 3.0]))
        array([0., 1.])
        """
        values = {name: getattr(self, name) for name in self.arguments}
        return type(self).operator(input, **values, out=out, num_threads=num_threads)

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape

    def extra_repr(self) -> str:
        """Arguments as PyTorch prints them.

        Examples
        --------
        >>> from fastconv import nn
        >>> nn.ELU(0.5), nn.Tanh()
        (ELU(alpha=0.5), Tanh())
        """
        text = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.arguments)
        inplace = "inplace=True" if getattr(self, "inplace", False) else ""
        return ", ".join(part for part in (text, inplace) if part)


class ReLU6(_Activation):
    """Values clipped to zero below and six above.

    Parameters
    ----------
    inplace : bool, optional
        Taken for the sake of PyTorch's models; fastconv never writes to its inputs.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> nn.ReLU6()(np.array([-1.0, 7.0]))
    array([0., 6.])
    """

    operator = staticmethod(functional.relu6)

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = check_flag(inplace, "inplace")


class SELU(_Activation):
    """Scaled exponential linear unit.

    Parameters
    ----------
    inplace : bool, optional
        Taken for the sake of PyTorch's models; fastconv never writes to its inputs.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> nn.SELU()(np.array([0.0, 1.0]))
    array([0.        , 1.05070099])
    """

    operator = staticmethod(functional.selu)

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = check_flag(inplace, "inplace")


class Hardswish(_Activation):
    """``x * relu6(x + 3) / 6``.

    Parameters
    ----------
    inplace : bool, optional
        Taken for the sake of PyTorch's models; fastconv never writes to its inputs.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> nn.Hardswish()(np.array([0.0, 3.0]))
    array([0., 3.])
    """

    operator = staticmethod(functional.hardswish)

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = check_flag(inplace, "inplace")


class Hardsigmoid(_Activation):
    """``relu6(x + 3) / 6``.

    Parameters
    ----------
    inplace : bool, optional
        Taken for the sake of PyTorch's models; fastconv never writes to its inputs.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> nn.Hardsigmoid()(np.array([0.0, 3.0]))
    array([0.5, 1. ])
    """

    operator = staticmethod(functional.hardsigmoid)

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = check_flag(inplace, "inplace")


class SiLU(_Activation):
    """``x * sigmoid(x)``.

    Parameters
    ----------
    inplace : bool, optional
        Taken for the sake of PyTorch's models; fastconv never writes to its inputs.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> nn.SiLU()(np.array([0.0, 1e3]))
    array([   0., 1000.])
    """

    operator = staticmethod(functional.silu)

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = check_flag(inplace, "inplace")


class Mish(_Activation):
    """``x * tanh(softplus(x))``.

    Parameters
    ----------
    inplace : bool, optional
        Taken for the sake of PyTorch's models; fastconv never writes to its inputs.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> nn.Mish()(np.array([0.0, 1e3]))
    array([   0., 1000.])
    """

    operator = staticmethod(functional.mish)

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = check_flag(inplace, "inplace")


class Sigmoid(_Activation):
    """``1 / (1 + exp(-x))``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> nn.Sigmoid()(np.array([0.0, 1e3]))
    array([0.5, 1. ])
    """

    operator = staticmethod(functional.sigmoid)


class Tanh(_Activation):
    """Hyperbolic tangent.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> nn.Tanh()(np.array([0.0, 1e3]))
    array([0., 1.])
    """

    operator = staticmethod(functional.tanh)


class LeakyReLU(_Activation):
    """Values multiplied by a small slope below zero.

    Parameters
    ----------
    negative_slope : float, optional
        Factor below zero.
    inplace : bool, optional
        Taken for the sake of PyTorch's models; fastconv never writes to its inputs.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> nn.LeakyReLU()(np.array([-1.0, 1.0]))
    array([-0.01,  1.  ])
    """

    operator = staticmethod(functional.leaky_relu)
    arguments = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        self.negative_slope = _number(negative_slope, "negative_slope")
        self.inplace = check_flag(inplace, "inplace")


class ELU(_Activation):
    """Exponential linear unit: ``alpha * (exp(x) - 1)`` below zero.

    Parameters
    ----------
    alpha : float, optional
        Factor below zero.
    inplace : bool, optional
        Taken for the sake of PyTorch's models; fastconv never writes to its inputs.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> nn.ELU()(np.array([-1e3, 2.0]))
    array([-1.,  2.])
    """

    operator = staticmethod(functional.elu)
    arguments = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self.alpha = _number(alpha, "alpha")
        self.inplace = check_flag(inplace, "inplace")


class Softplus(_Activation):
    """``log(1 + exp(beta * x)) / beta``.

    Parameters
    ----------
    beta : float, optional
        Factor of the input.
    threshold : float, optional
        Where ``beta * x`` is above it, the output is the input.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> nn.Softplus()(np.array([-1e3, 30.0]))
    array([ 0., 30.])
    """

    operator = staticmethod(functional.softplus)
    arguments = ("beta", "threshold")

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta = _number(beta, "beta")
        self.threshold = _number(threshold, "threshold")


class GELU(_Activation):
    """The input times the normal distribution's function.

    Parameters
    ----------
    approximate : {"none", "tanh"}, optional
        The exact function, or the approximation by the hyperbolic tangent.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> nn.GELU()(np.array([0.0, 9e2]))
    array([  0., 900.])
    """

    operator = staticmethod(functional.gelu)
    arguments = ("approximate",)

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = check_choice(approximate, "approximate", ("none", "tanh"))


class PReLU(Module):
    """Values multiplied below zero by a weight: one for all channels, or one for each.

    Parameters
    ----------
    num_parameters : int, optional
        One, or the number of channels.
    init : float, optional
        What the weights start from.
    dtype : dtype, optional
        float32 or float64.

    Attributes
    ----------
    weight : ndarray
        (num_parameters,), read-only; assign to change.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> nn.PReLU()(np.array([[-4.0, 4.0]], np.float32))
    array([[-1.,  4.]], dtype=float32)
    """

    weight = Parameter[Array]()

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, *, dtype: Any = np.float32
    ) -> None:
        count = integer(num_parameters, "num_parameters", 1)
        self.channels = count
        self._create_parameters({"weight": (count,)}, fan_in=1, dtype=dtype, rng=0)
        self.weight = np.full(count, _number(init, "init"), self.weight.dtype)

    def forward(self, input: Array, *, num_threads: int | None = None) -> Array:
        """Apply to an array (N, C, ...).

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv import nn
        >>> nn.PReLU(2).forward(-np.ones((1, 2, 1), np.float32)).ravel()
        array([-0.25, -0.25], dtype=float32)
        """
        return functional.prelu(input, self.weight, num_threads=num_threads)

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if self.channels > 1 and (len(shape) < 2 or shape[1] != self.channels):
            raise ShapeError(f"expected an input (N, {self.channels}, ...), got {shape}")
        return shape

    def extra_repr(self) -> str:
        """Arguments as PyTorch prints them.

        Examples
        --------
        >>> from fastconv import nn
        >>> nn.PReLU(3)
        PReLU(num_parameters=3)
        """
        return f"num_parameters={self.channels}"


#: Layers that are an `activation=` where their arguments have these values. Exact types: a subclass
#: may compute something else.
_FUSED: dict[type[Module], tuple[str, dict[str, Any]]] = {
    ReLU: ("relu", {}),
    ReLU6: ("relu6", {}),
    SELU: ("selu", {}),
    Hardswish: ("hardswish", {}),
    Hardsigmoid: ("hardsigmoid", {}),
    SiLU: ("silu", {}),
    Mish: ("mish", {}),
    Sigmoid: ("sigmoid", {}),
    Tanh: ("tanh", {}),
    LeakyReLU: ("leaky_relu", {"negative_slope": 0.01}),
    ELU: ("elu", {"alpha": 1.0}),
    Softplus: ("softplus", {"beta": 1.0, "threshold": 20.0}),
}


def fused_name(layer: Module) -> str | None:
    """Word for `activation=` that does what a layer does, if there is one.

    Examples
    --------
    >>> from fastconv import nn
    >>> from fastconv.nn.activations import fused_name
    >>> fused_name(nn.ELU()), fused_name(nn.ELU(0.5)), fused_name(nn.GELU("tanh"))
    ('elu', None, 'gelu_tanh')
    """
    if type(layer) is GELU:
        return "gelu" if layer.approximate == "none" else "gelu_tanh"
    name, values = _FUSED.get(type(layer), (None, {}))
    return name if all(getattr(layer, k) == v for k, v in values.items()) else None
