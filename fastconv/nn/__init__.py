"""Layers: functional operators together with their parameters, with PyTorch's names.

```
module.py      Module: the base class; children, state dicts, errors that name the layer
parameter.py   Parameter: read-only arrays that cannot go stale
checks.py      checks of arguments
volume.py      VolumeLayer: what layers on (N, C, H, W) volumes share
conv.py        Conv2d, LocallyConnected2d
volumes.py     Conv1d, Conv3d
transposed.py  ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
pooling.py     MaxPool2d, AvgPool2d; pools.py over other axes, adaptive ones
elementwise.py ReLU, Softmax, LogSoftmax
activations.py other activations
normalization.py BatchNorm1d, BatchNorm2d, BatchNorm3d, LocalResponseNorm, Dropout
resizing.py    Upsample, PixelShuffle
dense.py       Linear, Flatten
container.py   Sequential
summary.py     the table of layers, volumes, parameters, multiply-adds (fastconv.summary)
```
"""

from .activations import (
    ELU,
    GELU,
    SELU,
    Hardsigmoid,
    Hardswish,
    LeakyReLU,
    Mish,
    PReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softplus,
    Tanh,
)
from .container import Sequential
from .conv import Conv2d, LocallyConnected2d
from .dense import Flatten, Linear
from .elementwise import LogSoftmax, ReLU, Softmax
from .module import IncompatibleKeys, Module
from .normalization import BatchNorm1d, BatchNorm2d, BatchNorm3d, Dropout, LocalResponseNorm
from .parameter import Parameter
from .pooling import AvgPool2d, MaxPool2d
from .pools import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AvgPool1d,
    AvgPool3d,
    MaxPool1d,
    MaxPool3d,
)
from .resizing import PixelShuffle, Upsample
from .summary import summary
from .transposed import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .volume import VolumeLayer
from .volumes import Conv1d, Conv3d

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "Dropout",
    "Flatten",
    "Hardsigmoid",
    "Hardswish",
    "IncompatibleKeys",
    "LeakyReLU",
    "Linear",
    "LocalResponseNorm",
    "LocallyConnected2d",
    "LogSoftmax",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "Mish",
    "Module",
    "PReLU",
    "Parameter",
    "PixelShuffle",
    "ReLU",
    "ReLU6",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "Upsample",
    "VolumeLayer",
    "summary",
]
