"""The turns of a conversation: everything at first, afterwards only what is new."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kubectl_ai_intellect.causes.base import Fact, Finding, Symptom
from kubectl_ai_intellect.investigate.thinking import offers, surroundings
from kubectl_ai_intellect.investigate.thinking.board import Board
from kubectl_ai_intellect.investigate.thinking.wording import LINE, OURS, PASSAGE, WIDE, Line, flat, ours
from kubectl_ai_intellect.kube.refs import Ref
from kubectl_ai_intellect.kube.source import Read
from kubectl_ai_intellect.report import Passage
from kubectl_ai_intellect.state.graph import State

if TYPE_CHECKING:
    from kubectl_ai_intellect.investigate.sessions import Earlier

FACTS = 16
NEW_FACTS = 8
SYMPTOMS = 4
CAUSE_LINE = 140


@dataclass(frozen=True, slots=True)
class View:
    """What a model is to look at, at one moment of an investigation."""

    state: State
    question: str
    target: Ref | None
    leader: Finding | None
    live: Sequence[Finding]
    proved: Sequence[Finding]
    open: Sequence[Symptom]
    symptoms: Sequence[Symptom]  # those the question is about
    probes_left: int
    passages: Sequence[Passage] = ()
    earlier: Earlier | None = None
    compared: Sequence[Fact] = ()  # what tells the ill from the well, where a question goes on


def first_turn(board: Board, view: View) -> list[Line]:
    lines = [Line(f"Question: {flat(view.question)}", OURS)]
    if view.earlier:
        lines.append(Line(flat(f"Before: {view.earlier.question} Answer: {view.earlier.answer}"), 95))
    if view.target:
        lines.append(Line(f"About: {view.target}", 96))
    lines += [Line(flat(f"Unexplained: {each.at.short}: {_words(each)}", 120), 85) for each in view.open[:SYMPTOMS]]
    lines.append(ours("Facts:"))
    lines += _facts(board, _first_facts(view), FACTS)
    lines += _choices(board, view)
    lines += [Line(flat(f"Runbook {each.runbook}, {each.section}: {each.text}", PASSAGE), 10 - index)
              for index, each in enumerate(view.passages[:2])]  # fmt: skip
    return [*lines, ours("Decide.")]


def next_turn(board: Board, view: View, read: Sequence[Read]) -> list[Line]:
    """What the reads that were asked for have shown, and what has changed."""
    lines: list[Line] = []
    asked_for = (fact for each in read for fact in _read_facts(view.state, each))
    found = list(_facts(board, asked_for, NEW_FACTS, WIDE))
    found += _facts(board, _first_facts(view), NEW_FACTS - len(found)) if len(found) < NEW_FACTS else []
    lines += [ours("New facts:"), *found] if found else [ours("The read shows nothing new.")]
    gone = set(board.gone)
    lines += _choices(board, view)
    if ruled := sorted(board.gone - gone):
        lines.append(ours(f"Ruled out: {', '.join(ruled)}"))
    return [*lines, ours("Decide.")]


def _words(symptom: Symptom) -> str:
    part = f"{symptom.at.part} " if symptom.at.part else ""
    return f"{part}{symptom.kind.replace('-', ' ')}" + (f" ({symptom.note})" if symptom.note else "")


def _first_facts(view: View) -> Iterator[Fact]:
    """The leader's own facts first, then its rivals', then what there is to see."""
    for finding in view.live[:1]:
        yield from finding.supports
    yield from view.compared
    places = surroundings.places(view.state, view.open or view.symptoms[:3], view.target)
    seen = list(surroundings.facts(view.state, places))
    yield from seen[:6]
    for finding in view.live[1:]:
        yield from finding.supports[:2]
        yield from finding.refutes[:1]
    yield from seen[6:]


def _facts(board: Board, found: Iterable[Fact], most: int, width: int = LINE) -> list[Line]:
    lines: list[Line] = []
    texts = {(flat(each.text, width), each.of) for each in board.facts.values()}
    for fact in found:
        text = flat(fact.text, width)
        if len(lines) >= most:
            break
        if not text or (text, fact.of) in texts:
            continue
        texts.add((text, fact.of))
        name = board.number(fact)
        at = fact.of.short if fact.of.name else f"{fact.of.kind} of {fact.of.namespace or 'the cluster'}"
        lines.append(Line(flat(f"{name} {at}: {text}", width), 80 - len(lines), name=name, fact=fact))
    return lines


def _choices(board: Board, view: View) -> list[Line]:
    """The candidates and reads that were not shown before."""
    lines: list[Line] = []
    fresh = board.nominate(view.live)
    if fresh:
        lines.append(ours("Candidates:"))
    for index, name in enumerate(fresh):
        each = board.candidates[name]
        text = flat(f"{name} {each.cause} at {each.object.short} ({each.strength}): {each.says}", CAUSE_LINE)
        lines.append(Line(text, 90 - index, name=name))
    places = surroundings.places(view.state, view.open or view.symptoms[:3], view.target)
    shown = {*board.probes.values(), *board.made}
    reads = offers.offers(view.state, view.open or view.symptoms, places, shown) if view.probes_left > 0 else []
    new = board.offer(reads)
    if new:
        lines.append(ours("Reads:"))
    lines += [Line(flat(f"{name} {board.probes[name].kubectl()}", 160), 70 - 4 * index, name=name)
              for index, name in enumerate(new)]  # fmt: skip
    return lines


def _read_facts(state: State, read: Read) -> Iterator[Fact]:
    """What a read that was asked for shows, when no mechanism has anything to say of it."""
    if read.what == "logs":
        yield from surroundings.whole_log(state, read)
    elif read.what == "get":
        found = state.find(read.of)
        if found is None:
            yield Fact(f"{read.of.short} could not be read or does not exist", read.of, read)
            return
        yield from surroundings.facts(state, [read.of])
        for part in ("status", "spec", "data") if found.ref.kind != "Secret" else ():
            value = _bare(found.raw.get(part))
            if value:
                yield Fact(f"{part}: {json.dumps(value, separators=(',', ':'), default=str)}", found.ref, read)
    elif read.what == "list":
        names = [each.ref.name for each in state.all(read.of.kind, read.of.namespace or None, group=read.of.group)]
        listed = ", ".join(names[:8]) + (" ..." if len(names) > 8 else "")
        yield Fact(f"{len(names)} {read.of.kind} there{': ' + listed if listed else ''}", read.of, read)


DEFAULTS = frozenset({"terminationMessagePath", "terminationMessagePolicy", "dnsPolicy", "schedulerName", "conditions",
                      "securityContext", "restartPolicy", "imagePullPolicy", "terminationGracePeriodSeconds",
                      "revisionHistoryLimit", "progressDeadlineSeconds", "managedFields"})  # fmt: skip
"""Fields that say little and are long."""


def _bare(value: Any) -> Any:
    """A value without what is empty or as it always is."""
    if isinstance(value, dict):
        kept = {key: _bare(each) for key, each in value.items() if key not in DEFAULTS}
        return {key: each for key, each in kept.items() if each not in (None, {}, [])}
    return [_bare(each) for each in value] if isinstance(value, list) else value


__all__ = ["View", "first_turn", "next_turn"]
