"""Results as JSON lines, each with what produced it: commit, date, CPU, compiler, threads."""

from __future__ import annotations

import datetime
import json
import platform
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import fastconv


def commit() -> str | None:
    """Return the commit of fastconv's own checkout, or None where there is none.

    A trailing ``-dirty`` says that files differ from that commit.

    Examples
    --------
    >>> from fastconv.benchmarks import records
    >>> isinstance(records.commit(), (str, type(None)))
    True
    """
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists() or not (root / "src_c" / "include" / "fastconv.h").exists():
        return None
    command = [
        "git",
        "-C",
        str(root),
        "describe",
        "--always",
        "--dirty",
        "--abbrev=12",
        "--exclude=*",
    ]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def cpu_model() -> str:
    """Return the name of the processor, as the operating system knows it.

    Examples
    --------
    >>> from fastconv.benchmarks import records
    >>> records.cpu_model() != ""
    True
    """
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("model name", "Model"):
                return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def environment() -> dict[str, Any]:
    """Return what a result depends on beside the layer.

    Returns
    -------
    dict
        ``commit``, ``date`` (UTC), ``fastconv``, ``numpy``, ``blas``, ``python``, ``cpu``, ``isa``,
        ``compiler``, ``openmp``.

    Examples
    --------
    >>> from fastconv.benchmarks import records
    >>> sorted(records.environment())[:4]
    ['blas', 'commit', 'compiler', 'cpu']
    """
    config = fastconv.show_config()
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "commit": commit(),
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "fastconv": config["version"],
        "numpy": np.__version__,
        "blas": f"{blas.get('name')} {blas.get('version')}",
        "python": platform.python_version(),
        "cpu": cpu_model(),
        "isa": config["isa"],
        "compiler": config["compiler"],
        "openmp": config["openmp"],
    }


def append(path: str | Path, results: Iterable[Mapping[str, Any]]) -> None:
    """Append results to a file, one JSON object a line.

    Parameters
    ----------
    path : path
        The file; it is made if it does not exist.
    results : iterable of mapping
        What `fastconv.benchmarks.compare.measure` returns.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from fastconv.benchmarks import records
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "results.jsonl")
    ...     records.append(path, [{"ms": 1.5}, {"ms": 2.5}])
    ...     print(path.read_text(), end="")
    {"ms": 1.5}
    {"ms": 2.5}
    """
    with Path(path).open("a", encoding="utf-8") as file:
        for result in results:
            file.write(json.dumps(dict(result)) + "\n")


def read(path: str | Path) -> list[dict[str, Any]]:
    """Read the results of the newest run from a file that `append` wrote: those of its last date.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    list of dict
        As they were appended.

    Raises
    ------
    ValueError
        If the file has no results, or is not one of results.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from fastconv.benchmarks import records
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "results.jsonl")
    ...     records.append(path, [{"ms": 1.5, "date": "2015-01-05"}])
    ...     records.append(path, [{"ms": 2.5, "date": "2015-01-07"}])
    ...     records.read(path)
    [{'ms': 2.5, 'date': '2015-01-07'}]
    """
    try:
        lines = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
        newest = lines[-1]["date"]
        return [line for line in lines if line["date"] == newest]
    except (json.JSONDecodeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: expected results as JSON lines ({error!r})") from None
