"""Symptoms of Services, routes and policies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kubectl_ai_intellect.causes.base import Symptom
from kubectl_ai_intellect.causes.symptoms.asked import uncovered
from kubectl_ai_intellect.causes.symptoms.starting import starting
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Listing, Object, dig
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.listening import listening, outspoken
from kubectl_ai_intellect.state.pods import containers, is_finished, is_ready, pod_labels
from kubectl_ai_intellect.state.relations import Relation, near, routed, workload_of
from kubectl_ai_intellect.state.selectors import equals, matches

GATEWAYS = "gateway.networking.k8s.io"


def derive(state: State) -> Iterator[Symptom]:
    for service in state.all("Service"):
        yield from _service(state, service)
    for ingress in state.all("Ingress"):
        yield from _ingress(state, ingress)
    for kind in ("Gateway", "HTTPRoute"):
        for each in state.all(kind, group=GATEWAYS):
            yield from _accepted(state, each)
    yield from _guarded(state)


def backends(state: State, service: Object) -> list[Object]:
    """The pods a Service selects that could ever serve."""
    pods = state.labelled("Pod", service.ref.namespace, service.spec.get("selector"))
    return [pod for pod in pods if not is_finished(pod)]


def ready_endpoints(state: State, service: Object) -> int | None:
    """How many ready endpoints a Service has; nothing where that was not read."""
    slices = state.labelled("EndpointSlice", service.ref.namespace, {"kubernetes.io/service-name": service.ref.name})
    if not slices and not state.all("EndpointSlice", service.ref.namespace).complete:
        return None
    return sum(
        dig(endpoint, "conditions", "ready", otherwise=True) is not False
        for each in slices
        for endpoint in each.raw.get("endpoints") or ()
    )


def written(state: State, service: Object) -> list[Object]:
    """The EndpointSlices of a Service without a selector: somebody's own."""
    slices = state.labelled("EndpointSlice", service.ref.namespace, {"kubernetes.io/service-name": service.ref.name})
    return [each for each in slices if each.raw.get("endpoints")]


def by_hand(state: State, service: Object) -> list[tuple[Object, str]]:
    """The addresses that somebody wrote into endpoints of a Service without a selector, as far as they could be pods'."""
    networks = {ip.rpartition(".")[0].rpartition(".")[0] for pod in state.all("Pod") if (ip := pod.status.get("podIP"))}
    slices = state.labelled("EndpointSlice", service.ref.namespace, {"kubernetes.io/service-name": service.ref.name})
    return [
        (each, str(address))
        for each in slices
        for endpoint in each.raw.get("endpoints") or ()
        for address in endpoint.get("addresses") or ()
        if str(address).rpartition(".")[0].rpartition(".")[0] in networks
    ]


def _service(state: State, service: Object) -> Iterator[Symptom]:
    spec = service.spec
    if service.deleting:
        return
    if spec.get("type") == "ExternalName":
        yield Symptom("service-suspect", service.ref, service.created, "ExternalName")
        return
    if spec.get("type") == "LoadBalancer" and not dig(service.status, "loadBalancer", "ingress"):
        yield Symptom("balancer-pending", service.ref, service.created)
    if not spec.get("selector"):
        if by_hand(state, service):
            yield Symptom("service-suspect", service.ref, service.created, "by hand")
        elif written(state, service) and ready_endpoints(state, service) == 0:
            yield Symptom("no-endpoints", service.ref, service.created, "by hand")
        return
    pods = backends(state, service)
    ready = ready_endpoints(state, service)
    none = ready == 0 or (ready is None and not any(is_ready(pod) for pod in pods))
    soon = bool(pods) and all(starting(state, pod) for pod in pods)
    if none and not soon and not _only_finished(state, service):
        yield Symptom("no-endpoints", service.ref, service.created)
    for port in spec.get("ports") or ():
        if pods and not any(serves(pod, port) for pod in pods):
            yield Symptom("port-unserved", service.ref.at(str(port.get("port"))), service.created)
    for number in silent_ports(state, service, pods):
        yield Symptom("service-suspect", service.ref, service.created, f"port {number}")
    if len({workload_of(state, pod.ref) for pod in pods}) > 1:
        yield Symptom("service-suspect", service.ref, service.created, "overlap")


def silent_ports(state: State, service: Object, pods: list[Object]) -> list[int]:
    """Ports of a Service that lead to a number on which no backend is known to listen, while others are known."""
    found: list[int] = []
    if len(service.spec.get("ports") or ()) != 1 or not all(outspoken(state, pod) for pod in pods):
        return found
    for port in service.spec["ports"]:
        target = port.get("targetPort", port.get("port"))
        heard = {number for pod in pods for number in listening(state, pod)}
        tcp = (port.get("protocol") or "TCP") == "TCP"
        led = any(serves(pod, port) for pod in pods)
        if (
            tcp
            and led
            and isinstance(target, int)
            and heard
            and target not in heard
            and len(service.spec["ports"]) == 1
        ):
            found.append(int(port.get("port") or 0))
    return found


