"""The oracle itself: against numbers worked out by hand, and against PyTorch in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference as ref
from cases import CONVS, POOLS, ConvCase, PoolCase


def _torch() -> Any:
    return pytest.importorskip("torch")


def test_convolution_by_hand() -> None:
    x = np.arange(9.0).reshape(1, 1, 3, 3)
    w = np.array([[[[1.0, 0.0], [0.0, -1.0]]]])
    assert ref.conv2d(x, w, np.array([0.5])).tolist() == [[[[-3.5, -3.5], [-3.5, -3.5]]]]
    assert ref.conv2d(x, w, padding=((1, 0), (0, 0)), stride=2).tolist() == [[[[-1.0], [-4.0]]]]


def test_string_paddings_by_hand() -> None:
    assert ref.pads("same", (5, 5), (3, 2), (1, 1), (1, 1)) == [(1, 1), (0, 1)]
    assert ref.pads("same_lower", (5, 5), (3, 2), (1, 1), (1, 1)) == [(1, 1), (1, 0)]
    assert ref.pads("same", (7, 8), (3, 3), (2, 2), (1, 1)) == [(1, 1), (0, 1)]
    assert ref.pads("valid", (7, 8), (3, 3), (2, 2), (1, 1)) == [(0, 0), (0, 0)]


def test_max_pool_ties_nan_and_empty_windows_by_hand() -> None:
    nan = np.nan
    x = np.array([[[[1.0, nan, 2.0], [nan, 5.0, nan], [0.0, 0.0, 0.0]]]])
    values, where = ref.max_pool2d(x, 2, 1)
    assert np.isnan(values[0, 0]).tolist() == [[True, True], [True, True]]
    assert where.tolist() == [[[[3, 5], [3, 5]]]]
    values, where = ref.max_pool2d(np.zeros((1, 1, 3, 3)), 2, 1, 1)
    assert where.tolist() == [[[[0, 0, 1, 2], [0, 0, 1, 2], [3, 3, 4, 5], [6, 6, 7, 8]]]]
    values, where = ref.max_pool2d(np.full((1, 1, 2, 2), -128, np.int8), 2, 1, 1)
    assert values.min() == values.max() == -128
    assert where.min() == 0


def test_average_pool_divisors_by_hand() -> None:
    x = np.ones((1, 1, 5, 5))
    included = ref.avg_pool2d(x, 3, 3, 1, True, True)
    assert np.allclose(included, [[[[4 / 9, 6 / 9], [6 / 9, 1]]]])
    assert ref.avg_pool2d(x, 3, 3, 1, True, False).tolist() == [[[[1.0, 1.0], [1.0, 1.0]]]]
    assert ref.avg_pool2d(x, 2, 2, 0, True).shape == (1, 1, 3, 3)
    assert ref.avg_pool2d(x, 2, 2, 0, True, True, -8)[0, 0, 0, 0] == -0.5


def test_bound_catches_one_missing_term() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 33, 5, 5)).astype(np.float32)
    w = rng.standard_normal((3, 33, 3, 3)).astype(np.float32)
    expected = ref.conv2d(x, w)
    limit = ref.conv2d_bound("direct", x, w, None)
    ref.assert_close(expected.astype(np.float32), expected, limit)
    spoiled = x.copy()
    spoiled[0, 32, 2, 2] = 0
    with pytest.raises(AssertionError, match="out of bounds"):
        ref.assert_close(ref.conv2d(spoiled, w), expected, limit)


@pytest.mark.parametrize("case", CONVS, ids=str)
def test_convolution_is_torchs(case: ConvCase) -> None:
    torch = _torch()
    x, w, b = case.normals("float64")
    (top, bottom), (left, right) = ref.pads(
        case.padding, (case.h, case.w), case.kernel, case.stride, case.dilation
    )
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    tensors = [torch.from_numpy(a) if a is not None else None for a in (padded, w, b)]
    expected = torch.nn.functional.conv2d(
        *tensors, stride=case.stride, dilation=case.dilation, groups=case.groups
    ).numpy()
    limit = 2 * ref.conv2d_bound("direct", x, w, b, **case.geometry)
    ref.assert_close(ref.conv2d(x, w, b, **case.geometry), expected, limit)


@pytest.mark.parametrize("case", POOLS, ids=str)
def test_pools_are_torchs(case: PoolCase) -> None:
    torch = _torch()
    x = np.round(case.normals("float64") * 2)  # many ties
    x.flat[::7] = np.nan
    values, where = ref.max_pool2d(x, **case.geometry)
    tensor = torch.from_numpy(x)
    theirs = torch.nn.functional.max_pool2d(tensor, return_indices=True, **case.geometry)
    np.testing.assert_array_equal(values, theirs[0].numpy())
    np.testing.assert_array_equal(where[where >= 0], theirs[1].numpy()[where >= 0])
    for count in (True, False):
        mean = ref.avg_pool2d(x, **case.average, count_include_pad=count)
        theirs = torch.nn.functional.avg_pool2d(tensor, **case.average, count_include_pad=count)
        np.testing.assert_allclose(mean, theirs.numpy(), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("kernel", [(1, 1), (2, 3), (3, 2)])
@pytest.mark.parametrize("stride", [1, (2, 3)])
@pytest.mark.parametrize("padding", [0, (1, 2)])
@pytest.mark.parametrize("dilation", [1, (2, 1)])
def test_columns_are_torchs(kernel: Any, stride: Any, padding: Any, dilation: Any) -> None:
    torch = _torch()
    x = np.random.default_rng(0).standard_normal((2, 3, 7, 8))
    geometry = {"dilation": dilation, "padding": padding, "stride": stride}
    columns = ref.unfold(x, kernel, **geometry)
    theirs = torch.nn.functional.unfold(torch.from_numpy(x), kernel, **geometry)
    np.testing.assert_array_equal(columns, theirs.numpy())
    folded = ref.fold(columns, (7, 8), kernel, **geometry)
    theirs = torch.nn.functional.fold(theirs, (7, 8), kernel, **geometry)
    np.testing.assert_allclose(folded, theirs.numpy(), rtol=1e-14, atol=1e-14)


def test_unbatched_is_a_batch_of_one() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((3, 6, 7)), rng.standard_normal((2, 3, 3, 3))
    np.testing.assert_array_equal(ref.conv2d(x, w), ref.conv2d(x[None], w)[0])
    np.testing.assert_array_equal(ref.unfold(x, 2), ref.unfold(x[None], 2)[0])
    np.testing.assert_array_equal(ref.avg_pool2d(x, 2), ref.avg_pool2d(x[None], 2)[0])
    for mine, batched in zip(ref.max_pool2d(x, 2), ref.max_pool2d(x[None], 2), strict=True):
        np.testing.assert_array_equal(mine, batched[0])


@pytest.mark.parametrize("name", [*ref.ACTIVATIONS])
def test_activations_are_torchs(name: str) -> None:
    torch = _torch()
    y = np.linspace(-25, 25, 201)
    options = {"approximate": "tanh"} if name == "gelu_tanh" else {}
    function = getattr(torch.nn.functional, name.removesuffix("_tanh"))
    theirs = function(torch.from_numpy(y), **options).numpy()
    np.testing.assert_allclose(ref.activate(y, name), theirs, rtol=1e-14, atol=1e-15)


def test_linear_softmax_and_relu_are_torchs() -> None:
    torch = _torch()
    rng = np.random.default_rng(0)
    x, w, b = rng.standard_normal((2, 3, 5)), rng.standard_normal((4, 5)), rng.standard_normal(4)
    theirs = torch.nn.functional.linear(*map(torch.from_numpy, (x, w, b))).numpy()
    np.testing.assert_allclose(ref.linear(x, w, b), theirs, rtol=1e-14, atol=1e-14)
    for dim in (-1, 0, 1, 2):
        theirs = torch.softmax(torch.from_numpy(x), dim).numpy()
        np.testing.assert_allclose(ref.softmax(x, dim), theirs, rtol=1e-14)
    x[0, 0, 0] = np.nan
    np.testing.assert_array_equal(ref.relu(x), torch.relu(torch.from_numpy(x)).numpy())


def test_locally_connected_is_one_convolution_per_place() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, 6, 7))
    w, b = rng.standard_normal((4, 3, 4, 27)), rng.standard_normal((4, 3, 4))
    out = ref.locally_connected2d(x, w, b, kernel_size=3, stride=2, padding=((1, 0), (1, 1)))
    padded = np.pad(x, ((0, 0), (0, 0), (1, 0), (1, 1)))
    for p in range(3):
        for q in range(4):
            patch = padded[:, :, 2 * p : 2 * p + 3, 2 * q : 2 * q + 3]
            alone = ref.conv2d(patch, w[:, p, q].reshape(4, 3, 3, 3), b[:, p, q])
            np.testing.assert_array_equal(out[:, :, p, q], alone[:, :, 0, 0])
