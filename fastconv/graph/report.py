"""Tables of what a network's steps are and how long they take."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from .builder import Row, shape_text


class Line(NamedTuple):
    """One step: what it is, what it writes, and how long it took (0 where nothing ran)."""

    label: str
    algorithm: str
    output: str
    mflop: float
    mbytes: float
    ms: float

    @property
    def gflops(self) -> float:
        """Thousand million operations a second."""
        return self.mflop / self.ms if self.ms else 0.0


def _short(label: str, most: int = 60) -> str:
    """Leave the middle of a long label out."""
    return label if len(label) <= most else f"{label[: most // 2 - 1]}…{label[-most // 2 :]}"


class Report:
    """What `Model.summary` and `Model.profile` return: prints as a table.

    Attributes
    ----------
    lines : list of Line
        One for each step, in the order in which they run.

    Examples
    --------
    >>> from fastconv.graph.report import Line, Report
    >>> print(Report([Line("node 'c' (Conv)", "direct", "1x8x4x4", 0.5, 0.25, 0.01)], True, ""))
    step             algorithm  output   MFLOP    MB     ms  GFLOP/s    %
    ---------------  ---------  -------  -----  ----  -----  -------  ---
    node 'c' (Conv)  direct     1x8x4x4    0.5  0.25  0.010     50.0  100
    total                                  0.5  0.25  0.010     50.0  100
    """

    def __init__(self, lines: list[Line], timed: bool, note: str) -> None:
        self.lines, self.timed, self.note = lines, timed, note

    @property
    def total(self) -> Line:
        """The sum of all steps."""
        sums = (sum(getattr(line, key) for line in self.lines) for key in ("mflop", "mbytes", "ms"))
        return Line("total", "", "", *sums)

    def _header(self) -> list[str]:
        header = ["step", "algorithm", "output", "MFLOP", "MB"]
        return [*header, "ms", "GFLOP/s", "%"] if self.timed else header

    def _cells(self, line: Line) -> list[str]:
        cells = [
            _short(line.label),
            line.algorithm,
            line.output,
            f"{line.mflop:.1f}",
            f"{line.mbytes:.2f}",
        ]
        if not self.timed:
            return cells
        share = 100 * line.ms / self.total.ms if self.total.ms else 0
        return [*cells, f"{line.ms:.3f}", f"{line.gflops:.1f}", f"{share:.3g}"]

    def __str__(self) -> str:
        rows = [self._cells(line) for line in (*self.lines, self.total)]
        header = self._header()
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        lines = []
        for cells in (header, ["-" * width for width in widths], *rows):
            left = [cell.ljust(width) for cell, width in zip(cells[:3], widths, strict=False)]
            pairs = zip(cells[3:], widths[3:], strict=True)
            lines.append("  ".join([*left, *(cell.rjust(width) for cell, width in pairs)]).rstrip())
        return "\n".join([*lines, self.note] if self.note else lines)

    __repr__ = __str__

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write all lines as comma-separated values, numbers in full."""
        import csv  # tables that are not written need not wait for it

        with open(path, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*Line._fields, "gflops"])
            writer.writerows([*line, line.gflops] for line in self.lines)

    def plot(self, most: int = 20) -> Any:
        """Draw the steps that take longest as bars -> a matplotlib figure.

        Raises
        ------
        ImportError
            If matplotlib is missing (``pip install fastconv[plot]``).
        """
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise ImportError("drawing needs matplotlib: pip install fastconv[plot]") from error
        key = "ms" if self.timed else "mflop"
        lines = sorted(self.lines, key=lambda line: -float(getattr(line, key)))[:most][::-1]
        figure = Figure(figsize=(9, 1 + 0.3 * len(lines)), layout="constrained")
        axes = figure.subplots()
        names = [f"{line.label} {line.output}" for line in lines]
        axes.barh(range(len(lines)), [getattr(line, key) for line in lines])
        axes.set_yticks(range(len(lines)), names)
        axes.set_xlabel("milliseconds" if self.timed else "million operations")
        return figure


def report(rows: Sequence[Row], seconds: Sequence[float] | None, note: str = "") -> Report:
    """Make a report of a plan's rows; `seconds` has one number for each step of the program.

    Examples
    --------
    >>> from fastconv.graph.builder import Row
    >>> from fastconv.graph.report import report
    >>> report([Row("a", "", (2,), 0, 16, (0, 1))], [0.001, 0.002]).lines[0].ms
    3.0
    """
    lines = []
    for row in rows:
        took = 0.0 if seconds is None else 1e3 * sum(seconds[step] for step in row.steps)
        shape = shape_text(row.shape)
        lines.append(
            Line(row.label, row.detail, shape, row.flops / 1e6, row.data_bytes / 1e6, took)
        )
    return Report(lines, seconds is not None, note)
