"""The container's processor quota, read from trees that look like cgroup v1 and v2."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastconv.runtime import cgroup_cpu_limit


def tree(root: Path, files: dict[str, str]) -> str:
    """Write files below root and return root as text."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(root)


V2_MOUNT = "24 1 0:22 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n"
V1_MOUNT = "30 24 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:15 - cgroup cgroup rw,cpu,cpuacct\n"
V1_PLAIN = "30 24 0:27 / /sys/fs/cgroup/cpu rw shared:15 - cgroup cgroup rw,cpu\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("200000 100000", 2),
        ("100000 100000", 1),
        ("50000 100000", 0.5),
        ("150000 100000", 1.5),
        ("800000 100000", 8),
        ("25000 50000", 0.5),
        ("max 100000", None),
    ],
)
def test_version_2(text: str, expected: float | None, tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "0::/app\n",
            "proc/self/mountinfo": V2_MOUNT,
            "sys/fs/cgroup/app/cpu.max": text + "\n",
        },
    )
    assert cgroup_cpu_limit(root) == expected


def test_version_2_parents_count_too(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "0::/system.slice/pod/app\n",
            "proc/self/mountinfo": V2_MOUNT,
            "sys/fs/cgroup/system.slice/cpu.max": "600000 100000\n",
            "sys/fs/cgroup/system.slice/pod/cpu.max": "300000 100000\n",
            "sys/fs/cgroup/system.slice/pod/app/cpu.max": "max 100000\n",
        },
    )
    assert cgroup_cpu_limit(root) == 3


def test_version_2_inside_a_container(tmp_path: Path) -> None:
    """A cgroup namespace: the process sees itself at the root, and its quota there."""
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "0::/\n",
            "proc/self/mountinfo": V2_MOUNT,
            "sys/fs/cgroup/cpu.max": "400000 100000\n",
        },
    )
    assert cgroup_cpu_limit(root) == 4


def test_version_2_with_a_path_of_the_host(tmp_path: Path) -> None:
    """Without a namespace the path names folders that the container does not show."""
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "0::/kubepods/pod1/abc\n",
            "proc/self/mountinfo": V2_MOUNT,
            "sys/fs/cgroup/cpu.max": "200000 100000\n",
        },
    )
    assert cgroup_cpu_limit(root) == 2


@pytest.mark.parametrize(
    ("quota", "period", "expected"),
    [
        ("200000", "100000", 2),
        ("-1", "100000", None),
        ("50000", "100000", 0.5),
        ("30000", "10000", 3),
    ],
)
@pytest.mark.parametrize("folder", ["cpu", "cpu,cpuacct"])
def test_version_1(
    quota: str, period: str, expected: float | None, folder: str, tmp_path: Path
) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": f"9:memory:/docker/abc\n4:{folder}:/docker/abc\n0::/\n",
            "proc/self/mountinfo": V1_PLAIN if folder == "cpu" else V1_MOUNT,
            f"sys/fs/cgroup/{folder}/docker/abc/cpu.cfs_quota_us": quota + "\n",
            f"sys/fs/cgroup/{folder}/docker/abc/cpu.cfs_period_us": period + "\n",
        },
    )
    assert cgroup_cpu_limit(root) == expected


def test_version_1_parents_count_too(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "4:cpu:/docker/abc\n",
            "proc/self/mountinfo": V1_PLAIN,
            "sys/fs/cgroup/cpu/docker/cpu.cfs_quota_us": "200000\n",
            "sys/fs/cgroup/cpu/docker/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us": "100000\n",
        },
    )
    assert cgroup_cpu_limit(root) == 2


def test_version_1_inside_a_container(tmp_path: Path) -> None:
    """Docker mounts the container's own group as the root, but shows the host's path."""
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "4:cpu,cpuacct:/docker/abc\n",
            "proc/self/mountinfo": V1_MOUNT,
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "100000\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        },
    )
    assert cgroup_cpu_limit(root) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "max",
        "nonsense",
        "100000",
        "a b",
        "100000 0",
        "-5 100000",
        "nan 100000",
        "inf 100000",
        "1 nan",
        "\x00\xff",
    ],
)
def test_broken_files_mean_no_limit(text: str, tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "0::/app\n",
            "proc/self/mountinfo": V2_MOUNT,
            "sys/fs/cgroup/app/cpu.max": text,
        },
    )
    assert cgroup_cpu_limit(root) is None


@pytest.mark.parametrize("text", ["", "nonsense\n", ":::\n", "0::/../../..\n", "x:cpu\n"])
def test_broken_lists_mean_no_limit(text: str, tmp_path: Path) -> None:
    assert cgroup_cpu_limit(tree(tmp_path, {"proc/self/cgroup": text})) is None


def test_no_cgroups_at_all(tmp_path: Path) -> None:
    assert cgroup_cpu_limit(str(tmp_path)) is None


def test_this_machine() -> None:
    limit = cgroup_cpu_limit()
    assert limit is None or limit > 0
