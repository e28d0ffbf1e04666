"""One function for each operator of a graph: it appends steps to a plan and returns the values.

A function's first parameter is the builder, the next are the operator's inputs (known arrays, or
tensors that exist at run time), the keyword-only ones its attributes. `NEEDS` names the inputs
whose values a plan depends on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...errors import ShapeError, UnsupportedOperatorError
from ..builder import Builder
from ..evaluate import evaluate
from ..ir import Node
from ..tensors import Known, Tensor, Value
from . import (
    compute,
    images,
    moving,
    normalizing,
    padding,
    pooling,
    products,
    resizing,
    volumes,
)

LOWER: dict[str, Callable[..., Any]] = {
    **images.LOWER,
    **pooling.LOWER,
    **volumes.LOWER,
    **products.LOWER,
    **resizing.LOWER,
    **normalizing.LOWER,
    **compute.LOWER,
    **moving.LOWER,
    **padding.LOWER,
}

#: Places of the inputs that have to be known while planning, for each operator that has such.
NEEDS: dict[str, tuple[int, ...]] = {
    "reshape": (1,),
    "squeeze": (1,),
    "unsqueeze": (1,),
    "split": (1,),
    "slice": (1, 2, 3, 4),
    "pad": (1, 2, 3),
    "expand": (1,),
    "tile": (1,),
    "gather": (1,),
    "reduce": (1,),
    "resize": (1, 2, 3),
    "fold": (1, 2),
    "max_unpool": (2,),
    "constant_of_shape": (0,),
    "range": (0, 1, 2),
}


#: Operators whose first input is a tensor, even where it is known.
OF_TENSORS = {*moving.LOWER, *padding.LOWER} - {"identity", "concat", "shape", "size"}


#: Operators that take tensors whose channels wait to be shuffled.
TAKE_SHUFFLED = {"conv", "identity", "shape", "size"}


def lower(b: Builder, node: Node, values: Sequence[Value | None]) -> tuple[Value, ...]:
    """Append the steps of one node, or compute it if all that it reads is known.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.builder import Builder
    >>> from fastconv.graph.constants import Constants
    >>> from fastconv.graph.ir import Node
    >>> from fastconv.graph.lower import lower
    >>> from fastconv.graph.tensors import Known
    >>> (y,) = lower(Builder(Constants()), Node("shape", ["x"], ["y"]), [Known(np.ones((2, 3)))])
    >>> y.array
    array([2, 3])
    """
    b.label = node.label
    if all(value is None or isinstance(value, Known) for value in values):
        arrays = [value.array if isinstance(value, Known) else None for value in values]
        known = evaluate(node, arrays)
        if known is not None:
            return tuple(Known(array) for array in known)
    for place in NEEDS.get(node.op, ()):
        if place < len(values) and not (values[place] is None or isinstance(values[place], Known)):
            raise UnsupportedOperatorError(
                f"{node.label}: its input {node.inputs[place]!r} has to be known before the "
                "network runs, but is computed from its data"
            )
    if node.op not in TAKE_SHUFFLED:
        values = [b.ordered(v) if isinstance(v, Tensor) else v for v in values]
    if node.op in OF_TENSORS:
        values = [b.tensor(values[0]) if values[0] is not None else None, *values[1:]]
    try:
        result = LOWER[node.op](b, *values, **node.attributes)
    except ShapeError as error:
        if node.label and node.label not in str(error):
            raise ShapeError(f"{node.label}: {error}") from None
        raise
    return result if isinstance(result, tuple) else (result,)
