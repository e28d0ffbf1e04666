"""Nothing is read or written beyond the arrays: each touches a page that nobody may access.

A fault kills the process, so each family runs in a child whose last words name the case.
"""

from __future__ import annotations

import signal

import pytest
from cases import DTYPES
from child import run, tail
from guard import FAMILIES, SIDES

import fastconv

MAIN = "import sys, guard; guard.main(sys.argv[1], sys.argv[2:])"


@pytest.mark.parametrize("family", [f for f in FAMILIES if f != "overrun"])
def test_no_access_beyond_arrays(family: str) -> None:
    """On every instruction set: the child's last words say which one it was."""
    done = run(MAIN, family, *fastconv.show_config()["isa_supported"])
    words = tail(done.stderr, 40)
    if done.returncode < 0:
        pytest.fail(f"killed by {signal.Signals(-done.returncode).name}; last words:\n{words}")
    assert done.returncode == 0, words
    assert done.stdout.strip() == "done"


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("dtype_name", DTYPES)
def test_guard_pages_do_kill(side: str, dtype_name: str) -> None:
    """The check itself: one byte too far ends the child."""
    code = "import sys, guard; guard.overrun('', sys.argv[1], sys.argv[2])"
    done = run(code, dtype_name, side)
    assert done.returncode != 0
    assert "about to read the forbidden page" in done.stderr
