"""Find faces with MTCNN: three small networks from PyTorch's state dicts, run by fastconv's layers.

The package facenet-pytorch carries their weights (MIT licence). The first network looks at windows
of 12x12 pixels in a pyramid of smaller and smaller copies of the photo, the second and the third
look again at what is left, cut out and scaled to 24x24 and 48x48 pixels.

    pip install matplotlib torch && pip install --no-deps facenet-pytorch scikit-image
    python examples/find_faces_mtcnn.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from common import (
    Face,
    Floats,
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
from numpy.typing import NDArray

import fastconv
from fastconv import nn

SMALLEST = 20  # pixels: sides of the smallest faces that are looked for
FACTOR = 0.709  # from one copy of the pyramid to the next
LIKELY = 0.6, 0.7, 0.7  # what is kept behind each network
WINDOW, STEP = 12, 2  # of the first network, in pixels


def state_dict(name: str) -> dict[str, NDArray[Any]]:
    """Return the weights of "pnet", "rnet" or "onet" as PyTorch's modules call them."""
    import torch

    path = carried("facenet_pytorch", f"data/{name}.pt", "facenet-pytorch")
    return {key: value.numpy() for key, value in torch.load(path, weights_only=True).items()}


def network(state: dict[str, NDArray[Any]], pools: dict[int, int]) -> nn.Sequential:
    """Build a network of fastconv's layers for a state dict.

    Each convolution and the hidden linear layer end with a PReLU; `pools` are the windows of max
    pooling behind some of the convolutions. The last layers, which all read the same, become one.
    The original reads images the other way round (W, H, C) into its linear layer: its weight's
    columns are put in order.
    """
    layers: dict[str, nn.Module] = {}
    weights = dict(state)
    heads = sorted({key.split(".")[0] for key in state if "_" in key})
    for kind in ("weight", "bias"):
        weights[f"head.{kind}"] = np.concatenate([weights.pop(f"{h}.{kind}") for h in heads])
    for number in range(1, 6):
        conv, dense = (weights.get(f"{kind}{number}.weight") for kind in ("conv", "dense"))
        if conv is not None:
            layers[f"conv{number}"] = nn.Conv2d(conv.shape[1], len(conv), conv.shape[2:])
        if dense is not None:
            side = 3  # pixels that the convolutions leave of the cut-out
            turned = dense.reshape(len(dense), side, side, -1).transpose(0, 3, 2, 1)
            weights[f"dense{number}.weight"] = turned.reshape(dense.shape)
            layers["flatten"] = nn.Flatten()
            layers[f"dense{number}"] = nn.Linear(dense.shape[1], len(dense))
        if conv is not None or dense is not None:
            layers[f"prelu{number}"] = nn.PReLU(len(weights[f"prelu{number}.weight"]))
        if number in pools:
            layers[f"pool{number}"] = nn.MaxPool2d(pools[number], 2, ceil_mode=True)
    head = weights["head.weight"]
    layers["head"] = (
        nn.Conv2d(head.shape[1], len(head), 1) if head.ndim == 4 else nn.Linear(*head.shape[::-1])
    )
    result = nn.Sequential(layers)
    result.load_state_dict(weights)
    return result


def networks() -> list[Any]:
    """Return all three, compiled: each takes images of any number and the first of any size."""
    pools: list[dict[int, int]] = [{1: 2}, {1: 3, 2: 3}, {1: 3, 2: 3, 3: 2}]
    names = "pnet", "rnet", "onet"
    return [
        fastconv.compile(network(state_dict(name), pool), (3, side, side))
        for name, pool, side in zip(names, pools, (12, 24, 48), strict=True)
    ]


def answers(model: Any, x: Floats) -> tuple[Floats, Floats, Floats]:
    """Run a network on pixels -> how likely each is a face, corrections of the box, five points."""
    y = model((x - 127.5) / 128)
    likely = 1 / (1 + np.exp(y[:, 0] - y[:, 1]))  # the second of a softmax of two
    return likely, y[:, 2:6], y[:, 6:]


