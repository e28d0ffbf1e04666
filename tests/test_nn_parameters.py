"""Parameters: counts, initial values, nothing stale, state dicts, copies, many threads."""

from __future__ import annotations

import copy
import math
import pickle
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import reference as ref
from networks import lecture_net, random

from fastconv import nn
from fastconv.errors import ShapeError

DTYPES = ["float32", "float64"]


def test_parameter_counts() -> None:
    assert nn.Conv2d(3, 10, 3).num_parameters == 280
    assert nn.Conv2d(8, 8, (3, 5), groups=4, bias=False).num_parameters == 8 * 2 * 15
    assert nn.Linear(7, 4).num_parameters == 32
    assert nn.LocallyConnected2d(2, 3, 3, 5).num_parameters == 3 * 9 * 18 + 27
    for layer in (nn.MaxPool2d(2), nn.AvgPool2d(2), nn.ReLU(), nn.Flatten(), nn.Softmax(1)):
        assert layer.num_parameters == 0
        assert layer.state_dict() == {}
    assert lecture_net().num_parameters == 280 + 805


def test_a_layer_that_is_used_twice_counts_once_and_has_both_names() -> None:
    layer = nn.Linear(3, 3)
    net = nn.Sequential(layer, nn.ReLU(), layer)
    assert net.num_parameters == 12
    assert list(net.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_initial_parameters_are_uniform_within_torchs_bounds(dtype: str) -> None:
    for layer, fan_in in [
        (nn.Conv2d(8, 64, 3, groups=2, dtype=dtype, rng=0), 36),
        (nn.Linear(36, 64, dtype=dtype, rng=0), 36),
        (nn.LocallyConnected2d(4, 8, 3, 8, dtype=dtype, rng=0), 36),
    ]:
        bound = 1 / math.sqrt(fan_in)
        for array in layer.state_dict().values():
            assert array.dtype == dtype
            assert abs(array).max() <= bound
            assert abs(array).max() > 0.9 * bound
            assert abs(array.mean()) < 0.3 * bound
        weight = layer.state_dict()["weight"]
        assert weight.std() == pytest.approx(bound / math.sqrt(3), rel=0.05)


def test_initial_parameters_follow_the_rng() -> None:
    def make(rng: Any) -> ref.Array:
        return nn.Conv2d(2, 3, 3, rng=rng).weight

    np.testing.assert_array_equal(make(5), make(5))
    np.testing.assert_array_equal(make(5), make(np.random.default_rng(5)))
    assert (make(5) != make(6)).any()
    assert (make(None) != make(None)).any()
    shared = np.random.default_rng(0)
    assert (make(shared) != make(shared)).any()


@pytest.mark.parametrize("kind", ["Conv2d", "Linear", "LocallyConnected2d"])
def test_parameters_cannot_be_written_in_place(kind: str) -> None:
    for layer in (_weighted(kind), copy.deepcopy(_weighted(kind)), _pickled(_weighted(kind))):
        layer.load_state_dict(layer.state_dict())
        for name in ("weight", "bias"):
            array = getattr(layer, name)
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0
            with pytest.raises(ValueError, match="read-only"):
                exec(f"layer.{name} += 1", {"layer": layer})
            with pytest.raises(ValueError, match="WRITEABLE"):
                array.flags.writeable = True


def _weighted(kind: str) -> Any:
    makers: dict[str, Callable[[], Any]] = {
        "Conv2d": lambda: nn.Conv2d(2, 3, 3, rng=0),
        "Linear": lambda: nn.Linear(6, 3, rng=0),
        "LocallyConnected2d": lambda: nn.LocallyConnected2d(2, 3, 3, 6, rng=0),
    }
    return makers[kind]()


def _pickled(layer: Any) -> Any:
    return pickle.loads(pickle.dumps(layer))


@pytest.mark.parametrize("kind", ["Conv2d", "Linear", "LocallyConnected2d"])
def test_assigned_parameters_are_used_by_the_next_call(kind: str) -> None:
    layer = _weighted(kind)
    x = random(1, 2, 6, 6)
    first = layer(x)
    layer.weight = 2 * layer.weight  # exact in floating point
    bias = layer.bias
    layer.bias = np.zeros_like(bias)
    doubled = layer(x)
    layer.weight = layer.weight / 2
    halved = layer(x)
    np.testing.assert_array_equal(doubled, 2 * halved)
    layer.bias = bias
    np.testing.assert_array_equal(layer(x), first)


@pytest.mark.parametrize("kind", ["Conv2d", "Linear", "LocallyConnected2d"])
def test_changing_the_array_that_was_assigned_changes_nothing(kind: str) -> None:
    layer = _weighted(kind)
    x = random(1, 2, 6, 6)
    mine = layer.weight + 1
    layer.weight = mine
    before = layer(x)
    mine[...] = 0
    assert layer.weight.all()
    np.testing.assert_array_equal(layer(x), before)

    state = {name: array.copy() for name, array in layer.state_dict().items()}
    layer.load_state_dict(state)
    before = layer(x)
    for array in state.values():
        array[...] = 0
    np.testing.assert_array_equal(layer(x), before)


def test_a_state_dict_keeps_the_values_of_its_time() -> None:
    layer = nn.Linear(3, 2, rng=0)
    state = layer.state_dict()
    kept = layer.weight.copy()
    layer.weight = kept + 1
    np.testing.assert_array_equal(state["weight"], kept)


def test_any_memory_layout_can_be_assigned() -> None:
    layer = nn.Conv2d(2, 3, (3, 4), rng=0)
    x = random(1, 2, 6, 6)
    values = random(3, 2, 3, 4, seed=4)
    layer.weight = values
    expected = layer(x)
    for same in (
        np.asfortranarray(values),
        np.flip(np.flip(values, 3).copy(), 3),
        np.repeat(values, 2, axis=0)[::2],
        values.astype(">f4"),
    ):
        layer.weight = np.zeros_like(values)
        layer.weight = same
        assert layer.weight.flags.c_contiguous
        assert layer.weight.dtype == np.float32
        assert layer.weight.dtype.isnative
        np.testing.assert_array_equal(layer(x), expected)


@pytest.mark.parametrize("name", ["weight", "bias"])
def test_assigned_parameters_are_checked(name: str) -> None:
    layer = nn.Conv2d(2, 3, 3, rng=0)
    good = getattr(layer, name)
    bad: list[tuple[Any, type[Exception], str]] = [
        (np.zeros((9, 9), np.float32), ShapeError, r"\(9, 9\)"),
        (good[None], ShapeError, "shape"),
        (good.astype(np.float64), TypeError, "must have dtype float32, got float64"),
        (good.astype(np.complex64), TypeError, "complex64"),
        (good.tolist(), TypeError, "must be an array of shape .* got list"),
        (None, TypeError, "got NoneType"),
    ]
    for value, error, message in bad:
        with pytest.raises(error, match=f"^{name} .*{message}"):
            setattr(layer, name, value)
        assert getattr(layer, name) is good


def test_a_layer_without_bias_takes_none() -> None:
    layer = nn.Linear(3, 2, bias=False)
    assert layer.bias is None
    layer.bias = None
    with pytest.raises(TypeError, match="made with bias=False"):
        layer.bias = np.zeros(2, np.float32)


# State dicts


def test_state_dict_has_torchs_keys() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Sequential(nn.ReLU(), nn.Linear(3, 2, bias=False)))
    assert list(net.state_dict()) == ["0.weight", "0.bias", "1.1.weight"]
    named = nn.Sequential({"conv": nn.Conv2d(1, 2, 3), "act": nn.ReLU()})
    assert list(named.state_dict()) == ["conv.weight", "conv.bias"]


