"""Named shape cases: layers of known networks (scaled down) and sizes that straddle tile edges.

Tests iterate over these tables, so a new kernel is covered as soon as a case is added here.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import reference as ref
from reference import Array, Padding, Pair

DTYPES = ("float32", "float64")

#: Pixel tiles are 4, 6, 8 and 14 wide, vectors 4, 8 and 16: sizes below, at and above each edge.
PIXELS = (*range(1, 10), *range(12, 18), 27, 28, 29, 56)
FILTERS = (*range(1, 6), 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 63, 64, 65, 80, 96, 129)
CHANNELS = (*range(1, 6), 15, 16, 17, 31, 32, 33, 63, 64, 65)
KERNELS = ((1, 1), (1, 3), (3, 1), (2, 2), (3, 3), (5, 5), (7, 7), (1, 7), (7, 1), (2, 5))
STRIDES = ((1, 1), (2, 2), (1, 2), (2, 1), (3, 2), (1, 4), (4, 3))


@dataclass(frozen=True)
class ConvCase:
    """One convolution: x (n, c, h, w), filters (k, c / groups, *kernel)."""

    name: str
    n: int
    c: int
    h: int
    w: int
    k: int
    kernel: Pair = (3, 3)
    stride: Pair = (1, 1)
    padding: Padding = 0
    dilation: Pair = (1, 1)
    groups: int = 1
    bias: bool = True
    seed: int = 0

    def __str__(self) -> str:
        """Return the test's name, seed included."""
        return f"{self.name}-seed{self.seed}"

    @property
    def geometry(self) -> dict[str, Any]:
        """Keyword arguments that fastconv's conv2d and the oracle's have in common."""
        return {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
        }

    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the shapes of input and weight."""
        return (self.n, self.c, self.h, self.w), (self.k, self.c // self.groups, *self.kernel)

    def integers(self, dtype: str) -> tuple[Array, Array, Array | None]:
        """Return small whole numbers: every sum is exact, so only the right answer is equal."""
        rng = np.random.default_rng(self.seed)
        x_shape, w_shape = self.shapes()
        x = rng.integers(-4, 5, x_shape).astype(dtype)
        w = rng.integers(-4, 5, w_shape).astype(dtype)
        b = rng.integers(-40, 41, self.k).astype(dtype)
        return x, w, b if self.bias else None

    def normals(self, dtype: str) -> tuple[Array, Array, Array | None]:
        """Return normally distributed numbers: rounding, and a magnitude per element."""
        rng = np.random.default_rng(self.seed)
        x_shape, w_shape = self.shapes()
        x = rng.standard_normal(x_shape).astype(dtype)
        w = rng.standard_normal(w_shape).astype(dtype)
        b = rng.standard_normal(self.k).astype(dtype)
        return x, w, b if self.bias else None


@functools.cache
def exact(case: ConvCase) -> Array:
    """Return the oracle's answer on `case.integers`: whole numbers, the same for both dtypes."""
    x, w, b = case.integers("float64")
    out = ref.conv2d(x, w, b, **case.geometry)
    assert np.abs(out).max(initial=0) < 2**24
    out.flags.writeable = False
    return out


