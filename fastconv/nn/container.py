"""Sequential: layers one after another, with activations run inside the layer before them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np

from ..errors import ShapeError
from .activations import fused_name
from .checks import read_shape
from .conv import Conv2d
from .dense import Flatten, Linear
from .elementwise import ReLU
from .module import Module
from .transposed import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .volume import VolumeLayer
from .volumes import Conv1d, Conv3d

__all__ = ["Sequential"]

#: The largest volume of as many images as are run at once: about a second-level cache.
SLICE_BYTES = 2 << 20

#: Layers that run a following activation themselves. Exact types: a subclass may do otherwise.
FUSING = (Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d, Linear)


class Sequential(Module):
    """Layers that run one after another.

    An activation after a convolution or `Linear` runs within that layer, with the same bits.
    A large batch is run some images at a time, so that volumes stay in cache from layer to layer:
    with the same bits, too.

    A single volume, given without the batch axis to a network with a later ``Flatten()``, is
    run as a batch of one: `Flatten` leaves the first axis alone, which has to be the batch.

    Parameters
    ----------
    *layers : Module
        The layers; or one mapping from names to layers. Without names they are numbered.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> net = nn.Sequential(
    ...     nn.Conv2d(3, 10, 3, padding=1),
    ...     nn.ReLU(),
    ...     nn.MaxPool2d(2),
    ...     nn.Flatten(),
    ...     nn.Linear(2560, 10),
    ... )
    >>> net(np.zeros((7, 3, 32, 32), np.float32)).shape
    (7, 10)
    >>> net.output_shape((3, 32, 32)), net.num_parameters
    ((10,), 25890)
    >>> net[0]
    Conv2d(3, 10, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
    >>> list(net.state_dict())
    ['0.weight', '0.bias', '4.weight', '4.bias']
    """

    def __init__(self, *layers: Module | Mapping[str, Module]) -> None:
        named: dict[Any, Any]
        if len(layers) == 1 and isinstance(layers[0], Mapping):
            named = dict(layers[0])
        else:
            named = {str(i): layer for i, layer in enumerate(layers)}
        for name, layer in named.items():
            if not isinstance(name, str) or not name or "." in name:
                raise ValueError(f"a layer's name must be a string without dots, got {name!r}")
            if not isinstance(layer, Module):
                raise TypeError(f"layer {name} must be a Module, got {type(layer).__name__}")
        self._layers: dict[str, Module] = named
        self._slices: dict[tuple[int, ...], int] = {}  # for the latest shape

    def _children(self) -> dict[str, Module]:
        return self._layers

    def __len__(self) -> int:
        return len(self._layers)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._layers.values())

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: int | slice) -> Module:
        if isinstance(index, slice):
            return Sequential(dict(list(self._layers.items())[index]))
        return list(self._layers.values())[index]

    def forward(self, input: Any) -> Any:
        """Run all layers: the output of each is the input of the next.

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv import nn
        >>> net = nn.Sequential(nn.ReLU(), nn.AvgPool2d(2))
        >>> net.forward(np.array([[[-4.0, 4.0], [-8.0, 8.0]]]))
        array([[[3.]]])
        """
        lone = getattr(input, "ndim", 0) == 3 and self._wants_a_batch()
        value = input[None] if lone else input
        images = self._images_at_once(value)
        if images:
            parts = [value[i : i + images] for i in range(0, len(value), images)]
            value = np.concatenate([self._run_layers(part) for part in parts])
        else:
            value = self._run_layers(value)
        return value[0] if lone else value

    def _images_at_once(self, value: Any) -> int:
        """Images of a batch to run at once, so that volumes stay in cache from layer to layer.

        Zero: all of them, since they are few, or since the layers may look at several.
        """
        shape: tuple[int, ...] = getattr(value, "shape", ())
        if len(shape) != 4 or shape[0] < 2 or not all(map(_looks_at_one, self._innermost())):
            return 0
        if shape not in self._slices:
            try:
                largest = max(math.prod(step[3]) for step in self._trace((1, *shape[1:])))
            except ShapeError:
                return 0  # running it says what is wrong
            self._slices.clear()
            self._slices[shape] = max(1, SLICE_BYTES // (largest * value.itemsize or 1))
        images = self._slices[shape]
        return images if shape[0] > 2 * images else 0

    def _run_layers(self, value: Any) -> Any:
        layers = list(self._layers.items())
        activation: str | None = None
        for i, (name, layer) in enumerate(layers):
            if activation is not None:
                activation = None
                continue
            if i + 1 < len(layers):
                activation = _fused(layer, layers[i + 1][1])
            try:
                value = _run_fused(layer, value, activation) if activation else layer(value)
            except ShapeError as error:
                _add_place(error, name)
                raise
        return value

    def output_shape(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        """Shape of the last layer's output, without running anything.

        Examples
        --------
        >>> from fastconv import nn
        >>> net = nn.Sequential(nn.MaxPool2d(2), nn.Flatten())
        >>> net.output_shape((3, 32, 32)), net.output_shape((100, 3, 32, 32))
        ((768,), (100, 768))
        """
        return self._output_shape(read_shape(input_shape))

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        steps = list(self._trace(shape))
        return steps[-1][3] if steps else shape

    def _trace(
        self, shape: tuple[int, ...], prefix: str = ""
    ) -> Iterator[tuple[str, Module, tuple[int, ...], tuple[int, ...]]]:
        """Yield each innermost layer as (name, layer, input shape, output shape)."""
        if len(shape) == 3 and self._wants_a_batch():
            for name, layer, before, after in self._trace((1, *shape), prefix):
                yield name, layer, before[1:], after[1:]
            return
        for name, layer in self._layers.items():
            try:
                if isinstance(layer, Sequential):
                    for step in layer._trace(shape, f"{prefix}{name}."):
                        yield step
                        shape = step[3]
                else:
                    after = layer.output_shape(shape)
                    yield prefix + name, layer, shape, after
                    shape = after
            except ShapeError as error:
                _add_place(error, name)
                raise

    def _innermost(self) -> Iterator[Module]:
        for layer in self._layers.values():
            if isinstance(layer, Sequential):
                yield from layer._innermost()
            else:
                yield layer

    def _wants_a_batch(self) -> bool:
        """Whether three axes are a single volume and a later Flatten expects a batch of them."""
        layers = self._innermost()
        first = next((layer for layer in layers if not isinstance(layer, ReLU)), None)
        if not isinstance(first, VolumeLayer):
            return False
        starts = [layer.start_dim for layer in layers if isinstance(layer, Flatten)]
        return bool(starts) and min(starts) > 0


def _looks_at_one(layer: Module) -> bool:
    """Whether a layer treats each image of a batch alone. Exact types, as for FUSING."""
    if type(layer) is Flatten:
        return layer.start_dim == 1
    ours = type(layer).__module__.startswith(__package__)
    if (isinstance(layer, VolumeLayer) and ours) or type(layer) is Linear:
        return True
    return fused_name(layer) is not None


def _add_place(error: ShapeError, name: str) -> None:
    """Put the layer's name in front of the message; the traceback stays one."""
    error.args = (f"layer {name}: {error}",)


def _fused(layer: Module, following: Module) -> str | None:
    """Name of the activation that `layer` can run for the layer that follows it."""
    if type(layer) not in FUSING or getattr(layer, "activation", None) is not None:
        return None
    return fused_name(following)


def _run_fused(layer: Any, value: Any, activation: str) -> Any:
    try:
        return layer._run(value, activation)
    except ShapeError as error:
        raise layer._named(error, value) from None
