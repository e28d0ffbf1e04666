"""Resizing, pixel shuffling and normalization against naive loops and PyTorch; their layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference as ref
import reference_images as oracle

from fastconv import _resize, functional, nn
from fastconv.errors import ShapeError, UnsupportedOperatorError
from fastconv.functional import batch_norm, interpolate, local_response_norm, pixel_shuffle

SHAPES = {1: (2, 3, 9), 2: (2, 17, 7, 10), 3: (1, 3, 4, 5, 6)}
FACTORS: tuple[dict[str, Any], ...] = (
    {"size": 4},
    {"size": 13},
    {"size": 1},
    {"scale_factor": 2},
    {"scale_factor": 1.7},
    {"scale_factor": 0.6},
)
MODES = ("nearest", "nearest-exact", "linear", "bilinear", "bicubic", "trilinear")


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_interpolate(mode: str, align: bool, dtype: str, isa: str) -> None:
    smooth = not mode.startswith("nearest")
    if align and not smooth:
        return
    for axes in functional.RESIZE_MODES[mode]:
        x = np.random.default_rng(0).standard_normal(SHAPES[axes]).astype(dtype)
        for given in FACTORS:
            sizes, scales = _resize.resized(
                x.shape[2:], given.get("size"), given.get("scale_factor")
            )
            expected = oracle.interpolate(x, sizes, mode, align, scales)
            options: dict[str, Any] = {**given, "mode": mode}
            if smooth:
                options["align_corners"] = align
            y = interpolate(x, **options)
            assert y.dtype == dtype
            limit = 24 * np.finfo(dtype).eps * np.abs(x).max() if smooth else np.finfo(dtype).tiny
            ref.assert_close(y, expected, np.full(expected.shape, limit), f"{options}")
            for view in (
                np.asfortranarray(x),
                x[..., ::-1][..., ::-1],
                np.repeat(x, 2, -1)[..., ::2],
            ):
                np.testing.assert_array_equal(interpolate(view, **options), y)
            if axes == 2:
                last = np.ascontiguousarray(np.moveaxis(x, 1, -1))
                z = interpolate(last, **options, data_format="NHWC")
                ref.assert_close(np.moveaxis(z, -1, 1), expected, np.full(expected.shape, limit))


@pytest.mark.parametrize("mode", ["area", "bilinear", "bicubic"])
def test_averages_keep_constants_and_means(mode: str, dtype: str, isa: str) -> None:
    """What is smaller averages all that it covers."""
    x = np.random.default_rng(0).standard_normal((1, 3, 12, 20)).astype(dtype)
    options: dict[str, Any] = {"mode": mode, "antialias": mode != "area"}
    flat = interpolate(np.ones_like(x), size=(5, 7), **options)
    np.testing.assert_allclose(flat, 1, rtol=1e-6)
    if mode == "area":
        y = interpolate(x, size=(4, 5), **options)
        blocks = x.reshape(1, 3, 4, 3, 5, 4).mean(axis=(3, 5))
        np.testing.assert_allclose(y, blocks, rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("eight_threads")
def test_any_team(dtype: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 37, 57, 61)).astype(dtype)
    m, v, w, b = (np.abs(rng.standard_normal(37)).astype(dtype) for _ in range(4))
    last = np.ascontiguousarray(x[:, :36].transpose(0, 2, 3, 1))
    answers = set()
    for n in (1, 2, 3, 8):
        results = [
            interpolate(x, scale_factor=1.5, mode="bilinear", num_threads=n),
            interpolate(last, (90, 70), mode="bicubic", data_format="NHWC", num_threads=n),
            batch_norm(x, m, v, w, b, num_threads=n),
            local_response_norm(x, 5, num_threads=n),
            pixel_shuffle(x[:, :36], 3, num_threads=n),
        ]
        answers.add(b"".join(result.tobytes() for result in results))
    assert len(answers) == 1


BATCHES = [(4, 5), (2, 3, 7), (2, 19, 5, 6), (1, 33, 2, 3, 4), (0, 3, 4, 4)]


@pytest.mark.parametrize("shape", BATCHES, ids=str)
def test_batch_norm(shape: tuple[int, ...], dtype: str, isa: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape).astype(dtype)
    m, v, w, b = (rng.standard_normal(shape[1]).astype(dtype) for _ in range(4))
    v = v * v
    aligned = [a.astype(np.float64).reshape(-1, *[1] * (len(shape) - 2)) for a in (m, v, w, b)]
    scale = aligned[2] / np.sqrt(aligned[1] + 1e-3)
    expected = (x - aligned[0]) * scale + aligned[3]
    size = np.abs(x * scale) + np.abs(aligned[0] * scale) + np.abs(aligned[3])
    limit = 6 * np.finfo(dtype).eps * size + np.finfo(dtype).tiny
    ref.assert_close(batch_norm(x, m, v, w, b, eps=1e-3), expected, limit)
    ref.assert_close(batch_norm(np.asfortranarray(x), m, v, w, b, eps=1e-3), expected, limit)
    last = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    y = batch_norm(last, m, v, w, b, eps=1e-3, data_format="NHWC", activation="relu")
    ref.assert_close(np.moveaxis(y, -1, 1), np.maximum(expected, 0), limit)
    plain = (x - aligned[0]) / np.sqrt(aligned[1] + 1e-5)
    got = batch_norm(x, m, v)
    np.testing.assert_allclose(got, plain, rtol=1e-4, atol=1e-3 if dtype == "float32" else 1e-9)


@pytest.mark.parametrize("shape", [(2, 3, 7), (2, 19, 5, 6), (1, 33, 2, 3, 4), (1, 4, 70, 80)])
@pytest.mark.parametrize("size", [1, 2, 5, 50])
def test_local_response_norm(shape: tuple[int, ...], size: int, dtype: str, isa: str) -> None:
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    for alpha, beta, k in ((0.5, 0.75, 1.5), (1e-4, 0.5, 1.0), (2.0, 1.0, 0.1)):
        expected = oracle.local_response_norm(x, size, alpha, beta, k)
        limit = 24 * np.finfo(dtype).eps * np.abs(expected) + np.finfo(dtype).tiny
        ref.assert_close(local_response_norm(x, size, alpha, beta, k), expected, limit)
        last = np.ascontiguousarray(np.moveaxis(x, 1, -1))
        y = local_response_norm(last, size, alpha, beta, k, data_format="NHWC")
        ref.assert_close(np.moveaxis(y, -1, 1), expected, limit)


@pytest.mark.parametrize("kind", ["float32", "float64", "uint8", "int64"])
@pytest.mark.parametrize("factor", [1, 2, 3])
def test_pixel_shuffle(factor: int, kind: str) -> None:
    x = np.arange(2 * 36 * 3 * 5).reshape(2, 36, 3, 5).astype(kind)
    f = factor
    blocks = x.reshape(2, 36 // f**2, f, f, 3, 5).transpose(0, 1, 4, 2, 5, 3)
    expected = blocks.reshape(2, 36 // f**2, 3 * f, 5 * f)
    y = pixel_shuffle(x, f)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(functional.pixel_unshuffle(y, f), x)
    np.testing.assert_array_equal(pixel_shuffle(x[0], f), expected[0])
    last = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    z = pixel_shuffle(last, f, data_format="NHWC")
    np.testing.assert_array_equal(z.transpose(0, 3, 1, 2), expected)
    np.testing.assert_array_equal(functional.pixel_unshuffle(z, f, data_format="NHWC"), last)


#: our function -> PyTorch's operator, its variant, how many samples there are at least
SAMPLES: dict[str, tuple[str, str, int]] = {
    "interpolate-nearest": ("nn.functional.interpolate", "nearest", 10),
    "interpolate-linear": ("nn.functional.interpolate", "linear", 10),
    "interpolate-bilinear": ("nn.functional.interpolate", "bilinear", 10),
    "interpolate-bicubic": ("nn.functional.interpolate", "bicubic", 10),
    "interpolate-trilinear": ("nn.functional.interpolate", "trilinear", 10),
    "interpolate-area": ("nn.functional.interpolate", "area", 5),
    "batch_norm": ("nn.functional.batch_norm", "", 2),
    "local_response_norm": ("nn.functional.local_response_norm", "", 5),
    "pixel_shuffle": ("nn.functional.pixel_shuffle", "", 2),
    "pixel_unshuffle": ("nn.functional.pixel_unshuffle", "", 2),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_of_torch(name: str) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("expecttest")
    from torch.testing._internal.common_methods_invocations import op_db

    theirs, variant, least = SAMPLES[name]
    info = next(op for op in op_db if (op.name, op.variant_test_name) == (theirs, variant))
    ours = getattr(functional, name.split("-")[0])
    count = 0
    for sample in info.sample_inputs("cpu", torch.float32, requires_grad=False):
        values = [sample.input, *sample.args, *sample.kwargs.values()]
        arrays = [v.numpy() if hasattr(v, "numpy") else v for v in values]
        args = arrays[: 1 + len(sample.args)]
        kwargs = dict(zip(sample.kwargs, arrays[len(args) :], strict=True))
        if name == "batch_norm" and (kwargs.get("training") or args[1] is None):
            continue
        if sample.input.ndim < 2 or 0 in sample.input.shape[1:]:
            continue
        expected = info.op(sample.input, *sample.args, **sample.kwargs).numpy()
        np.testing.assert_allclose(ours(*args, **kwargs), expected, rtol=1e-4, atol=2e-5)
        count += 1
    assert count >= least


LAYERS: list[tuple[nn.Module, tuple[int, ...]]] = [
    (nn.BatchNorm1d(5), (4, 5)),
    (nn.BatchNorm2d(5, 1e-3), (2, 5, 3, 4)),
    (nn.BatchNorm3d(5, affine=False), (2, 5, 2, 3, 4)),
    (nn.LocalResponseNorm(3, 0.5), (2, 5, 3, 4)),
    (nn.Dropout(0.3), (2, 5)),
    (nn.Upsample(scale_factor=2.0, mode="bilinear", align_corners=True), (2, 5, 3, 4)),
    (nn.Upsample(size=(5, 7)), (2, 5, 3, 4)),
    (nn.PixelShuffle(2), (2, 8, 3, 4)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=lambda v: str(v))
def test_layers_agree_with_torch(layer: Any, shape: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch")
    given = {
        k: v
        for k, v in vars(layer).items()
        if k in ("scale_factor", "mode", "align_corners", "size")
    }
    theirs = eval(f"torch.nn.{layer!r}", {"torch": torch}).eval()
    if isinstance(layer, nn.Upsample):
        theirs = torch.nn.Upsample(**given)
    assert type(theirs).__name__ == type(layer).__name__
    if theirs.state_dict():
        for value in theirs.state_dict().values():
            if value.is_floating_point():
                value.uniform_(0.5, 2)
        layer.load_state_dict(theirs.state_dict())
        assert list(layer.state_dict()) == list(theirs.state_dict())
        assert layer.num_parameters == sum(p.numel() for p in theirs.parameters())
    x = torch.randn(shape)
    with torch.no_grad():
        expected = theirs(x).numpy()
    y = layer(x.numpy())
    assert y.shape == layer.output_shape(shape)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


X = np.ones((1, 4, 5, 6), np.float32)
M = np.ones(4, np.float32)
resize: Any = interpolate


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: resize(X), ValueError, "size, scale_factor: expected one of them"),
        (lambda: resize(X, 3, 2.0), ValueError, "size, scale_factor: expected one of them"),
        (lambda: resize(X, 3, mode="linear"), ShapeError, "input: expected 2 axes"),
        (lambda: resize(X, 3, mode="lanczos"), ValueError, "mode: expected one of"),
        (lambda: resize(X, (3, 4, 5)), ShapeError, "size must be an integer or"),
        (lambda: resize(X, 0), ShapeError, "size must be at least 1"),
        (lambda: resize(X, None, (2.0, 2.0, 2.0)), ShapeError, "scale_factor: expected"),
        (lambda: resize(X, None, 0.1), ShapeError, "would leave"),
        (lambda: resize(X, 3, align_corners=True), ValueError, "align_corners: expected None"),
        (lambda: resize(X, 3, antialias=True), ValueError, "antialias: expected mode"),
        (lambda: resize(X.astype(int), 3), TypeError, "input: expected float32"),
        (lambda: resize(X[:, :0], 3), ShapeError, "nonempty"),
        (lambda: pixel_shuffle(X, 3), ShapeError, "divisible by 9"),
        (lambda: pixel_shuffle(X, 0), ShapeError, "upscale_factor must be at least 1"),
        (lambda: functional.pixel_unshuffle(X, 5), ShapeError, "divisible by 5"),
        (lambda: batch_norm(X, M, M, training=True), UnsupportedOperatorError, "given statistics"),
        (lambda: batch_norm(X, None, None), UnsupportedOperatorError, "given statistics"),
        (lambda: batch_norm(X, M[:3], M), ShapeError, r"running_mean: expected shape \(4,\)"),
        (lambda: batch_norm(X, M, M, M.astype(float)), TypeError, "weight: expected input's dtype"),
        (lambda: local_response_norm(X, 3, k=0), ValueError, "expected alpha >= 0 and k > 0"),
        (lambda: local_response_norm(X, 0), ShapeError, "size must be at least 1"),
        (lambda: local_response_norm(X[0, 0], 3), ShapeError, "at least 3 axes"),
        (lambda: nn.BatchNorm2d(3)(X), ShapeError, r"BatchNorm2d\(3.*3 channels"),
        (lambda: nn.BatchNorm2d(3, track_running_stats=False), UnsupportedOperatorError, "given"),
        (lambda: nn.Dropout(2), ValueError, "p must be a probability"),
        (lambda: nn.PixelShuffle(3)(X), ShapeError, "channels divisible by 9"),
        (lambda: nn.Upsample(), ValueError, "expected one of them"),
    ],
)
def test_bad_arguments(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call()
