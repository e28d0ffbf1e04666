"""Networks that run: plans for the input shapes that come, kept in a bounded cache."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import _native
from .._views import dtype_name
from ..errors import ShapeError, trusting
from . import files, tuning
from .builder import Builder, Plan
from .check import Checked, check
from .constants import Constants
from .ir import Array, Graph, Port
from .lower import lower
from .lower.convolving import PLANAR
from .passes import optimize
from .report import Report, report
from .tensors import Known, Tensor, Value, contiguous

#: Plans that a model keeps: one for each combination of input shapes that it has seen lately.
MOST_PLANS = 16

#: Packed constants: memory, and where each constant lies in it.
Blocks = Sequence[tuple[Array, dict[str, int]]]


class Ready(NamedTuple):
    """A plan, and where each output comes from: the program, or (constant) the plan itself."""

    plan: Plan | None
    outputs: list[int | Array]


class Model:
    """A network, ready to run on arrays.

    `fastconv.load` and `fastconv.compile` make models. A model may be called by many threads at
    once, pickled, and used after fork and spawn.

    Parameters
    ----------
    graph : Graph
        The network.
    without : collection of str
        Names of graph passes (`fastconv.graph.passes.PASSES`) to leave out.
    packed : sequence
        Blocks of packed constants that a file had.
    tune : bool
        Whether to measure what is fastest when planning for a new shape.

    Raises
    ------
    UnsupportedOperatorError
        If the network needs what fastconv does not have; all that is missing is listed.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.ir import Graph, Node, Port
    >>> from fastconv.graph.model import Model
    >>> port = Port("x", (None, 3), np.dtype(np.float32))
    >>> relu = Node("activation", ["x"], ["y"], {"name": "relu"})
    >>> model = Model(Graph([port], [(port, "y")], [relu]))
    >>> model(np.array([[-1, 0, 2]], np.float32))
    array([[0., 0., 2.]], dtype=float32)
    """

    def __init__(
        self,
        graph: Graph,
        without: Sequence[str] = (),
        packed: Blocks = (),
        tune: bool = False,
    ) -> None:
        self._source, self._without, self._tune = graph, tuple(without), tune
        self._start(packed)

    def _start(self, packed: Blocks = ()) -> None:
        self._graph = optimize(self._source, self._without)
        with trusting("the network"):
            self._checked: Checked = check(self._graph)
        self._ports = {port.name: port for port in self._graph.inputs}
        self._lock = threading.Lock()
        self._plans: OrderedDict[Any, Ready] = OrderedDict()
        self._constants = Constants()
        self._constants.keep(packed)
        if not self._checked.by_value:
            self._plan_declared()

    def _plan_declared(self) -> None:
        """Plan for the shapes that are declared, so that the first call finds it done.

        A free batch counts as 1: other batches share the packed weights.
        """
        try:
            keys = tuple(_contiguous_key(port, port.example_shape()) for port in self.inputs)
        except ShapeError:
            return  # sizes are free
        self._ready(keys, [None] * len(keys))

    @property
    def inputs(self) -> tuple[Port, ...]:
        """Name, shape (None where a size is free) and dtype of every input."""
        return tuple(self._graph.inputs)

    @property
    def outputs(self) -> tuple[Port, ...]:
        """Name, shape (None where it is not known) and dtype of every output."""
        return tuple(port for port, _ in self._graph.outputs)

    def __repr__(self) -> str:
        inputs = ", ".join(f"{p.name}: {p.dtype}{p.shape_text()}" for p in self.inputs)
        outputs = ", ".join(p.name for p in self.outputs)
        return f"<fastconv.Model ({inputs}) -> ({outputs}), {len(self._graph.nodes)} operators>"

    def __call__(self, *arrays: Any, num_threads: int | None = None) -> Any:
        """Run on arrays in the order of `inputs` -> the output, or a tuple of several.

        Raises
        ------
        TypeError
            If an array is missing, is none, or has another dtype.
        ShapeError
            If shapes do not fit the network.
        """
        results = self._run(arrays, num_threads)
        return results[0] if len(results) == 1 else tuple(results)

    def run(self, arrays: Mapping[str, Any], num_threads: int | None = None) -> dict[str, Array]:
        """Run on arrays by the names of `inputs` -> outputs by their names.

        Raises
        ------
        TypeError
            If names are missing or unknown, or an array has another dtype.
        ShapeError
            If shapes do not fit the network.
        """
        if set(arrays) != set(self._ports):
            raise TypeError(
                f"expected arrays for {', '.join(map(repr, self._ports))}, got "
                f"{', '.join(map(repr, arrays)) or 'none'}"
            )
        results = self._run([arrays[name] for name in self._ports], num_threads)
        return {port.name: result for port, result in zip(self.outputs, results, strict=True)}

    def save(self, path: str | os.PathLike[str], *, packed: bool = True) -> None:
        """Write the network, passes applied, to a file that `fastconv.load` maps.

        Parameters
        ----------
        path : str or os.PathLike
            Replaced when the file is complete.
        packed : bool, optional
            Whether weights are written as they are packed now, too: the file is larger and loads
            faster where the same fastconv runs with the same instruction set.
        """
        files.save(self._graph, path, self._constants.blocks() if packed else ())

    def profile(self, *arrays: Any, runs: int = 10, num_threads: int | None = None) -> Report:
        """Run some times and tell how long each step took (the median), as a table.

        Examples
        --------
        >>> import numpy as np, fastconv
        >>> net = fastconv.nn.Sequential(fastconv.nn.Conv2d(3, 8, 3), fastconv.nn.ReLU())
        >>> model = fastconv.compile(net, (1, 3, 16, 16))
        >>> model.profile(np.ones((1, 3, 16, 16), np.float32)).lines[0].output
        '1x8x14x14'
        """
        ready, run_time = self._prepared(arrays)
        if ready.plan is None:
            return report([], [])
        seconds = np.zeros((max(runs, 1), ready.plan.program.step_count))
        for row in seconds:
            ready.plan.program.run((*ready.plan.blocks, *run_time), None, num_threads, row)
        note = f"median of {len(seconds)} runs, threads: {_native.last_num_threads()}"
        medians = np.median(seconds, axis=0).tolist()
        return report(ready.plan.rows, medians, f"{note}, {ready.plan.program.isa}")

    def summary(self, *shapes: Sequence[int]) -> Report:
        """Tell what the steps are, for input shapes or (by default) those that are declared.

        Free sizes that are not given count as 1 where that is the first axis (the batch).

        Raises
        ------
        ShapeError
            If other sizes are free and no shapes are given.

        Examples
        --------
        >>> import fastconv
        >>> net = fastconv.nn.Sequential(fastconv.nn.Conv2d(3, 8, 3), fastconv.nn.ReLU())
        >>> print(fastconv.compile(net, (1, 3, 16, 16)).summary())
        step...algorithm...output...
        """
        if self._checked.by_value:
            raise ShapeError("the network's plan depends on the values of its inputs: profile it")
        keys = []
        for place, port in enumerate(self.inputs):
            given = tuple(shapes[place]) if place < len(shapes) else port.example_shape()
            keys.append(_contiguous_key(port, given))
        ready = self._ready(tuple(keys), [None] * len(keys))
        return report([] if ready.plan is None else ready.plan.rows, None)

    def _run(self, arrays: Sequence[Any], num_threads: int | None) -> list[Array]:
        ready, run_time = self._prepared(arrays)
        results: tuple[Any, ...] = ()
        if ready.plan is not None:
            found = ready.plan.program.run((*ready.plan.blocks, *run_time), None, num_threads)
            results = found if ready.plan.output_count != 1 else (found,)
        return [results[o] if isinstance(o, int) else o.copy() for o in ready.outputs]

    def _prepared(self, arrays: Sequence[Any]) -> tuple[Ready, list[Any]]:
        """Find or make the plan for arrays -> it, and those that its program takes."""
        if len(arrays) != len(self._graph.inputs):
            names = ", ".join(self._ports)
            raise TypeError(f"expected {len(self._ports)} arrays ({names}), got {len(arrays)}")
        given, keys = [], []
        for port, value in zip(self._graph.inputs, arrays, strict=True):
            array, key = _native.describe(value, port.name)
            given.append(array)
            keys.append(key)
        ready = self._ready(tuple(keys), given)
        if self._checked.by_value:
            ports = zip(self._graph.inputs, given, strict=True)
            given = [a for port, a in ports if port.name not in self._checked.by_value]
        return ready, given

    def _ready(self, keys: tuple[Any, ...], arrays: Sequence[Any]) -> Ready:
        by_value = self._checked.by_value
        key = keys, _native.isa_active()
        if by_value:
            values = zip(self._graph.inputs, arrays, strict=True)
            key = (*key, *(a.tobytes() for port, a in values if port.name in by_value))
        try:
            ready = self._plans[key]
            self._plans.move_to_end(key)
        except KeyError:  # another thread may have dropped it between the two
            with self._lock:
                ready = self._plans.get(key) or self._make(keys, arrays)
                self._plans[key] = ready
                self._plans.move_to_end(key)
                while len(self._plans) > MOST_PLANS:
                    self._plans.popitem(last=False)
        return ready

    def _make(self, keys: Sequence[Any], arrays: Sequence[Any]) -> Ready:
        """Plan with channels last, unless most of the work is done in planes then, too.

        Where what is fastest was measured, or is now, that counts.
        """
        place = f"{_native.isa_active()} {[key[1][1:] for key in keys]}"
        if self._tune and place not in self._graph.choices:
            self._measure(keys, arrays, place)
        layout = self._graph.choices.get(place)
        b = Builder(self._constants, layout != "planes", self._graph.choices)
        values = self._lower(b, keys, arrays)
        work = dict.fromkeys((False, True), 0)
        for step in b.steps:
            work[step.detail in PLANAR] += step.flops
        if layout is None and work[True] > work[False]:
            b = Builder(self._constants, False, self._graph.choices)
            values = self._lower(b, keys, arrays)
        outputs, tensors = self._outputs_of(values)
        return Ready(b.finish(tensors) if tensors else None, outputs)

    def _outputs_of(
        self, values: Mapping[str, Value | None]
    ) -> tuple[list[int | Array], list[Tensor]]:
        """Tell where each output comes from -> (see `Ready`, those that are computed)."""
        outputs: list[int | Array] = []
        tensors: list[Tensor] = []
        for _, name in self._graph.outputs:
            value = values[name]
            if isinstance(value, Known):
                outputs.append(value.array)
            else:
                assert value is not None
                outputs.append(len(tensors))
                tensors.append(value)
        return outputs, tensors

    def _measure(self, keys: Sequence[Any], arrays: Sequence[Any], place: str) -> None:
        """Measure what is fastest, on the arrays or on random ones."""

        def build(channels_last: bool, algorithm: str) -> tuple[Builder, Plan]:
            b = Builder(self._constants, channels_last, self._graph.choices, algorithm)
            _, tensors = self._outputs_of(self._lower(b, keys, arrays))
            return b, b.finish(tensors)

        rng = np.random.default_rng(0)
        run_time = [
            rng.standard_normal(key[1]).astype(port.dtype) if array is None else array
            for port, key, array in zip(self._graph.inputs, keys, arrays, strict=True)
            if port.name not in self._checked.by_value
        ]
        if build(True, "auto")[0].steps:
            tuning.tune(build, run_time, place, self._graph.choices)

    def _lower(
        self, b: Builder, keys: Sequence[Any], arrays: Sequence[Any]
    ) -> dict[str, Value | None]:
        values: dict[str, Value | None] = {"": None}
        for port, key, array in zip(self._graph.inputs, keys, arrays, strict=True):
            _check_port(port, key)
            if port.name in self._checked.by_value:
                values[port.name] = Known(array.copy())
            else:
                values[port.name] = b.input(key, port.dtype)
        for name, constant in self._graph.constants.items():
            values[name] = Known(constant, name)
        outputs = {name for _, name in self._graph.outputs}
        for node in self._graph:
            b.is_output = not outputs.isdisjoint(node.outputs)
            with trusting(node.label):
                results = lower(b, node, [values[name] for name in node.inputs])
            values.update(zip(node.outputs, results, strict=False))
        return values

    def __getstate__(self) -> dict[str, Any]:
        return {"graph": self._source, "without": self._without, "tune": self._tune}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._source, self._without, self._tune = (state[k] for k in ("graph", "without", "tune"))
        self._start()


def _contiguous_key(port: Port, shape: tuple[int, ...]) -> Any:
    """Key of a C-contiguous array for an input."""
    return port.dtype.num, shape, tuple(s * port.dtype.itemsize for s in contiguous(shape))


def _check_port(port: Port, key: Any) -> None:
    """Refuse an array that is not what the input takes; declared sizes may be overridden."""
    typenum, shape, _ = key
    if typenum != port.dtype.num:
        raise TypeError(f"{port.name}: expected {port.dtype}, got {dtype_name(typenum)}")
    if port.shape is not None and len(shape) != len(port.shape):
        raise ShapeError(
            f"{port.name}: expected {len(port.shape)} axes {port.shape_text()}, got shape {shape}"
        )
    if len(shape) > 8:
        raise ShapeError(f"{port.name}: expected at most 8 axes, got {len(shape)}")