#: Layers of networks, with channels or images made smaller to keep the oracle quick.
NETWORKS = (
    ConvCase("lecture-cifar", 2, 3, 32, 32, 10, padding=1),
    ConvCase("cs231n-fast-layer", 2, 3, 31, 31, 25, stride=(2, 2), padding=1),
    ConvCase("alexnet-conv1", 1, 3, 67, 67, 96, (11, 11), (4, 4)),
    ConvCase("alexnet-conv2", 1, 12, 13, 13, 40, (5, 5), padding=2, groups=2),
    ConvCase("vgg-conv1_1", 1, 3, 30, 30, 64, padding=1),
    ConvCase("vgg-conv5", 1, 64, 14, 14, 64, padding=1),
    ConvCase("resnet-conv1", 1, 3, 56, 56, 64, (7, 7), (2, 2), 3),
    ConvCase("resnet-bottleneck-1x1", 1, 64, 14, 14, 96, (1, 1)),
    ConvCase("resnet-downsample", 1, 32, 15, 15, 64, (1, 1), (2, 2), bias=False),
    ConvCase("resnet-stage5", 2, 64, 7, 7, 80, padding=1),
    ConvCase("resnet-3x3-s2", 1, 33, 14, 14, 31, stride=(2, 2), padding=1),
    ConvCase("inception-1x7", 1, 24, 9, 17, 24, (1, 7), padding=(0, 3)),
    ConvCase("inception-7x1", 1, 24, 17, 9, 24, (7, 1), padding=(3, 0)),
    ConvCase("inception-3x3-valid", 1, 16, 17, 17, 32),
    ConvCase("mobilenet-depthwise", 1, 40, 14, 14, 40, padding=1, groups=40),
    ConvCase("mobilenet-depthwise-s2", 2, 17, 15, 15, 17, stride=(2, 2), padding=1, groups=17),
    ConvCase("efficientnet-depthwise-5x5", 1, 24, 14, 14, 24, (5, 5), padding=2, groups=24),
    ConvCase("depthwise-multiplier-3", 1, 9, 8, 8, 27, padding=1, groups=9),
    ConvCase("resnext-groups", 1, 32, 14, 14, 32, padding=1, groups=8),
    ConvCase("shufflenet-groups-1x1", 1, 24, 14, 14, 60, (1, 1), groups=3),
    ConvCase("deeplab-dilated", 1, 16, 14, 14, 24, padding=2, dilation=(2, 2)),
    ConvCase("dilated-6-12", 1, 5, 29, 40, 7, padding=(6, 12), dilation=(6, 12)),
    ConvCase("lenet-conv1", 3, 1, 28, 28, 6, (5, 5), padding=2),
    ConvCase("tiny-call", 1, 3, 8, 8, 16, padding=1),
    ConvCase("larger-than-the-map", 1, 20, 6, 7, 34, (7, 9), padding=(3, 4)),
    ConvCase("dilated-strided", 2, 5, 13, 11, 18, stride=(2, 2), padding=5, dilation=(5, 5)),
    ConvCase("many-taps", 1, 3, 2, 90, 17, (1, 41), padding=((0, 0), (20, 20))),
    ConvCase("whole-image-kernel", 2, 5, 6, 7, 9, (6, 7)),
    ConvCase("one-of-everything", 1, 1, 1, 1, 1, (1, 1)),
    ConvCase("empty-batch", 0, 3, 8, 8, 4),
)

_PADDINGS: tuple[tuple[str, Padding], ...] = (
    ("1", 1),
    ("2-by-0", (2, 0)),
    ("top", ((1, 0), (0, 0))),
    ("bottom", ((0, 2), (0, 0))),
    ("left", ((0, 0), (3, 0))),
    ("right", ((0, 0), (0, 1))),
    ("all-different", ((0, 1), (2, 3))),
    ("wider-than-kernel", ((4, 0), (5, 7))),
    ("valid", "valid"),
    ("same", "same"),
    ("same_lower", "same_lower"),
)

_BASE = ConvCase("base", 1, 3, 7, 9, 5)


