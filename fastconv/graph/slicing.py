"""Working through a batch in groups of images, so that what passes between steps stays in cache.

Steps that treat every image alike run for a few images, one after the other, before the next
images come. Tensors that none but such a group of steps uses have room for one group's images.
No result depends on it: what a step computes for an image does not depend on the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from ..runtime import get_num_threads
from .tensors import Storage, Tensor

if TYPE_CHECKING:
    from .steps import Step

#: What the images of a group may occupy in one step: part of the last cache.
CACHE_BYTES = 12 << 20
#: And what they may while they come from the cache of a core, in the time of reading from the last.
NEAR_BYTES = 2 << 20
NEAR = 0.3
#: Reading a byte of weights again, in the time of reading one of images.
WEIGHTS = 1.0
#: Groups that a batch is parted into at most.
MOST_GROUPS = 64


class Group(NamedTuple):
    """Steps [first, last) that run for so many images of the batch at a time."""

    first: int
    last: int
    batch: int
    images: int


def of_batch(tensor: Tensor, y: Tensor) -> bool:
    """Whether a tensor has one part for each image of what a step writes.

    Examples
    --------
    >>> from fastconv.graph.slicing import of_batch
    >>> from fastconv.graph.tensors import Storage, Tensor
    >>> a = Tensor(None, (2, 3), (3, 1), Storage(6))
    >>> of_batch(a, a), of_batch(Tensor(None, (2,), (1,), Storage(2)), a)
    (True, False)
    """
    return len(tensor.shape) == len(y.shape) and tensor.shape[0] == y.shape[0]


def _bytes(tensor: Tensor) -> int:
    return tensor.size * tensor.dtype.itemsize


def _sliceable(step: Step) -> bool:
    y = step.writes[0]
    return step.by_image and len(y.shape) > 2 and y.shape[0] > 1 and prod(y.shape) > 0


def _live(steps: Sequence[Step]) -> list[int]:
    """Bytes of the arena that each step finds written and that are read then or later."""
    live = [0] * (len(steps) + 1)
    storages = {}
    for step in steps:
        for tensor in (*step.reads, *step.writes):
            root = tensor.storage.root
            if root.slot == 0:
                storages[id(root)] = root, root.elements * tensor.dtype.itemsize
    for root, count in storages.values():
        live[root.first + 1] += count
        live[root.last + 1] -= count
    return list(accumulate(live))


def group(steps: Sequence[Step]) -> list[Group]:
    """Part steps into groups; those that are no part of a batch are as if it were one image."""
    groups: list[Group] = []
    at, live = 0, _live(steps)
    while at < len(steps):
        end, batch = at, steps[at].writes[0].shape[:1]
        while end < len(steps) and _sliceable(steps[end]):
            if steps[end].writes[0].shape[:1] != batch:
                break
            end += 1
        if end == at:
            if groups and groups[-1].batch == 1:
                groups[-1] = groups[-1]._replace(last=at + 1)
            else:
                groups.append(Group(at, at + 1, 1, 1))
            at += 1
            continue
        costs: list[tuple[int, int, int]] = []
        for step in steps[at:end]:
            tensors = {id(t): t for t in (*step.reads, *step.writes)}.values()
            images = sum(_bytes(t) for t in tensors if of_batch(t, step.writes[0]))
            others = sum(_bytes(t) for t in tensors if not of_batch(t, step.writes[0]))
            costs.append((images // batch[0], live[at + len(costs)] // batch[0], others))
        sizes = group_sizes(costs, batch[0], get_num_threads())
        for number, images in enumerate(sizes, at):
            if number > at and images == groups[-1].images:
                groups[-1] = groups[-1]._replace(last=number + 1)
            else:
                groups.append(Group(number, number + 1, batch[0], images))
        at = end
    return groups


def group_sizes(costs: Sequence[tuple[int, int, int]], batch: int, least: int) -> list[int]:
    """Images at a time for each of successive steps, so that the fewest bytes come from memory.

    Parameters
    ----------
    costs : sequence
        Of each step: bytes of one image's tensors, of those of them that were written before it
        and are read then or later, and of weights.
    batch : int
        Images in all.
    least : int
        A group has as many: one for each thread.

    Examples
    --------
    >>> from fastconv.graph.slicing import group_sizes
    >>> large, small = (6 << 20, 3 << 20, 1 << 10), (1 << 17, 1 << 17, 4 << 20)
    >>> group_sizes([large, large, small, small], batch=16, least=1)
    [2, 2, 16, 16]
    """
    sizes = [batch]
    images = max(least, -(-batch // MOST_GROUPS))
    while images < batch:
        sizes.append(images)
        images *= 2
    best: dict[int, tuple[float, list[int]]] = {size: (0.0, []) for size in sizes}
    for images_bytes, live, weights in costs:
        crossing = batch * live * (2.0 if batch * live > CACHE_BYTES else 0.5)
        found = {}
        for size in sizes:
            far = size * images_bytes > CACHE_BYTES
            near = size * images_bytes <= least * NEAR_BYTES
            moved = batch * images_bytes * (1.0 if far else 0.0 if near else NEAR)
            own = moved + WEIGHTS * weights * -(-batch // size)
            cost, path = min(
                ((best[old][0] + (old != size) * crossing, best[old][1]) for old in sizes),
                key=lambda pair: pair[0],
            )
            found[size] = cost + own, [*path, size]
        best = found
    return min(best.values(), key=lambda pair: pair[0])[1]


def fit(steps: Sequence[Step], groups: Sequence[Group], fixed: set[int]) -> None:
    """Let storages that one group alone uses hold its images; others live as long as groups do.

    `fixed` are the ids of those that hold constants.
    """
    users: dict[int, tuple[Storage, set[int], bool]] = {}
    for number, each in enumerate(groups):
        for step in steps[each.first : each.last]:
            for tensor in (*step.reads, *step.writes):
                root = tensor.storage.root
                whole = (
                    of_batch(tensor, step.writes[0])
                    and tensor.strides[0] * each.batch == root.elements
                    and tensor.dtype.itemsize == step.writes[0].dtype.itemsize
                )
                _, where, alike = users.setdefault(id(root), (root, set(), True))
                where.add(number)
                users[id(root)] = root, where, alike and whole
    for root, where, alike in users.values():
        if root.slot != 0 or id(root) in fixed:
            continue
        first, last = groups[min(where)], groups[max(where)]
        if len(where) == 1 and alike and first.images < first.batch:
            root.images = first.batch, first.images
        else:
            if first.images < first.batch:
                root.first = min(root.first, first.first)
            if last.images < last.batch:
                root.last = max(root.last, last.last - 1)
