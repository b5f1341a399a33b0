"""One record to at most one hit: the root of its trace is held against the pattern tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, pairwise

from kubectl_ai_intellect.evidence.logs.auth import AUTH
from kubectl_ai_intellect.evidence.logs.config import CONFIG
from kubectl_ai_intellect.evidence.logs.model import Peer
from kubectl_ai_intellect.evidence.logs.network import NETWORK
from kubectl_ai_intellect.evidence.logs.peers import made, peer_in, url_host
from kubectl_ai_intellect.evidence.logs.programs import PROGRAMS
from kubectl_ai_intellect.evidence.logs.protocols import PROTOCOLS
from kubectl_ai_intellect.evidence.logs.rules import HINT, MECHANISM, WORDING, Rule
from kubectl_ai_intellect.evidence.logs.runtime import RUNTIME
from kubectl_ai_intellect.evidence.logs.sources import source_of
from kubectl_ai_intellect.evidence.logs.storage import STORAGE
from kubectl_ai_intellect.evidence.logs.structured import LEVELS, Parsed, parse
from kubectl_ai_intellect.evidence.logs.traces import (
    HEAD,
    OPEN_GO,
    OPEN_NODE,
    OPEN_OTHER,
    OPEN_PY,
    OPEN_RUST,
    Record,
    ordered,
)

__all__ = ["NEEDLES", "RULES", "Draft", "classify"]

RULES: tuple[Rule, ...] = NETWORK + PROTOCOLS + STORAGE + CONFIG + PROGRAMS + AUTH + RUNTIME
NEEDLES: tuple[str, ...] = tuple(sorted({needle for rule in RULES for needle in rule.needles}))
_LONGEST = 2400
_NETWORK_KINDS = frozenset(
    [
        "connection-refused",
        "connection-timeout",
        "connection-reset",
        "no-route",
        "dns-failure",
        "auth-failed",
        "tls-failed",
        "db-read-only",
        "connections-exhausted",
        "http-upstream",
        "grpc-unavailable",
        "protocol-mismatch",
        "dependency-missing",
        "rate-limited",
        "cloud-denied",
        "schema-missing",
    ]
)
_UNCAUGHT = re.compile(
    r"uncaught|unhandled|panicked at|\bpanic: |^fatal error|exception in thread|application run failed|terminate called"
    r"|failed to start|triggerUncaughtException|throw er;|init terminating",
    re.IGNORECASE,
)
# What looks like a failure and is none: counters, choices, fallbacks, help, another's request in an access log.
_BENIGN = re.compile(
    r"\b(?:0|no|zero|without(?: any)?) (?:errors?|failures?|warnings?|exceptions?|panics?|timeouts?|problems?|issues?|deadlocks?|restarts?)\b"
    r"|(?:using|falling back to|fall back to|fallback to|use|with) (?:the )?(?:built-?in )?(?:defaults?|fallback)\b|\bdefaulting to\b|using default"
    r"|\bignor(?:ed|ing)\b|\bskipp(?:ed|ing)\b|\b(?:is|are) optional\b|\bnot an error\b|\bharmless\b|\bcan be (?:safely )?ignored\b"
    r"|recovered from|has been (?:resolved|fixed|restored|recovered)|no longer|is now (?:available|reachable|connected|up|healthy)"
    r"|successfully (?:recovered|reconnected|connected)|will be created|creating (?:it|one)\b",
    re.IGNORECASE,
)
_SOFT = frozenset({"missing-env", "file-not-found", "bad-config", "module-missing", "permission-denied", "out-of-memory", "slow", "deadlock",
                   "connection-timeout", "connection-refused", "connection-reset", "panic", "shutdown", "dependency-missing",
                   "assertion", "usage-error", "version-mismatch", "disk-full", "segfault", "command-not-found", "schema-missing"})  # fmt: skip
_HYPOTHETICAL = re.compile(
    r"\b(?:if (?:you|the|it|this|a|an|any|there|set)|when(?:ever)?|in case|to (?:avoid|prevent|handle|detect|simulate|test|retry on)|unless|on error|should (?:you|it)"
    r"|e\.g\.|for example|how to|detection|detector|checker|handler|checking (?:for|whether|if)|configured (?:to|for|with)|enabled|disabled"
    r"|registered|policy|threshold|documentation|test(?:ing|s|case)?)\b",
    re.IGNORECASE,
)
_ACCESS_LOG = re.compile(
    r"\"?(?:GET|POST|PUT|DELETE|PATCH|HEAD|OPTIONS) (?:/|https?://)\S{0,2000} HTTP/[\d.]{1,3}\"?,?\s+(?:-\s+)?\"?(?:status[=:]\s?)?(?P<status>\d{3})\b"
    r"|^\[?(?:GIN\]|::1|\d{1,3}(?:\.\d{1,3}){3} - )"
)
_STATIC = re.compile(r"client: [\d.a-f:]+, server: .{0,200}request: \"")
_SERVING = re.compile(
    r"processing of request from|in handle_one_request\b|ClientAbortException|http\.\(\*conn\)\.serve|while sending (?:response )?to client|\breset by client\b"
    r"|client (?:disconnected|closed|aborted|went away)"
)
"""A server at work for a client of its own: a connection that breaks there says nothing of a peer that it needs."""
_ECHO = re.compile(r"^\s*[\w.\-]{2,80}\s*[=:]\s*[\w./:@,\-]{0,200}$")
_NUMBER = re.compile(
    r"^\s*[\"'\-]{0,3}[\w.\-]{2,80}[\"']?\s*[=:]\s*(?:\d+\w{0,3}|true|false|on|off|\"[^\"]{0,40}\"),?$", re.IGNORECASE
)
_STATEMENT = re.compile(r"\b(?:STATEMENT|DETAIL|HINT|CONTEXT):\s")
_STRONG_LEVEL = LEVELS.index("error")


@dataclass(frozen=True, slots=True)
class Draft:
    """A hit before it is counted and ranked. `line`: raw text of the decisive line."""

    kind: str
    line: str
    level: str
    weight: int
    at: datetime | None
    peer: Peer | None = None
    name: str = ""
    source: str = ""
    fatal: bool = False


@dataclass(frozen=True, slots=True)
class _Match:
    rule: Rule
    found: re.Match[str]
    text: str


def classify(record: Record) -> Draft | None:
    """The hit that this record is, or None when it says nothing of interest."""
    head = parse(record.lines[0])
    lines = [head.text, *head.body, *record.texts[1:]]
    trace = record.mode != HEAD or record.frames > 0 or len(head.body) > 1
    whole = "\n".join(lines)[:16_000]
    level = _level(head, record, whole)
    if _dismissed(head, whole, level):
        return None
    candidates = ordered(_with_texts(record, lines))
    best = _decide(candidates, whole, level, trace or head.error_field)
    if best is not None and best.rule.kind == "connection-reset" and _SERVING.search(whole):
        return None  # its own client hung up
    if best is None:
        return _generic(head, record, candidates, whole, level, trace)
    if best.rule.kind in _SOFT and _harmless(best, head, level, trace):
        return None
    return Draft(
        kind=best.rule.kind,
        line=_continued(best.text, lines),
        level=level,
        weight=best.rule.weight,
        at=head.at,
        peer=_peer(best, candidates, head),
        name=_name(best, candidates, lines),
        source=source_of(whole),
        fatal=level == "fatal" or (trace and _UNCAUGHT.search(whole) is not None),
    )


def _continued(text: str, lines: list[str]) -> str:
    """A line that ends in a colon says what follows on the next one."""
    text = text.strip()
    if not text.endswith(":") or len(text) > 240:
        return text
    for line, after in pairwise(lines):
        if line.strip().endswith(text):
            return f"{text} {after.strip()}"
    return text


def _with_texts(record: Record, lines: list[str]) -> Record:
    return Record(record.number, record.mode, record.lines, lines[:200], frames=record.frames)


def _level(head: Parsed, record: Record, whole: str) -> str:
    if record.mode in (OPEN_GO, OPEN_RUST) and not whole.startswith("runtime: "):
        return "fatal"
    if record.mode in (OPEN_PY, OPEN_NODE, OPEN_OTHER):
        return "error"
    if not head.level and record.frames:
        return "error"
    if head.level in ("info", "debug") and head.error_field:
        return "error" if head.level == "info" else head.level
    return head.level


def _dismissed(head: Parsed, whole: str, level: str) -> bool:
    """Lines about somebody's request or statement, not about this program."""
    if "HTTP/" in head.text or head.text.startswith("[GIN]"):
        access = _ACCESS_LOG.search(head.text)
        if (
            access is not None
            and (access["status"] or "") not in {"502", "503", "504"}
            and level not in ("error", "fatal")
        ):
            return True
    if _STATIC.search(head.text) and "No such file" in head.text:
        return True
    return _STATEMENT.search(head.text[:120]) is not None and level in ("", "info")


