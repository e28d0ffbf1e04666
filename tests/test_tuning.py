"""Measured choice: right answers, one choice for an image's shape, whatever batch and threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference as ref

from fastconv import _native, _tuning, nn, runtime


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
