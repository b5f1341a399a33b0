"""From a model's conclusion to a root: a candidate that exists moves to the front, a stated cause becomes a weak root."""

from __future__ import annotations

from collections.abc import Sequence

from kubectl_ai_intellect.causes.assess import Assessment, Root, Step, worth
from kubectl_ai_intellect.causes.base import Finding, Symptom
from kubectl_ai_intellect.investigate.thinking.thinker import Picked, Stated
from kubectl_ai_intellect.kube.refs import Ref
from kubectl_ai_intellect.report import Verdict
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.relations import workload_of

STATED = 0.35
"""The confidence of a cause that only a model states: less than a possible one of the catalogue."""


def live_findings(assessment: Assessment) -> list[Finding]:
    """What a model may choose among: the roots and what was considered beside them, the surest first."""
    found: dict[tuple[str, Ref], Finding] = {}
    for root in assessment.roots:
        for each in (root.finding, *root.others):
            if each.strength != "refuted":
                found.setdefault((each.cause, each.object), each)
    return list(found.values())


def concluded(
    state: State, assessment: Assessment, focus: Sequence[Symptom], conclusion: Picked | Stated
) -> tuple[Root | None, list[Root]]:
    """The root that was concluded (none where what it was chosen from has changed), and the roots beside it."""
    if isinstance(conclusion, Stated):
        return _stated(state, assessment, focus, conclusion)
    roots, wanted = assessment.roots, conclusion.finding
    for root in roots:
        if _same(root.finding, wanted):
            return root, [each for each in roots if each is not root]
    for root in roots:
        if any(_same(each, wanted) for each in root.others):
            return _instead(root, wanted), [each for each in roots if each is not root]
    return None, list(roots)


def _same(one: Finding, other: Finding) -> bool:
    return (one.cause, one.object) == (other.cause, other.object)


def _instead(root: Root, finding: Finding) -> Root:
    """The root with another of its findings in front."""
    at = next((index for index, step in enumerate(root.chain) if step.symptom in finding.accounts_for), None)
    if at is not None:
        chain = (*root.chain[:at], Step(root.chain[at].symptom, finding.says))
    else:
        own = next(iter(sorted(finding.accounts_for & set(root.explains))), root.chain[0].symptom)
        chain = (Step(own, finding.says),)
    others = [root.finding, *(each for each in root.others if not _same(each, finding))]
    return Root(finding, worth(finding), root.explains, chain, tuple(others))


def _stated(
    state: State, assessment: Assessment, focus: Sequence[Symptom], conclusion: Stated
) -> tuple[Root | None, list[Root]]:
    """A root of the model's own: what stayed open is what it explains; a guess about the same object yields to it."""
    kin = [root for root in assessment.roots if _at(state, root.finding.object) == _at(state, conclusion.at)]
    weaker = [root for root in kin if root.finding.strength != "proved"] or list(assessment.roots[:1])
    explains = [*assessment.open, *(one for root in weaker for one in root.explains)] or list(focus)
    symptoms = list(dict.fromkeys(explains))
    if not symptoms:
        return None, list(assessment.roots)
    first = next((each for each in symptoms if _at(state, each.at) == _at(state, conclusion.at)), symptoms[0])
    finding = Finding("other", conclusion.at, "possible", conclusion.text, frozenset(symptoms), conclusion.facts)
    others = [each for root in weaker for each in (root.finding, *root.others)]
    root = Root(finding, 0.0, tuple(symptoms), (Step(first, conclusion.text),), tuple(others))
    return root, [each for each in assessment.roots if each not in weaker]


def _at(state: State, at: Ref) -> Ref:
    return workload_of(state, at.whole()) if at.kind in ("Pod", "ReplicaSet") else at.whole()


def as_stated(verdict: Verdict, model: str) -> Verdict:
    """The verdict on a stated cause: of no catalogue, with nothing to run, and no surer than a guess."""
    source = f"no mechanism of the catalogue confirms this: {model} concluded it from the facts that are cited"
    return verdict.model_copy(
        update={
            "cause": None,
            "runbook": None,
            "fix": [],
            "mendCheck": "not_checkable",
            "confidence": min(verdict.confidence, STATED),
            "missing": [*verdict.missing, source],
        }
    )


__all__ = ["STATED", "as_stated", "concluded", "live_findings"]