def _decide(candidates: list[str], whole: str, level: str, trusted: bool) -> _Match | None:
    """The first line, root first, that a strong rule knows; else the strongest weaker match."""
    least = HINT if trusted or LEVELS.index(level) >= _STRONG_LEVEL else WORDING
    if not trusted and level in ("info", "debug", "trace"):
        least = MECHANISM
    fallback: _Match | None = None
    for text in candidates[:60]:
        match = _best(text[:_LONGEST], whole, least)
        if match is None:
            continue
        if match.rule.weight >= MECHANISM:
            return match
        if fallback is None or match.rule.weight > fallback.rule.weight:
            fallback = match
    return fallback


def _best(text: str, whole: str, least: int) -> _Match | None:
    low = text.lower()
    best: _Match | None = None
    rank = (0, False, -1)
    for rule in RULES:
        if rule.weight < least or rule.weight < rank[0] or not any(needle in low for needle in rule.needles):
            continue
        found = _telling(rule.pattern, text)
        if found is None or (rule.context is not None and rule.context.search(whole) is None):
            continue
        here = (rule.weight, any(found.groupdict().values()), found.end())
        if here > rank:
            best, rank = _Match(rule, found, text), here
    return best


def _telling(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """The first match that names something, or the first."""
    first = pattern.search(text)
    if first is None or not pattern.groupindex or any(first.groupdict().values()):
        return first
    return next((m for m in islice(pattern.finditer(text), 4) if any(m.groupdict().values())), first)


def _harmless(match: _Match, head: Parsed, level: str, trace: bool) -> bool:
    """Words of failure in a line that reports none."""
    if LEVELS.index(level) >= _STRONG_LEVEL or (trace and level != "info"):
        return False
    if _BENIGN.search(match.text):
        return True
    if level in ("info", "debug", "trace"):
        if match.rule.kind in ("shutdown", "slow"):
            return False
        before = match.text[: match.found.start()]
        quoted = before.count('"') % 2 == 1 and not head.error_field
        return quoted or _HYPOTHETICAL.search(match.text) is not None
    if level == "":
        return _HYPOTHETICAL.search(match.text[: match.found.start()]) is not None or (
            (match.rule.weight <= WORDING and _ECHO.match(match.text) is not None)
            or _NUMBER.match(match.text) is not None
        )
    return False


def _generic(head: Parsed, record: Record, candidates: list[str], whole: str, level: str, trace: bool) -> Draft | None:
    """An exception without a class of its own, when nobody caught it or it was logged as an error."""
    uncaught = _UNCAUGHT.search(whole) is not None
    opened = record.mode in (OPEN_PY, OPEN_GO, OPEN_NODE, OPEN_RUST, OPEN_OTHER)
    if not opened and not (trace and LEVELS.index(level) >= _STRONG_LEVEL):
        return None
    line = next((c for c in candidates if c.strip() and not c.startswith(("Traceback", "node:", "/"))), head.text)
    fatal = uncaught or level == "fatal" or record.mode in (OPEN_GO, OPEN_RUST)
    return Draft("panic", line.strip(), level, HINT, head.at, None, _exception(line), source_of(whole), fatal)


def _exception(line: str) -> str:
    found = re.search(r"(?:[A-Za-z_]\w*[.\\]|::){0,10}[A-Za-z_]\w*(?:Error|Exception|Panic)\b", line)
    return found.group() if found is not None else ""


def _groups(match: _Match, stem: str) -> str:
    for key, value in match.found.groupdict().items():
        if value and key.rstrip("0123456789") == stem:
            return value
    return ""


def _name(match: _Match, candidates: list[str], lines: list[str]) -> str:
    kind = match.rule.kind
    if kind == "forbidden" and (verb := _groups(match, "verb")):
        group = _groups(match, "group")
        return f"{verb} {_groups(match, 'resource')}{'.' + group if group else ''}"
    if kind == "dns-failure":
        return match.rule.name or _groups(match, "host").rstrip(".") or _unresolved(match, candidates)
    name = match.rule.name or _groups(match, "name")
    if not name and kind == "port-in-use":
        return _groups(match, "port")
    if not name and kind == "missing-env":
        name = _variable(lines)
    if not name and kind in (
        "connection-refused",
        "connection-timeout",
        "no-route",
        "tls-failed",
        "protocol-mismatch",
    ):
        name = url_host(match.text)
    if kind == "usage-error":
        name = name.lstrip("-")
    return name.strip().strip("\"'`‘’“”()[]{}<>,;").rstrip(".:")[:200]


_VARIABLE = re.compile(r"(?<![\w/.\-])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?![\w/\-(])")


def _variable(lines: list[str]) -> str:
    """The variable that other lines of the record name (pydantic puts it on a line of its own)."""
    for text in lines:
        found = _VARIABLE.search(text)
        if found is not None and not found.group().startswith(("ERR_", "ERROR_")):
            return found.group()
    for before, text in pairwise(lines):
        if text.lstrip().lower().startswith("field required") and re.fullmatch(r"\s*[\w.]+", before):
            return before.strip()
    return ""


def _unresolved(match: _Match, candidates: list[str]) -> str:
    """The host name beside a resolver's words that do not repeat it."""
    peer = peer_in(match.text, match.found.end()) or next(
        (p for p in map(peer_in, candidates[:12]) if p is not None), None
    )
    return peer.host if peer is not None and any(c.isalpha() for c in peer.host) and ":" not in peer.host else ""


def _peer(match: _Match, candidates: list[str], head: Parsed) -> Peer | None:
    kind = match.rule.kind
    if kind == "port-in-use":
        port = _groups(match, "port")
        return made("", port, "", "") if port else None
    if kind not in _NETWORK_KINDS:
        return None
    scheme = match.rule.scheme
    host = _groups(match, "host").rstrip(".")
    if kind == "dns-failure":
        server = _groups(match, "server")
        if server and "no such host" not in match.found.group().lower():
            return made(server, 53, "dns", "")
        if host:
            return made(host, _groups(match, "port") or _port_of(host, match.text, candidates), scheme, match.text)
    if host:
        return made(host, _groups(match, "port") or None, scheme, match.text)
    peer = peer_in(match.text, match.found.end())
    if peer is None:
        others = [c for c in candidates if c is not match.text][:12]
        peer = next((p for p in map(peer_in, others) if p is not None), None) or (
            peer_in(head.extra) if head.extra else None
        )
    return peer


def _port_of(host: str, text: str, candidates: list[str]) -> str | None:
    """The port beside a host name that does not resolve: `db:5432` elsewhere in the record."""
    pattern = re.compile(
        re.escape(host)
        + r"\.?:(\d{2,5})\b|"
        + re.escape(host)
        + r"[\"']?(?: \([^)]{0,60}\))?,? port[ :=]{1,2}(\d{2,5})"
    )
    for line in (text, *candidates[:20]):
        found = pattern.search(line)
        if found is not None:
            return found.group(1) or found.group(2)
    return None
