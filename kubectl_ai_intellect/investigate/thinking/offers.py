"""The reads a model may choose among: what it has not been shown yet around what stays unexplained.

All of them are values of the read grammar: gets, lists and logs. A model picks one by its name and adds nothing to it.
What was read already costs no request and is only shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from kubectl_ai_intellect.causes.assess import known
from kubectl_ai_intellect.causes.base import Symptom
from kubectl_ai_intellect.investigate.thinking.surroundings import LAST_LINES
from kubectl_ai_intellect.kube.refs import KNOWN, Ref
from kubectl_ai_intellect.kube.source import Read, Unread, get_of, list_of, logs_of
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import containers
from kubectl_ai_intellect.state.relations import WORKLOADS, Relation, near, owner_refs, pods_of, workload_of

OFFERED = 5


def offers(state: State, symptoms: Sequence[Symptom], places: Iterable[Ref], shown: set[Read]) -> list[Read]:
    """A few reads, the likeliest to tell something first."""
    found = dict.fromkeys(read for read in _all(state, symptoms, list(places)) if read not in shown)
    return sorted(found, key=lambda read: known(state, read))[:OFFERED]  # what nobody has seen comes first


def _all(state: State, symptoms: Sequence[Symptom], places: Sequence[Ref]) -> Iterator[Read]:
    pods = list(dict.fromkeys(pod for at in places for pod in _pods(state, at)))
    for pod in pods:
        yield from _logs(state, pod)
    for at in places:
        for owner in owner_refs(state, at):
            if owner.kind not in ("ReplicaSet", "Job"):
                yield get_of(owner)
        if at.name and at.kind != "Secret" and (at.kind != "Pod" or workload_of(state, at) == at.whole()):
            yield get_of(at.whole())
    for pod in pods:  # whom they call, what they are configured with, and where they run
        for container in near(state, pod, Relation.PART):
            for service in near(state, container, Relation.CALLS):
                for backend in near(state, service, Relation.SELECTS)[:1]:
                    yield from _logs(state, backend)
        mounted = [each for each in near(state, pod, Relation.MOUNTS) if each.kind != "Secret"]
        yield from (get_of(each) for each in mounted if each.name != "kube-root-ca.crt")
        yield from (get_of(node) for node in near(state, pod, Relation.RUNS_ON))
    for at in places:
        if at.kind == "PersistentVolumeClaim":
            yield list_of("StorageClass")
    for symptom in symptoms:  # others of its kind: whether they fare alike
        at = symptom.at
        if at.group and at.namespace and (at.group, at.kind) not in KNOWN:
            yield Read("list", Ref(at.group, at.kind, at.namespace, ""), (("limit", "100"),))


def _pods(state: State, at: Ref) -> list[Ref]:
    if at.kind == "Pod":
        return [at.whole()]
    if at.kind in WORKLOADS:
        return [pod.ref for pod in pods_of(state, at)[:2]]
    return []


def _logs(state: State, pod: Ref) -> Iterator[Read]:
    found = state.find(pod)
    for each in containers(found) if found else ():
        if each.last and _has_more(state, logs_of(each.ref, previous=True)):
            yield logs_of(each.ref, previous=True)
        if (each.running is not None or each.terminated) and _has_more(state, logs_of(each.ref)):
            yield logs_of(each.ref)


def _has_more(state: State, read: Read) -> bool:
    """Whether a log holds more than its end, which is shown anyway."""
    if not known(state, read):
        return True
    digest = state.log(read.of, previous=read.option("previous") == "true")
    return not isinstance(digest, Unread) and digest.lines > LAST_LINES


__all__ = ["OFFERED", "offers"]
