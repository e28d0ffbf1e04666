"""ONNX files, their weights left where they lie; what the onnx package says is the oracle."""

from __future__ import annotations

import inspect
import os
import pickle
import re
from pathlib import Path
from typing import Any

import child
import numpy as np
import pytest

import fastconv
from fastconv.errors import ModelFormatError, UnsupportedOperatorError
from fastconv.graph.deferred import SMALL, Deferred
from fastconv.onnx import importer, messages, reader

onnx = pytest.importorskip("onnx")


def test_types_are_those_of_the_onnx_package() -> None:
    types = onnx.TensorProto.DataType
    assert types.STRING == reader.STRING
    for name, code in reader.NAMES.items():
        assert types.Value(name) == code
    for code, (dtype, field) in reader.DTYPES.items():
        assert onnx.helper.tensor_dtype_to_np_dtype(code) == np.dtype(dtype)
        assert onnx.helper.tensor_dtype_to_field(code) == field
    assert set(types.values()) <= {0, reader.STRING, *reader.DTYPES, *reader.FOREIGN}
    assert onnx.defs.onnx_opset_version() <= importer.NEWEST_OPSET


def test_attributes_have_the_types_that_onnx_declares() -> None:
    importer.operators_are_registered()
    names = {"int": "INT", "float": "FLOAT", "str": "STRING", "Constant": "TENSOR"}
    seen = 0
    for (domain, op), function in importer.OPERATORS.items():
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind != parameter.KEYWORD_ONLY:
                continue
            annotation = parameter.annotation.removesuffix(" | None")
            assert annotation in importer.TYPES, f"{op}: {annotation}"
            inner = re.sub(r"Sequence\[(\w+)\]", r"\1", annotation)
            allowed = {names[part] + "S" * (inner != annotation) for part in inner.split(" | ")}
            if annotation == "float":
                allowed.add("INT")
            for opset in range(1, onnx.defs.onnx_opset_version() + 1):
                try:
                    declared = onnx.defs.get_schema(op, opset, domain).attributes
                except onnx.defs.SchemaError:
                    continue
                if parameter.name in declared:
                    assert str(declared[parameter.name].type).rpartition(".")[2] in allowed
                    seen += 1
    assert seen > 100


def sum_with(tensor: Any) -> Any:
    """A network that adds a constant to its input."""
    helper = onnx.helper
    shape = list(tensor.dims)
    x, y = (helper.make_tensor_value_info(n, tensor.data_type, shape) for n in "xy")
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])], "net", [x], [y], [tensor]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("code", reader.DTYPES)
def test_numbers_of_every_type(code: int, raw: bool) -> None:
    dtype = np.dtype(reader.DTYPES[code][0])
    array = np.array([[0, 1, 2, 127], [1, 100, 5, 9]]).astype(dtype)
    if dtype.kind in "if":
        array[1] = -array[1]
    if dtype.itemsize == 8 and dtype.kind in "iu":
        array[0, 0] = np.iinfo(dtype).max
    if raw:
        tensor = onnx.numpy_helper.from_array(array, "w")
    else:
        values = array.astype(np.float32) if dtype == np.float16 else array
        tensor = onnx.helper.make_tensor("w", code, array.shape, values.reshape(-1).tolist())
        assert not tensor.HasField("raw_data")
    model = reader.read(sum_with(tensor))
    found = np.asarray(model.constants["w"])
    np.testing.assert_array_equal(found, array)
    assert found.dtype == dtype


def test_listed_numbers_of_all_sizes() -> None:
    values = [0, 1, 127, 128, 300, 2**35, 2**63 - 1, -1, -(2**63)]
    tensor = onnx.TensorProto(name="w", dims=[len(values)], data_type=7, int64_data=values)
    model = reader.read(sum_with(tensor))
    assert np.asarray(model.constants["w"]).tolist() == values


def weights(name: str, count: int) -> Any:
    rng = np.random.default_rng(count)
    return onnx.numpy_helper.from_array(rng.standard_normal(count), name)


