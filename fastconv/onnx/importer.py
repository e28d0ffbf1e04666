"""From ONNX's operators to a graph's: one function each, all that is missing reported at once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import ModelFormatError, UnsupportedOperatorError
from ..graph.check import node_dtypes
from ..graph.deferred import Deferred
from ..graph.ir import Array, Graph, Node
from .reader import OnnxModel, OnnxNode

#: The newest opset that the operators here are those of.
NEWEST_OPSET = 28

#: Functions by (domain, operator); `operator` fills it.
OPERATORS: dict[tuple[str, str], Callable[..., Any]] = {}


class Unsupported(Exception):
    """What an operator's function raises about an attribute or type that it lacks."""


def operator(*names: str, domain: str = "") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function for ONNX operators.

    Its first parameter is the importer; the positional ones that follow are the operator's inputs
    (names of values, None where one is left out), the keyword-only ones its attributes.

    Examples
    --------
    >>> from fastconv.onnx.importer import OPERATORS, operators_are_registered
    >>> operators_are_registered()
    >>> ("", "Conv") in OPERATORS
    True
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            OPERATORS[domain, name] = function
        return function

    return register


def operators_are_registered() -> None:
    """Import the modules that register operators.

    Examples
    --------
    >>> from fastconv.onnx.importer import operators_are_registered
    >>> operators_are_registered()
    """
    from . import operators  # noqa: F401


#: What an attribute may hold, by how the operator's function annotates it: in a list, or by itself.
TYPES: dict[str, tuple[bool, Any]] = {
    "int": (False, int),
    "float": (False, (float, int)),
    "str": (False, str),
    "Constant": (False, (np.ndarray, Deferred)),
    "int | str": (False, (int, str)),
    "Sequence[int]": (True, int),
    "Sequence[float]": (True, (float, int)),
    "Sequence[str]": (True, str),
}


class Importer:
    """A graph in the making; functions of operators call `add`."""

    def __init__(self, model: OnnxModel) -> None:
        self.graph = Graph(inputs=list(model.inputs), constants=dict(model.constants))
        self.node: OnnxNode = OnnxNode("", "", 0, [], [], {}, "")
        self.dtypes: dict[str, np.dtype[Any]] = {p.name: p.dtype for p in model.inputs}
        self._count = 0

    @property
    def opset(self) -> int:
        """Opset of the node in hand."""
        return self.node.opset

    def add(self, op: str, inputs: Sequence[str | None], **attributes: Any) -> str:
        """Append a node -> the name of its output."""
        return self.add_several(op, inputs, 1, **attributes)[0]

    def add_several(
        self, op: str, inputs: Sequence[str | None], outputs: int, **attributes: Any
    ) -> tuple[str, ...]:
        """Append a node -> the names of its outputs."""
        written = [self._name() for _ in range(outputs)]
        names = [name or "" for name in inputs]
        while names and not names[-1]:
            names.pop()
        node = Node(op, names, written, attributes, self.node.label)
        self.graph.nodes.append(node)
        dtypes = node_dtypes(node, [self.dtype(name) for name in names])
        self.dtypes.update(zip(written, dtypes, strict=False))
        return tuple(written)

    def dtype(self, name: str | None) -> np.dtype[Any] | None:
        """Dtype of a value."""
        array = self.graph.constants.get(name or "")
        return array.dtype if array is not None else self.dtypes.get(name or "")

    def count(self, name: str) -> int | None:
        """Number of elements of a list (a constant or an input); None if that is not known."""
        array = self.graph.constants.get(name)
        shape: Any = next((p.shape for p in self.graph.inputs if p.name == name), None)
        if array is not None:
            return array.size
        return shape[0] if shape and len(shape) == 1 and isinstance(shape[0], int) else None

    def like(self, number: float, name: str) -> str:
        """Name of a new scalar constant, of another value's dtype."""
        return self.constant(np.asarray(number, self.dtype(name)))

    def constant(self, value: Any, dtype: Any = None) -> str:
        """Name of a new constant."""
        name = self._name()
        keep = isinstance(value, Deferred)
        self.graph.constants[name] = value if keep else np.asarray(value, dtype)
        return name

    def value(self, name: str | None) -> Array | None:
        """The array of a constant, None for what is computed."""
        found = self.graph.constants.get(name or "")
        return None if found is None else np.asarray(found)

    def integers(self, values: Sequence[int] | None) -> str | None:
        """An attribute of older opsets as the input that it became."""
        return None if values is None else self.constant(np.array(values, np.int64))

    def _name(self) -> str:
        self._count += 1
        return f"~{self._count}"


