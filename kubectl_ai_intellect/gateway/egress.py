"""What leaves this machine: masked, made inert, shown on request and written down.

There is one way out: a prompt becomes an `Outgoing` request only through `sanitised`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kubectl_ai_intellect.evidence.redact import clean, redact
from kubectl_ai_intellect.gateway.protocol import Part, Prompt, Turn, Usage
from kubectl_ai_intellect.places import private

SECRET_HEADERS = frozenset({"authorization", "x-api-key", "api-key"})
MOST_AUDIT = 16 * 1024 * 1024

# Spellings of control tokens. A server's tokeniser may obey them wherever they stand, so they are broken.
_CONTROL_TOKENS = re.compile(
    r"<\|[^\s<>|]{1,40}\|>|<\|(?=[a-z])|</?s>|\[/?INST\]|<</?SYS>>|</?start_of_turn>|<end_of_turn>|<(?=｜)"
    r"|</?(?:think|tool_call|tool_response|function_calls?)>",
    re.IGNORECASE,
)

Show = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request, exactly as it goes out."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes

    def shown(self) -> str:
        """The request for a person: every byte of it but the key."""
        lines = [f"{self.method} {self.url}"]
        for name, value in self.headers.items():
            lines.append(f"{name}: {'<your API key>' if name.lower() in SECRET_HEADERS else value}")
        return clean("\n".join([*lines, "", self.body.decode("utf-8", "replace")]))


def sanitised(prompt: Prompt) -> Prompt:
    """The prompt with secret values masked everywhere and control tokens broken in evidence."""
    turns = tuple(Turn(turn.role, tuple(map(_sanitised_part, turn.parts))) for turn in prompt.turns)
    return Prompt(redact(prompt.prefix), turns)


def _sanitised_part(part: Part) -> Part:
    text = clean(redact(part.text))
    return Part(inert(text) if part.evidence else text, part.evidence)


def inert(text: str) -> str:
    """The text with a space inside everything that spells a control token."""
    return _CONTROL_TOKENS.sub(lambda found: found.group()[0] + " " + found.group()[1:], text)


@dataclass(frozen=True, slots=True)
class Audit:
    """A line per request that left the machine: when, where to, how much; not what it said."""

    file: Path | None
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    def record(self, provider: str, model: str, sent: Outgoing, outcome: str, usage: Usage) -> None:
        if self.file is None:
            return
        line: dict[str, Any] = {
            "at": self.now().isoformat(timespec="seconds"),
            "kind": "egress",
            "provider": provider,
            "model": model,
            "host": urlsplit(sent.url).netloc.rpartition("@")[2],
            "bytes": len(sent.body),
            "sha256": hashlib.sha256(sent.body).hexdigest(),
            "outcome": outcome,
            "promptTokens": usage.prompt_tokens,
            "completionTokens": usage.completion_tokens,
            "costUSD": usage.cost_usd,
        }
        append_private(self.file, json.dumps(line) + "\n")


def append_private(file: Path, line: str) -> None:
    """Add one line to a file that only the user may read; an audit that cannot be kept stops the request."""
    private(file.parent)
    if file.exists() and file.stat().st_size > MOST_AUDIT:
        file.replace(file.with_suffix(file.suffix + ".1"))
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as stream:
        stream.write(line)


__all__ = ["Audit", "Outgoing", "Show", "inert", "sanitised"]
