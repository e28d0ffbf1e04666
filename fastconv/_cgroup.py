"""The container's CPU quota, from the control groups (version 1 and 2) of this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None


def _memberships(root: Path) -> Iterator[tuple[str, str]]:
    """(controllers, path) of each hierarchy; version 2 has no controllers' names."""
    for line in (_read(root / "proc/self/cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        yield controllers, path


def _ancestors(mount: Path, path: str) -> Iterator[Path]:
    """The group's folder and all folders above it: each may carry a quota, the least counts.

    Inside a container the path may be seen from outside; then only the mount itself exists.
    """
    parts = [part for part in PurePosixPath(path).parts if part not in ("/", "..")]
    for depth in range(len(parts), -1, -1):
        yield mount.joinpath(*parts[:depth])


def _quota(quota: str | None, period: str | None) -> float | None:
    try:
        cpus = float(quota or "") / float(period or "")
    except (ValueError, ZeroDivisionError):
        return None
    return cpus if 0 < cpus < float("inf") else None


def cpu_limit(root: Path = Path("/")) -> float | None:
    """The least quota on the way from this process's group to the root, in CPUs.

    Examples
    --------
    >>> from fastconv._cgroup import cpu_limit
    >>> cpu_limit() is None or cpu_limit() > 0
    True
    """
    found: list[float] = []
    for controllers, path in _memberships(root):
        if not controllers:
            for mount in ("sys/fs/cgroup", "sys/fs/cgroup/unified"):
                for group in _ancestors(root / mount, path):
                    quota, _, period = (_read(group / "cpu.max") or "").partition(" ")
                    limit = _quota(quota, period)
                    found += [] if limit is None else [limit]
        elif "cpu" in controllers.split(","):
            for mount in ("sys/fs/cgroup/cpu", f"sys/fs/cgroup/{controllers}"):
                for group in _ancestors(root / mount, path):
                    limit = _quota(
                        _read(group / "cpu.cfs_quota_us"), _read(group / "cpu.cfs_period_us")
                    )
                    found += [] if limit is None else [limit]
    return min(found, default=None)