def import_model(model: OnnxModel) -> Graph:
    """Return the graph of a model.

    Raises
    ------
    UnsupportedOperatorError
        If operators or attributes are missing; all of them are listed.
    ModelFormatError
        If an operator has too few or too many inputs.

    Examples
    --------
    >>> from fastconv.onnx.importer import import_model
    >>> from fastconv.onnx.reader import OnnxModel
    >>> import_model(OnnxModel()).nodes
    []
    """
    operators_are_registered()
    importer = Importer(model)
    names: dict[str, str] = {}
    problems: list[str] = []
    for node in model.nodes:
        importer.node = node
        try:
            results = _call(importer, node, names)
        except Unsupported as problem:
            problems.append(f"{node.label}, opset {node.opset}: {problem}")
            continue
        for onnx_name, name in zip(node.outputs, results, strict=False):
            names[onnx_name] = name
    if problems:
        raise UnsupportedOperatorError("not supported: " + "; ".join(dict.fromkeys(problems)))
    importer.graph.outputs = [(port, names.get(port.name, port.name)) for port in model.outputs]
    return importer.graph


def _call(importer: Importer, node: OnnxNode, names: dict[str, str]) -> tuple[str, ...]:
    if node.domain == "" and node.opset > NEWEST_OPSET:
        raise Unsupported(f"opset {node.opset} is newer than {NEWEST_OPSET}")
    function = OPERATORS.get((node.domain, node.op))
    if function is None:
        raise Unsupported("this operator")
    parameters = list(inspect.signature(function).parameters.values())[1:]
    positional = [p for p in parameters if p.kind == p.POSITIONAL_OR_KEYWORD]
    many = any(p.kind == p.VAR_POSITIONAL for p in parameters)
    attributes = {p.name for p in parameters if p.kind == p.KEYWORD_ONLY}
    unknown = node.attributes.keys() - attributes
    if unknown:
        raise Unsupported(f"attribute {', '.join(sorted(unknown))}")
    required = sum(p.default is p.empty for p in positional)
    given = [names.get(name, name) or None for name in node.inputs]
    while given and given[-1] is None and not many:
        given.pop()
    if len(given) < required or (len(given) > len(positional) and not many):
        raise ModelFormatError(f"{node.label} has {len(given)} inputs")
    if any(name is None for name in given[:required]) or (many and None in given):
        raise ModelFormatError(f"{node.label} lacks an input")
    wanted = [p.name for p in parameters if p.kind == p.KEYWORD_ONLY and p.default is p.empty]
    missing = [name for name in wanted if name not in node.attributes]
    if missing:
        raise ModelFormatError(f"{node.label} lacks attribute {', '.join(missing)}")
    _check_types(node, parameters)
    results = function(importer, *given, **node.attributes)
    results = results if isinstance(results, tuple) else (results,)
    extra = [name for name in node.outputs[len(results) :] if name]
    if extra:
        raise Unsupported(f"output {extra[0]!r}")
    return results


def _check_types(node: OnnxNode, parameters: Sequence[inspect.Parameter]) -> None:
    """Hold each attribute against the annotation of the parameter that takes it."""
    for parameter in parameters:
        declared = parameter.annotation
        kinds = TYPES.get(declared.removesuffix(" | None"))
        if parameter.kind != parameter.KEYWORD_ONLY or parameter.name not in node.attributes:
            continue
        if kinds is None:
            continue  # Any
        value, (many, kind) = node.attributes[parameter.name], kinds
        elements = value if many and isinstance(value, list) else [value]
        if isinstance(value, list) != many or not all(isinstance(e, kind) for e in elements):
            raise ModelFormatError(
                f"{node.label}: attribute {parameter.name} is to be of type {declared}, "
                f"got {value!r:.40}"
            )
