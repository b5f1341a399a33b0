"""Owns one cluster from outside: starts its keeper, and leaves nothing behind when its user is gone.

The user (pytest, a person's `up`) holds the other end of a pipe: when that closes, for whatever reason, the
cluster is torn down. If the warden itself is killed, the kernel kills the programs; their cgroups and
directory are cleared away by the next warden that starts, which finds them in the ledger.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import IO, Any

from tests.cluster import cgroups
from tests.cluster.cache import cache_root
from tests.cluster.keeper import FAILED
from tests.cluster.processes import die_with_parent, log_tail

REPOSITORY = Path(__file__).resolve().parents[2]
CGROUP_PREFIX = "kubectl-intellect-"
UNSHARE = ("unshare", "--fork", "--kill-child", "--pid", "--mount", "--mount-proc", "--net", "--uts", "--ipc")


class Ledger:
    """What a running warden is answerable for, in a file that stays locked as long as it lives."""

    def __init__(self, name: str, facts: dict[str, Any]) -> None:
        self._path = _ledgers() / f"{name}.json"
        # Under its name only once it is locked: a sweep must not take it for a dead one's.
        part = self._path.with_suffix(".part")
        self._handle: IO[str] = part.open("w")
        fcntl.flock(self._handle, fcntl.LOCK_EX)
        json.dump(facts, self._handle)
        self._handle.flush()
        part.rename(self._path)

    def close(self) -> None:
        """Nothing is left to answer for."""
        self._path.unlink(missing_ok=True)
        self._handle.close()


def sweep() -> None:
    """Clear away what wardens left that were killed."""
    for path in _ledgers().glob("*.json"):
        with suppress(OSError), path.open("r+") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            with suppress(ValueError, KeyError):
                facts = json.load(handle)
                clear(Path(facts["dir"]), facts["cgroup"], facts["remove"])
            path.unlink(missing_ok=True)


def clear(directory: Path, cgroup: str | None, remove: Sequence[str]) -> None:
    """Remove a dead cluster's cgroups and files."""
    if cgroup:
        cgroups.remove(cgroup)
    for name in remove:
        target = directory / name
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target, ignore_errors=True)
        else:
            target.unlink(missing_ok=True)
    with suppress(OSError):
        directory.rmdir()


def _ledgers() -> Path:
    path = cache_root() / ".running"
    path.mkdir(exist_ok=True)
    return path


# Everything a cluster writes into its directory; what else is there belongs to the user.
LEFT_IN_DIRECTORY = (
    *("pki", "logs", "etcd", "node", "world", "kubectl-cache", "volume-plugins", "audit.log", "kubectl"),
    *("kubeconfig", "kubeconfig-reader", "kubeconfig-namespaced", "kubeconfig-nobody"),
    *("ready.json", "failed.txt", "control.sock", "warden.json"),
)


def main() -> int:
    """Start the cluster, wait until nobody wants it any more, clear it away."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--node", action="store_true")
    parser.add_argument("--lifeline", type=int)
    parser.add_argument("--tools", type=Path)
    parser.add_argument("--image", action="append", default=[])
    options = parser.parse_args()
    wake, ending = _signals_as_bytes()
    name = f"{os.getpid()}-{time.time_ns():x}"
    cgroup = CGROUP_PREFIX + name if options.node else None
    facts = {"dir": str(options.dir), "cgroup": cgroup, "remove": LEFT_IN_DIRECTORY, "pid": os.getpid()}
    facts["tools"] = str(options.tools)
    ledger = Ledger(name, facts)
    (options.dir / "warden.json").write_text(json.dumps({**facts, "node": options.node}))
    keeper = _start_keeper(options, cgroup)
    try:
        _watch(keeper, options, wake)
    finally:
        ending()
        keeper.kill()
        keeper.wait()
        if (options.dir / FAILED).exists():
            _keep_for_reading(options.dir)
        if cgroup:
            cgroups.remove(cgroup)
        clear(options.dir, None, LEFT_IN_DIRECTORY)
        ledger.close()
    return 0


def _noted(_number: int, _frame: FrameType | None) -> None:
    """The signal is read from the wakeup descriptor; here it only must not end us."""


def _signals_as_bytes() -> tuple[int, Callable[[], object]]:
    """A descriptor that becomes readable when we are asked to end; and what to call before ending."""
    read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _noted)
    return read, lambda: signal.set_wakeup_fd(-1)


def _start_keeper(options: argparse.Namespace, cgroup: str | None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.cluster.keeper", "--dir", str(options.dir)]
    passed: tuple[int, ...] = ()
    listening: socket.socket | None = None
    if options.node:
        listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        passed = (listening.fileno(),)
        command = [*UNSHARE, "--", *command, "--node", "--tools", str(options.tools), "--cgroup", str(cgroup)]
        command += ["--listener", str(listening.fileno()), "--public-port", str(listening.getsockname()[1])]
        command += [word for image in options.image for word in ("--image", image)]
    (options.dir / "logs").mkdir(exist_ok=True)
    with (options.dir / "logs" / "keeper.log").open("ab") as log:
        keeper = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=passed,
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"},
            preexec_fn=die_with_parent,
        )
    if listening is not None:
        listening.close()
    return keeper


def _watch(keeper: subprocess.Popen[bytes], options: argparse.Namespace, wake: int) -> None:
    """Return when the user is gone, we are told to end, or the keeper ended."""
    watched = [wake] + ([options.lifeline] if options.lifeline is not None else [])
    while keeper.poll() is None:
        ready, _, _ = select.select(watched, [], [], 0.2)
        if ready:
            return
    if not (options.dir / FAILED).exists():
        tail = log_tail(options.dir / "logs" / "keeper.log")
        (options.dir / FAILED).write_text(f"the cluster ended with status {keeper.returncode}:\n{tail}")


def _keep_for_reading(directory: Path) -> None:
    """Give whoever started us a moment to read why it failed."""
    end = time.monotonic() + 3
    while (directory / FAILED).exists() and time.monotonic() < end:
        time.sleep(0.05)


if __name__ == "__main__":
    raise SystemExit(main())
