"""Lines that differ only in numbers, ids and addresses, folded into one template with a count."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from kubectl_ai_intellect.evidence.logs.lines import text_of
from kubectl_ai_intellect.evidence.logs.model import Template
from kubectl_ai_intellect.evidence.logs.stamps import peel
from kubectl_ai_intellect.evidence.logs.structured import LEVELS, parse
from kubectl_ai_intellect.evidence.redact import clean, redact

__all__ = ["Tally", "Templates", "masked"]

_MOST = 3000
_SHOWN = 30
_MASK = re.compile(
    r"(?P<id>\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b)"
    r"|(?P<ip>\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b)"
    r"|(?P<hex>\b(?:0x[0-9a-fA-F]+|(?=[a-f]*\d)[0-9a-f]{8,64})\b)"
    r"|(?P<n>\d+(?:[.,]\d+)*)"
)


@dataclass(slots=True)
class Tally:
    """How often a template was seen; the first and last line keep their timestamps until they are asked for."""

    text: str
    level: str
    first: bytes
    last: bytes
    order: int
    count: int = 0


class Templates:
    """A bounded set of tallies: when it is full, the rarest of the least severe give way."""

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, str], Tally] = {}
        self.dropped = 0
        self._order = 0

    def tally(self, text: str, level: str, raw: bytes) -> Tally:
        """The tally for this message; the caller counts."""
        key = (level, masked(text))
        found = self._tallies.get(key)
        if found is None:
            if len(self._tallies) >= _MOST:
                self._sweep()
            self._order += 1
            found = self._tallies[key] = Tally(key[1], level, raw, raw, self._order)
        return found

    def _sweep(self) -> None:
        kept = sorted(self._tallies.items(), key=lambda item: self._worth(item[1]), reverse=True)[: _MOST // 2]
        self.dropped += len(self._tallies) - len(kept)
        self._tallies = dict(kept)

    @staticmethod
    def _worth(tally: Tally) -> tuple[int, int, int]:
        return (LEVELS.index(tally.level), tally.count, tally.order)

    def told(self) -> tuple[Template, ...]:
        """The most telling: severe first, then frequent, then late."""
        best = sorted(self._tallies.values(), key=self._worth, reverse=True)[:_SHOWN]
        return tuple(
            Template(clean(redact(t.text))[:300], t.count, stamp_of(t.first), stamp_of(t.last), t.level)
            for t in best
            if t.count
        )


def stamp_of(raw: bytes) -> datetime | None:
    """When a raw line was written."""
    at, text = peel(text_of(raw))
    return at if at is not None or not text.startswith("{") else parse(raw).at


def masked(text: str) -> str:
    """The message with what varies replaced by its kind."""
    return _MASK.sub(lambda m: f"<{m.lastgroup}>", text[:600]).strip()
