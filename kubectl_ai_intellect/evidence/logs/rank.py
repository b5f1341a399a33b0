"""Hits counted, recovered ones lowered, the strongest and latest first."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kubectl_ai_intellect.evidence.logs.classify import Draft
from kubectl_ai_intellect.evidence.logs.fold import masked, stamp_of
from kubectl_ai_intellect.evidence.logs.model import LogHit
from kubectl_ai_intellect.evidence.logs.structured import LEVELS
from kubectl_ai_intellect.evidence.redact import clean, redact

__all__ = ["Collected", "Hits"]

_MOST = 400
_SHOWN = 40
_LAST_WORDS = 24
_CONNECTION = frozenset(
    [
        "connection-refused",
        "connection-timeout",
        "connection-reset",
        "no-route",
        "dns-failure",
        "http-upstream",
        "grpc-unavailable",
        "dependency-missing",
        "leader-lost",
        "rate-limited",
        "connections-exhausted",
        "tls-failed",
        "auth-failed",
        "db-read-only",
        "schema-missing",
    ]
)
_MINOR = {"shutdown": -60, "slow": -35, "panic": -15, "dependency-missing": -20, "rate-limited": -5, "connection-reset": -8, "grpc-unavailable": -8,
          "http-upstream": -5, "connection-timeout": -2, "usage-error": -2, "leader-lost": -2}  # fmt: skip
_RETRIED = re.compile(r"succeeded (?:at|after|on) |retry succeeded")
"""What succeeds at a later try is what failed at an earlier one, whatever it is called."""
_TECHNOLOGIES = (
    "postgres",
    "mysql",
    "mariadb",
    "redis",
    "mongo",
    "kafka",
    "rabbit",
    "amqp",
    "elastic",
    "opensearch",
    "etcd",
    "nats",
    "memcache",
    "cassandra",
    "vault",
    "consul",
    "zookeeper",
    "database",
)


@dataclass(slots=True)
class Collected:
    """One hit with all its repeats; `until` is the last line of its latest record."""

    draft: Draft
    number: int
    until: int
    raw: bytes
    count: int = 0

    def seen(self, number: int, until: int, raw: bytes) -> None:
        """Count one more occurrence."""
        self.count += 1
        self.number = number
        self.until = until
        self.raw = raw


class Hits:
    """What was found, folded by what it means: kind, peer, name and template."""

    def __init__(self) -> None:
        self._all: dict[tuple[object, ...], Collected] = {}
        self._successes: dict[str, int] = {}

    def of(self, draft: Draft, number: int, raw: bytes) -> Collected:
        """The collected hit that this draft belongs to."""
        key = (
            draft.kind,
            draft.peer,
            draft.name,
            draft.level,
            "" if draft.peer or draft.name else masked(draft.line),
        )
        found = self._all.get(key)
        if found is None:
            if len(self._all) >= _MOST:
                self._forget()
            found = self._all[key] = Collected(draft, number, number, raw)
        return found

    def success(self, text: str, number: int) -> None:
        """A line that says that something is connected or ready after all."""
        self._successes.pop(text, None)
        self._successes[text] = number
        if len(self._successes) > 200:
            self._successes.pop(next(iter(self._successes)))

    def _forget(self) -> None:
        kept = sorted(self._all.items(), key=lambda item: (_weight(item[1].draft), item[1].number), reverse=True)
        self._all = dict(kept[: _MOST // 2])

    def told(self, lines: int, exit_code: int | None) -> tuple[LogHit, ...]:
        """The hits as values, best first."""
        scored = [(self._score(c, lines, exit_code), c) for c in self._all.values() if c.count]
        scored.sort(key=lambda item: (item[0], item[1].number), reverse=True)
        return tuple(self._hit(c, lines, exit_code) for _, c in scored[:_SHOWN])

    def _hit(self, found: Collected, lines: int, exit_code: int | None) -> LogHit:
        draft = found.draft
        return LogHit(
            kind=draft.kind,
            line=shown(draft.line),
            at=stamp_of(found.raw) or draft.at,
            number=found.number,
            count=found.count,
            peer=draft.peer,
            name=clean(draft.name),
            fatal=_fatal(found, lines, exit_code),
            source=draft.source,
            recovered=self._recovered(found, lines, exit_code),
            level=draft.level,
            until=found.until,
        )

    def _score(self, found: Collected, lines: int, exit_code: int | None) -> float:
        score = float(_weight(found.draft)) + 25 * found.number / max(lines, 1)
        if _fatal(found, lines, exit_code):
            score += 60
        if self._recovered(found, lines, exit_code):
            score -= 80
        return score

    def _recovered(self, found: Collected, lines: int, exit_code: int | None) -> bool:
        """A later line says that this connection came up: it names the same end, or no other."""
        draft = found.draft
        if draft.kind not in _CONNECTION or (exit_code not in (None, 0) and _in_last_words(found, lines)):
            return False
        own = _ends(draft)
        return any(number > found.until and _speaks_of(text.lower(), own) for text, number in self._successes.items())


def shown(line: str) -> str:
    """A line fit for display: redacted, control characters visible, not too long."""
    text = clean(redact(line.strip()))
    return text if len(text) <= 300 else text[:299] + "…"


def _ends(draft: Draft) -> tuple[str, ...]:
    words = [draft.peer.host.lower(), draft.peer.scheme] if draft.peer is not None else []
    words += [t for t in _TECHNOLOGIES if t in draft.line.lower()]
    return tuple(w for w in words if w and w not in ("http", "https", "grpc"))


def _speaks_of(success: str, own: tuple[str, ...]) -> bool:
    if any(word in success for word in own):
        return True
    others = [t for t in _TECHNOLOGIES if t in success and t != "database"]
    if _RETRIED.search(success):
        return not others
    if "database" in success and any(w in ("postgres", "mysql", "mongodb", "mariadb") for w in own):
        return True
    return not others and (
        not own
        or not any(c.isdigit() or c == "/" for c in success)
        or ("database" not in success and ":" not in success)
    )


def _weight(draft: Draft) -> int:
    level = {"fatal": 40, "error": 25, "warn": 8, "": 10}.get(draft.level, -15)
    return draft.weight * 8 + level + _MINOR.get(draft.kind, 0)


def _in_last_words(found: Collected, lines: int) -> bool:
    return found.until > lines - _LAST_WORDS


def _fatal(found: Collected, lines: int, exit_code: int | None) -> bool:
    draft = found.draft
    if draft.fatal:
        return True
    if exit_code in (None, 0) or draft.kind in ("shutdown", "slow"):
        return False
    return _in_last_words(found, lines) and LEVELS.index(draft.level) > LEVELS.index("info")
