"""Modules of PyTorch through its ONNX exporters: what they compute, at any batch and size."""

from __future__ import annotations

import importlib.util
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")  # which the exporters need

from torch import nn  # noqa: E402

import fastconv  # noqa: E402

README = Path(__file__).resolve().parents[1] / "README.md"

#: Relative to the largest output: a dozen layers of a few hundred float32 products.
TOLERANCE = 1e-5


class Residual(nn.Module):  # type: ignore[misc]
    def __init__(self, inside: int, outside: int, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(outside)
        self.second = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(outside)
        self.around = nn.Conv2d(inside, outside, 1, stride)

    def forward(self, x: Any) -> Any:
        y = torch.relu(self.first_norm(self.first(x)))
        return torch.relu(self.second_norm(self.second(y)) + self.around(x))


class Split(nn.Module):  # type: ignore[misc]
    """Two parts, two outputs, shapes taken from the input."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(8, 6, 1), nn.Conv2d(8, 6, (1, 5), padding=(0, 2))
        self.slope = nn.PReLU(12)

    def forward(self, x: Any) -> Any:
        a, b = torch.chunk(x, 2, dim=1)
        y = self.slope(torch.cat([self.left(a), self.right(b)], dim=1))
        return y.flatten(2).mean(dim=2), torch.sigmoid(y) * y


def modules() -> dict[str, Any]:
    torch.manual_seed(0)
    classifier = nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2, padding=1),
        nn.Hardswish(),
        nn.MaxPool2d(3, 2, 1),
        Residual(16, 24, 2),
        nn.Conv2d(24, 24, 3, padding=1, groups=24),
        nn.SiLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(),
        nn.Linear(24, 10),
        nn.Softmax(dim=1),
    )
    decoder = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1, padding_mode="reflect"),
        nn.GELU(),
        nn.PixelShuffle(2),
        nn.ConvTranspose2d(8, 8, 4, stride=2, padding=1),
        nn.LeakyReLU(0.1),
        nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
        nn.AvgPool2d(2, ceil_mode=True),
        nn.GroupNorm(2, 8),
    )
    several = nn.Sequential(nn.Conv2d(3, 16, 3), Split())
    nets = {"classifier": classifier, "decoder": decoder, "several": several}
    for net in nets.values():
        for part in net.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.uniform_(-0.5, 0.5)
                part.running_var.uniform_(0.5, 2)
    return nets


@pytest.mark.parametrize("dynamo", [False, True], ids=["dynamo=False", "dynamo=True"])
@pytest.mark.parametrize("name", modules())
def test_exported_modules(name: str, dynamo: bool, tmp_path: Path) -> None:
    if dynamo and importlib.util.find_spec("onnxscript") is None:
        pytest.skip("onnxscript is not installed")
    module = modules()[name].eval()
    path = str(tmp_path / "net.onnx")
    free = {0: "batch", 2: "height", 3: "width"}
    options: dict[str, Any] = {"dynamic_axes": {"x": free}, "input_names": ["x"]}
    if dynamo:
        options = {"dynamic_shapes": ({0: "batch", 2: "height", 3: "width"},), "verbose": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporters' own ways
        torch.onnx.export(module, (torch.randn(2, 3, 32, 40),), path, dynamo=dynamo, **options)
    model = fastconv.load(path)
    for shape in ((2, 3, 32, 40), (1, 3, 48, 24)):
        x = torch.randn(*shape)
        with torch.inference_mode():
            right = module(x)
        found = model(x.numpy())
        pairs = zip(found, right, strict=True) if isinstance(right, tuple) else [(found, right)]
        for y, expected in pairs:
            assert y.shape == tuple(expected.shape)
            error = np.abs(y - expected.numpy()).max()
            assert error <= TOLERANCE * np.abs(expected.numpy()).max()


def test_what_the_readme_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not README.exists():
        pytest.skip("needs a checkout, not a wheel")
    monkeypatch.chdir(tmp_path)
    found = re.findall(r"```py\n(.*?)```", README.read_text(), flags=re.S)
    assert len(found) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of dynamo=False
        exec(found[0], {})
    assert capsys.readouterr().out == "(2, 16, 1, 1)\n"
