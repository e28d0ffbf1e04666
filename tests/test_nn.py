"""Layers: values against naive loops, agreement with PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import reference as ref
from networks import lecture_net, random

from fastconv import nn
from fastconv.errors import ShapeError

DTYPES = ["float32", "float64"]


CONVOLUTIONS: list[dict[str, Any]] = [
    {},
    {"stride": 2, "padding": 1},
    {"stride": (2, 3), "padding": (2, 0), "dilation": (2, 1)},
    {"padding": "same", "dilation": 2},
    {"padding": "same", "stride": 2},
    {"padding": "same_lower", "stride": 2},
    {"padding": ((0, 2), (1, 0))},
    {"groups": 2, "padding": 1},
    {"groups": 4},
    {"bias": False},
    {"activation": "relu"},
    {"activation": "hardswish", "padding": 1},
    {"algorithm": "im2col", "padding": 1},
    {"algorithm": "direct"},
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
@pytest.mark.parametrize("options", CONVOLUTIONS, ids=str)
def test_conv2d_against_naive_loops(options: dict[str, Any], data_format: str, dtype: str) -> None:
    layer = nn.Conv2d(4, 8, (3, 2), data_format=data_format, dtype=dtype, rng=0, **options)
    x = random(2, 4, 9, 10, dtype=dtype)
    geometry = {k: v for k, v in options.items() if k not in ("bias", "algorithm")}
    expected = ref.conv2d(x, layer.weight, layer.bias, **geometry)
    limit = ref.conv2d_bound("direct", x, layer.weight, layer.bias, **geometry)
    if data_format == "NHWC":
        x = np.moveaxis(x, 1, -1)
        expected, limit = np.moveaxis(expected, 1, -1), np.moveaxis(limit, 1, -1)
    output = layer(x)
    assert output.dtype == dtype
    assert output.shape == layer.output_shape(x.shape)
    assert output.shape[1:] == layer.output_shape(x.shape[1:])
    ref.assert_close(output, expected, limit)
    np.testing.assert_array_equal(layer(x[1]), output[1])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4), (0, 4)])
@pytest.mark.parametrize("options", [{}, {"bias": False}, {"activation": "relu"}], ids=str)
def test_linear_against_naive_loops(
    options: dict[str, Any], shape: tuple[int, ...], dtype: str
) -> None:
    layer = nn.Linear(4, 7, dtype=dtype, rng=0, **options)
    x = random(*shape, dtype=dtype)
    activation = options.get("activation")
    output = layer(x)
    assert output.shape == layer.output_shape(shape) == (*shape[:-1], 7)
    ref.assert_close(
        output,
        ref.linear(x, layer.weight, layer.bias, activation),
        ref.linear_bound(x, layer.weight, layer.bias, activation),
    )


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 2},
        {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0)},
        {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
        {"kernel_size": 2, "stride": ()},
        {"kernel_size": [2, 3], "stride": [1, 2]},
    ],
    ids=str,
)
@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
@pytest.mark.parametrize("kind", ["max", "avg"])
def test_pools_against_naive_loops(kind: str, data_format: str, options: dict[str, Any]) -> None:
    x = random(2, 3, 9, 10)
    plain = {**options, "stride": options.get("stride") or options["kernel_size"]}
    pool: Any
    if kind == "max":
        pool = nn.MaxPool2d(**options, data_format=data_format)
        expected = ref.max_pool2d(x, **plain)[0]
    else:
        pool = nn.AvgPool2d(**options, data_format=data_format)
        expected = ref.avg_pool2d(x, **plain)
    if data_format == "NHWC":
        x, expected = np.moveaxis(x, 1, -1), np.moveaxis(expected, 1, -1)
    output = pool(x)
    assert output.shape == pool.output_shape(x.shape)
    assert output.shape[1:] == pool.output_shape(x.shape[1:])
    tolerance = 0 if kind == "max" else 1e-6
    np.testing.assert_allclose(output, expected, rtol=tolerance, atol=tolerance)


def test_max_pool_with_dilation_and_indices() -> None:
    pool = nn.MaxPool2d(2, stride=1, dilation=(2, 1), return_indices=True)
    x = random(2, 3, 6, 7)
    output, indices = pool(x)
    expected, where = ref.max_pool2d(x, 2, 1, 0, (2, 1))
    assert output.shape == pool.output_shape(x.shape)
    np.testing.assert_array_equal(output, expected)
    np.testing.assert_array_equal(indices, where)


def test_average_pool_options() -> None:
    x = random(1, 2, 6, 6)
    for count, divisor in ((True, None), (False, None), (True, 3), (True, -2)):
        pool = nn.AvgPool2d(3, 2, 1, count_include_pad=count, divisor_override=divisor)
        expected = ref.avg_pool2d(x, 3, 2, 1, count_include_pad=count, divisor_override=divisor)
        np.testing.assert_allclose(pool(x), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("shape", [(4,), (2, 4), (2, 3, 4), (2, 3, 4, 5)])
def test_softmax_picks_the_axis_as_torch_does(shape: tuple[int, ...]) -> None:
    x = random(*shape, dtype=np.float64)
    by_default = 0 if len(shape) in (1, 3) else 1
    for dim, axis in [(None, by_default), (-1, -1), (0, 0), (len(shape) - 1, -1)]:
        layer = nn.Softmax(dim)
        assert layer.output_shape(shape) == shape
        ref.assert_close(layer(x), ref.softmax(x, axis), ref.softmax_bound(x, axis))


def test_flatten_joins_axes_as_reshape_does() -> None:
    x = random(2, 3, 4, 5)
    for start, end, shape in [
        (1, -1, (2, 60)),
        (0, -1, (120,)),
        (1, 2, (2, 12, 5)),
        (-2, 3, (2, 3, 20)),
    ]:
        layer = nn.Flatten(start, end)
        assert layer.output_shape(x.shape) == shape
        np.testing.assert_array_equal(layer(x), x.reshape(shape))


def test_out_receives_the_result() -> None:
    x = random(2, 3, 6, 6)
    layers: list[Any] = [
        nn.Conv2d(3, 4, 3),
        nn.LocallyConnected2d(3, 4, 3, 6),
        nn.MaxPool2d(2),
        nn.AvgPool2d(2),
        nn.ReLU(),
        nn.Linear(6, 5),
    ]
    for layer in layers:
        out = np.full(layer.output_shape(x.shape), np.nan, np.float32)
        assert layer(x, out=out) is out
        np.testing.assert_array_equal(out, layer(x))
        with pytest.raises(ShapeError, match=type(layer).__name__):
            layer(x, out=out[..., :-1])


def test_an_empty_batch_gives_an_empty_batch() -> None:
    net = lecture_net()
    assert net(np.zeros((0, 3, 8, 8), np.float32)).shape == (0, 5) == net.output_shape((0, 3, 8, 8))


# Agreement with PyTorch


def _torch_pairs() -> dict[str, Callable[[Any], tuple[nn.Module, Any, tuple[int, ...]]]]:
    return {
        "Conv2d": lambda t: (nn.Conv2d(3, 8, 3), t.Conv2d(3, 8, 3), (2, 3, 9, 9)),
        "Conv2d-options": lambda t: (
            nn.Conv2d(4, 8, (3, 2), (2, 1), (1, 0), (1, 2), 2, False),
            t.Conv2d(4, 8, (3, 2), (2, 1), (1, 0), (1, 2), 2, False),
            (2, 4, 9, 9),
        ),
        "Conv2d-same": lambda t: (
            nn.Conv2d(4, 8, 3, padding="same", dilation=2),
            t.Conv2d(4, 8, 3, padding="same", dilation=2),
            (4, 9, 9),
        ),
        "Linear": lambda t: (nn.Linear(5, 4), t.Linear(5, 4), (3, 2, 5)),
        "Linear-no-bias": lambda t: (nn.Linear(5, 4, False), t.Linear(5, 4, False), (5,)),
        "MaxPool2d": lambda t: (
            nn.MaxPool2d(3, 2, 1, 2, False, True),
            t.MaxPool2d(3, 2, 1, 2, False, True),
            (2, 3, 10, 11),
        ),
        "AvgPool2d": lambda t: (
            nn.AvgPool2d((3, 2), 2, 1, True, False, 4),
            t.AvgPool2d((3, 2), 2, 1, True, False, 4),
            (2, 3, 10, 11),
        ),
        "AvgPool2d-no-pad": lambda t: (
            nn.AvgPool2d(3, 2, 1, True, False),
            t.AvgPool2d(3, 2, 1, True, False),
            (3, 10, 11),
        ),
        "ReLU": lambda t: (nn.ReLU(), t.ReLU(), (2, 3)),
        "ReLU-inplace": lambda t: (nn.ReLU(inplace=True), t.ReLU(inplace=True), (2, 3)),
        "Softmax": lambda t: (nn.Softmax(dim=1), t.Softmax(dim=1), (2, 3, 4)),
        "Flatten": lambda t: (nn.Flatten(), t.Flatten(), (2, 3, 4)),
        "Flatten-dims": lambda t: (nn.Flatten(0, -2), t.Flatten(0, -2), (2, 3, 4)),
        "Sequential": lambda t: (
            nn.Sequential(
                nn.Conv2d(3, 4, 3),
                nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)),
                nn.Flatten(),
                nn.Linear(36, 2),
            ),
            t.Sequential(
                t.Conv2d(3, 4, 3),
                t.Sequential(t.ReLU(), t.MaxPool2d(2)),
                t.Flatten(),
                t.Linear(36, 2),
            ),
            (2, 3, 8, 8),
        ),
    }


@pytest.mark.parametrize("name", _torch_pairs())
def test_values_names_and_repr_agree_with_torch(name: str) -> None:
    torch = pytest.importorskip("torch")
    ours, theirs, shape = _torch_pairs()[name](torch.nn)
    assert repr(ours) == repr(theirs)
    state = {key: value.numpy() for key, value in theirs.state_dict().items()}
    assert {k: v.shape for k, v in ours.state_dict().items()} == {
        k: v.shape for k, v in state.items()
    }
    assert ours.num_parameters == sum(p.numel() for p in theirs.parameters())
    ours.load_state_dict(state)
    x = random(*shape)
    expected = theirs(torch.from_numpy(x.copy())).detach().numpy()
    assert ours.output_shape(shape) == expected.shape
    np.testing.assert_allclose(ours(x), expected, rtol=1e-5, atol=1e-5)

    # And the other way: PyTorch loads our state dict.
    for key, array in ours.state_dict().items():
        state[key] = array + 1
    theirs.load_state_dict({key: torch.from_numpy(array) for key, array in state.items()})
    assert all((theirs.state_dict()[key].numpy() == array).all() for key, array in state.items())


def test_torch_tensors_load_without_conversion() -> None:
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Conv2d(2, 3, 3)
    ours = nn.Conv2d(2, 3, 3)
    ours.load_state_dict(theirs.state_dict())
    np.testing.assert_array_equal(ours.weight, theirs.weight.detach().numpy())
    ours.bias = torch.ones(3)
    assert ours.bias is not None
    assert ours.bias.tolist() == [1, 1, 1]


def test_attributes_have_torchs_names_and_values() -> None:
    torch = pytest.importorskip("torch")
    pairs: list[tuple[Any, Any, str]] = [
        (
            nn.Conv2d(4, 8, 3, 2, (1, 0), groups=2),
            torch.nn.Conv2d(4, 8, 3, 2, (1, 0), groups=2),
            "in_channels out_channels kernel_size stride padding dilation groups",
        ),
        (nn.Linear(4, 3), torch.nn.Linear(4, 3), "in_features out_features"),
        (
            nn.MaxPool2d(3, padding=1),
            torch.nn.MaxPool2d(3, padding=1),
            "kernel_size stride padding dilation return_indices ceil_mode",
        ),
        (
            nn.AvgPool2d((3, 2)),
            torch.nn.AvgPool2d((3, 2)),
            "kernel_size stride padding ceil_mode count_include_pad divisor_override",
        ),
        (nn.Flatten(0), torch.nn.Flatten(0), "start_dim end_dim"),
        (nn.Softmax(1), torch.nn.Softmax(1), "dim"),
    ]
    for ours, theirs, names in pairs:
        for name in names.split():
            assert getattr(ours, name) == getattr(theirs, name), name
