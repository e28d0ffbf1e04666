"""Arena offsets from lifetimes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

ALIGNMENT = 64


class Span(NamedTuple):
    """So many bytes, in use from one step to another, both included."""

    size: int
    first: int
    last: int


def place(spans: Sequence[Span]) -> tuple[list[int], int]:
    """Give each span a place that no other uses at the same time -> (offsets, bytes in all).

    The largest first, each into the lowest gap that fits (greedy by size: on chains of layers it
    is optimal or nearly so).

    Examples
    --------
    >>> from fastconv.graph.memory import Span, place
    >>> place([Span(100, 0, 1), Span(100, 1, 2), Span(100, 2, 3)])
    ([0, 128, 0], 256)
    """
    offsets = [0] * len(spans)
    placed: list[tuple[int, int, Span]] = []  # begin, end
    total = 0
    for index in sorted(range(len(spans)), key=lambda i: (-spans[i].size, spans[i].first)):
        span = spans[index]
        size = -(-span.size // ALIGNMENT) * ALIGNMENT
        at = 0
        for begin, end, other in placed:  # by place
            if other.last < span.first or other.first > span.last:
                continue
            if begin - at >= size:
                break
            at = max(at, end)
        offsets[index] = at
        placed.append((at, at + size, span))
        placed.sort(key=lambda p: p[:2])
        total = max(total, at + size)
    return offsets, total
