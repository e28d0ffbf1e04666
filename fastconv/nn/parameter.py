"""Parameters: read-only arrays that are replaced as a whole, with what was packed from them."""

from __future__ import annotations

from typing import Any, Generic, NamedTuple, TypeVar, overload

import numpy as np

from .._views import Array
from ..errors import ShapeError
from ..functional import PackedWeights

__all__ = ["Array", "Held", "Parameter", "freeze", "matching"]

Value = TypeVar("Value")


class Held(NamedTuple):
    """A parameter's value and what was packed from it, replaced as one so that neither is stale.

    Examples
    --------
    >>> from fastconv.nn.parameter import Held
    >>> Held(value=None, packed=None).value is None
    True
    """

    value: Any  # Array, or None for a bias that is not there
    packed: PackedWeights | None


def freeze(array: Array) -> Array:
    """Return a read-only view whose WRITEABLE flag cannot be set back, as it owns no memory.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.nn.parameter import freeze
    >>> array = freeze(np.zeros(2))
    >>> array.flags.writeable = True
    Traceback (most recent call last):
    ...
    ValueError: cannot set WRITEABLE flag to True of this array
    """
    array.flags.writeable = False
    return array.view()


def matching(value: Any, current: Array, name: str) -> Array:
    """Check shape and dtype of a parameter's new value and return a frozen copy of it.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.nn.parameter import matching
    >>> matching(np.zeros(2), np.ones(2, np.float32), "bias")
    Traceback (most recent call last):
    ...
    TypeError: bias must have dtype float32, got float64; convert it with .astype('float32')
    """
    if not isinstance(value, (np.ndarray, np.generic)) and hasattr(value, "__array__"):
        value = np.asarray(value)  # a tensor of another library
    if not isinstance(value, np.ndarray):
        raise TypeError(
            f"{name} must be an array of shape {current.shape}, got {type(value).__name__}"
        )
    if value.shape != current.shape:
        raise ShapeError(f"{name} must have shape {current.shape}, got {value.shape}")
    if value.dtype.newbyteorder("=") != current.dtype:
        raise TypeError(
            f"{name} must have dtype {current.dtype}, got {value.dtype}; "
            f"convert it with .astype({str(current.dtype)!r})"
        )
    return freeze(np.array(value, dtype=current.dtype, order="C"))


class Parameter(Generic[Value]):
    """A layer's array as an attribute: read-only when read, checked and copied when assigned.

    Because the array cannot change in place, weights that were packed from it stay true until
    it is replaced.

    Parameters
    ----------
    packed : bool, optional
        Whether the layer keeps a packed form of the array beside it.
    buffer : bool, optional
        Whether the array is in the state dict alone, and not among the parameters.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> layer = nn.Linear(3, 2)
    >>> layer.bias = np.ones(2, np.float32)
    >>> layer.bias[0] = 5
    Traceback (most recent call last):
    ...
    ValueError: assignment destination is read-only
    >>> layer.bias = np.ones(3, np.float32)
    Traceback (most recent call last):
    ...
    fastconv.errors.ShapeError: bias must have shape (2,), got (3,)
    """

    def __init__(self, *, packed: bool = False, buffer: bool = False) -> None:
        self.packed = packed
        self.buffer = buffer
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, layer: None, owner: type) -> Parameter[Value]: ...
    @overload
    def __get__(self, layer: Any, owner: type) -> Value: ...
    def __get__(self, layer: Any, owner: type) -> Any:
        if layer is None:
            return self
        return layer._parameters[self.name].value

    def __set__(self, layer: Any, value: Any) -> None:
        current = layer._parameters[self.name].value
        if current is None:
            if value is not None:
                raise TypeError(
                    f"{self.name} must stay None: the layer was made with {self.name}=False"
                )
            return
        self.hold(layer, matching(value, current, self.name))

    def hold(self, layer: Any, frozen: Array | None) -> None:
        """Replace a layer's array by one that is known to match and cannot be written.

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv import nn
        >>> array = np.zeros(2, np.float32)
        >>> array.flags.writeable = False
        >>> layer = nn.Linear(3, 2)
        >>> nn.Linear.bias.hold(layer, array)
        >>> layer.bias is array
        True
        """
        packed = PackedWeights() if self.packed and frozen is not None else None
        layer._parameters[self.name] = Held(frozen, packed)
