"""Padding by modes: functional.pad, and padding_mode of convolutions and layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from reference import Array
from reference_volumes import volume

from fastconv import functional, nn, pad
from fastconv.errors import ShapeError
from fastconv.functional import PackedWeights

#: Our words -> numpy.pad's.
MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
ALGORITHMS = ("auto", "channels_last", "planar", "im2col")


def padded(x: Array, sides: Any, mode: str) -> Array:
    """Return x (N, C, ...) padded by `sides`, a pair for each axis behind the channels."""
    numpy: Any = np.pad
    return np.asarray(numpy(x, [(0, 0), (0, 0), *sides], mode=MODES[mode]))


#: axes -> input, weight, options
CONVOLUTIONS: dict[int, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    1: ((2, 6, 9), (8, 3, 4), {"padding": ((3, 2),), "groups": 2, "stride": 2}),
    2: ((2, 17, 7, 9), (18, 17, 3, 5), {"padding": ((1, 2), (4, 0)), "dilation": (2, 1)}),
    3: ((1, 3, 4, 5, 6), (7, 3, 3, 2, 3), {"padding": ((2, 1), (0, 1), (1, 3))}),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("axes", CONVOLUTIONS)
def test_convolutions_are_exact(axes: int, mode: str, dtype: str, isa: str) -> None:
    x_shape, w_shape, options = CONVOLUTIONS[axes]
    rng = np.random.default_rng(axes)
    x, w = (rng.integers(-4, 5, s).astype(dtype) for s in (x_shape, w_shape))
    rest = {k: v for k, v in options.items() if k != "padding"}
    expected = volume(f"conv{axes}d", padded(x, options["padding"], mode), w, **rest)
    function: Any = getattr(functional, f"conv{axes}d")
    moved = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    last = functional.DATA_FORMATS[axes][1]
    for algorithm in ALGORITHMS:
        more = {**options, "padding_mode": mode, "algorithm": algorithm}
        np.testing.assert_array_equal(function(x, w, **more), expected)
        if algorithm != "auto":
            y = function(moved, w, **more, data_format=last, packed=PackedWeights())
            np.testing.assert_array_equal(np.moveaxis(y, -1, 1), expected)


@pytest.mark.parametrize("mode", MODES)
def test_winograd_takes_it(mode: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 32, 9, 11)).astype(np.float32)
    w = rng.standard_normal((24, 32, 3, 3)).astype(np.float32)
    expected = volume("conv2d", padded(x, [(2, 2), (2, 2)], mode), w)
    for algorithm in ("auto", "winograd"):
        y = functional.conv2d(
            x, w, None, 1, 2, padding_mode=mode, algorithm=algorithm, packed=PackedWeights()
        )
        np.testing.assert_allclose(y, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.usefixtures("eight_threads")
def test_any_team(mode: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 19, 61, 63)).astype(np.float32)
    w = rng.standard_normal((17, 19, 3, 3)).astype(np.float32)
    answers = {
        functional.conv2d(x, w, None, 1, 1, padding_mode=mode, num_threads=n).tobytes()
        + pad(x, (3, 2, 1, 4), mode, num_threads=n).tobytes()
        for n in (1, 2, 3, 8)
    }
    assert len(answers) == 1


def test_layers() -> None:
    x = np.random.default_rng(0).standard_normal((2, 4, 6, 7)).astype(np.float32)
    layer = nn.Conv2d(4, 5, 3, padding=1, padding_mode="reflect", activation="relu", rng=0)
    y = layer(x)
    by_hand = functional.conv2d(pad(x, (1, 1, 1, 1), "reflect"), layer.weight, layer.bias)
    np.testing.assert_allclose(y, np.maximum(by_hand, 0), rtol=1e-5, atol=1e-5)
    assert y.shape == layer.output_shape(x.shape)
    assert "padding_mode=reflect" in repr(layer)
    line = nn.Conv1d(4, 5, 3, padding="same", padding_mode="circular", rng=0)
    assert line(x[:, :, 0]).shape == (2, 5, 7)
    assert "padding_mode=circular" in repr(line)


KINDS = ("float32", "float64", "int8", "uint16", "int32", "uint64")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", MODES)
def test_pad(mode: str, kind: str) -> None:
    x = np.random.default_rng(0).integers(0, 100, (2, 3, 5, 6, 7)).astype(kind)
    for axes in (1, 2, 3):
        given = x[(0,) * (3 - axes)]
        sides = [(3, 1), (0, 4), (2, 2)][:axes]
        flat = [n for pair in reversed(sides) for n in pair]
        for view in (given, given[..., ::-1], np.asfortranarray(given)):
            y = pad(view, flat, mode)
            assert y.dtype == kind
            np.testing.assert_array_equal(y, padded(view, sides, mode))
    np.testing.assert_array_equal(pad(x[0], (-2, -1, -1, 0), mode), x[0][..., 1:, 2:-1])


@pytest.mark.parametrize("kind", KINDS)
def test_pad_with_a_constant(kind: str) -> None:
    x = np.random.default_rng(0).integers(0, 100, (2, 1, 3, 2, 4, 5, 2)).astype(kind)
    for ndim in range(1, 8):
        given = x[(0,) * (7 - ndim)]
        for axes in range(ndim + 1):
            sides = [(0, 0)] * (ndim - axes) + [(axes % 3, ndim % 2)] * axes
            flat = [n for pair in reversed(sides[ndim - axes :]) for n in pair]
            y = pad(given, flat, value=3)
            np.testing.assert_array_equal(y, np.pad(given, sides, constant_values=3))
    np.testing.assert_array_equal(
        pad(x, (-1, 2, 1, -4)), np.pad(x[..., :1, 1:], [(0, 0)] * 5 + [(1, 0), (0, 2)])
    )
    assert pad(x[0, 0, 0, 0], (-1, -1)).shape == (4, 5, 0)
    assert pad(np.zeros((0, 2)), (1, 1), value=2).shape == (0, 4)
    assert pad(np.zeros((2, 0)), (1, 1), value=2).tolist() == [[2, 2], [2, 2]]


conv2d: Any = functional.conv2d
X, W = np.ones((1, 2, 4, 5), np.float32), np.ones((3, 2, 3, 3), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: conv2d(X, W, padding=4, padding_mode="reflect"), ShapeError, "at most 3"),
        (lambda: conv2d(X, W, padding=5, padding_mode="circular"), ShapeError, "at most 4"),
        (lambda: conv2d(X, W, padding_mode="wrap"), ValueError, "padding_mode: expected one of"),
        (lambda: conv2d(X, W, padding_mode=1), TypeError, "padding_mode: expected a string"),
        (lambda: nn.ConvTranspose2d(2, 3, 3, padding_mode="reflect"), ValueError, "padding_mode"),
        (lambda: pad(X, (1,)), ShapeError, "pad: expected"),
        (lambda: pad(X, (1,) * 10), ShapeError, "pad: expected"),
        (lambda: pad(X, (1, 1.5)), TypeError, r"pad\[1\] must be an integer"),
        (lambda: pad(X, (-3, -3)), ShapeError, "would give shape"),
        (lambda: pad(X, (5, 0, 0, 0), "reflect"), ShapeError, "adds at most 4"),
        (lambda: pad(X, (1, 1), "reflect"), ShapeError, "mode 'reflect' pads the last"),
        (lambda: pad(X, (1, 1), "mirror"), ValueError, "mode: expected one of"),
        (lambda: pad(X.astype(complex), (1, 1)), TypeError, "input: expected"),
        (lambda: pad(X[:, :0], (1, 1, 1, 1), "replicate"), ShapeError, "nonempty"),
        (lambda: pad(X, (2**60, 0)), ShapeError, "pad"),
    ],
)
def test_bad_arguments(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("mode", ["constant", *MODES])
def test_every_sample_of_torch(mode: str) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("expecttest")
    from torch.testing._internal.common_methods_invocations import op_db

    info = next(
        op for op in op_db if op.name == "nn.functional.pad" and op.variant_test_name == mode
    )
    count = 0
    for sample in info.sample_inputs("cpu", torch.float32, requires_grad=False):
        expected = info.op(sample.input, *sample.args, **sample.kwargs).numpy()
        y = pad(sample.input.numpy(), *sample.args, **sample.kwargs)
        np.testing.assert_array_equal(y, expected)
        count += 1
    assert count >= 5
