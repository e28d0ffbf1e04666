"""How many threads run, who decides, and the reason that show_config gives."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from child import check, run

import fastconv
from fastconv import _native, conv2d, get_num_threads, set_num_threads, threads

X = np.ones((1, 64, 56, 56), np.float32)
W = np.ones((64, 64, 3, 3), np.float32)

pytestmark = pytest.mark.usefixtures("eight_threads")
needs_teams = pytest.mark.skipif(not _native.has_openmp(), reason="built without OpenMP")


def team(num_threads: int | None = None) -> int:
    """Run a convolution that is worth eight threads and return how many ran."""
    conv2d(X, W, num_threads=num_threads)
    return int(_native.last_num_threads())


@needs_teams
@pytest.mark.parametrize("n", [1, 2, 3, 5, 8])
def test_call_argument(n: int) -> None:
    set_num_threads(4)
    assert team(n) == n
    assert get_num_threads() == 4
    assert team() == 4
    assert team(np.int64(n)) == n  # type: ignore[arg-type]


@needs_teams
@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_set_num_threads(n: int) -> None:
    set_num_threads(n)
    assert get_num_threads() == n
    assert team() == n
    config = fastconv.show_config()
    assert config["num_threads"] == n
    assert "set_num_threads" in config["num_threads_reason"]


@needs_teams
def test_context_manager_nests_and_restores() -> None:
    set_num_threads(4)
    with threads(2):
        assert get_num_threads() == team() == 2
        assert "threads" in fastconv.show_config()["num_threads_reason"]
        with threads(7):
            assert get_num_threads() == team() == 7
            assert team(3) == 3
        assert get_num_threads() == team() == 2
    assert get_num_threads() == team() == 4


@needs_teams
def test_context_manager_restores_after_an_exception() -> None:
    set_num_threads(3)

    def fail_inside() -> None:
        with threads(6):
            assert get_num_threads() == 6
            raise KeyError

    with pytest.raises(KeyError):
        fail_inside()
    assert get_num_threads() == team() == 3


@pytest.mark.parametrize("wrong", [0, -1, -(2**40)])
def test_bad_counts_raise(wrong: int) -> None:
    before = get_num_threads()
    for call in (set_num_threads, lambda n: threads(n).__enter__(), team):
        with pytest.raises(ValueError, match=r"threads|\bn\b"):
            call(wrong)
    assert get_num_threads() == before


@pytest.mark.parametrize("wrong", ["2", 1.5, [2], True])
def test_what_is_no_count_raises(wrong: Any) -> None:
    before = get_num_threads()
    for call in (set_num_threads, lambda n: threads(n).__enter__(), team):
        with pytest.raises(TypeError, match=r"threads|\bn\b"):
            call(wrong)
    assert get_num_threads() == before


@needs_teams
def test_never_more_than_the_machine_gives() -> None:
    _native.set_cpu_limit(3)
    set_num_threads(8)
    assert get_num_threads() == 3
    assert team() == team(8) == 3
    reason = fastconv.show_config()["num_threads_reason"]
    assert "3" in reason


def test_small_calls_stay_on_the_caller() -> None:
    set_num_threads(8)
    conv2d(np.ones((1, 3, 8, 8), np.float32), np.ones((4, 3, 3, 3), np.float32))
    assert _native.last_num_threads() == 1


PRELUDE = """
    import os, numpy as np, fastconv
    from fastconv import _native, conv2d, get_num_threads
    x, w = np.ones((1, 64, 56, 56), "f4"), np.ones((64, 64, 3, 3), "f4")
    def team(n=None):
        conv2d(x, w, num_threads=n)
        return _native.last_num_threads()
    def reason():
        return fastconv.show_config()["num_threads_reason"]
