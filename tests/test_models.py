"""Models: right with any pass off, for any shape, from many threads, after pickling and forking."""

from __future__ import annotations

import gc
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import child
import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402
from onnx_nets import CHANNELS, NETS, Net  # noqa: E402

import fastconv  # noqa: E402
from fastconv import _native  # noqa: E402
from fastconv.errors import (  # noqa: E402
    ModelFormatError,
    ShapeError,
    UnsupportedOperatorError,
)
from fastconv.graph.passes import PASSES  # noqa: E402

#: Relative to the largest output: some 30 layers of sums of a few hundred terms, in units of eps.
TOLERANCE = {"float32": 2e-5, "float64": 5e-13}


def random_input(name: str, dtype: str, n: int = 2, h: int = 9, w: int = 14) -> Any:
    rng = np.random.default_rng(n * h * w)
    return rng.standard_normal((n, CHANNELS[name], h, w)).astype(dtype)


def outputs(model: Any, *arrays: Any, **options: Any) -> tuple[Any, ...]:
    result = model(*arrays, **options)
    return result if isinstance(result, tuple) else (result,)


def check(model: Any, proto: Any, x: Any) -> None:
    wanted = ReferenceEvaluator(proto).run(None, {"x": x})
    for found, right in zip(outputs(model, x), wanted, strict=True):
        assert found.dtype == right.dtype
        assert found.shape == right.shape
        error = np.abs(found - right).max() / np.abs(right).max()
        assert error < TOLERANCE[str(x.dtype)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NETS)
def test_networks(name: str, dtype: str, isa: str) -> None:
    proto = NETS[name](dtype)
    model = fastconv.load(proto)
    for n, h, w in ((2, 9, 14), (1, 8, 8), (3, 17, 5)):
        check(model, proto, random_input(name, dtype, n, h, w))


@pytest.mark.parametrize("without", [*([name] for name in PASSES), list(PASSES)], ids=" ".join)
@pytest.mark.parametrize("name", NETS)
def test_any_pass_may_be_left_out(name: str, without: list[str]) -> None:
    proto = NETS[name]("float64")
    check(fastconv.load(proto, without=without), proto, random_input(name, "float64"))


def test_every_pass_finds_work() -> None:
    smaller: dict[str, int] = {}
    for make in NETS.values():
        whole = len(fastconv.load(make())._graph.nodes)
        for name in PASSES:
            rest = len(fastconv.load(make(), without=[name])._graph.nodes)
            smaller[name] = smaller.get(name, 0) + rest - whole
    del smaller["clips_to_activations"]  # as many nodes, but others find them
    del smaller["remove_identities"]
    assert all(count > 0 for count in smaller.values()), smaller


@pytest.mark.usefixtures("eight_threads")
@pytest.mark.parametrize("name", NETS)
def test_bits_do_not_depend_on_threads_or_batch(name: str) -> None:
    model = fastconv.load(NETS[name]())
    x = random_input(name, "float32", n=3, h=40, w=33)
    alone = outputs(model, x, num_threads=1)
    for threads in (2, 3, 8):
        for one, many in zip(alone, outputs(model, x, num_threads=threads), strict=True):
            np.testing.assert_array_equal(one, many)
    for one, third in zip(alone, outputs(model, x[2:]), strict=True):
        np.testing.assert_array_equal(one[2:], third)


