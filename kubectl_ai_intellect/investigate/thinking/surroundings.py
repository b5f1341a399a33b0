"""What there is to see around open symptoms, as numbered facts: whatever anybody would look at first.

Mechanisms cite what decides them. A model that is to find what no mechanism knows needs the rest: how containers
stand and ended, warnings, what conditions say, how logs end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from kubectl_ai_intellect.causes.base import Fact, Symptom
from kubectl_ai_intellect.causes.facts import field, logged, logs, told
from kubectl_ai_intellect.kube.refs import Ref
from kubectl_ai_intellect.kube.source import Object, Read, Unread
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import Container, containers
from kubectl_ai_intellect.state.relations import WORKLOADS, Relation, near, owner_refs, pods_of, workload_of

HITS = 3
LAST_LINES = 4
WARNINGS = 3
PODS = 2
NOT_WELL = frozenset({"Ready", "Available", "Progressing", "Synced", "Healthy", "Reconciled", "Initialized"})
BAD_WHEN_TRUE = frozenset({"Failed", "Degraded", "Stalled", "ReplicaFailure", "Error", "MemoryPressure",
                           "DiskPressure", "PIDPressure", "NetworkUnavailable"})  # fmt: skip


def facts(state: State, places: Iterable[Ref]) -> Iterator[Fact]:
    """Facts about these places in the order in which they would be looked at."""
    for at in places:
        found = state.find(at)
        if found is not None:
            yield from _conditions(found)
            if at.kind == "Pod":
                yield from _containers(found, at.part)
        warnings = [each for each in state.events(at) if each.warning]
        for each in warnings[:WARNINGS]:
            yield told(each)
        if found is not None and at.kind == "Pod":
            for each in containers(found):
                if not at.part or each.name == at.part:
                    yield from _log(state, each.ref)


def _conditions(found: Object) -> Iterator[Fact]:
    for each in found.status.get("conditions") or ():
        kind, status = each.get("type"), each.get("status")
        bad = status != "True" if kind in NOT_WELL else status == "True" and kind in BAD_WHEN_TRUE
        detail = ": ".join(part for part in (each.get("reason"), each.get("message")) if part)
        if bad and detail:
            yield field(found, f"condition {kind} is {status}: {detail}")


def _containers(pod: Object, part: str) -> Iterator[Fact]:
    for each in containers(pod):
        if part and each.name != part:
            continue
        words = list(_standing(each))
        if words:
            yield field(pod.ref.at(each.name), f"container {each.name} {'; '.join(words)}")


def _standing(each: Container) -> Iterator[str]:
    if each.waiting:
        message = each.waiting.get("message")
        yield f"waits: {each.waiting.get('reason')}" + (f" ({message})" if message else "")
    if each.death and (each.death.get("exitCode") or each.restarts):
        yield f"ended with {each.death.get('exitCode')} ({each.death.get('reason')}), {each.restarts} restarts"
    elif each.running is not None and not each.ready:
        yield "runs but is not ready"


def _log(state: State, at: Ref) -> Iterator[Fact]:
    """The strongest lines of a log, and how it ends."""
    for digest, previous in logs(state, at):
        shown: set[str] = set()
        for hit in [each for each in digest.hits if not each.recovered][:HITS]:
            shown.add(hit.line)
            yield logged(at, hit, previous=previous)
        last = [line for line in digest.last_lines if line.strip() and line not in shown][-LAST_LINES:]
        if last:
            read = Read("logs", at, (("previous", "true"),) if previous else ())
            yield Fact(f"log of {at.part} ends with: " + " | ".join(last), at, read)


def whole_log(state: State, read: Read) -> Iterator[Fact]:
    """A log that was asked for by itself: its strongest lines, and all that is kept of its end."""
    digest = state.log(read.of, previous=read.option("previous") == "true")
    if isinstance(digest, Unread) or digest.empty:
        yield Fact(f"log of {read.of.part}: nothing could be read", read.of, read)
        return
    for hit in digest.hits[:HITS]:
        yield logged(read.of, hit, previous=read.option("previous") == "true")
    yield Fact(
        f"log of {read.of.part} ends: " + " | ".join(line for line in digest.last_lines if line.strip()), read.of, read
    )


def places(state: State, symptoms: Sequence[Symptom], target: Ref | None = None) -> list[Ref]:
    """The objects to look at for open symptoms: where they are, what they stand for, and two pods of a workload."""
    found: dict[Ref, None] = {}
    for at in [*([target] if target else []), *(each.at for each in symptoms)]:
        found.setdefault(at if at.part else at.whole())
        if at.kind in WORKLOADS:
            for pod in pods_of(state, at)[:PODS]:
                found.setdefault(pod.ref)
        elif at.kind == "Pod":
            found.setdefault(workload_of(state, at))
        elif at.kind == "Service":
            for pod in near(state, at, Relation.SELECTS)[:PODS]:
                found.setdefault(pod)
        for owner in owner_refs(state, at):
            if owner.kind not in WORKLOADS:
                found.setdefault(owner)
    return list(found)


__all__ = ["facts", "places", "whole_log"]
