"""Run a command and see every socket, name and program that any interpreter in it touched."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

UNIX = int(socket.AF_UNIX)
WATCH = Path(__file__).parent / "watch"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a command did, and what it said."""

    code: int
    out: str
    err: str
    events: tuple[tuple[str, tuple[object, ...]], ...]

    def connected(self) -> set[tuple[str, int]]:
        """Internet addresses that a socket was connected or written to, or bound to for others to come.

        A bind to no port of loopback, of which nothing comes, is how urllib3 finds out whether there is IPv6.
        """
        found: set[tuple[str, int]] = set()
        for event, said in self.events:
            if event in ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.bind") and said[0] != UNIX:
                address = str(said[1]).strip("()").split(", ")
                found.add((address[0].strip("'"), int(address[1])))
        return found - {("::1", 0)}

    def local(self) -> set[str]:
        """Sockets in the file system that were connected to."""
        return {str(said[1]) for event, said in self.events if event == "socket.connect" and said[0] == UNIX}

    def resolved(self) -> set[str]:
        names = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo")
        return {str(said[0]) for event, said in self.events if event in names}

    def started(self) -> set[str]:
        """Programs that were started, by their names."""
        starting = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn")
        return {Path(str(said[0])).name for event, said in self.events if event in starting}


def watched(words: Sequence[str], environment: Mapping[str, str], log: Path, stdin: str = "") -> Seen:
    """Run it under the watch."""
    log.unlink(missing_ok=True)
    path = f"{WATCH}:{environment.get('PYTHONPATH', '')}"
    ran = subprocess.run(list(words), env={**environment, "PYTHONPATH": path, "INTELLECT_WATCH": str(log)}, input=stdin,
                         capture_output=True, text=True, timeout=300, check=False)  # fmt: skip
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    events = tuple((row["event"], tuple(row["said"])) for row in map(json.loads, lines))
    return Seen(ran.returncode, ran.stdout, ran.stderr, events)


__all__ = ["Seen", "watched"]
