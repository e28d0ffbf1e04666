"""Sequential, networks of one's own, and the summary of both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from networks import lecture_net, random

import fastconv
from fastconv import nn
from fastconv.errors import ShapeError

DTYPES = ["float32", "float64"]


def test_sequential_indexing_iteration_and_length() -> None:
    net = lecture_net()
    layers = list(net)
    assert len(net) == len(layers) == 6
    assert net[0] is layers[0]
    assert net[-1] is layers[-1]
    head = net[:2]
    assert isinstance(head, nn.Sequential)
    assert list(head) == layers[:2]
    tail = net[4:]
    assert list(tail.state_dict()) == ["4.weight", "4.bias"]
    with pytest.raises(IndexError):
        net[6]


def test_an_empty_sequential_does_nothing() -> None:
    net = nn.Sequential()
    x = random(2, 3)
    assert net(x) is x
    assert net.output_shape((2, 3)) == (2, 3)
    assert repr(net) == "Sequential()"
    assert net.num_parameters == 0


def test_sequential_refuses_what_is_not_a_layer() -> None:
    make: Any = nn.Sequential
    with pytest.raises(TypeError, match="layer 1 must be a Module, got str"):
        make(nn.ReLU(), "relu")
    with pytest.raises(TypeError, match="layer 0 must be a Module, got list"):
        make([nn.ReLU()])
    with pytest.raises(ValueError, match="without dots"):
        make({"a.b": nn.ReLU()})


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda dtype: nn.Conv2d(3, 17, 3, padding=1, dtype=dtype, rng=0), (2, 3, 13, 15)),
        (lambda dtype: nn.Conv2d(3, 5, 3, bias=False, dtype=dtype, rng=0), (3, 13, 15)),
        (
            lambda dtype: nn.Conv2d(3, 5, 3, algorithm="im2col", dtype=dtype, rng=0),
            (2, 3, 13, 15),
        ),
        (
            lambda dtype: nn.Conv2d(3, 5, 3, data_format="NHWC", dtype=dtype, rng=0),
            (2, 13, 15, 3),
        ),
        (lambda dtype: nn.Linear(37, 19, dtype=dtype, rng=0), (5, 37)),
        (lambda dtype: nn.Linear(37, 19, bias=False, dtype=dtype, rng=0), (3, 2, 37)),
    ],
    ids=["conv", "no-bias", "im2col", "nhwc", "linear", "linear-no-bias"],
)
def test_relu_fused_by_sequential_has_the_same_bits(
    layer: Callable[[str], nn.Module], shape: tuple[int, ...], dtype: str, isa: str
) -> None:
    first = layer(dtype)
    x = random(*shape, dtype=dtype)
    x.flat[3] = np.nan
    x.flat[-1] = np.inf
    apart = nn.ReLU()(first(x))
    together = nn.Sequential(first, nn.ReLU())(x)
    assert np.isnan(apart).any()
    assert (apart == 0).any()
    assert together.tobytes() == apart.tobytes()


def test_sequential_does_run_relu_within_the_layer_before(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []
    original = fastconv.functional.conv2d

    def spy(*args: Any, **options: Any) -> Any:
        seen.append(options["activation"])
        return original(*args, **options)

    monkeypatch.setattr(fastconv.functional, "conv2d", spy)
    monkeypatch.setattr(fastconv.functional, "relu", lambda *_, **__: pytest.fail("ReLU ran alone"))
    x = random(1, 3, 8, 8)
    lecture_net()(x)
    # A Sequential within a Sequential fuses its own; the layer keeps its activation.
    inner = nn.Conv2d(3, 3, 1)
    nn.Sequential(nn.Sequential(inner, nn.ReLU(inplace=True)))(x)
    assert seen == ["relu", "relu"]
    assert inner.activation is None


def test_only_a_plain_relu_after_a_plain_layer_is_fused() -> None:
    class Shifted(nn.Conv2d):
        def forward(self, input: Any, **options: Any) -> Any:
            return super().forward(input, **options) - 1

    class Doubling(nn.ReLU):
        def forward(self, input: Any, **options: Any) -> Any:
            return 2 * super().forward(input, **options)

    x = random(1, 2, 6, 6)
    shifted, conv = Shifted(2, 3, 3, rng=0), nn.Conv2d(2, 3, 3, rng=0)
    expected = np.maximum(conv(x) - 1, 0)
    np.testing.assert_array_equal(nn.Sequential(shifted, nn.ReLU())(x), expected)
    expected = 2 * np.maximum(conv(x), 0)
    np.testing.assert_array_equal(nn.Sequential(conv, Doubling())(x), expected)
    sigmoid = nn.Conv2d(2, 3, 3, activation="leaky_relu", rng=0)
    expected = np.maximum(sigmoid(x), 0)
    np.testing.assert_array_equal(nn.Sequential(sigmoid, nn.ReLU())(x), expected)


def test_a_single_volume_runs_as_a_batch_of_one_through_flatten() -> None:
    net = lecture_net()
    batch = random(3, 3, 8, 8)
    outputs = net(batch)
    assert net.output_shape((3, 8, 8)) == (5,)
    assert net.output_shape((3, 3, 8, 8)) == (3, 5)
    for image, output in zip(batch, outputs, strict=True):
        np.testing.assert_array_equal(net(image), output)
    nested = nn.Sequential(nn.ReLU(), nn.Sequential(net[0], nn.MaxPool2d(2)), nn.Flatten())
    assert nested.output_shape((3, 8, 8)) == nested(batch[0]).shape == (160,)


def test_without_flatten_a_single_volume_stays_as_it_is() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Softmax(dim=0))
    x = random(3, 8, 8)
    assert net(x).shape == net.output_shape((3, 8, 8)) == (4, 6, 6)
    np.testing.assert_allclose(net(x).sum(axis=0), 1, rtol=1e-5)
    dense = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    assert dense(random(5, 3, 4)).shape == dense.output_shape((5, 3, 4)) == (5, 2)


def test_modules_of_ones_own_have_children_as_in_torch() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            self.conv = nn.Conv2d(4, 4, 3, padding=1, rng=0)
            self.tail = nn.Sequential(nn.ReLU(), nn.Conv2d(4, 4, 1, rng=1))

        def forward(self, input: Any) -> Any:
            return input + self.tail(self.conv(input))

    block = Residual()
    assert list(block.state_dict()) == ["conv.weight", "conv.bias", "tail.1.weight", "tail.1.bias"]
    assert block.num_parameters == 148 + 20
    x = random(1, 4, 6, 6)
    np.testing.assert_array_equal(block(x), x + block.tail(block.conv(x)))
    net = nn.Sequential(block, nn.ReLU())
    assert next(iter(net.state_dict())) == "0.conv.weight"
    np.testing.assert_array_equal(net(x), np.maximum(block(x), 0))
    assert repr(block).splitlines()[:3] == [
        "Residual(",
        "  (conv): Conv2d(4, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))",
        "  (tail): Sequential(",
    ]
    with pytest.raises(ShapeError, match=r"^layer 0: Conv2d\(4, 4.*expected 4 input channels"):
        net(random(1, 3, 6, 6))
    with pytest.raises(NotImplementedError, match="Residual does not say its output shape"):
        block.output_shape((4, 6, 6))
    with pytest.raises(NotImplementedError, match="Module does not define forward"):
        nn.Module()(x)


# Summary


def test_summary_rows() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Sequential(nn.Conv2d(8, 16, (3, 5), stride=2, groups=2), nn.ReLU()),
        nn.Flatten(),
        nn.Linear(16 * 7 * 10, 10),
    )
    table = fastconv.summary(net, (3, 30, 48))
    assert [row.name for row in table.rows] == ["0", "1", "2", "3.0", "3.1", "4", "5"]
    assert [row.layer for row in table.rows] == [
        "Conv2d", "ReLU", "MaxPool2d", "Conv2d", "ReLU", "Flatten", "Linear",
    ]  # fmt: skip
    assert [row.output_shape for row in table.rows] == [
        (8, 30, 48), (8, 30, 48), (8, 15, 24), (16, 7, 10), (16, 7, 10), (1120,), (10,),
    ]  # fmt: skip
    assert table.rows[0].input_shape == (3, 30, 48)
    assert table.rows[3].input_shape == (8, 15, 24)
    assert [row.parameters for row in table.rows] == [
        224, 0, 0, 16 * 4 * 15 + 16, 0, 0, 11210,
    ]  # fmt: skip
    assert [row.multiply_adds for row in table.rows] == [
        8 * 30 * 48 * 27, 0, 0, 16 * 7 * 10 * 4 * 15, 0, 0, 11200,
    ]  # fmt: skip
    assert [row.activation_bytes for row in table.rows] == [
        46080, 46080, 11520, 4480, 4480, 4480, 40,
    ]  # fmt: skip
    assert [row.receptive_field for row in table.rows] == [
        (3, 3), (3, 3), (4, 4), (8, 12), (8, 12), (8, 12), None,
    ]  # fmt: skip
    assert table.parameters == net.num_parameters
    assert table.multiply_adds == sum(row.multiply_adds for row in table.rows)
    assert table.activation_bytes == sum(row.activation_bytes for row in table.rows)
    assert table.input_shape == (3, 30, 48)
    assert table.output_shape == net.output_shape((3, 30, 48))


def test_summary_with_a_batch_axis_counts_the_whole_batch() -> None:
    net = lecture_net()
    one, many = fastconv.summary(net, (3, 8, 8)), fastconv.summary(net, (7, 3, 8, 8))
    assert many.parameters == one.parameters
    assert many.multiply_adds == 7 * one.multiply_adds
    assert many.activation_bytes == 7 * one.activation_bytes
    assert [row.output_shape for row in many.rows] == [(7, *row.output_shape) for row in one.rows]
    assert "7 x 8x8x10" in str(many)


def test_summary_prints_width_height_depth_for_either_layout() -> None:
    for data_format, shape in (("NCHW", (3, 20, 30)), ("NHWC", (20, 30, 3))):
        net = nn.Sequential(
            nn.Conv2d(3, 5, 3, padding=1, data_format=data_format),
            nn.MaxPool2d(2, data_format=data_format),
        )
        text = str(fastconv.summary(net, shape))
        for volume in ("30x20x3", "30x20x5", "15x10x5"):
            assert volume in text


def test_summary_of_float64_counts_eight_bytes() -> None:
    layer = nn.Linear(4, 3, dtype=np.float64)
    assert fastconv.summary(layer, (4,)).activation_bytes == 24


def test_summary_of_a_single_layer_and_of_unshared_weights() -> None:
    table = fastconv.summary(
        nn.LocallyConnected2d(3, 30, 5, 32, padding=2, bias=False), (3, 32, 32)
    )
    assert table.rows[0].name == ""
    assert table.rows[0].parameters == table.rows[0].multiply_adds == 2_304_000
    assert table.rows[0].receptive_field == (5, 5)


def test_summary_counts_a_shared_layer_once() -> None:
    layer = nn.Conv2d(2, 2, 3)
    table = fastconv.summary(nn.Sequential(layer, layer), (2, 9, 9))
    assert [row.parameters for row in table.rows] == [38, 0]
    assert table.parameters == 38


def test_summary_table_is_aligned_plain_text_with_totals() -> None:
    text = str(fastconv.summary(lecture_net(), (3, 8, 8)))
    assert text == repr(fastconv.summary(lecture_net(), (3, 8, 8)))
    assert text.isascii()
    lines = text.splitlines()
    assert len(lines) == 11  # headings, rule, input, six layers, rule, total
    for heading in (
        "layer",
        "W x H x D",
        "parameters",
        "multiply-adds",
        "bytes",
        "receptive field",
    ):
        assert heading in lines[0]
    assert lines[-1].split()[0] == "total"
    assert lines[-1].split()[1] == "1,085"
    assert len({len(line) for line in lines if line.split()[0] != "total"} - {0}) <= 2


def test_summary_refuses_what_does_not_fit() -> None:
    with pytest.raises(ShapeError, match=r"layer 0: Conv2d.*expected 3 input channels"):
        fastconv.summary(lecture_net(), (4, 8, 8))
    summary: Any = fastconv.summary
    with pytest.raises(TypeError, match=r"model must be a fastconv\.nn\.Module, got str"):
        summary("net.onnx", (3, 8, 8))


def test_large_batches_run_in_slices_with_the_same_bits() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, rng=0),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * 64, 5, rng=1),
    )
    x = np.random.default_rng(2).standard_normal((601, 3, 16, 16)).astype(np.float32)
    images = net._images_at_once(x)
    assert 1 < images < 300
    assert net._images_at_once(x[: images + 1]) == 0
    np.testing.assert_array_equal(net(x), net._run_layers(x))
    with pytest.raises(ShapeError, match=r"601, 2, 16, 16"):
        net(x[:, :2])


def test_layers_that_may_look_at_several_images_get_them_all() -> None:
    class Centred(nn.VolumeLayer):
        def forward(self, input: Any) -> Any:
            return input - input.mean(axis=0)

        def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
            return shape

    x = np.random.default_rng(3).standard_normal((600, 3, 32, 32)).astype(np.float32)
    for layer in (Centred(), nn.Flatten(0, 1), nn.Softmax(0)):
        assert nn.Sequential(nn.ReLU(), layer)._images_at_once(x) == 0
    np.testing.assert_allclose(nn.Sequential(Centred())(x).mean(axis=0), 0, atol=1e-6)
