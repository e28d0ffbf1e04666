"""A batch in groups of images: the same bits, whatever the groups; less memory; one row a step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from onnx_nets import CHANNELS, NETS

import fastconv
from fastconv.graph import slicing
from fastconv.graph.ir import Graph, Node, Port
from fastconv.graph.model import Model


def outputs(model: Any, x: Any, **options: Any) -> tuple[Any, ...]:
    found = model(x, **options)
    return found if isinstance(found, tuple) else (found,)


def sizes_from(seed: int) -> Any:
    """Return a stand-in for `group_sizes`: each step its own number of images, or 1, or 2."""
    rng = np.random.default_rng(seed)

    def sizes(costs: Sequence[Any], batch: int, least: int) -> list[int]:
        if seed < 2:
            return [1 + seed] * len(costs)
        changes = rng.integers(1, batch + 1, len(costs))
        return [int(changes[i - i % 3 if seed % 2 else i]) for i in range(len(costs))]

    return sizes


@pytest.mark.usefixtures("eight_threads")
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", NETS)
def test_bits_do_not_depend_on_groups(
    name: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.random.default_rng(seed).standard_normal((5, CHANNELS[name], 24, 19)).astype(np.float32)
    right = outputs(fastconv.load(NETS[name]()), x)
    monkeypatch.setattr(slicing, "group_sizes", sizes_from(seed))
    model = fastconv.load(NETS[name]())
    for threads in (1, 3):
        for found, wanted in zip(outputs(model, x, num_threads=threads), right, strict=True):
            np.testing.assert_array_equal(found, wanted)


def chain(depth: int, channels: int = 32) -> Graph:
    """Convolutions 1x1 and residual additions, one after the other."""
    rng = np.random.default_rng(0)
    graph = Graph(
        inputs=[Port("v0", (None, channels, None, None), np.dtype(np.float32))],
        outputs=[(Port("y", None, np.dtype(np.float32)), "y")],
        constants={"w": rng.standard_normal((channels, channels, 1, 1)).astype(np.float32)},
    )
    for i in range(depth):
        inputs = [f"v{i}", "w", "", f"v{i}"] if i % 2 else [f"v{i}", "w"]
        graph.nodes.append(Node("conv", inputs, [f"v{i + 1}"], {"activation": "relu"}, f"c{i}"))
    shape = {"kind": "average", "kernel": (64, 64)}
    graph.nodes.append(Node("pool", [f"v{depth}"], ["y", ""], shape))
    return graph


def test_large_batches_are_parted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slicing, "get_num_threads", lambda: 1)
    x = np.random.default_rng(1).standard_normal((16, 32, 64, 64)).astype(np.float32)
    model, lines = Model(chain(4)), len(Model(chain(4)).summary((1, 32, 64, 64)).lines)
    y = model(x)
    np.testing.assert_array_equal(np.concatenate([model(x[i : i + 1]) for i in range(16)]), y)
    plans = {r.plan.rows[0].shape[0]: r.plan for r in model._plans.values() if r.plan}
    assert plans[16].program.step_count > plans[1].program.step_count == lines
    # so that what passes between the steps has room for some of the images only
    assert plans[16].program.workspace_bytes(1) < 8 * plans[1].program.workspace_bytes(1)
    report = model.profile(x, runs=1)
    assert len(report.lines) == lines
    assert all(line.ms > 0 for line in report.lines)


def test_many_threads_have_an_image_each() -> None:
    large = (1 << 20, 1 << 19, 1 << 10)
    assert slicing.group_sizes([large] * 4, batch=64, least=1) == [2] * 4
    assert slicing.group_sizes([large] * 4, batch=64, least=6) == [12] * 4
    assert slicing.group_sizes([large] * 4, batch=64, least=64) == [64] * 4
    heavy = (1 << 20, 1 << 19, 1 << 30)
    assert slicing.group_sizes([heavy] * 4, batch=64, least=1) == [64] * 4
    assert min(slicing.group_sizes([(1 << 24, 1 << 23, 0)], batch=1000, least=1)) * 64 >= 1000
