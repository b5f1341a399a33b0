"""The cgroup a node keeps its pods in: made, and removed with all it holds, under cgroup v1 and v2."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_CONTROLLERS = "+cpu +memory +pids +cpuset +io"


def hierarchies() -> list[Path]:
    """Where cgroup hierarchies are mounted: one each for v1's controllers, one for v2."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [Path(fields[1]) for fields in mounts if fields[2] in ("cgroup", "cgroup2")]


def unified() -> bool:
    """Whether v2 carries the controllers (and not v1, with an empty v2 beside it)."""
    return Path("/sys/fs/cgroup/cgroup.controllers").exists()


def make(name: str) -> None:
    """Make the cgroup in every hierarchy, ready to be divided further."""
    if unified():
        _delegate(Path("/sys/fs/cgroup"))
    for mount in hierarchies():
        group = mount / name
        group.mkdir(exist_ok=True)
        for inherited in ("cpuset.cpus", "cpuset.mems"):
            # v1's cpuset starts empty and takes no process until it is told what to use.
            file = group / inherited
            if file.exists() and not unified():
                file.write_text((mount / inherited).read_text())
    if unified():
        _delegate(Path("/sys/fs/cgroup") / name)


def remove(name: str, seconds: float = 10) -> list[Path]:
    """Remove the cgroup everywhere; what could not be removed is returned."""
    end = time.monotonic() + seconds
    while True:
        left = [mount / name for mount in hierarchies() if not _emptied(mount / name)]
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.1)


def left_over(prefix: str) -> list[Path]:
    """Cgroups of that prefix, in any hierarchy."""
    return [found for mount in hierarchies() for found in mount.glob(f"{prefix}*") if found.is_dir()]


def _emptied(group: Path) -> bool:
    if not group.is_dir():
        return True
    for each in _deepest_first(group):
        with suppress(OSError, ValueError):
            for pid in (each / "cgroup.procs").read_text().split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
        with suppress(OSError):
            each.rmdir()
    return not group.is_dir()


def _deepest_first(group: Path) -> Iterator[Path]:
    for directory, _, _ in os.walk(group, topdown=False):
        yield Path(directory)


def _delegate(group: Path) -> None:
    """Let v2's controllers be used below a cgroup; one that holds processes gives them to a child first."""
    control = group / "cgroup.subtree_control"
    held = (group / "cgroup.procs").read_text().split()
    # Only the real root may hold processes and have children with controllers; a container's root may not.
    if held and (group / "cgroup.type").exists():
        leaf = group / "init"
        leaf.mkdir(exist_ok=True)
        for pid in held:
            with suppress(OSError):
                (leaf / "cgroup.procs").write_text(pid)
    available = (group / "cgroup.controllers").read_text().split()
    for controller in _CONTROLLERS.split():
        if controller.removeprefix("+") in available:
            with suppress(OSError):
                control.write_text(controller)
