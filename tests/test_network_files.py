"""Compiled layers, saved networks, predictors, reports and the commands on network files."""

from __future__ import annotations

import pickle
from mmap import mmap
from pathlib import Path
from typing import Any

import child
import numpy as np
import pytest
from networks import lecture_net, random

import fastconv
from fastconv import cli, networks, nn
from fastconv.errors import ModelFormatError, ShapeError, UnsupportedOperatorError


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "net.fastconv"
    fastconv.compile(lecture_net(), (3, 8, 8)).save(path)
    return path


# ---- layers


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_compiled_layers_compute_what_layers_do(dtype: str) -> None:
    conv = nn.Conv2d(3, 10, 3, padding=1, rng=0, dtype=dtype)
    linear = nn.Linear(160, 5, rng=1, dtype=dtype)
    net = nn.Sequential(conv, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), linear)
    model = fastconv.compile(net, (3, 8, 8), dtype)
    x = random(5, 3, 8, 8, dtype=dtype)
    np.testing.assert_allclose(model(x), net(x), rtol=1e-5, atol=1e-6)
    assert model.inputs[0].shape == (None, 3, 8, 8)
    assert model.outputs[0].shape == (None, 5)


def test_every_option_of_layers() -> None:
    net = nn.Sequential(
        nn.Conv2d(4, 6, (3, 2), stride=(1, 2), padding=((1, 0), (2, 1)), groups=2, rng=0),
        nn.Conv2d(6, 6, 3, padding="same", dilation=2, activation="leaky_relu", rng=1),
        nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True),
        nn.AvgPool2d((2, 1), stride=1, padding=(1, 0), count_include_pad=False),
        nn.Sequential(nn.Flatten(2), nn.Linear(30, 7, activation="silu", rng=2)),
        nn.Softmax(dim=-1),
    )
    x = random(2, 4, 9, 15)
    shape = net.output_shape(x.shape)
    assert shape[2] == 7
    np.testing.assert_allclose(fastconv.compile(net, x.shape)(x), net(x), rtol=1e-4, atol=1e-6)


def test_weights_are_those_of_now() -> None:
    net = lecture_net()
    x = random(1, 3, 8, 8)
    model = fastconv.compile(net, (3, 8, 8))
    before = model(x)
    first: Any = net[0]
    first.weight = first.weight * 2
    np.testing.assert_array_equal(model(x), before)


def test_layers_that_cannot_be_compiled() -> None:
    with pytest.raises(UnsupportedOperatorError, match=r"layer 0: LocallyConnected2d"):
        fastconv.compile(nn.LocallyConnected2d(3, 4, 3, 8), (3, 8, 8))
    with pytest.raises(UnsupportedOperatorError, match="data_format"):
        fastconv.compile(nn.Sequential(nn.Conv2d(3, 4, 3, data_format="NHWC")), (8, 8, 3))
    with pytest.raises(ShapeError):
        fastconv.compile(lecture_net(), (4, 8, 8))


# ---- files


def test_saved_networks_run_without_onnx(saved: Path) -> None:
    code = """
        import sys
        sys.modules["onnx"] = None
        import numpy as np, fastconv
        from networks import lecture_net, random
        x = random(2, 3, 8, 8)
        same = np.allclose(fastconv.load(sys.argv[1])(x), lecture_net()(x), rtol=1e-5)
        sys.exit(0 if same else 1)
    """
    result = child.run(code, str(saved))
    assert result.returncode == 0, result.stderr


def test_a_saved_network_is_mapped_and_saves_again(saved: Path, tmp_path: Path) -> None:
    model = fastconv.load(saved)
    ((block, _),) = model._constants.blocks()
    base: Any = block
    while not isinstance(base, mmap):
        base = base.obj if isinstance(base, memoryview) else base.base
    again = tmp_path / "again"
    model.save(again)
    x = random(1, 3, 8, 8)
    np.testing.assert_array_equal(fastconv.load(again)(x), model(x))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model))(x), model(x))


