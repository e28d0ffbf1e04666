"""Builds one program from a graph whose input shapes are known.

Lowering a node appends steps; a step knows the tensors that it reads and writes and how to add
itself to a native program. When all nodes are lowered, layouts are final: memory is assigned from
lifetimes, constants are packed, and the steps are added.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, NamedTuple

import numpy as np

from .. import _native
from .._fits import show
from .._views import MOST_BYTES
from ..errors import ModelFormatError, ShapeError, UnsupportedOperatorError, trusting
from . import memory, slicing, strips
from .constants import Constants, Packed
from .ir import Array
from .steps import At, Step
from .strips import Window
from .tensors import (
    Known,
    Shape,
    Storage,
    Strides,
    Tensor,
    Value,
    blocks,
    broadcast_strides,
    channels_last,
    contiguous,
    in_order_of,
)

Key = tuple[int, tuple[int, ...], tuple[int, ...]]


@dataclass(eq=False)
class Builder:
    """State of one plan in the making."""

    constants: Constants
    channels_last: bool = True
    choices: Mapping[str, str] = field(default_factory=dict)
    #: Asked for where `choices` say nothing.
    algorithm: str = "auto"
    steps: list[Step] = field(default_factory=list)
    slots: list[tuple[Storage, Key]] = field(default_factory=list)
    label: str = ""
    #: Whether callers get what the node gives that is being lowered: as planes.
    is_output: bool = False
    _known: dict[int, tuple[Known, Tensor]] = field(default_factory=dict)
    _ordered: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    _packed: list[Packed] = field(default_factory=list)

    def __post_init__(self) -> None:
        # any slot will do for asking how a convolution would be packed
        self.question = _native.Program()
        self.question.input((1, (1,), (1,)))

    # ---- making tensors

    def new(self, shape: Sequence[int], dtype: Any, like: Tensor | None = None) -> Tensor:
        """Return a tensor to be written, laid out like another one or as images are."""
        shape, dtype = tuple(int(n) for n in shape), np.dtype(dtype)
        if like is not None and len(like.shape) == len(shape):
            strides = in_order_of(like.strides, shape)
        elif self.channels_last and len(shape) in (3, 4, 5):
            strides = channels_last(shape)
        else:
            strides = contiguous(shape)
        return self.own(shape, dtype, strides)

    def own(self, shape: Shape, dtype: Any, strides: Strides) -> Tensor:
        """Return a tensor with a storage of its own."""
        if prod(max(n, 1) for n in shape) * np.dtype(dtype).itemsize > MOST_BYTES:
            raise ShapeError(f"{self.label}: a tensor of shape {shape} would exceed all memory")
        storage = Storage(elements=prod(shape))
        tensor = Tensor(np.dtype(dtype), shape, strides, storage)
        storage.tensors.append(tensor)
        return tensor

    def input(self, key: Key, dtype: np.dtype[Any]) -> Tensor:
        """Return the tensor of an array that callers hand over."""
        _, shape, strides = key
        tensor = self.own(shape, dtype, tuple(s // dtype.itemsize for s in strides))
        tensor.storage.movable = False
        tensor.storage.slot = -1 - len(self.slots)
        self.slots.append((tensor.storage, key))
        return tensor

    def tensor(self, value: Value) -> Tensor:
        """Return a value as a tensor: known arrays become constants of the program."""
        if isinstance(value, Tensor):
            return value
        if id(value) not in self._known:
            array = np.ascontiguousarray(value.array).reshape(value.shape)
            tensor = self.own(array.shape, array.dtype, contiguous(array.shape))
            tensor.storage.movable = False
            self._known[id(value)] = (value, tensor)
            self.pack(self.constants.raw(array, value.name), tensor.storage)
        return self._known[id(value)][1]

    def packed(self, packed: Packed) -> Tensor:
        """Return a tensor that stands for packed weights."""
        shape = (packed.count,)
        tensor = Tensor(np.dtype(np.uint8), shape, (1,), Storage(packed.count, movable=False))
        self.pack(packed, tensor.storage)
        return tensor

    def pack(self, packed: Packed, storage: Storage) -> None:
        """Let a storage hold a constant."""
        packed.users.append(storage)
        self._packed.append(packed)

    # ---- appending steps

    def step(
        self,
        reads: Sequence[Tensor],
        writes: Sequence[Tensor],
        add: Callable[[_native.Program, At], None],
        alias: tuple[Tensor, Tensor] | None = None,
        detail: str = "",
        flops: int = 0,
        choice: tuple[str, str] | None = None,
        by_image: bool = False,
        window: Window | None = None,
    ) -> None:
        """Append a step; `detail` (what computes it) and `flops` are for profiles."""
        step = Step(
            list(reads),
            list(writes),
            add,
            self.label,
            alias,
            detail,
            flops,
            choice,
            by_image,
            window,
        )
        self.steps.append(step)

    def each(
        self,
        reads: Sequence[Tensor],
        y: Tensor,
        add: Callable[[_native.Program, list[Any]], None],
        *,
        in_place: bool = True,
    ) -> None:
        """Append an element-wise step: `add` gets y's native tuple, then those of `reads`."""

        def add_blocks(program: _native.Program, at: At) -> None:
            strides = [broadcast_strides(t.shape, t.strides, y.shape) for t in reads]
            for sizes, steps, offsets in blocks(at.part(y.shape), [y.strides, *strides]):
                tensors = [y, *reads]
                add(
                    program,
                    [at(t, sizes, s, o) for t, s, o in zip(tensors, steps, offsets, strict=True)],
                )

        alias = next(((y, x) for x in reads if x.shape == y.shape and x.dtype == y.dtype), None)
        self.step(
            reads, [y], add_blocks, alias if in_place else None, by_image=True, window=Window()
        )

    def copy(self, x: Tensor, y: Tensor) -> None:
        """Append a copy of x (repeated where y is larger) into y."""
        self.each([x], y, lambda program, t: program.add_copy(t[1], t[0]), in_place=False)

    def fill(self, y: Tensor, value: float) -> None:
        """Append a fill."""

        def add(program: _native.Program, at: At) -> None:
            for sizes, (strides,), (offset,) in blocks(y.shape, [y.strides]):
                program.add_fill(at(y, sizes, strides, offset), value)

        self.step([], [y], add)

    def compact(self, x: Tensor) -> Tensor:
        """Return x, or a copy of it, with C-contiguous strides."""
        wanted = contiguous(x.shape)
        if all(n == 1 or s == w for n, s, w in zip(x.shape, x.strides, wanted, strict=True)):
            return x if x.strides == wanted else x.view(x.shape, wanted)
        y = self.own(x.shape, x.dtype, wanted)
        self.copy(x, y)
        return y

    def into_planes(self, x: Tensor) -> bool:
        """Lay out anew, as planes, what one step alone has written and nothing has read yet."""
        storage = x.storage
        users = [s for s in self.steps for t in (*s.reads, *s.writes) if t.storage is storage]
        free = storage.movable and storage.slot == 0 and storage.tensors == [x]
        if not free or len(users) != 1 or not users[0].choice:
            return False
        x.strides = contiguous(x.shape)
        return True

    def ordered(self, x: Tensor) -> Tensor:
        """Return x, or a copy of it whose channels are in their order."""
        if x.shuffle == 1:
            return x
        if id(x) not in self._ordered:
            (n, c, *space), s = x.shape, x.shuffle
            y = self.new(x.shape, x.dtype, like=x)

            def channels(t: Tensor, outer: int, inner: int) -> Tensor:
                first, step, *rest = t.strides
                return t.view((n, c // s, s, *space), (first, outer * step, inner * step, *rest))

            self.copy(channels(x, 1, c // s), channels(y, s, 1))
            self._ordered[id(x)] = x, y
        return self._ordered[id(x)][1]

    # ---- finishing

    def finish(self, outputs: Sequence[Tensor]) -> Plan:
        """Assign memory and build the program; outputs are contiguous arrays of the caller's."""
        keys: list[Key] = []
        taken: set[int] = set()
        self.label = "output"
        for value in outputs:
            value = self.ordered(value)
            target = self._output(value, id(value.storage) in taken)
            taken.add(id(target.storage))
            target.storage.slot = -1 - len(self.slots) - len(keys)
            itemsize = target.dtype.itemsize
            strides = tuple(s * itemsize for s in target.strides)
            keys.append((target.dtype.num, target.shape, strides))
        self._lifetimes()
        self._share()
        fixed = self._constant_storages()
        groups = slicing.group(self.steps)
        slicing.fit(self.steps, groups, fixed)
        parts = strips.parts(self.steps, groups, fixed)
        with trusting("a constant"):
            blocks_used = self.constants.place(self._packed)
        slot_of_block = {id(block): 1 + i for i, block in enumerate(blocks_used)}
        for packed in self._packed:
            for storage in packed.users:
                storage.slot = slot_of_block[id(packed.block)]
                storage.offset_bytes = packed.offset
        program = _native.Program()
        for block in blocks_used:
            program.input(_native.describe(block, "constants")[1])
        first = 1 + len(blocks_used)
        for _, key in self.slots:
            program.input(key)
        for key in keys:
            program.output(key)
        self._arena(program)
        rows: dict[int, list[int]] = {}
        for group, inner in zip(groups, parts, strict=True):
            for image in range(0, group.batch, group.images):
                count = min(group.images, group.batch - image)
                for piece in (piece for part in inner for piece in part.pieces):
                    before = program.step_count
                    at = At(first, self.steps[piece.number].writes[0], rows=piece.rows)
                    if count < group.batch:
                        at.first, at.count = image, count
                    for shift in piece.shifts:
                        _shift(program, shift)
                    self._add(program, self.steps[piece.number], at)
                    done = range(before, program.step_count)
                    rows.setdefault(piece.number, []).extend(done)
        lines = [_row(step, tuple(rows[number])) for number, step in enumerate(self.steps)]
        return Plan(program, tuple(blocks_used), len(keys), lines)

    @staticmethod
    def _add(program: _native.Program, step: Step, at: At) -> None:
        try:
            step.add(program, at)
        except ValueError as error:
            raise UnsupportedOperatorError(f"{step.label}: {error}") from None
        except (TypeError, OverflowError) as error:
            raise ModelFormatError(f"{step.label} is malformed: {error!r}") from error

    def _constant_storages(self) -> set[int]:
        return {id(s) for packed in self._packed for s in packed.users}

    def _output(self, value: Tensor, is_taken: bool) -> Tensor:
        """The tensor itself, laid out as callers want it, or else a copy that is."""
        storage = value.storage
        is_constant = any(storage in packed.users for packed in self._packed)
        if storage.slot == 0 and not is_taken and not is_constant:
            wanted = contiguous(value.shape)
            if storage.tensors == [value] and storage.movable:
                value.strides = wanted
            whole = value.offset == 0 and value.size == storage.elements
            if whole and value.strides == wanted:
                storage.movable = False
                return value
        copy = self.own(value.shape, value.dtype, contiguous(value.shape))
        self.copy(value, copy)
        return copy

    def _lifetimes(self) -> None:
        for number, step in enumerate(self.steps):
            for tensor in (*step.writes, *step.reads):
                storage = tensor.storage
                if storage.first < 0:
                    storage.first = number
                storage.last = number

    def _share(self) -> None:
        """Let steps that may work in place do so where what they read is not read again."""
        constants = self._constant_storages()
        for number, step in enumerate(self.steps):
            if step.alias is None:
                continue
            y, x = step.alias
            new, old = y.storage.root, x.storage.root
            fits = (
                new is not old
                and new.slot == old.slot == 0
                and not {id(new), id(old)} & constants
                and new.first == number
                and old.last == number
                and new.elements * y.dtype.itemsize == old.elements * x.dtype.itemsize
                and (y.strides, y.offset) == (x.strides, x.offset)
                and y.size == new.elements
                and all(
                    t.storage.root is not old or (t.strides, t.offset) == (x.strides, x.offset)
                    for t in step.reads
                )
            )
            if fits:
                new.merged = old
                old.last = new.last

    def _arena(self, program: _native.Program) -> None:
        found: dict[int, tuple[Storage, int]] = {}
        constants = self._constant_storages()
        for step in self.steps:
            for tensor in (*step.reads, *step.writes):
                root = tensor.storage.root
                if root.slot == 0 and id(root) not in constants:
                    found[id(root)] = root, tensor.dtype.itemsize
        spans = [
            memory.Span(max(s.held * itemsize, 1), s.first, s.last)
            for s, itemsize in found.values()
        ]
        offsets, total = memory.place(spans)
        base = program.reserve(total)
        for (storage, _), offset in zip(found.values(), offsets, strict=True):
            storage.offset_bytes = base + offset


def _shift(program: _native.Program, shift: strips.Shift) -> None:
    """Let a storage begin with another row."""
    tensor, itemsize = shift.tensor, shift.tensor.dtype.itemsize
    storage, row = tensor.storage.root, tensor.strides[2]
    storage.row = shift.first
    if shift.last > shift.first:
        moved = (shift.first - shift.begin) * row * itemsize
        size, stride = (1, 1, 1, (shift.last - shift.first) * row), (0, 0, 0, itemsize)
        source, target = (
            (storage.slot, tensor.dtype.num, storage.offset_bytes + start, size, stride)
            for start in (moved, 0)
        )
        program.add_copy(source, target)


class Row(NamedTuple):
    """What summaries and profiles say of a step, which may be several of the program's."""

    label: str
    detail: str
    shape: Shape
    flops: int
    data_bytes: int
    steps: tuple[int, ...]


def _row(step: Step, steps: tuple[int, ...]) -> Row:
    tensors = {id(t): t for t in (*step.reads, *step.writes)}
    data = sum(t.size * t.dtype.itemsize for t in tensors.values())
    return Row(step.label, step.detail, step.writes[0].shape, step.flops, data, steps)


class Plan(NamedTuple):
    """A program, and the blocks of constants that it takes before its inputs."""

    program: _native.Program
    blocks: tuple[Array, ...]
    output_count: int
    rows: list[Row]


def shape_text(shape: Sequence[int]) -> str:
    """Write a shape for an error message.

    Examples
    --------
    >>> from fastconv.graph.builder import shape_text
    >>> shape_text((1, 3, 8, 8))
    '1x3x8x8'
    """
    return "x".join(show(int(size)) for size in shape) or "scalar"
