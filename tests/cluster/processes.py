"""The cluster's long-running programs: a log each, watched, and never outliving who started them."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Failed(RuntimeError):
    """A program of the cluster ended, or did not become ready; the message quotes its log."""


def die_with_parent() -> None:
    """Run in a child before exec: the kernel kills it when the thread that started it ends."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def free_ports(count: int) -> list[int]:
    """Loopback ports nobody listens on; all are held open until all are known, so they differ."""
    held = [socket.socket() for _ in range(count)]
    try:
        for each in held:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in held]
    finally:
        for each in held:
            each.close()


def wait_until(what: str, ready: Callable[[], bool], seconds: float, alive: Callable[[], None]) -> None:
    """Poll until `ready`; `alive` raises as soon as waiting has become pointless."""
    end = time.monotonic() + seconds
    while not ready():
        alive()
        if time.monotonic() > end:
            raise Failed(f"{what} was not ready within {seconds:.0f} s")
        time.sleep(0.05)


@contextmanager
def short_path(path: Path) -> Generator[str]:
    """Another name for a path, short enough to be a Unix socket's address wherever the file lies."""
    directory = os.open(path.parent, os.O_PATH)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


def log_tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log, for an error message."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"


@dataclass(frozen=True, slots=True)
class Program:
    """How to start one of them."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    pass_fds: tuple[int, ...] = ()


class Programs:
    """The running programs of one cluster; each can be stopped and started by name."""

    def __init__(self, logs: Path) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self._logs = logs
        self._known: dict[str, Program] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, program: Program) -> None:
        """Start it (its log is appended to, so a second start keeps the first one's lines)."""
        self._known[program.name] = program
        with self.log(program.name).open("ab") as log:
            self._running[program.name] = subprocess.Popen(
                program.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **program.environment},
                pass_fds=program.pass_fds,
                preexec_fn=die_with_parent,
            )

    def run(self, name: str, argv: Sequence[str], pass_fds: tuple[int, ...] = (), **environment: str) -> None:
        """Start a program under a name."""
        self.start(Program(name, tuple(argv), environment, pass_fds))

    def resume(self, name: str) -> None:
        """Start again what was stopped."""
        if name in self._running and self._running[name].poll() is None:
            return
        self.start(self._known[name])

    def stop(self, name: str, grace: float = 5) -> None:
        """Ask it to end, and make it end."""
        process = self._running.pop(name, None)
        if process is None:
            return
        process.terminate()
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def send(self, name: str, number: int) -> None:
        """Send a signal (SIGSTOP makes a program hang without ending it)."""
        self._running[name].send_signal(number)

    def kill_all(self) -> None:
        """End all of them at once."""
        for process in self._running.values():
            process.kill()
        for process in self._running.values():
            process.wait()
        self._running.clear()

    def check(self) -> None:
        """Raise if one of them ended by itself."""
        for name, process in self._running.items():
            code = process.poll()
            if code is not None:
                raise Failed(f"{name} ended with status {code}:\n{log_tail(self.log(name))}")

    def ended(self) -> list[str]:
        """Those that ended without being told to."""
        return [name for name, process in self._running.items() if process.poll() is not None]

    def pids(self) -> dict[str, int]:
        """Process ids by name."""
        return {name: process.pid for name, process in self._running.items()}

    def names(self) -> list[str]:
        """All that were ever started."""
        return list(self._known)

    def log(self, name: str) -> Path:
        """Where a program writes."""
        return self._logs / f"{name}.log"
