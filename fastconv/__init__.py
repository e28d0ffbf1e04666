"""fastconv: fast convolutions for CPUs, with NumPy as the only dependency.

::

    functional   stateless operators on NumPy arrays, named as in torch.nn.functional
    nn           layers with parameters and shape validation, Sequential, summary
    networks     whole networks: load, compile, Predictor; with graph and onnx beneath
    runtime      instruction set, threads, configuration

Examples
--------
>>> import numpy as np, fastconv
>>> x = np.ones((1, 3, 8, 8), np.float32)
>>> w = np.ones((4, 3, 3, 3), np.float32)
>>> fastconv.conv2d(x, w, padding=1).shape
(1, 4, 8, 8)
"""

__version__ = "0.1.0"

try:
    from . import _native as _native
except ImportError as error:  # a checkout without the compiled extension, or a broken build
    raise ImportError(
        f"fastconv's compiled extension cannot be imported ({error}). In a source checkout build "
        "it in place with `pip install -e .`, or leave the checkout's folder to use an installed "
        "fastconv."
    ) from error

from . import errors, functional, nn
from .functional import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    batch_norm,
    clamp,
    col2im,
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    elu,
    flatten,
    fold,
    gelu,
    hardsigmoid,
    hardswish,
    im2col,
    interpolate,
    leaky_relu,
    linear,
    local_response_norm,
    locally_connected2d,
    log_softmax,
    lp_pool2d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
    max_unpool2d,
    mish,
    pad,
    pixel_shuffle,
    pixel_unshuffle,
    prelu,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
    tanh,
    unfold,
)
from .networks import Predictor, load
from .networks import compile_layers as compile  # noqa: A004
from .nn import summary
from .runtime import (
    get_include,
    get_num_threads,
    set_algorithm,
    set_isa,
    set_num_threads,
    show_config,
    threads,
    trim,
)

__all__ = [
    "Predictor",
    "__version__",
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
    "compile",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "elu",
    "errors",
    "flatten",
    "fold",
    "functional",
    "gelu",
    "get_include",
    "get_num_threads",
    "hardsigmoid",
    "hardswish",
    "im2col",
    "interpolate",
    "leaky_relu",
    "linear",
    "load",
    "local_response_norm",
    "locally_connected2d",
    "log_softmax",
    "lp_pool2d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_unpool2d",
    "mish",
    "nn",
    "pad",
    "pixel_shuffle",
    "pixel_unshuffle",
    "prelu",
    "relu",
    "relu6",
    "selu",
    "set_algorithm",
    "set_isa",
    "set_num_threads",
    "show_config",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "summary",
    "tanh",
    "threads",
    "trim",
    "unfold",
]