@pytest.mark.parametrize("name", NETS)
def test_any_layout_comes_in(name: str) -> None:
    model = fastconv.load(NETS[name]())
    x = random_input(name, "float32")
    right = outputs(model, x)
    nhwc = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    backwards = x[:, :, ::-1].copy()[:, :, ::-1]
    read_only = x.copy()
    read_only.flags.writeable = False
    for other in (nhwc, backwards, read_only, np.asfortranarray(x)):
        for found, wanted in zip(outputs(model, other), right, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_many_threads_call_one_model() -> None:
    model = fastconv.load(NETS["residual"]())
    arrays = [random_input("residual", "float32", n=1 + i % 3, h=8 + i) for i in range(12)]
    right = [model(x) for x in arrays]
    fresh = fastconv.load(NETS["residual"]())
    barrier = threading.Barrier(8)

    def work(seed: int) -> bool:
        barrier.wait()
        same = True
        for i in np.random.default_rng(seed).integers(0, len(arrays), 40):
            same &= np.array_equal(fresh(arrays[i]), right[i])
        return same

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


def test_memory_stays_flat() -> None:
    model = fastconv.load(NETS["mobile"]())
    rng = np.random.default_rng(0)
    for _ in range(300):
        n, h, w = (int(v) for v in rng.integers(1, 40, 3))
        model(np.ones((n % 3 + 1, 3, h + 6, w + 6), np.float32))
    assert len(model._plans) <= 16
    gc.collect()
    alive = sum(reference() is not None for reference, _ in model._constants._places.values())
    assert alive <= 16 * 20


def test_pickling() -> None:
    model = fastconv.load(NETS["residual"]())
    x = random_input("residual", "float32")
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model))(x), model(x))


