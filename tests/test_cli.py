"""The command line does what it says, with the extras and without them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import fastconv
from fastconv import cli, runtime
from fastconv.benchmarks import baseline
from fastconv.demo import race


@pytest.fixture(params=["rich", "plain"])
def text_style(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test with rich and once more as if rich were not installed."""
    if request.param == "rich":
        pytest.importorskip("rich")
    else:
        for name in ("rich.console", "rich.progress", "rich.table"):
            monkeypatch.setitem(sys.modules, name, None)
    return str(request.param)


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(race, "ROUNDS", 1)


def test_demo_prints_accuracy_volumes_speed_and_source(
    text_style: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["demo"]) == 0
    out = capsys.readouterr().out
    for words in (
        "Accuracy on held-out images: 98.33% (295 of 300",
        "2,680",
        "MNIST",
        "CC BY-SA 3.0",
        "300 images",
        "speedup",
        "predictions identical",
        "fastconv 1 thread",
    ):
        assert words in out


def test_demo_fails_when_answers_differ(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = baseline.max_pool2d
    monkeypatch.setattr(baseline, "max_pool2d", lambda *a, **k: -right(*a, **k))
    assert cli.main(["demo"]) == 1
    assert "NOT THE SAME" in capsys.readouterr().out


def test_demo_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "demo.png"
    assert cli.main(["demo", "--threads", "2", "--plot", str(path)]) == 0
    assert path.read_bytes().startswith(b"\x89PNG")
    out = capsys.readouterr().out
    assert str(path) in out.replace("\n", "")
    assert "fastconv 2 threads" in out


@pytest.mark.parametrize("command", [["demo"], ["bench", "--shapes", "digits"]], ids=" ".join)
def test_missing_matplotlib_is_said_before_any_work(
    command: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert cli.main([*command, "--plot", str(tmp_path / "x.png")]) == 2
    captured = capsys.readouterr()
    assert "pip install fastconv[plot]" in captured.err
    assert captured.out == ""


def test_bench_writes_a_table_records_and_a_chart(
    text_style: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    records, chart = tmp_path / "results.jsonl", tmp_path / "bench.png"
    command = ["bench", "--shapes", "lecture", "--rounds", "1", "--threads", "2"]
    for _time in range(2):
        assert cli.main([*command, "--json", str(records), "--plot", str(chart)]) == 0
    out = capsys.readouterr().out
    for words in ("GFLOP/s", "% of peak", "NumPy ms", "speedup", "CIFAR first", "2 threads"):
        assert words in out
    assert chart.read_bytes().startswith(b"\x89PNG")
    lines = [json.loads(line) for line in records.read_text().splitlines()]
    assert [line["layer"] for line in lines] == ["CIFAR first", "CIFAR second", "assignment"] * 2
    for line in lines:
        assert line["threads"] == 2
        assert line["algorithm"] == "auto"
        assert line["isa"] == runtime.show_config()["isa"]
        assert line["gflops"] == pytest.approx(line["percent_of_peak"] * line["peak_gflops"] / 100)
        assert line["speedup"] == pytest.approx(line["numpy_ms"] / line["ms"])
        assert {"commit", "date", "cpu", "compiler", "numpy", "blas_threads"} <= set(line)


def test_bench_forces_algorithm_and_instruction_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = runtime.show_config()["isa"]
    path = tmp_path / "results.jsonl"
    command = "bench --shapes digits --rounds 1 --algorithm im2col --isa baseline --dtype float64"
    assert cli.main([*command.split(), "--json", str(path)]) == 0
    for line in path.read_text().splitlines():
        result = json.loads(line)
        assert (result["isa"], result["algorithm"]) == ("baseline", "im2col")
        assert result["dtype"] == "float64"
    assert runtime.show_config()["isa"] == before


def test_bench_lists_layers(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "--list"]) == 0
    out = capsys.readouterr().out
    assert "resnet50\n" in out
    assert "    conv1: 1x3x224x224 -> 64, 7x7/2" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bench", "--shapes", "lenet"], "got 'lenet'"),
        (["bench", "--isa", "mmx"], "mmx"),
        (["demo", "--threads", "0"], "expected a whole number from 1 up, got '0'"),
        (["bench", "--json", "no/such/folder/x.jsonl"], "no such folder: 'no/such/folder'"),
        ([], "command"),
    ],
)
def test_wrong_requests_end_with_status_2_and_a_reason(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = cli.main(arguments)
    except SystemExit as stop:  # argparse ends the process itself
        status = int(str(stop.code))
    assert status == 2
    assert message in capsys.readouterr().err


def test_info_and_summary(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info"]) == 0
    out = capsys.readouterr().out
    assert fastconv.__version__ in out
    assert str(runtime.show_config()["isa"]) in out
    assert cli.main(["summary"]) == 0
    out = capsys.readouterr().out
    assert "MaxPool2d" in out
    assert "2,680" in out


def test_the_module_runs_as_a_program() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sys.path))}
    command = [sys.executable, "-m", "fastconv"]
    done = subprocess.run(
        [*command, "summary"], capture_output=True, text=True, env=environment, check=True
    )
    assert "2,680" in done.stdout
    version = subprocess.run(
        [*command, "--version"], capture_output=True, text=True, env=environment, check=True
    )
    assert version.stdout == f"fastconv {fastconv.__version__}\n"
