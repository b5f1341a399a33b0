"""What of a document is searched: short passages, each with the section it comes from.

A runbook's symptoms and the outputs that its checks expect are passages of their own, because they are what
people type and paste; its prose is cut at paragraphs. A passage is never longer than a model or a reader is
shown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kubectl_ai_intellect.knowledge.runbook import Runbook, clean

LIMIT = 600
Kind = Literal["title", "symptom", "expect", "body"]
# How much a word counts by where it stands: a symptom is a promise, prose mentions many things.
WEIGHT: dict[str, float] = {"title": 2.0, "symptom": 2.0, "expect": 1.0, "body": 0.5}


@dataclass(frozen=True, slots=True)
class Passage:
    """One searchable piece of a document."""

    section: str
    text: str
    kind: Kind = "body"


@dataclass(frozen=True, slots=True)
class Document:
    """A runbook or any text of the user's, ready to be indexed."""

    id: str
    title: str
    passages: tuple[Passage, ...]
    path: str
    origin: Literal["ours", "yours"] = "yours"
    runbook: bool = False


def of_runbook(runbook: Runbook, path: str) -> Document:
    """A runbook's passages: title, symptoms, expected outputs, prose."""
    found = [Passage("Title", runbook.title, "title")]
    found += [Passage("Symptoms", text[:LIMIT], "symptom") for text in runbook.symptoms]
    expected = [spoken(check.expect) for check in runbook.checks]
    found += [Passage("Confirm it", text[:LIMIT], "expect") for text in expected if len(text) > 8]
    for section in runbook.sections:
        found += [Passage(section.title, piece) for piece in pieces(section.text)]
    origin: Literal["ours", "yours"] = "ours" if runbook.ours else "yours"
    return Document(runbook.id, runbook.title, tuple(found), path, origin, runbook=True)


def of_text(text: str, path: Path, title: str = "") -> Document:
    """Any text, cut at its Markdown headings and paragraphs."""
    text = clean(text)
    heading = re.search(r"^#\s+(.+)$", text, re.MULTILINE)
    title = title or (heading.group(1).strip() if heading else path.stem.replace("-", " ").replace("_", " "))
    found = [Passage("Title", title[:LIMIT], "title")]
    section = title[:80]
    for block in re.split(r"(?m)^(#{1,3}\s+.+)$", text):
        if re.match(r"#{1,3}\s", block):
            section = block.lstrip("# ").strip()[:80]
        else:
            found += [Passage(section, piece) for piece in pieces(block)]
    return Document(slug(path), title[:120], tuple(found), str(path))


def spoken(pattern: str) -> str:
    """A regular expression as the text it looks for: what one pastes, without the signs."""
    text = re.sub(r"\\[sSdDwWbB][*+?]?|\(\?[a-zA-Z]+\)|\[[^\]]*\][*+?]?|\.[*+]\??|\{\d+,?\d*\}", " ", pattern)
    return " ".join(re.sub(r"\\(?=\W)|\(\?[:=!]|[()|^$*+?]", " ", text).split())


def slug(path: Path) -> str:
    """An id for a document that has none: `doc/<its name>`."""
    name = re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-") or "text"
    return f"doc/{name}"


def pieces(text: str) -> list[str]:
    """The text in passages of at most LIMIT characters, cut between paragraphs, else lines, else words."""
    found: list[str] = []
    held = ""
    for part in _parts(text):
        if held and len(held) + len(part) + 2 > LIMIT:
            found.append(held)
            held = part
        else:
            held = f"{held}\n\n{part}" if held else part
    return [*found, held] if held else found


def _parts(text: str) -> list[str]:
    parts: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        while len(paragraph) > LIMIT:
            cut = max(paragraph.rfind("\n", 0, LIMIT), 0) or paragraph.rfind(" ", 0, LIMIT)
            cut = cut if cut > LIMIT // 3 else LIMIT
            parts.append(paragraph[:cut].rstrip())
            paragraph = paragraph[cut:].lstrip("\n ")
        if paragraph.strip():
            parts.append(paragraph.rstrip())
    return parts


__all__ = ["LIMIT", "WEIGHT", "Document", "Passage", "of_runbook", "of_text", "pieces", "slug", "spoken"]