def test_after_fork() -> None:
    code = """
        import os, sys
        import numpy as np, fastconv
        from onnx_nets import NETS
        model = fastconv.load(NETS["residual"]())
        x = np.ones((2, 3, 20, 20), np.float32)
        right = model(x)
        child = os.fork()
        if child == 0:
            os._exit(0 if np.array_equal(model(x), right) else 3)
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    result = child.run(code)
    assert result.returncode == 0, result.stderr


def test_a_change_of_instruction_set_makes_new_plans() -> None:
    model = fastconv.load(NETS["residual"]())
    x = random_input("residual", "float32")
    first = model(x)
    fastconv.set_isa("baseline")
    before = _native.kernel_calls()["baseline"]
    np.testing.assert_allclose(model(x), first, rtol=1e-4, atol=1e-6)
    assert _native.kernel_calls()["baseline"] > before


# ---- names, ports, by-value inputs


def test_ports_and_run() -> None:
    proto = NETS["mobile"]()
    model = fastconv.load(proto.SerializeToString())
    assert [(p.name, p.shape) for p in model.inputs] == [("x", (None, 3, None, None))]
    assert len(model.outputs) == 2
    x = random_input("mobile", "float32")
    by_name = model.run({"x": x})
    for port, array in zip(model.outputs, model(x), strict=True):
        np.testing.assert_array_equal(by_name[port.name], array)
    assert "x: float32" in repr(model)
    with pytest.raises(TypeError, match=r"expected arrays for 'x', got 'y'"):
        model.run({"y": x})
    with pytest.raises(TypeError, match="expected 1 arrays"):
        model(x, x)
    with pytest.raises(TypeError, match="x: expected float32, got float64"):
        model(x.astype(np.float64))
    with pytest.raises(ShapeError, match="x: expected 4 axes"):
        model(x[0])
    with pytest.raises(ShapeError, match="Conv"):
        model(x[:, :2])
    with pytest.raises(TypeError, match="x: expected a NumPy array"):
        model([1, 2])


def test_weights_and_shapes_as_inputs() -> None:
    f, i = TensorProto.FLOAT, TensorProto.INT64
    inputs = [
        helper.make_tensor_value_info("x", f, [1, 2, 6, 6]),
        helper.make_tensor_value_info("w", f, None),
        helper.make_tensor_value_info("shape", i, [2]),
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Reshape", ["c", "shape"], ["y"]),
    ]
    y = helper.make_tensor_value_info("y", f, None)
    proto = helper.make_model(helper.make_graph(nodes, "net", inputs, [y]))
    model = fastconv.load(proto)
    x, w = np.ones((1, 2, 6, 6), np.float32), np.ones((3, 2, 3, 3), np.float32)
    for shape in ([3, 16], [-1, 4]):
        found = model(x, w, np.array(shape))
        np.testing.assert_array_equal(found, np.full((48,), 18, np.float32).reshape(shape))
    with pytest.raises(ShapeError, match="Reshape"):
        model(x, w, np.array([5, 5]))


def test_a_model_s_own_functions() -> None:
    body = [
        helper.make_node("Mul", ["a", "a"], ["square"]),
        helper.make_node("LeakyRelu", ["square"], ["b"]),
    ]
    body[1].attribute.append(onnx.AttributeProto(name="alpha", ref_attr_name="slope", type=1))
    opsets = [helper.make_opsetid("", 17)]
    function = helper.make_function("own", "F", ["a"], ["b"], body, opsets, ["slope"])
    nodes = [helper.make_node("F", ["x"], ["t"], domain="own", slope=0.5),
             helper.make_node("F", ["t"], ["y"], domain="own", slope=0.5)]  # fmt: skip
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [3]) for n in "xy"]
    graph = helper.make_graph(nodes, "net", ports[:1], ports[1:])
    proto = helper.make_model(
        graph, functions=[function], opset_imports=[*opsets, helper.make_opsetid("own", 1)]
    )
    np.testing.assert_array_equal(
        fastconv.load(proto)(np.array([1, 2, -3], np.float32)), [1, 16, 81]
    )


# ---- refusals


def test_all_that_is_missing_is_listed() -> None:
    net = Net()
    a = net.add("GridSample", "x", "x")
    b = net.add("Conv", a, net.random(2, 2, 3, 3), auto_pad="SIDEWAYS")
    with pytest.raises(UnsupportedOperatorError) as caught:
        fastconv.load(net.model([1, 2, 5, 5], b))
    message = str(caught.value)
    assert "GridSample" in message
    assert "opset 17" in message
    assert "auto_pad='SIDEWAYS'" in message
    assert "Conv_v" in message


def test_shapes_from_data_are_refused_at_load() -> None:
    net = Net()
    shape = net.add("Cast", net.add("ReduceSum", "x", keepdims=0), to=TensorProto.INT64)
    y = net.add("Expand", "x", net.add("Reshape", shape, net.ints(1)))
    with pytest.raises(UnsupportedOperatorError, match="has to be known before the network runs"):
        fastconv.load(net.model([4], y))


def broken() -> dict[str, Any]:
    good = NETS["residual"]()
    cut = good.SerializeToString()[:-200]
    undefined, twice, short, huge = (onnx.ModelProto() for _ in range(4))
    for model in (undefined, twice, short, huge):
        model.CopyFrom(good)
    undefined.graph.node[3].input[0] = "nowhere"
    twice.graph.node[3].output[0] = twice.graph.node[2].output[0]
    short.graph.initializer[0].raw_data = b"\0" * 8
    huge.graph.initializer[0].dims[0] = 2**40
    empty = onnx.ModelProto()
    return {
        "cut": cut,
        "undefined": undefined,
        "twice": twice,
        "short": short,
        "huge": huge,
        "empty": empty,
        "noise": bytes(range(256)),
    }


@pytest.mark.parametrize("name", broken())
def test_broken_files(name: str) -> None:
    with pytest.raises(ModelFormatError):
        fastconv.load(broken()[name])


def test_sizes_are_checked_before_memory_is_taken() -> None:
    net = Net()
    big = net.add("ConstantOfShape", net.ints(2**20, 2**20, 2**20))
    with pytest.raises(ModelFormatError, match="ConstantOfShape"):
        fastconv.load(net.model([1], net.add("Add", "x", big)))
    net = Net()
    big = net.add("Expand", "x", net.ints(2**30, 2**30, 2**30))
    with pytest.raises((ModelFormatError, MemoryError)):
        fastconv.load(net.model([1], net.add("Relu", big)))


def test_other_sources_are_refused() -> None:
    with pytest.raises(TypeError, match="source: expected a path"):
        fastconv.load(3)
    with pytest.raises(FileNotFoundError):
        fastconv.load("no such file.onnx")
    with pytest.raises(ValueError, match="expected names of"):
        fastconv.load(NETS["residual"](), without=["nonsense"])


def test_a_tensor_within_an_attribute() -> None:
    net = Net()
    value = numpy_helper.from_array(np.array([2, 3], np.float32))
    y = net.add("Add", "x", net.add("Constant", value=value))
    np.testing.assert_array_equal(fastconv.load(net.model([2], y))(np.ones(2, np.float32)), [3, 4])