def test_load_state_dict_makes_two_networks_equal() -> None:
    one, two = lecture_net(0), lecture_net(10)
    x = random(2, 3, 8, 8)
    two(x)  # its weights are packed by now
    assert (one(x) != two(x)).any()
    result = two.load_state_dict(one.state_dict())
    assert result == ([], [])
    np.testing.assert_array_equal(one(x), two(x))


def _changed(**changes: Any) -> dict[str, Any]:
    state: dict[str, Any] = {key: array + 1 for key, array in lecture_net(10).state_dict().items()}
    for key, value in changes.items():
        name = key.replace("_", ".")
        if value is None:
            del state[name]
        else:
            state[name] = value
    return state


@pytest.mark.parametrize(
    ("changes", "error", "messages"),
    [
        ({"0_bias": None, "4_weight": None}, ValueError, ["missing: 0.bias, 4.weight"]),
        ({"0_gain": 1, "9_weight": 2}, ValueError, ["unexpected: 0.gain, 9.weight"]),
        (
            {"0_bias": None, "0_gain": 1},
            ValueError,
            ["missing: 0.bias", "unexpected: 0.gain"],
        ),
        (
            {"4_bias": np.zeros(6, np.float32), "0_weight": np.zeros(3, np.float32)},
            ShapeError,
            ["4.bias must have shape (5,), got (6,)", "0.weight must have shape (10, 3, 3, 3)"],
        ),
        ({"4_bias": np.zeros(5)}, TypeError, ["4.bias must have dtype float32, got float64"]),
        ({"4_bias": [0] * 5}, TypeError, ["4.bias must be an array of shape (5,), got list"]),
        (
            {"4_bias": np.zeros(6, np.float32), "0_bias": None},
            ShapeError,
            ["missing: 0.bias", "4.bias must have shape (5,), got (6,)"],
        ),
    ],
)
def test_a_state_dict_that_does_not_fit_loads_nothing(
    changes: dict[str, Any], error: type[Exception], messages: list[str]
) -> None:
    net = lecture_net()
    before = net.state_dict()
    x = random(1, 3, 8, 8)
    output = net(x)
    with pytest.raises(error) as caught:
        net.load_state_dict(_changed(**changes))
    assert type(caught.value) is error
    for message in [*messages, "nothing was loaded"]:
        assert message in str(caught.value)
    after = net.state_dict()
    assert before.keys() == after.keys()
    assert all(after[key] is array for key, array in before.items())
    np.testing.assert_array_equal(net(x), output)


