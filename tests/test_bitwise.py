"""Results do not depend, not by one bit, on threads, batch splits or what ran before."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import BLOCKS, NETWORKS, ConvCase, exact
from reference import Array

from fastconv import _native, avg_pool2d, conv2d, fold, linear, max_pool2d, relu, softmax, unfold
from fastconv.functional import locally_connected2d

TEAMS = (1, 2, 3, 8)

#: Large enough that a team pays for itself, with sizes that no team divides evenly.
LARGE = (
    ConvCase("three-by-three", 1, 37, 57, 59, 67, padding=1),
    ConvCase("batch", 5, 19, 29, 31, 35, padding=1),
    ConvCase("one-by-one", 1, 131, 45, 41, 129, (1, 1)),
    ConvCase("filters-outweigh-pixels", 1, 257, 7, 7, 263, padding=1),
    ConvCase("first-layer", 1, 3, 111, 113, 65, (7, 7), (2, 2), 3),
    ConvCase("depthwise", 1, 131, 57, 55, 131, padding=1, groups=131),
    ConvCase("groups", 1, 66, 57, 55, 99, padding=1, groups=3),
    ConvCase("dilated", 1, 33, 61, 57, 35, padding=2, dilation=(2, 2)),
    ConvCase("strided", 2, 33, 61, 57, 65, stride=(2, 2), padding=1),
)


def ran_with(threads: int) -> bool:
    """Whether the last program of this thread ran on a team of that size (if there can be one)."""
    return bool(_native.last_num_threads() == (threads if _native.has_openmp() else 1))


@pytest.mark.parametrize(
    ("layout", "algorithm"),
    [
        ("NCHW", "channels_last"),
        ("NHWC", "channels_last"),
        ("NCHW", "planar"),
        ("NHWC", "planar"),
        ("NCHW", "im2col"),
    ],
)
@pytest.mark.parametrize("case", LARGE, ids=str)
@pytest.mark.usefixtures("eight_threads")
def test_convolution_by_any_team(
    case: ConvCase, layout: Any, algorithm: Any, dtype: str, isa: str
) -> None:
    x, w, b = case.normals(dtype)
    if layout == "NHWC":
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    arguments: dict[str, Any] = {**case.geometry, "data_format": layout, "algorithm": algorithm}
    answers: dict[int, bytes] = {}
    for threads in TEAMS:
        answers[threads] = conv2d(x, w, b, **arguments, num_threads=threads).tobytes()
        assert ran_with(threads)
    assert len(set(answers.values())) == 1


@functools.cache
def _operators(dtype: str) -> dict[str, Callable[[int], Any]]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 67, 57, 59)).astype(dtype)
    w, b = rng.standard_normal((515, 1031)).astype(dtype), rng.standard_normal(515).astype(dtype)
    rows = rng.standard_normal((131, 1031)).astype(dtype)
    columns = rng.standard_normal((3, 67 * 9, 57 * 59)).astype(dtype)
    local = rng.standard_normal((33, 19, 19, 171)).astype(dtype)
    wide = rng.standard_normal((3001, 257)).astype(dtype)
    image = np.ascontiguousarray(x[:2, :19, :21, :21])
    rows_of_images = np.concatenate([x, x, x])
    return {
        "max_pool2d": lambda n: max_pool2d(rows_of_images, 3, 2, 1, num_threads=n),
        "max_pool2d-indices": lambda n: max_pool2d(x, 3, 2, 1, return_indices=True, num_threads=n)[
            1
        ],
        "max_pool2d-nhwc": lambda n: max_pool2d(
            rows_of_images, 3, 2, 1, data_format="NHWC", num_threads=n
        ),
        "avg_pool2d": lambda n: avg_pool2d(rows_of_images, 3, 2, 1, num_threads=n),
        "avg_pool2d-large": lambda n: avg_pool2d(rows_of_images, 9, 2, 4, num_threads=n),
        "avg_pool2d-whole": lambda n: avg_pool2d(rows_of_images, (57, 59), num_threads=n),
        "unfold": lambda n: unfold(x, 3, padding=1, num_threads=n),
        "fold": lambda n: fold(columns, (57, 59), 3, padding=1, num_threads=n),
        "linear": lambda n: linear(rows, w, b, num_threads=n),
        "linear-one-row": lambda n: linear(rows[:1], w, b, num_threads=n),
        "relu": lambda n: relu(rows_of_images, num_threads=n),
        "softmax": lambda n: softmax(wide, -1, num_threads=n),
        "softmax-first-axis": lambda n: softmax(wide, 0, num_threads=n),
        "locally_connected2d": lambda n: locally_connected2d(
            image, local, kernel_size=3, num_threads=n
        ),
    }


@pytest.mark.parametrize("name", _operators("float32"))
@pytest.mark.usefixtures("eight_threads")
def test_operator_by_any_team(name: str, dtype: str, isa: str) -> None:
    call = _operators(dtype)[name]
    answers = set()
    for threads in TEAMS:
        answers.add(call(threads).tobytes())
        assert ran_with(threads)
    assert len(answers) == 1


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("case", BLOCKS, ids=str)
@pytest.mark.usefixtures("eight_threads")
def test_blocks_by_any_team_are_right(case: ConvCase, layout: Any, dtype: str, isa: str) -> None:
    x, w, b = case.integers(dtype)
    expected = exact(case)
    if layout == "NHWC":
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
        expected = expected.transpose(0, 2, 3, 1)
    for threads in TEAMS:
        y = conv2d(
            x, w, b, **case.geometry, data_format=layout, algorithm="direct", num_threads=threads
        )
        np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("threads", TEAMS)
@pytest.mark.parametrize("case", NETWORKS, ids=str)
@pytest.mark.usefixtures("eight_threads")
def test_teams_larger_than_the_work(case: ConvCase, threads: int, dtype: str) -> None:
    """Small layers: more threads than rows, tiles or filters may be asked for."""
    x, w, b = case.normals(dtype)
    alone = conv2d(x, w, b, **case.geometry, num_threads=1)
    team = conv2d(x, w, b, **case.geometry, num_threads=threads)
    assert team.tobytes() == alone.tobytes()


@pytest.mark.parametrize("algorithm", ["auto", "im2col"])
@pytest.mark.parametrize("case", NETWORKS[:-1], ids=str)
def test_batch_splits(case: ConvCase, algorithm: Any, dtype: str, isa: str) -> None:
    _, w, b = case.normals(dtype)
    rng = np.random.default_rng(7)
    x = rng.standard_normal((5, case.c, case.h, case.w)).astype(dtype)
    whole = conv2d(x, w, b, **case.geometry, algorithm=algorithm)
    for pieces in ([1, 2, 3, 4], [2]):
        parts = [
            conv2d(part, w, b, **case.geometry, algorithm=algorithm) for part in np.split(x, pieces)
        ]
        assert np.concatenate(parts).tobytes() == whole.tobytes()


def test_batch_splits_of_other_operators(dtype: str, isa: str) -> None:
    rng = np.random.default_rng(7)
    x = rng.standard_normal((5, 17, 13, 14)).astype(dtype)
    calls: list[Callable[[Array], Array]] = [
        lambda a: np.asarray(max_pool2d(a, 3, 2, 1)),
        lambda a: avg_pool2d(a, 3, 2, 1),
        lambda a: unfold(a, 3),
        lambda a: softmax(a, 1),
        lambda a: linear(a.reshape(len(a), -1), np.tile(x[0].ravel(), (33, 1))),
    ]
    for call in calls:
        parts = [call(part) for part in np.split(x, [1, 3])]
        assert np.concatenate(parts).tobytes() == call(x).tobytes()


def test_layout_of_the_batch_does_not_matter(dtype: str, isa: str) -> None:
    """One image gives the same bits wherever it lies in memory and in the batch."""
    case = ConvCase("position", 3, 19, 13, 15, 21, padding=1)
    x, w, b = case.normals(dtype)
    alone = [conv2d(x[i], w, b, padding=1).tobytes() for i in range(3)]
    assert [y.tobytes() for y in conv2d(x, w, b, padding=1)] == alone
    assert [y.tobytes() for y in conv2d(x[::-1], w, b, padding=1)] == alone[::-1]
    assert [y.tobytes() for y in conv2d(np.asfortranarray(x), w, b, padding=1)] == alone


def test_same_call_twice(dtype: str, isa: str) -> None:
    """A reused arena changes nothing."""
    first: dict[str, bytes] = {}
    for case in NETWORKS + NETWORKS[::-1]:
        x, w, b = case.normals(dtype)
        y = conv2d(x, w, b, **case.geometry).tobytes()
        assert first.setdefault(case.name, y) == y
