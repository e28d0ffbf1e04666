"""Names, order and defaults of the operators' parameters: PyTorch's, and our additions."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import fastconv
from fastconv import functional

EMPTY = inspect.Parameter.empty

#: Positional parameters in PyTorch's order with PyTorch's defaults, and keyword-only additions.
SIGNATURES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "conv2d": (
        {
            "input": EMPTY,
            "weight": EMPTY,
            "bias": None,
            "stride": 1,
            "padding": 0,
            "dilation": 1,
            "groups": 1,
        },
        {"data_format", "activation", "out", "strict", "algorithm", "num_threads"},
    ),
    **dict.fromkeys(
        ("conv1d", "conv3d"),
        (
            {
                "input": EMPTY,
                "weight": EMPTY,
                "bias": None,
                "stride": 1,
                "padding": 0,
                "dilation": 1,
                "groups": 1,
            },
            {"data_format", "activation", "out", "strict", "algorithm", "num_threads"},
        ),
    ),
    **dict.fromkeys(
        ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
        (
            {
                "input": EMPTY,
                "weight": EMPTY,
                "bias": None,
                "stride": 1,
                "padding": 0,
                "output_padding": 0,
                "groups": 1,
                "dilation": 1,
            },
            {"data_format", "activation", "out", "algorithm", "num_threads"},
        ),
    ),
    "interpolate": (
        {
            "input": EMPTY,
            "size": None,
            "scale_factor": None,
            "mode": "nearest",
            "align_corners": None,
            "recompute_scale_factor": None,
            "antialias": False,
        },
        {"data_format", "num_threads"},
    ),
    "batch_norm": (
        {
            "input": EMPTY,
            "running_mean": EMPTY,
            "running_var": EMPTY,
            "weight": None,
            "bias": None,
            "training": False,
            "momentum": 0.1,
            "eps": 1e-5,
        },
        {"data_format", "activation", "num_threads"},
    ),
    "local_response_norm": (
        {"input": EMPTY, "size": EMPTY, "alpha": 1e-4, "beta": 0.75, "k": 1.0},
        {"data_format", "num_threads"},
    ),
    "pixel_shuffle": ({"input": EMPTY, "upscale_factor": EMPTY}, {"data_format", "num_threads"}),
    "leaky_relu": ({"input": EMPTY, "negative_slope": 0.01}, {"out", "num_threads"}),
    "gelu": ({"input": EMPTY, "approximate": "none"}, {"out", "num_threads"}),
    "softplus": ({"input": EMPTY, "beta": 1.0, "threshold": 20.0}, {"out", "num_threads"}),
    "pad": ({"input": EMPTY, "pad": EMPTY, "mode": "constant", "value": None}, {"num_threads"}),
    "max_pool2d": (
        {
            "input": EMPTY,
            "kernel_size": EMPTY,
            "stride": None,
            "padding": 0,
            "dilation": 1,
            "ceil_mode": False,
            "return_indices": False,
        },
        {"data_format", "out", "strict", "num_threads"},
    ),
    "avg_pool2d": (
        {
            "input": EMPTY,
            "kernel_size": EMPTY,
            "stride": None,
            "padding": 0,
            "ceil_mode": False,
            "count_include_pad": True,
            "divisor_override": None,
        },
        {"data_format", "out", "strict", "num_threads"},
    ),
    "unfold": (
        {"input": EMPTY, "kernel_size": EMPTY, "dilation": 1, "padding": 0, "stride": 1},
        {"num_threads"},
    ),
    "fold": (
        {
            "input": EMPTY,
            "output_size": EMPTY,
            "kernel_size": EMPTY,
            "dilation": 1,
            "padding": 0,
            "stride": 1,
        },
        {"num_threads"},
    ),
    "im2col": (
        {"input": EMPTY, "kernel_size": EMPTY, "dilation": 1, "padding": 0, "stride": 1},
        {"order", "num_threads"},
    ),
    "relu": ({"input": EMPTY}, {"out", "num_threads"}),
    "linear": (
        {"input": EMPTY, "weight": EMPTY, "bias": None},
        {"activation", "out", "num_threads"},
    ),
    "softmax": ({"input": EMPTY, "dim": -1}, {"num_threads"}),
    "flatten": ({"input": EMPTY, "start_dim": 0, "end_dim": -1}, set()),
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_parameters(name: str) -> None:
    positional, keywords = SIGNATURES[name]
    parameters = inspect.signature(getattr(functional, name)).parameters.values()
    ours = {p.name: p.default for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD}
    assert list(ours.items()) == list(positional.items())
    assert keywords <= {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    for p in parameters:
        if p.kind is p.KEYWORD_ONLY:
            assert p.default is not EMPTY


@pytest.mark.parametrize("name", SIGNATURES)
def test_main_operators_are_on_the_top_level(name: str) -> None:
    assert getattr(fastconv, name) is getattr(functional, name)


def test_everything_public_exists_and_is_documented() -> None:
    for module in (fastconv, functional):
        for name in module.__all__:
            thing = getattr(module, name)
            if callable(thing):
                assert inspect.getdoc(thing), name


def test_none_stands_for_what_is_absent() -> None:
    x, w = np.ones((1, 2, 5, 5), np.float32), np.ones((3, 2, 3, 3), np.float32)
    plain = fastconv.conv2d(x, w)
    same = fastconv.conv2d(x, w, None, activation=None, out=None, algorithm=None, num_threads=None)
    np.testing.assert_array_equal(same, plain)
    np.testing.assert_array_equal(fastconv.max_pool2d(x, 2, None), fastconv.max_pool2d(x, 2, 2))


@pytest.mark.parametrize("integer", [np.int8, np.uint16, np.int32, np.int64, np.uint64])
def test_numpy_integers_are_integers(integer: Any) -> None:
    x, w = np.ones((1, 4, 5, 5), np.float32), np.ones((4, 2, 3, 3), np.float32)
    two, one = integer(2), integer(1)
    y = fastconv.conv2d(x, w, None, (two, one), [one, two], one, two, num_threads=one)
    np.testing.assert_array_equal(y, fastconv.conv2d(x, w, None, (2, 1), (1, 2), 1, 2))
    z = fastconv.max_pool2d(x, two, one, one)
    np.testing.assert_array_equal(z, fastconv.max_pool2d(x, 2, 1, 1))
    stride = np.array([2, 1], integer)
    np.testing.assert_array_equal(fastconv.conv2d(x, w, None, stride, [one, two], one, two), y)
