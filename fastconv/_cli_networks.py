"""The command line's part for network files: summary, run, profile, convert."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

import fastconv
from fastconv.errors import ShapeError


def add_commands(commands: Any) -> None:
    """Add the commands to a parser's subparsers.

    Examples
    --------
    >>> import argparse
    >>> from fastconv._cli_networks import add_commands
    >>> parser = argparse.ArgumentParser()
    >>> add_commands(parser.add_subparsers())
    >>> parser.parse_args(["convert", "a.onnx", "b.fastconv"]).output
    'b.fastconv'
    """
    run = commands.add_parser("run", help="run a network file on an array or a picture")
    run.add_argument("model", help="an ONNX file, or one that convert wrote")
    run.add_argument("inputs", nargs="+", metavar="INPUT", help=".npy file, or a picture")
    run.add_argument("--size", type=shape_of, metavar="HxW", help="scale pictures to this size")
    run.add_argument(
        "--mean", type=_numbers, default=[0.0], metavar="R,G,B", help="of pixels from 0 to 1"
    )
    run.add_argument(
        "--std",
        type=_numbers,
        default=[1.0],
        metavar="R,G,B",
        help="(pixel - mean) / std goes in; for pixels from -1 to 1: --mean 0.5 --std 0.5",
    )
    run.add_argument("--output", metavar="FILE.npz", help="write all outputs")
    run.add_argument("--threads", type=int, metavar="N", help="default: as many as there are CPUs")
    run.set_defaults(command=_run)

    profile = commands.add_parser("profile", help="how long each step of a network takes")
    profile.add_argument("model")
    profile.add_argument("--shape", action="append", type=shape_of, metavar="NxCxHxW")
    profile.add_argument("--runs", type=int, default=10, metavar="N", help="default: 10")
    profile.add_argument("--threads", type=int, metavar="N")
    profile.add_argument("--csv", metavar="FILE.csv", help="write the table")
    profile.add_argument("--plot", metavar="FILE.png", help="draw the slowest steps")
    profile.set_defaults(command=_profile)

    convert = commands.add_parser("convert", help="write a network so that it loads fast")
    convert.add_argument("model")
    convert.add_argument("output")
    convert.add_argument("--tune", action="store_true", help="measure what is fastest, and keep it")
    convert.add_argument(
        "--shape", action="append", type=shape_of, metavar="NxCxHxW", help="that is tuned for"
    )
    convert.set_defaults(command=_convert)


def shape_of(text: str) -> tuple[int, ...]:
    """Read a shape such as 1x3x224x224.

    Examples
    --------
    >>> from fastconv._cli_networks import shape_of
    >>> shape_of("1x3x8x8")
    (1, 3, 8, 8)
    """
    try:
        return tuple(int(part) for part in text.split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected a shape like 1x3x224x224, got {text!r}"
        ) from None


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected numbers like 0.5,0.4,0.4, got {text!r}"
        ) from None


def _shapes(model: Any, given: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Shapes of all inputs: those given, then those that the file declares."""
    ports = model.inputs[len(given) :]
    try:
        return [*given, *(port.example_shape() for port in ports)]
    except ShapeError as error:
        raise ShapeError(f"{error}: --shape NxCxHxW, once for each input") from None


def summary(path: str, shapes: Sequence[tuple[int, ...]]) -> int:
    """Print a network file's steps.

    Examples
    --------
    >>> import os, tempfile, fastconv
    >>> from fastconv._cli_networks import summary
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "net")
    ...     fastconv.compile(fastconv.nn.ReLU(), (3,)).save(path)
    ...     summary(path, [])
    <fastconv.Model ...
    0
    """
    model = fastconv.load(path)
    print(model)
    print(model.summary(*_shapes(model, shapes)))
    return 0


def _picture(path: str, port: Any, options: argparse.Namespace) -> Any:
    """A picture as (1, C, H, W) float32, with as many channels as the input declares."""
    try:
        from matplotlib.image import imread
    except ImportError as error:
        raise ImportError(
            "reading pictures needs matplotlib: pip install fastconv[plot]"
        ) from error
    pixels = np.asarray(imread(path))
    if pixels.dtype.kind in "iu":
        pixels = pixels / np.iinfo(pixels.dtype).max
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    x = np.ascontiguousarray(pixels[None, :, :, :3].transpose(0, 3, 1, 2), np.float32)
    channels = port.shape[1] if port.shape is not None and len(port.shape) == 4 else None
    if channels == 1:
        x = x.mean(axis=1, keepdims=True)
    elif channels == 3:
        x = np.repeat(x, 4 - x.shape[1], axis=1)[:, :3]
    if options.size:
        x = fastconv.interpolate(x, options.size, mode="bilinear", antialias=True)
    mean, std = (np.reshape(v, (1, -1, 1, 1)) for v in (options.mean, options.std))
    return np.ascontiguousarray((x - mean) / std, port.dtype)


def _run(options: argparse.Namespace) -> int:
    model = fastconv.load(options.model)
    names = [port.name for port in model.inputs]
    if len(names) != len(options.inputs):
        raise ValueError(f"the network takes {len(names)} inputs ({', '.join(names)})")
    arrays = [
        np.load(path) if path.endswith(".npy") else _picture(path, port, options)
        for path, port in zip(options.inputs, model.inputs, strict=True)
    ]
    found = model.run(dict(zip(names, arrays, strict=True)), num_threads=options.threads)
    for name, array in found.items():
        print(f"{name}: {array.dtype} {array.shape}")
        print(np.array2string(array, threshold=20, edgeitems=3))
    if options.output:
        np.savez(options.output, **found)  # type: ignore[arg-type]
        print(f"Outputs written to {options.output}")
    return 0


def _profile(options: argparse.Namespace) -> int:
    model = fastconv.load(options.model)
    rng = np.random.default_rng(0)
    shapes = _shapes(model, options.shape or [])
    arrays = [
        rng.standard_normal(shape).astype(port.dtype)
        for shape, port in zip(shapes, model.inputs, strict=True)
    ]
    report = model.profile(*arrays, runs=options.runs, num_threads=options.threads)
    print(report)
    if options.csv:
        report.to_csv(options.csv)
        print(f"Table written to {options.csv}")
    if options.plot:
        report.plot().savefig(options.plot, dpi=120)
        print(f"Chart written to {options.plot}")
    return 0


def _convert(options: argparse.Namespace) -> int:
    model = fastconv.load(options.model, tune=options.tune)
    if options.tune and options.shape:
        model.summary(*options.shape)  # plans for them
    model.save(options.output)
    size = os.path.getsize(options.output) / 1e6
    print(f"{options.output}: {size:.1f} MB")
    return 0