def first_stage(model: Any, x: Floats) -> Floats:
    """Look at all windows of all copies of a photo (1, 3, H, W) -> boxes (N, 5) with scores."""
    height, width = x.shape[2:]
    found = []
    scale = WINDOW / SMALLEST
    while min(height, width) * scale >= WINDOW:
        size = int(height * scale + 1), int(width * scale + 1)
        likely, shift, _ = answers(model, fastconv.interpolate(x, size, mode="area"))
        rows, columns = np.nonzero(likely[0] >= LIKELY[0])
        corner = STEP * np.stack([columns, rows], axis=1) + 1
        boxes = np.floor(np.concatenate([corner, corner + WINDOW - 1], axis=1) / scale)
        scores, moves = likely[0, rows, columns], shift[0][:, rows, columns].T
        kept = best_boxes(boxes, scores, 0.5)
        found.append(np.concatenate([boxes, scores[:, None], moves], axis=1)[kept])
        scale *= FACTOR
    every = np.concatenate(found)
    every = every[best_boxes(every[:, :4], every[:, 4], 0.7)]
    return np.concatenate([moved(every[:, :4], every[:, 5:], 0), every[:, 4:5]], axis=1)


def moved(boxes: Floats, by: Floats, rim: int) -> Floats:
    """Move the edges of boxes (N, 4) by shares of their sizes."""
    size = boxes[:, 2:] - boxes[:, :2] + rim
    return boxes + by * np.tile(size, 2)


def squares(boxes: Floats) -> Floats:
    """Extend boxes (N, 4) to squares about the same middles."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    return np.concatenate([middle - half, middle + half], axis=1)


def cut_out(x: Floats, boxes: Floats, side: int) -> Floats:
    """Cut boxes out of a photo (1, 3, H, W) and scale each to side x side pixels."""
    height, width = x.shape[2:]
    parts = []
    for left, top, right, bottom in np.trunc(boxes).astype(int):
        rows = slice(max(top, 1) - 1, max(min(bottom, height), max(top, 1)))
        columns = slice(max(left, 1) - 1, max(min(right, width), max(left, 1)))
        parts.append(fastconv.interpolate(x[:, :, rows, columns], side, mode="area"))
    return np.concatenate(parts)


def find_faces(models: list[Any], picture: Pixels) -> list[Face]:
    """Find the faces in a picture (H, W, 3)."""
    x = planes(picture)
    boxes = squares(first_stage(models[0], x)[:, :4])
    if not len(boxes):
        return []
    likely, moves, _ = answers(models[1], cut_out(x, boxes, 24))
    kept = np.flatnonzero(likely > LIKELY[1])
    kept = kept[best_boxes(boxes[kept], likely[kept], 0.7)]
    boxes = squares(moved(boxes[kept], moves[kept], 1))
    if not len(boxes):
        return []
    likely, moves, marks = answers(models[2], cut_out(x, boxes, 48))
    kept = np.flatnonzero(likely > LIKELY[2])
    boxes, likely, moves, marks = boxes[kept], likely[kept], moves[kept], marks[kept]
    size = boxes[:, 2:] - boxes[:, :2] + 1
    points = marks.reshape(-1, 2, 5).transpose(0, 2, 1) * size[:, None] + boxes[:, None, :2] - 1
    boxes = moved(boxes, moves, 1)
    chosen = best_boxes(boxes, likely, 0.7, of_smaller=True)
    return [Face(boxes[index], float(likely[index]), points[index]) for index in chosen]


def main(arguments: list[str] | None = None) -> None:
    """Find, print and draw."""
    options = parser(__doc__, "faces_mtcnn.png")
    options.add_argument("--photo", type=Path, help="default: scikit-image's astronaut")
    chosen = options.parse_args(arguments)
    picture = read_picture(chosen.photo or photo("astronaut"))
    faces = find_faces(networks(), picture)
    print_faces(faces)
    draw_faces(picture, faces).savefig(chosen.output)
    print(f"Picture written to {chosen.output}")


if __name__ == "__main__":
    main()
