"""The ONNX backend suite: every case passes or is refused when it is loaded, nothing in between."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastconv
from fastconv.errors import UnsupportedOperatorError

onnx = pytest.importorskip("onnx")

from onnx import numpy_helper  # noqa: E402
from onnx.backend.test.loader import load_model_tests  # noqa: E402

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"

#: Why cases whose operators all exist may be refused, by what the message says.
REASONS = (
    "this operator",  # of a function that the case is expanded into
    "operands of dtype",
    "arithmetic on",
    "dtype ",
    "attribute to=",
    "attribute mode=",
    "attribute p=",
    "opsets before",
    "training mode",
    "axes (1 or 2 are supported)",
    "is no tensor",
    "no tensor of numbers",
    "has to be known before the network runs",
    "of strings",
)


def node_cases() -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # overflows while the suite computes what it expects
        import onnx.backend.test.case.node as node

        return list(node.collect_testcases(None))


def model_cases() -> list[Any]:
    kinds = ("simple", "pytorch-converted", "pytorch-operator")
    return [case for kind in kinds for case in load_model_tests(kind=kind)]


CASES = [*node_cases(), *model_cases()]


def tensors(folder: Path, kind: str) -> list[Any]:
    found = []
    for number in range(len(list(folder.glob(f"{kind}_*.pb")))):
        proto = onnx.TensorProto()
        proto.ParseFromString((folder / f"{kind}_{number}.pb").read_bytes())
        found.append(numpy_helper.to_array(proto))
    return found


def data_sets(case: Any) -> Iterator[tuple[list[Any], list[Any]]]:
    if case.data_sets is not None:
        for inputs, outputs in case.data_sets:
            yield (
                [
                    numpy_helper.to_array(i) if isinstance(i, onnx.TensorProto) else i
                    for i in inputs
                ],
                outputs,
            )
    elif case.model_dir is not None:
        for folder in sorted(Path(case.model_dir).glob("test_data_set_*")):
            yield tensors(folder, "input"), tensors(folder, "output")


def compare(case: Any, model: Any) -> int:
    compared = 0
    for inputs, outputs in data_sets(case):
        got = model(*inputs)
        got = got if isinstance(got, tuple) else (got,)
        assert len(got) == len(outputs)
        for found, wanted in zip(got, outputs, strict=True):
            if isinstance(wanted, onnx.TensorProto):
                wanted = numpy_helper.to_array(wanted)
            assert found.dtype == np.asarray(wanted).dtype
            assert found.shape == np.shape(wanted)
            if found.dtype.kind == "f":
                np.testing.assert_allclose(found, wanted, case.rtol, max(case.atol, 1e-6))
            else:
                np.testing.assert_array_equal(found, wanted)
            compared += 1
    return compared


passed: list[str] = []


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}-{case.name}")
def test_case(case: Any) -> None:
    source = case.model
    if source is None:
        source = Path(case.model_dir) / "model.onnx"
    try:
        model = fastconv.load(source)
    except UnsupportedOperatorError as error:
        if not any(reason in str(error) for reason in REASONS):
            pytest.fail(f"refused: {error}")
        return
    assert compare(case, model) > 0
    passed.append(case.name)


def test_most_of_what_can_pass_does() -> None:
    if len(passed) == 0:
        pytest.skip("the cases did not run")
    assert len(passed) >= 895


@pytest.mark.parametrize("path", sorted(LIGHT.glob("light_*.onnx")), ids=lambda path: path.stem)
def test_light_networks(path: Path) -> None:
    model = fastconv.load(path)
    (port,) = model.inputs
    shape = tuple(size if isinstance(size, int) else 1 for size in port.shape or ())
    count = int(np.prod(shape))
    x = (np.arange(count).reshape(shape) / count).astype(np.float32)
    proto = onnx.TensorProto()
    proto.ParseFromString(path.with_name(f"{path.stem}_output_0.pb").read_bytes())
    np.testing.assert_allclose(model(x), numpy_helper.to_array(proto), rtol=1e-3, atol=1e-6)
