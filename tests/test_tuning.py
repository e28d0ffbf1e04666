"""Measured choice: right answers, one choice for an image's shape, whatever batch and threads.

Of layers, then of whole networks.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference as ref

import fastconv
from fastconv import _native, _tuning, nn, runtime
from fastconv.errors import ModelFormatError
from fastconv.graph import Model, tuning
from fastconv.graph.layers import graph_of


def random(*shape: int) -> Any:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_the_least_time_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(_tuning, "perf_counter", lambda: clock[0])
    seconds = {"im2col": 3.0, "planar": 1.0, "channels_last": 2.0}

    def call(name: str) -> None:
        if name not in seconds:
            raise ValueError("does not compute this")
        clock[0] += seconds[name]

    assert _tuning.fastest(call) == "planar"


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_answers_are_right_and_the_same_for_any_batch_and_team(data_format: str) -> None:
    x = random(3, 24, 13, 11)
    layer = nn.Conv2d(24, 20, 3, padding=1, tune=True, data_format=data_format, rng=0)
    laid = x if data_format == "NCHW" else np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    whole = layer(laid)
    expected = ref.conv2d(x, layer.weight, layer.bias, padding=1)
    limit = ref.conv2d_bound("direct", x, layer.weight, layer.bias, padding=1)
    got = whole if data_format == "NCHW" else whole.transpose(0, 3, 1, 2)
    ref.assert_close(got, expected, np.full_like(limit, 60 * limit.max()))
    for part in (layer(laid[1:2])[0], layer(laid[1]), layer(laid, num_threads=2)[1]):
        assert part.tobytes() == whole[1].tobytes()


def test_every_instruction_set_is_measured_anew(isa: str) -> None:
    layer = nn.Conv2d(3, 4, 3, tune=True)
    names = [name for name in runtime.show_config()["isa_supported"] if name != isa]
    x = random(2, 3, 8, 8)
    for name in (isa, *names[:1], isa):
        runtime.set_isa(name)
        assert layer(x).shape == (2, 4, 6, 6)
        assert _native.isa_active() == name
    assert len(layer._tuned) == 1 + len(names[:1])


def test_empty_batches_and_wrong_inputs() -> None:
    layer = nn.Conv2d(3, 4, 3, tune=True)
    assert layer(np.zeros((0, 3, 8, 8), np.float32)).shape == (0, 4, 6, 6)
    with pytest.raises(ValueError, match="expected"):
        layer(random(1, 2, 8, 8))
    with pytest.raises(TypeError):
        layer(None)
    with pytest.raises(ValueError, match="tune: expected False"):
        nn.Conv2d(3, 4, 3, tune=True, algorithm="direct")
    assert repr(layer).endswith("tune=True)")


# ---- networks


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, activation="relu", rng=0),
        nn.Conv2d(16, 16, 3, padding=1, groups=16, rng=1),
        nn.Conv2d(16, 24, 3, padding=1, activation="relu", rng=2),
        nn.MaxPool2d(2),
        nn.Conv2d(24, 20, 1, rng=3),
        nn.Conv2d(20, 20, 3, padding=1, stride=2, rng=4),
    )


@pytest.fixture
def tuned(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, tuple[int, ...]], Any]:
    """Tune the network by invented times, other ones for each seed, so that all is chosen once."""

    def make(seed: int, shape: tuple[int, ...]) -> Any:
        rng = np.random.default_rng(seed)

        def invented(plans: Any, arrays: Any) -> Any:
            factors = np.linspace(1.2, 1, len(plans))  # what comes last, the tuned ones, is best
            counts = [plan.program.step_count for plan in plans]
            if len(plans) > 4:
                return [rng.uniform(1, 2, count) for count in counts]
            return [np.full(count, factor) for count, factor in zip(counts, factors, strict=True)]

        with monkeypatch.context() as patched:
            patched.setattr(tuning, "_seconds", invented)
            return Model(graph_of(network(), shape, "float32"), tune=True)

    return make


def test_tuned_networks_compute_the_same_and_keep_their_bits(
    tuned: Callable[[int, tuple[int, ...]], Any], tmp_path: Path
) -> None:
    x = random(3, 3, 18, 14)
    right = network()(x)
    chosen = set()
    for seed in range(8):
        model = tuned(seed, (3, 18, 14))
        chosen |= set(model._graph.choices.values())
        y = model(x)
        np.testing.assert_allclose(y, right, rtol=1e-4, atol=1e-4 * np.abs(right).max())
        np.testing.assert_array_equal(model(x[1:2], num_threads=2), y[1:2])
        model.save(tmp_path / "net")
        for other in (pickle.loads(pickle.dumps(model)), fastconv.load(tmp_path / "net")):
            assert other._graph.choices == model._graph.choices
            np.testing.assert_array_equal(other(x), y)
    assert {"auto", "channels_last", "planar", "winograd", "depthwise"} <= chosen
    assert set(tuning.LAYOUTS) & chosen


def test_choices_of_one_size_stay_when_others_are_tuned(
    tuned: Callable[[int, tuple[int, ...]], Any],
) -> None:
    model = tuned(0, (3, 18, 14))
    before = dict(model._graph.choices)
    x = random(1, 3, 18, 14)
    y = model(x)
    model(random(2, 3, 9, 21))  # measured, in truth
    assert before.items() <= model._graph.choices.items()
    assert len(model._graph.choices) > len(before)
    model._plans.clear()
    np.testing.assert_array_equal(model(x), y)


def test_networks_are_measured_when_they_load_or_are_called(tmp_path: Path) -> None:
    fastconv.compile(network(), (3, 12, 12)).save(tmp_path / "net")
    plain = fastconv.load(tmp_path / "net")
    assert plain._graph.choices == {}
    model = fastconv.load(tmp_path / "net", tune=True)
    loaded = len(model._graph.choices)
    assert loaded > 4
    x = random(2, 3, 12, 12)
    np.testing.assert_allclose(model(x), plain(x), rtol=1e-4, atol=1e-5)
    assert len(model._graph.choices) == loaded


def test_choices_that_gain_nothing_are_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first_is_best(plans: Any, arrays: Any) -> Any:
        counts = [plan.program.step_count for plan in plans]
        times = [np.full(count, 1 + i) for i, count in enumerate(counts)]
        return times if len(plans) <= 4 else times[::-1]

    monkeypatch.setattr(tuning, "_seconds", first_is_best)
    monkeypatch.setattr(tuning, "HOPELESS", 9)
    fastconv.compile(network(), (3, 12, 12)).save(tmp_path / "net")
    model = fastconv.load(tmp_path / "net", tune=True)
    assert set(model._graph.choices.values()) == {"auto", "channels last"}


def test_choices_that_are_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net"
    model = fastconv.compile(network(), (3, 12, 12))
    model._graph.choices["somewhere"] = "sideways"
    model.save(path)
    with pytest.raises(ModelFormatError, match="names of algorithms"):
        fastconv.load(path)
