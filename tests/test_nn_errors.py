"""Layers refuse bad arguments and inputs with errors that name argument, layer and place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from networks import lecture_net, random

from fastconv import nn
from fastconv.errors import ShapeError

#: Constructors and calls with arguments that a type checker would refuse as well.
Conv2d: Any = nn.Conv2d
Linear: Any = nn.Linear
MaxPool2d: Any = nn.MaxPool2d
AvgPool2d: Any = nn.AvgPool2d
Local: Any = nn.LocallyConnected2d


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Conv2d(0, 4, 3), ShapeError, "in_channels must be at least 1, got 0"),
        (lambda: Conv2d(3, -4, 3), ShapeError, "out_channels must be at least 1, got -4"),
        (lambda: Conv2d(3.0, 4, 3), TypeError, "in_channels must be an integer, got 3.0"),
        (lambda: Conv2d(3, True, 3), TypeError, "out_channels must be an integer"),
        (lambda: Conv2d(3, 4, 0), ShapeError, "kernel_size must be at least 1, got 0"),
        (lambda: Conv2d(3, 4, (3, 0)), ShapeError, r"kernel_size\[1\] must be at least 1"),
        (lambda: Conv2d(3, 4, (1, 2, 3)), ShapeError, "kernel_size must be .* got"),
        (lambda: Conv2d(3, 4, 3, 0), ShapeError, "stride must be at least 1, got 0"),
        (lambda: Conv2d(3, 4, 3, 1.5), TypeError, "stride must be an integer, got 1.5"),
        (lambda: Conv2d(3, 4, 3, padding=-1), ShapeError, "padding must be at least 0, got -1"),
        (lambda: Conv2d(3, 4, 3, padding="full"), ShapeError, "padding must be 'valid', 'same'"),
        (lambda: Conv2d(3, 4, 3, padding=(1, 1, 1, 1)), ShapeError, "disagree on their order"),
        (lambda: Conv2d(3, 4, 3, dilation=0), ShapeError, "dilation must be at least 1"),
        (lambda: Conv2d(3, 4, 3, groups=0), ShapeError, "groups must be at least 1"),
        (
            lambda: Conv2d(3, 4, 3, groups=2),
            ShapeError,
            "in_channels must be divisible by groups, got in_channels=3 and groups=2",
        ),
        (
            lambda: Conv2d(4, 6, 3, groups=4),
            ShapeError,
            "out_channels must be divisible by groups, got out_channels=6 and groups=4",
        ),
        (lambda: Conv2d(3, 4, 3, bias=np.zeros(4)), TypeError, "bias must be True or False"),
        (
            lambda: Conv2d(3, 4, 3, activation="tanhh"),
            ValueError,
            "activation must be one of .*'relu'",
        ),
        (
            lambda: Conv2d(3, 4, 3, data_format="NWHC"),
            ValueError,
            "data_format must be one of 'NCHW'",
        ),
        (lambda: Conv2d(3, 4, 3, strict="yes"), TypeError, "strict must be True or False"),
        (
            lambda: Conv2d(3, 4, 3, algorithm="fft"),
            ValueError,
            "algorithm must be one of .*'direct'",
        ),
        (lambda: Conv2d(3, 4, 3, dtype="int8"), TypeError, "dtype must be float32 or float64"),
        (lambda: Conv2d(1 << 40, 1 << 40, 3), ShapeError, "weight of shape .* larger than memory"),
        (lambda: Linear(0, 4), ShapeError, "in_features must be at least 1"),
        (lambda: Linear(4, None), TypeError, "out_features must be an integer, got None"),
        (lambda: Linear(4, 4, activation="gloo"), ValueError, "activation must be one of"),
        (lambda: MaxPool2d(0), ShapeError, "kernel_size must be at least 1"),
        (lambda: MaxPool2d(2, 0), ShapeError, "stride must be at least 1"),
        (lambda: MaxPool2d(2, padding=2), ShapeError, "padding must be at most half the kernel"),
        (lambda: MaxPool2d(2, padding="same"), TypeError, "padding must be an integer"),
        (lambda: MaxPool2d(2, dilation=0), ShapeError, "dilation must be at least 1"),
        (lambda: MaxPool2d(2, ceil_mode=1), TypeError, "ceil_mode must be True or False"),
        (lambda: AvgPool2d(2, padding=(0, 2)), ShapeError, "padding must be at most half"),
        (lambda: AvgPool2d(2, divisor_override=0), ValueError, "divisor_override must not be zero"),
        (lambda: Local(1, 1, 9, 8), ShapeError, "kernel of 9 does not fit height 8"),
        (lambda: Local(1, 1, 3, (8, 0)), ShapeError, r"input_size\[1\] must be at least 1"),
    ],
)
def test_bad_arguments_are_named_at_construction(
    make: Callable[[], Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (
            nn.Conv2d(3, 4, 3),
            (1, 4, 8, 8),
            r"expected 3 input channels, as in \(N, 3, H, W\), got 4",
        ),
        (nn.Conv2d(3, 4, 3), (8, 8), r"expected an input of shape \(N, 3, H, W\) or \(3, H, W\)"),
        (nn.Conv2d(3, 4, 3), (1, 1, 3, 8, 8), r"got \(1, 1, 3, 8, 8\)"),
        (
            nn.Conv2d(3, 4, 3, data_format="NHWC"),
            (1, 3, 8, 8),
            r"expected 3 input channels, as in \(N, H, W, 3\), got 8",
        ),
        (nn.Conv2d(3, 4, 3), (1, 3, 2, 8), "kernel of 3 does not fit height 2"),
        (nn.Conv2d(3, 4, 3, dilation=4), (3, 9, 8), "covering 9 with dilation 4.* width 8"),
        (nn.MaxPool2d(2), (4, 4), r"expected an input of shape \(N, C, H, W\) or \(C, H, W\)"),
        (nn.AvgPool2d(5), (1, 4, 4), "kernel of 5 does not fit height 4"),
        (nn.Linear(5, 2), (3, 4), r"expected an input of shape \(..., 5\), got \(3, 4\)"),
        (
            nn.LocallyConnected2d(3, 4, 3, 8),
            (1, 3, 8, 9),
            r"height and width \(8, 8\), got \(8, 9\)",
        ),
        (nn.LocallyConnected2d(3, 4, 3, 8), (1, 2, 8, 8), "expected 3 input channels"),
        (nn.Flatten(), (5,), "expected an input that has axis start_dim=1"),
        (nn.Flatten(2, 1), (5, 4, 3), "expected start_dim to come before end_dim"),
        (nn.Softmax(dim=2), (5, 4), "expected an input with an axis 2, got 2 axes"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else str(value)[:20],
)
def test_inputs_that_do_not_fit_name_the_layer(
    layer: nn.Module, shape: tuple[int, ...], message: str
) -> None:
    name = type(layer).__name__
    with pytest.raises(ShapeError, match=rf"^{name}\(.*\): .*{message}"):
        layer.output_shape(shape)
    with pytest.raises(ShapeError, match=rf"^{name}\(.*\): .*{message}"):
        layer(random(*shape))


def test_errors_within_a_network_name_the_place() -> None:
    net = nn.Sequential(nn.ReLU(), nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), nn.Linear(6, 1))
    with pytest.raises(ShapeError, match=r"^layer 1: layer 0: Conv2d\(.*expected 3 input channels"):
        net(random(1, 2, 8, 8))
    with pytest.raises(ShapeError, match=r"^layer 1: layer 0: Conv2d\(.*expected 3 input channels"):
        net.output_shape((1, 2, 8, 8))
    with pytest.raises(ShapeError, match=r"^layer 2: Linear\(.*\(1, 4, 8, 8\)"):
        net(random(1, 3, 10, 10))


def test_strict_layers_refuse_remainders_within_a_network() -> None:
    net = nn.Sequential(nn.ReLU(), nn.Conv2d(3, 5, 5, stride=2, strict=True))
    for call in (lambda: net(random(1, 3, 32, 32)), lambda: net.output_shape((3, 32, 32))):
        with pytest.raises(ShapeError, match=r"layer 1: Conv2d.*\(32 - 5\)/2 \+ 1 = 14\.5"):
            call()


@pytest.mark.parametrize("shape", ["348", 3, None, (3, 8.0, 8), (3, -1, 8)])
def test_output_shape_refuses_what_is_not_a_shape(shape: Any) -> None:
    for model in (nn.Conv2d(3, 4, 3), lecture_net()):
        with pytest.raises((TypeError, ShapeError), match="input_shape"):
            model.output_shape(shape)


def test_other_dtypes_are_refused() -> None:
    x = random(1, 3, 8, 8, dtype=np.float64)
    with pytest.raises(TypeError, match="float64"):
        nn.Conv2d(3, 4, 3)(x)
    with pytest.raises(TypeError, match="float32"):
        nn.Linear(8, 2, dtype=np.float64)(x.astype(np.float32))


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(3, 4, 3),
        nn.LocallyConnected2d(3, 4, 3, 8),
        nn.Linear(1, 2),
        nn.MaxPool2d(2),
        nn.AvgPool2d(2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Softmax(dim=1),
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()),
    ],
    ids=lambda layer: type(layer).__name__,
)
@pytest.mark.parametrize("value", [[[1.0]], 1.0, None, "x"], ids=repr)
def test_what_is_not_an_array_is_refused(layer: nn.Module, value: Any) -> None:
    with pytest.raises(TypeError, match="NumPy array"):
        layer(value)
