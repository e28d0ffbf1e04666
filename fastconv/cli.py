"""The command line, ``fastconv`` or ``python -m fastconv``.

Tables and progress bars are drawn by rich where it is installed (``pip install fastconv[cli]``);
without it tables are plain text.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fastconv
from fastconv import _cli_networks, runtime

if TYPE_CHECKING:
    from fastconv.demo.race import Report

Cells = Sequence[Sequence[str]]

PLAIN_WIDTH = 150  # of rich's tables where the output is no terminal


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words after the program's name; those of the process by default.

    Returns
    -------
    int
        Exit status: 0, or 1 if what the command checks is not so, or 2 if it cannot be done.

    Examples
    --------
    >>> from fastconv.cli import main
    >>> main(["summary"])  # doctest: +ELLIPSIS
    <BLANKLINE>
    ...
    0
    """
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except (ImportError, NotImplementedError, OSError, TypeError, ValueError) as error:
        print(f"fastconv {options.name}: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fastconv", description="Fast convolutions on the CPU.")
    parser.add_argument("--version", action="version", version=f"fastconv {fastconv.__version__}")
    commands = parser.add_subparsers(dest="name", required=True, metavar="command")

    demo = commands.add_parser(
        "demo", help="a small network reads handwritten digits, and how fast"
    )
    demo.add_argument("--threads", type=_positive, default=1, metavar="N", help="default: 1")
    demo.add_argument(
        "--plot", type=_writable, metavar="FILE.png", help="draw filters and predictions"
    )
    demo.set_defaults(command=_demo)

    _add_bench(
        commands.add_parser("bench", help="fastconv beside NumPy or its peers: layers, or a file")
    )

    info = commands.add_parser("info", help="version, instruction set, threads, and why")
    info.set_defaults(command=_info)

    summary = commands.add_parser(
        "summary", help="a network file's steps; without one, the demo network's layers"
    )
    summary.add_argument("model", nargs="?", help="an ONNX file, or one that convert wrote")
    summary.add_argument("--shape", action="append", type=_cli_networks.shape_of, metavar="NxCxHxW")
    summary.set_defaults(command=_summary)
    _cli_networks.add_commands(commands)
    return parser


def _add_bench(bench: argparse.ArgumentParser) -> None:
    """Add the options of bench: those of every comparison, then those with peers."""
    bench.add_argument(
        "model", nargs="?", help="an ONNX file, beside other runtimes; without one, layers"
    )
    bench.add_argument(
        "--shape", action="append", type=_cli_networks.shape_of, metavar="NxCxHxW", help="of inputs"
    )
    bench.add_argument(
        "--shapes",
        metavar="NAMES",
        help="see --list; 'all' for all; default: lecture, beside peers classes",
    )
    bench.add_argument("--only", metavar="TEXT", help="layers with this in their class or label")
    bench.add_argument("--list", action="store_true", help="list the files of shapes")
    bench.add_argument("--threads", type=_counts, default=[1], metavar="N,...", help="default: 1")
    bench.add_argument("--algorithm", choices=list(runtime.ALGORITHMS), default="auto")
    bench.add_argument("--isa", metavar="NAME", help="force an instruction set")
    bench.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    bench.add_argument("--rounds", type=_positive, default=7, metavar="N", help="default: 7")
    bench.add_argument(
        "--json", type=_writable, metavar="FILE", help="append results as JSON lines"
    )
    bench.add_argument("--plot", type=_writable, metavar="FILE.png", help="draw a chart")
    beside = bench.add_argument_group("beside other libraries, each in processes of its own")
    beside.add_argument(
        "--peers", nargs="?", const="all", metavar="NAMES", help="which; default: all installed"
    )
    beside.add_argument(
        "--functional", action="store_true", help="functional calls, which pack weights each time"
    )
    beside.add_argument("--data-format", choices=["NCHW", "NHWC"], default="NCHW")
    beside.add_argument(
        "--errors", action="store_true", help="rounding errors by algorithm, no times"
    )
    beside.add_argument("--read", type=Path, metavar="FILE", help="show the newest run of a --json")
    beside.add_argument("--markdown", action="store_true", help="tables as Markdown")
    bench.set_defaults(command=_bench)


def _counts(text: str) -> list[int]:
    return [_positive(part) for part in text.split(",")]


def _positive(text: str) -> int:
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 up, got {text!r}")
    return value


def _writable(text: str) -> Path:
    path = Path(text)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"no such folder: {str(path.parent)!r}")
    return path


def _info(options: argparse.Namespace) -> int:
    print(fastconv.show_config())
    return 0


def _summary(options: argparse.Namespace) -> int:
    if options.model:
        return _cli_networks.summary(options.model, options.shape or [])
    from fastconv import demo

    print("\nThe demo network (python -m fastconv demo)\n")
    print(fastconv.summary(demo.network(), demo.INPUT_SHAPE))
    return 0


def _demo(options: argparse.Namespace) -> int:
    from fastconv import demo
    from fastconv.demo import race

    if options.plot:
        _need_matplotlib()
    print("\nfastconv demo: a small convolutional network reads handwritten digits")
    print(f"Data: {demo.CREDITS}\n")
    print(fastconv.summary(demo.network(), demo.INPUT_SHAPE))
    with _progress("running fastconv and NumPy in turns", 2 * race.ROUNDS) as advance:
        report = race.run(options.threads, after_round=advance)
    _print_report(report)
    if options.plot:
        from fastconv.demo import picture

        picture.draw().savefig(options.plot, dpi=120)
        print(f"Picture written to {options.plot}")
    return 0 if report.same_answers else 1


