"""Convolution over one and three axes, and transposed convolution, against naive float64 loops."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import reference as ref
from reference_volumes import volume
from volume_cases import CASES, exact, numbers

import fastconv
from fastconv import functional, nn
from fastconv.errors import ShapeError
from fastconv.functional import PackedWeights

LAST = {1: "NLC", 2: "NHWC", 3: "NDHWC"}
ALGORITHMS = ("direct", "channels_last", "planar", "im2col")


@pytest.mark.parametrize("name", CASES)
def test_whole_numbers_are_exact(name: str, dtype: str, isa: str) -> None:
    operator, _, _, options = CASES[name]
    x, w, b = numbers(name, dtype)
    expected = exact(name)
    function, last = getattr(functional, operator), LAST[x.ndim - 2]
    moved = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    for algorithm, packed in itertools.product(ALGORITHMS, (False, True)):
        more: dict[str, Any] = {**options, "algorithm": algorithm}
        more["packed"] = PackedWeights() if packed else None
        y = function(x, w, b, **more)
        assert y.dtype == dtype
        np.testing.assert_array_equal(y, expected)
        y = function(moved, w, b, **more, data_format=last)
        np.testing.assert_array_equal(np.moveaxis(y, -1, 1), expected)
    biases = b.reshape(-1, *[1] * (x.ndim - 2))
    plain = function(x, w, **options, algorithm="direct")
    np.testing.assert_array_equal(plain, expected - biases)
    if len(x):
        single = function(x[0], w, b, **options, algorithm="direct")
        np.testing.assert_array_equal(single, expected[0])


@pytest.mark.parametrize("name", [n for n in CASES if "empty" not in n])
def test_rounding_strides_and_fused_activation(name: str, dtype: str) -> None:
    """Normal numbers in reversed and transposed arrays, into an output with gaps."""
    operator, x_shape, w_shape, options = CASES[name]
    rng = np.random.default_rng(1)
    x = rng.standard_normal(x_shape[::-1]).astype(dtype).T[..., ::-1]
    w = rng.standard_normal((*w_shape, 2)).astype(dtype)[..., 0]
    expected = volume(operator, x, w, None, **options)
    magnitude = volume(operator, abs(x), abs(w), None, **options)
    limit = ref.bound("direct", int(np.prod(w_shape)) + 2, magnitude, dtype)
    function = getattr(functional, operator)
    wide = np.full((*expected.shape[:-1], 3 * expected.shape[-1]), np.nan, dtype)
    out = wide[..., ::3]
    assert function(x, w, **options, out=out, activation="relu") is out
    ref.assert_close(out, np.maximum(expected, 0), limit)
    assert np.isnan(wide[..., 1::3]).all()
    assert np.isnan(wide[..., 2::3]).all()


@pytest.mark.parametrize("name", ["conv3d-wide", "transpose-s1", "transpose-4x4-s2"])
def test_packed_weights_may_take_winograd(name: str, dtype: str) -> None:
    operator, x_shape, w_shape, options = CASES[name]
    rng = np.random.default_rng(1)
    x, w = (rng.standard_normal(s).astype(dtype) for s in (x_shape, w_shape))
    function = getattr(functional, operator)
    expected = volume(operator, x, w, None, **options)
    for algorithm in ("auto", "winograd"):
        y = function(x, w, **options, algorithm=algorithm, packed=PackedWeights())
        error = np.abs(y - expected).max() / np.abs(expected).max()
        assert error < 64 * np.finfo(dtype).eps


@pytest.mark.parametrize("name", CASES)
@pytest.mark.usefixtures("eight_threads")
def test_any_team_and_any_split_of_the_batch(name: str, dtype: str) -> None:
    operator, x_shape, w_shape, options = CASES[name]
    rng = np.random.default_rng(2)
    x, w = (rng.standard_normal(s).astype(dtype) for s in ((3, *x_shape[1:]), w_shape))
    function = getattr(functional, operator)
    alone = function(x, w, **options, num_threads=1)
    for threads in (2, 3, 8):
        assert function(x, w, **options, num_threads=threads).tobytes() == alone.tobytes()
    parts = [function(part, w, **options) for part in np.split(x, [1])]
    assert np.concatenate(parts).tobytes() == alone.tobytes()


@pytest.mark.usefixtures("eight_threads")
def test_large_volumes_by_any_team(dtype: str, isa: str) -> None:
    """More images than are gathered at a time, and work that is worth a team."""
    rng, first = np.random.default_rng(3), (b"", b"")
    x = rng.standard_normal((2, 19, 9, 61, 63)).astype(dtype)
    w = rng.standard_normal((17, 19, 3, 3, 3)).astype(dtype)
    flat, turned = x[:, :, 0], w[:, :, 0].swapaxes(0, 1)
    for threads in (1, 2, 3, 8):
        deep = functional.conv3d(x, w, padding=1, num_threads=threads).tobytes()
        grown = transpose(flat, turned, None, 2, 1, num_threads=threads).tobytes()
        first = (deep, grown) if threads == 1 else first
        assert (deep, grown) == first


#: Layers and the shape of their input.
LAYERS: list[tuple[nn.Module, tuple[int, ...]]] = [
    (nn.Conv1d(4, 6, 3, stride=2, padding=1, rng=0), (2, 4, 11)),
    (nn.Conv1d(4, 6, 3, padding="same", groups=2, data_format="NLC", rng=0), (2, 11, 4)),
    (nn.Conv3d(2, 5, (1, 3, 2), bias=False, rng=0), (2, 2, 4, 6, 5)),
    (nn.Conv3d(2, 5, 3, padding=((1, 0), (1, 1), (0, 2)), rng=0), (1, 2, 4, 6, 5)),
    (nn.ConvTranspose1d(4, 6, 4, 2, 1, activation="relu", rng=0), (2, 4, 11)),
    (nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, dilation=2, rng=0), (2, 4, 5, 6)),
    (nn.ConvTranspose2d(4, 6, 3, 2, groups=2, data_format="NHWC", rng=0), (2, 5, 6, 4)),
    (nn.ConvTranspose3d(4, 2, 2, 2, rng=0), (1, 4, 3, 4, 5)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=lambda v: repr(v))
def test_layers(layer: Any, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    y = layer(x)
    assert y.shape == layer.output_shape(shape)
    assert y[0].shape == layer.output_shape(shape[1:])
    np.testing.assert_array_equal(layer(x[0]), y[0])
    names = ("stride", "padding", "output_padding", "dilation", "groups", "activation")
    options = {k: v for k, v in vars(layer).items() if k in names}
    plain = type(layer).operator(
        x, layer.weight, layer.bias, **options, data_format=layer.data_format
    )
    np.testing.assert_allclose(y, plain, rtol=1e-4, atol=1e-5)
    layer.weight = np.zeros_like(layer.weight)
    assert np.abs(layer(x) - (0 if layer.bias is None else layer(0 * x))).max() == 0
    table = fastconv.summary(layer, shape)
    assert table.rows[0].multiply_adds > 0


@pytest.mark.parametrize(
    ("name", "arguments", "shape"),
    [
        ("Conv1d", (4, 6, 3, 2, 1), (2, 4, 11)),
        ("Conv1d", (4, 6, 3, 1, "same"), (4, 11)),
        ("Conv3d", (2, 6, (1, 3, 2), 1, (0, 1, 1), 1, 2), (2, 2, 4, 6, 5)),
        ("ConvTranspose1d", (4, 6, 4, 2, 1), (2, 4, 11)),
        ("ConvTranspose2d", (4, 6, 3, 2, 1, 1, 2, True, 2), (2, 4, 5, 6)),
        ("ConvTranspose3d", (4, 2, 2, 2, 0, 0, 1, False), (4, 3, 4, 5)),
    ],
)
def test_layers_agree_with_torch(name: str, arguments: Any, shape: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn, name)(*arguments)
    ours = getattr(nn, name)(*arguments)
    assert {k: v.shape for k, v in ours.state_dict().items()} == {
        k: tuple(v.shape) for k, v in theirs.state_dict().items()
    }
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(shape)
    with torch.no_grad():
        expected = theirs(x).numpy()
    np.testing.assert_allclose(ours(x.numpy()), expected, rtol=1e-4, atol=1e-5)
    assert repr(ours) == repr(theirs)


def test_relu_runs_within_the_layer_before() -> None:
    x = np.random.default_rng(0).standard_normal((1, 4, 5, 6)).astype(np.float32)
    layer = nn.ConvTranspose2d(4, 6, 3, 2, rng=0)
    y = nn.Sequential(layer, nn.ReLU())(x)
    np.testing.assert_array_equal(y, np.maximum(layer(x), 0))


X, W = np.ones((1, 4, 5, 6), np.float32), np.ones((4, 3, 3, 3), np.float32)
transpose: Any = functional.conv_transpose2d
line: Any = functional.conv1d


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: transpose(X, W[:3]), ShapeError, r"weight: expected \(4, K/1, kernel height"),
        (
            lambda: transpose(X, W, np.ones(4, np.float32)),
            ShapeError,
            r"bias: expected shape \(3,\)",
        ),
        (
            lambda: transpose(X, W, None, 2, 0, 2),
            ShapeError,
            r"output_padding\[0\] must be smaller",
        ),
        (lambda: transpose(X, W, None, 1, 4), ShapeError, "padding takes away all of the output"),
        (lambda: transpose(X, W, groups=3), ShapeError, "groups: expected a divisor of the 4"),
        (lambda: transpose(X, W, stride=0), ShapeError, "stride must be at least 1"),
        (lambda: transpose(X, W, stride=(1, 2, 3)), ShapeError, "stride must be an integer or"),
        (lambda: transpose(X, W, padding=-1), ShapeError, "padding must be at least 0"),
        (lambda: transpose(X, W, dilation=1.5), TypeError, "dilation must be an integer"),
        (lambda: transpose(X[0, 0], W), ShapeError, "input: expected NxCxHxW"),
        (lambda: transpose(X, W.astype(float)), TypeError, "weight: expected input's dtype"),
        (lambda: transpose(X, W, data_format="NCL"), ValueError, "data_format: expected one of"),
        (lambda: transpose(X, W, activation="what"), ValueError, "activation: expected one of"),
        (lambda: line(X[0], W), ShapeError, "kernel length"),
        (lambda: line(X[0, :, :3], W[0], padding="what"), ShapeError, "padding must be"),
        (lambda: line(X[0, :, :3], W[0], padding=(1, 2)), ShapeError, "padding must be an int"),
        (lambda: functional.conv3d(X, W[None]), ShapeError, "kernel depth"),
        (lambda: nn.Conv1d(3, 4, 3, groups=2), ShapeError, "in_channels must be divisible"),
        (lambda: nn.Conv1d(3, 4, 3)(X[0]), ShapeError, r"Conv1d\(3, 4.*expected 3 input channels"),
        (lambda: nn.Conv3d(3, 4, (3, 3)), ShapeError, "kernel_size must be an integer or"),
        (lambda: nn.ConvTranspose2d(3, 4, 3)(X[0, 0]), ShapeError, "expected an input of shape"),
    ],
)
def test_bad_arguments(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_huge_sizes_are_refused() -> None:
    """Nothing is allocated, nothing wraps around."""
    x, w = np.zeros((1, 1, 3, 3), np.float32), np.zeros((1, 1, 1, 1), np.float32)
    for stride in (2**20, 2**40, 2**70):
        with pytest.raises((ShapeError, MemoryError)):
            transpose(x, w, stride=stride)
    line = np.broadcast_to(x[0, 0, :1, :1], (1, 2**40))
    with pytest.raises((ShapeError, MemoryError, ValueError)):
        functional.conv_transpose1d(line, w[0], stride=2**20)
