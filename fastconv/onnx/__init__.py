"""ONNX files: `read_graph` turns one into a `fastconv.graph.Graph`.

::

    messages    bytes to the onnx package's messages; large weights stay where they lie
    reader      messages to nodes: opsets, attributes, weights; a model's own functions expanded
    importer    nodes to a graph; collects what is missing
    operators   one function for each ONNX operator, its parameters the operator's attributes
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..graph import Graph

__all__ = ["read_graph"]


def read_graph(source: Any) -> Graph:
    """Read an ONNX file (a path, bytes or an `onnx.ModelProto`).

    Raises
    ------
    UnsupportedOperatorError
        If an operator or attribute is not supported; the message lists all that are.
    ModelFormatError
        If the file is broken.

    Examples
    --------
    >>> import onnx
    >>> from onnx import TensorProto, helper
    >>> from fastconv.onnx import read_graph
    >>> x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [None, 3]) for n in "xy")
    >>> graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "net", [x], [y])
    >>> read_graph(helper.make_model(graph)).nodes[0].attributes
    {'name': 'relu'}
    """
    from . import importer, reader

    return importer.import_model(reader.read(source))
