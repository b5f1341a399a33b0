"""What a question is about: which symptoms count, and which merely lie around."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kubectl_ai_intellect.causes.base import Symptom
from kubectl_ai_intellect.causes.symptoms.starting import under_way as starting_pods
from kubectl_ai_intellect.causes.symptoms.workloads import available
from kubectl_ai_intellect.kube.refs import Ref
from kubectl_ai_intellect.state.calls import called
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.relations import WORKLOADS, Relation, near, owner_refs, pods_of, workload_of
from kubectl_ai_intellect.state.selectors import expression_matches, parsed

LATENT = frozenset(
    [
        "eviction-blocked",
        "node-closed",
        "quota-full",
        "traffic-guarded",
        "service-suspect",
        "mixed-image",
        "workload-idle",
        "stale-config",
        "certificate-old",
        "scaler-capped",
        "node-uncovered",
        "slow",
        "log-failing",
        "binding-broken",
        "cronjob-idle",
        "balancer-pending",
        "pod-left-behind",
    ]
)
"""Symptoms that are often on purpose or at rest: they count when asked about, or when nothing else is wrong."""

CLUSTER = frozenset({"node-not-ready", "component-silent", "api-unavailable", "webhook-failing", "node-closed"})
"""Symptoms of the cluster as a whole: upstream of a namespace's trouble, not part of it."""


@dataclass(frozen=True, slots=True)
class Scope:
    """One object, what a label selector picks, one namespace, or ("" as namespace) the whole cluster."""

    namespace: str
    target: Ref | None = None
    selector: str = ""  # as after kubectl's -l
    container: str = ""  # only this one of each pod

    @property
    def everywhere(self) -> bool:
        return not self.namespace and self.target is None


def around(state: State, target: Ref) -> set[Ref]:
    """The objects whose symptoms are the target's own: its parts, pods, owners, backends, claims."""
    places = {target.whole()}
    places.update(each.whole() for each in near(state, target, Relation.PART))
    if target.kind == "Pod":
        places.add(workload_of(state, target))
        places.update(owner_refs(state, target))
        places.update(each for each in near(state, target, Relation.MOUNTS) if each.kind == "PersistentVolumeClaim")
    elif target.kind in WORKLOADS:
        for pod in pods_of(state, target):
            places |= {pod.ref, *owner_refs(state, pod.ref)}
            places.update(
                each for each in near(state, pod.ref, Relation.MOUNTS) if each.kind == "PersistentVolumeClaim"
            )
        places.update(near(state, target, Relation.SCALES, back=True))
        if target.kind == "CronJob":
            places.update(near(state, target, Relation.OWNS))
    elif target.kind == "Service":
        for each in near(state, target, Relation.SELECTS):
            places |= {each, workload_of(state, each)}
    elif target.kind in ("Ingress", "HTTPRoute"):
        for service in near(state, target, Relation.ROUTES):
            places |= around(state, service)
    elif target.kind == "HorizontalPodAutoscaler":
        for each in near(state, target, Relation.SCALES):
            places |= around(state, each)
    elif target.kind == "PersistentVolumeClaim":
        places.update(near(state, target, Relation.MOUNTS, back=True))
    elif target.kind == "Node":
        places.update(near(state, target, Relation.RUNS_ON, back=True))
    elif target.kind not in ("Namespace",):
        for owned in near(state, target, Relation.OWNS):
            places |= {owned, *(pod.ref for pod in pods_of(state, owned))}
    return places


def callers(state: State, target: Ref) -> set[Ref]:
    """The containers that call a Service, or one that leads to this workload or pod."""
    if target.kind == "Service":
        services = [target]
    elif target.kind == "Pod" or target.kind in WORKLOADS:
        services = [each for each in near(state, target, Relation.SELECTS, back=True) if each.kind == "Service"]
    else:
        services = []
    return {each for service in services for each in near(state, service, Relation.CALLS, back=True)}


def unreached(state: State, symptom: Symptom, target: Ref) -> bool:
    """Whether a caller of the target fails, and at reaching the target: its trouble shows at the other end."""
    if symptom.kind not in ("client-failing", "name-failing") or symptom.at not in callers(state, target):
        return False
    named = ":" in symptom.note  # a log that names nobody may mean whatever it is configured to call
    calls = [call for call in called(state, symptom.at) if call.failing or not named]
    failing = [call.service for call in calls if call.service]
    return any(service == target or target in near(state, service, Relation.SELECTS) for service in failing)


