"""What a digested log is: hits, templates, last words. Plain values, nothing computed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

__all__ = ["LOG_KINDS", "LogDigest", "LogHit", "Peer", "Template"]

LOG_KINDS: frozenset[str] = frozenset(
    {
        "missing-env",
        "bad-config",
        "file-not-found",
        "permission-denied",
        "read-only-filesystem",
        "disk-full",
        "port-in-use",
        "connection-refused",
        "connection-timeout",
        "connection-reset",
        "no-route",
        "dns-failure",
        "auth-failed",
        "forbidden",
        "cloud-denied",
        "tls-failed",
        "db-read-only",
        "connections-exhausted",
        "out-of-memory",
        "file-limit",
        "exec-format",
        "command-not-found",
        "module-missing",
        "schema-missing",
        "rate-limited",
        "http-upstream",
        "grpc-unavailable",
        "protocol-mismatch",
        "dependency-missing",
        "leader-lost",
        "panic",
        "segfault",
        "deadlock",
        "assertion",
        "version-mismatch",
        "quota",
        "usage-error",
        "slow",
        "shutdown",
    }
)


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end that a failure names; host may be empty where only the port is known."""

    host: str
    port: int | None = None
    scheme: str = ""


@dataclass(frozen=True, slots=True)
class LogHit:
    """One classified record; a trace of many lines is one record, and its repeats are counted."""

    kind: str
    line: str
    at: datetime | None
    number: int
    count: int
    peer: Peer | None = None
    name: str = ""
    fatal: bool = False
    source: str = ""
    recovered: bool = False
    level: str = ""
    until: int = 0  # the last line of its latest record


@dataclass(frozen=True, slots=True)
class Template:
    """Lines that differ only in numbers, ids and addresses."""

    text: str
    count: int
    first: datetime | None
    last: datetime | None
    level: str


@dataclass(frozen=True, slots=True)
class LogDigest:
    """A log of any size in a bounded form; strongest and latest hits first."""

    lines: int
    bytes: int
    truncated: bool
    binary: bool
    empty: bool
    hits: tuple[LogHit, ...]
    last_lines: tuple[str, ...]
    templates: tuple[Template, ...]
    trace: str

    def of(self, *kinds: str) -> tuple[LogHit, ...]:
        """The hits of these kinds, strongest first."""
        unknown = set(kinds) - LOG_KINDS
        if unknown:
            raise ValueError(f"no such log kind: {', '.join(sorted(unknown))}")
        return tuple(hit for hit in self.hits if hit.kind in kinds)
