"""Pictures of filters, activation maps, predictions and benchmarks, drawn with matplotlib.

Each function returns a `matplotlib.figure.Figure`; ``figure.savefig("name.png")`` writes it, and a
notebook shows it. None of them needs a display. Each can also draw into a part of a larger figure.
matplotlib is an extra: ``pip install fastconv[plot]``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from .errors import ShapeError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from numpy.typing import ArrayLike

    Canvas: TypeAlias = Figure | SubFigure

TILE_INCHES = 1.0
FASTCONV_COLOR, NUMPY_COLOR, BLOCKED_COLOR, WRONG_COLOR = "#1f6fb4", "#d98c2b", "#efc58c", "#c0392b"


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure, for the other functions to draw into.

    Parameters
    ----------
    width, height : float
        Size in inches.

    Returns
    -------
    Figure

    Raises
    ------
    ImportError
        If matplotlib is missing; the message says what to install.

    Examples
    --------
    >>> from fastconv import plot
    >>> left, right = plot.new_figure(8, 3).subfigures(1, 2)
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "fastconv.plot needs matplotlib, which is not installed: pip install fastconv[plot]"
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def _tiles(
    count: int, columns: int, figure: Canvas | None, tile: float = TILE_INCHES
) -> tuple[Canvas, list[Axes]]:
    """Return `count` axes without ticks, `columns` in a row."""
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    canvas = figure or new_figure(max(tile * columns, 3.5), tile * rows * 1.15 + 0.6)
    axes = canvas.subplots(rows, columns, squeeze=False).ravel().tolist()
    for unused in axes[count:]:
        unused.remove()
    for ax in axes[:count]:
        ax.set_xticks([])
        ax.set_yticks([])
    return canvas, axes[:count]


def _need(name: str, array: np.ndarray[Any, Any], ndims: tuple[int, ...], meaning: str) -> None:
    if array.ndim not in ndims:
        raise ShapeError(f"{name}: expected {meaning}, got shape {array.shape}")


def filters(weight: ArrayLike, *, columns: int = 10, figure: Canvas | None = None) -> Figure:
    """Draw the filters of a first layer, one picture for each.

    Filters that see three channels are drawn as colour pictures, grey being zero. Of others each
    depth slice is drawn, red above zero and blue below; those of one filter form a row. All filters
    share one scale.

    Parameters
    ----------
    weight : array_like
        Filters (K, C, R, S), such as ``layer.weight``.
    columns : int
        Filters in a row, where C is 1 or 3.
    figure : Figure or SubFigure, optional
        Where to draw; a new figure by default.

    Returns
    -------
    Figure
        The figure that holds the drawing.

    Raises
    ------
    ShapeError
        If `weight` is not four-dimensional.
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import plot
    >>> figure = plot.filters(np.random.default_rng(0).standard_normal((10, 1, 3, 3)))
    >>> len(figure.axes)
    10
    """
    w = np.asarray(weight, dtype=np.float64)
    _need("weight", w, (4,), "filters (K, C, R, S)")
    count, depth, r, s = w.shape
    limit = float(np.abs(w).max()) or 1.0
    if depth == 3:
        pictures = list(np.clip(w.transpose(0, 2, 3, 1) / (2 * limit) + 0.5, 0, 1))
    else:
        pictures = list(w.reshape(count * depth, r, s))
        columns = columns if depth == 1 else depth
    canvas, axes = _tiles(len(pictures), columns, figure)
    for number, (ax, picture) in enumerate(zip(axes, pictures, strict=True)):
        ax.imshow(picture, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
        if depth in (1, 3):
            ax.set_title(str(number), fontsize=8, pad=2)
        elif number % depth == 0:
            ax.set_ylabel(str(number // depth), fontsize=8)
    title = f"{count} filters {r}×{s}×{depth}"
    if depth not in (1, 3):
        title += f", a row of {depth} depth slices each"
    colors = "grey is zero" if depth == 3 else "red above zero, blue below"
    canvas.suptitle(f"{title} ({colors})", fontsize=11)
    return canvas.figure


def activation_maps(y: ArrayLike, *, columns: int = 10, figure: Canvas | None = None) -> Figure:
    """Draw the activation maps (depth slices) of one image, one picture for each filter.

    Parameters
    ----------
    y : array_like
        A layer's output for one image, (K, P, Q) or (1, K, P, Q).
    columns : int
        Maps in a row.
    figure : Figure or SubFigure, optional
        Where to draw; a new figure by default.

    Returns
    -------
    Figure
        The figure that holds the drawing.

    Raises
    ------
    ShapeError
        If `y` is not the output for one image.
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import plot
    >>> figure = plot.activation_maps(np.random.default_rng(0).standard_normal((10, 32, 32)))
    >>> len(figure.axes)
    10
    """
    maps = np.asarray(y, dtype=np.float64)
    if maps.ndim == 4 and len(maps) == 1:
        maps = maps[0]
    _need("y", maps, (3,), "activation maps (K, P, Q) of one image")
    canvas, axes = _tiles(len(maps), columns, figure)
    low, high = float(maps.min()), float(maps.max())
    for number, (ax, one) in enumerate(zip(axes, maps, strict=True)):
        ax.imshow(one, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
        ax.set_title(str(number), fontsize=8, pad=2)
    k, p, q = maps.shape
    canvas.suptitle(f"{k} activation maps {p}×{q} of one image", fontsize=11)
    return canvas.figure


def predictions(
    images: ArrayLike,
    labels: Sequence[int] | ArrayLike,
    probs: ArrayLike,
    *,
    columns: int = 10,
    figure: Canvas | None = None,
) -> Figure:
    """Draw images with the class that the network names and how sure it is.

    Wrong answers are written in red, with the true class.

    Parameters
    ----------
    images : array_like
        Images (N, H, W), (N, 1, H, W) or (N, 3, H, W).
    labels : array_like
        True class (N,) of each image.
    probs : array_like
        Probabilities (N, classes), such as ``fastconv.softmax(model(x))``.
    columns : int
        Images in a row.
    figure : Figure or SubFigure, optional
        Where to draw; a new figure by default.

    Returns
    -------
    Figure
        The figure that holds the drawing.

    Raises
    ------
    ShapeError
        If the three do not fit together.
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import plot
    >>> figure = plot.predictions(np.zeros((2, 28, 28)), [0, 1], np.eye(10)[:2])
    >>> [ax.get_title() for ax in figure.axes]
    ['0  100 %', '1  100 %']
    """
    shown, truth, p = np.asarray(images), np.asarray(labels), np.asarray(probs)
    _need("images", shown, (3, 4), "images (N, H, W) or (N, C, H, W)")
    if shown.ndim == 4:
        shown = shown[:, 0] if shown.shape[1] == 1 else shown.transpose(0, 2, 3, 1)
    if truth.shape != (len(shown),) or p.ndim != 2 or len(p) != len(shown):
        raise ShapeError(
            f"labels, probs: expected ({len(shown)},) and ({len(shown)}, classes) for "
            f"{len(shown)} images, got {truth.shape} and {p.shape}"
        )
    canvas, axes = _tiles(len(shown), columns, figure, TILE_INCHES * 1.15)
    guesses = p.argmax(axis=1)
    for ax, image, guess, true, sure in zip(
        axes, shown, guesses, truth, p.max(axis=1), strict=True
    ):
        ax.imshow(image, cmap="gray_r", interpolation="nearest")
        text = f"{guess}  {sure:.0%}".replace("%", " %")
        if guess == true:
            ax.set_title(text, fontsize=8, pad=2)
        else:
            ax.set_title(f"{text}, is {true}", fontsize=8, pad=2, color=WRONG_COLOR)
    right = int((guesses == truth).sum())
    canvas.suptitle(f"Predictions: {right} of these {len(shown)} images right", fontsize=11)
    return canvas.figure


def bench(results: Sequence[Mapping[str, Any]], *, figure: Canvas | None = None) -> Figure:
    """Draw GFLOP/s of fastconv and of NumPy for each layer, with the FMA peak as a line.

    The axis ends at the peak: what is missing to it is what a perfect program could still gain from
    the direct algorithm.

    Parameters
    ----------
    results : sequence of mapping
        As `fastconv.benchmarks.compare.measure` returns them, or the lines of a file that
        ``python -m fastconv bench --json FILE`` wrote.
    figure : Figure or SubFigure, optional
        Where to draw; a new figure by default.

    Returns
    -------
    Figure
        The figure that holds the drawing.

    Raises
    ------
    ValueError
        If there are no results.
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> from fastconv import plot
    >>> result = {
    ...     "label": "conv1",
    ...     "gflops": 200.0,
    ...     "peak_gflops": 240.0,
    ...     "ms": 1.0,
    ...     "numpy_ms": 4.0,
    ...     "numpy_blocked_ms": 2.0,
    ...     "speedup": 4.0,
    ... }
    >>> figure = plot.bench([result])
    >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
    ['conv1']
    """
    if not results:
        raise ValueError("results: expected at least one, got none")
    canvas = figure or new_figure(9.0, 1.6 + 0.62 * len(results))
    ax = canvas.subplots()
    places = np.arange(len(results))
    contestants = (
        ("ms", "fastconv", FASTCONV_COLOR),
        ("numpy_ms", "NumPy im2col + matmul", NUMPY_COLOR),
        ("numpy_blocked_ms", "the same, batch cut to fit the cache", BLOCKED_COLOR),
    )
    for number, (key, name, color) in enumerate(contestants):
        rates = [result["gflops"] * result["ms"] / result[key] for result in results]
        ax.barh(places + 0.27 * (number - 1), rates, 0.25, label=name, color=color)
    for place, result in zip(places, results, strict=True):
        note = f" {result['speedup']:.1f}× NumPy"
        inside = result["gflops"] > 0.8 * result["peak_gflops"]
        ax.text(
            result["gflops"],
            place - 0.27,
            note,
            va="center",
            ha="right" if inside else "left",
            color="white" if inside else "black",
            fontsize=8,
        )
    peaks = [result["peak_gflops"] for result in results]
    for place, peak in zip(places, peaks, strict=True):
        ax.vlines(peak, place - 0.5, place + 0.5, color="black", linestyle="--", linewidth=1)
    ax.plot([], [], "--", color="black", linewidth=1, label="FMA peak, measured beside each layer")
    ax.set_yticks(places, [str(result["label"]) for result in results], fontsize=9)
    ax.set_ylim(len(results) - 0.5, -0.5)
    ax.set_xlim(0, 1.04 * max(peaks))
    ax.set_xlabel("GFLOP/s")
    ax.spines[["top", "right"]].set_visible(False)
    canvas.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    threads = {result["threads"] for result in results if "threads" in result}
    title = "Convolution, forward"
    if len(threads) == 1:
        (count,) = threads
        title += f", {count} thread{'s' if count != 1 else ''}"
    isas = sorted({str(result["isa"]) for result in results if "isa" in result})
    canvas.suptitle(", ".join([title, *isas]), fontsize=11)
    return canvas.figure