def test_large_weights_are_left_out_wherever_they_are() -> None:
    """In initializers, in attributes of nodes and of functions; all else stays as it was."""
    helper, sizes = onnx.helper, (1, 2000, 5000, 100_000)
    nodes = [helper.make_node("Constant", [], [f"c{n}"], value=weights("c", n)) for n in sizes]
    graph = helper.make_graph(nodes, "net", [], [], [weights(f"w{n}", n) for n in sizes])
    imports = [helper.make_opsetid("", 13)]
    function = helper.make_function("own", "f", [], ["y"], nodes, imports)
    whole = helper.make_model(graph, functions=[function], opset_imports=imports)
    content = whole.SerializeToString()
    found, left_out = messages.parse(memoryview(content)), 0
    constants = (
        node.attribute[0].t for part in (found.graph, found.functions[0]) for node in part.node
    )
    for tensor in (*found.graph.initializer, *constants):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            place = {entry.key: entry.value for entry in tensor.external_data}
            begin, length = int(place["offset"]), int(place["length"])
            assert place["location"] == ""
            assert length == 8 * tensor.dims[0]
            tensor.raw_data = content[begin : begin + length]
            tensor.ClearField("data_location")
            tensor.ClearField("external_data")
            left_out += 1
    assert left_out == 3 * sum(8 * n >= SMALL for n in sizes)
    assert found == whole


def test_types_that_numpy_lacks_are_refused() -> None:
    tensor = onnx.TensorProto(name="w", dims=[1], data_type=16, int32_data=[1])
    with pytest.raises(UnsupportedOperatorError, match="dtype 16"):
        fastconv.load(sum_with(tensor))
    tensor.data_type = 99
    with pytest.raises(ModelFormatError, match="99 is no type"):
        fastconv.load(sum_with(tensor))


LARGE = np.arange(60000, dtype=np.float32).reshape(200, 300)
X = np.ones((200, 300), np.float32)


def test_weights_stay_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(sum_with(onnx.numpy_helper.from_array(LARGE, "w")).SerializeToString())
    result = child.run(
        """
        import sys
        import numpy as np, fastconv
        y = fastconv.load(sys.argv[1])(np.ones((200, 300), np.float32))
        assert (y == 1 + np.arange(60000).reshape(200, 300)).all()
        assert "onnx.helper" not in sys.modules  # of the package, its messages alone
        import onnx
        model = fastconv.load(onnx.load(sys.argv[1]))
        assert (model(np.ones((200, 300), np.float32)) == y).all()
        sys.modules["onnx"] = None
        del sys.modules["onnx.onnx_ml_pb2"]
        try:
            fastconv.load(sys.argv[1])
        except ImportError as error:
            assert "pip install fastconv[onnx]" in str(error)
        else:
            raise AssertionError("the onnx package is not needed")
        """,
        str(path),
    )
    assert result.returncode == 0, result.stderr
    model = fastconv.load(path)
    assert isinstance(model._graph.constants["w"], Deferred)
    path.unlink()
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again(X), LARGE + 1)


def test_a_file_that_changes_under_a_model(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    content = sum_with(onnx.numpy_helper.from_array(LARGE, "w")).SerializeToString()
    path.write_bytes(content)
    model = fastconv.load(path)
    for changed in (content[:1000], content + b"more"):
        path.write_bytes(changed)
        os.utime(path, ns=(1, 1))
        np.testing.assert_array_equal(model(X), LARGE + 1)
        with pytest.raises(ModelFormatError, match="changed since it was loaded"):
            model.save(tmp_path / "copy")


def test_weights_in_files_of_their_own(tmp_path: Path) -> None:
    model = sum_with(onnx.numpy_helper.from_array(LARGE, "w"))
    path = tmp_path / "net.onnx"
    onnx.save(model, path, save_as_external_data=True, location="net.bin", size_threshold=0)
    assert path.stat().st_size < 1000
    np.testing.assert_array_equal(fastconv.load(path)(X), LARGE + 1)
    with pytest.raises(ModelFormatError, match="load from a path"):
        fastconv.load(path.read_bytes())
    entries = onnx.load(path, load_external_data=False)
    for key, value, message in (
        ("location", "../net.bin", "outside"),
        ("location", str(tmp_path / "net.bin"), "outside"),
        ("location", "nothing", "no such file"),
        ("offset", "8", "beyond the end"),
        ("offset", "-8", "beyond the end"),
        ("length", "8", "has 8 bytes"),
        ("length", "many", "many"),
    ):
        broken = onnx.ModelProto()
        broken.CopyFrom(entries)
        for entry in broken.graph.initializer[0].external_data:
            if entry.key == key:
                entry.value = value
        path.write_bytes(broken.SerializeToString())
        with pytest.raises(ModelFormatError, match=message):
            fastconv.load(path)


def test_sources_that_are_no_models(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for source in (tmp_path / "empty", b"", b"\x80", b"\x3a\x7f", b"\x0b", b"\xff" * 11):
        with pytest.raises(ModelFormatError, match="not an ONNX model"):
            fastconv.load(source)
    with pytest.raises(TypeError, match=r"expected a path, bytes or an onnx\.ModelProto, got int"):
        fastconv.load(3)
    with pytest.raises(FileNotFoundError):
        fastconv.load(tmp_path / "nothing")
