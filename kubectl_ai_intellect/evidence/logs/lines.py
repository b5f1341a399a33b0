"""Bytes to lines, in bounded memory: chunks of any size, endless lines, carriage returns, colours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

__all__ = ["LINE_LIMIT", "Splitter", "text_of"]

LINE_LIMIT = 16 * 1024
"""No single line keeps more than this; the rest of it is counted, not held."""
_PIECE = 256 * 1024
_BYTES_LIMIT = 512 * 1024 * 1024
_SAMPLE = 1024 * 1024
_TEXT_BYTES = bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100)) + b"\t\n\r\x08\x0c\x1b"
_ANSI = re.compile(
    r"\x1b(?:\[[0-9;:?]{0,32}[ -/]{0,4}[@-~]|\][^\x07\x1b]{0,200}(?:\x07|\x1b\\)?|[()][A-Z0-9]|[@-Z\\^_=>78])"
)
_ESCAPED_ANSI = re.compile(r"(?:\\u001b|\\x1b|\\033|\^\[|#033)\[[0-9;]{0,16}m", re.IGNORECASE)


class Splitter:
    """Cuts chunks into lines and measures them. A segment after a lone carriage return starts with one."""

    def __init__(self) -> None:
        self.bytes = 0
        self.truncated = False
        self._odd = 0
        self._sampled = 0

    @property
    def binary(self) -> bool:
        """More than one byte in twenty of the beginning is no text."""
        return self._sampled > 0 and self._odd * 20 > self._sampled

    def batches(self, chunks: Iterable[bytes]) -> Iterator[list[bytes]]:
        """Lists of lines without their ends; the last line of the stream may lack one."""
        pending, held = b"", b""
        marked = skipping = False
        for piece in self._pieces(chunks):
            data = pending + held + piece
            held = b""
            if b"\r" in data:
                # A return at the very end may be half of a line end: wait for what follows.
                held = b"\r" if data.endswith(b"\r") else b""
                data = data.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n\r")
            lines = data.split(b"\n")
            if marked:
                lines[0] = b"\r" + lines[0]
            pending = lines.pop()
            marked = pending[:1] == b"\r"
            pending = pending[marked:]
            if skipping and lines:
                lines.pop(0)
                skipping = False
            if skipping:
                pending = b""
            elif len(pending) > LINE_LIMIT:
                lines.append(b"\r" * marked + pending[:LINE_LIMIT])
                self.truncated = skipping = True
                pending = b""
            if lines:
                yield self._cut(lines)
        if pending:
            yield self._cut([b"\r" * marked + pending])

    def _pieces(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            for start in range(0, len(chunk), _PIECE):
                piece = chunk[start : start + _PIECE] if len(chunk) > _PIECE else chunk
                self.bytes += len(piece)
                if self._sampled < _SAMPLE:
                    self._sampled += len(piece)
                    self._odd += len(piece.translate(None, _TEXT_BYTES))
                yield piece
                if self.bytes >= _BYTES_LIMIT:
                    self.truncated = True
                    return

    def _cut(self, lines: list[bytes]) -> list[bytes]:
        if max(map(len, lines)) <= LINE_LIMIT:
            return lines
        self.truncated = True
        return [line[:LINE_LIMIT] for line in lines]


def text_of(raw: bytes) -> str:
    """One line as text: bad bytes as escapes, colours gone, no carriage return around it."""
    text = raw.decode("utf-8", errors="backslashreplace").strip("\r\n\ufeff")
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    if "[" in text and ("\\" in text or "^[" in text or "#033" in text):
        text = _ESCAPED_ANSI.sub("", text)
    return text.rstrip()