def _geometries() -> list[ConvCase]:
    cases = [replace(_BASE, name=f"padding-{name}", padding=p) for name, p in _PADDINGS]
    for (r, s), (sh, sw) in itertools.product(KERNELS, STRIDES):
        big = replace(_BASE, h=11, w=17, kernel=(r, s), stride=(sh, sw))
        cases.append(
            replace(big, name=f"kernel-{r}x{s}-stride-{sh}x{sw}", padding=(r // 2, s // 2))
        )
    for padding in ("same", "same_lower"):
        for kernel, stride in (
            ((2, 4), (2, 2)),
            ((3, 3), (2, 3)),
            ((5, 2), (3, 1)),
            ((1, 1), (2, 2)),
        ):
            name = f"{padding}-{kernel[0]}x{kernel[1]}-stride-{stride[0]}x{stride[1]}"
            strided = replace(_BASE, name=name, h=10, kernel=kernel, stride=stride)
            cases.append(replace(strided, padding=padding))
    for dh, dw in ((1, 2), (2, 1), (3, 2), (4, 5)):
        wide = replace(_BASE, name=f"dilation-{dh}x{dw}", h=15, w=18, dilation=(dh, dw))
        cases.append(replace(wide, padding=(1, 2), stride=(2, 1)))
        cases.append(replace(wide, name=f"same-dilation-{dh}x{dw}", padding="same"))
    for groups, c, k in ((2, 2, 2), (2, 6, 10), (3, 9, 51), (4, 68, 36), (5, 5, 5), (16, 16, 32)):
        name = f"groups-{groups}-c{c}-k{k}"
        cases.append(replace(_BASE, name=name, c=c, k=k, groups=groups, padding=1))
    cases.extend(replace(_BASE, name=f"batch-{n}", n=n, padding=1) for n in (0, 1, 2, 3))
    cases.append(replace(_BASE, name="no-bias", bias=False))
    return cases


def _edges() -> list[ConvCase]:
    cases = [
        replace(_BASE, name=f"channels-{c}-{r}x{s}", c=c, k=17, kernel=(r, s), h=r + 2, w=s + 8)
        for c in CHANNELS
        for r, s in ((1, 1), (3, 3))
    ]
    cases += [
        replace(_BASE, name=f"depthwise-{c}", c=c, k=c, groups=c, padding=1) for c in CHANNELS
    ]
    # rows that wrap: the tile runs over the end of a row, of an image, of a batch
    cases += [
        replace(_BASE, name=f"rows-{p}x{q}", n=2, c=2, k=18, h=p, w=q, padding=1)
        for p, q in ((1, 1), (1, 56), (56, 1), (2, 3), (3, 5), (5, 7), (13, 2), (14, 14), (27, 27))
    ]
    return cases


#: Images that are worked on block by block, in rows and in columns: more than a cache holds, and
#: several images and groups, so that a thread meets the same place of the image again.
BLOCKS = (
    ConvCase("blocks-rows", 2, 64, 57, 59, 40, padding=1),
    ConvCase("blocks-columns", 1, 64, 4, 1403, 24, padding=1),
    ConvCase("blocks-strided", 2, 65, 61, 83, 24, stride=(2, 2), padding=((0, 2), (3, 1))),
    ConvCase("blocks-dilated", 1, 48, 70, 71, 20, padding=3, dilation=(3, 3)),
    ConvCase("blocks-mostly-padding", 2, 70, 33, 31, 20, padding=12, dilation=(12, 12)),
    ConvCase("blocks-groups", 2, 96, 65, 67, 32, padding=1, groups=2),
    ConvCase("blocks-1x1", 2, 300, 41, 43, 20, (1, 1)),
    ConvCase("blocks-1x1-planes", 1, 40, 21, 19, 100, (1, 1)),
    ConvCase("blocks-line", 1, 64, 1, 999, 72, (1, 3), padding=((0, 0), (1, 1))),
    ConvCase("blocks-unpadded", 1, 70, 52, 53, 17),
    ConvCase("blocks-few-channels", 3, 3, 93, 91, 8, padding=1),
    ConvCase("blocks-few-channels-strided", 2, 3, 131, 127, 7, (5, 5), (2, 3), 2),
    ConvCase("blocks-few-filters", 2, 20, 90, 94, 3, padding=1),
    ConvCase("blocks-whole-vectors", 2, 3, 80, 96, 10, padding=1),
    ConvCase("blocks-long-rows", 1, 2, 3, 5003, 5, padding=1),
    ConvCase("blocks-depthwise", 2, 12, 77, 75, 12, padding=1, groups=12),
)


def _depthwise() -> tuple[ConvCase, ...]:
    """Each filter that has a kernel of its own, and some that have none, at widths of vectors."""
    cases = []
    for (r, stride), w in itertools.product(
        itertools.product((3, 5, 7), (1, 2)), (1, 2, 7, 8, 9, 14, 16, 17, 31, 32, 33, 49)
    ):
        pad = r // 2
        narrow = replace(_BASE, name=f"depthwise-{r}x{r}-s{stride}-{w}", c=19, k=19, groups=19)
        cases.append(replace(narrow, h=9, w=w, kernel=(r, r), stride=(stride,) * 2, padding=pad))
    pads: tuple[Padding, ...] = (((0, 3), (2, 0)), ((4, 4), (9, 20)), "same")
    for r, s, padding in itertools.product((1, 3, 5), (3, 7), pads):
        name = f"depthwise-{r}x{s}-{padding}"
        cases.append(replace(_BASE, name=name, h=11, w=21, c=5, k=5, groups=5, kernel=(r, s)))
        cases[-1] = replace(cases[-1], padding=padding, stride=(1 + s % 2, 1))
    several = replace(_BASE, c=6, groups=6, padding=1)
    cases += [replace(several, name=f"depthwise-multiplier-{m}", k=6 * m) for m in (2, 3, 17)]
    cases += [
        replace(several, name="depthwise-dilated", h=19, w=23, k=6, padding=2, dilation=(2, 3)),
        replace(several, name="depthwise-one-channel", n=2, c=1, k=1, groups=1),
        replace(several, name="depthwise-many-rows", h=301, w=3, k=6),
        replace(several, name="depthwise-4x4", n=2, h=70, w=61, k=6, kernel=(4, 4)),
        replace(several, name="depthwise-empty-batch", n=0, k=6),
    ]
    return tuple(cases)


DEPTHWISE = _depthwise()
GEOMETRIES = tuple(_geometries())
EDGES = tuple(_edges())
CONVS = NETWORKS + GEOMETRIES + EDGES + BLOCKS


@dataclass(frozen=True)
class PoolCase:
    """One pooling: x (n, c, h, w); dilation is for max pooling only."""

    name: str
    shape: tuple[int, int, int, int]
    kernel: Pair
    stride: Pair | None = None
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    ceil_mode: bool = False
    seed: int = 0

    def __str__(self) -> str:
        """Return the test's name, seed included."""
        return f"{self.name}-seed{self.seed}"

    @property
    def geometry(self) -> dict[str, Any]:
        """Keyword arguments of max_pool2d."""
        return {**self.average, "dilation": self.dilation}

    @property
    def average(self) -> dict[str, Any]:
        """Keyword arguments of avg_pool2d."""
        return {
            "kernel_size": self.kernel,
            "stride": self.stride,
            "padding": self.padding,
            "ceil_mode": self.ceil_mode,
        }

    def normals(self, dtype: str) -> Array:
        """Return normally distributed input."""
        return np.random.default_rng(self.seed).standard_normal(self.shape).astype(dtype)


_NAMED_POOLS = (
    PoolCase("lecture-2x2", (2, 10, 32, 32), (2, 2), (2, 2)),
    PoolCase("alexnet-3x3-s2", (1, 33, 27, 27), (3, 3), (2, 2)),
    PoolCase("resnet-3x3-s2-p1", (1, 17, 28, 28), (3, 3), (2, 2), (1, 1)),
    PoolCase("googlenet-3x3-s1-p1", (1, 16, 14, 14), (3, 3), (1, 1), (1, 1)),
    PoolCase("googlenet-ceil", (1, 5, 28, 27), (3, 3), (2, 2), ceil_mode=True),
    PoolCase("mtcnn-ceil", (1, 10, 23, 23), (2, 2), (2, 2), ceil_mode=True),
    PoolCase("spp-5x5", (1, 3, 13, 13), (5, 5), (1, 1), (2, 2)),
    PoolCase("spp-13x13", (1, 2, 7, 8), (13, 13), (1, 1), (6, 6)),
    PoolCase("global", (2, 65, 7, 7), (7, 7)),
    PoolCase("unequal", (2, 3, 11, 17), (2, 3), (3, 1), (1, 0)),
    PoolCase("row", (1, 4, 5, 56), (1, 7), (1, 2), (0, 3)),
    PoolCase("column", (1, 4, 56, 5), (7, 1), (2, 1), (3, 0)),
    PoolCase("stride-beyond-kernel", (1, 3, 17, 19), (2, 2), (5, 4)),
    PoolCase("dilated", (1, 3, 14, 16), (3, 2), (1, 2), (1, 1), (2, 3)),
    PoolCase("dilated-ceil", (1, 3, 13, 15), (3, 3), (2, 2), (1, 1), (2, 2), ceil_mode=True),
    PoolCase("ceil-drops-last", (1, 2, 5, 5), (2, 2), (4, 4), (1, 1), ceil_mode=True),
    PoolCase("ceil-all-in-padding", (1, 1, 4, 4), (2, 2), (3, 3), (1, 1), ceil_mode=True),
    PoolCase("several-parts", (1, 2, 75, 131), (3, 3), (1, 1), (1, 1)),
    PoolCase("several-parts-s2", (1, 2, 75, 131), (3, 3), (2, 2), (1, 1)),
    PoolCase("several-parts-2x2", (1, 2, 131, 75), (2, 2), (2, 2), ceil_mode=True),
    PoolCase("tall-window", (1, 3, 17, 21), (5, 3), (1, 2), (2, 1)),
    PoolCase("large-window-strided", (2, 3, 23, 26), (7, 6), (2, 3), (3, 2), ceil_mode=True),
    PoolCase("large-window-parts", (1, 2, 150, 70), (11, 8), (1, 1), (5, 4)),
    PoolCase("large-window-deep", (1, 200, 7, 50), (7, 7), (1, 1), (3, 3)),
    PoolCase("dilated-large", (1, 3, 19, 24), (5, 4), (1, 1), (2, 2), (3, 2)),
    PoolCase("one-pixel", (1, 1, 1, 1), (1, 1)),
    PoolCase("one-pixel-padded", (2, 3, 1, 1), (3, 3), (1, 1), (1, 1)),
    PoolCase("empty-batch", (0, 3, 8, 8), (2, 2)),
)


def _pools() -> tuple[PoolCase, ...]:
    widths = [
        PoolCase(f"width-{q}-{kernel[0]}x{kernel[1]}-s{s}", (1, 3, 6, q), kernel, (s, s), pad)
        for q in PIXELS
        for kernel, s, pad in (
            ((2, 2), 2, (0, 0)),
            ((3, 3), 2, (1, 1)),
            ((3, 3), 1, (1, 1)),
            ((3, 3), 3, (1, 1)),
            ((5, 5), 1, (2, 2)),
        )
        if q + 2 * pad[1] >= kernel[1]
    ]
    depths = [PoolCase(f"depth-{c}", (1, c, 7, 8), (3, 3), (2, 2), (1, 1)) for c in CHANNELS]
    return (*_NAMED_POOLS, *widths, *depths)


POOLS = _pools()
