"""Whole networks as one call: `load`, `compile`, and a `Predictor` for workers.

What they need is imported when they are first called, so that operators alone start fast.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .errors import ModelFormatError, ShapeError

if TYPE_CHECKING:
    from .graph import Model
    from .nn import Module

__all__ = ["Predictor", "compile_layers", "load"]

#: What predictors have loaded in this process, by path, and when that was written.
_loaded: dict[str, tuple[int, Model]] = {}
_lock = threading.Lock()


def load(source: Any, *, without: Sequence[str] = (), tune: bool = False) -> Model:
    """Load a network and make it ready to run.

    Parameters
    ----------
    source : str, os.PathLike, bytes or onnx.ModelProto
        An ONNX file, its contents, or what the onnx package made of it; or a file that `Model.save`
        wrote. Files are to be replaced, not overwritten, while a model of theirs lives: large
        weights are read when a plan needs them.
    without : sequence of str, optional
        Names of graph passes to leave out, see `fastconv.graph.passes.PASSES`.
    tune : bool, optional
        Measure which algorithm is fastest for each convolution and which layout for the network,
        on one thread, when it is planned for a new shape: as it loads where the file declares
        shapes, else at the first call. That takes some hundred runs of the network. The model keeps
        what it chose, when it is pickled and saved, too, so that answers stay the same bits; models
        that are tuned anew may choose otherwise, and differ by rounding.

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
    from .graph import Model, files

    name = os.fspath(source) if isinstance(source, str | os.PathLike) else None
    packed: Any = ()
    if name is not None and files.is_saved(name):
        graph, packed = files.load(name)
    else:
        from .onnx import read_graph

        graph = read_graph(source if name is None else name)
    try:
        return Model(graph, without, packed, tune)
    except ShapeError as error:
        raise ModelFormatError(f"shapes that the file declares do not fit: {error}") from None


def compile_layers(layers: Module, input_shape: Sequence[int], dtype: str = "float32") -> Model:
    """Make a network of layers one call (`fastconv.compile`).

    Parameters
    ----------
    layers : Module
        A layer or a `Sequential`; its weights are those of now.
    input_shape : sequence of int
        Without the batch axis where the first layer takes (N, C, H, W); callers may give others.
    dtype : {"float32", "float64"}, optional
        That of the weights.

    Returns
    -------
    Model
        As `fastconv.load` makes them.

    Raises
    ------
    UnsupportedOperatorError
        If a layer, or one of its options, cannot be compiled.
    ShapeError
        If the layers cannot take such an input.

    Examples
    --------
    >>> import numpy as np, fastconv
    >>> net = fastconv.nn.Sequential(fastconv.nn.Conv2d(3, 8, 3), fastconv.nn.ReLU())
    >>> model = fastconv.compile(net, (3, 32, 32))
    >>> model(np.ones((2, 3, 32, 32), np.float32)).shape
    (2, 8, 30, 30)
    """
    from .graph import Model
    from .graph.layers import graph_of

    return Model(graph_of(layers, input_shape, dtype))


class Predictor:
    """Run a network from a file wherever the object is sent: pools, joblib, Dask, Ray, Spark.

    Parameters
    ----------
    path : str or os.PathLike
        An ONNX file, or one that `Model.save` wrote.
    threads : int, optional
        Threads of each call; 1 suits workers, of which there is one for each CPU.

    Examples
    --------
    >>> import os, pickle, tempfile
    >>> import numpy as np, fastconv
    >>> net = fastconv.nn.Sequential(fastconv.nn.Conv2d(3, 8, 3), fastconv.nn.ReLU())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "net.fastconv")
    ...     fastconv.compile(net, (3, 16, 16)).save(path)
    ...     predict = pickle.loads(pickle.dumps(fastconv.Predictor(path)))
    ...     predict(np.ones((2, 3, 16, 16), np.float32)).shape
    (2, 8, 14, 14)
    """

    def __init__(self, path: str | os.PathLike[str], threads: int = 1) -> None:
        self.path, self.threads = os.path.abspath(path), threads
        if threads < 1:
            raise ValueError(f"threads: expected 1 or more, got {threads}")

    def __repr__(self) -> str:
        return f"Predictor({self.path!r}, threads={self.threads})"

    def _model(self) -> Model:
        written = os.stat(self.path).st_mtime_ns
        found = _loaded.get(self.path)
        if found is None or found[0] != written:
            with _lock:
                found = _loaded.get(self.path)
                if found is None or found[0] != written:
                    found = _loaded[self.path] = written, load(self.path)
        return found[1]

    def __call__(self, data: Any) -> Any:
        """Run on an array, or on a dict of arrays by the names of the inputs.

        Returns
        -------
        ndarray, tuple of ndarray or dict of ndarray
            For a dict, a dict of outputs by their names; else as the model returns them.
        """
        model = self._model()
        if isinstance(data, dict):
            return model.run(data, num_threads=self.threads)
        return model(data, num_threads=self.threads)