"""


@needs_teams
def test_environment_variable() -> None:
    code = (
        PRELUDE
        + "    _native.set_cpu_limit(8); print(get_num_threads(), team(), team(5), reason())"
    )
    for n in "1", "3", "8":
        count, ran, argument, *reason = check(code, FASTCONV_NUM_THREADS=n).split()
        assert (count, ran, argument) == (n, n, "5")
        assert "FASTCONV_NUM_THREADS" in " ".join(reason)


@needs_teams
def test_environment_variable_comes_before_openmps() -> None:
    code = PRELUDE + "    _native.set_cpu_limit(8); print(get_num_threads(), team())"
    assert check(code, FASTCONV_NUM_THREADS="3", OMP_NUM_THREADS="5").split() == ["3", "3"]
    assert check(code, OMP_NUM_THREADS="5").split() == ["5", "5"]
    assert check(code, FASTCONV_NUM_THREADS="", OMP_NUM_THREADS="5").split() == ["5", "5"]


@pytest.mark.parametrize("wrong", ["0", "-1", "many", "1.5", "2,2"])
def test_bad_environment_variable_raises(wrong: str) -> None:
    done = run(PRELUDE + "    team()", FASTCONV_NUM_THREADS=wrong)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "ValueError" in last
    assert "FASTCONV_NUM_THREADS" in last
    assert wrong in last


@needs_teams
def test_threadpoolctl_sees_and_limits_fastconv() -> None:
    pytest.importorskip("threadpoolctl")
    code = (
        PRELUDE
        + """
    import threadpoolctl
    _native.set_cpu_limit(8)
    os.environ.pop("OMP_NUM_THREADS", None)
    ours = [p for p in threadpoolctl.threadpool_info() if p["user_api"] == "openmp"]
    assert ours, threadpoolctl.threadpool_info()
    with threadpoolctl.threadpool_limits(5):
        assert get_num_threads() == 5, (get_num_threads(), reason())
        assert team() == 5, team()
        assert "threadpoolctl" in reason(), reason()
        assert team(2) == 2
        with threadpoolctl.threadpool_limits(3, "openmp"):
            assert team() == 3, team()
        assert team() == 5, team()
    with threadpoolctl.threadpool_limits(1):
        assert get_num_threads() == team() == 1
    """
    )
    check(code, OMP_NUM_THREADS="7")


@needs_teams
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_affinity_caps_the_count() -> None:
    code = (
        PRELUDE
        + """
    first = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {first})
    assert get_num_threads() == 1, reason()
    assert "affinity" in reason(), reason()
    assert team() == team(8) == 1
    with fastconv.threads(8):
        assert team() == 1
    """
    )
    check(code)
    check(code, FASTCONV_NUM_THREADS="8")


def test_default_is_what_the_process_may_use() -> None:
    code = PRELUDE + "    print(get_num_threads(), team(), reason())"
    count, ran, *reason = check(code).split()
    assert count == ran
    assert 1 <= int(count) <= len(os.sched_getaffinity(0))
    assert reason


@needs_teams
def test_idle_threads_use_no_processor_time() -> None:
    """After a call has ended its team sleeps: processor time stands (almost) still."""
    code = (
        PRELUDE
        + """
    import time
    _native.set_cpu_limit(8)
    assert team(8) == 8
    time.sleep(0.2)  # whatever spinning there is right after the call
    before = time.process_time()
    time.sleep(1.0)
    used = time.process_time() - before
    assert used < 0.5, used  # one spinning thread would use 1.0
    """
    )
    check(code)


@needs_teams
def test_count_belongs_to_the_thread_or_to_all() -> None:
    """The context manager of one Python thread does not reach another that is running."""
    import threading

    set_num_threads(4)
    seen: list[int] = []
    with threads(2):
        other = threading.Thread(target=lambda: seen.append(get_num_threads()))
        other.start()
        other.join()
    assert seen == [4]


def test_config_is_readable() -> None:
    config = fastconv.show_config()
    keys = "version isa isa_compiled isa_supported openmp compiler num_threads"
    for key in [*keys.split(), "num_threads_reason", "algorithm"]:
        assert key in config
        assert key.replace("_", " ") in repr(config).replace("_", " ")
    assert config["version"] == fastconv.__version__
    assert len(repr(config).splitlines()) > 5


@pytest.mark.skipif(_native.has_openmp(), reason="built with OpenMP")
def test_serial_build_says_so() -> None:
    config = fastconv.show_config()
    assert config["openmp"] is False
    assert config["num_threads"] == team(8) == 1
    assert "without OpenMP" in config["num_threads_reason"]
