"""Answers given before, in SQLite. Only answers are kept: a prompt is its hash.

The key is everything an answer depends on: who answers, what was asked, the grammar, the limits. A damaged
file is replaced, an unusable one does without.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kubectl_ai_intellect.gateway.grammar import Grammar
from kubectl_ai_intellect.gateway.protocol import Identity, Prompt
from kubectl_ai_intellect.places import private

MOST_ROWS = 5000
DAY = 86400.0


def key(identity: Identity, prompt: Prompt, grammar: Grammar | None, parameters: dict[str, Any]) -> str:
    parts = {
        "model": [identity.provider, identity.name, identity.digest],
        "prefix": prompt.prefix,
        "turns": [[turn.role, [list(part) for part in turn.parts]] for turn in prompt.turns],
        "grammar": grammar.key() if grammar is not None else None,
        "parameters": parameters,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class AnswerCache:
    """A table of answers; every method is safe to call whatever state the disk is in."""

    def __init__(self, file: Path, days: float, clock: Callable[[], float] = time.time):
        self._file = file
        self._days = days
        self._clock = clock
        self._lock = threading.Lock()
        self._db = self._open()

    def _open(self) -> sqlite3.Connection | None:
        for _ in range(2):
            try:
                return self._connected()
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    return None
                with contextlib.suppress(OSError):
                    self._file.unlink()  # not a database any more: answers can be had again
            except OSError:
                return None
        return None

    def _connected(self) -> sqlite3.Connection:
        private(self._file.parent)
        if not self._file.exists():  # closing a file that SQLite has open here would drop this process's locks on it
            os.close(os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600))
        db = sqlite3.connect(self._file, timeout=2, check_same_thread=False, isolation_level=None)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("CREATE TABLE IF NOT EXISTS answers(key TEXT PRIMARY KEY, at REAL, value TEXT)")
        return db

    def get(self, name: str) -> dict[str, Any] | None:
        if self._db is None:
            return None
        try:
            with self._lock:
                row = self._db.execute("SELECT at, value FROM answers WHERE key=?", (name,)).fetchone()
            if row is None or row[0] < self._clock() - self._days * DAY:
                return None
            value = json.loads(row[1])
            return value if isinstance(value, dict) else None
        except (sqlite3.Error, ValueError):
            return None

    def put(self, name: str, value: dict[str, Any]) -> None:
        if self._db is None:
            return
        with self._lock, contextlib.suppress(sqlite3.Error):
            self._db.execute("INSERT OR REPLACE INTO answers VALUES(?,?,?)", (name, self._clock(), json.dumps(value)))
            self._db.execute(
                "DELETE FROM answers WHERE at < ? OR key NOT IN (SELECT key FROM answers ORDER BY at DESC LIMIT ?)",
                (self._clock() - self._days * DAY, MOST_ROWS),
            )

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None


__all__ = ["AnswerCache", "key"]
