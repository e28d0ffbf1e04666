"""Layers: functional operators together with their parameters, with PyTorch's names.

```
module.py      Module: the base class; children, state dicts, errors that name the layer
parameter.py   Parameter: read-only arrays that cannot go stale
checks.py      checks of arguments
volume.py      VolumeLayer: what layers on (N, C, H, W) volumes share
conv.py        Conv2d, LocallyConnected2d
volumes.py     Conv1d, Conv3d
transposed.py  ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
pooling.py     MaxPool2d, AvgPool2d
elementwise.py ReLU, Softmax
dense.py       Linear, Flatten
container.py   Sequential
summary.py     the table of layers, volumes, parameters, multiply-adds (fastconv.summary)
```
"""

from .container import Sequential
from .conv import Conv2d, LocallyConnected2d
from .dense import Flatten, Linear
from .elementwise import ReLU, Softmax
from .module import IncompatibleKeys, Module
from .parameter import Parameter
from .pooling import AvgPool2d, MaxPool2d
from .summary import summary
from .transposed import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .volume import VolumeLayer
from .volumes import Conv1d, Conv3d

__all__ = [
    "AvgPool2d",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "Flatten",
    "IncompatibleKeys",
    "Linear",
    "LocallyConnected2d",
    "MaxPool2d",
    "Module",
    "Parameter",
    "ReLU",
    "Sequential",
    "Softmax",
    "VolumeLayer",
    "summary",
]
