"""An explanation on a terminal, sentence by sentence below a report that is there already."""

from __future__ import annotations

from typing import TextIO

from kubectl_ai_intellect.render.terminal import BLUE, BOLD, DIM, Paper

MARGIN = "  "


class Story:
    """Writes sentences as one wrapped paragraph under a heading of its own."""

    def __init__(self, paper: Paper, stream: TextIO) -> None:
        self._paper, self._stream = paper, stream
        self._column = 0
        self._begun = False

    def sentence(self, text: str) -> None:
        """One sentence, on the screen when this returns."""
        if not self._begun:
            self._begun = True
            self._stream.write(f"\n{self._paper.style('In other words', BOLD, BLUE)}\n")
        for word in self._paper.plain(text).split():
            if self._column and self._column + 1 + len(word) > self._paper.width:
                self._stream.write("\n")
                self._column = 0
            self._stream.write(f" {word}" if self._column else MARGIN + word)
            self._column += len(word) + (1 if self._column else len(MARGIN))
        self._stream.flush()

    def end(self) -> None:
        if self._column:
            self._stream.write("\n")
            self._stream.flush()
            self._column = 0


def aside(paper: Paper, stream: TextIO, text: str) -> None:
    """One dim line."""
    stream.write(f"\n{paper.style(paper.plain(text), DIM)}\n")
    stream.flush()


__all__ = ["Story", "aside"]
