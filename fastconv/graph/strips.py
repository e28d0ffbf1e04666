"""Working through images in strips of rows, so that what passes between steps stays near a core.

Steps that follow each other run for some rows, one after the other, before the next rows come; a
step runs as far ahead of those behind it as their windows reach down. Tensors that none but such
steps use hold the rows that are still needed. No result depends on it: an element of the output
is computed alike wherever its strip begins. Threads would meet after each step of a strip, so
this is for programs of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from ..runtime import get_num_threads
from .tensors import Storage, Tensor

if TYPE_CHECKING:
    from .slicing import Group
    from .steps import Step

#: What a strip may occupy in all tensors: most of the second-level cache.
STRIP_BYTES = 768 << 10
#: Tensors between steps that are no larger pass through that cache anyway.
NEAR_BYTES = 1 << 20
#: Strips that an image is parted into at most.
MOST_STRIPS = 64


class Window(NamedTuple):
    """Which rows of its first tensor a step reads for rows of its output."""

    extent: int = 1
    stride: int = 1
    pad: int = 0

    def begin(self, row: int) -> int:
        """The first row of input for output rows from this one on.

        Examples
        --------
        >>> from fastconv.graph.strips import Window
        >>> window = Window(extent=3, stride=2, pad=1)
        >>> window.begin(0), window.begin(4), window.end(4, height=8)
        (0, 7, 8)
        """
        return max(row * self.stride - self.pad, 0)

    def end(self, row: int, height: int) -> int:
        """The row of input behind the last one for output rows up to this one."""
        return min((row - 1) * self.stride - self.pad + self.extent, height) if row else 0


class Shift(NamedTuple):
    """A storage that began with row `begin` begins with `first`: rows [first, last) move there."""

    tensor: Tensor
    begin: int
    first: int
    last: int


class Piece(NamedTuple):
    """Rows of what a step writes (None: all), and what happens before."""

    number: int
    rows: tuple[int, int] | None
    shifts: list[Shift]


class Part(NamedTuple):
    """Steps [first, last) in pieces, and the rows (of so many) that storages hold at a time."""

    first: int
    last: int
    pieces: list[Piece]
    rooms: list[tuple[Storage, int, int]]


def _alike(tensor: Tensor, y: Tensor) -> bool:
    """Whether a tensor has a row for each row of what a step writes."""
    return len(tensor.shape) == 4 and tensor.shape[2] == y.shape[2]


def windows(step: Step) -> list[tuple[Tensor, Window]]:
    """Tensors that a step reads row by row, and how."""
    y, found = step.writes[0], []
    assert step.window is not None
    for place, tensor in enumerate(step.reads):
        if place == 0 and step.window != Window():
            found.append((tensor, step.window))
        elif _alike(tensor, y):
            found.append((tensor, Window()))
    return found


def _fits(step: Step) -> bool:
    """Whether a step can run for some rows."""
    y, window = step.writes[0], step.window
    if window is None or len(step.writes) > 1 or len(y.shape) != 4 or prod(y.shape) == 0:
        return False
    if y.shape[2] < 2:
        return False
    for place, tensor in enumerate(step.reads):
        rows = tensor.shape[-2] if len(tensor.shape) > 1 else 1
        if place == 0 and window != Window():
            height = tensor.shape[2]
            # each strip reads something, and what is above the image is not more than a filter
            if window.pad >= window.extent or window.begin(y.shape[2] - 1) >= height:
                return False
        elif rows != 1 and not _alike(tensor, y):
            return False
    return True


class _Run:
    """Successive steps that are to run in strips."""

    def __init__(self, steps: Sequence[Step], first: int, last: int) -> None:
        self.first, self.steps = first, steps[first:last]
        self.heights = [step.writes[0].shape[2] for step in self.steps]
        self.writers: dict[int, list[int]] = {}
        self.readers: dict[int, list[tuple[int, Window]]] = {}
        self.tensors: dict[int, list[Tensor]] = {}
        for k, step in enumerate(self.steps):
            self.writers.setdefault(id(step.writes[0].storage.root), []).append(k)
            for tensor, window in windows(step):
                self.readers.setdefault(id(tensor.storage.root), []).append((k, window))
            for tensor in (*step.reads, *step.writes):
                self.tensors.setdefault(id(tensor.storage.root), []).append(tensor)

    def ends(self, count: int) -> list[list[int]]:
        """Of each step, the row behind the last one that it has written after each strip."""
        found: list[list[int]] = [[] for _ in self.steps]
        for k in range(len(self.steps) - 1, -1, -1):
            height, root = self.heights[k], id(self.steps[k].writes[0].storage.root)
            ahead = [(j, window) for j, window in self.readers.get(root, ()) if j > k]
            for strip in range(count):
                end = -(-height * (strip + 1) // count)
                if ahead and strip < count - 1:
                    end = max(window.end(found[j][strip], height) for j, window in ahead)
                found[k].append(end)
        return found

    def _keeps(self, ends: list[list[int]], root: int) -> bool:
        """Whether no step overwrites rows that another has yet to read as they were before."""
        return all(
            other == self.heights[j] or window.begin(other) >= mine
            for k in self.writers[root]
            for j, window in self.readers.get(root, ())
            if j < k
            for mine, other in zip(ends[k], ends[j], strict=True)
        )

    def _whole(self, root: int) -> Tensor | None:
        """A tensor whose rows are all that a storage holds; or None."""
        one = self.tensors[root][0]
        whole = one.strides[2] * one.shape[2] * one.shape[0] == one.storage.root.elements
        return one if whole and one.storage.root.slot == 0 else None

    def part(self, count: int, free: set[int]) -> tuple[Part, int] | None:
        """Return the run in so many strips, and the bytes of a strip.

        `free` are the ids of storages that nothing else uses.
        """
        ends = self.ends(count)
        if not all(self._keeps(ends, root) for root in self.writers):
            return None
        rolling = {
            root: tensor
            for root in self.writers
            if root in free and (tensor := self._whole(root)) is not None
        }
        begins = dict.fromkeys(rolling, 0)
        rooms = dict.fromkeys(rolling, 0)
        pieces: list[Piece] = []
        for strip in range(count):
            for k in range(len(self.steps)):
                before = ends[k][strip - 1] if strip else 0
                if before == ends[k][strip]:
                    continue
                root = id(self.steps[k].writes[0].storage.root)
                shifts = []
                if root in rolling and k == self.writers[root][0]:
                    live = self._live(ends, root, strip)
                    begin = begins[root]
                    if strip == 0 or live[1] - live[0] <= live[0] - begin:
                        shifts.append(Shift(rolling[root], begin, *live))
                        begins[root] = live[0]
                if root in rolling:
                    rooms[root] = max(rooms[root], ends[k][strip] - begins[root])
                pieces.append(Piece(self.first + k, (before, ends[k][strip]), shifts))
        held = [(t.storage.root, t.shape[2], rooms[root]) for root, t in rolling.items()]
        part = Part(self.first, self.first + len(self.steps), pieces, held)
        return part, self._bytes(rolling, rooms, count)

    def _live(self, ends: list[list[int]], root: int, strip: int) -> tuple[int, int]:
        """Rows of a storage that exist before a strip and are read in it or later."""
        if strip == 0:
            return 0, 0
        last = max(ends[k][strip - 1] for k in self.writers[root])
        needed = [ends[k][strip - 1] for k in self.writers[root]]
        for j, window in self.readers.get(root, ()):
            if ends[j][strip - 1] < self.heights[j]:
                needed.append(window.begin(ends[j][strip - 1]))
        return min(needed), last

    def _bytes(self, rolling: dict[int, Tensor], rooms: dict[int, int], count: int) -> int:
        """What a strip occupies."""
        total = 0
        for root, tensors in self.tensors.items():
            tensor = max(tensors, key=lambda t: t.size)
            size = tensor.size * tensor.dtype.itemsize
            if root in rolling:
                total += size * rooms[root] // tensor.shape[2]
            elif root in self.readers or root in self.writers:
                total += size // count
            else:
                total += size
        return total


def parts(steps: Sequence[Step], groups: Sequence[Group], fixed: set[int]) -> list[list[Part]]:
    """Of each group, what runs in strips and what as a whole, and storages as small as that needs.

    `fixed` are the ids of storages that hold constants.
    """
    used: dict[int, tuple[int, int]] = {}
    for number, step in enumerate(steps):
        for tensor in (*step.reads, *step.writes):
            root = id(tensor.storage.root)
            used[root] = used.get(root, (number, 0))[0], number
    found: list[list[Part]] = []
    alone = get_num_threads() == 1
    for group in groups:
        found.append([])
        at = group.first
        while at < group.last:
            end = _reach(steps, at, group) if alone and group.images == 1 else at
            part = None
            while part is None and end > at + 1:
                inside = {r for r, (a, z) in used.items() if at <= a and z < end} - fixed
                part = _in_strips(_Run(steps, at, end), inside)
                end -= part is None
            if part is None:
                part = Part(at, at + 1, [Piece(at, None, [])], [])
            else:
                _keep(steps, part)
            found[-1].append(part)
            at = part.last
    return found


def _keep(steps: Sequence[Step], part: Part) -> None:
    """Let storages live as long as the part, with as many rows as they hold at a time."""
    for step in steps[part.first : part.last]:
        for tensor in (*step.reads, *step.writes):
            root = tensor.storage.root
            root.first, root.last = min(root.first, part.first), max(root.last, part.last - 1)
    for root, height, rows in part.rooms:
        root.rows = height, rows


def _reach(steps: Sequence[Step], first: int, group: Group) -> int:
    """How far steps from the first one on pass on large tensors row by row."""
    batch = group.batch
    written: set[int] = set()
    rows: dict[int, set[tuple[int, int] | None]] = {}
    for number in range(first, group.last):
        step = steps[number]
        if not _fits(step) or step.writes[0].shape[0] != batch:
            return number
        by_row = [tensor for tensor, _ in windows(step)]
        links = [t for t in by_row if id(t.storage.root) in written]
        large = [t for t in links if t.size * t.dtype.itemsize > NEAR_BYTES * batch]
        written.add(id(step.writes[0].storage.root))
        for tensor in (*step.reads, *step.writes):
            known = tensor is step.writes[0] or any(tensor is t for t in by_row)
            seen = rows.setdefault(id(tensor.storage.root), set())
            seen.add(_rows(tensor) if known else None)
        alike = all(len(rows[root]) == 1 and None not in rows[root] for root in written)
        if not alike or (number > first and not large):
            return number
    return group.last


def _rows(tensor: Tensor) -> tuple[int, int] | None:
    """How many rows, and how far apart; None if the tensor does not begin with the first."""
    height, pitch = tensor.shape[2], tensor.strides[2]
    begins = pitch > 0 and tensor.offset % (height * pitch) < pitch
    return (height, pitch) if begins else None


def _in_strips(run: _Run, inside: set[int]) -> Part | None:
    """The run in as few strips as fit; None: they do not, or would be one."""
    count = 2
    while count <= min(run.heights[-1], MOST_STRIPS):
        found = run.part(count, inside)
        if found is None:
            return None
        if found[1] <= STRIP_BYTES:
            return found[0]
        count += -(-count // 4)
    return None
