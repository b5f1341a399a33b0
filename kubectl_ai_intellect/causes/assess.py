"""From symptoms to roots: each symptom is followed upstream to the mechanism that explains it best.

A proved local finding screens off whatever lies upstream; a weaker one folds into an upstream root that is at least as
sure; two faults that share no symptom stay two roots; what nothing explains stays open.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from kubectl_ai_intellect.causes.base import Cause, Finding, Symptom, role
from kubectl_ai_intellect.causes.links import LINKS, Link
from kubectl_ai_intellect.kube.refs import Ref
from kubectl_ai_intellect.kube.source import Read
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.relations import Relation, near

VALUE = {
    ("root", "proved"): 9.0,
    ("root", "likely"): 6.0,
    ("root", "possible"): 3.0,
    ("fallback", "proved"): 5.0,
    ("fallback", "likely"): 4.0,
    ("fallback", "possible"): 2.0,
    ("symptom", "proved"): 1.5,
    ("symptom", "likely"): 1.0,
    ("symptom", "possible"): 0.5,
}
"""How much a finding counts: a general mechanism, however sure, yields to a specific one that is likely."""

PROVED = 9.0
TOLERANCE = timedelta(seconds=90)
"""How much later than its effect a cause may be seen first: events and conditions are stamped by different clocks."""


@dataclass(frozen=True, slots=True)
class Step:
    """One link of a chain: this symptom stands, because of the next one (or of the root's finding)."""

    symptom: Symptom
    because: str


@dataclass(frozen=True, slots=True)
class Root:
    """A finding that explains symptoms, with the longest chain of them that leads to it."""

    finding: Finding
    value: float
    explains: tuple[Symptom, ...]
    chain: tuple[Step, ...]
    others: tuple[Finding, ...] = ()  # what was considered instead


@dataclass(frozen=True, slots=True)
class Assessment:
    """Roots, worst first; symptoms that nothing explains; everything that was considered."""

    roots: tuple[Root, ...]
    open: tuple[Symptom, ...]
    considered: tuple[Finding, ...]
    symptoms: tuple[Symptom, ...]
    advice: tuple[Finding, ...] = ()


@dataclass(slots=True)
class _Search:
    """The working memory of one assessment."""

    state: State
    symptoms: Sequence[Symptom]
    findings: Mapping[Symptom, Sequence[Finding]]
    by_kind: dict[str, list[Symptom]] = field(default_factory=dict[str, list[Symptom]])
    by_place: dict[Ref, list[Symptom]] = field(default_factory=dict[Ref, list[Symptom]])

    def __post_init__(self) -> None:
        for symptom in self.symptoms:
            self.by_kind.setdefault(symptom.kind, []).append(symptom)
            self.by_place.setdefault(symptom.at, []).append(symptom)
            if symptom.at.part:
                self.by_place.setdefault(symptom.at.whole(), []).append(symptom)

    def upstream(self, effect: Symptom) -> Iterable[tuple[Link, Symptom]]:
        """The symptoms that, by a link whose relation really holds here, could have made this one."""
        for link in LINKS:
            if effect.kind not in link.effects or not any(kind in self.by_kind for kind in link.causes):
                continue
            for symptom in self._there(link, effect):
                if symptom != effect and symptom.kind in link.causes and in_order(symptom, effect):
                    if link.only is None or link.only(self.state, symptom, effect):
                        yield link, symptom

    def _there(self, link: Link, effect: Symptom) -> Iterable[Symptom]:
        if link.relation is Relation.EVERYWHERE:
            return [symptom for kind in sorted(link.causes) for symptom in self.by_kind.get(kind, ())]
        places: Iterable[Ref]
        if link.relation is Relation.SAME:
            places = [effect.at]
        else:
            at = effect.at if effect.at.part else effect.at.whole()
            places = near(self.state, at, link.relation, not link.back)
        return [symptom for place in dict.fromkeys(places) for symptom in self.by_place.get(place, ())]

    def best(self, symptom: Symptom, path: tuple[Symptom, ...] = ()) -> tuple[float, Finding, tuple[Step, ...]] | None:
        """The finding that explains a symptom best, its worth, and the chain to it."""
        local = max(self.findings.get(symptom, ()), key=worth, default=None)
        options: list[tuple[float, Finding, tuple[Step, ...]]] = []
        if local is not None:
            options.append((worth(local), local, (Step(symptom, local.says),)))
        if local is None or worth(local) < PROVED:
            for link, cause in self.upstream(symptom):
                if cause in path or len(path) > 8:
                    continue
                found = self.best(cause, (*path, symptom))
                if found is not None:
                    options.append((found[0], found[1], (Step(symptom, link.because), *found[2])))
        # An upstream root that is as sure as the local one is nearer to what must be mended.
        return max(options, key=lambda option: (option[0], len(option[2])), default=None)


def worth(finding: Finding) -> float:
    return VALUE.get((role(finding.cause), finding.strength), 0.0) + finding.weight / 2


def in_order(cause: Symptom, effect: Symptom) -> bool:
    """A cause is not seen first long after its effect. Restarts move a symptom's onset, so only clear cases count."""
    if cause.since is None or effect.since is None:
        return True
    return cause.since <= effect.since + TOLERANCE or effect.kind in MOVING or cause.kind in MOVING


MOVING = frozenset(
    [
        "container-restarting",
        "container-unready",
        "container-killed-memory",
        "probe-killing",
        "container-finished",
        "client-failing",
        "name-failing",
        "access-denied",
        "workload-short",
        "rollout-stalled",
        "start-refused",
        "pull-failing",
        "config-refused",
        "init-waiting",
        "slow",
        "no-endpoints",
        "port-unserved",
        "service-suspect",
        "pod-unscheduled",
        "pod-stuck-creating",
    ]
)
"""Symptoms whose first sight says little: they are seen anew with each restart, each pod, or date from creation."""


def examine(state: State, symptoms: Iterable[Symptom], causes: Mapping[str, Cause]) -> dict[Symptom, list[Finding]]:
    """What every mechanism that a symptom wakes says of it."""
    findings: dict[Symptom, list[Finding]] = {}
    for symptom in symptoms:
        for cause in causes.values():
            if symptom.kind in cause.explains:
                for finding in cause.examine(state, symptom):
                    findings.setdefault(symptom, []).append(finding)
    return findings


def assess(
    state: State,
    symptoms: Sequence[Symptom],
    causes: Mapping[str, Cause],
    focus: Iterable[Symptom] | None = None,
) -> Assessment:
    """Follow each symptom in focus (all, if none is given) to its root."""
    findings = examine(state, symptoms, causes)
    standing = {
        symptom: [each for each in found if each.strength != "refuted" and role(each.cause) != "advice"]
        for symptom, found in findings.items()
    }
    search = _Search(state, symptoms, standing)
    roots: dict[tuple[str, Ref], list[tuple[float, Finding, tuple[Step, ...]]]] = {}
    unexplained: list[Symptom] = []
    for symptom in symptoms if focus is None else focus:
        found = search.best(symptom)
        if found is None:
            unexplained.append(symptom)
        else:
            roots.setdefault((found[1].cause, found[1].object), []).append(found)
    considered = [each for found in findings.values() for each in found]
    folded = [_root(group, considered) for group in roots.values()]
    return Assessment(
        tuple(sorted(_apart(state, folded), key=lambda root: -root.value)),
        tuple(unexplained),
        tuple(considered),
        tuple(symptoms),
        tuple(each for each in considered if role(each.cause) == "advice" and each.strength != "refuted"),
    )


def _root(group: Sequence[tuple[float, Finding, tuple[Step, ...]]], considered: Sequence[Finding]) -> Root:
    value, finding, chain = max(group, key=lambda each: (each[0], len(each[2])))
    symptoms = tuple(dict.fromkeys(step.symptom for _, _, steps in group for step in steps))
    others = [
        each
        for each in considered
        if each.accounts_for & set(symptoms) and (each.cause, each.object) != (finding.cause, finding.object)
    ]
    return Root(finding, value, symptoms, chain, tuple(_distinct(others)))


def _distinct(findings: Iterable[Finding]) -> list[Finding]:
    best: dict[tuple[str, Ref], Finding] = {}
    for each in findings:
        key = (each.cause, each.object)
        if key not in best or worth(each) > worth(best[key]):
            best[key] = each
    return sorted(best.values(), key=worth, reverse=True)


def _apart(state: State, roots: Sequence[Root]) -> list[Root]:
    """Weaker guesses about an object that a surer root already explains become that root's alternatives."""
    kept: list[Root] = []
    for root in sorted(roots, key=lambda each: (-each.value, -len(each.explains))):
        places = _places(state, root)
        stronger = next(
            (
                each
                for each in kept
                if root.value < each.value and places & _places(state, each) and root.value < PROVED
            ),
            None,
        )
        if stronger is None:
            kept.append(root)
            continue
        index = kept.index(stronger)
        kept[index] = Root(
            stronger.finding,
            stronger.value,
            (*stronger.explains, *root.explains),
            stronger.chain,
            tuple(_distinct((*stronger.others, root.finding))),
        )
    return kept


def _places(state: State, root: Root) -> set[Ref]:
    from kubectl_ai_intellect.state.relations import workload_of

    return {root.finding.object.whole()} | {
        workload_of(state, symptom.at) if symptom.at.kind in ("Pod", "ReplicaSet") else symptom.at.whole()
        for symptom in root.explains
    }


def sources(state: State, symptoms: Sequence[Symptom], focus: Iterable[Symptom]) -> list[Symptom]:
    """All that these symptoms could come from, over however many links: whatever decides may lie there."""
    search = _Search(state, symptoms, {})
    found: dict[Symptom, None] = {}
    open = list(focus)
    while open and len(found) < 60:
        for _, cause in search.upstream(open.pop(0)):
            if cause not in found:
                found[cause] = None
                open.append(cause)
    return list(found)


def wanted(state: State, symptoms: Iterable[Symptom], causes: Mapping[str, Cause]) -> list[Read]:
    """What the mechanisms that these symptoms wake still need to read, each once."""
    reads: dict[Read, None] = {}
    for symptom in symptoms:
        for cause in causes.values():
            if symptom.kind in cause.explains:
                for read in cause.needs(state, symptom):
                    if not known(state, read):
                        reads.setdefault(read)
    return list(reads)


def known(state: State, read: Read) -> bool:
    """Whether a State already holds the answer to a read (a whole list answers for a narrower one)."""
    if read in state.fetched:
        return True
    if read.what == "list":
        return state.listed(read.of)
    if read.what == "get" and not read.options:
        return state.find(read.of) is not None or state.absent(read.of)
    return False


__all__ = [
    "PROVED",
    "Assessment",
    "Root",
    "Step",
    "assess",
    "examine",
    "in_order",
    "known",
    "sources",
    "wanted",
    "worth",
]
