"""The base class of all layers: parameters that cannot go stale, names, state dicts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import ShapeError
from ..shapes import ReceptiveField
from .checks import check_dtype, read_shape
from .parameter import Array, Held, freeze, matching

__all__ = ["IncompatibleKeys", "Module"]


class IncompatibleKeys(NamedTuple):
    """What ``load_state_dict(..., strict=False)`` did not use or did not find.

    Examples
    --------
    >>> from fastconv import nn
    >>> nn.Linear(2, 1).load_state_dict({"gain": 1.0}, strict=False)
    IncompatibleKeys(missing_keys=['weight', 'bias'], unexpected_keys=['gain'])
    """

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """Base class of all layers and of networks made of them.

    A subclass defines `forward`. Attributes that are modules themselves are its children: their
    parameters appear in `state_dict` under "attribute.name", as in PyTorch.

    Modules can be called from many threads at once, pickled and copied.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> class Residual(nn.Module):
    ...     def __init__(self, channels):
    ...         self.conv = nn.Conv2d(channels, channels, 3, padding=1, rng=0)
    ...
    ...     def forward(self, input):
    ...         return input + self.conv(input)
    >>> block = Residual(4)
    >>> block(np.zeros((1, 4, 8, 8), np.float32)).shape
    (1, 4, 8, 8)
    >>> [(name, array.shape) for name, array in block.named_parameters()]
    [('conv.weight', (4, 4, 3, 3)), ('conv.bias', (4,))]
    """

    _parameters: dict[str, Held]

    def __call__(self, input: Any, **options: Any) -> Any:
        """Run `forward`; a `ShapeError` from it names the layer.

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv import nn
        >>> nn.Linear(3, 2)(np.zeros((5, 4), np.float32))
        Traceback (most recent call last):
        ...
        fastconv.errors.ShapeError: Linear(in_features=3, out_features=2, bias=True): expected an
        input of shape (..., 3), got (5, 4)
        """
        try:
            return self.forward(input, **options)
        except ShapeError as error:
            if self._children():
                raise  # the child that failed is named already
            raise self._named(error, input) from None

    def forward(self, input: Any) -> Any:
        """Compute the output; calling the module does the same with errors that name it."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    def output_shape(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        """Shape of the output for an input shape, without running anything.

        Parameters
        ----------
        input_shape : sequence of int
            With or without the batch axis.

        Returns
        -------
        tuple of int
            With the batch axis if `input_shape` has it.

        Raises
        ------
        ShapeError
            If the layer cannot take such an input; the message names the layer.

        Examples
        --------
        >>> from fastconv import nn
        >>> layer = nn.Conv2d(3, 10, kernel_size=5, stride=3)
        >>> layer.output_shape((3, 32, 32)), layer.output_shape((100, 3, 32, 32))
        ((10, 10, 10), (100, 10, 10, 10))
        """
        shape = read_shape(input_shape)
        try:
            return self._output_shape(shape)
        except ShapeError as error:
            raise ShapeError(f"{self!r}: {error}") from None

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        raise NotImplementedError(f"{type(self).__name__} does not say its output shape")

    def _named(self, error: ShapeError, input: Any) -> ShapeError:
        """Return the error with the layer's name, and in the layer's words if it has some."""
        try:
            self._output_shape(tuple(getattr(input, "shape", ())))
        except ShapeError as own:
            error = own
        except NotImplementedError:
            pass
        return ShapeError(f"{self!r}: {error}")

    def _multiply_adds(self, shape: tuple[int, ...]) -> int:
        """Number of multiply-adds for an input of this shape."""
        return 0

    def _receptive_field(
        self, field: ReceptiveField | None, shape: tuple[int, ...]
    ) -> ReceptiveField | None:
        """Receptive field of an output value, given that of an input value; None for everything."""
        return field

    def _children(self) -> dict[str, Module]:
        return {name: value for name, value in vars(self).items() if isinstance(value, Module)}

    def _slots(self, prefix: str = "") -> Iterator[tuple[str, Module, str]]:
        """Yield each parameter as (key in the state dict, owner, attribute)."""
        for name, held in vars(self).get("_parameters", {}).items():
            if held.value is not None:
                yield prefix + name, self, name
        for name, child in self._children().items():
            yield from child._slots(f"{prefix}{name}.")

    def named_parameters(self) -> Iterator[tuple[str, Array]]:
        """Yield the names and the read-only arrays of all parameters.

        Examples
        --------
        >>> from fastconv import nn
        >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2, bias=False))
        >>> [name for name, array in net.named_parameters()]
        ['0.weight', '0.bias', '2.weight']
        """
        for key, owner, name in self._slots():
            if not getattr(type(owner), name).buffer:
                yield key, getattr(owner, name)

    @property
    def num_parameters(self) -> int:
        """Number of weights and biases; a layer that is used twice counts once.

        Examples
        --------
        >>> from fastconv import nn
        >>> nn.Conv2d(3, 96, kernel_size=11, stride=4).num_parameters
        34944
        """
        sizes = {
            (id(owner), name): getattr(owner, name).size
            for _, owner, name in self._slots()
            if not getattr(type(owner), name).buffer
        }
        return sum(sizes.values())

    def state_dict(self) -> dict[str, Array]:
        """All parameters and buffers by name, with PyTorch's names; the arrays are read-only.

        Examples
        --------
        >>> from fastconv import nn
        >>> nn.Conv2d(3, 8, 3).state_dict().keys()
        dict_keys(['weight', 'bias'])
        """
        return {key: getattr(owner, name) for key, owner, name in self._slots()}

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True
    ) -> IncompatibleKeys:
        """Replace the parameters by those of a state dict, all or none.

        Parameters
        ----------
        state_dict : mapping of str to array
            PyTorch's tensors are taken as well.
        strict : bool, optional
            With False, missing and unexpected names are not errors but returned.

        Returns
        -------
        IncompatibleKeys
            The missing and the unexpected names; both empty if `strict`.

        Raises
        ------
        ValueError
            If names are missing or unexpected (and `strict`); the message lists all of them.
        ShapeError
            If an array has another shape than the parameter.
        TypeError
            If a value is not an array or has another dtype than the parameter.

        Examples
        --------
        >>> from fastconv import nn
        >>> trained, layer = nn.Linear(3, 2), nn.Linear(3, 2)
        >>> layer.load_state_dict(trained.state_dict())
        IncompatibleKeys(missing_keys=[], unexpected_keys=[])
        >>> bool((layer.weight == trained.weight).all())
        True
        """
        slots = {key: (owner, name) for key, owner, name in self._slots()}
        missing = [key for key in slots if key not in state_dict]
        unexpected = [key for key in state_dict if key not in slots]
        problems: list[Exception] = []
        if strict and missing:
            problems.append(ValueError(f"missing: {', '.join(missing)}"))
        if strict and unexpected:
            problems.append(ValueError(f"unexpected: {', '.join(map(str, unexpected))}"))
        loaded: dict[str, Array] = {}
        for key, (owner, name) in slots.items():
            if key in state_dict:
                try:
                    loaded[key] = matching(state_dict[key], getattr(owner, name), key)
                except (ShapeError, TypeError) as error:
                    problems.append(error)
        if problems:
            kind = next(
                (k for k in (ShapeError, TypeError) if isinstance(problems[-1], k)), ValueError
            )
            raise kind(
                f"the state dict does not fit this {type(self).__name__}; nothing was loaded: "
                + "; ".join(map(str, problems))
            )
        for key, frozen in loaded.items():
            owner, name = slots[key]
            getattr(type(owner), name).hold(owner, frozen)
        return IncompatibleKeys(missing, unexpected)

    def extra_repr(self) -> str:
        """Arguments as they appear between the brackets of ``repr``.

        Examples
        --------
        >>> from fastconv import nn
        >>> nn.MaxPool2d(2).extra_repr()
        'kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False'
        """
        return ""

    def __repr__(self) -> str:
        children = self._children()
        if not children:
            return f"{type(self).__name__}({self.extra_repr()})"
        lines = [f"({name}): {child!r}".replace("\n", "\n  ") for name, child in children.items()]
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines) + "\n)"

    def __getstate__(self) -> dict[str, Any]:
        state = dict(vars(self))
        if "_parameters" in state:
            state["_parameters"] = {name: h.value for name, h in self._parameters.items()}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if "_parameters" in state:
            self._parameters = {}
            for name, value in state["_parameters"].items():
                frozen = None if value is None else freeze(value)
                getattr(type(self), name).hold(self, frozen)

    def _create_parameters(
        self, shapes: Mapping[str, tuple[int, ...] | None], fan_in: int, dtype: Any, rng: Any
    ) -> None:
        """Fill parameters from the uniform distribution that PyTorch uses, +-1/sqrt(fan_in)."""
        dtype = check_dtype(dtype)
        generator = np.random.default_rng(rng)
        bound = 1 / math.sqrt(fan_in)
        self._parameters = {}
        for name, shape in shapes.items():
            frozen = None
            if shape is not None:
                if math.prod(shape) * dtype.itemsize >= 1 << 63:
                    raise ShapeError(f"{name} of shape {shape} is larger than memory can be")
                frozen = freeze(generator.uniform(-bound, bound, shape).astype(dtype))
            getattr(type(self), name).hold(self, frozen)
