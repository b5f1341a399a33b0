"""Reads that causes ask for, by what they are about. What a namespace's first look holds anyway needs no asking:

Pod, Event, Deployment, ReplicaSet, StatefulSet, DaemonSet, ReplicationController, Job, CronJob, Service, EndpointSlice, ConfigMap,
PersistentVolumeClaim, Ingress, HorizontalPodAutoscaler, PodDisruptionBudget, NetworkPolicy, ResourceQuota of the
namespace; Node; the leaders' Leases in kube-system.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubectl_ai_intellect.causes.base import Needs, Symptom
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Read, get_of, list_of, logs_of
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import container
from kubectl_ai_intellect.state.relations import owner_refs

FIRST_LOOK = [
    "Pod",
    "Event",
    "Deployment",
    "ReplicaSet",
    "StatefulSet",
    "DaemonSet",
    "ReplicationController",
    "Job",
    "CronJob",
    "Service",
    "EndpointSlice",
    "ConfigMap",
    "PersistentVolumeClaim",
    "Ingress",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "NetworkPolicy",
    "ResourceQuota",
]


def container_logs(state: State, symptom: Symptom) -> Iterable[Read]:
    """The logs of the container that the symptom is at: the previous one's first, if it ever ended."""
    found = state.find(symptom.at)
    each = container(found, symptom.at.part) if found else None
    if each is None or (not each.status.get("containerID") and not each.last):
        return
    if each.last:
        yield logs_of(symptom.at, previous=True)
    if each.running is not None or each.terminated:
        yield logs_of(symptom.at)


def lists(*kinds: str) -> Needs:
    """Whole lists of these kinds in the symptom's namespace (cluster-wide for kinds without one)."""
    from kubectl_ai_intellect.kube.refs import GROUP_OF, KNOWN

    def needs(state: State, symptom: Symptom) -> Iterable[Read]:
        for kind in kinds:
            namespaced = KNOWN[GROUP_OF.get(kind, ""), kind].namespaced
            yield list_of(kind, symptom.at.namespace if namespaced else "")

    return needs


def together(*several: Needs) -> Needs:
    def needs(state: State, symptom: Symptom) -> Iterable[Read]:
        for each in several:
            yield from each(state, symptom)

    return needs


def owners(state: State, symptom: Symptom) -> Iterable[Read]:
    """The owners of the symptom's object that were not read yet (custom controllers too)."""
    for owner in owner_refs(state, symptom.at):
        if state.find(owner) is None:
            yield get_of(owner)


def namespace_look(namespace: str) -> list[Read]:
    """What another namespace's Services and their backends need: for calls across namespaces."""
    return [list_of(kind, namespace) for kind in ("Service", "EndpointSlice", "Pod", "Event", "Deployment", "ReplicaSet",
                                                  "StatefulSet", "NetworkPolicy")]  # fmt: skip


def cluster_dns() -> list[Read]:
    return [
        get_of(ref("Service", "kube-system", "kube-dns")),
        list_of("EndpointSlice", "kube-system", labels="kubernetes.io/service-name=kube-dns"),
        list_of("Pod", "kube-system"),
        list_of("Deployment", "kube-system"),
        list_of("ReplicaSet", "kube-system"),
        list_of("Event", "kube-system"),
        get_of(ref("ConfigMap", "kube-system", "coredns")),
    ]


def first_look(namespace: str) -> list[Read]:
    return [list_of(kind, namespace) for kind in FIRST_LOOK]


def of_routes(state: State) -> list[Read]:
    """What shows whether Ingresses lead anywhere: the classes, and the certificates they name (public parts only)."""
    ingresses = list(state.all("Ingress"))[:50]
    named = {(each.ref.namespace, tls["secretName"]) for each in ingresses for tls in each.spec.get("tls") or ()
             if tls.get("secretName")}  # fmt: skip
    secrets = [Read("get", ref("Secret", *at), (("tls", "true"),)) for at in sorted(named)]
    return [list_of("IngressClass"), *secrets[:20]] if ingresses else []


def node_reads(node: Ref) -> list[Read]:
    """A node, its lease and its agents."""
    return [get_of(node), get_of(ref("Lease", "kube-node-lease", node.name))]


__all__ = ["FIRST_LOOK", "cluster_dns", "container_logs", "first_look", "lists", "namespace_look", "node_reads", "of_routes", "owners", "together"]  # fmt: skip
