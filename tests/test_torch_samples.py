"""PyTorch's own operator samples (`op_db`): every answer compared, every error input refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import reference as ref
from reference_volumes import volume

from fastconv import functional

#: our function -> (PyTorch's operator, how many samples there are at least: none may be lost)
OPERATORS = {
    "conv2d": ("nn.functional.conv2d", 30),
    "conv1d": ("nn.functional.conv1d", 10),
    "conv3d": ("nn.functional.conv3d", 10),
    "conv_transpose1d": ("nn.functional.conv_transpose1d", 5),
    "conv_transpose2d": ("nn.functional.conv_transpose2d", 5),
    "conv_transpose3d": ("nn.functional.conv_transpose3d", 4),
    "max_pool2d": ("nn.functional.max_pool2d", 1000),
    "avg_pool2d": ("nn.functional.avg_pool2d", 7),
    "unfold": ("nn.functional.unfold", 100),
    "linear": ("nn.functional.linear", 18),
    "relu": ("nn.functional.relu", 4),
    "softmax": ("softmax", 7),
    "flatten": ("flatten", 6),
}
VOLUMES = ("conv1d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
WITH_ERRORS = ("conv1d", "conv2d", "conv3d", "max_pool2d", "avg_pool2d")


@pytest.fixture(scope="module")
def torch() -> Any:
    """Return PyTorch; its samples need `expecttest` too."""
    module = pytest.importorskip("torch")
    pytest.importorskip("expecttest")
    module.set_num_threads(1)  # the samples are tiny
    return module


def operator_info(name: str) -> Any:
    """Return PyTorch's description of an operator."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db
    return next(op for op in op_db if op.name == name and not op.variant_test_name)


def to_numpy(value: Any, torch: Any) -> Any:
    """Return tensors as arrays over the same memory and strides, anything else as it is."""
    return value.detach().numpy() if isinstance(value, torch.Tensor) else value


def magnitude(name: str, arrays: list[Any], kwargs: dict[str, Any]) -> ref.Array:
    """Return the sum of the absolute values of each output's terms."""
    x, w, *bias = (None if a is None else abs(a) for a in arrays)
    assert x is not None
    assert w is not None
    batched = x.ndim == w.ndim
    found = volume(name, x if batched else x[None], w, *bias, **kwargs)
    return np.asarray(found if batched else found[0]) + np.finfo(np.float64).tiny


def limit(name: str, arrays: list[Any], kwargs: dict[str, Any], expected: ref.Array) -> Any:
    """Return what rounding may change: nothing where nothing is computed."""
    x = arrays[0]
    if name == "conv2d":
        return 2 * ref.conv2d_bound("direct", x, arrays[1], arrays[2], **kwargs)
    if name in VOLUMES:
        return np.finfo(x.dtype).eps * 2 * arrays[1].size * magnitude(name, arrays, kwargs)
    if name == "linear":
        return 2 * ref.linear_bound(x, *[*arrays[1:], None][:2])
    if name == "avg_pool2d":
        return 100 * np.finfo(x.dtype).eps * np.abs(x).max()
    if name == "softmax":
        return 2 * ref.softmax_bound(x, arrays[1])
    return np.zeros(expected.shape) + np.finfo(np.float64).tiny


@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")  # PyTorch's own
@pytest.mark.parametrize("name", OPERATORS)
def test_every_sample(name: str, dtype: str, torch: Any) -> None:
    theirs, least = OPERATORS[name]
    info = operator_info(theirs)
    ours: Callable[..., Any] = getattr(functional, name)
    count = 0
    for sample in info.sample_inputs("cpu", getattr(torch, dtype), requires_grad=False):
        arguments = [sample.input, *sample.args]
        expected = info.op(*arguments, **sample.kwargs)
        arrays = [to_numpy(a, torch) for a in arguments]
        kwargs = {key: to_numpy(a, torch) for key, a in sample.kwargs.items()}
        what = f"sample {count}: {[getattr(a, 'shape', a) for a in arrays]} {kwargs}"
        result = ours(*arrays, **kwargs)
        if isinstance(expected, tuple):
            assert isinstance(result, tuple), what
            np.testing.assert_array_equal(result[1], expected[1].numpy(), err_msg=what)
            result, expected = result[0], expected[0]
        assert isinstance(result, np.ndarray), what
        assert result.dtype == dtype, what
        expected = expected.numpy().astype(np.float64)
        ref.assert_close(result, expected, limit(name, arrays, kwargs, expected), what)
        count += 1
    assert count >= least


@pytest.mark.parametrize("name", WITH_ERRORS)
def test_every_error_input_is_refused(name: str, torch: Any) -> None:
    info = operator_info(OPERATORS[name][0])
    ours: Callable[..., Any] = getattr(functional, name)
    count = 0
    for error in info.error_inputs("cpu"):
        sample = error.sample_input
        arrays = [to_numpy(a, torch) for a in (sample.input, *sample.args)]
        kwargs = {key: to_numpy(a, torch) for key, a in sample.kwargs.items()}
        count += 1
        if kwargs.get("padding") == "same" and "stride" in kwargs:
            continue  # ours takes strides, too
        with pytest.raises((ValueError, TypeError)) as caught:
            ours(*arrays, **kwargs)
        assert str(caught.value)
    assert count >= 5
