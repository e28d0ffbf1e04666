"""Comparisons with other libraries: drivers that compute what is asked, and failures that show."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference as ref

from fastconv import cli
from fastconv.benchmarks import engines, errors, layers, peers, records, report, timing, worker
from fastconv.benchmarks.layers import Layer, Linear, Pool
from fastconv.benchmarks.worker import Problem

SMALL: list[layers.AnyLayer] = [
    Layer("test", "plain", (1, 5, 9, 11), 7, (3, 3), padding=1),
    Layer("test", "uneven", (1, 6, 12, 9), 4, (2, 3), (1, 2), (2, 1), (2, 1), groups=2),
    Layer("test", "depthwise", (1, 8, 10, 10), 8, (3, 3), 2, 1, groups=8),
    Pool("test", "max", (1, 4, 11, 9), (3, 2), (2, 1), (1, 0)),
    Pool("test", "average", (1, 4, 9, 12), (2, 3), 2, 1, pool="average"),
    Linear("test", "one row", (1, 19), 6),
    Linear("test", "three rows", (3, 19), 6),
]
BATCH: layers.AnyLayer = Layer("test", "batch", (3, 4, 8, 8), 5, (3, 3))

# Engines that go wrong in every way, under the names of peers.
FAKES = """
    import importlib.util, os, sys
    spec = importlib.util.spec_from_file_location("worker", {worker!r})
    worker = importlib.util.module_from_spec(spec)
    sys.modules["worker"] = worker
    spec.loader.exec_module(worker)

    def right(problem, threads, options):
        print("engines may print")
        assert "fastconv" not in sys.modules
        assert os.environ["OMP_NUM_THREADS"] == str(threads) == "2"
        x, weight, bias = problem.arrays()
        return lambda: x @ weight.T + bias

    def wrong(problem, threads, options):
        call = right(problem, threads, options)
        return lambda: call() * 1.001

    def cut(problem, threads, options):
        call = right(problem, threads, options)
        return lambda: call()[:, 1:]

    def raises(problem, threads, options):
        raise NotImplementedError("no such layer\\nand more")

    def dies(problem, threads, options):
        sys.stderr.write("out of memory\\n")
        sys.stderr.flush()
        os._exit(3)

    names = dict(onnxruntime=right, openvino=wrong, torch_nhwc=cut, torch=raises, ncnn=dies)
    for name, prepare in names.items():
        worker.ENGINES[name] = (prepare, ())
    if {replaced!r}:
        worker.ENGINES["fastconv"] = (wrong, ())
    worker.main()
"""


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "read_bandwidth", lambda threads: 10.0 * threads)


@pytest.fixture(params=[False], ids=["fakes"])
def fakes(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Replace all peers, and with the parameter True fastconv too."""
    script = tmp_path / "fakes.py"
    text = FAKES.format(worker=worker.__file__, replaced=request.param)
    script.write_text(textwrap.dedent(text))
    monkeypatch.setattr(engines, "SCRIPT", script)
    monkeypatch.setattr(engines, "installed", lambda names, known=None: (list(names), {}))
    return list(engines.PEERS)


