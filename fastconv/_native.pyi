from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy.typing import NDArray

Key = tuple[int, tuple[int, ...], tuple[int, ...]]
Tensor = tuple[int, int, int, tuple[int, int, int, int], tuple[int, int, int, int]]
Volume = tuple[Any, ...]
Pair = tuple[int, int]
Table = tuple[int, NDArray[np.int64], NDArray[np.float64]]

thread_context: ContextVar[int]

def trim() -> int: ...
def empty_bytes(count: int) -> NDArray[np.uint8]: ...
def isa_compiled() -> list[str]: ...
def isa_supported(name: str) -> bool: ...
def isa_active() -> str: ...
def isa_select(name: str | None) -> None: ...
def kernel_calls() -> dict[str, int]: ...
def fma_peak(seconds: float = ..., dtype: str = ...) -> float: ...
def has_openmp() -> bool: ...
def openmp_max_threads() -> int: ...
def affinity_cpus() -> int: ...
def compiler() -> str: ...
def is_forked_child() -> bool: ...
def set_thread_default(count: int) -> None: ...
def get_thread_default() -> int: ...
def set_cgroup_limit(count: int) -> None: ...
def get_cgroup_limit() -> int: ...
def set_cpu_limit(count: int) -> None: ...
def get_cpu_limit() -> int: ...
def last_num_threads() -> int: ...
def set_workspace_fill(byte: int) -> None: ...
def thread_limit(num_threads: int | None = ...) -> int: ...
def has_dtype(typenum: int) -> bool: ...
def describe(array: Any, name: str) -> tuple[NDArray[Any], Key]: ...

class Buffer: ...

class Steps:
    @property
    def step_count(self) -> int: ...
    def reserve(self, count: int) -> int: ...
    def add_response(
        self, x: Tensor, y: Tensor, *, size: int, alpha: float, beta: float, bias: float
    ) -> None: ...
    def add_copy(self, x: Tensor, y: Tensor) -> None: ...
    def add_fill(self, y: Tensor, value: float) -> None: ...
    def add_binary(
        self,
        a: Tensor,
        b: Tensor,
        y: Tensor,
        *,
        operation: int,
        activation: int = ...,
        alpha: float = ...,
    ) -> None: ...
    def add_choose(self, condition: Tensor, a: Tensor, b: Tensor, y: Tensor) -> None: ...
    def add_unary(self, x: Tensor, y: Tensor, *, operation: int) -> None: ...
    def add_reduce(self, x: Tensor, y: Tensor, *, operation: int) -> None: ...
    def add_extreme(
        self, x: Tensor, y: Tensor, *, smallest: bool = ..., last: bool = ...
    ) -> None: ...
    def add_scatter(self, x: Tensor, places: Tensor, y: Tensor) -> None: ...

class Program(Steps):
    @property
    def isa(self) -> str: ...
    def workspace_bytes(self, num_threads: int = ...) -> int: ...
    def input(self, key: Key) -> int: ...
    def output(self, key: Key) -> int: ...
    def add_conv2d(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        y: Tensor,
        *,
        stride: Pair,
        pad: Pair,
        dilation: Pair,
        groups: int,
        shuffle: int = ...,
        activation: int = ...,
        alpha: float = ...,
        algorithm: int = ...,
        packed: bool = ...,
        addend: Tensor | None = ...,
    ) -> None: ...
    def add_linear(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        y: Tensor,
        *,
        activation: int = ...,
        alpha: float = ...,
    ) -> None: ...
    def add_conv2d_pack(
        self, weight: Tensor, bias: Tensor | None, slot: int, *, groups: int, algorithm: int
    ) -> None: ...
    def conv2d_packing(
        self,
        x: Tensor,
        weight: Tensor,
        y: Tensor,
        *,
        stride: Pair,
        pad: Pair,
        dilation: Pair,
        groups: int,
        algorithm: int,
        shuffle: int = ...,
    ) -> tuple[int, int]: ...
    def add_conv3d(
        self,
        x: Volume,
        weight: Volume,
        bias: Tensor | None,
        y: Volume,
        *,
        stride: tuple[int, ...],
        pad: tuple[int, ...],
        dilation: tuple[int, ...],
        groups: int,
        transposed: bool,
        pad_mode: int = ...,
        activation: int = ...,
        alpha: float = ...,
        algorithm: int = ...,
        packed: bool = ...,
    ) -> None: ...
    def add_conv3d_pack(
        self,
        weight: Volume,
        bias: Tensor | None,
        slot: int,
        *,
        stride: tuple[int, ...],
        dilation: tuple[int, ...],
        groups: int,
        transposed: bool,
        algorithm: int,
    ) -> None: ...
    def conv3d_packing(
        self,
        x: Volume,
        weight: Volume,
        y: Volume,
        *,
        stride: tuple[int, ...],
        pad: tuple[int, ...],
        dilation: tuple[int, ...],
        groups: int,
        transposed: bool,
        algorithm: int,
        pad_mode: int = ...,
    ) -> tuple[int, int]: ...
    def add_pad(
        self, x: Volume, y: Volume, *, before: tuple[int, ...], mode: int, value: float = ...
    ) -> None: ...
    def add_pool2d(
        self,
        x: Tensor,
        y: Tensor,
        indices: Tensor | None,
        *,
        kernel: Pair,
        stride: Pair,
        pad: tuple[int, int, int, int],
        dilation: Pair = ...,
        average: bool = ...,
        divisor_override: int = ...,
        count_include_pad: bool = ...,
    ) -> None: ...
    def add_columns(
        self,
        x: Tensor,
        columns: Tensor,
        *,
        kernel: Pair,
        stride: Pair,
        pad: Pair,
        dilation: Pair,
        output: Pair,
        fold: bool = ...,
    ) -> None: ...
    def add_elementwise(
        self, x: Tensor, y: Tensor, *, activation: int, alpha: float = ..., beta: float = ...
    ) -> None: ...
    def add_batch_norm(
        self,
        x: Tensor,
        y: Tensor,
        mean: Tensor | None,
        variance: Tensor | None,
        weight: Tensor | None,
        bias: Tensor | None,
        *,
        epsilon: float,
        activation: int = ...,
        alpha: float = ...,
    ) -> None: ...
    def add_resize(self, x: Tensor, y: Tensor, rows: Table, columns: Table) -> None: ...
    def add_softmax(self, x: Tensor, y: Tensor, *, logarithm: bool = ...) -> None: ...
    def add_local2d(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        y: Tensor,
        *,
        kernel: Pair,
        stride: Pair,
        pad: Pair,
        dilation: Pair,
    ) -> None: ...
    def run(
        self,
        inputs: tuple[NDArray[Any], ...],
        outputs: tuple[NDArray[Any] | None, ...] | None = ...,
        num_threads: int | None = ...,
        step_seconds: NDArray[np.float64] | None = ...,
    ) -> Any: ...
