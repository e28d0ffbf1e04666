"""Every rule and every number of the lecture, each a test of its own.

The lecture: "ConvNets", from a 2015 course on convolutional networks for visual recognition. Rules
carry the numbers of the project's list of them; the rows of numbers follow in its order.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import reference as ref

import fastconv
from fastconv import functional as F
from fastconv import nn
from fastconv.errors import ShapeError
from fastconv.shapes import fitting, output_size


def random(*shape: int, seed: int = 0) -> ref.Array:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def run(layer: Any, *shape: int) -> ref.Array:
    """Run a layer on one image; its output must have the shape that it foretold."""
    output = layer(random(1, *shape))
    assert isinstance(output, np.ndarray)
    assert output.shape == layer.output_shape((1, *shape))
    assert output.shape[1:] == layer.output_shape(shape)
    return output


def convolves_rightly(layer: nn.Conv2d, *shape: int) -> None:
    """Compare a layer's values with naive loops."""
    x = random(2, *shape, seed=1)
    geometry: dict[str, Any] = {"stride": layer.stride, "padding": layer.padding}
    expected = ref.conv2d(x, layer.weight, layer.bias, **geometry)
    limit = ref.conv2d_bound("direct", x, layer.weight, layer.bias, **geometry)
    ref.assert_close(layer(x), expected, limit)


# Rules


def test_rule_01_activations_are_volumes_and_a_batch_adds_one_axis() -> None:
    layer = nn.Conv2d(3, 5, 3)
    volume = random(3, 8, 9)
    batch = np.stack([volume, -volume])
    assert layer(volume).shape == (5, 6, 7)
    assert layer(batch).shape == (2, 5, 6, 7)
    np.testing.assert_array_equal(layer(batch)[0], layer(volume))
    for shape in [(8, 9), (1, 2, 3, 8, 9)]:
        with pytest.raises(ShapeError, match=re.escape(str(shape))):
            layer(random(*shape))


def test_rule_01_a_summary_prints_volumes_as_width_height_depth() -> None:
    net = nn.Sequential(nn.Conv2d(3, 10, 3, padding=1), nn.MaxPool2d(2))
    lines = str(fastconv.summary(net, (3, 16, 32))).splitlines()
    assert [line.split()[-5:][0] for line in lines if "Conv2d" in line or "Max" in line] == [
        "32x16x10",
        "16x8x10",
    ]


def test_rule_02_a_neuron_sees_a_small_patch_through_the_full_depth() -> None:
    layer = nn.Conv2d(4, 6, (3, 2), algorithm="direct")
    assert layer.weight.shape == (6, 4, 3, 2)
    assert nn.Conv2d(4, 6, (3, 2), groups=2).weight.shape == (6, 2, 3, 2)
    x = random(1, 4, 7, 7)
    before = layer(x)
    for depth in range(4):
        touched = x.copy()
        touched[0, depth, 2, 3] += 1
        changed = np.argwhere((layer(touched) != before).any(axis=(0, 1)))
        # Rows 0..2 and columns 2..3 are the places whose 3x2 patch holds row 2, column 3.
        assert changed.min(axis=0).tolist() == [0, 2]
        assert changed.max(axis=0).tolist() == [2, 3]


def test_rule_03_a_depth_column_sees_one_patch_an_activation_map_is_one_filter() -> None:
    layer = nn.Conv2d(3, 5, 3)
    x = random(1, 3, 6, 6)
    y = layer(x)
    # The depth column at one place depends on that place's patch alone.
    np.testing.assert_allclose(
        layer(x[:, :, 1:4, 2:5])[0, :, 0, 0], y[0, :, 1, 2], rtol=1e-5, atol=1e-6
    )
    # Changing one filter changes its activation map and no other.
    weight = layer.weight.copy()
    weight[3] += 1
    layer.weight = weight
    assert (layer(x) != y).any(axis=(0, 2, 3)).tolist() == [False, False, False, True, False]


def test_rule_04_output_size_is_n_minus_f_plus_2p_over_s_plus_1() -> None:
    for n, f, p, s in itertools.product(range(1, 12), range(1, 6), range(3), range(1, 5)):
        if n - f + 2 * p >= 0:
            assert output_size(n, f, s, (p, p)) == (n - f + 2 * p) // s + 1


