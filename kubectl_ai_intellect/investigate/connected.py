"""What a healthy target hangs together with: where its trouble may come from when it shows none of its own.

People ask about what they see: the shop, not the queue behind it; the stable release, not the canary beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from kubectl_ai_intellect.causes.base import Symptom
from kubectl_ai_intellect.investigate.scope import LATENT, Scope, around, resting
from kubectl_ai_intellect.kube.refs import Ref
from kubectl_ai_intellect.kube.source import Object
from kubectl_ai_intellect.state.custom import is_custom, keepers, refers_to
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.relations import WORKLOADS, Relation, near, pods_of, workload_of

DEPTH = 3
"""How many calls away a cause is still looked for."""
FAMILY = ("app.kubernetes.io/instance", "app.kubernetes.io/part-of", "app")
RELEASE = "meta.helm.sh/release-name"


def shares_a_word(name: str, words: Iterable[str]) -> bool:
    """Whether a part of a name is a word of the question, in the singular or the plural."""
    parts = {part.removesuffix("s") for part in name.split("-") if len(part) >= 4}
    return any(word.removesuffix("s") in parts for word in words if len(word) >= 4)


def connected(state: State, symptoms: Sequence[Symptom], target: Ref, words: Sequence[str] = ()) -> list[Symptom]:
    """The symptoms of the target's kin, of what shares a word with the question, of what it calls: nearest first.

    One ring at a time, till one has any.
    """
    spoken = {each.at.whole() for each in symptoms
              if each.at.namespace == target.namespace and shares_a_word(f"{each.at.name}-{each.at.part}", words)}  # fmt: skip
    near, *further = rings(state, target)
    for places in (near, {place for each in spoken for place in around(state, each)}, *further):
        mine = [each for each in symptoms if each.at.whole() in places]
        loud = [each for each in mine if each.kind not in LATENT]
        quiet = [each for each in mine if not resting(state, each, Scope(target.namespace, target))]
        if loud or quiet:
            return loud or quiet
    return []


def rings(state: State, target: Ref) -> Iterator[set[Ref]]:
    """What hangs together with a target, ring by ring: itself and its kin, what those call, what those do."""
    seen: set[Ref] = set()
    ring = {target, *_kin(state, target)}
    for _ in range(DEPTH):
        places = {place for each in ring for place in around(state, each)} | ring
        yield places - seen
        seen |= places
        ring = {each for one in ring for each in _called(state, one)} - seen


def _called(state: State, at: Ref) -> Iterable[Ref]:
    """The Services that an object's containers call, and the workloads behind those; what a custom resource refers to."""
    found = state.find(at)
    if found is not None and is_custom(found):
        yield from refers_to(state, found)
        return
    workloads = {at} if at.kind in WORKLOADS else {workload_of(state, at)} if at.kind == "Pod" else set[Ref]()
    if at.kind == "Service":
        workloads = {workload_of(state, each) for each in near(state, at, Relation.SELECTS)}
    for workload in workloads:
        for pod in pods_of(state, workload)[:1]:
            for service in near(state, pod.ref, Relation.CALLS):
                yield service
                yield from (workload_of(state, each) for each in near(state, service, Relation.SELECTS))


def _kin(state: State, target: Ref) -> set[Ref]:
    """Objects of the same name or the same app, the workloads behind the same Services, what keeps it, and its release."""
    found = state.find(target)
    if found is None or target.kind in ("Node", "Namespace"):
        return set()
    kin = {each.ref for each in state.objects if (each.ref.name, each.ref.namespace) == (target.name, target.namespace)}
    marks = [(label, found.labels[label]) for label in FAMILY if found.labels.get(label)]
    for kind in WORKLOADS:
        for each in state.all(kind, target.namespace):
            if any(each.labels.get(label) == value for label, value in marks):
                kin.add(each.ref)
    for pod in pods_of(state, target)[:1]:
        for service in near(state, pod.ref, Relation.SELECTS, back=True):
            if service.kind == "Service":
                kin |= {workload_of(state, each) for each in near(state, service, Relation.SELECTS)}
    return kin | set(_records(state, found)) | set(keepers(state, found)) - {target}


def _records(state: State, found: Object) -> Iterable[Ref]:
    """The Secrets in which Helm keeps the release that made this object."""
    name = found.annotations.get(RELEASE) or found.labels.get("app.kubernetes.io/instance") or found.ref.name
    for each in state.all("Secret", found.ref.namespace):
        if each.labels.get("owner") == "helm" and each.labels.get("name") == name:
            yield each.ref


__all__ = ["connected", "rings", "shares_a_word"]
