"""Symptoms of nodes, the control plane, admission and aggregated APIs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from kubectl_ai_intellect.causes.base import Symptom
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Object, dig, when
from kubectl_ai_intellect.state.events import Event
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import containers, is_finished, is_ready
from kubectl_ai_intellect.state.selectors import matches

BAD_WHEN_TRUE = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")
LEADERS = {"kube-scheduler": "scheduler", "kube-controller-manager": "controller-manager"}
STALE = timedelta(seconds=45)
"""Leases are renewed every 2 s (leaders, 15 s to expiry) or 10 s (nodes, 40 s); past this nobody renews."""


def derive(state: State) -> Iterator[Symptom]:
    for node in state.all("Node"):
        yield from _node(state, node)
    for name in LEADERS:
        lease = state.find(ref("Lease", "kube-system", name))
        renewed = when(lease.spec.get("renewTime")) if lease else None
        if renewed and state.now - renewed > STALE:
            yield Symptom("component-silent", component(state, name), renewed, name)
    for each in state.all("DaemonSet", "kube-system"):
        yield from _add_on(state, each)
    for api in state.all("APIService"):
        available = api.condition("Available") or {}
        if available.get("status") == "False":
            since = when(available.get("lastTransitionTime"))
            yield Symptom("api-unavailable", api.ref, since, available.get("reason") or "")
    for budget in state.all("PodDisruptionBudget"):
        status = budget.status
        full = status.get("disruptionsAllowed") == 0 and int(status.get("expectedPods") or 0) > 0
        if full and (drained(state, budget) or refused_evictions(state, budget)):
            yield Symptom("eviction-blocked", budget.ref)
    yield from _conversions(state)
    yield from _webhooks(state)


def component(state: State, name: str) -> Ref:
    """A control plane component: its own pod where one can be read, else the component by name."""
    for pod in state.all("Pod", "kube-system"):
        if pod.labels.get("component") == name or pod.ref.name.startswith(f"{name}-"):
            return pod.ref
    return Ref("", "Component", "", name)


def _node(state: State, node: Object) -> Iterator[Symptom]:
    ready = node.condition("Ready") or {}
    if ready.get("status") != "True":
        yield Symptom("node-not-ready", node.ref, when(ready.get("lastTransitionTime")), ready.get("reason") or "")
    for kind in BAD_WHEN_TRUE:
        condition = node.condition(kind) or {}
        if condition.get("status") == "True":
            yield Symptom("node-not-ready", node.ref, when(condition.get("lastTransitionTime")), kind)
    lease = state.find(ref("Lease", "kube-node-lease", node.ref.name))
    renewed: datetime | None = when(lease.spec.get("renewTime")) if lease else None
    if renewed and state.now - renewed > STALE and ready.get("status") == "True":
        yield Symptom("node-not-ready", node.ref, renewed, "lease")
    if node.spec.get("unschedulable"):
        yield Symptom("node-closed", node.ref, None, "cordoned")
    elif any(taint.get("effect") in ("NoSchedule", "NoExecute") for taint in node.spec.get("taints") or ()):
        yield Symptom("node-closed", node.ref, None, "tainted")


def _add_on(state: State, each: Object) -> Iterator[Symptom]:
    """kube-proxy and CNI agents that are not at work on some node: a symptom at that node."""
    for pod in state.all("Pod", "kube-system"):
        owned = any(owner.get("uid") == each.uid for owner in pod.meta.get("ownerReferences") or ())
        broken = not is_ready(pod) and any(one.restarts or one.waiting for one in containers(pod))
        if owned and broken and pod.spec.get("nodeName"):
            yield Symptom("component-silent", ref("Node", "", pod.spec["nodeName"]), pod.created, each.ref.name)


LEAVING = ("ToBeDeletedByClusterAutoscaler", "karpenter.sh/disrupted", "karpenter.sh/disruption")


def drained(state: State, budget: Object) -> list[Ref]:
    """The nodes that are being emptied and still hold pods of this budget."""
    pods = [each for each in state.all("Pod", budget.ref.namespace)
            if matches(budget.spec.get("selector"), each.labels) and not is_finished(each)]  # fmt: skip
    nodes = [state.find(ref("Node", "", each.spec["nodeName"])) for each in pods if each.spec.get("nodeName")]
    return list(dict.fromkeys(
        node.ref for node in nodes
        if node and (node.spec.get("unschedulable") or any(t.get("key") in LEAVING for t in node.spec.get("taints") or ()))
    ))  # fmt: skip


def refused_evictions(state: State, budget: Object) -> list[Event]:
    """Events that say an eviction was refused for this budget's sake."""
    return [told for told in state.every_event
            if "disruption budget" in told.message.lower() and told.about.namespace in (budget.ref.namespace, "")
            and (budget.ref.name in told.message or matches(budget.spec.get("selector"), _labels(state, told.about)))]  # fmt: skip


def _labels(state: State, at: Ref) -> Mapping[str, str]:
    found = state.find(at)
    return found.labels if found else {}


def _conversions(state: State) -> Iterator[Symptom]:
    """Kinds that cannot even be listed, because the webhook that converts between their versions fails."""
    for read, answer in state.fetched.items():
        if answer.unread is not None and "conversion webhook" in answer.unread.message:
            kind = next((each.ref for each in state.all("CustomResourceDefinition")
                         if dig(each.spec, "names", "kind") == read.of.kind and each.spec.get("group") == read.of.group),
                        Ref(read.of.group, read.of.kind, "", ""))  # fmt: skip
            yield Symptom("api-unavailable", kind, None, "conversion")


def _webhooks(state: State) -> Iterator[Symptom]:
    """Webhooks that the API server says it could not call, as events of those who were refused tell."""
    for kind in ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"):
        for each in state.all(kind):
            names = [hook.get("name", "") for hook in each.raw.get("webhooks") or ()]
            for told in state.every_event:
                if "failed calling webhook" in told.message and any(f'"{name}"' in told.message for name in names):
                    yield Symptom("webhook-failing", each.ref, told.first)
                    break


__all__ = ["STALE", "component", "derive", "drained", "refused_evictions"]
