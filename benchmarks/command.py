"""What ``python -m fastconv bench`` does beside peers.

The command line hands its options over, and how it shows progress and tables.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from . import (
    engines,
    errors,
    layers,
    network_worker,
    networks,
    peers,
    records,
    report,
    timing,
    worker,
)

Progress = Callable[[str, int], AbstractContextManager[Callable[[], None]]]
ShowTable = Callable[[str, Sequence[str], Sequence[Sequence[str]]], None]


def run(options: argparse.Namespace, progress: Progress, show: ShowTable) -> int:
    """Measure, or read what was measured, and show it.

    Parameters
    ----------
    options : Namespace
        Those of the command line.
    progress : callable
        From a label and a total to a context whose value is called once a step.
    show : callable
        Prints a table, given its title, header and rows.

    Returns
    -------
    int
        Exit status: 1 if fastconv failed at a layer, or gave a wrong answer.
    """
    results = records.read(options.read) if options.read else _measured(options, progress)
    if options.json and not options.read:
        records.append(options.json, results)
    for table in _tables(results):
        if options.markdown:
            print(table.markdown(), end="\n\n")
        else:
            show(*table)
    print(*report.notes(results), sep="\n\n" if options.markdown else "\n")
    if options.plot:
        from . import chart

        draw = chart.draw_network if "inputs" in results[0] else chart.draw
        draw(results).savefig(options.plot, dpi=120)
    return int(any(set(result["failed"]) - set(engines.PEERS) for result in results))


def _measured(options: argparse.Namespace, progress: Progress) -> list[dict[str, Any]]:
    """Run what the options ask for, and add to each result what produced it."""
    if options.dtype != "float32":
        raise ValueError("dtype: peers are compared in float32")
    if options.model:
        return _measured_network(options, progress)
    wanted = engines.FUNCTIONAL_PEERS if options.functional else engines.PEERS
    names = _installed(options, wanted, worker.ENGINES)
    chosen = layers.select(options.shapes or "classes", options.only)
    surroundings = {**records.environment(), "peers": engines.versions(names)}
    if options.errors:
        with progress("computing", len(chosen)) as advance:
            found = errors.measure(chosen, names, advance)
        return [{**result, **surroundings} for result in found]
    own: dict[str, Any] = {"data_format": options.data_format, "functional": options.functional}
    own["algorithm"] = None if options.algorithm == "auto" else options.algorithm
    results = []
    with progress("measuring", len(chosen) * len(options.threads)) as advance:
        for threads in options.threads:
            memory = {"read_gbytes_per_second": timing.read_bandwidth(threads)}
            for layer in chosen:
                result = peers.measure(
                    layer, names, threads=threads, rounds=options.rounds, options=own
                )
                results.append({**result, **memory, **surroundings})
                advance()
    return results


def _installed(options: argparse.Namespace, wanted: Sequence[str], known: Any) -> list[str]:
    """Names of those peers that are asked for and installed; say why others are left out."""
    if options.peers not in (None, "all"):
        wanted = tuple(name.strip() for name in options.peers.split(","))
    names, missing = engines.installed(wanted, known)
    for name, reason in missing.items():
        print(f"{name} left out: {reason}", file=sys.stderr)
    return names


def _measured_network(options: argparse.Namespace, progress: Progress) -> list[dict[str, Any]]:
    """Run a network file with each number of threads."""
    names = _installed(options, networks.PEERS, network_worker.ENGINES)
    surroundings = {**records.environment(), "peers": engines.versions(names)}
    results = []
    with progress("measuring", len(options.threads) * options.rounds) as advance:
        for threads in options.threads:
            result = networks.measure(
                options.model,
                names,
                shapes=options.shape or [],
                threads=threads,
                rounds=options.rounds,
                after_round=advance,
            )
            results.append({**result, **surroundings})
    return results


def _tables(results: list[dict[str, Any]]) -> list[report.Table]:
    if "ms" not in results[0]:
        return report.error_tables(results)
    if "inputs" in results[0]:
        return [report.network_table(results)]
    tables = []
    for threads in dict.fromkeys(result["threads"] for result in results):
        part = [result for result in results if result["threads"] == threads]
        tables += [report.layer_table(part), report.class_table(part)]
    return tables
