"""The reads a model may choose among: what nobody has read yet around what stays unexplained.

All of them are values of the read grammar: lists, gets and logs. A model picks one by its name and adds nothing to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from kubectl_ai_intellect.causes.assess import known
from kubectl_ai_intellect.causes.base import Symptom
from kubectl_ai_intellect.kube.refs import KNOWN, Ref, ref
from kubectl_ai_intellect.kube.source import Read, get_of, list_of, logs_of
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import containers
from kubectl_ai_intellect.state.relations import WORKLOADS, Relation, near, owner_refs, pods_of

OFFERED = 5


def offers(state: State, symptoms: Sequence[Symptom], places: Iterable[Ref], asked: set[Read]) -> list[Read]:
    """A few reads, the likeliest to tell something first."""
    found: dict[Read, None] = {}
    for read in _all(state, symptoms, list(places)):
        if read not in asked and not known(state, read):
            found.setdefault(read)
    return list(found)[:OFFERED]


def _all(state: State, symptoms: Sequence[Symptom], places: Sequence[Ref]) -> Iterator[Read]:
    pods = list(dict.fromkeys(pod for at in places for pod in _pods(state, at)))
    for pod in pods:
        yield from _logs(state, pod)
    for at in places:
        for owner in owner_refs(state, at):
            yield get_of(owner)
        if at.name and state.find(at) is None:
            yield get_of(at.whole())
    for pod in pods:  # whom they call, and what runs there
        for container in near(state, pod, Relation.PART):
            for service in near(state, container, Relation.CALLS):
                for backend in near(state, service, Relation.SELECTS)[:1]:
                    yield from _logs(state, backend)
        for node in near(state, pod, Relation.RUNS_ON):
            yield get_of(node)
    for namespace in dict.fromkeys(each.at.namespace for each in symptoms if each.at.namespace):
        for kind in ("ResourceQuota", "LimitRange", "NetworkPolicy", "ServiceAccount", "ConfigMap", "Endpoints"):
            if ("", kind) in KNOWN or any(each[1] == kind for each in KNOWN):
                yield list_of(kind, namespace)
    for at in places:
        if at.kind == "PersistentVolumeClaim":
            yield list_of("StorageClass")
        elif at.kind == "Node":
            yield get_of(ref("Lease", "kube-node-lease", at.name))


def _pods(state: State, at: Ref) -> list[Ref]:
    if at.kind == "Pod":
        return [at.whole()]
    if at.kind in WORKLOADS:
        return [pod.ref for pod in pods_of(state, at)[:2]]
    return []


def _logs(state: State, pod: Ref) -> Iterator[Read]:
    found = state.find(pod)
    for each in containers(found) if found else ():
        if each.last:
            yield logs_of(each.ref, previous=True)
        if each.running is not None or each.terminated:
            yield logs_of(each.ref)


__all__ = ["OFFERED", "offers"]
