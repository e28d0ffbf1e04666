"""Shapes of layers, read from the data files in ``shapes/``.

Most files are named after a network; ``classes`` has the usual layers of every class (`CLASSES`),
``odd`` has sizes of the same classes that nobody tunes for. A file holds where its shapes come from
and a list of layers::

    {
        "source": "...",
        "layers": [
            {
                "name": "conv1",
                "input": [1, 3, 224, 224],
                "filters": 64,
                "kernel": [7, 7],
                "stride": 2,
                "padding": 3,
            },
            {"name": "pool1", "pool": "max", "input": [1, 64, 112, 112], "kernel": [2, 2]},
            {"name": "fc", "input": [1, 2048], "outputs": 1000},
            ...,
        ],
    }

An entry with ``"filters"`` is a convolution (`Layer`), one with ``"pool"`` (``"max"`` or
``"average"``) a `Pool`, one with ``"outputs"`` a `Linear`. ``stride`` (1, in pooling the window),
``padding`` (0), ``dilation`` (1) and ``groups`` (1) may be left out; each but the last is one
number or ``[vertical, horizontal]``.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

Size = int | tuple[int, int]
Pair = tuple[int, int]

FOLDER = Path(__file__).parent / "shapes"

#: Kinds of layers that kernels treat differently, in the order of tables.
CLASSES = (
    "first layer",
    "3x3",
    "1x1",
    "strided",
    "large filter",
    "one-dimensional",
    "depthwise",
    "grouped",
    "dilated",
    "batch",
    "pooling",
    "linear",
)

FIRST_LAYER_CHANNELS = 4


def pair(value: Size) -> Pair:
    """Return a size as (vertical, horizontal).

    Examples
    --------
    >>> from fastconv.benchmarks import layers
    >>> layers.pair(2), layers.pair((0, 3))
    ((2, 2), (0, 3))
    """
    return (value, value) if isinstance(value, int) else value


def _places(size: Pair, kernel: Pair, stride: Size, padding: Size, dilation: Size = 1) -> Pair:
    """Return the height and width (P, Q) of what sliding windows give."""
    spans = zip(size, kernel, pair(stride), pair(padding), pair(dilation), strict=True)
    p, q = (
        (length + 2 * pad - (k - 1) * gap - 1) // step + 1 for length, k, step, pad, gap in spans
    )
    return p, q


def _label(name: str, shape: tuple[int, ...], rest: str) -> str:
    return f"{name}: {'x'.join(map(str, shape))} -> {rest}"


@dataclass(frozen=True)
class Layer:
    """One convolution: input (N, C, H, W), K filters of R x S, and how they slide.

    Examples
    --------
    >>> from fastconv.benchmarks.layers import Layer
    >>> layer = Layer("lecture", "CIFAR", (100, 3, 32, 32), 10, (3, 3), padding=1)
    >>> layer.output, layer.flops
    ((100, 10, 32, 32), 55296000)
    """

    network: str
    name: str
    input: tuple[int, int, int, int]
    filters: int
    kernel: Pair
    stride: Size = 1
    padding: Size = 0
    dilation: Size = 1
    groups: int = 1

    @property
    def output(self) -> tuple[int, int, int, int]:
        """Shape (N, K, P, Q) of the activation maps."""
        sliding = self.stride, self.padding, self.dilation
        return self.input[0], self.filters, *_places(self.input[2:], self.kernel, *sliding)

    @property
    def weight(self) -> tuple[int, ...]:
        """Shape (K, C / groups, R, S) of the filters."""
        return self.filters, self.input[1] // self.groups, *self.kernel

    @property
    def flops(self) -> int:
        """Multiplications and additions of the direct algorithm, two for each product.

        Products with the zeros of the padding are counted, as everybody does.
        """
        return 2 * math.prod(self.output) * math.prod(self.weight[1:])

    @property
    def category(self) -> str:
        """The one of `CLASSES` that it belongs to: what makes it unlike a plain 3x3 layer.

        Examples
        --------
        >>> from fastconv.benchmarks.layers import Layer
        >>> Layer("mobilenet", "dw", (1, 96, 56, 56), 96, (3, 3), 2, 1, groups=96).category
        'depthwise'
        """
        n, channels, _, _ = self.input
        found = (
            ("depthwise", self.groups > 1 and self.groups == channels),
            ("grouped", self.groups > 1),
            ("dilated", pair(self.dilation) != (1, 1)),
            ("batch", n > 1),
            ("first layer", channels <= FIRST_LAYER_CHANNELS),
            ("strided", pair(self.stride) != (1, 1)),
            ("1x1", self.kernel == (1, 1)),
            ("one-dimensional", min(self.kernel) == 1),
            ("large filter", max(self.kernel) > 3),
        )
        return next((name for name, holds in found if holds), "3x3")

    @property
    def label(self) -> str:
        """Name of the layer with its shape in a few words.

        Examples
        --------
        >>> from fastconv.benchmarks.layers import Layer
        >>> Layer("lecture", "CIFAR", (100, 3, 32, 32), 10, (3, 3), padding=1).label
        'CIFAR: 100x3x32x32 -> 10, 3x3'
        """
        text = _label(self.name, self.input, f"{self.filters}, {'x'.join(map(str, self.kernel))}")
        for letter, value in (("/", self.stride), (" d", self.dilation), (" g", self.groups)):
            text += f"{letter}{value}" if value != 1 else ""
        return text


@dataclass(frozen=True)
class Pool:
    """One pooling layer: input (N, C, H, W), and a window that slides by its own size by default.

    Examples
    --------
    >>> from fastconv.benchmarks.layers import Pool
    >>> layer = Pool("resnet50", "pool1", (1, 64, 112, 112), (3, 3), stride=2, padding=1)
    >>> layer.output, layer.label
    ((1, 64, 56, 56), 'pool1: 1x64x112x112 -> max 3x3/2')
    """

    network: str
    name: str
    input: tuple[int, int, int, int]
    kernel: Pair
    stride: Size | None = None
    padding: Size = 0
    pool: Literal["max", "average"] = "max"

    weight = ()
    flops = 0
    category = "pooling"

    @property
    def step(self) -> Size:
        """Distance of the windows."""
        return self.kernel if self.stride is None else self.stride

    @property
    def output(self) -> tuple[int, int, int, int]:
        """Shape (N, C, P, Q) of what the windows give."""
        return *self.input[:2], *_places(self.input[2:], self.kernel, self.step, self.padding)

    @property
    def label(self) -> str:
        """Name of the layer with its shape in a few words."""
        text = f"{self.pool} {'x'.join(map(str, self.kernel))}"
        text += f"/{self.stride}" if self.stride is not None else ""
        return _label(self.name, self.input, text)


@dataclass(frozen=True)
class Linear:
    """One fully connected layer: rows (N, C), and how many outputs each gives.

    Examples
    --------
    >>> from fastconv.benchmarks.layers import Linear
    >>> layer = Linear("vgg", "fc6", (1, 25088), 4096)
    >>> layer.flops, layer.label
    (205520896, 'fc6: 1x25088 -> 4096')
    """

    network: str
    name: str
    input: tuple[int, int]
    outputs: int

    category = "linear"

    @property
    def output(self) -> tuple[int, int]:
        """Shape (N, K) of what it gives."""
        return self.input[0], self.outputs

    @property
    def weight(self) -> tuple[int, ...]:
        """Shape (K, C) of the weights."""
        return self.outputs, self.input[1]

    @property
    def flops(self) -> int:
        """Multiplications and additions, two for each product."""
        return 2 * math.prod(self.output) * self.input[1]

    @property
    def label(self) -> str:
        """Name of the layer with its shape in a few words."""
        return _label(self.name, self.input, str(self.outputs))


AnyLayer: TypeAlias = Layer | Pool | Linear


def traffic(layer: AnyLayer) -> int:
    """Return the bytes of a layer's float32 input, weights and output, each counted once.

    Examples
    --------
    >>> from fastconv.benchmarks import layers
    >>> layers.traffic(layers.Pool("", "", (1, 1, 4, 4), (2, 2)))
    80
    """
    shapes = [layer.input, layer.output] + ([layer.weight] if layer.weight else [])
    return 4 * sum(math.prod(shape) for shape in shapes)


def available() -> list[str]:
    """Return the names of the files.

    Examples
    --------
    >>> from fastconv.benchmarks import layers
    >>> "resnet50" in layers.available()
    True
    """
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def load(network: str) -> list[AnyLayer]:
    """Read the layers of one network, or of another file of shapes.

    Parameters
    ----------
    network : str
        One of `available`.

    Returns
    -------
    list of Layer, Pool or Linear

    Raises
    ------
    ValueError
        If there is no such file; the message lists those that there are.

    Examples
    --------
    >>> from fastconv.benchmarks import layers
    >>> for layer in layers.load("lecture"):
    ...     print(layer.label)
    CIFAR first: 100x3x32x32 -> 10, 3x3
    CIFAR second: 100x10x32x32 -> 10, 3x3
    assignment: 100x3x31x31 -> 25, 3x3/2
    """
    if network not in available():
        raise ValueError(f"network: expected one of {', '.join(available())}; got {network!r}")
    entries = json.loads((FOLDER / f"{network}.json").read_text())["layers"]
    return [_layer({"network": network, **entry}) for entry in entries]


def select(names: str, only: str | None = None) -> list[AnyLayer]:
    """Read the layers of several files.

    Parameters
    ----------
    names : str
        Names as `load` takes them, with commas between; or ``"all"``.
    only : str, optional
        Text that the class or the label of a layer must contain.

    Returns
    -------
    list of Layer, Pool or Linear

    Raises
    ------
    ValueError
        If a file does not exist, or no layer is left.

    Examples
    --------
    >>> from fastconv.benchmarks import layers
    >>> len(layers.select("lecture,digits")), len(layers.select("lecture", only="assign"))
    (7, 1)
    """
    files = available() if names == "all" else [name.strip() for name in names.split(",")]
    chosen = [layer for name in files for layer in load(name)]
    wanted = [
        layer for layer in chosen if only is None or only in layer.category or only in layer.label
    ]
    if not wanted:
        raise ValueError(f"only: no layer of {names} has {only!r} in its class or label")
    return wanted


def _layer(entry: dict[str, Any]) -> AnyLayer:
    """Make a layer of the kind that its entry's keys name, with tuples for JSON's lists."""
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()}
    if "outputs" in fields:
        return Linear(**fields)
    return Pool(**fields) if "pool" in fields else Layer(**fields)


def convolutions(chosen: list[AnyLayer]) -> list[Layer]:
    """Return those of some layers that are convolutions.

    Examples
    --------
    >>> from fastconv.benchmarks import layers
    >>> len(layers.convolutions(layers.load("lecture")))
    3
    """
    return [layer for layer in chosen if isinstance(layer, Layer)]
