"""From an assessment to the report: numbering evidence, drawing the chain, checking the mend, weighing the harm."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubectl_ai_intellect.causes.assess import Assessment, Root, worth
from kubectl_ai_intellect.causes.base import Cause, Fact, Finding, Mend, Symptom, causes, role
from kubectl_ai_intellect.causes.commands import argument, commands, operations_of
from kubectl_ai_intellect.evidence.redact import clean, redact
from kubectl_ai_intellect.kube.refs import KNOWN, Ref
from kubectl_ai_intellect.report import (
    Alternative,
    ChainStep,
    Evidence,
    Fix,
    ManagedBy,
    ObjectRef,
    Severity,
    Verdict,
)
from kubectl_ai_intellect.state.edits import Patch
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import is_ready
from kubectl_ai_intellect.state.relations import Relation, near, owner_refs, pods_of, workload_of

CONFIDENCE = {"proved": 0.95, "likely": 0.75, "possible": 0.45, "refuted": 0.02}
"""What each strength has been worth so far: `benchmarks/accuracy.py` prints the hit rate of each."""


def said(text: str) -> str:
    """Text that came from a cluster, fit to be shown: secrets masked, control characters visible."""
    return clean(redact(text))


def named(target: Ref, state: State | None = None) -> ObjectRef:
    resource = KNOWN.get((target.group, target.kind))
    found = state.find(target) if state else None
    version = (found.raw.get("apiVersion") if found else None) or (
        resource.api_version if resource else (f"{target.group}/v1" if target.group else "v1")
    )
    return ObjectRef(apiVersion=version, kind=target.kind, namespace=target.namespace or None, name=target.name)


@dataclass
class Ledger:
    """Evidence in the order it is first cited; a fact cited twice keeps its number."""

    state: State
    numbers: dict[tuple[str, Ref], str] = field(default_factory=dict[tuple[str, Ref], str])
    """Numbers that were given out already: a model knows its facts by them."""
    entries: list[Evidence] = field(default_factory=list[Evidence])
    _cited: set[str] = field(default_factory=set[str])

    def cite(self, fact: Fact) -> str:
        key = (fact.text, fact.of)
        number = self.numbers.setdefault(key, f"E{len(self.numbers) + 1}")
        if number not in self._cited:
            self._cited.add(number)
            self.entries.append(
                Evidence(
                    id=number,
                    object=named(fact.of, self.state),
                    command=fact.read.kubectl() if fact.read else "",
                    text=said(fact.text),
                    at=fact.at.isoformat() if fact.at else None,
                )
            )
        return number

    def cite_all(self, facts: Iterable[Fact]) -> list[str]:
        return [self.cite(fact) for fact in facts]


def verdict_of(state: State, root: Root, ledger: Ledger, missing: Sequence[str] = ()) -> Verdict:
    """One root as a verdict, its evidence entered into the ledger."""
    finding = root.finding
    cause = causes().get(finding.cause)
    hurt = affected(state, root)
    return Verdict(
        status="root_cause",
        cause=finding.cause,
        title=said(_headline(finding)),
        object=named(finding.object, state),
        affects=[named(each, state) for each in hurt],
        severity=severity(state, root, hurt),
        confidence=confidence(state, root),
        explanation=said(_explanation(finding, hurt)),
        chain=_chain(state, root, ledger),
        fix=[fix_of(state, mend, finding) for mend in finding.mends],
        mendCheck=mend_check(state, finding, cause),
        managedBy=managed_by(state, finding.object),
        alternatives=[
            Alternative(
                cause=each.cause,
                object=named(each.object, state),
                confidence=round(min(CONFIDENCE[each.strength], max(0.02, 0.9 - confidence(state, root))), 2),
                ruledOutBy=ledger.cite_all(
                    each.refutes or (finding.supports[:1] if each.strength != "refuted" else ())
                ),
            )
            for each in root.others[:5]
        ],
        missing=list(missing),
        runbook=finding.cause,
    )


def _headline(finding: Finding) -> str:
    first = finding.says.split(". ")[0].strip().rstrip(".")
    return first[:1].upper() + first[1:]


def _explanation(finding: Finding, hurt: Sequence[Ref]) -> str:
    text = finding.says.rstrip(".")
    others = list(dict.fromkeys(each.whole() for each in hurt if each.whole() != finding.object.whole()))
    tail = f" It takes down {', '.join(each.short for each in others[:4])}." if others else ""
    return text[:1].upper() + text[1:] + "." + tail


def _chain(state: State, root: Root, ledger: Ledger) -> list[ChainStep]:
    steps: list[ChainStep] = []
    for step in root.chain[:-1]:
        steps.append(
            ChainStep(object=named(step.symptom.at, state), because=said(f"{words(step.symptom)}: {step.because}"))
        )
    last = root.chain[-1].symptom
    cited = ledger.cite_all(root.finding.supports)
    steps.append(ChainStep(object=named(last.at, state), because=said(words(last)), evidence=cited))
    if root.finding.object.whole() != last.at.whole():
        steps.append(
            ChainStep(object=named(root.finding.object, state), because=said(root.finding.says), evidence=cited)
        )
    else:
        steps[-1] = ChainStep(
            object=steps[-1].object, because=said(f"{words(last)}: {root.finding.says}"), evidence=cited
        )
    return steps


def words(symptom: Symptom) -> str:
    """A symptom in plain words."""
    note = f" ({symptom.note})" if symptom.note else ""
    part = f"{symptom.at.part} " if symptom.at.part else ""
    return f"{part}{symptom.kind.replace('-', ' ')}{note}"


def confidence(state: State, root: Root) -> float:
    """Strength, a little less for general mechanisms, and for rivals that are as sure."""
    value = CONFIDENCE[root.finding.strength]
    value -= {"fallback": 0.1, "symptom": 0.4}.get(role(root.finding.cause), 0.0)
    if role(root.finding.cause) == "fallback" and not _heard(state, root):
        value -= 0.25  # with no events left, a specific mechanism may be the one and not be seen
    if _half_read(state):
        value = min(value, CONFIDENCE["likely"])
    rivals = [each for each in root.others if each.strength != "refuted" and worth(each) >= root.value - 0.01]
    return round(max(0.05, value - 0.1 * min(len(rivals), 2)), 2)


TELLING = frozenset(
    [
        "Pod",
        "Event",
        "Deployment",
        "StatefulSet",
        "ConfigMap",
        "PersistentVolumeClaim",
        "ResourceQuota",
        "LimitRange",
        "ServiceAccount",
    ]
)
"""Kinds of a namespace in which another cause may lie than the one that is seen without them."""


def _half_read(state: State) -> bool:
    """Whether a list was asked for in which a nearer cause could stand, and was not to be had."""
    return any(
        read.what == "list"
        and read.of.kind in TELLING
        and answer.unread is not None
        and answer.unread.why != "not-served"
        for read, answer in state.fetched.items()
    )


def _heard(state: State, root: Root) -> bool:
    """Whether any event about what the root explains is left."""
    return any(state.events(symptom.at.whole()) for symptom in root.explains)


def affected(state: State, root: Root) -> list[Ref]:
    """What suffers: workloads first, then the Services and routes over them, then their clients."""
    workloads: dict[Ref, None] = {}
    traffic: dict[Ref, None] = {}
    for symptom in root.explains:
        at = symptom.at.whole()
        if at.kind in ("Pod", "ReplicaSet", "Job"):
            workloads.setdefault(workload_of(state, at))
        elif at.kind in ("Deployment", "StatefulSet", "DaemonSet", "CronJob"):
            workloads.setdefault(at)
        elif (
            at.kind
            in ("Service", "Ingress", "HTTPRoute", "Gateway", "PersistentVolumeClaim", "HorizontalPodAutoscaler")
            or symptom.at != root.finding.object
        ):
            traffic.setdefault(at)
    for workload in list(workloads):
        for service in near(state, workload, Relation.SELECTS, back=True):
            if service.kind == "Service" and not _serving(state, service):
                traffic.setdefault(service)
    for service in list(traffic):
        if service.kind == "Service":
            for route in near(state, service, Relation.ROUTES, back=True):
                traffic.setdefault(route)
    for extra in root.finding.affects:
        traffic.setdefault(extra)
    found = [*workloads, *traffic]
    return [each for each in found if each != root.finding.object or each in workloads]


def _serving(state: State, service: Ref) -> bool:
    from kubectl_ai_intellect.causes.symptoms.traffic import ready_endpoints

    found = state.find(service)
    return found is None or bool(ready_endpoints(state, found) or 0)


LIGHT = frozenset({"eviction-blocked", "quota-full", "scaler-capped", "mixed-image", "service-suspect", "node-closed",
                   "traffic-guarded", "certificate-old", "cronjob-idle", "stale-config", "slow"})  # fmt: skip


def severity(state: State, root: Root, hurt: Sequence[Ref]) -> Severity:
    """Critical: something serves nobody; high: it serves less than it should; medium: at risk; low: advice."""
    kinds = {symptom.kind for symptom in root.explains}
    if role(root.finding.cause) == "advice":
        return "low"
    for each in hurt:
        if each.kind == "Service" and not _serving(state, each):
            return "critical"
        if each.kind in ("Deployment", "StatefulSet", "DaemonSet", "Pod"):
            pods = pods_of(state, each)
            if kinds - LIGHT and not any(is_ready(pod) for pod in pods):
                return "critical"
    if kinds <= LIGHT:
        return "medium"
    return "high"


def fix_of(state: State, mend: Mend, finding: Finding) -> Fix:
    printed = [
        line
        for patch in (*mend.patches, *_unblocking(state, mend), *_unwaiting(state, mend, finding))
        for line in commands(state, patch)
    ]
    printed += [read.kubectl() for read in mend.advice] if not printed else []
    return Fix(
        kind=mend.kind,
        title=said(mend.title),
        commands=[_unsecret(line) for line in printed],
        patches=[_patch_record(state, patch) for patch in mend.patches],
        risk=mend.risk,
        unknown=[said(each) for each in mend.unknown],
    )


def _unblocking(state: State, mend: Mend) -> list[Patch]:
    """A StatefulSet does not replace a pod that never became ready, whatever its template says now: delete that pod."""
    for patch in mend.patches:
        inside = any(edit.path[:2] == ("spec", "template") for edit in patch.edits) or patch.action == "rollback"
        if patch.target.kind == "StatefulSet" and inside and patch.action in ("edit", "rollback"):
            broken = [pod.ref for pod in pods_of(state, patch.target) if not is_ready(pod)]
            return [Patch(each, action="delete") for each in sorted(broken)[:1]]
    return []


def _unwaiting(state: State, mend: Mend, finding: Finding) -> list[Patch]:
    """A controller that was refused pods tries again ever more seldom: a restart makes it try now.

    Only where nothing of the workload runs, so that the restart replaces nobody, and only where no other patch of the
    mend makes a new revision anyway.
    """
    if mend.kind != "mend" or not mend.patches:
        return []
    refused = {
        each.at for each in finding.accounts_for if each.kind == "create-refused" and each.at.kind == "Deployment"
    }
    idle = [at for at in sorted(refused) if not any(is_ready(pod) for pod in pods_of(state, at))]
    return [Patch(at, action="restart") for at in idle if at not in {patch.target for patch in mend.patches}]


def _unsecret(line: str) -> str:
    """Commands are copied as they stand, so only what must never be shown is masked, and line breaks stay."""
    return "\n".join(clean(redact(part)) for part in line.split("\n"))


def _patch_record(state: State, patch: Any) -> dict[str, Any]:
    record: dict[str, Any] = {
        "object": named(patch.target, state).model_dump(exclude_none=True),
        "action": patch.action,
    }
    if patch.action == "edit":
        record["operations"] = [
            {**operation, "value": _masked(operation["value"])} if "value" in operation else operation
            for operation in operations_of(state, patch)
        ]
    return record


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {key: _masked(each) for key, each in value.items()}
    return [_masked(each) for each in value] if isinstance(value, list) else value


def mend_check(state: State, finding: Finding, cause: Cause | None) -> Any:
    """Patch the declared state in memory and look again: the fault must be gone and no new one there."""
    mend = next((each for each in finding.mends if each.kind == "mend" and each.patches), None)
    if cause is None or cause.holds is None or mend is None:
        return "not_checkable"
    if not cause.holds(state, finding.object):
        return "not_checkable"
    after = state.patched(*mend.patches)
    if cause.holds(after, finding.object):
        return "does_not_clear"
    new = {each.id for each in causes().values() if each.holds and _holds(each, after, finding.object)}
    old = {each.id for each in causes().values() if each.holds and _holds(each, state, finding.object)}
    return "clears" if new <= old else "does_not_clear"


def _holds(cause: Cause, state: State, at: Ref) -> bool:
    holds: Callable[[State, Ref], bool] | None = cause.holds
    return bool(holds and state.find(at) is not None and holds(state, at))


def managed_by(state: State, at: Ref) -> ManagedBy | None:
    """Who would put a hand-made change back, as labels, annotations, owners and field managers tell."""
    from kubectl_ai_intellect.state.history import managed_by as told

    found = state.find(at)
    for owner in [found] if found else []:
        answer = told(owner)
        if answer:
            return ManagedBy(tool=answer[0], where=said(answer[1]))
    for owner in owner_refs(state, at):
        above = state.find(owner)
        answer = told(above) if above else None
        if answer:
            return ManagedBy(tool=answer[0], where=said(answer[1]))
    return None


def inconclusive(assessment: Assessment, ledger: Ledger, missing: Sequence[str], reads: Sequence[str]) -> Verdict:
    """Something is wrong and nothing decides it: say what is seen and what would tell."""
    seen = assessment.open or assessment.symptoms
    listed = "; ".join(f"{each.at.short}: {words(each)}" for each in list(seen)[:4])
    return Verdict(
        status="inconclusive",
        title="What was read does not decide the cause",
        affects=[named(each, ledger.state) for each in dict.fromkeys(one.at.whole() for one in seen)][:6],
        severity="medium",
        explanation=said(
            f"Seen: {listed}." if listed else "What could be read shows nothing wrong, but not all could be read."
        ),
        missing=list(dict.fromkeys([*missing, *reads])) or [described(each.at) for each in list(seen)[:3]],
    )


def described(at: Ref) -> str:
    """The command that shows most of an object that nothing explains."""
    where = f" -n {at.namespace}" if at.namespace else ""
    return f"kubectl describe {argument(at.whole())}{where}"


def healthy(where: str, missing: Sequence[str], advice: Sequence[Finding] = (), coming: Sequence[str] = ()) -> Verdict:
    """Nothing is wrong; what is still coming up, and what rests on purpose, is told beside it."""
    soon = f"Still starting: {'; '.join(said(each) for each in coming[:4])}." if coming else ""
    hint = " ".join(said(each.says.rstrip(".") + ".") for each in advice[:3])
    told = f"No failing pod, workload, Service, claim or node was found in {where}."
    return Verdict(
        status="healthy",
        title=f"Nothing is wrong in {where}" + (" so far" if coming else ""),
        severity="low",
        confidence=0.9 if not missing and not coming else 0.6,
        explanation=" ".join(each for each in (told, soon, hint) if each),
        missing=list(missing),
    )


def unmatched(lines: Sequence[str], where: str, missing: Sequence[str]) -> Verdict:
    """What was piped in tells of a failure, and nothing in the scope shows one."""
    return Verdict(
        status="inconclusive",
        title=f"What was piped in shows a failure that nothing in {where} accounts for",
        severity="medium",
        explanation=said(f"It says: {'; '.join(lines)}. No failing object was found in {where}."),
        missing=[*missing, "the container that wrote it: name it, for example pod/NAME -c CONTAINER"],
    )


__all__ = ["Ledger", "confidence", "healthy", "inconclusive", "named", "said", "severity", "unmatched", "verdict_of"]
