"""Stateless operators on NumPy arrays, with the names and semantics of ``torch.nn.functional``.

Arrays are float32 or float64 (`max_pool2d` also takes integers), of any strides and memory order,
(N, C, H, W) unless ``data_format="NHWC"``, with or without the batch axis. Inputs are never
written. Keyword arguments that all operators share:

``out``
    Array to write the result into, of its exact shape and dtype, not overlapping any input.
``num_threads``
    At most so many threads for this call; see `fastconv.runtime`.

Errors: `fastconv.errors.ShapeError` (a ``ValueError``) for shapes and sizes, ``TypeError`` for
dtypes and arguments of the wrong kind, ``ValueError`` for words that are not among those allowed.
"""

from .._conv_plans import ACTIVATIONS
from .._volume_plans import DATA_FORMATS, PAD_MODES
from ..runtime import ALGORITHMS
from .activations import (
    clamp,
    elu,
    gelu,
    hardsigmoid,
    hardswish,
    leaky_relu,
    mish,
    prelu,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softplus,
    tanh,
)
from .adaptive import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    lp_pool2d,
    max_unpool2d,
)
from .columns import col2im, fold, im2col, unfold
from .convolution import conv2d, locally_connected2d
from .dense import flatten, linear, log_softmax, softmax
from .images import (
    RESIZE_MODES,
    interpolate,
    pad,
    pixel_shuffle,
    pixel_unshuffle,
)
from .normalization import batch_norm, local_response_norm
from .packed import PackedWeights
from .pooling import avg_pool2d, max_pool2d
from .pooling_axes import avg_pool1d, avg_pool3d, max_pool1d, max_pool3d
from .volumes import (
    conv1d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)

__all__ = [
    "ACTIVATIONS",
    "ALGORITHMS",
    "DATA_FORMATS",
    "PAD_MODES",
    "RESIZE_MODES",
    "PackedWeights",
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "clamp",
    "col2im",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "elu",
    "flatten",
    "fold",
    "gelu",
    "hardsigmoid",
    "hardswish",
    "im2col",
    "interpolate",
    "leaky_relu",
    "linear",
    "local_response_norm",
    "locally_connected2d",
    "log_softmax",
    "lp_pool2d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_unpool2d",
    "mish",
    "pad",
    "pixel_shuffle",
    "pixel_unshuffle",
    "prelu",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
    "unfold",
]
