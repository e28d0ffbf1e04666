"""The exceptions that fastconv raises on purpose.

Wrong types (a list where an array belongs, an unsupported or mixed dtype) are plain
``TypeError``; everything that is wrong with sizes is a `ShapeError`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["ModelFormatError", "ShapeError", "UnsupportedOperatorError"]

#: What becomes of nodes that are not as they should be, in code that trusts them.
_MALFORMED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


class ShapeError(ValueError):
    """Sizes do not go together: the message names the argument, what was expected and what came.

    Examples
    --------
    >>> from fastconv.errors import ShapeError
    >>> from fastconv.shapes import output_size
    >>> try:
    ...     output_size(7, kernel=3, stride=3, strict=True)
    ... except ShapeError as error:
    ...     print(str(error).split(";")[0])
    cannot place a kernel of 3 on height 7 with stride 3: (7 - 3)/3 + 1 = 2.33 is not a whole number
    """


class UnsupportedOperatorError(NotImplementedError):
    """A network uses an operator or attribute that fastconv does not have.

    Examples
    --------
    >>> from fastconv.errors import UnsupportedOperatorError
    >>> issubclass(UnsupportedOperatorError, NotImplementedError)
    True
    """


class ModelFormatError(ValueError):
    """A model or weight file is broken, truncated or not what it claims to be.

    Examples
    --------
    >>> from fastconv.errors import ModelFormatError
    >>> issubclass(ModelFormatError, ValueError)
    True
    """


@contextmanager
def trusting(what: str) -> Iterator[None]:
    """Run code that trusts what a file says of `what`; its failures are the file's.

    Examples
    --------
    >>> from fastconv.errors import trusting
    >>> with trusting("node 'conv'"):
    ...     (1, 2)[3]
    Traceback (most recent call last):
    ...
    fastconv.errors.ModelFormatError: node 'conv' is malformed: IndexError('tuple index...
    """
    try:
        yield
    except (ModelFormatError, ShapeError):
        raise
    except _MALFORMED as error:
        raise ModelFormatError(f"{what} is malformed: {error!r}") from error