def selected(state: State, scope: Scope) -> list[Ref]:
    """The pods, workloads and Services that the scope's selector picks."""
    wanted = parsed(scope.selector)
    kinds = ("Pod", "Service", "Ingress", "PersistentVolumeClaim", *WORKLOADS)
    return [
        each.ref
        for kind in kinds
        for each in state.all(kind, scope.namespace or None)
        if all(expression_matches(one, each.labels) for one in wanted)
    ]


def of_container(symptoms: list[Symptom], container: str) -> list[Symptom]:
    """Those of one container; a pod's as a whole where the container shows none of its own."""
    own = [each for each in symptoms if each.at.kind == "Pod" and each.at.part == container]
    others = [each for each in symptoms if each.at.kind != "Pod"]
    return own + others if own else [each for each in symptoms if each.at.kind != "Pod" or not each.at.part]


def focus(state: State, symptoms: Sequence[Symptom], scope: Scope) -> list[Symptom]:
    """The symptoms a question is about, within its container where it names one."""
    mine = _focus(state, symptoms, scope)
    return of_container(mine, scope.container) if scope.container else mine


def _focus(state: State, symptoms: Sequence[Symptom], scope: Scope) -> list[Symptom]:
    """The latent ones are left out unless they are at the very target."""
    if scope.target is not None and scope.target.kind != "Namespace":
        places = around(state, scope.target)
        mine = [each for each in symptoms if each.at.whole() in places or unreached(state, each, scope.target)]
        own = [each for each in mine if each.kind not in LATENT or each.at.whole() == scope.target.whole()]
        return own or [each for each in mine if each.kind != "pod-left-behind"]
    if scope.selector:
        targets = selected(state, scope)
        places = {place for each in targets for place in around(state, each)}
        mine = [each for each in symptoms if each.at.whole() in places
                or any(unreached(state, each, target) for target in targets)]  # fmt: skip
        return [each for each in mine if each.kind not in LATENT or each.at.whole() in targets]
    inside = [each for each in symptoms if within(each, scope)]
    return [each for each in inside if each.kind not in LATENT]


def latent(symptoms: Iterable[Symptom], scope: Scope) -> list[Symptom]:
    if scope.selector:
        return []  # those at what the selector picks are in focus already
    return [each for each in symptoms if each.kind in LATENT and within(each, scope)]


def resting(state: State, symptom: Symptom, scope: Scope) -> bool:
    """Whether this is over, or somebody laid it to rest on purpose as far as one can see: others are at work beside it.

    What depends on it fails by itself, and is followed here.
    """
    if symptom.kind == "pod-left-behind":
        return scope.target != symptom.at
    stopped = symptom.kind == "workload-idle" or (symptom.kind, symptom.note) == ("cronjob-idle", "suspended")
    if not stopped or (scope.target is not None and symptom.at.whole() in around(state, scope.target)):
        return False
    beside = [
        each
        for kind in ("Deployment", "StatefulSet", "DaemonSet")
        for each in state.all(kind, symptom.at.namespace or None)
    ]
    return any(available(each) > 0 for each in beside)


def under_way(state: State, scope: Scope) -> list[str]:
    """What is on its way in a scope, in words: pods that are coming up, workloads between two revisions."""
    places = None if scope.target is None or scope.target.kind == "Namespace" else around(state, scope.target)
    pods = starting_pods(state, scope.namespace or None)
    return [f"{pod.ref.short} {words}" for pod, words in pods if places is None or pod.ref in places]


def within(symptom: Symptom, scope: Scope) -> bool:
    if scope.everywhere or (symptom.kind, symptom.note) == ("api-unavailable", "conversion"):
        return True  # a kind is listed only where it is asked about, and what cannot be read is news in any scope
    if scope.target is not None and scope.target.kind == "Namespace":
        return symptom.at.namespace == scope.target.name or symptom.at == scope.target
    if symptom.at.kind == "Namespace" and symptom.at.name == scope.namespace:
        return True
    return symptom.at.namespace == scope.namespace and symptom.kind not in CLUSTER


__all__ = ["CLUSTER", "LATENT", "Scope", "around", "focus", "latent", "resting", "selected", "under_way", "within"]
