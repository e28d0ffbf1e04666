"""Element-wise functions against formulas in more digits, and PyTorch; their layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import reference as ref
from reference import Array

from fastconv import functional, nn
from fastconv.errors import ShapeError


def wide(x: Array) -> Any:
    return x.astype(np.longdouble)


def _erfc(x: Any) -> Any:
    import math

    return np.vectorize(math.erfc)(x.astype(np.float64))


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _softplus(x: Any) -> Any:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


#: name -> (formula, error allowed in units of the last place)
FORMULAS: dict[str, tuple[Callable[[Any], Any], float]] = {
    "relu6": (lambda x: np.clip(x, 0, 6), 0),
    "sigmoid": (_sigmoid, 4),
    "silu": (lambda x: x * _sigmoid(x), 5),
    "tanh": (np.tanh, 4),
    "hardswish": (lambda x: x * np.clip(x + 3, 0, 6) / 6, 4),
    "elu": (lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))), 3),
    "gelu": (lambda x: x * _erfc(-x / np.sqrt(np.longdouble(2))) / 2, 12),
    "mish": (lambda x: x * np.tanh(_softplus(x)), 5),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_to_a_few_units_in_the_last_place(name: str, dtype: str, isa: str) -> None:
    formula, ulps = FORMULAS[name]
    rng = np.random.default_rng(0)
    parts = [rng.uniform(-3, 3, 500), rng.uniform(-9, 9, 200), rng.standard_normal(100) * 1e-4]
    x = np.concatenate([*parts, [0.0, -0.0, 3.0, -3.0, 6.0, 40.0, 100.0]]).astype(dtype)
    y = getattr(functional, name)(x)
    with np.errstate(over="ignore"):
        expected = formula(wide(x))
    eps = np.finfo(dtype).eps
    spread = 1.0
    if name == "gelu" and isa == "baseline":  # no fma: the exponent's own rounding
        spread = 5.0
    limit = ulps * spread * eps * np.abs(expected) + 4 * np.finfo(dtype).tiny
    if name == "gelu":
        limit = limit + 4 * np.finfo(np.float64).eps * np.abs(expected) * (1 + x.astype(float) ** 2)
    ref.assert_close(y, expected.astype(np.float64), limit.astype(np.float64), name)


@pytest.mark.parametrize("name", [*ref.ACTIVATIONS])
def test_limits_and_nan(name: str, dtype: str, isa: str) -> None:
    """Nothing overflows on the way; NaN stays NaN."""
    function = getattr(functional, name.removesuffix("_tanh"))
    options: dict[str, Any] = {"approximate": "tanh"} if name == "gelu_tanh" else {}
    x = np.array([1e4, 90.0, 40.0, 1e30, np.nan, -1e4, -200.0, 0.0], dtype)
    y = function(x, **options)
    with np.errstate(all="ignore"):
        expected = ref.activate(np.where(np.isnan(x), 0, x).astype(np.float64), name)
    assert np.isnan(y[4])
    keep = [0, 1, 2, 3, 5, 6, 7]
    top = {"tanh": 1.0, "sigmoid": 1.0, "hardsigmoid": 1.0, "relu6": 6.0}
    expected[3] = top.get(name, expected[3])
    finite = np.isfinite(expected[keep])
    np.testing.assert_allclose(y[keep][finite], expected[keep][finite], rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize("name", [*ref.ACTIVATIONS, "clamp"])
def test_any_strides_out_and_in_place(name: str, dtype: str) -> None:
    function = getattr(functional, name.removesuffix("_tanh"))
    options: dict[str, Any] = {"approximate": "tanh"} if name == "gelu_tanh" else {}
    if name == "clamp":
        options = {"min": -0.5, "max": 0.75}
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 4, 7)).astype(dtype)
    expected = function(x, **options)
    for view in (np.asfortranarray(x), x[..., ::-1], x[:, ::2, ::-1, 1:, ::3]):
        index = np.nonzero(np.isin(x, view)) if view.size == x.size else None
        y = function(view, **options)
        assert y.shape == view.shape
        np.testing.assert_array_equal(y, function(np.ascontiguousarray(view), **options))
        assert index is None or len(index) == 5
    out = np.full(x.shape, np.nan, dtype)
    assert function(x, **options, out=out) is out
    np.testing.assert_array_equal(out, expected)
    assert function(x, **options, out=x) is x
    np.testing.assert_array_equal(x, expected)


def test_parameters(dtype: str, isa: str) -> None:
    x = np.linspace(-30, 30, 101).astype(dtype)
    eps = 8 * float(np.finfo(dtype).eps)
    with np.errstate(over="ignore"):
        soft = np.where(x * 2.0 > 5, x, np.logaddexp(0, x.astype(float) * 2) / 2)
        below = 0.3 * np.expm1(np.minimum(x.astype(float), 0))
    np.testing.assert_allclose(functional.softplus(x, 2, 5), soft, rtol=eps * 40)
    np.testing.assert_allclose(functional.elu(x, 0.3), np.where(x > 0, x, below), rtol=eps)
    np.testing.assert_allclose(functional.leaky_relu(x, 0.25), np.where(x < 0, x / 4, x))
    np.testing.assert_array_equal(functional.clamp(x, -3, 4.5), np.clip(x, -3, 4.5))
    np.testing.assert_array_equal(functional.clamp(x, max=0), np.minimum(x, 0))
    np.testing.assert_array_equal(functional.clamp(x, 2, 1), np.ones_like(x))
    tiny = np.array([np.finfo(dtype).smallest_subnormal, np.nan], dtype)
    assert functional.clamp(tiny, 0, 1)[0] == tiny[0]
    assert np.isnan(functional.clamp(tiny, 0, 1)[1])


@pytest.mark.parametrize("shape", [(5,), (4, 3), (2, 3, 7), (2, 3, 4, 5), (2, 3, 0)], ids=str)
def test_prelu(shape: tuple[int, ...], dtype: str, isa: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape).astype(dtype)
    channels = shape[1] if len(shape) > 1 else 1
    for count in {1, channels}:
        w = rng.standard_normal(count).astype(dtype)
        slope = w.reshape(-1, *[1] * (len(shape) - 2)) if len(shape) > 1 else w
        expected = np.where(x < 0, x * slope, x)
        np.testing.assert_array_equal(functional.prelu(x, w), expected)
        np.testing.assert_array_equal(functional.prelu(np.asfortranarray(x), w), expected)
    assert functional.prelu(np.array(-2.0), np.array([0.5])) == -1


SHAPES = [(), (5,), (5, 5), (2, 17, 3), (2, 1000), (0, 4), (3, 2, 4, 5)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("scale", [1, 1e4])
def test_log_softmax(shape: tuple[int, ...], scale: float, dtype: str, isa: str) -> None:
    x = np.asarray(scale * np.random.default_rng(0).standard_normal(shape), dtype)
    rank = max(len(shape), 1)
    for dim in range(-rank, rank):
        y = functional.log_softmax(x, dim)
        assert y.shape == shape
        if x.size == 0:
            continue
        full = np.atleast_1d(x.astype(np.float64))
        shifted = full - full.max(axis=dim, keepdims=True)
        total = np.log(np.exp(shifted).sum(axis=dim, keepdims=True))
        expected = (shifted - total).reshape(shape)
        limit = (full.shape[dim] + 8) * np.finfo(dtype).eps * (1 + np.abs(expected))
        ref.assert_close(y, expected, limit)


#: our function -> PyTorch's operator and its variant
SAMPLES: dict[str, tuple[str, str]] = {
    "relu6": ("nn.functional.relu6", ""),
    "leaky_relu": ("nn.functional.leaky_relu", ""),
    "prelu": ("nn.functional.prelu", ""),
    "elu": ("nn.functional.elu", ""),
    "selu": ("nn.functional.selu", ""),
    "sigmoid": ("sigmoid", ""),
    "tanh": ("tanh", ""),
    "hardswish": ("nn.functional.hardswish", ""),
    "hardsigmoid": ("nn.functional.hardsigmoid", ""),
    "silu": ("nn.functional.silu", ""),
    "gelu": ("nn.functional.gelu", ""),
    "softplus": ("nn.functional.softplus", ""),
    "mish": ("nn.functional.mish", ""),
    "log_softmax": ("log_softmax", ""),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_of_torch(name: str, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("expecttest")
    from torch.testing._internal.common_methods_invocations import op_db

    info = next(op for op in op_db if (op.name, op.variant_test_name) == SAMPLES[name])
    count = 0
    for sample in info.sample_inputs("cpu", getattr(torch, dtype), requires_grad=False):
        kwargs = {k: v for k, v in sample.kwargs.items() if k != "inplace"}
        expected = info.op(sample.input, *sample.args, **kwargs)
        args = [a.detach().numpy() if hasattr(a, "detach") else a for a in sample.args]
        kwargs = {k: v.detach().numpy() if hasattr(v, "detach") else v for k, v in kwargs.items()}
        y = getattr(functional, name)(sample.input.numpy(), *args, **kwargs)
        relative = 2e-5 if dtype == "float32" else 1e-13
        np.testing.assert_allclose(y, expected.numpy(), rtol=relative, atol=1e-6)
        count += 1
    assert count >= 1


#: layer -> its word for `activation=`, if it has one
LAYERS: list[tuple[nn.Module, str | None]] = [
    (nn.ReLU6(), "relu6"),
    (nn.LeakyReLU(), "leaky_relu"),
    (nn.LeakyReLU(0.2), None),
    (nn.ELU(), "elu"),
    (nn.ELU(0.5), None),
    (nn.SELU(), "selu"),
    (nn.Sigmoid(), "sigmoid"),
    (nn.Tanh(), "tanh"),
    (nn.Hardswish(), "hardswish"),
    (nn.Hardsigmoid(), "hardsigmoid"),
    (nn.SiLU(), "silu"),
    (nn.GELU(), "gelu"),
    (nn.GELU("tanh"), "gelu_tanh"),
    (nn.Softplus(), "softplus"),
    (nn.Softplus(2.0), None),
    (nn.Mish(), "mish"),
    (nn.PReLU(6), None),
    (nn.LogSoftmax(1), None),
]


@pytest.mark.parametrize(("layer", "word"), LAYERS, ids=lambda v: str(v))
def test_layers_alone_and_within_the_layer_before(layer: Any, word: str | None) -> None:
    x = np.random.default_rng(0).standard_normal((2, 4, 9, 10)).astype(np.float32)
    before = nn.Conv2d(4, 6, 3, rng=0)
    y = before(x)
    alone = layer(y)
    assert layer.output_shape(y.shape) == y.shape
    assert nn.Sequential(before, layer)(x).tobytes() == alone.tobytes()
    if word is not None:
        fused = nn.Conv2d(4, 6, 3, activation=word, rng=0)
        assert fused(x).tobytes() == alone.tobytes()
    torch = pytest.importorskip("torch")
    theirs = eval(f"torch.nn.{layer!r}", {"torch": torch})
    if layer.state_dict():
        theirs.load_state_dict(
            {k: torch.tensor(np.array(v)) for k, v in layer.state_dict().items()}
        )
    assert type(theirs).__name__ == type(layer).__name__
    with torch.no_grad():
        np.testing.assert_allclose(alone, theirs(torch.tensor(y)), rtol=1e-5, atol=1e-6)


X = np.ones((2, 3, 4), np.float32)
gelu: Any = functional.gelu
clamp: Any = functional.clamp
elu: Any = functional.elu


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: gelu(X, "erf"), ValueError, "approximate: expected"),
        (lambda: clamp(X), ValueError, "min, max: expected"),
        (lambda: clamp(X, "0"), TypeError, "min: expected a number"),
        (lambda: elu(X, True), TypeError, "alpha: expected a number"),
        (lambda: functional.tanh(X.astype(int)), TypeError, "input: expected float32 or float64"),
        (lambda: functional.prelu(X, X[0, 0]), ShapeError, r"weight: expected shape \(1,\) or"),
        (lambda: functional.prelu(X, np.ones(3)), TypeError, "weight: expected input's dtype"),
        (lambda: functional.log_softmax(X, 3), ShapeError, "dim: expected"),
        (lambda: nn.PReLU(0), ShapeError, "num_parameters"),
        (lambda: nn.PReLU(5)(X), ShapeError, r"PReLU\(num_parameters=5\)"),
    ],
)
def test_bad_arguments(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call()