def test_load_state_dict_not_strict_reports_names_but_checks_shapes() -> None:
    net = lecture_net()
    result = net.load_state_dict(_changed(**{"0_bias": None, "0_gain": 1}), strict=False)
    assert result.missing_keys == ["0.bias"]
    assert result.unexpected_keys == ["0.gain"]
    np.testing.assert_array_equal(net.state_dict()["4.bias"], _changed()["4.bias"])
    with pytest.raises(ShapeError, match=r"4\.bias"):
        net.load_state_dict(_changed(**{"4_bias": np.zeros(6, np.float32)}), strict=False)


# Copies, pickles, threads


@pytest.mark.parametrize("again", [copy.deepcopy, copy.copy, _pickled])
def test_copies_compute_the_same_and_are_independent(again: Callable[[Any], Any]) -> None:
    net = lecture_net()
    x = random(2, 3, 8, 8)
    fresh = again(net)
    expected = net(x)
    used = again(net)
    for other in (fresh, used):
        assert repr(other) == repr(net)
        np.testing.assert_array_equal(other(x), expected)
    layer = nn.Linear(3, 2, rng=0)
    other = again(layer)
    before = layer.weight.copy()
    other.weight = before + 1
    np.testing.assert_array_equal(layer.weight, before)
    np.testing.assert_array_equal(other.weight, before + 1)


def test_a_pickled_layer_holds_its_weights_once() -> None:
    layer = nn.Linear(100, 100)
    layer(random(1, 100))
    assert len(pickle.dumps(layer)) < 1.1 * layer.num_parameters * 4 + 1000


def test_many_threads_may_call_one_network() -> None:
    net = lecture_net()
    images = random(8, 4, 3, 8, 8)
    expected = [net(x) for x in images]
    fresh = copy.deepcopy(net)  # nothing is packed yet: the threads race for that too
    wrong: list[int] = []
    start = threading.Barrier(8)

    def work(i: int) -> None:
        start.wait()
        for _ in range(20):
            if not np.array_equal(fresh(images[i]), expected[i]):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_assigning_while_others_call_gives_old_or_new_never_a_mixture() -> None:
    layer = nn.Linear(64, 64, bias=False)
    x = np.ones((4, 64), np.float32)
    choices = [np.full((64, 64), value, np.float32) for value in (1, 2, 3)]
    layer.weight = choices[0]
    stop = threading.Event()
    seen: set[float] = set()

    def work() -> None:
        while not stop.is_set():
            seen.update(np.unique(layer(x)).tolist())

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for i in range(300):
        layer.weight = choices[i % 3]
        assert np.unique(layer(x)).tolist() == [64.0 * (i % 3 + 1)]
    stop.set()
    for thread in threads:
        thread.join()
    assert seen <= {64.0, 128.0, 192.0}