@pytest.mark.parametrize("layer", [*SMALL, BATCH], ids=lambda layer: layer.name)
def test_the_exact_answer_is_that_of_the_loops(layer: layers.AnyLayer) -> None:
    asked = engines.problem(layer)
    x, w, b = asked.arrays()
    if asked.op == "linear":
        expected = ref.linear(x, w, b)
    elif asked.op == "conv":
        geometry: dict[str, Any] = {"stride": asked.stride, "padding": asked.padding}
        geometry |= {"dilation": asked.dilation, "groups": asked.groups, "activation": "relu"}
        expected = ref.conv2d(x, w, b, **geometry)
    elif asked.op == "max":
        expected, _ = ref.max_pool2d(x, asked.kernel, asked.stride, asked.padding)
    else:
        expected = ref.avg_pool2d(x, asked.kernel, asked.stride, asked.padding)
    assert expected.shape == layer.output
    np.testing.assert_allclose(engines.exact(asked), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", worker.ENGINES)
def test_engines_compute_what_is_asked(name: str) -> None:
    for module in worker.ENGINES[name][1]:
        pytest.importorskip(module)
    with engines.Engine(name, threads=1) as engine:
        for layer in SMALL:
            asked = engines.problem(layer)
            assert engine.prepare(asked) == {}, layer.name
            assert engine.ask(do="time", seconds=0.0)["seconds"] > 0
            assert engine.deviation(engines.exact(asked)).get("max", 1) < 1e-6, layer.name
        if name == "ncnn":
            failed = engine.prepare(engines.problem(BATCH))
            assert failed == {"error": "NotImplementedError: no batches"}


@pytest.mark.parametrize("functional", [False, True])
@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_fastconv_alone_answers_requests(
    data_format: str, functional: bool, tmp_path: Path
) -> None:
    one = worker.Worker("fastconv", 1)
    assert one.answer({"do": "time", "seconds": 0.0}) == {
        "error": "RuntimeError: nothing is prepared"
    }
    for layer in [*SMALL, BATCH]:
        asked = engines.problem(layer, relu=not functional)
        options = {"data_format": data_format, "functional": functional, "algorithm": "direct"}
        request = json.loads(json.dumps({"do": "prepare", "problem": dataclasses.asdict(asked)}))
        assert one.answer({**request, "options": options}) == {}
        assert one.answer({"do": "save", "path": str(tmp_path / "y.npy")}) == {}
        expected = engines.exact(asked)
        np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected, rtol=1e-4, atol=1e-5)


def test_a_request_that_cannot_be_done_is_answered_with_the_reason() -> None:
    with engines.Engine("fastconv", threads=1) as engine:
        odd = Problem("conv", (1, 2, 5, 5), (3, 2, 2, 2), (2, 2))
        answer = engine.prepare(odd, {"algorithm": "winograd"})
        assert answer["error"].startswith("ValueError: algorithm")
        assert engine.prepare(odd) == {}  # and the process goes on


def test_engines_that_fail_or_disagree_take_no_part(fakes: list[str]) -> None:
    result = peers.measure(SMALL[-2], fakes, threads=2, rounds=2, seconds=0.0)
    assert set(result["ms"]) == {"fastconv", "onnxruntime"}
    assert result["best_peer"] == "onnxruntime"
    assert result["ratio"] == pytest.approx(result["ms"]["onnxruntime"] / result["ms"]["fastconv"])
    assert result["percent_of_peak"] == pytest.approx(
        100 * result["gflops"] / result["peak_gflops"]
    )
    assert result["failed"].keys() == {"openvino", "torch_nhwc", "torch", "ncnn"}
    assert "wrong: off by 1.0e-03" in result["failed"]["openvino"]
    assert result["failed"]["torch_nhwc"] == "wrong: shape (1, 5), expected (1, 6)"
    assert result["failed"]["torch"] == "NotImplementedError: no such layer"
    assert result["failed"]["ncnn"] == "the process ended with 3: out of memory"
    assert set(result["max_error"]) == set(result["rms_error"]) == set(result["ms"])


