"""Large constants that are read, or computed from others, when they are needed, and not kept.

A network's weights are wanted once, to be packed. Until then they stay in the file.
"""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable
from math import prod
from typing import Any, Protocol

import numpy as np

from ..errors import ModelFormatError

Array = np.ndarray[Any, np.dtype[Any]]

#: Constants of fewer bytes are arrays from the start.
SMALL = 1 << 14


class Deferred:
    """What is known of an array before it is there; `np.asarray` makes it, anew each time.

    Parameters
    ----------
    shape : tuple of int
        Sizes of the axes.
    dtype : dtype
        Type of the elements.
    fill : callable
        Writes the elements into a C-contiguous array of that shape and type.
    transposed : bool, optional
        Whether this is the transpose of what `fill` writes; `shape` is that of the transpose.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.deferred import Deferred
    >>> weight = Deferred((2, 3), np.float32, lambda target: target.fill(1))
    >>> weight.T.shape, np.asarray(weight.T).sum()
    ((3, 2), np.float32(6.0))
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: Any,
        fill: Callable[[Array], None],
        transposed: bool = False,
    ) -> None:
        self.shape, self.dtype, self.transposed = tuple(shape), np.dtype(dtype), transposed
        self._fill = fill

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(prod(self.shape))

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return int(self.size * self.dtype.itemsize)

    @property
    def strides(self) -> tuple[int, ...]:
        """Strides in bytes."""
        steps, step = [], self.dtype.itemsize
        for size in self.shape if self.transposed else reversed(self.shape):
            steps.append(step)
            step *= max(size, 1)
        return tuple(steps if self.transposed else reversed(steps))

    @property
    def T(self) -> Deferred:
        """The transpose."""
        return Deferred(self.shape[::-1], self.dtype, self._fill, not self.transposed)

    def into(self, memory: Array) -> Array:
        """Make the array at the beginning of some bytes.

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv.graph.deferred import Deferred
        >>> five = Deferred((3,), np.int16, lambda target: target.fill(5))
        >>> five.into(np.zeros(8, np.uint8))
        array([5, 5, 5], dtype=int16)
        """
        shape = self.shape[::-1] if self.transposed else self.shape
        array: Array = memory[: self.nbytes].view(self.dtype).reshape(shape)
        self._fill(array)
        return array.T if self.transposed else array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self.into(np.empty(self.nbytes, np.uint8)), dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        return np.asarray, (np.asarray(self),)


Constant = Array | Deferred


def scaled(array: Constant, factor: Array) -> Constant:
    """Product of a constant and an array that broadcasts to it, in the constant's dtype.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.deferred import scaled
    >>> scaled(np.ones((2, 2)), np.array([[2], [3]]))
    array([[2., 2.],
           [3., 3.]])
    """
    factor = factor.astype(array.dtype, copy=False)

    def fill(target: Array) -> None:
        whole = array
        if isinstance(whole, Deferred) and not whole.transposed:
            whole = whole.into(target.reshape(-1).view(np.uint8))
        np.multiply(whole, factor, out=target)

    later = Deferred(array.shape, array.dtype, fill)
    return np.asarray(later) if later.nbytes < SMALL else later


class Source(Protocol):
    """Where arrays lie."""

    def read(self, begin: int, target: Array) -> None:
        """Copy bytes from a place on into an array of bytes."""


class FileSource:
    """A file, read only while it is what it was when it was opened.

    Examples
    --------
    >>> import numpy as np, fastconv
    >>> from fastconv.graph.deferred import FileSource
    >>> start = np.zeros(3, np.uint8)
    >>> FileSource(fastconv.__file__).read(0, start)
    >>> start.tobytes()
    b'\"\"\"'
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self.descriptor)
        self._state = self._now()
        self.size = self._state[0]

    def _now(self) -> tuple[int, int]:
        found = os.fstat(self.descriptor)
        return found.st_size, found.st_mtime_ns

    def read(self, begin: int, target: Array) -> None:
        """Copy bytes from a place on into an array of bytes.

        Raises
        ------
        ModelFormatError
            If the file has been written to since it was opened.
        """
        rest = target.data
        while rest:
            done = os.preadv(self.descriptor, [rest], begin)
            if not done:
                break
            rest, begin = rest[done:], begin + done
        if rest or self._now() != self._state:
            raise ModelFormatError(f"{self.path!r} has been changed since it was loaded")


class MemorySource:
    """Bytes that somebody handed over.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.deferred import MemorySource
    >>> two = np.zeros(2, np.uint8)
    >>> MemorySource(b"abcd").read(1, two)
    >>> two.tobytes()
    b'bc'
    """

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, begin: int, target: Array) -> None:
        """Copy bytes from a place on into an array of bytes."""
        target[:] = np.frombuffer(self._data, np.uint8, len(target), begin)


def stored(source: Source, begin: int, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Constant:
    """Array that lies somewhere, little-endian: read now if it is small.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.deferred import MemorySource, stored
    >>> stored(MemorySource(np.arange(4.0).tobytes()), 8, np.dtype(np.float64), (3,))
    array([1., 2., 3.])
    """

    def fill(target: Array) -> None:
        source.read(begin, target.reshape(-1).view(np.uint8))
        if sys.byteorder == "big":
            target.byteswap(inplace=True)

    later = Deferred(shape, dtype, fill)
    return np.asarray(later) if later.nbytes < SMALL else later
