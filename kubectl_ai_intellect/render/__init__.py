"""Reports → terminal, markdown, html, json, yaml."""

from __future__ import annotations

from typing import TextIO

from kubectl_ai_intellect.report import Report


def render(report: Report, form: str, *, width: int | None, color: bool, verbose: int, stream: TextIO) -> None:
    stream.write(report.model_dump_json(indent=2) + "\n")


__all__ = ["render"]
