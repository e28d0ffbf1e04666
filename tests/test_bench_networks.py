"""Whole networks beside other runtimes: what they compute, and failures that show."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx_nets import NETS  # noqa: E402

from fastconv import cli  # noqa: E402
from fastconv.benchmarks import engines, network_worker, networks, timing  # noqa: E402
from fastconv.errors import ShapeError  # noqa: E402

# Engines that go wrong, under the names of peers.
FAKES = """
    import os, sys
    sys.path.insert(0, {folder!r})
    import network_worker as nets

    def call_of(network):
        assert "fastconv" not in sys.modules
        (x,) = network.feeds().values()
        return lambda: [np.maximum(x, 0)]

    import numpy as np
    def right(network, threads):
        return call_of(network)
    def wrong(network, threads):
        return lambda: [1.5 * call_of(network)()[0]]
    def cut(network, threads):
        return lambda: [call_of(network)()[0][:, 1:]]
    nets.ENGINES.update(onnxruntime=(right, ()), openvino=(wrong, ()), ncnn=(cut, ()))
    sys.path.pop(0)
    nets.worker.main(nets.NetworkWorker)
"""


@pytest.fixture
def relu(tmp_path: Path) -> str:
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    x, y = (helper.make_tensor_value_info(name, kind, ["n", 3, "h"]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "net", [x], [y])
    path = str(tmp_path / "relu.onnx")
    onnx.save(helper.make_model(graph), path)
    return path


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "fakes.py"
    folder = str(Path(network_worker.__file__).parent)
    script.write_text(textwrap.dedent(FAKES.format(folder=folder)))
    monkeypatch.setattr(networks, "SCRIPT", script)
    monkeypatch.setattr(engines, "installed", lambda names, known: (list(names), {}))


@pytest.mark.usefixtures("fakes")
def test_what_computes_something_else_takes_no_part(relu: str) -> None:
    result = networks.measure(
        relu, networks.PEERS, shapes=[(2, 3, 50)], rounds=2, seconds=0.0, threads=1
    )
    assert result["inputs"] == [[2, 3, 50]]
    assert set(result["ms"]) == {"fastconv", "onnxruntime"}
    assert result["best_peer"] == "onnxruntime"
    assert result["ratio"] == result["ms"]["onnxruntime"] / result["ms"]["fastconv"]
    assert "off by 5.0e-01 of the largest value" in result["failed"]["openvino"]
    assert "another answer" in result["failed"]["ncnn"]


@pytest.mark.parametrize("name", networks.PEERS)
def test_runtimes_compute_the_same(name: str, tmp_path: Path) -> None:
    for module in network_worker.ENGINES[name][1]:
        pytest.importorskip(module)
    path = tmp_path / "net.onnx"
    onnx.save(NETS["residual"](), path)
    result = networks.measure(path, [name], shapes=[(1, 3, 24, 24)], rounds=1, seconds=0.0)
    assert result["failed"] == {}
    assert result["difference"][name] < 1e-5
    assert result["flops"] > 0


@pytest.mark.usefixtures("fakes")
def test_the_command(
    relu: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(networks, "SECONDS", 0.0)
    monkeypatch.setattr(timing, "fma_peak", lambda threads, seconds: 100.0 * threads)
    results = str(tmp_path / "r.jsonl")
    command = ["bench", relu, "--rounds", "1"]
    shape = ["--shape", "1x3x7", "--threads", "1,2", "--json", results]
    assert cli.main([*command, *shape]) == 0
    out = capsys.readouterr().out
    for words in ("relu.onnx, 1x3x7", "ORT", "openvino left out of 2", "best/fastconv"):
        assert words in out
    lines = [json.loads(line) for line in Path(results).read_text().splitlines()]
    assert [line["threads"] for line in lines] == [1, 2]
    assert cli.main(["bench", "--read", results, "--markdown"]) == 0
    assert "| 2 |" in capsys.readouterr().out
    assert cli.main(command) == 2  # sizes are free
    assert "x: " in capsys.readouterr().err
    assert cli.main(["bench", str(tmp_path / "no.onnx")]) == 2
    pytest.importorskip("matplotlib")
    picture = tmp_path / "r.png"
    assert cli.main(["bench", "--read", results, "--plot", str(picture)]) == 0
    assert picture.stat().st_size > 5000


def test_shapes_are_fixed_in_a_copy(relu: str, tmp_path: Path) -> None:
    copy = str(tmp_path / "copy.onnx")
    with pytest.raises(ShapeError):
        networks.fixed(relu, [], copy)
    assert networks.fixed(relu, [(4, 3, 5)], copy) == [("x", (4, 3, 5), "float32")]
    again: Any = onnx.load(copy)
    onnx.checker.check_model(again)
    sizes = again.graph.input[0].type.tensor_type.shape.dim
    assert [axis.dim_value for axis in sizes] == [4, 3, 5]


def test_saved_networks_are_no_onnx(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.onnx").write_bytes(np.arange(9, dtype=np.uint8).tobytes())
    assert cli.main(["bench", str(tmp_path / "net.onnx")]) == 2
    assert "fastconv bench: " in capsys.readouterr().err
