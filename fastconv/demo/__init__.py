"""The demo: a small convolutional network that reads handwritten digits.

`digits` holds the network with its trained weights and the held-out images, `race` runs it beside
the NumPy baseline, `picture` draws it. ``python -m fastconv demo`` does all three.
"""

from __future__ import annotations

from .digits import CREDITS, INPUT_SHAPE, held_out, network, to_input

__all__ = ["CREDITS", "INPUT_SHAPE", "held_out", "network", "to_input"]
