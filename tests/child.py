"""Run Python in a process of its own: for crashes, hangs, environment variables and forks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import fastconv

#: The folder from which this process imports fastconv, and this folder.
SEARCH = (str(Path(fastconv.__file__).parents[1]), str(Path(__file__).parent))

#: A hang is a failure: far beyond what any child needs, sanitizers and slow machines included.
TIMEOUT = 240


def run(
    code: str, *arguments: str, timeout: float = TIMEOUT, **environment: str | None
) -> subprocess.CompletedProcess[str]:
    """Run `code` with `environment` added (None removes a variable) and return what came out.

    The child leads a process group of its own, which is killed as a whole when time is up, so that
    its children cannot outlive it.
    """
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(SEARCH)}
    for name in ("FASTCONV_ISA", "FASTCONV_NUM_THREADS", "OMP_NUM_THREADS"):
        variables.pop(name, None)
    for name, value in environment.items():
        if value is None:
            variables.pop(name, None)
        else:
            variables[name] = value
    command = [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(code), *arguments]
    process = subprocess.Popen(
        command,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        err += f"\nkilled: it still ran after {timeout} s"
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def check(code: str, *arguments: str, timeout: float = TIMEOUT, **environment: str | None) -> str:
    """Run `code`, fail with all that it said unless it ends well, and return its output."""
    done = run(code, *arguments, timeout=timeout, **environment)
    assert done.returncode == 0, (
        f"the child ended with {done.returncode}\n"
        f"--- last lines of its output\n{tail(done.stdout)}\n"
        f"--- last lines of its errors\n{tail(done.stderr)}"
    )
    return done.stdout


def tail(text: str, lines: int = 25) -> str:
    """Return the last lines of a text."""
    return "\n".join(text.splitlines()[-lines:])
