"""Frames over a pipe: four bytes of length, then JSON. Nothing is ever unpickled."""

from __future__ import annotations

import json
import struct
from typing import Any, BinaryIO

MOST = 64 * 1024 * 1024


class Closed(Exception):
    """The other side has gone."""


def pack(message: dict[str, Any]) -> bytes:
    body = json.dumps(message, separators=(",", ":")).encode()
    return struct.pack(">I", len(body)) + body


def read(stream: BinaryIO) -> dict[str, Any]:
    """The next frame; blocks."""
    length = struct.unpack(">I", _exactly(stream, 4))[0]
    if length > MOST:
        raise Closed
    return json.loads(_exactly(stream, length))


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = stream.read(size - len(data))
        if not more:
            raise Closed
        data += more
    return data


class Unpacker:
    """Frames out of whatever bytes have arrived."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        self._bytes += data
        frames: list[dict[str, Any]] = []
        while len(self._bytes) >= 4:
            (length,) = struct.unpack_from(">I", self._bytes)
            if length > MOST:
                raise Closed
            if len(self._bytes) < 4 + length:
                break
            frames.append(json.loads(bytes(self._bytes[4 : 4 + length])))
            del self._bytes[: 4 + length]
        return frames


__all__ = ["MOST", "Closed", "Unpacker", "pack", "read"]
