"""Reductions over axes, ArgMax and ArgMin."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..importer import Importer, Unsupported, operator


def _reduce(name: str) -> Callable[..., str]:
    def function(
        g: Importer,
        x: str,
        named: str | None = None,
        *,
        axes: Sequence[int] | None = None,
        keepdims: int = 1,
        noop_with_empty_axes: int = 0,
    ) -> str:
        return str(
            g.add(
                "reduce",
                [x, named or g.integers(axes)],
                function=name,
                keep=bool(keepdims),
                empty_is_none=bool(noop_with_empty_axes),
            )
        )

    return function


for _onnx, _name in {
    "ReduceSum": "sum",
    "ReduceMean": "mean",
    "ReduceMax": "max",
    "ReduceMin": "min",
    "ReduceProd": "prod",
    "ReduceL1": "l1",
    "ReduceL2": "l2",
    "ReduceSumSquare": "sum_square",
    "ReduceLogSum": "log_sum",
    "ReduceLogSumExp": "log_sum_exp",
}.items():
    operator(_onnx)(_reduce(_name))


@operator("GlobalLpPool")
def global_lp_pool(g: Importer, x: str, *, p: float = 2) -> str:
    """GlobalLpPool, since opset 1."""
    if p not in (1, 2):
        raise Unsupported(f"attribute p={p}")
    return g.add("global_pool", [x], function=f"l{int(p)}")


@operator("ArgMax", "ArgMin")
def arg_extreme(
    g: Importer, x: str, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0
) -> str:
    """ArgMax and ArgMin, since opset 1."""
    return g.add(
        "extreme",
        [x],
        axis=axis,
        keep=bool(keepdims),
        smallest=g.node.op == "ArgMin",
        last=bool(select_last_index),
    )
