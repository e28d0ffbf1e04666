"""Find lines of text on a page with the networks that rapidocr-onnxruntime carries.

PP-OCRv4's detector (Apache-2.0 licence) says for each pixel how likely it is text; rows of pixels
that have some make bands. A second network says of each band whether it is upside down.

    pip install matplotlib onnx && pip install --no-deps rapidocr-onnxruntime scikit-image
    python examples/find_text.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from common import Floats, Pixels, carried, parser, photo, planes, read_picture, show

import fastconv

LIKELY = 0.3
DIRECTION_SIZE = 48, 192  # height and width of what the second network reads


class Band(NamedTuple):
    """Pixels of a band of text, ends excluded, and how sure it is that it stands upright."""

    top: int
    bottom: int
    left: int
    right: int
    upright: float


def network(name: str) -> Path:
    """Return the path of a network: "ch_PP-OCRv4_det_infer" or another that is carried."""
    return carried("rapidocr_onnxruntime", f"models/{name}.onnx", "rapidocr-onnxruntime")


def to_input(picture: Pixels, multiple: int = 1) -> Floats:
    """Return a picture as (1, 3, H, W) between -1 and 1."""
    return planes(picture, multiple) / np.float32(127.5) - 1


def runs(flags: Any) -> list[tuple[int, int]]:
    """Return begin and end of each run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def find_text(detect: Any, direction: Any, page: Pixels) -> list[Band]:
    """Find the bands of text on a page (H, W, 3); the detector halves images five times.

    The second network reads the begin of each band, with half its height added at every side.
    """
    height, width = page.shape[:2]
    is_text = detect(to_input(page, 32))[0, 0, :height, :width] > LIKELY
    bands = []
    for top, bottom in runs(is_text.any(axis=1)):
        columns = np.flatnonzero(is_text[top:bottom].any(axis=0))
        left, right = int(columns[0]), int(columns[-1]) + 1
        rim = (bottom - top) // 2
        begin = page[max(top - rim, 0) : bottom + rim, max(left - rim, 0) :]
        x = to_input(begin[:, : 4 * len(begin)])
        x = fastconv.interpolate(x, DIRECTION_SIZE, mode="bilinear")
        upright = float(direction(x)[0, 0])
        bands.append(Band(top, bottom, left, right, upright))
    return bands


def draw(page: Pixels, bands: list[Band]) -> Any:
    """Draw the bands over the page -> a matplotlib figure."""
    figure, axes = show(page)
    for top, bottom, left, right, _ in bands:
        axes.fill([left, right, right, left], [top, top, bottom, bottom], color="lime", alpha=0.3)
    return figure


def main(arguments: list[str] | None = None) -> None:
    """Find, print and draw."""
    options = parser(__doc__, "text.png")
    options.add_argument("--page", type=Path, help="default: scikit-image's page")
    chosen = options.parse_args(arguments)
    page = read_picture(chosen.page or photo("page"))
    detect = fastconv.load(network("ch_PP-OCRv4_det_infer"))
    direction = fastconv.load(network("ch_ppocr_mobile_v2.0_cls_infer"))
    bands = find_text(detect, direction, page)
    way = "upright" if np.mean([band.upright for band in bands]) > 0.5 else "upside down"
    print(f"{len(bands)} bands of text, the page stands {way}")
    for top, bottom, left, right, upright in bands:
        print(f"  rows {top} to {bottom}, columns {left} to {right}; upright: {upright:.3f}")
    draw(page, bands).savefig(chosen.output)
    print(f"Picture written to {chosen.output}")


if __name__ == "__main__":
    main()
