"""The demo's picture: the first layer's filters, one image's activation maps, some predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import fastconv
from fastconv import plot

from . import digits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 30  # predictions in the picture


def draw() -> Figure:
    """Draw what the demo network has learned and what it answers.

    Among the predictions are all images that the network reads wrongly.

    Returns
    -------
    Figure
        Filters and activation maps of the first layer and predictions, one below the other.

    Raises
    ------
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> from fastconv.demo import picture
    >>> figure = picture.draw()
    >>> [part.get_suptitle().split(" (")[0] for part in figure.subfigs]
    ['6 filters 3×3×1', '6 activation maps 32×32 of one image',
     'Predictions for 30 of 300 held-out images, among them all 5 mistakes']
    """
    model = digits.network()
    images, labels = digits.held_out()
    x = digits.to_input(images)
    probs = fastconv.softmax(model(x))
    wrong = np.flatnonzero(probs.argmax(axis=1) != labels)
    right = np.setdiff1d(np.arange(len(labels)), wrong)[: SHOWN - len(wrong)]
    chosen = np.sort(np.concatenate([wrong, right]))

    figure = plot.new_figure(11.5, 8.2)
    figure.suptitle("fastconv demo: a small convolutional network reads handwritten digits")
    top, middle, bottom = figure.subfigures(3, 1, squeeze=False, height_ratios=[1.45, 1.45, 4.0])[
        :, 0
    ]
    plot.filters(model.state_dict()["0.weight"], figure=top)
    plot.activation_maps(model[:2](x[:1]), figure=middle)
    plot.predictions(images[chosen], labels[chosen], probs[chosen], figure=bottom)
    bottom.suptitle(
        f"Predictions for {len(chosen)} of {len(labels)} held-out images, "
        f"among them all {len(wrong)} mistakes",
        fontsize=11,
    )
    return figure
