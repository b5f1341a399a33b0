"""What a model has read of the fixed prefix, kept on disk: the next process need not read it again.

A file is a header in JSON, the sha256 of header and payload, and the payload as llama.cpp gave it. Anything
that does not match to the byte is deleted and the prefix is read anew: llama.cpp itself accepts flipped bytes
and answers nonsense.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubectl_ai_intellect.places import private

MAGIC = b"KIPREFX1"
MOST_HEADER = 64 * 1024
STALE_SECONDS = 600
DEFAULT_CAP = 2 * 1024**3


@dataclass(frozen=True, slots=True)
class PrefixStore:
    """A directory of saved memories, the oldest of them dropped above the cap."""

    directory: Path
    cap: int = DEFAULT_CAP

    def load(self, header: dict[str, Any]) -> bytes | None:
        """The payload saved under exactly this header, whole."""
        path = self._path(header)
        try:
            with path.open("rb") as file:
                payload = _read(file.read(), header)
        except OSError:
            return None
        if payload is None:
            path.unlink(missing_ok=True)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return payload

    def save(self, header: dict[str, Any], payload: bytes) -> bool:
        """Keep the payload; false if it does not fit the cap or the disk."""
        if len(payload) > self.cap:
            return False
        head = json.dumps(header, sort_keys=True).encode()
        digest = hashlib.sha256(head + payload).digest()
        parts = (MAGIC, struct.pack(">I", len(head)), head, digest, payload)
        name = ""
        try:
            private(self.directory)
            with tempfile.NamedTemporaryFile(dir=self.directory, suffix=".part", delete=False) as file:
                name = file.name
                for part in parts:
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._path(header))
        except OSError:
            if name:
                Path(name).unlink(missing_ok=True)
            return False
        self._drop_oldest()
        return True

    def _path(self, header: dict[str, Any]) -> Path:
        key = hashlib.sha256(json.dumps(header, sort_keys=True).encode()).hexdigest()[:40]
        return self.directory / f"{key}.kv"

    def _drop_oldest(self) -> None:
        files: list[tuple[float, int, Path]] = []
        for stale in self.directory.glob("*.part"):
            with contextlib.suppress(OSError):
                if stale.stat().st_mtime < time.time() - STALE_SECONDS:
                    stale.unlink()  # left by a process that was killed
        for path in self.directory.glob("*.kv"):
            with contextlib.suppress(OSError):
                status = path.stat()
                files.append((status.st_mtime, status.st_size, path))
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if total <= self.cap:
                break
            path.unlink(missing_ok=True)
            total -= size


def _read(data: bytes, header: dict[str, Any]) -> bytes | None:
    if len(data) < len(MAGIC) + 36 or not data.startswith(MAGIC):
        return None
    view = memoryview(data)
    at = len(MAGIC)
    (length,) = struct.unpack(">I", view[at : at + 4])
    at += 4
    if length > MOST_HEADER or len(data) < at + length + 32:
        return None
    head, digest, payload = view[at : at + length], view[at + length : at + length + 32], view[at + length + 32 :]
    if bytes(head) != json.dumps(header, sort_keys=True).encode():
        return None
    found = hashlib.sha256(head)
    found.update(payload)
    return bytes(payload) if found.digest() == bytes(digest) else None


def tokens_digest(tokens: list[int]) -> str:
    return hashlib.sha256(struct.pack(f">{len(tokens)}i", *tokens)).hexdigest()


__all__ = ["PrefixStore", "tokens_digest"]