def _print_report(report: Report) -> None:
    rows = [
        [
            f"{t.batch} image{'s' if t.batch != 1 else ''}",
            f"{t.fastconv_ms:.3f}",
            f"{t.numpy_ms:.3f}",
            f"{t.numpy_ms / t.fastconv_ms:.1f}x",
            f"{t.numpy_blocked_ms:.3f}",
            f"{t.numpy_blocked_ms / t.fastconv_ms:.1f}x",
        ]
        for t in report.times
    ]
    header = ["batch", "fastconv ms", "NumPy ms", "speedup", "NumPy blocked ms", "speedup"]
    _table("Speed of the network beside NumPy's im2col + matmul", header, rows)
    print("NumPy blocked: the batch cut into slices whose columns fit the cache.")
    count = f"{report.threads} thread{'s' if report.threads != 1 else ''}"
    print(f"Threads: fastconv {count} ({runtime.show_config()['isa']}); {report.blas}.")
    print(
        f"Accuracy on held-out images: {report.accuracy:.2%} "
        f"({report.correct} of {report.total}; none took part in training)"
    )
    verdict = "the same" if report.same_answers else "NOT THE SAME"
    print(
        f"Answers of fastconv and NumPy: {verdict}; largest difference of a score "
        f"{report.largest_difference:.2e} (allowed {report.allowed_difference:.2e}), predictions "
        f"{'identical' if report.same_predictions else 'DIFFERENT'}"
    )


def _bench(options: argparse.Namespace) -> int:
    from fastconv.benchmarks import layers

    if options.list:
        for name in layers.available():
            print(name, *(f"    {layer.label}" for layer in layers.load(name)), sep="\n")
        return 0
    if options.plot:
        _need_matplotlib()
    with _forced_isa(options.isa):
        if options.model or options.peers or options.functional or options.errors or options.read:
            from fastconv.benchmarks import command

            return command.run(options, _progress, _table)
        return _bench_numpy(options)


def _bench_numpy(options: argparse.Namespace) -> int:
    from fastconv.benchmarks import compare, layers, records

    chosen = layers.convolutions(layers.select(options.shapes or "lecture", options.only))
    results = []
    surroundings = records.environment()
    total = len(chosen) * len(options.threads) * options.rounds
    with _progress("measuring", total) as advance:
        for threads in options.threads:
            for layer in chosen:
                result = compare.measure(
                    layer,
                    threads=threads,
                    algorithm=None if options.algorithm == "auto" else options.algorithm,
                    dtype=options.dtype,
                    rounds=options.rounds,
                    after_round=advance,
                )
                results.append({**result, **surroundings})
    for threads in options.threads:
        _print_results([result for result in results if result["threads"] == threads])
    if options.json:
        records.append(options.json, results)
        print(f"Results appended to {options.json}")
    if options.plot:
        from fastconv import plot

        plot.bench(results).savefig(options.plot, dpi=120)
        print(f"Chart written to {options.plot}")
    return 0


def _print_results(results: Sequence[dict[str, Any]]) -> None:
    rows = [
        [
            f"{r['network']} {r['label']}",
            f"{r['ms']:.3f}",
            f"{r['gflops']:.1f}",
            f"{r['percent_of_peak']:.1f}",
            f"{r['numpy_ms']:.3f}",
            f"{r['speedup']:.1f}x",
            f"{r['numpy_blocked_ms']:.3f}",
            f"{r['speedup_blocked']:.1f}x",
        ]
        for r in results
    ]
    header = ["layer", "ms", "GFLOP/s", "% of peak", "NumPy ms", "speedup", "blocked ms", "speedup"]
    first = results[0]
    title = f"Convolution, {first['dtype']}, {first['isa']}, algorithm {first['algorithm']}"
    _table(title, header, rows)
    peaks = sorted(r["peak_gflops"] for r in results)
    count = f"{first['threads']} thread{'s' if first['threads'] != 1 else ''}"
    print(f"{first['cpu']}, {count}; {first['blas_threads']} ({first['blas']}).")
    print(f"FMA peak measured beside each layer: {peaks[0]:.0f} to {peaks[-1]:.0f} GFLOP/s.")
    print("blocked: NumPy with the batch cut into slices whose columns fit the cache.")


@contextlib.contextmanager
def _forced_isa(name: str | None) -> Iterator[None]:
    """Force an instruction set for a while."""
    before = runtime.show_config()["isa"]
    if name is not None:
        runtime.set_isa(name)
    try:
        yield
    finally:
        if name is not None:
            runtime.set_isa(before)


def _need_matplotlib() -> None:
    """Find out that matplotlib is missing before the work is done, not after it."""
    from fastconv import plot

    plot.new_figure(1, 1)


@contextlib.contextmanager
def _progress(label: str, total: int) -> Iterator[Callable[[], None]]:
    """Show progress on the standard error stream, if that is a terminal and rich is installed."""
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ImportError:
        yield lambda: None
        return
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total)
        yield lambda: bar.advance(task)


def _table(title: str, header: Sequence[str], rows: Cells) -> None:
    """Print a table: the first column to the left, numbers to the right."""
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        print(_plain_table(title, header, rows))
        return
    console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    table = Table(title=title, title_justify="left")
    for number, name in enumerate(header):
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _plain_table(title: str, header: Sequence[str], rows: Cells) -> str:
    widths = [max(len(row[place]) for row in (header, *rows)) for place in range(len(header))]
    lines = [title]
    for row in (header, ["-" * width for width in widths], *rows):
        numbers = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        lines.append("  ".join([row[0].ljust(widths[0]), *numbers]))
    return "\n".join(lines)