def test_rule_04_convolution_and_pooling_share_the_formula() -> None:
    for n, f, s in itertools.product((7, 8, 9), (2, 3), (1, 2, 3)):
        side = (n - f) // s + 1
        assert run(nn.Conv2d(2, 2, f, s), 2, n, n).shape == (1, 2, side, side)
        assert run(nn.MaxPool2d(f, s), 2, n, n).shape == (1, 2, side, side)
        assert run(nn.AvgPool2d(f, s), 2, n, n).shape == (1, 2, side, side)


def _strict_calls() -> dict[str, Callable[[], Any]]:
    x = np.zeros((1, 2, 7, 7), np.float32)
    w = np.zeros((2, 2, 3, 3), np.float32)
    return {
        "conv2d": lambda: F.conv2d(x, w, stride=3, strict=True),
        "max_pool2d": lambda: F.max_pool2d(x, 3, 3, strict=True),
        "avg_pool2d": lambda: F.avg_pool2d(x, 3, 3, strict=True),
        "Conv2d": lambda: nn.Conv2d(2, 2, 3, 3, strict=True)(x),
        "Conv2d.output_shape": lambda: nn.Conv2d(2, 2, 3, 3, strict=True).output_shape(x.shape),
        "MaxPool2d": lambda: nn.MaxPool2d(3, strict=True)(x),
        "MaxPool2d.output_shape": lambda: nn.MaxPool2d(3, strict=True).output_shape((2, 7, 7)),
        "AvgPool2d": lambda: nn.AvgPool2d(3, strict=True)(x),
        "LocallyConnected2d": lambda: nn.LocallyConnected2d(2, 2, 3, 7, stride=3, strict=True),
    }


@pytest.mark.parametrize("name", _strict_calls())
def test_rule_05_strict_says_cannot_where_the_formula_leaves_a_remainder(name: str) -> None:
    with pytest.raises(ShapeError, match=re.escape("(7 - 3)/3 + 1 = 2.33 ")) as caught:
        _strict_calls()[name]()
    assert "cannot" in str(caught.value)
    assert "nearest stride that fits: 2 or 4" in str(caught.value)
    assert "nearest padding that fits: 1" in str(caught.value)


@pytest.mark.parametrize(("n", "f", "s", "p"), [(7, 3, 3, 0), (32, 5, 2, 0), (30, 4, 5, 1)])
def test_rule_05_what_the_error_suggests_does_run(n: int, f: int, s: int, p: int) -> None:
    with pytest.raises(ShapeError, match="is not a whole number") as caught:
        nn.Conv2d(1, 1, f, s, p, strict=True).output_shape((1, n, n))
    fits = fitting(n, f, s, (p, p))
    assert fits.strides
    assert fits.paddings
    for stride in fits.strides:
        assert str(stride) in str(caught.value)
        run(nn.Conv2d(1, 1, f, stride, p, strict=True), 1, n, n)
    for before, after in fits.paddings:
        assert str(after) in str(caught.value)
        run(nn.Conv2d(1, 1, f, s, ((before, after),) * 2, strict=True), 1, n, n)


def test_rule_05_by_default_the_size_is_rounded_down() -> None:
    assert run(nn.Conv2d(2, 2, 3, 3), 2, 7, 7).shape == (1, 2, 2, 2)
    assert run(nn.MaxPool2d(3), 2, 7, 7).shape == (1, 2, 2, 2)


