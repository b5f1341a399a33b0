"""Past investigations on disk, so that one can be resumed or followed up by another process.

A checkpoint holds words and numbers (the question, the namespace, the target), never objects: those are read anew.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubectl_ai_intellect.investigate import engine
from kubectl_ai_intellect.places import data_dir, private

KEPT = 50
"""How many investigations are kept."""
WAIT = 5.0
"""Seconds to wait for another process that is writing."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """The investigation that a question goes on from: what was asked, and what the answer was."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Past:
    """The last investigation: its thread, what it was about, and whether it still waits for a choice."""

    thread: str
    values: Mapping[str, Any]
    waiting: bool

    @property
    def earlier(self) -> Earlier:
        return Earlier(self.values.get("question") or "", self.values.get("answer") or "no answer")


class Sessions:
    """The checkpoints in sessions.db; nothing is kept where the directory cannot be written."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or data_dir() / "sessions.db"
        self._connection: sqlite3.Connection | None = None
        self._saver: Any = None

    def saver(self) -> Any:
        """LangGraph's SQLite checkpointer over our file, or nothing."""
        if self._saver is None:
            engine.load()
            try:
                self._saver = self._patiently()
            except sqlite3.OperationalError:  # locked for long, a full disk: this one is not kept
                self.close()
            except sqlite3.DatabaseError:
                self._saver = self._anew()
            except OSError:
                self.close()
        return self._saver

    def _patiently(self) -> Any:
        """Opened, though others do the same: SQLite does not wait for the lock under which a file is first set up."""
        deadline = time.monotonic() + WAIT
        while True:
            try:
                return self._opened()
            except sqlite3.OperationalError as problem:
                if "locked" not in str(problem) or time.monotonic() > deadline:
                    raise
                self.close()
                time.sleep(0.02)

    def _opened(self) -> Any:
        from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
        from langgraph.checkpoint.sqlite import SqliteSaver

        private(self.path.parent)
        self._create()
        self._connection = sqlite3.connect(self.path, check_same_thread=False, timeout=WAIT)
        saver = SqliteSaver(self._connection, serde=JsonPlusSerializer(allowed_msgpack_modules=()))
        saver.setup()
        self._prune()
        return saver

    def _create(self) -> None:
        """Make the file, closed to others, if there is none.

        A file that SQLite has open is never opened here: closing it would drop the locks that this process holds on it
        (that is how POSIX locks are), and two writers would spoil it. So it is made elsewhere and linked into place.
        """
        if self.path.exists():
            return
        descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=".sessions-")
        os.close(descriptor)
        try:
            with contextlib.suppress(FileExistsError):  # another process was first
                _into_place(name, self.path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)

    def _anew(self) -> Any:
        """Put a damaged file aside and begin another: past investigations are a convenience."""
        self.close()
        try:
            for suffix in ("", "-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    os.replace(f"{self.path}{suffix}", f"{self.path}{suffix}.damaged")
            return self._opened()
        except (OSError, sqlite3.Error):
            self.close()
            return None

    def last(self) -> Past | None:
        """The newest investigation that was kept."""
        saver = self.saver()
        if saver is None or self._connection is None:
            return None
        try:
            row = self._connection.execute(
                "select thread_id from checkpoints order by thread_id desc limit 1"
            ).fetchone()
            found = saver.get_tuple({"configurable": {"thread_id": row[0]}}) if row else None
        except sqlite3.Error:
            return None
        if found is None:
            return None
        waiting = any(write[1] == "__interrupt__" for write in found.pending_writes or ())
        return Past(row[0], found.checkpoint.get("channel_values") or {}, waiting)

    def _prune(self) -> None:
        if self._connection is None:
            return
        old = self._connection.execute(
            "select distinct thread_id from checkpoints order by thread_id desc limit -1 offset ?", (KEPT,)
        ).fetchall()
        for (thread,) in old:
            self._connection.execute("delete from checkpoints where thread_id = ?", (thread,))
            self._connection.execute("delete from writes where thread_id = ?", (thread,))
        self._connection.commit()

    def close(self) -> None:
        self._saver = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _into_place(name: str, path: Path) -> None:
    """Give the file its name unless another has it."""
    try:
        os.link(name, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if not path.exists():
            os.replace(name, path)


__all__ = ["Earlier", "Past", "Sessions"]
