"""The convolutions of well-known networks, read from the data files in ``shapes/``.

Each file is named after a network and holds where the shapes come from and a list of layers::

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
            ...,
        ],
    }

``stride`` (1), ``padding`` (0), ``dilation`` (1) and ``groups`` (1) may be left out; each but the
last is one number or ``[vertical, horizontal]``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Size = int | tuple[int, int]

FOLDER = Path(__file__).parent / "shapes"


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
    kernel: tuple[int, int]
    stride: Size = 1
    padding: Size = 0
    dilation: Size = 1
    groups: int = 1

    @property
    def output(self) -> tuple[int, int, int, int]:
        """Shape (N, K, P, Q) of the activation maps."""
        spans = zip(self.input[2:], self.kernel, *map(_pair, self._sliding), strict=True)
        p, q = (
            (size + 2 * pad - (k - 1) * gap - 1) // step + 1 for size, k, step, pad, gap in spans
        )
        return self.input[0], self.filters, p, q

    @property
    def _sliding(self) -> tuple[Size, Size, Size]:
        return self.stride, self.padding, self.dilation

    @property
    def flops(self) -> int:
        """Multiplications and additions of the direct algorithm, two for each product.

        Products with the zeros of the padding are counted, as everybody does.
        """
        n, k, p, q = self.output
        r, s = self.kernel
        return 2 * n * k * p * q * (self.input[1] // self.groups) * r * s

    @property
    def label(self) -> str:
        """Name of the layer with its shape in a few words.

        Examples
        --------
        >>> from fastconv.benchmarks.layers import Layer
        >>> Layer("lecture", "CIFAR", (100, 3, 32, 32), 10, (3, 3), padding=1).label
        'CIFAR: 100x3x32x32 -> 10, 3x3'
        """
        text = f"{self.name}: {'x'.join(map(str, self.input))} -> {self.filters}, "
        text += "x".join(map(str, self.kernel))
        for letter, value in (("/", self.stride), (" d", self.dilation), (" g", self.groups)):
            text += f"{letter}{value}" if value != 1 else ""
        return text


def _pair(value: Size) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


def available() -> list[str]:
    """Return the names of the networks that have a file.

    Examples
    --------
    >>> from fastconv.benchmarks import layers
    >>> "resnet50" in layers.available()
    True
    """
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def load(network: str) -> list[Layer]:
    """Read the layers of one network.

    Parameters
    ----------
    network : str
        One of `available`.

    Returns
    -------
    list of Layer

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
    return [Layer(network=network, **_tuples(entry)) for entry in entries]


def _tuples(entry: dict[str, Any]) -> dict[str, Any]:
    """Return a layer's entry with tuples for JSON's lists."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
