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
    avg_pool2d,
    col2im,
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    flatten,
    fold,
    im2col,
    linear,
    locally_connected2d,
    max_pool2d,
    pad,
    relu,
    softmax,
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
    "avg_pool2d",
    "col2im",
    "compile",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "errors",
    "flatten",
    "fold",
    "functional",
    "get_include",
    "get_num_threads",
    "im2col",
    "linear",
    "load",
    "locally_connected2d",
    "max_pool2d",
    "nn",
    "pad",
    "relu",
    "set_algorithm",
    "set_isa",
    "set_num_threads",
    "show_config",
    "softmax",
    "summary",
    "threads",
    "trim",
    "unfold",
]