def test_packed_weights_come_with_the_file(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fastconv import _native
    from fastconv.graph import files

    model = fastconv.load(saved)
    x = random(2, 3, 8, 8)
    plain = tmp_path / "plain"
    model.save(plain, packed=False)
    assert plain.stat().st_size < saved.stat().st_size
    right = model(x)
    np.testing.assert_array_equal(fastconv.load(plain)(x), right)

    def refuse(size: int) -> Any:
        raise MemoryError("packed anew")

    with monkeypatch.context() as patched:
        patched.setattr(_native, "empty_bytes", refuse)
        np.testing.assert_array_equal(fastconv.load(saved)(x), right)
        with pytest.raises(MemoryError, match="packed anew"):
            fastconv.load(plain)
        patched.setattr(files, "build_id", lambda: "another build")
        with pytest.raises(MemoryError, match="packed anew"):
            fastconv.load(saved)


def test_onnx_networks_survive_a_file(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    from onnx_nets import CHANNELS, NETS

    for name, make in NETS.items():
        model = fastconv.load(make())
        model.save(tmp_path / name)
        x = random(2, CHANNELS[name], 10, 11)
        for a, b in zip(model(x), fastconv.load(tmp_path / name)(x), strict=True):
            np.testing.assert_array_equal(a, b)


def test_broken_saved_networks(saved: Path) -> None:
    whole = saved.read_bytes()
    header = len(b"fastconv network 1\n") + 8
    wrong = [
        whole[:header],
        whole[: header + 40],
        whole[: len(whole) // 2],
        whole[:19] + b"\xff" * 8 + whole[27:],
        whole.replace(b'"conv"', b'"cnov"'),
        whole.replace(b'"kernel"', b'"krenel"'),
        whole.replace(b'"at": 0', b'"at":-9'),
        whole.replace(b'"nodes"', b'"sedon"'),
    ]
    for number, contents in enumerate(wrong):
        path = saved.with_name(f"broken{number}")
        path.write_bytes(contents)
        with pytest.raises((ModelFormatError, UnsupportedOperatorError)):
            fastconv.load(path)


# ---- predictors


def test_predictors_load_once_and_notice_a_new_file(saved: Path) -> None:
    predict, same = fastconv.Predictor(saved), fastconv.Predictor(str(saved))
    assert predict._model() is same._model()
    x = random(1, 3, 8, 8)
    before = predict(x)
    named = predict({"input": x})
    np.testing.assert_array_equal(named["output"], before)
    fastconv.compile(lecture_net(rng=7), (3, 8, 8)).save(saved)
    loaded = len(networks._loaded)
    assert not np.array_equal(predict(x), before)
    assert len(networks._loaded) == loaded, "the model of the file before is gone"
    assert "threads=1" in repr(predict)
    with pytest.raises(ValueError, match="threads: expected 1 or more"):
        fastconv.Predictor(saved, threads=0)


# ---- reports


def test_summary_and_profile(saved: Path, tmp_path: Path) -> None:
    model = fastconv.load(saved)
    table = model.summary()
    assert [line.output for line in table.lines][:2] == ["1x10x8x8", "1x10x4x4"]
    assert table.lines[0].mflop == pytest.approx(2 * 10 * 8 * 8 * 27 / 1e6)
    assert "ms" not in str(table).split("\n")[0].split()
    assert model.summary((4, 3, 8, 8)).lines[0].output == "4x10x8x8"
    timed = model.profile(random(4, 3, 8, 8), runs=3)
    assert len(timed.lines) == len(table.lines)
    assert timed.total.ms > 0
    assert "median of 3 runs" in str(timed)
    timed.to_csv(tmp_path / "t.csv")
    assert len((tmp_path / "t.csv").read_text().splitlines()) == len(timed.lines) + 1
    pytest.importorskip("matplotlib")
    timed.plot().savefig(tmp_path / "t.png")
    assert (tmp_path / "t.png").stat().st_size > 1000


def test_summary_of_free_sizes() -> None:
    pytest.importorskip("onnx")
    from onnx_nets import NETS

    model = fastconv.load(NETS["residual"]())
    with pytest.raises(ShapeError, match="sizes are free"):
        model.summary()
    assert model.summary((1, 3, 16, 16)).total.mflop > 0


# ---- the command line


def test_commands(saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "x.npy", random(2, 3, 8, 8))
    x, out = str(tmp_path / "x.npy"), str(tmp_path / "y.npz")
    assert cli.main(["summary", str(saved), "--shape", "2x3x8x8"]) == 0
    assert "2x10x8x8" in capsys.readouterr().out
    assert cli.main(["run", str(saved), x, "--output", out]) == 0
    assert "output: float32 (2, 5)" in capsys.readouterr().out
    right = lecture_net()(random(2, 3, 8, 8))
    np.testing.assert_allclose(np.load(out)["output"], right, rtol=1e-5)
    csv = str(tmp_path / "p.csv")
    assert cli.main(["profile", str(saved), "--runs", "2", "--csv", csv]) == 0
    assert "GFLOP/s" in capsys.readouterr().out
    assert Path(csv).read_text().startswith("label,")
    copy = str(tmp_path / "copy")
    assert cli.main(["convert", str(saved), copy]) == 0
    assert cli.main(["run", copy, x]) == 0
    assert cli.main(["run", copy, x, x]) == 2
    assert "takes 1 inputs" in capsys.readouterr().err
    assert cli.main(["summary", str(tmp_path / "nothing")]) == 2


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_get_the_channels_size_and_scale_of_the_input(
    channels: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = pytest.importorskip("matplotlib.image")
    path, out = str(tmp_path / "net"), str(tmp_path / "y.npz")
    fastconv.compile(nn.AvgPool2d(1), (1, channels, 4, 6)).save(path)
    colours = np.zeros((8, 12, 3), np.uint8)
    colours[..., 0] = 255
    image.imsave(tmp_path / "red.png", colours)
    image.imsave(
        tmp_path / "grey.png", np.full((8, 12), 51, np.uint8), cmap="gray", vmin=0, vmax=255
    )
    options = ["--size", "4x6", "--mean", "0.5", "--std", "0.25", "--output", out]
    for name, planes in (("red", [1, 0, 0]), ("grey", [0.2, 0.2, 0.2])):
        assert cli.main(["run", path, str(tmp_path / f"{name}.png"), *options]) == 0
        values = np.array(planes if channels == 3 else [np.mean(planes)])
        expected = np.broadcast_to(((values - 0.5) / 0.25)[:, None, None], (channels, 4, 6))
        np.testing.assert_allclose(np.load(out)["output"][0], expected, atol=1e-6)
    with pytest.raises(SystemExit):
        cli.main(["run", path, "x.png", "--mean", "bright"])
    assert "--mean: expected numbers like" in capsys.readouterr().err


def test_free_sizes_are_asked_for_and_tuned_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    onnx = pytest.importorskip("onnx")
    from onnx_nets import NETS

    path, saved = str(tmp_path / "net.onnx"), str(tmp_path / "net")
    onnx.save(NETS["residual"](), path)
    for command in ("summary", "profile"):
        assert cli.main([command, path]) == 2
        assert "--shape NxCxHxW, once for each input" in capsys.readouterr().err
    assert cli.main(["convert", path, saved, "--tune", "--shape", "1x3x12x12"]) == 0
    model = fastconv.load(saved)
    assert model._graph.choices
    x = random(1, 3, 12, 12)
    right = fastconv.load(path)(x)
    np.testing.assert_allclose(model(x), right, rtol=1e-4, atol=1e-5 * np.abs(right).max())


def test_long_labels_are_cut_in_tables_alone() -> None:
    from fastconv.graph.report import Line, Report

    table = Report([Line("begin" + "-" * 80 + "end", "", "1", 0, 0, 0)], False, "")
    assert "begin" + "-" * 24 + "…" + "-" * 27 + "end " in str(table)
    assert len(table.lines[0].label) == 88


def test_a_picture_is_an_input(saved: Path, tmp_path: Path) -> None:
    image = pytest.importorskip("matplotlib.image")
    image.imsave(tmp_path / "x.png", np.zeros((8, 8, 3), np.uint8))
    assert cli.main(["run", str(saved), str(tmp_path / "x.png")]) == 0
