"""What a container's log says of its trouble: the failures that stand, and how much each decides."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from kubectl_ai_intellect.causes.base import Fact, Strength, Symptom
from kubectl_ai_intellect.causes.facts import logged, logs
from kubectl_ai_intellect.causes.symptoms.pods import UNREACHED
from kubectl_ai_intellect.kube.refs import Ref
from kubectl_ai_intellect.kube.source import Read
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import container

if TYPE_CHECKING:
    from kubectl_ai_intellect.evidence.logs import LogDigest, LogHit

PEERS = frozenset((*UNREACHED, "dns-failure", "forbidden", "cloud-denied"))
"""Failures that lie between the container and something else: they have symptoms of their own."""
WEAK = frozenset({"shutdown", "slow"})
CLOSE = 24
"""How many lines before its end a log still speaks of that end."""


class Word(NamedTuple):
    """One failure that a log tells of and that was not made up for, with what it is worth."""

    hit: LogHit
    strength: Strength
    fact: Fact


def standing(state: State, at: Ref, *, dead_first: bool = True) -> tuple[LogDigest, bool, list[LogHit]] | None:
    """The log that decides (the dead container's, or the running one's), and its failures that still stand."""
    read = list(logs(state, at))
    for digest, previous in read if dead_first else reversed(read):
        hits = [hit for hit in digest.hits if not hit.recovered and hit.kind not in WEAK]
        if hits:
            return digest, previous, hits
    return None


def words(state: State, symptom: Symptom, *kinds: str) -> Iterator[Word]:
    """The failures of these kinds: the strongest one of a log that ends with it decides, others may matter."""
    pod = state.find(symptom.at)
    each = container(pod, symptom.at.part) if pod else None
    if each is None:
        return
    died = bool(each.death) and each.death.get("exitCode") != 0
    found = standing(state, symptom.at, dead_first=symptom.kind != "container-unready" or not each.running)
    if found is None:
        return
    digest, previous, hits = found
    for rank, hit in enumerate(hits):
        if hit.kind not in kinds:
            continue
        last = hit.number > digest.lines - CLOSE
        strength: Strength = "possible" if rank else "proved" if died and last else "likely"
        yield Word(hit, strength, logged(symptom.at, hit, previous=previous))


def strongest(state: State, at: Ref) -> LogHit | None:
    """The one failure that a log tells of first of all."""
    found = standing(state, at)
    return found[2][0] if found else None


def quoted(state: State, at: Ref) -> Fact | None:
    """The end of the log: the trace it died with, else its last lines."""
    for digest, previous in logs(state, at):
        text = digest.trace or "\n".join(line for line in digest.last_lines[-4:] if line.strip())
        if text:
            lines = text.strip().splitlines()
            if len(lines) > 12:
                lines = [*lines[:3], "…", *lines[-8:]]
            read = Read("logs", at, (("previous", "true"),) if previous else ())
            return Fact(f"log of {at.part} ends with:\n" + "\n".join(lines), at, read)
    return None


def after(state: State, at: Ref, hit: LogHit) -> str:
    """What a log says right below a line that only announces: the field, the value, the place."""
    start = hit.line.rstrip("…").strip()
    for digest, _ in logs(state, at):
        lines = [line.strip() for line in digest.last_lines]
        where = next((index for index, line in enumerate(lines) if start and start in line), None)
        if where is not None:
            below = [line for line in lines[where + 1 : where + 4] if line and not line.startswith(("at ", "File "))]
            return " ".join(below)[:240]
    return ""


CLOSING = re.compile(
    r"(?i)\babort(?:ing|ed)?\b|shutting down|shut ?down|exit(?:ed|ing|s)?\b|did not (?:exit|start)|stopp(?:ed|ing)|terminat|"
    r"see (?:the )?(?:log|above)|check the log|dying|bye|failed to start$"
)
"""How programs take their leave: such lines tell that they end, not why."""
ALARM = re.compile(
    r"(?i)\b(?:error|fatal|panic|critical|severe|exception|fail(?:ed|ure)|cannot|can't|could not|unable|refused|denied|invalid|"
    r"not found|missing|incompatible|unsupported|mismatch|corrupt\w*)\b"
)


def decisive_line(state: State, at: Ref) -> str:
    """The line of the log's end that names the error: the head of its trace, else the first alarm, else the very last."""
    for digest, _ in logs(state, at):
        lines = [line for line in (digest.trace.splitlines() or list(digest.last_lines)) if line.strip()]
        heads = [line for line in lines if not line.startswith((" ", "\t")) and ":" in line]
        named = [line for line in heads if not line.lower().startswith(("traceback", "goroutine", "caused by: null"))]
        if not lines:
            continue
        if digest.trace:
            return (named or lines)[-1 if "Traceback" in digest.trace else 0].strip()
        alarms = _alarms(lines[-LAST:]) or _alarms(lines)
        return alarms[0] if alarms else (named or lines)[-1].strip()
    return ""


LAST = 8
"""How many of the last lines are looked at first: a program that ends in order names its reason shortly before."""


def _alarms(lines: Sequence[str]) -> list[str]:
    """The lines that speak of an error, in the words of their message; those of an error level before the others."""
    from kubectl_ai_intellect.evidence.logs.structured import parse

    told = [(parse(line.encode()), line) for line in lines]
    loud = [parsed.text.strip() or line.strip() for parsed, line in told if parsed.level in ("error", "fatal")]
    words = [parsed.text.strip() or line.strip() for parsed, line in told if ALARM.search(line)]
    for chosen in (loud, words):
        telling = [line for line in chosen if not CLOSING.search(line)]
        if telling:
            return telling
    return []


__all__ = ["PEERS", "Word", "after", "decisive_line", "quoted", "standing", "strongest", "words"]
