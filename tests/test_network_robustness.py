"""Broken files end in errors of our own; plans come and go, and memory stands still."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import math
import os
import random
from pathlib import Path
from typing import Any

import child
import networks
import numpy as np
import pytest

import fastconv
from fastconv import _native, nn
from fastconv.errors import ModelFormatError, ShapeError, UnsupportedOperatorError
from fastconv.graph import files
from fastconv.graph.model import MOST_PLANS

#: What a broken description may say instead.
NUMBERS = (0, -1, 7, 2**31, 2**70, 1.5, float("nan"), True)
WRONG: tuple[Any, ...] = (None, *NUMBERS, "", "x", "<f8", "|O", [], [1, 1], {})


def replaced(value: Any, source: random.Random) -> None:
    """Put something else, or nothing, in one place of a description."""
    places: list[tuple[Any, Any]] = []

    def walk(inner: Any) -> None:
        found = inner.items() if isinstance(inner, dict) else enumerate(inner)
        for key, element in list(found):
            places.append((inner, key))
            if isinstance(element, list | dict):
                walk(element)

    walk(value)
    container, key = source.choice(places)
    if source.random() < 0.2:
        del container[key]
    else:
        container[key] = source.choice(WRONG)


def mutated(content: bytes, source: random.Random) -> bytes:
    """Return a saved network with its description changed, bytes changed, or its end missing."""
    begin = len(files.MAGIC) + 8
    end = begin + int.from_bytes(content[begin - 8 : begin], "little")
    kind = source.random()
    if kind < 0.2:
        return content[: source.randrange(len(content))]
    if kind < 0.4:
        data = bytearray(content)
        for _ in range(source.choice((1, 2, 4))):
            data[source.randrange(end)] = source.randrange(256)
        return bytes(data)
    description = json.loads(content[begin:end])
    for _ in range(source.choice((1, 1, 2))):
        replaced(description, source)
    text = json.dumps(description).encode()
    head = files.MAGIC + len(text).to_bytes(8, "little") + text
    return head + b"\0" * (-len(head) % 64) + content[end + -end % 64 :]


def onnx_contents() -> list[Any]:
    if importlib.util.find_spec("onnx") is None:
        return []
    from onnx_nets import NETS

    return [fastconv.load(make()) for make in NETS.values()]


@pytest.mark.parametrize("seed", range(3))
def test_mutated_saved_networks(seed: int, tmp_path: Path) -> None:
    """They are refused, or run, or say what is wrong with them when they are called."""
    source, path, loaded = random.Random(seed), tmp_path / "net", 0
    contents = []
    for model in (fastconv.compile(networks.lecture_net(), (3, 8, 8)), *onnx_contents()):
        model.save(path)
        contents.append(path.read_bytes())
    for _ in range(250):
        path.write_bytes(mutated(source.choice(contents), source))
        try:
            model = fastconv.load(path)
        except (ModelFormatError, UnsupportedOperatorError):
            continue
        loaded += 1
        sizes = [[s if isinstance(s, int) else 8 for s in p.shape or ()] for p in model.inputs]
        if all(math.prod(shape) < 1e6 for shape in sizes):
            arrays = [np.ones(s, p.dtype) for s, p in zip(sizes, model.inputs, strict=True)]
            with contextlib.suppress(ModelFormatError, ShapeError, UnsupportedOperatorError):
                model(*arrays)
    assert loaded > 0


# ---- plans


def test_plans_are_bounded_and_share_what_is_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    model = fastconv.compile(nn.Sequential(nn.Conv2d(3, 32, 1, rng=0), nn.MaxPool2d(2)), (3, 8, 8))
    x = networks.random(1, 3, 8, 8)
    right = model(x)
    kept = model._ready(*key_of(x))

    def refuse(size: int) -> Any:
        raise MemoryError("packed anew")

    monkeypatch.setattr(_native, "empty_bytes", refuse)
    for size in range(10, 40):
        model(networks.random(1 + size % 3, 3, size, 8))
        np.testing.assert_array_equal(model(x), right)
    assert len(model._plans) == MOST_PLANS
    assert model._ready(*key_of(x)) is kept, "what is used again and again is not dropped"


def key_of(x: Any) -> tuple[Any, ...]:
    return (_native.describe(x, "x")[1],), [x]


@pytest.mark.skipif(
    "libasan" in os.environ.get("LD_PRELOAD", ""), reason="the sanitizer keeps freed memory"
)
def test_memory_stands_still_over_changing_batches_and_sizes() -> None:
    child.check(
        """
    import gc, random
    import numpy as np, fastconv
    from fastconv import nn
    model = fastconv.compile(nn.Sequential(nn.Conv2d(3, 16, 3), nn.MaxPool2d(2)), (3, 32, 32))
    source, x = random.Random(0), np.ones((4, 3, 64, 64), np.float32)
    fastconv.set_num_threads(1)
    def resident():
        gc.collect()
        fastconv.trim()
        return int(open("/proc/self/statm").read().split()[1]) * 4096
    for call in range(1000):
        if call == 300:
            before = resident()
        n, h, w = source.randint(1, 4), source.randint(8, 64), source.randint(8, 64)
        model(x[:n, :, :h, :w])
    grown = resident() - before
    assert grown < 2**20, f"{grown / 2**20:.1f} MiB more after 700 calls"
    """
    )
