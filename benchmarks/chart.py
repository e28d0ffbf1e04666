"""A chart of fastconv and its peers: GFLOP/s of each layer, with the machine's peak as a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastconv import plot

from .engines import PEERS
from .layers import CLASSES
from .report import TITLES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Result = Mapping[str, Any]

COLORS = dict(zip(PEERS, ("#d98c2b", "#7b3f98", "#c0392b", "#e2a19a", "#2e8b57"), strict=True))
MARKERS = dict(zip(PEERS, "sDv^P", strict=True))


def draw(results: Sequence[Result]) -> Figure:
    """Draw a column of layers for each number of threads: a bar for fastconv, a point a peer.

    The dashed line is the FMA peak measured beside each layer. Algorithms that multiply less than
    the direct one pass it. Layers without multiplications (pooling) are drawn below, in GB/s.

    Parameters
    ----------
    results : sequence of mapping
        As `fastconv.benchmarks.peers.measure` returns them.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If there are no results.
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> from fastconv.benchmarks import chart
    >>> result = {"label": "conv1", "class": "3x3", "threads": 1, "ms": {"fastconv": 2.0}}
    >>> result |= {"flops": 10**8, "peak_gflops": 100.0}
    >>> figure = chart.draw([result])
    >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
    ['conv1']
    """
    if not results:
        raise ValueError("results: expected at least one, got none")
    teams = sorted({result["threads"] for result in results})
    kinds = [[r for r in results if r["flops"]], [r for r in results if not r["flops"]]]
    shown = [(_in_order(part), number == 0) for number, part in enumerate(kinds) if part]
    heights = [1.0 + 0.3 * len({r["label"] for r in part}) for part, _ in shown]
    figure = plot.new_figure(4.0 + 4.5 * len(teams), 1.0 + sum(heights))
    grid = figure.subplots(
        len(shown), len(teams), squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    for row, (part, multiplies) in zip(grid, shown, strict=True):
        for ax, team in zip(row, teams, strict=True):
            own = [result for result in part if result["threads"] == team]
            _panel(ax, own, _gflops if multiplies else _gbytes)
            ax.set_xlabel("GFLOP/s" if multiplies else "GB/s")
            ax.set_title(f"{team} thread{'s' if team != 1 else ''}", fontsize=10)
            if multiplies:
                peaks = [result["peak_gflops"] for result in own]
                ax.plot(peaks, range(len(own)), "--", color="black", linewidth=1, label="FMA peak")
    labels: dict[str, Any] = {}
    for ax in figure.axes:
        labels |= dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    figure.legend(
        labels.values(), labels, loc="outside lower center", ncols=4, fontsize=8, frameon=False
    )
    return figure


def draw_network(results: Sequence[Result]) -> Figure:
    """Draw a bar for each engine and number of threads.

    Parameters
    ----------
    results : sequence of mapping
        As `fastconv.benchmarks.networks.measure` returns them.

    Returns
    -------
    Figure

    Raises
    ------
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> from fastconv.benchmarks import chart
    >>> result = {"network": "net.onnx", "threads": 1, "ms": {"fastconv": 2.0, "ncnn": 3.0}}
    >>> [text.get_text() for text in chart.draw_network([result]).axes[0].get_yticklabels()]
    ['fastconv, 1 thread', 'ncnn, 1 thread']
    """
    bars = [(name, r["threads"], ms) for r in results for name, ms in r["ms"].items()]
    figure = plot.new_figure(7.0, 1.0 + 0.35 * len(bars))
    ax = figure.subplots()
    colors = {"fastconv": plot.FASTCONV_COLOR, **COLORS}
    drawn = ax.barh(
        range(len(bars)), [ms for *_, ms in bars], 0.7, color=[colors[name] for name, *_ in bars]
    )
    ax.bar_label(drawn, fmt="%.3g", padding=3, fontsize=8)
    names = [f"{TITLES.get(n, n)}, {t} thread{'s' if t != 1 else ''}" for n, t, _ in bars]
    ax.set_yticks(range(len(bars)), names, fontsize=8)
    ax.invert_yaxis()
    ax.set_xlabel("milliseconds")
    ax.set_title(str(results[0]["network"]), fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def _in_order(results: Sequence[Result]) -> list[Result]:
    return sorted(results, key=lambda result: CLASSES.index(result["class"]))


def _gflops(result: Result, ms: float) -> float:
    return float(result["flops"]) / ms / 1e6


def _gbytes(result: Result, ms: float) -> float:
    return float(result["bytes"]) / ms / 1e6


def _panel(ax: Axes, results: Sequence[Result], rate: Callable[[Result, float], float]) -> None:
    """Draw fastconv's bars and the peers' points, a row for each layer."""
    own = [result["ms"].get("fastconv") for result in results]
    bars = [rate(r, ms) if ms else 0.0 for r, ms in zip(results, own, strict=True)]
    ax.barh(range(len(results)), bars, 0.7, color=plot.FASTCONV_COLOR, label="fastconv", alpha=0.8)
    for name in PEERS:
        places = [place for place, result in enumerate(results) if name in result["ms"]]
        rates = [rate(results[place], results[place]["ms"][name]) for place in places]
        if places:
            style: dict[str, Any] = {"color": COLORS[name], "label": TITLES.get(name, name)}
            ax.plot(rates, places, MARKERS[name], markersize=5, **style)
    ax.set_yticks(range(len(results)), [str(r["label"]) for r in results], fontsize=8)
    ax.set_ylim(len(results) - 0.4, -0.6)
    ax.set_xlim(left=0)
    ax.spines[["top", "right"]].set_visible(False)
