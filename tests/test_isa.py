"""Instruction sets: which there are, forcing one, and proof that the forced one runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from child import check, run
from reference import Array

import fastconv
from fastconv import _native, conv2d, functional, runtime
from fastconv.runtime import set_isa

SUPPORTED: list[str] = fastconv.show_config()["isa_supported"]
COMPILED: list[str] = fastconv.show_config()["isa_compiled"]


def test_baseline_is_always_there_and_last() -> None:
    assert COMPILED[-1] == SUPPORTED[-1] == "baseline"
    assert set(SUPPORTED) <= set(COMPILED)
    assert [name for name in COMPILED if name in SUPPORTED] == SUPPORTED


def test_best_supported_is_the_default() -> None:
    code = "import fastconv; print(fastconv.show_config()['isa'])"
    assert check(code).strip() == SUPPORTED[0]
    assert check(code, FASTCONV_ISA="").strip() == SUPPORTED[0]


def _operators(dtype: str) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 17, 9, 11)).astype(dtype)
    w = rng.standard_normal((19, 17, 3, 3)).astype(dtype)
    rows, matrix = x.reshape(17, 99), rng.standard_normal((5, 99)).astype(dtype)
    local = rng.standard_normal((3, 9, 11, 17)).astype(dtype)
    return {
        "channels_last": lambda: conv2d(x, w, algorithm="channels_last"),
        "planar": lambda: conv2d(x, w, algorithm="planar"),
        "winograd": lambda: conv2d(x, w, algorithm="winograd"),
        "im2col": lambda: conv2d(x, w, algorithm="im2col"),
        "depthwise": lambda: conv2d(x, w[:17, :1], groups=17, algorithm="depthwise"),
        "max_pool2d": lambda: functional.max_pool2d(x, 3, 1),
        "max_pool2d-nhwc": lambda: functional.max_pool2d(x, 3, 1, data_format="NHWC"),
        "avg_pool2d": lambda: functional.avg_pool2d(x, 3, 1),
        "linear": lambda: functional.linear(rows, matrix),
        "softmax": lambda: functional.softmax(rows),
        "relu": lambda: functional.relu(x),
        "locally_connected2d": lambda: functional.locally_connected2d(x, local, kernel_size=1),
    }


@pytest.mark.parametrize("name", _operators("float32"))
def test_forced_one_runs(name: str, dtype: str, isa: str) -> None:
    """Each instruction set counts the kernel calls that it serves: all are the forced one's."""
    assert fastconv.show_config()["isa"] == isa
    call = _operators(dtype)[name]
    before = _native.kernel_calls()
    assert set(before) == set(COMPILED)
    call()
    after = _native.kernel_calls()
    grown = {name for name in after if after[name] > before[name]}
    assert grown == {isa}


def _fused_differs_from_separate(dtype: str) -> tuple[Array, Array, float, float]:
    """Return x, w with a sum of two products that rounds differently with FMA, and both sums.

    (1 + e)(1 - e) = 1 - e^2 is rounded to 1 when multiplied alone, so that adding -1 leaves 0; a
    fused multiply-add leaves -e^2.
    """
    e = float(np.finfo(dtype).eps)
    x = np.array([-1.0, 1.0 + e], dtype).reshape(1, 2, 1, 1)
    w = np.array([1.0, 1.0 - e], dtype).reshape(1, 2, 1, 1)
    return x, w, 0.0, -e * e


@pytest.mark.parametrize("name", [n for n in SUPPORTED if n in ("avx2", "avx512", "neon")])
def test_rounding_tells_fused_from_separate(name: str, dtype: str) -> None:
    """Seen from outside: these answers could not come from baseline code."""
    x, w, separate, fused = _fused_differs_from_separate(dtype)
    set_isa(name)
    assert conv2d(x, w).item() == fused
    set_isa("baseline")
    if name != "neon":  # aarch64 has fused multiply-adds in its baseline as well
        assert conv2d(x, w).item() == separate


def test_unknown_name_is_refused_with_the_list() -> None:
    before = fastconv.show_config()["isa"]
    with pytest.raises(ValueError, match="avx1024") as caught:
        set_isa("avx1024")
    for name in SUPPORTED:
        assert name in str(caught.value)
    assert fastconv.show_config()["isa"] == before


@pytest.mark.parametrize("wrong", [2, b"baseline", ["baseline"], ""])
def test_what_is_no_name_is_refused(wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="isa"):
        set_isa(wrong)


def test_none_chooses_the_best_again() -> None:
    set_isa("baseline")
    set_isa(None)
    assert fastconv.show_config()["isa"] == SUPPORTED[0]


@pytest.mark.parametrize("name", [n for n in ("avx2", "avx512", "neon") if n not in SUPPORTED])
def test_known_name_that_this_machine_lacks_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"(?s){name}.*baseline"):
        set_isa(name)


CHILD = """
    import fastconv, numpy as np
    from fastconv import _native
    x, w = np.ones((1, 3, 8, 8), "f4"), np.ones((4, 3, 3, 3), "f4")
    assert (fastconv.conv2d(x, w) == 27).all()
    calls = _native.kernel_calls()
    print(fastconv.show_config()["isa"], *[name for name in calls if calls[name]])
"""


@pytest.mark.parametrize("name", SUPPORTED)
def test_environment_forces_one(name: str) -> None:
    assert check(CHILD, FASTCONV_ISA=name).split() == [name, name]


@pytest.mark.parametrize(
    "name", ["sse9", "AVX-512 please", "neon" if "neon" not in COMPILED else "avx2"]
)
def test_environment_with_an_unusable_name_raises_at_import(name: str) -> None:
    done = run(CHILD, FASTCONV_ISA=name)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "ValueError" in last
    assert "FASTCONV_ISA" in last
    for word in (name, *SUPPORTED):
        assert word in last


def test_layer_packed_for_one_runs_after_a_change() -> None:
    """Packed weights of one instruction set are never read by another's kernels."""
    from fastconv import functional, nn

    rng = np.random.default_rng(0)
    layer = nn.Conv2d(5, 37, 3, padding=1, rng=rng, algorithm="direct")
    dense = nn.Linear(7, 33, rng=rng)
    x, rows = np.ones((2, 5, 9, 9), np.float32), np.ones((4, 7), np.float32)
    weights: list[Array] = [layer.weight, dense.weight]
    for name in [*SUPPORTED, *SUPPORTED[::-1]]:
        set_isa(name)
        expected = conv2d(x, weights[0], layer.bias, padding=1, algorithm="direct")
        np.testing.assert_array_equal(layer(x), expected)
        afresh = fastconv.linear(rows, weights[1], dense.bias, packed=functional.PackedWeights())
        np.testing.assert_array_equal(dense(rows), afresh)


def test_all_agree_within_rounding(dtype: str) -> None:
    import reference as ref

    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 33, 9, 11)).astype(dtype)
    w = rng.standard_normal((37, 33, 3, 3)).astype(dtype)
    limit = ref.conv2d_bound("direct", x, w, None)
    answers = []
    for name in SUPPORTED:
        runtime.set_isa(name)
        answers.append(conv2d(x, w))
    for y in answers[1:]:
        ref.assert_close(y, answers[0].astype(np.float64), 2 * limit)