def test_rule_06_padding_of_half_f_minus_1_keeps_the_size() -> None:
    for f in (1, 3, 5, 7):
        layer = nn.Conv2d(2, 3, f, padding=(f - 1) // 2, rng=f)
        same = nn.Conv2d(2, 3, f, padding="same", rng=f)
        assert run(layer, 2, 9, 11).shape == (1, 3, 9, 11)
        np.testing.assert_array_equal(run(same, 2, 9, 11), run(layer, 2, 9, 11))


def test_rule_06_no_padding_shrinks_the_size() -> None:
    for f in (1, 3, 5, 7):
        valid = nn.Conv2d(2, 3, f, padding="valid", rng=f)
        assert run(valid, 2, 9, 11).shape == (1, 3, 10 - f, 12 - f)
        none = nn.Conv2d(2, 3, f, rng=f)
        np.testing.assert_array_equal(run(valid, 2, 9, 11), run(none, 2, 9, 11))


def test_rule_07_k_filters_give_a_volume_of_depth_k() -> None:
    for k, f, s in itertools.product((1, 5, 17), (2, 3), (1, 2)):
        height, width = (12 - f) // s + 1, (16 - f) // s + 1
        assert nn.Conv2d(3, k, f, s).output_shape((3, 12, 16)) == (k, height, width)
        assert run(nn.Conv2d(3, k, f, s), 3, 12, 16).shape == (1, k, height, width)


def test_rule_07_every_layer_says_its_output_shape_without_running() -> None:
    layers: list[tuple[nn.Module, tuple[int, ...], tuple[int, ...]]] = [
        (nn.Conv2d(3, 8, 5, 2, 2), (3, 32, 48), (8, 16, 24)),
        (nn.LocallyConnected2d(3, 8, 3, 10), (3, 10, 10), (8, 8, 8)),
        (nn.MaxPool2d(2), (8, 16, 24), (8, 8, 12)),
        (nn.AvgPool2d(3, 2, ceil_mode=True), (8, 16, 24), (8, 8, 12)),
        (nn.ReLU(), (8, 16, 24), (8, 16, 24)),
        (nn.Softmax(dim=-1), (10,), (10,)),
        (nn.Linear(20, 10), (20,), (10,)),
    ]
    for layer, before, after in layers:
        assert layer.output_shape(before) == after
        assert layer.output_shape((100, *before)) == (100, *after)
        assert layer(random(2, *before)).shape == (2, *after)
    assert nn.Flatten().output_shape((100, 8, 2, 3)) == (100, 48)


def test_rule_08_one_filter_serves_every_place() -> None:
    for k, f, d in itertools.product((1, 30), (1, 3, 5), (1, 3)):
        layer = nn.Conv2d(d, k, f)
        assert layer.num_parameters == k * f * f * d + k
        assert nn.Conv2d(d, k, f, bias=False).num_parameters == k * f * f * d
    # A pattern gives the same answer wherever it is.
    layer = nn.Conv2d(2, 3, 3, algorithm="direct")
    x = np.zeros((1, 2, 9, 9), np.float32)
    x[0, :, 2, 3] = 1
    moved = np.roll(x, (3, 2), axis=(2, 3))
    np.testing.assert_array_equal(layer(x)[0, :, 0:3, 1:4], layer(moved)[0, :, 3:6, 3:6])


def test_rule_09_unshared_filters_see_different_things_at_different_places() -> None:
    layer = nn.LocallyConnected2d(3, 4, (3, 2), input_size=(7, 6), stride=(2, 1), padding=(1, 0))
    assert layer.weight.shape == (4, 4, 5, 18)
    assert layer.num_parameters == 4 * 4 * 5 * 18 + 4 * 4 * 5
    x = random(2, 3, 7, 6)
    expected = ref.locally_connected2d(
        x, layer.weight, layer.bias, kernel_size=(3, 2), stride=(2, 1), padding=(1, 0)
    )
    magnitude = ref.locally_connected2d(
        abs(x), abs(layer.weight), None, kernel_size=(3, 2), stride=(2, 1), padding=(1, 0)
    )
    ref.assert_close(layer(x), expected, ref.bound("direct", 20, magnitude + 1, np.float32))


def test_rule_09_equal_filters_at_every_place_are_a_convolution() -> None:
    conv = nn.Conv2d(3, 4, 3)
    local = nn.LocallyConnected2d(3, 4, 3, input_size=6)
    assert conv.bias is not None
    local.weight = np.broadcast_to(conv.weight.reshape(4, 1, 1, 27), (4, 4, 4, 27))
    local.bias = np.broadcast_to(conv.bias.reshape(4, 1, 1), (4, 4, 4))
    x = random(2, 3, 6, 6)
    limit = 2 * ref.conv2d_bound("direct", x, conv.weight, conv.bias)
    ref.assert_close(local(x), conv(x).astype(np.float64), limit)


def test_rule_10_relu_follows_conv_as_a_layer_and_fused() -> None:
    conv = nn.Conv2d(3, 8, 3, padding=1, rng=1)
    fused = nn.Conv2d(3, 8, 3, padding=1, activation="relu", rng=1)
    x = random(2, 3, 9, 9)
    expected = np.maximum(conv(x), 0)
    assert (expected == 0).any()
    assert (expected > 0).any()
    np.testing.assert_array_equal(nn.ReLU()(conv(x)), expected)
    np.testing.assert_array_equal(fused(x), expected)
    np.testing.assert_array_equal(nn.Sequential(conv, nn.ReLU())(x), expected)


def test_rule_11_max_pooling_takes_each_depth_slice_alone() -> None:
    pool = nn.MaxPool2d(2)
    assert pool.num_parameters == 0
    x = random(2, 5, 8, 6)
    y = pool(x)
    assert y.shape == (2, 5, 4, 3) == (2, *pool.output_shape((5, 8, 6)))
    np.testing.assert_array_equal(y, x.reshape(2, 5, 4, 2, 3, 2).max(axis=(3, 5)))
    for depth in range(5):
        np.testing.assert_array_equal(pool(x[:, depth : depth + 1]), y[:, depth : depth + 1])


def test_rule_11_the_lectures_example_of_max_pooling() -> None:
    x = np.array([[[1, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]]], np.float32)
    assert nn.MaxPool2d(2, stride=2)(x).tolist() == [[[6, 8], [3, 4]]]


def test_rule_11_average_pooling_is_beside_it() -> None:
    pool = nn.AvgPool2d(2)
    assert pool.num_parameters == 0
    x = random(2, 5, 8, 6)
    mean = x.astype(np.float64).reshape(2, 5, 4, 2, 3, 2).mean(axis=(3, 5))
    np.testing.assert_allclose(pool(x), mean, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("f", [1, 2, 3])
def test_rule_12_small_filters_at_stride_1(f: int) -> None:
    layer = nn.Conv2d(16, 32, f, padding="same")
    assert run(layer, 16, 14, 14).shape == (1, 32, 14, 14)
    convolves_rightly(layer, 16, 14, 14)


def test_rule_12_very_deep() -> None:
    blocks: list[nn.Module] = []
    for _ in range(50):
        blocks += [nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()]
    net = nn.Sequential(*blocks)
    assert run(net, 4, 8, 8).shape == (1, 4, 8, 8)
    assert net.num_parameters == 50 * (4 * 4 * 9 + 4)


@pytest.mark.parametrize(("f", "s", "p"), [(11, 4, 0), (7, 2, 3), (3, 1, 1), (3, 2, 1)])
def test_rule_13_first_layers_with_three_channels(f: int, s: int, p: int) -> None:
    convolves_rightly(nn.Conv2d(3, 20, f, s, p), 3, 35, 43)


def test_rule_14_the_error_gives_the_lectures_advice() -> None:
    with pytest.raises(ShapeError) as caught:
        nn.Conv2d(3, 5, 5, stride=2, strict=True)(random(1, 3, 32, 32))
    advice = (
        "Sizes that avoid this: images whose side is a power of two, 3x3 convolutions with "
        "stride 1 and padding 1, 2x2 pooling with stride 2."
    )
    assert str(caught.value).endswith(advice)


@pytest.mark.parametrize("side", [32, 64, 128])
def test_rule_14_the_advice_avoids_headaches_down_to_one_pixel(side: int) -> None:
    layers: list[nn.Module] = []
    for _ in range(side.bit_length() - 1):
        layers += [nn.Conv2d(2, 2, 3, padding=1, strict=True), nn.MaxPool2d(2, strict=True)]
    assert run(nn.Sequential(*layers), 2, side, side).shape == (1, 2, 1, 1)


def test_rule_15_pictures_of_filters_and_of_activation_maps() -> None:
    pytest.importorskip("matplotlib")
    from fastconv import plot

    layer = nn.Conv2d(3, 6, 3)
    assert plot.filters(layer.weight).axes
    assert plot.activation_maps(layer(random(3, 8, 8))).axes


# Numbers


def test_numbers_7x7_with_3x3_stride_1_is_5x5() -> None:
    assert run(nn.Conv2d(1, 1, 3, strict=True), 1, 7, 7).shape == (1, 1, 5, 5)


def test_numbers_7x7_with_3x3_stride_2_is_3x3() -> None:
    assert run(nn.Conv2d(1, 1, 3, stride=2, strict=True), 1, 7, 7).shape == (1, 1, 3, 3)


def test_numbers_7x7_with_3x3_stride_3_cannot() -> None:
    with pytest.raises(ShapeError, match=r"\(7 - 3\)/3 \+ 1 = 2\.33 is not a whole number"):
        nn.Conv2d(1, 1, 3, stride=3, strict=True)(random(1, 1, 7, 7))


def test_numbers_7x7_with_3x3_stride_1_pad_1_is_7x7() -> None:
    assert run(nn.Conv2d(1, 1, 3, padding=1, strict=True), 1, 7, 7).shape == (1, 1, 7, 7)


def test_numbers_9x9_with_3x3_stride_1_pad_1_twice_stays_9x9() -> None:
    layer = nn.Conv2d(1, 1, 3, padding=1, strict=True)
    assert run(layer, 1, 9, 9).shape == (1, 1, 9, 9)
    assert run(nn.Sequential(layer, layer), 1, 9, 9).shape == (1, 1, 9, 9)


def test_numbers_9x9_with_3x3_stride_1_pad_0_twice_is_7x7_then_5x5() -> None:
    layer = nn.Conv2d(1, 1, 3, strict=True)
    assert run(layer, 1, 9, 9).shape == (1, 1, 7, 7)
    assert run(nn.Sequential(layer, layer), 1, 9, 9).shape == (1, 1, 5, 5)


def test_numbers_32x32x3_with_5_filters_5x5_stride_1_is_28x28x5() -> None:
    layer = nn.Conv2d(3, 5, 5, strict=True)
    assert run(layer, 3, 32, 32).shape == (1, 5, 28, 28)
    assert layer.weight[0].size == 75
    convolves_rightly(layer, 3, 32, 32)


def test_numbers_32x32x3_with_5_filters_5x5_stride_2_cannot() -> None:
    with pytest.raises(ShapeError, match=r"\(32 - 5\)/2 \+ 1 = 14\.5 is not a whole number"):
        nn.Conv2d(3, 5, 5, stride=2, strict=True)(random(1, 3, 32, 32))


def test_numbers_32x32x3_with_5_filters_5x5_stride_3_is_10x10x5() -> None:
    layer = nn.Conv2d(3, 5, 5, stride=3, strict=True)
    assert run(layer, 3, 32, 32).shape == (1, 5, 10, 10)
    assert layer.weight[0].size == 75
    convolves_rightly(layer, 3, 32, 32)


def test_numbers_32x32x3_with_30_filters_5x5_pad_2_shared() -> None:
    layer = nn.Conv2d(3, 30, 5, padding=2, bias=False, strict=True)
    output = run(layer, 3, 32, 32)
    assert output.shape == (1, 30, 32, 32)
    assert output.size == 30_720
    assert layer.num_parameters == 30 * 75 == 2_250


def test_numbers_32x32x3_with_30_filters_5x5_pad_2_unshared() -> None:
    layer = nn.LocallyConnected2d(3, 30, 5, input_size=32, padding=2, bias=False, strict=True)
    assert run(layer, 3, 32, 32).size == 30_720
    assert layer.num_parameters == 30_720 * 75 == 2_304_000


def test_numbers_the_slip_30_filters_5x5_with_pad_1_is_30x30_not_32x32() -> None:
    layer = nn.Conv2d(3, 30, 5, padding=1, strict=True)
    assert run(layer, 3, 32, 32).shape == (1, 30, 30, 30)


def test_numbers_227x227x3_with_96_filters_11x11_stride_4_is_55x55x96() -> None:
    layer = nn.Conv2d(3, 96, 11, stride=4, strict=True)
    assert run(layer, 3, 227, 227).shape == (1, 96, 55, 55)
    assert layer.weight.size == 34_848
    assert layer.bias is not None
    assert layer.bias.size == 96
    assert layer.num_parameters == 34_848 + 96


def test_numbers_32x32x3_with_10_filters_3x3_pad_1_has_280_parameters() -> None:
    layer = nn.Conv2d(3, 10, 3, padding=1, strict=True)
    assert run(layer, 3, 32, 32).shape == (1, 10, 32, 32)
    assert layer.num_parameters == 280


def test_numbers_32x32x10_with_10_filters_3x3_pad_1_has_910_parameters() -> None:
    layer = nn.Conv2d(10, 10, 3, padding=1, strict=True)
    assert run(layer, 10, 32, 32).shape == (1, 10, 32, 32)
    assert layer.num_parameters == 910


def test_numbers_32x32x10_max_pool_2x2_stride_2_is_16x16x10() -> None:
    layer = nn.MaxPool2d(2, stride=2, strict=True)
    assert run(layer, 10, 32, 32).shape == (1, 10, 16, 16)
    assert layer.num_parameters == 0


def test_numbers_appear_in_the_summary_of_the_lectures_small_network() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 10, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(10, 10, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )
    table = fastconv.summary(net, (3, 32, 32))
    assert [row.parameters for row in table.rows] == [280, 0, 910, 0, 0]
    assert table.output_shape == (10, 16, 16)
    for text in ("32x32x3", "32x32x10", "16x16x10", "280", "910", "1,190"):
        assert text in str(table)
