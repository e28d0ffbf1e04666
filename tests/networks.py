"""What the tests of layers share: random inputs and a small network of the lecture's kind."""

from __future__ import annotations

from typing import Any

import numpy as np
from reference import Array

from fastconv import nn


def random(*shape: int, dtype: Any = np.float32, seed: int = 0) -> Array:
    """Return normally distributed numbers, the same in every run."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def lecture_net(rng: int = 0) -> nn.Sequential:
    """Return CONV - RELU - POOL - FC - softmax from (N, 3, 8, 8) to (N, 5)."""
    return nn.Sequential(
        nn.Conv2d(3, 10, 3, padding=1, rng=rng),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(160, 5, rng=rng + 1),
        nn.Softmax(dim=1),
    )
