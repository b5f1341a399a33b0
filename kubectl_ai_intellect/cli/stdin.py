"""Standard input as evidence: what another command pipes in is read beside the question.

A pipe that nobody writes to (a cron job's, a test's) must not make anyone wait, so that it is given little time unless
a lone `-` says that something will come.
"""

from __future__ import annotations

import os
import stat
import sys
import threading
import time

LARGEST = 4 << 20
"""Bytes of it that are read."""
FIRST_S = 0.6
"""How long the first byte may take after our own start; kubectl needs less."""
WHOLE_S = 60.0


class Piped:
    """Reads standard input beside everything else, where it is a pipe or a file."""

    def __init__(self, expected: bool = False) -> None:
        self.expected = expected
        self._begun = time.monotonic()
        self._parts: list[bytes] = []
        self._first = threading.Event()
        self._ended = threading.Event()
        if expected or _is_fed():
            threading.Thread(target=self._read, daemon=True).start()
        else:
            self._first.set()
            self._ended.set()

    def text(self) -> str:
        """What came; empty where nothing did in time."""
        if self.expected:
            self._ended.wait()
        elif self._first.wait(max(0.0, self._begun + FIRST_S - time.monotonic())):
            self._ended.wait(WHOLE_S)
        return b"".join(self._parts).decode(errors="replace")

    def _read(self) -> None:
        size = 0
        try:
            while size < LARGEST and (part := os.read(sys.stdin.fileno(), 1 << 16)):
                self._parts.append(part)
                size += len(part)
                self._first.set()
        except (OSError, ValueError):  # closed under us: then nothing came
            pass
        self._first.set()
        self._ended.set()


def _is_fed() -> bool:
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError, AttributeError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)


__all__ = ["Piped"]
