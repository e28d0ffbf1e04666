"""Predictors in the pools that users have: fork and spawn, joblib, Dask; each in a child."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest
from child import SEARCH, check
from networks import lecture_net

import fastconv

PRELUDE = """
    import multiprocessing, os, sys
    import numpy as np, fastconv
    from networks import random
    from test_predictors import where

    if __name__ == "__main__":
        path = sys.argv[1]
        predict = fastconv.Predictor(path)
        parts = [random(2, 3, 8, 8, seed=seed) for seed in range(6)]
        right = [fastconv.load(path)(part, num_threads=1) for part in parts]
        assert np.array_equal(predict(parts[0]), right[0])  # the parent has loaded it, too
"""

PATHS = os.pathsep.join([*SEARCH, os.environ.get("PYTHONPATH", "")])


def where(predict: fastconv.Predictor, x: object) -> tuple[object, int]:
    """Answer, and how many models this process has loaded."""
    from fastconv import networks

    return predict(x), len(networks._loaded)


@pytest.fixture
def saved(tmp_path: Path) -> str:
    path = str(tmp_path / "net.fastconv")
    fastconv.compile(lecture_net(), (3, 8, 8)).save(path)
    return path


def need(module: str) -> None:
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing(method: str, saved: str) -> None:
    check(
        PRELUDE
        + f"""
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads is what is tested
        with multiprocessing.get_context({method!r}).Pool(2) as pool:
            found = pool.starmap_async(where, [(predict, part) for part in parts]).get(60)
        for (y, loaded), expected in zip(found, right):
            assert np.array_equal(y, expected) and loaded == 1
    """,
        saved,
        PYTHONPATH=PATHS,
    )


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_joblib(backend: str, saved: str) -> None:
    need("joblib")
    check(
        PRELUDE
        + f"""
        import joblib
        with joblib.Parallel(n_jobs=2, backend={backend!r}) as parallel:
            found = parallel(joblib.delayed(where)(predict, part) for part in parts)
        for (y, loaded), expected in zip(found, right):
            assert np.array_equal(y, expected) and loaded == 1
    """,
        saved,
        PYTHONPATH=PATHS,
    )


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_dask(scheduler: str, saved: str) -> None:
    need("dask")
    check(
        PRELUDE
        + f"""
        import dask.array
        whole = dask.array.from_array(np.concatenate(parts), chunks=(2, 3, 8, 8))
        answers = whole.map_blocks(predict, dtype=np.float32, drop_axis=(2, 3), chunks=(2, 5))
        y = answers.compute(scheduler={scheduler!r}, num_workers=2)
        assert np.array_equal(y, np.concatenate(right))
    """,
        saved,
        PYTHONPATH=PATHS,
    )
