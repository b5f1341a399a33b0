"""Whether a line can say anything that the pattern tables know: cheap, exact for every needle but the broad ones."""

from __future__ import annotations

import re
from collections.abc import Iterable

from kubectl_ai_intellect.evidence.logs.classify import NEEDLES

__all__ = ["may_speak_of_failure", "speaks_of_failure", "speaks_of_success"]

# Words so common in good logs that they count only next to a word of failure; every other needle counts alone.
_BROAD_WORDS = (
    "could not |cannot |unable to |failed to |exception|is down|timed out|import|operand|"
    "401|403|429|502|503|504|api version|argument|assert|azure|backend|bind|broken|config|config file|"
    "config server|configuration file|configured|connect|connection string|connectionstring|credential|database|"
    "database url|deadline exceeded|defined|directive|does not exist|dsn|empty|enabled|env|env var|"
    "environment variable|eureka|exhaust|expected|expired|field |file descriptor limit|flag|found|graceful|ini|"
    "invalid|is required|json|keystore|latency|leader|limit|migration|missing|must|need|not found|null|option|"
    "parameter|parse|password|please|plugin|pool|port|private key|properties|property|provided|query|quota|"
    "reached|required|retry|role |sasl|scram|set|setting|settings|shutdown|slow|specified|terminated|timed out|"
    "timeout|token|toml|took |unavailable|unknown|usage|value|version|wait for|wait-for|waiting for|watchers|"
    "watches|yaml"
)
_BROAD = frozenset(_BROAD_WORDS.split("|"))
_STEMS_WORDS = (
    " down| no |401|403|429|502|503|504|abort|assert|bad |bind|blocked|broken|can't|cannot|corrupt|could n|"
    "couldn|crash|declare|denied|deny|does no|emerg|empty|err:|err=|error|exceed|exception|exhaust|expected|"
    "expire|fail|fatal|forbid|full|graceful|handler returned|illegal|improper|in use|incompat|invalid|killed|lag|"
    "limit|lost|malform|misconf|mismatch|missing|must |must b|n't |need|no such|no:|not |not found|not set|null|"
    "panic|pending|please|problem|refus|renew|require |required|requires|reset|resourceexhausted|shutting|sigint|"
    "signal|sigterm|slow|specify|stopped|terminat|throttl|timed out|timeout|too |took |trying|unable|unauth|"
    "unavail|unbound|undeclared|undefin|unexpected|unknown|unreach|unrecogn|unresolved|unset|unsupported|upgrade|"
    "wait-for|waited|waiting|wrong"
)
_STEMS = tuple(_STEMS_WORDS.split("|"))
_SUCCESS = re.compile(
    r"\b(?:re-?)?connected (?:to|successfully)\b|successfully (?:re)?connected|connect(?:ion|ed)[^\n]{0,60}(?:established|restored|succe(?:ss|eded)|is up|ok\b|opened)"
    r"|(?:re-?)?connected\b[.!]?$|is (?:now )?(?:ready|available|reachable|up and running|healthy)\b|came (?:back|up)\b|recovered\b|lease (?:acquired|renewed)|succeeded (?:at|after|on) (?:retry|retries|attempt|\d)|retry succeeded|://\S{1,200} (?:-> )?(?:ok|200|succeeded)\b"
    r"|(?:database|redis|broker|kafka|queue|cache|dependency|dependencies|backend)[^\n]{0,30}(?:ready|online|reachable|ok\b)",
    re.IGNORECASE,
)
_NOT_SUCCESS = re.compile(
    r"\b(?:not|un\w+|fail\w*|dis\w*|error|cannot|can't|waiting|if|until|when|before|could)\b", re.IGNORECASE
)


def _shortest(needles: Iterable[str]) -> list[str]:
    """Without those that contain another one: the other one is found wherever they are."""
    kept: list[str] = []
    for needle in sorted(needles, key=len):
        if not any(short in needle for short in kept):
            kept.append(needle)
    return kept


def _under_stems(needles: list[str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Each needle below a stem that it contains: only where the stem occurs, its needles are looked for."""
    below: dict[str, list[str]] = {}
    for needle in needles:
        stem = next((s for s in _ROUGH if s in needle), needle)
        below.setdefault(stem, []).append(needle)
    return tuple((stem, tuple(found)) for stem, found in below.items())


_ROUGH_WORDS = (
    "error|auth|cert|handshake|tls|ssl|config|connect|time|address|memory|file|direct|permi|denied|access|not |"
    "no |unable|cannot|can't|could|fail|invalid|unknown|unre|unsup|miss|requir|expir|refus|reset|clos|host|http|"
    "exce|limit|lock|lead|cred|token|user|pass|role|disk|space|read|version|class|module|command|load|open|found|"
    "exec|sig|dead|abort|crash|too |wrong|un|in|de|er|e"
)
_ROUGH = tuple(_ROUGH_WORDS.split("|"))
_SHARP = _under_stems(_shortest(needle for needle in NEEDLES if needle not in _BROAD))
_BROAD_NEEDLES = _shortest(needle for needle in NEEDLES if needle in _BROAD)


def speaks_of_failure(low: str) -> bool:
    """`low`: the line in lower case."""
    for stem, needles in _SHARP:
        if stem in low:
            for needle in needles:
                if needle in low:
                    return True
    return _any(_STEMS, low) and _any(_BROAD_NEEDLES, low)


def may_speak_of_failure(low: str) -> bool:
    """The quick form, for logs in which every line is new."""
    return _any(_STEMS, low)


def speaks_of_success(text: str) -> bool:
    """A line that says that something is connected, restored or ready."""
    return _SUCCESS.search(text) is not None and _NOT_SUCCESS.search(text) is None


def _any(words: Iterable[str], low: str) -> bool:
    for word in words:  # noqa: SIM110 — a generator would cost three times as much, on every new line
        if word in low:
            return True
    return False
