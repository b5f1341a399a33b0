"""Past investigations on disk, so that one can be resumed or followed up by another process.

A checkpoint holds words and numbers (the question, the namespace, the target), never objects: those are read anew.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubectl_ai_intellect.investigate import engine
from kubectl_ai_intellect.places import data_dir, private

KEPT = 50
"""How many investigations are kept."""


@dataclass(frozen=True, slots=True)
class Past:
    """The last investigation: its thread, what it was about, and whether it still waits for a choice."""

    thread: str
    values: Mapping[str, Any]
    waiting: bool


class Sessions:
    """The checkpoints in sessions.db; nothing is kept where the directory cannot be written."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or data_dir() / "sessions.db"
        self._connection: sqlite3.Connection | None = None

    def saver(self) -> Any:
        """LangGraph's SQLite checkpointer over our file, or nothing."""
        engine.load()
        from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
        from langgraph.checkpoint.sqlite import SqliteSaver

        try:
            private(self.path.parent)
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            self._connection = sqlite3.connect(self.path, check_same_thread=False, timeout=5)
            saver = SqliteSaver(self._connection, serde=JsonPlusSerializer(allowed_msgpack_modules=()))
            saver.setup()
            self._prune()
        except (OSError, sqlite3.Error):
            return None
        return saver

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
        if self._connection is not None:
            self._connection.close()


__all__ = ["Past", "Sessions"]
