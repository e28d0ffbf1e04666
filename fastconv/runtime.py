"""How fastconv runs: instruction set, threads, default algorithm, memory, configuration.

The number of threads of a call is the first of: the call's ``num_threads=``, the innermost
`threads` context, `set_num_threads` or ``FASTCONV_NUM_THREADS``, and what OpenMP (and so
threadpoolctl and ``OMP_NUM_THREADS``) says; capped by the CPUs in the process's affinity mask and
by the container's CPU quota. Small calls use fewer. A child of ``fork`` runs on the calling thread
alone, because OpenMP's teams do not survive a fork.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from . import _cgroup, _native, shapes

__all__ = [
    "ALGORITHMS",
    "default_algorithm",
    "get_include",
    "get_num_threads",
    "plan_cache",
    "set_algorithm",
    "set_isa",
    "set_num_threads",
    "show_config",
    "threads",
    "trim",
]

#: Names of the convolution algorithms, with their numbers in the C contract.
ALGORITHMS = {
    "auto": 0,
    "direct": 1,
    "im2col": 2,
    "channels_last": 3,
    "planar": 4,
    "winograd": 5,
    "winograd_rows": 6,
    "depthwise": 7,
}

_Function = TypeVar("_Function", bound=Callable[..., Any])
_caches: list[Any] = []
_default_algorithm = "auto"


def plan_cache(function: _Function) -> _Function:
    """Keep the newest plans that `function` made, until a setting that they depend on changes."""
    cached = functools.lru_cache(maxsize=1024, typed=True)(function)
    _caches.append(cached)
    return cached  # type: ignore[return-value]


def _forget_plans() -> None:
    for cache in _caches:
        cache.cache_clear()


# ---- instruction set


def set_isa(name: str | None) -> None:
    """Force the instruction set of all plans made from now on; None chooses the best again.

    The environment variable ``FASTCONV_ISA`` does the same at import.

    Raises
    ------
    ValueError
        If `name` is unknown, not compiled in, or not supported by this machine.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.set_isa("baseline")
    >>> fastconv.show_config()["isa"]
    'baseline'
    >>> fastconv.set_isa(None)
    """
    compiled = _native.isa_compiled()
    supported = [isa for isa in compiled if _native.isa_supported(isa)]
    if name is not None and name not in supported:
        what = "not supported by this machine" if name in compiled else "not an instruction set"
        raise ValueError(
            f"isa: {name!r} is {what}; compiled in: {', '.join(compiled)}; "
            f"supported here: {', '.join(supported)}"
        )
    _native.isa_select(name)
    _forget_plans()


# ---- algorithm


def set_algorithm(name: str) -> None:
    """Set the convolution algorithm for calls and layers that do not name one.

    Parameters
    ----------
    name : {"auto", "direct", "channels_last", "planar", "depthwise", "winograd", ...}
        "auto" lets the planner choose by the shape of one image. "depthwise" (one channel a group),
        "winograd" (undilated 3x3 filters at strides 1 and 2, 5x5, 1x3, 1x5, 1x7 and their
        transposes at stride 1) and "winograd_rows" (filters of 3 rows at stride 1) are used where
        they fit; "im2col" builds a column matrix.

    Raises
    ------
    ValueError
        If `name` is not one of these.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.set_algorithm("direct")
    >>> fastconv.set_algorithm("auto")
    """
    global _default_algorithm
    algorithm_code(name)
    _default_algorithm = name
    _forget_plans()


def default_algorithm() -> str:
    """Name of the algorithm for convolutions that do not name one.

    Examples
    --------
    >>> from fastconv import runtime
    >>> runtime.default_algorithm()
    'auto'
    """
    return _default_algorithm


def algorithm_code(name: str | None) -> int:
    """Number of an algorithm in the C contract; None stands for the default one.

    Examples
    --------
    >>> from fastconv import runtime
    >>> runtime.algorithm_code("direct")
    1
    """
    if name is None:
        name = _default_algorithm
    if name not in ALGORITHMS:
        raise ValueError(f"algorithm: expected one of {', '.join(ALGORITHMS)}, got {name!r}")
    return ALGORITHMS[name]


# ---- threads


def set_num_threads(n: int) -> None:
    """Set the number of threads of calls that do not say; capped when used, see `fastconv.runtime`.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.set_num_threads(1)
    >>> fastconv.get_num_threads()
    1
    >>> fastconv.set_num_threads(8)  # at most as many as there are CPUs
    """
    _native.set_thread_default(min(shapes.integer(n, "n", 1), 1 << 16))


def get_num_threads() -> int:
    """How many threads a large call made here and now would use.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.get_num_threads() >= 1
    True
    """
    return _native.thread_limit()


@contextmanager
def threads(n: int) -> Iterator[None]:
    """Context in which calls use at most `n` threads; for this thread (or task) alone.

    Examples
    --------
    >>> import fastconv
    >>> with fastconv.threads(1):
    ...     fastconv.get_num_threads()
    1
    """
    token = _native.thread_context.set(min(shapes.integer(n, "n", 1), 1 << 16))
    try:
        yield
    finally:
        _native.thread_context.reset(token)


def cgroup_cpu_limit(root: str | os.PathLike[str] = "/") -> float | None:
    """CPUs that the container's quota grants (cgroup version 1 or 2), None without a quota.

    Examples
    --------
    >>> from fastconv import runtime
    >>> limit = runtime.cgroup_cpu_limit()
    >>> limit is None or limit > 0
    True
    """
    return _cgroup.cpu_limit(root)


def _thread_reason() -> str:
    """Why `get_num_threads` says what it says."""
    if _native.is_forked_child():
        return "a child of fork runs on the calling thread alone"
    if not _native.has_openmp():
        return "built without OpenMP: serial"
    context = _native.thread_context.get(None)
    if context is not None:
        asked, source = context, "threads() context"
    elif _native.get_thread_default():
        asked, source = _native.get_thread_default(), _thread_source
    else:
        asked, source = _native.openmp_max_threads(), "OpenMP (OMP_NUM_THREADS, threadpoolctl)"
    reason = f"{asked} by {source}"
    limits = {
        "the CPU affinity mask": _native.affinity_cpus(),
        "the cgroup CPU quota": _native.get_cgroup_limit(),
    }
    if _native.get_cpu_limit():
        limits = {"set_cpu_limit": _native.get_cpu_limit()}
    for name, limit in limits.items():
        if 0 < limit < asked:
            asked = limit
            reason += f", capped to {limit} by {name}"
    return reason


# ---- memory and configuration


def trim() -> int:
    """Give cached memory (outputs and workspaces waiting to be used again) back -> bytes freed.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.trim() >= 0
    True
    """
    return _native.trim()


def get_include() -> str:
    """Folder with fastconv.h, the C contract, for native code that calls the kernels itself.

    Examples
    --------
    >>> import fastconv, os
    >>> os.path.exists(os.path.join(fastconv.get_include(), "fastconv.h"))
    True
    """
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "include")


class Config(dict[str, Any]):
    """What `show_config` returns: a dict that prints one setting a line."""

    def __repr__(self) -> str:
        width = max(map(len, self))
        return "\n".join(f"{key:{width}} : {value}" for key, value in self.items())

    __str__ = __repr__


def show_config() -> Config:
    """Version, instruction sets, threads and why that many, as a dict that prints readably.

    Returns
    -------
    dict
        ``version``; ``isa`` in use, ``isa_compiled`` best first, ``isa_supported`` by this machine;
        ``openmp``; ``compiler``; ``num_threads`` and ``num_threads_reason``; ``algorithm``.

    Examples
    --------
    >>> import fastconv
    >>> config = fastconv.show_config()
    >>> config["isa"] in config["isa_compiled"]
    True
    """
    from . import __version__

    compiled = _native.isa_compiled()
    return Config(
        version=__version__,
        isa=_native.isa_active(),
        isa_compiled=compiled,
        isa_supported=[name for name in compiled if _native.isa_supported(name)],
        openmp=_native.has_openmp(),
        compiler=_native.compiler(),
        num_threads=get_num_threads(),
        num_threads_reason=_thread_reason(),
        algorithm=_default_algorithm,
    )


# ---- environment, read once at import


def _threads_from_environment() -> str:
    text = os.environ.get("FASTCONV_NUM_THREADS")
    if text:
        if not text.isdigit() or int(text) < 1:
            raise ValueError(f"FASTCONV_NUM_THREADS: expected a positive integer, got {text!r}")
        set_num_threads(int(text))
        return "FASTCONV_NUM_THREADS"
    return "set_num_threads"


_thread_source = _threads_from_environment()
_quota = cgroup_cpu_limit()
_native.set_cgroup_limit(0 if _quota is None else max(1, int(_quota + 0.5)))
if os.environ.get("FASTCONV_ISA"):
    try:
        set_isa(os.environ["FASTCONV_ISA"])
    except ValueError as error:
        raise ValueError(f"FASTCONV_ISA, {error}") from None
