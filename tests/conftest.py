"""Fixtures, the state that every test starts from, and hypothesis' fixed seeds.

`tests/` is no package on purpose: pytest then puts this folder alone on `sys.path`, so that the
suite tests whichever fastconv is installed, be it the checkout, a wheel or a sanitizer build.
"""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis
import numpy as np
import pytest
from cases import DTYPES

import fastconv
from fastconv import _native, runtime

hypothesis.settings.register_profile(
    "fixed", derandomize=True, deadline=None, database=None, max_examples=150
)
hypothesis.settings.load_profile("fixed")

#: 0xFF in every byte is a NaN in both dtypes (and -1 as an integer): reading it never goes unseen.
NAN_BYTES = 0xFF


@pytest.fixture(autouse=True)
def _same_start() -> Iterator[None]:
    """Poison every workspace; put back threads, instruction set and algorithm afterwards."""
    isa = fastconv.show_config()["isa"]
    _native.set_workspace_fill(NAN_BYTES)
    default = _native.get_thread_default()
    yield
    _native.set_thread_default(default)
    _native.set_workspace_fill(-1)
    _native.set_cpu_limit(0)
    fastconv.set_algorithm("auto")
    runtime.set_isa(isa)


@pytest.fixture(params=fastconv.show_config()["isa_supported"])
def isa(request: pytest.FixtureRequest) -> str:
    """Force each instruction set that this machine has."""
    name: str = request.param
    runtime.set_isa(name)
    return name


@pytest.fixture(params=DTYPES)
def dtype(request: pytest.FixtureRequest) -> str:
    """Each floating-point type."""
    name: str = request.param
    return name


@pytest.fixture
def rng() -> np.random.Generator:
    """Return random numbers that are the same in every run."""
    return np.random.default_rng(0)


@pytest.fixture
def eight_threads() -> None:
    """Let fastconv run eight threads even on a machine with fewer processors."""
    _native.set_cpu_limit(8)
