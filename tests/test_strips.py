"""Images in strips of rows: the same bits, whatever the strips; less memory; one row a step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx_nets import CHANNELS, NETS, Net

import fastconv
from fastconv.graph import strips
from fastconv.graph.strips import Window


def in_any_strips(seed: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let everything that can run in strips do so, in some number of them; returns these."""
    rng, counts = np.random.default_rng(seed), []

    def some(run: Any, inside: set[int]) -> Any:
        count = int(rng.integers(2, max(run.heights[-1], 2) + 1))
        found = run.part(count, inside)
        if found is None:
            return None
        counts.append(count)
        return found[0]

    monkeypatch.setattr(strips, "get_num_threads", lambda: 1)
    monkeypatch.setattr(strips, "NEAR_BYTES", 0)
    monkeypatch.setattr(strips, "_in_strips", some)
    return counts


def outputs(model: Any, x: Any, **options: Any) -> tuple[Any, ...]:
    found = model(x, **options)
    return found if isinstance(found, tuple) else (found,)


def random_net(seed: int) -> Any:
    """Convolutions of all kinds with residuals, scales and concatenations between them."""
    net, rng = Net(seed=seed), np.random.default_rng(seed)
    channels, x, before = 3, "x", ""
    for _ in range(10):
        kind, r = rng.integers(7), int(rng.choice([1, 3, 5]))
        shape: dict[str, Any] = {
            "strides": [int(rng.integers(1, 3)), 1],
            "dilations": [int(rng.integers(1, 3)), 1],
            "pads": [int(rng.integers(r)), r // 2, int(rng.integers(r)), r // 2],
        }
        if kind == 0:
            more = int(rng.integers(1, 40))
            x, before, channels = net.conv(x, channels, more, r, **shape), "", more
        elif kind == 1:
            x, before = net.conv(x, channels, channels, r, group=channels, **shape), ""
        elif kind == 2:
            alike: dict[str, Any] = {"pads": [r // 2] * 4}
            before, x = x, net.conv(x, channels, channels, r, group=channels, **alike)
            x = net.add("Clip", x, net.const(0.0), net.const(6.0))
        elif kind == 3 and before:
            x = net.add("Add", net.conv(x, channels, channels, 1), before)
        elif kind == 4:
            x = net.add("Mul", x, net.random(1, channels, 1, 1))
        elif kind == 5:
            x, before = net.add("Sigmoid", x), ""
        else:
            parts = [net.conv(x, channels, 4, 1), net.conv(x, channels, 9, 3, pads=[1] * 4)]
            x, before, channels = net.add("Concat", *parts, axis=1), "", 13
    return net.model(["n", 3, "h", "w"], x)


@pytest.mark.usefixtures("eight_threads")
@pytest.mark.parametrize("seed", range(24))
def test_bits_do_not_depend_on_strips(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    names = list(NETS)
    name = names[seed % 4] if seed < 8 else ""
    batch = 1 if seed % 3 else 2
    shape = (batch, CHANNELS.get(name, 3), *((24, 19) if name else (61, 7)))
    x = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    network = NETS[name]() if name else random_net(seed)
    right = outputs(fastconv.load(network), x)
    counts = in_any_strips(seed, monkeypatch)
    model = fastconv.load(network)
    for threads in (1, 3):
        for found, wanted in zip(outputs(model, x, num_threads=threads), right, strict=True):
            np.testing.assert_array_equal(found, wanted)
    assert counts or name != "mobile" or batch > 1


def inverted_residual() -> Any:
    """Two blocks of MobileNetV2: the tensors in between are larger than the cache of a core."""
    net = Net()
    x = "x"
    for _ in range(2):
        wide = net.add("Relu", net.conv(x, 16, 96, 1))
        deep = net.add("Relu", net.conv(wide, 96, 96, 3, group=96, pads=[1] * 4))
        x = net.add("Add", net.conv(deep, 96, 16, 1), x)
    return net.model([1, 16, 96, 96], net.add("GlobalAveragePool", x))


def test_large_tensors_are_never_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).standard_normal((1, 16, 96, 96)).astype(np.float32)
    with fastconv.threads(2):
        whole = fastconv.load(inverted_residual())
    with fastconv.threads(1):
        model = fastconv.load(inverted_residual())
    np.testing.assert_array_equal(model(x), whole(x))
    (plan,), (other,) = ([r.plan for r in m._plans.values() if r.plan] for m in (model, whole))
    assert other.program.step_count == len(other.rows) == len(plan.rows) < plan.program.step_count
    assert plan.program.workspace_bytes(1) * 3 < other.program.workspace_bytes(1)
    report = model.profile(x, runs=1)
    assert len(report.lines) == len(plan.rows)
    assert all(line.ms > 0 for line in report.lines)


def test_windows() -> None:
    for window in (Window(), Window(3, 1, 1), Window(3, 2, 1), Window(5, 2, 0), Window(1, 3, 0)):
        for height in (7, 8, 16):
            rows = (height + 2 * window.pad - window.extent) // window.stride + 1
            taps = [
                list(range(p * window.stride - window.pad, height))[: window.extent]
                for p in range(rows)
            ]
            for p in range(rows):
                inside = [h for h in taps[p] if 0 <= h < height]
                assert window.begin(p) == inside[0]
                assert window.end(p + 1, height) == inside[-1] + 1