@pytest.mark.parametrize(("fakes", "status"), [(False, 0), (True, 1)], indirect=["fakes"])
def test_the_command_shows_records_and_draws(
    fakes: list[str], status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    path, picture = tmp_path / "results.jsonl", tmp_path / "chart.png"
    command = f"bench --peers --shapes odd --only 00x160 --threads 2 --rounds 1 --json {path}"
    assert cli.main([*command.split(), "--markdown"]) == status
    shown = capsys.readouterr().out
    assert "openvino left out of 1 (linear 100 rows): wrong" in shown
    assert ("| linear | 1 |" in shown) == (status == 0)
    (newest,) = records.read(path)
    assert newest["layer"] == "linear 100 rows"
    assert {"commit", "cpu", "isa", "compiler", "peers", "read_gbytes_per_second"} <= set(newest)
    again = ["bench", "--read", str(path), "--markdown", "--plot", str(picture)]
    assert cli.main(again) == status
    assert capsys.readouterr().out == shown
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_missing_peer_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "ncnn" else find(name)
    )
    assert engines.installed(["ncnn"]) == ([], {"ncnn": "not installed: ncnn"})
    command = "bench --peers ncnn --shapes odd --only row --rounds 1 --functional"
    assert cli.main(command.split()) == 0
    captured = capsys.readouterr()
    assert "ncnn left out: not installed: ncnn" in captured.err
    assert "functional calls" in captured.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--peers numpy", "got 'numpy'"),
        ("--peers --only triangle", "no layer of classes has 'triangle'"),
        ("--peers --dtype float64", "float32"),
        ("--read no_such_file", "no_such_file"),
        ("--threads 1,0", "got '0'"),
    ],
)
def test_wrong_requests_are_refused(
    arguments: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = cli.main(["bench", *arguments.split()])
    except SystemExit as stop:
        status = int(str(stop.code))
    assert status == 2
    assert message in capsys.readouterr().err


def test_records_come_back(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    runs = [[{"layer": "a", "date": day, "ms": {"ncnn": 1.25}}] * 2 for day in ("1", "2")]
    for run in runs:
        records.append(path, run)
    assert records.read(path) == runs[1]
    for text in ("", "no JSON\n", '{"layer": "a"}\n', "[1]\n"):
        path.write_text(text)
        with pytest.raises(ValueError, match="results as JSON lines"):
            records.read(path)


def test_every_class_has_layers_of_usual_and_of_odd_sizes() -> None:
    for name in ("classes", "odd"):
        assert {layer.category for layer in layers.load(name)} == set(layers.CLASSES)


@pytest.mark.parametrize(
    ("layer", "category"),
    [
        (Layer("", "", (1, 3, 9, 9), 8, (7, 7), 2), "first layer"),
        (Layer("", "", (1, 64, 9, 9), 8, (3, 3)), "3x3"),
        (Layer("", "", (1, 64, 9, 9), 8, (2, 3)), "3x3"),
        (Layer("", "", (1, 64, 9, 9), 8, (1, 1)), "1x1"),
        (Layer("", "", (1, 64, 9, 9), 8, (1, 1), (1, 2)), "strided"),
        (Layer("", "", (1, 64, 9, 9), 8, (5, 3)), "large filter"),
        (Layer("", "", (1, 64, 9, 9), 8, (7, 1)), "one-dimensional"),
        (Layer("", "", (9, 64, 9, 9), 128, (3, 3), 2, groups=64), "depthwise"),
        (Layer("", "", (1, 64, 9, 9), 64, (3, 3), groups=32), "grouped"),
        (Layer("", "", (1, 64, 9, 9), 64, (3, 3), dilation=(1, 2)), "dilated"),
        (Layer("", "", (9, 3, 9, 9), 8, (3, 3)), "batch"),
        (SMALL[3], "pooling"),
        (SMALL[5], "linear"),
    ],
)
def test_the_class_of_a_layer(layer: layers.AnyLayer, category: str) -> None:
    assert layer.category == category


def test_sums_by_class_leave_out_what_has_no_ratio() -> None:
    ratios = [("linear", 4.0), ("3x3", 0.5), ("3x3", 2.0), ("1x1", None), ("3x3", 1.0)]
    lines = peers.summarize({"class": name, "ratio": ratio} for name, ratio in ratios)
    assert [line["class"] for line in lines] == ["3x3", "linear", "all"]
    assert [line["ratio"] for line in lines] == pytest.approx([1.0, 4.0, 4**0.25])
    assert [line["least"] for line in lines] == [0.5, 4.0, 0.5]
    assert [line["behind"] for line in lines] == [1, 0, 1]


def test_errors_are_tabulated_by_algorithm(tmp_path: Path) -> None:
    chosen = [SMALL[0], Layer("test", "1x1", (1, 6, 9, 9), 4, (1, 1)), SMALL[3]]
    steps: list[int] = []
    results = errors.measure(chosen, [], lambda: steps.append(1))
    assert len(steps) == 3
    assert [result["failed"] for result in results] == [{}] * 3
    assert {"auto", "direct", "planar", "winograd", "im2col"} <= set(results[0]["max_error"])
    assert 0 < results[0]["rms_error"]["winograd"] < 1e-6
    assert "winograd" not in results[1]["max_error"]
    assert results[2]["max_error"] == {"auto": 0.0}
    table = report.error_tables(results)[0]
    row = dict(zip(table.header, table.rows[1], strict=True))
    assert table.rows[1][0] == "1x1"
    assert row["winograd"] == "–"
    assert 0 < float(row["direct"]) < 1e-6
