"""What this machine lets us have: physical cores and memory, within the limits of our control group."""

from __future__ import annotations

import os
import sys
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def cores() -> int:
    """Physical cores we may run on; hyperthreads do not help a model."""
    allowed = _allowed()
    physical = _physical(Path("/proc/cpuinfo"), allowed) or len(allowed)
    quota = cpu_quota()
    return max(1, min(physical, int(quota) if quota and quota >= 1 else (1 if quota else physical)))


def _allowed() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set(range(os.cpu_count() or 1))


def _physical(cpuinfo: Path, allowed: set[int]) -> int:
    """Distinct (package, core) pairs among the processors allowed; 0 where the kernel does not tell."""
    try:
        blocks = cpuinfo.read_text(encoding="utf-8", errors="replace").split("\n\n")
    except OSError:
        return 0
    pairs: set[tuple[str, str]] = set()
    for block in blocks:
        facts = {
            key.strip(): value.strip()
            for key, colon, value in (line.partition(":") for line in block.splitlines())
            if colon
        }
        if "core id" in facts and int(facts.get("processor", "-1")) in allowed:
            pairs.add((facts.get("physical id", "0"), facts["core id"]))
    return len(pairs)


def cpu_quota(root: Path = CGROUPS, own: Path = Path("/proc/self/cgroup")) -> float | None:
    """CPUs that the control group grants, if it limits them."""
    for directory in _groups(root, own, "cpu"):
        quota, period = _two(directory / "cpu.max")
        if quota is None:
            quota, period = _one(directory / "cpu.cfs_quota_us"), _one(directory / "cpu.cfs_period_us")
        if quota and period and quota > 0:
            return quota / period
    return None


def memory(root: Path = CGROUPS, own: Path = Path("/proc/self/cgroup")) -> int:
    """Bytes we may still take: what is available, or what the control group has left if that is less."""
    free = _available()
    for directory in _groups(root, own, "memory"):
        limit = _one(directory / "memory.max") or _one(directory / "memory.limit_in_bytes")
        used = _one(directory / "memory.current") or _one(directory / "memory.usage_in_bytes") or 0
        if limit and limit < 1 << 60:
            free = min(free, max(limit - used, 0))
    return int(free)


def _available() -> float:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return float(pages) if sys.platform != "darwin" else pages * 0.7


def _groups(root: Path, own: Path, controller: str) -> list[Path]:
    """Our control group's directories and their parents, for both versions of control groups."""
    found = [root, root / controller]
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return found
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers == "" or controller in controllers.split(","):
            base = root if controllers == "" else root / controller
            here = base / path.lstrip("/")
            found += [here, *(up for up in here.parents if up.is_relative_to(base))]
    return found


def _one(file: Path) -> float | None:
    try:
        return float(file.read_text(encoding="utf-8").split()[0])
    except (OSError, ValueError, IndexError):
        return None


def _two(file: Path) -> tuple[float | None, float | None]:
    try:
        first, second = file.read_text(encoding="utf-8").split()[:2]
        return float(first), float(second)
    except (OSError, ValueError):
        return None, None


__all__ = ["cores", "cpu_quota", "memory"]
