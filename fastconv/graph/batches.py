"""Which networks treat each image of a batch alone, so that a batch may be run in parts.

Volumes of few images stay in cache from layer to layer; those of many come from memory, each time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from .ir import Graph, Node
from .tensors import Tensor, Value

#: Bytes that a step of a part may read and write, weights aside: about what a core has of cache.
PART_BYTES = 2 << 20

#: Operators that treat each image of their first input alone, whatever their attributes.
ALONE = frozenset(
    {
        *("activation", "cast", "clip", "conv", "conv_transpose", "depth_to_space", "global_pool"),
        *("group_norm", "identity", "lp_pool", "response", "space_to_depth", "unary"),
    }
)
#: Those that do where the images are still counted by the first axis.
RESHAPING = frozenset({"flatten", "reshape", "squeeze", "unsqueeze"})
ELEMENTWISE = frozenset({"affine", "binary", "choose"})


def images_at_once(
    graph: Graph,
    values: Mapping[str, Value | None],
    steps: Sequence[Sequence[Tensor]],
    threads: int,
) -> int:
    """Images of a batch to run at once, one for each thread at least; zero: all of them.

    Parameters
    ----------
    graph : Graph
        The network.
    values : mapping
        What its values became in a plan for the whole batch.
    steps : sequence
        The tensors that each step of that plan reads and writes.
    threads : int
        Threads that there may be.
    """
    batch = next((_length(values[port.name]) for port in graph.inputs), 0)
    if batch < 2 or not _treats_images_alone(graph, values, batch):
        return 0
    largest = max((_bytes(tensors, batch) for tensors in steps), default=0)
    images = max(threads, threads * PART_BYTES * batch // max(1, largest))
    return images if images < batch else 0


def _bytes(tensors: Sequence[Tensor], batch: int) -> int:
    return sum(t.size * t.dtype.itemsize for t in tensors if _length(t) == batch)


def _length(value: Value | None) -> int:
    return value.shape[0] if isinstance(value, Tensor) and value.shape else 0


def _treats_images_alone(graph: Graph, values: Mapping[str, Value | None], batch: int) -> bool:
    images = {port.name for port in graph.inputs}  # values with an image at each place of axis 0
    if any(_length(values[name]) != batch for name in images):
        return False
    sizes: set[str] = set()  # known values that may tell how many images there are
    for node in graph:
        known = all(not isinstance(values[name], Tensor) for name in node.outputs)
        told = node.op in ("shape", "size") or any(name in sizes for name in node.inputs)
        if known:
            if told:
                sizes.update(node.outputs)
            continue
        if any(name in sizes for name in node.inputs) and node.op != "reshape":
            return False
        if not _keeps_images(node, [_Read(name, values[name], images) for name in node.inputs]):
            return False
        if any(_length(values[name]) != batch for name in node.outputs if name):
            return False
        images.update(node.outputs)
    return all(name in images for _, name in graph.outputs)


class _Read:
    """A value that a node reads."""

    def __init__(self, name: str, value: Value | None, images: set[str]) -> None:
        self.shape = () if value is None else value.shape
        self.computed = isinstance(value, Tensor)
        self.of_images = name in images and self.computed

    def same_for_all(self, rank: int) -> bool:
        """Whether it is known, and broadcast along the first of so many axes."""
        return not self.computed and (len(self.shape) < rank or self.shape[0] == 1)

    def joins_images(self, rank: int) -> bool:
        """Whether it may meet, element by element, what has an image at each place of axis 0."""
        return (self.of_images and len(self.shape) == rank) or self.same_for_all(rank)


def _keeps_images(node: Node, reads: Sequence[_Read]) -> bool:
    """Whether each place of the outputs' first axis depends on that place of the inputs alone."""
    first, others = reads[0], reads[1:]
    rank = max(len(read.shape) for read in reads)
    if node.op in ELEMENTWISE or node.op == "concat":
        joined = node.op == "concat" and node.attributes["axis"] % rank == 0
        return not joined and all(read.joins_images(rank) for read in reads)
    if node.op == "conv" and len(others) > 2 and others[2].joins_images(rank):  # what it adds
        others = others[:2]
    if not first.of_images or any(read.computed for read in others):
        return False
    rule = RULES.get(node.op)
    return node.op in ALONE or node.op in RESHAPING or (rule is not None and rule(node, reads))


def _rows_times_matrix(node: Node, reads: Sequence[_Read]) -> bool:
    bias = reads[2].same_for_all(2) if len(reads) > 2 else True
    return bias and len(reads[1].shape) == 2 and not node.attributes.get("trans_a")


#: Operators that do under conditions.
RULES: dict[str, Callable[[Node, Sequence[_Read]], bool]] = {
    "gemm": _rows_times_matrix,
    "matmul": _rows_times_matrix,
    "pool": lambda node, reads: not node.attributes.get("indices"),
    "softmax": lambda node, reads: node.attributes["axis"] % len(reads[0].shape) > 0,
    "split": lambda node, reads: node.attributes["axis"] % len(reads[0].shape) > 0,
    "transpose": lambda node, reads: (node.attributes.get("perm") or [1])[0] == 0,
}
