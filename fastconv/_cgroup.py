"""The container's CPU quota, from the control groups (version 1 and 2) of this process."""

from __future__ import annotations

import os
from collections.abc import Iterator


def _read(*path: str) -> str | None:
    try:
        with open(os.path.join(*path), encoding="ascii", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return None


def _memberships(root: str) -> Iterator[tuple[str, str]]:
    """(controllers, path) of each hierarchy; version 2 has no controllers' names."""
    for line in (_read(root, "proc/self/cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        yield controllers, path


def _ancestors(mount: str, path: str) -> Iterator[str]:
    """The group's folder and all folders above it: each may carry a quota, the least counts.

    Inside a container the path may be seen from outside; then only the mount itself exists.
    """
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    for depth in range(len(parts), -1, -1):
        yield os.path.join(mount, *parts[:depth])


def _quota(quota: str | None, period: str | None) -> float | None:
    try:
        cpus = float(quota or "") / float(period or "")
    except (ValueError, ZeroDivisionError):
        return None
    return cpus if 0 < cpus < float("inf") else None


def cpu_limit(root: str | os.PathLike[str] = "/") -> float | None:
    """The least quota on the way from this process's group to the root, in CPUs.

    Examples
    --------
    >>> from fastconv._cgroup import cpu_limit
    >>> cpu_limit() is None or cpu_limit() > 0
    True
    """
    root = os.fspath(root)
    found: list[float] = []
    for controllers, path in _memberships(root):
        if not controllers:
            for mount in ("sys/fs/cgroup", "sys/fs/cgroup/unified"):
                for group in _ancestors(os.path.join(root, mount), path):
                    quota, _, period = (_read(group, "cpu.max") or "").partition(" ")
                    limit = _quota(quota, period)
                    found += [] if limit is None else [limit]
        elif "cpu" in controllers.split(","):
            for mount in ("sys/fs/cgroup/cpu", f"sys/fs/cgroup/{controllers}"):
                for group in _ancestors(os.path.join(root, mount), path):
                    limit = _quota(
                        _read(group, "cpu.cfs_quota_us"), _read(group, "cpu.cfs_period_us")
                    )
                    found += [] if limit is None else [limit]
    return min(found, default=None)
