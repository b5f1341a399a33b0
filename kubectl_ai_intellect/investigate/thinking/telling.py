"""The explanation: asked for when the verdict stands, told sentence by sentence as each is found to hold."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable

from kubectl_ai_intellect.gateway.protocol import ModelError
from kubectl_ai_intellect.investigate.thinking import wording
from kubectl_ai_intellect.investigate.thinking.checks import Refused, related
from kubectl_ai_intellect.investigate.thinking.explaining import Ground, Sentences, believed, of_value
from kubectl_ai_intellect.investigate.thinking.shapes import explanation
from kubectl_ai_intellect.investigate.thinking.thinker import Thinker
from kubectl_ai_intellect.investigate.thinking.wording import OURS, Line, flat, ours
from kubectl_ai_intellect.kube.refs import Ref, group_of
from kubectl_ai_intellect.report import Diagnosis, Evidence, ObjectRef
from kubectl_ai_intellect.state.graph import State

EXPLAINING = 360
"""Tokens of an explanation at most."""
CITABLE = 9

_NUMBER = re.compile(r"E\d+")

Say = Callable[[str], None]


def explain(thinker: Thinker, report: Diagnosis, state: State, say: Say) -> str:
    """The sentences that held, joined; each was said as soon as it was known to."""
    citable = _citable(report)
    if thinker.failed or not citable or report.verdict.status == "healthy":
        return ""
    told = _Told(Ground(report.verdict, {each.id: each for each in citable}, _about(state)), say)
    with contextlib.suppress(ModelError):  # the thinker keeps the reason; what was said so far stands
        _ask(thinker, report, citable, told)
    return " ".join(told.sentences)


class _Told:
    """Says each sentence once, if it holds."""

    def __init__(self, ground: Ground, say: Say) -> None:
        self.ground, self.say = ground, say
        self.sentences: list[str] = []
        self.heard: set[str] = set()
        self.coming = Sentences()

    def token(self, text: str) -> None:
        for sentence in self.coming.feed(text):
            self.take(*sentence)

    def take(self, says: str, cites: list[str]) -> None:
        if says in self.heard:
            return
        self.heard.add(says)
        try:
            sentence = believed(self.ground, says, cites)
        except Refused:
            return
        if sentence not in self.sentences:
            self.sentences.append(sentence)
            self.say(sentence)


def _ask(thinker: Thinker, report: Diagnosis, citable: list[Evidence], told: _Told) -> None:
    grammar = explanation(tuple(each.id for each in citable))
    lines = _turn(thinker, report, citable)
    used = thinker.asked(lambda _: thinker.model.count(thinker.prompt)) if thinker.steps else 0
    budget = used + wording.STEP if thinker.steps else wording.FIRST
    prompt, _ = thinker.asked(lambda _: wording.fitted(thinker.model, thinker.prompt, lines, budget))
    done = thinker.asked(lambda tell: thinker.model.complete(prompt, grammar, EXPLAINING, tell), told.token)
    for sentence in of_value(done.value):
        told.take(*sentence)


def _turn(thinker: Thinker, report: Diagnosis, citable: list[Evidence]) -> list[Line]:
    verdict = report.verdict
    lines = [] if thinker.steps else [Line(f"Question: {flat(report.question)}", OURS), *_before(report)]
    if verdict.object is not None:
        where = f"{verdict.cause or 'outside the catalogue'} at {verdict.object.short}"
        lines.append(Line(flat(f"The verdict: {verdict.title} ({where})", 300), OURS))
    else:
        lines.append(Line(flat(f"No cause was decided. {verdict.explanation}", 300), OURS))
    lines += [Line(flat(f"Suffers: {', '.join(each.short for each in verdict.affects[:4])}"), 60)] * bool(
        verdict.affects
    )
    chain = verdict.chain[:-1]
    lines += [Line(flat(f"Leads to it: {step.object.short}: {step.because}", 160), 50 - index)
              for index, step in enumerate(chain[:3])]  # fmt: skip
    new = [each for each in citable if each.id not in thinker.board.facts]
    if new:
        lines.append(ours("Facts:"))
    lines += [Line(flat(f"{each.id} {each.object.short}: {each.text}"), 90 - index) for index, each in enumerate(new)]
    return [*lines, ours("Explain.")]


def _before(report: Diagnosis) -> list[Line]:
    after = report.after
    return [Line(flat(f"Before: {after.question} Answer: {after.answer}"), 95)] if after else []


def _citable(report: Diagnosis) -> list[Evidence]:
    """The evidence of the verdict; where there is no verdict, all of it."""
    own = {name for step in report.verdict.chain for name in step.evidence}
    compared = {name for text in (report.after.differences if report.after else ()) for name in _NUMBER.findall(text)}
    own |= compared if own else set()
    chosen = [each for each in report.evidence if each.id in own] if own else report.evidence
    return chosen[:CITABLE]


def _about(state: State) -> Callable[[Evidence, ObjectRef], bool]:
    def ref_of(each: ObjectRef) -> Ref:
        return Ref(group_of(each.apiVersion), each.kind, each.namespace or "", each.name)

    def about(evidence: Evidence, at: ObjectRef) -> bool:
        return at.name in evidence.text or related(state, ref_of(evidence.object), ref_of(at))

    return about


__all__ = ["CITABLE", "EXPLAINING", "explain"]
