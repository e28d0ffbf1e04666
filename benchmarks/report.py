"""Tables of results, for a terminal or as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from . import errors, peers
from .engines import PEERS

Results = Sequence[Mapping[str, Any]]

#: Names of engines in tables; the others are called as they are.
TITLES = {"onnxruntime": "ORT", "openvino": "OpenVINO", "torch_nhwc": "torch NHWC"}


class Table(NamedTuple):
    """A title, a row of column names, and rows: words in the first column, then numbers."""

    title: str
    header: list[str]
    rows: list[list[str]]

    def markdown(self) -> str:
        """Write the table as Markdown.

        Examples
        --------
        >>> from fastconv.benchmarks.report import Table
        >>> print(Table("Layers", ["layer", "ms"], [["conv1", "1.5"]]).markdown())
        Layers
        <BLANKLINE>
        | layer | ms |
        |---|---:|
        | conv1 | 1.5 |
        """
        rule = "|---|" + "---:|" * (len(self.header) - 1)
        lines = [f"| {' | '.join(cells)} |" for cells in (self.header, *self.rows)]
        return "\n".join([self.title, "", lines[0], rule, *lines[1:]])


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _named(results: Results, key: str) -> list[str]:
    """Peers that appear in any result under `key`, in the order of `PEERS`."""
    found = {name for result in results for name in result[key]}
    return [name for name in PEERS if name in found]


def layer_table(results: Results) -> Table:
    """Tabulate the layers of `peers.measure`, of one number of threads.

    Examples
    --------
    >>> from fastconv.benchmarks import layers, peers, report
    >>> result = peers.measure(layers.Linear("", "fc", (1, 64), 10), [], rounds=1, seconds=0.0)
    >>> report.layer_table([result]).header
    ['layer', 'class', 'fastconv', 'GFLOP/s', '% of peak', 'GB/s', 'best/fastconv']
    """
    names = _named(results, "ms")
    rows = [
        [
            result["label"],
            result["class"],
            _number(result["ms"].get("fastconv"), ".3f"),
            _number(result["gflops"], ".0f"),
            _number(result["percent_of_peak"], ".0f"),
            _number(result["gbytes_per_second"], ".1f"),
            *(_number(result["ms"].get(name), ".3f") for name in names),
            _number(result["ratio"], ".2f"),
        ]
        for result in results
    ]
    header = ["layer", "class", "fastconv", "GFLOP/s", "% of peak", "GB/s"]
    header += [TITLES.get(name, name) for name in names]
    return Table(_what(results), [*header, "best/fastconv"], rows)


def _what(results: Results) -> str:
    """What was measured, in words, and the limits of the machine."""
    result = results[0]
    options = result["options"]
    calls = "functional calls" if options.get("functional") else "layer objects"
    count = result["threads"]
    words = [
        f"Milliseconds of fastconv's {calls} and of peers",
        "float32",
        options.get("data_format", "NCHW"),
    ]
    words += [f"algorithm {options['algorithm']}"] if options.get("algorithm") else []
    words += [f"{count} thread{'s' if count != 1 else ''}"]
    limits = f"FMA peak {statistics.median(r['peak_gflops'] for r in results):.0f} GFLOP/s"
    if "read_gbytes_per_second" in result:
        limits += f", memory read at {result['read_gbytes_per_second']:.0f} GB/s"
    return f"{', '.join(words)} ({limits})"


def class_table(results: Results) -> Table:
    """Tabulate how far fastconv is ahead by class, and over all layers.

    Examples
    --------
    >>> from fastconv.benchmarks import report
    >>> report.class_table([{"class": "3x3", "ratio": 2.0}]).rows[-1]
    ['all', '1', '2.00', '2.00', '0']
    """
    rows = [
        [
            line["class"],
            str(line["layers"]),
            f"{line['ratio']:.2f}",
            f"{line['least']:.2f}",
            str(line["behind"]),
        ]
        for line in peers.summarize(results)
    ]
    title = "Time of the best peer over fastconv's"
    return Table(title, ["class", "layers", "geometric mean", "least", "behind"], rows)


def network_table(results: Results) -> Table:
    """Tabulate what `networks.measure` returns, a row for each number of threads.

    Examples
    --------
    >>> from fastconv.benchmarks import report
    >>> result = {"network": "net.onnx", "inputs": [[1, 3]], "threads": 2, "ms": {"fastconv": 1.0}}
    >>> result |= {"gflops": 50.0, "percent_of_peak": 25.0, "ratio": None}
    >>> report.network_table([result]).rows
    [['2', '1.000', '50', '25', '–']]
    """
    names = _named(results, "ms")
    rows = [
        [
            str(result["threads"]),
            _number(result["ms"].get("fastconv"), ".3f"),
            _number(result["gflops"], ".0f"),
            _number(result["percent_of_peak"], ".0f"),
            *(_number(result["ms"].get(name), ".3f") for name in names),
            _number(result["ratio"], ".2f"),
        ]
        for result in results
    ]
    header = ["threads", "fastconv", "GFLOP/s", "% of peak"]
    header += [*(TITLES.get(name, name) for name in names), "best/fastconv"]
    shapes = ", ".join("x".join(map(str, shape)) for shape in results[0]["inputs"])
    return Table(f"Milliseconds of {results[0]['network']}, {shapes}, float32", header, rows)


def error_tables(results: Results) -> list[Table]:
    """Tabulate what `errors.measure` returns: root mean squares, then largest errors.

    Examples
    --------
    >>> from fastconv.benchmarks import report
    >>> result = {"class": "3x3", "max_error": {"auto": 3e-7}, "rms_error": {"auto": 2e-8}}
    >>> [table.rows for table in report.error_tables([result])]
    [[['3x3', '2.0e-08']], [['3x3', '3.0e-07']]]
    """
    lines = errors.summarize(results)
    own = [name for line in lines for name in line["max_error"] if name not in PEERS]
    names = [*dict.fromkeys(own), *_named(results, "max_error")]
    header = ["class", *(TITLES.get(name, name) for name in names)]
    titles = {
        "rms_error": "Root mean square error over the root mean square of the output",
        "max_error": "Largest error over the largest value of the output",
    }
    return [
        Table(
            f"{title}, float32",
            header,
            [
                [line["class"], *(_number(line[key].get(name), ".1e") for name in names)]
                for line in lines
            ],
        )
        for key, title in titles.items()
    ]


def notes(results: Results) -> list[str]:
    """Say what the tables rest on: machine, versions, and all that failed.

    Parameters
    ----------
    results : sequence of mapping
        What `peers.measure` or `errors.measure` return, with what `records.environment` and
        `engines.versions` add.

    Examples
    --------
    >>> from fastconv.benchmarks import layers, peers, records, report
    >>> result = peers.measure(layers.Linear("", "fc", (1, 64), 10), [], rounds=1, seconds=0.0)
    >>> len(report.notes([{**result, **records.environment(), "peers": {}}]))
    1
    """
    first = results[0]
    versions = {"fastconv": first["fastconv"], **first["peers"]}
    said = [
        f"{first['cpu']}, {first['isa']}, commit {first['commit'] or 'unknown'}, {first['date']}; "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + "."
    ]
    reasons: dict[tuple[str, str], list[str]] = {}
    for result in results:
        for name, reason in result["failed"].items():
            reasons.setdefault((name, reason), []).append(result["layer"])
    for (name, reason), failed in reasons.items():
        some = ", ".join(failed[:3]) + (", …" if len(failed) > 3 else "")
        said.append(f"{name} left out of {len(failed)} ({some}): {reason}")
    return said
