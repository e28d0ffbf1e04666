"""ONNX files: `load` turns one into a `fastconv.graph.Model`.

::

    reader      bytes to nodes: opsets, attributes, weights; a model's own functions expanded
    importer    nodes to a graph; collects what is missing
    operators   one function for each ONNX operator, its parameters the operator's attributes
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..graph import Model

__all__ = ["load"]


def load(source: Any, *, without: Sequence[str] = ()) -> Model:
    """Load a network and make it ready to run.

    Parameters
    ----------
    source : str, os.PathLike, bytes or onnx.ModelProto
        An ONNX file, its contents, or what the onnx package made of it.
    without : sequence of str, optional
        Names of graph passes to leave out, see `fastconv.graph.passes.PASSES`.

    Returns
    -------
    Model
        Callable on arrays.

    Raises
    ------
    UnsupportedOperatorError
        If an operator or attribute is not supported; the message lists all that are.
    ModelFormatError
        If the file is broken.
    ImportError
        If the onnx package is missing (``pip install fastconv[onnx]``).

    Examples
    --------
    >>> import numpy as np, onnx, fastconv
    >>> from onnx import TensorProto, helper
    >>> x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [None, 3]) for n in "xy")
    >>> graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "net", [x], [y])
    >>> model = fastconv.load(helper.make_model(graph))
    >>> model(np.array([[-1, 0, 2]], np.float32))
    array([[0., 0., 2.]], dtype=float32)
    """
    try:
        from . import importer, reader
    except ImportError as error:
        raise ImportError(
            f"reading ONNX files needs the onnx package ({error}): pip install fastconv[onnx]"
        ) from error
    from ..graph import Model

    name = os.fspath(source) if isinstance(source, str | os.PathLike) else None
    return Model(importer.import_model(reader.read(source if name is None else name)), without)