def _only_finished(state: State, service: Object) -> bool:
    """A Service over finished Jobs alone is at rest, not broken."""
    pods = [p for p in state.all("Pod", service.ref.namespace) if equals(service.spec.get("selector"), p.labels)]
    return bool(pods) and all(
        is_finished(pod) and workload_of(state, pod.ref).kind in ("Job", "CronJob") for pod in pods
    )


def serves(pod: Object, port: Mapping[str, Any]) -> bool:
    """Whether a pod declares what a Service port leads to; a pod that declares no port at all might."""
    target = port.get("targetPort", port.get("port"))
    declared = [each for one in containers(pod) if one.role != "init" for each in one.ports()]
    if isinstance(target, str):
        return any(each.get("name") == target for each in declared)
    protocol = port.get("protocol") or "TCP"
    same = [each for each in declared if (each.get("protocol") or "TCP") == protocol]
    return not declared or any(each.get("containerPort") == target for each in same)


def _ingress(state: State, ingress: Object) -> Iterator[Symptom]:
    for name, port, where in routed(ingress):
        found = state.get(ref("Service", ingress.ref.namespace, name))
        if state.absent(ref("Service", ingress.ref.namespace, name)):
            yield Symptom("route-broken", ingress.ref.at(where), ingress.created, "backend")
        elif isinstance(found, Object) and not has_port(found, port):
            yield Symptom("route-broken", ingress.ref.at(where), ingress.created, "port")
    for each in ingress.spec.get("tls") or ():
        name = each.get("secretName")
        if name and state.absent(ref("Secret", ingress.ref.namespace, name)):
            yield Symptom("route-broken", ingress.ref.at(name), ingress.created, "tls")
    if uncovered(ingress) is not None:
        yield Symptom("route-unmatched", ingress.ref, ingress.created, "certificate")
    classes = state.all("IngressClass")
    chosen = ingress.spec.get("ingressClassName") or ingress.annotations.get("kubernetes.io/ingress.class")
    if classes.complete and not _has_class(classes, chosen):
        yield Symptom("route-broken", ingress.ref, ingress.created, "class")


def has_port(service: Object, port: Mapping[str, Any]) -> bool:
    ports = service.spec.get("ports") or ()
    if port.get("name"):
        return any(each.get("name") == port["name"] for each in ports)
    return "number" not in port or any(each.get("port") == port["number"] for each in ports)


def _has_class(classes: Listing, chosen: str | None) -> bool:
    default = "ingressclass.kubernetes.io/is-default-class"
    if chosen:
        return any(each.ref.name == chosen for each in classes)
    return any(each.annotations.get(default) == "true" for each in classes)


def _accepted(state: State, each: Object) -> Iterator[Symptom]:
    groups = [each.status.get("conditions") or []]
    groups += [parent.get("conditions") or [] for parent in each.status.get("parents") or ()]
    for conditions in groups:
        for condition in conditions:
            if condition.get("status") == "False" and condition.get("type") in (
                "Accepted", "Programmed", "ResolvedRefs", "Ready", "Scheduled",
            ):  # fmt: skip
                yield Symptom("route-broken", each.ref, None, condition.get("reason") or condition["type"])
    if not any(groups):
        yield Symptom("route-broken", each.ref, each.created, "silent")
    for target in near(state, each.ref, Relation.ROUTES):
        if state.absent(target):
            yield Symptom("route-broken", each.ref.at(target.name), each.created, "backend")


def _guarded(state: State) -> Iterator[Symptom]:
    """Policies over pods: a symptom only where something is failing at either end (causes decide)."""
    for policy in state.all("NetworkPolicy"):
        selector = policy.spec.get("podSelector")
        if any(matches(selector, pod_labels(pod)) for pod in state.all("Pod", policy.ref.namespace)):
            yield Symptom("traffic-guarded", policy.ref, policy.created)


def is_guarded(state: State, at: Ref) -> list[Ref]:
    """The NetworkPolicies over a pod or workload."""
    return [each for each in near(state, at.whole(), Relation.SELECTS, back=True) if each.kind == "NetworkPolicy"]


__all__ = [
    "backends",
    "by_hand",
    "derive",
    "has_port",
    "is_guarded",
    "ready_endpoints",
    "serves",
    "silent_ports",
    "written",
]
