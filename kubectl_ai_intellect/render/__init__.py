"""Reports → terminal, markdown, html, json, yaml. A stream and a width come in; nothing is looked up here."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, TextIO

from kubectl_ai_intellect.evidence.redact import clean
from kubectl_ai_intellect.report import Report

if TYPE_CHECKING:
    from kubectl_ai_intellect.render.terminal import Paper


def render(report: Report, form: str, *, width: int | None, color: bool, verbose: int, stream: TextIO) -> None:
    """Write a report in the form that was asked for."""
    if form == "json":
        text = report.model_dump_json(indent=2)
    elif form == "yaml":
        import yaml

        text = yaml.safe_dump(report.model_dump(mode="json"), sort_keys=False, allow_unicode=True).rstrip("\n")
    elif form == "markdown":
        from kubectl_ai_intellect.render.markdown import markdown

        text = markdown(report)
    elif form == "html":
        from kubectl_ai_intellect.render.html import html

        text = html(report)
    else:
        from kubectl_ai_intellect.render.terminal import lines

        text = "\n".join(lines(report, paper_of(stream, color, width), max(verbose, int(form == "wide"))))
    stream.write(text + "\n")


def paper_of(stream: TextIO, color: bool, width: int | None = None) -> Paper:
    """What a stream is: how wide, with which characters."""
    from kubectl_ai_intellect.render.terminal import Paper

    columns = width or (shutil.get_terminal_size((100, 24)).columns if stream.isatty() else 100)
    return Paper(min(max(columns, 40), 120), color, "utf" in (stream.encoding or "ascii").lower())


class Progress:
    """One line on standard error that says what is being done; nothing where that is no terminal."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.live = stream.isatty()
        self.began = time.monotonic()

    def step(self, text: str) -> None:
        if self.live:
            room = shutil.get_terminal_size((80, 24)).columns - 12
            self.stream.write(f"\r\x1b[2K{clean(text)[:room]} ({time.monotonic() - self.began:.1f} s)")
            self.stream.flush()

    def done(self) -> None:
        if self.live:
            self.stream.write("\r\x1b[2K")
            self.stream.flush()


__all__ = ["Progress", "paper_of", "render"]
