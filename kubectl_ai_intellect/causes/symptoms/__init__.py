"""Symptoms: what is visibly wrong in a State. A closed enum; causes are woken by these kinds and by nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from kubectl_ai_intellect.causes.base import Symptom
from kubectl_ai_intellect.causes.symptoms import cluster, objects, pods, traffic, workloads
from kubectl_ai_intellect.kube.refs import Ref
from kubectl_ai_intellect.state.graph import State

KINDS: dict[str, str] = {
    # at a pod
    "pod-unscheduled": "Pending and no node chosen (also gated, also with no word from the scheduler)",
    "pod-stuck-creating": "on a node, but its sandbox, volumes or networking do not come up",
    "pod-evicted": "ended by the kubelet or an eviction",
    "pod-left-behind": "ended by the kubelet, an eviction or the kubelet's own admission, and replaced since",
    "pod-rejected": "refused by the kubelet's own admission",
    "pod-stuck-terminating": "deletion overdue",
    "gate-closed": "its containers are ready, but a readiness gate of the pod is not (note: the condition)",
    "pod-lost": "on a node that does not report: its state is not known",
    # at a container (part = its name)
    "pull-failing": "its image does not arrive",
    "config-refused": "the kubelet cannot build its configuration (CreateContainerConfigError)",
    "start-refused": "the runtime could not start its process",
    "container-restarting": "it ends again and again (note: exit code and reason)",
    "container-killed-memory": "ended by OOM, now or the last time",
    "init-waiting": "an init container does not finish, so the pod's own do not start",
    "container-unready": "running, but not ready",
    "probe-killing": "restarted because liveness or startup probes fail",
    "container-finished": "ended with 0 although it should run on",
    "hook-failing": "a lifecycle hook fails",
    "client-failing": "its log says that a peer cannot be reached or refuses (note: the kind of failure)",
    "name-failing": "its log says that a name does not resolve",
    "access-denied": "its log or an event says that its identity may not do something",
    "log-failing": "ready, but its log tells of a fault of its own (note: the kind)",
    "slow": "its log or its usage says that it is slow or starved",
    # at a workload
    "create-refused": "its pods are not even created",
    "workload-short": "fewer available than wanted",
    "workload-unobserved": "its controller has not looked at its newest generation",
    "rollout-stalled": "a rollout makes no progress, is paused or waits",
    "node-uncovered": "a DaemonSet passes by a node that its selectors admit (note: the node)",
    "workload-idle": "wants no replicas",
    "job-failed": "failed for good",
    "job-unfinished": "runs on although its work is done or its time is over",
    "cronjob-idle": "does not start jobs",
    "scaler-blind": "an autoscaler cannot act",
    "scaler-capped": "an autoscaler is at its bound",
    "scaler-contested": "an autoscaler and somebody else set the same replicas by turns",
    "stale-config": "runs on a configuration older than the declared one",
    "mixed-image": "replicas run different images of one tag",
    # storage and traffic
    "claim-pending": "a claim is not bound",
    "claim-lost": "a bound claim has lost its volume",
    "no-endpoints": "a Service with a selector has no ready endpoint",
    "port-unserved": "a Service's port leads to one that no backend declares",
    "balancer-pending": "a LoadBalancer Service has no address",
    "service-suspect": "a Service that works, but whose declaration is odd (overlap, ExternalName, protocol)",
    "route-broken": "an Ingress, Gateway or route leads nowhere",
    "route-unmatched": "an address that was asked about matches no rule of an Ingress",
    "traffic-guarded": "a NetworkPolicy selects a failing peer",
    # cluster
    "node-not-ready": "a node is not Ready or has a pressure or network condition",
    "node-closed": "a node takes no pods (cordoned, tainted)",
    "component-silent": "a control plane component or add-on is not at work",
    "quota-full": "a quota has nothing left",
    "eviction-blocked": "a drain or eviction waits for a budget",
    "deletion-stuck": "an object or namespace does not go away",
    "api-unavailable": "an aggregated API or a kind is not served",
    "webhook-failing": "an admission webhook cannot be called",
    "condition-false": "a custom resource says of itself that it is not ready",
    "certificate-old": "a certificate is past or near its end",
    "binding-broken": "an RBAC binding leads nowhere",
    "release-pending": "a Helm release is stuck half way",
}

DERIVERS: tuple[Callable[[State], Iterable[Symptom]], ...] = (
    pods.derive,
    workloads.derive,
    traffic.derive,
    objects.derive,
    cluster.derive,
)


def derive(state: State) -> list[Symptom]:
    """Every symptom in a State, each once."""
    found: dict[tuple[str, Ref, str], Symptom] = {}
    for symptom in _all(state):
        if symptom.kind not in KINDS:
            raise ValueError(f"no such symptom kind: {symptom.kind}")
        found.setdefault((symptom.kind, symptom.at, symptom.note), symptom)
    return list(found.values())


def _all(state: State) -> Iterator[Symptom]:
    for deriver in DERIVERS:
        yield from deriver(state)


__all__ = ["KINDS", "derive"]
