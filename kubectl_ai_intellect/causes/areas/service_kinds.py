"""Services that are odd in kind: balancers without an address, external names to nowhere, two apps behind one selector."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from kubectl_ai_intellect.causes.areas.service import entry_of, meant, words
from kubectl_ai_intellect.causes.attempts import servers, target_port
from kubectl_ai_intellect.causes.base import Finding, Mend, Symptom, cause
from kubectl_ai_intellect.causes.facts import field, listed, not_there, told
from kubectl_ai_intellect.causes.near import nearest
from kubectl_ai_intellect.causes.symptoms.traffic import by_hand, serves, written
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Object, Read, dig, list_of
from kubectl_ai_intellect.state.calls import called, service_named
from kubectl_ai_intellect.state.edits import Edit, Patch, set_field
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import containers, is_ready
from kubectl_ai_intellect.state.relations import workload_of

NUMBERS = re.compile(r"^\d{1,3}(\.\d{1,3}){3}$|:")


# -- protocol ---------------------------------------------------------------------------------------------------------


def _other_protocol(state: State, service: Object, entry: Mapping[str, Any]) -> str:
    """The protocol under which the backends do have this very port, where that is not the Service's."""
    target, own = entry.get("targetPort", entry.get("port")), entry.get("protocol") or "TCP"
    pods = servers(state, service)
    if any(serves(pod, entry) for pod in pods):
        return ""
    for pod in pods:
        for each in containers(pod):
            for port in each.ports() if each.role != "init" else ():
                theirs = port.get("protocol") or "TCP"
                if target in (port.get("containerPort"), port.get("name")) and theirs != own:
                    return theirs
    return ""


def _protocol_holds(state: State, at: Ref) -> bool:
    service = state.find(at)
    return service is not None and any(
        _other_protocol(state, service, entry) for entry in service.spec.get("ports") or ()
    )


@cause("service/protocol-mismatch", "port-unserved", holds=_protocol_holds)
def protocol_mismatch(state: State, symptom: Symptom) -> Iterable[Finding]:
    service = state.find(symptom.at)
    place = entry_of(service, symptom.at.part) if service else None
    theirs = _other_protocol(state, service, place[1]) if service and place else ""
    if service is None or place is None or not theirs:
        return
    index, entry = place
    own = entry.get("protocol") or "TCP"
    owner = workload_of(state, servers(state, service)[0].ref)
    target = entry.get("targetPort", entry.get("port"))
    yield Finding(
        "service/protocol-mismatch",
        service.ref,
        "proved",
        f"Service {service.ref.name} carries port {entry.get('port')} over {own}, but {owner.short} serves {target} over {theirs}",
        supports=(field(service, f"spec.ports: port {entry.get('port')} has protocol {own}"),
                  field(owner, f"the containers of {owner.short} declare {target} with protocol {theirs}")),
        mends=(Mend(f"Carry it over {theirs}", (set_field(service.ref, "spec", "ports", index, "protocol", value=theirs),)),),
        affects=(owner,),
        weight=0.6,
    )  # fmt: skip


# -- load balancers ---------------------------------------------------------------------------------------------------


def _addressless(state: State, at: Ref) -> bool:
    service = state.find(at)
    if service is None or service.spec.get("type") != "LoadBalancer":
        return False
    return not dig(service.status, "loadBalancer", "ingress")


def _node_port(service: Ref) -> Mend:
    return Mend("Where nothing hands out addresses: serve it on a port of every node instead",
                (set_field(service, "spec", "type", value="NodePort"),))  # fmt: skip


@cause("service/loadbalancer-failed", "balancer-pending", holds=_addressless)
def loadbalancer_failed(state: State, symptom: Symptom) -> Iterable[Finding]:
    failed = [one for one in state.events(symptom.at) if one.type == "Warning" and _of_balancer(one.reason)]
    if not failed:
        return
    yield Finding(
        "service/loadbalancer-failed",
        symptom.at,
        "proved",
        f"the load balancer of Service {symptom.at.name} cannot be made: {failed[0].message}",
        supports=(told(failed[0]), field(symptom.at, "status.loadBalancer is empty")),
        mends=(_node_port(symptom.at),),
        since=failed[0].first,
        weight=0.2,
    )


def _of_balancer(reason: str) -> bool:
    return "LoadBalancer" in reason or reason in ("AllocationFailed", "CreatingLoadBalancerFailed", "FailedBuildModel",
                                                  "FailedDeployModel", "nodeAssignmentFailed")  # fmt: skip


@cause("service/loadbalancer-pending", "balancer-pending", holds=_addressless)
def loadbalancer_pending(state: State, symptom: Symptom) -> Iterable[Finding]:
    service = state.find(symptom.at)
    events = [one for one in state.events(symptom.at) if _of_balancer(one.reason)]
    if service is None or any(one.type == "Warning" for one in events):
        return
    by = service.spec.get("loadBalancerClass")
    whom = f"of class {by}" if by else "in this cluster"
    yield Finding(
        "service/loadbalancer-pending",
        service.ref,
        "possible" if events else "proved" if state.events_known(service.ref.namespace) else "likely",
        f"Service {service.ref.name} is of type LoadBalancer and no controller {whom} gives it an address",
        supports=(field(service, "status.loadBalancer is empty: EXTERNAL-IP is <pending>"),
                  field(service, "no event of a load balancer controller about it" if not events else f"last heard: {events[0].reason}")),
        mends=(_node_port(service.ref),),
    )  # fmt: skip


# -- external names ---------------------------------------------------------------------------------------------------


def _target_namespace(state: State, symptom: Symptom) -> Iterable[Read]:
    service = state.find(symptom.at)
    target = service_named(service.spec.get("externalName") or "", "") if service else None
    if (
        target is not None
        and target.namespace
        and ".svc" in (service.spec.get("externalName") or "" if service else "")
    ):
        yield list_of("Service", target.namespace)


def _nowhere(state: State, at: Ref) -> str:
    """Why an ExternalName Service cannot resolve, in words; nothing where it may."""
    service = state.find(at)
    if service is None or service.spec.get("type") != "ExternalName":
        return ""
    name = (service.spec.get("externalName") or "").rstrip(".")
    if NUMBERS.search(name):
        return f"{name} is an address, and an ExternalName must be a DNS name"
    if ".svc" not in name:
        return "it is one label, which no name server outside resolves" if name and "." not in name else ""
    target = service_named(name, "")
    if target == at:
        return "that is this Service itself"
    return (
        f"there is no Service {target.name} in namespace {target.namespace}" if target and state.absent(target) else ""
    )


def _with_address(address: str) -> Read:
    return list_of("Pod", "", fields=f"status.podIP={address}")


def _owners_of_addresses(state: State, symptom: Symptom) -> Iterable[Read]:
    service = state.find(symptom.at)
    if service is not None and symptom.note == "by hand":
        yield from (_with_address(address) for _, address in by_hand(state, service)[:5])


def _orphaned(state: State, at: Ref) -> list[tuple[Object, str]]:
    """The hand-made endpoints that were looked for among all pods in vain."""
    service = state.find(at)
    if service is None or service.spec.get("selector"):
        return []
    return [(held, address) for held, address in by_hand(state, service) if _nobodys(state, address)]


def _nobodys(state: State, address: str) -> bool:
    """Whether all pods of the cluster were looked through for an address, and none has it."""
    if state.listed(ref("Pod", "", "")):
        return all(pod.status.get("podIP") != address for pod in state.all("Pod"))
    answer = state.fetched.get(_with_address(address))
    return answer is not None and answer.unread is None and not answer.items


def _marked_unready(state: State, service: Object) -> Iterable[Finding]:
    held = written(state, service)
    if not held:
        return
    told = ", ".join(
        str(one) for each in held for point in each.raw["endpoints"] for one in point.get("addresses") or ()
    )
    edits = tuple(
        Edit(("endpoints", index, "conditions", "ready"), True) for index in range(len(held[0].raw["endpoints"]))
    )
    yield Finding(
        "service/endpoints-stale", service.ref, "proved",
        f"Service {service.ref.name} has no selector, and {held[0].ref.short}, written by hand, marks all its endpoints "
        f"({told}) as not ready, so that nobody is sent there",
        supports=(field(service, "spec.selector is not set"),
                  field(held[0], f"endpoints of {held[0].ref.name}: {told}, conditions.ready is false")),
        mends=(Mend("Mark them ready, if what stands behind them serves; else write the addresses that do",
                    (Patch(held[0].ref, edits),), risk="medium"),),
    )  # fmt: skip


@cause("service/endpoints-stale", "service-suspect", "no-endpoints", needs=_owners_of_addresses,
       holds=lambda state, at: bool(_orphaned(state, at)))  # fmt: skip
def endpoints_stale(state: State, symptom: Symptom) -> Iterable[Finding]:
    service, stale = state.find(symptom.at), _orphaned(state, symptom.at)
    if service is not None and (symptom.kind, symptom.note) == ("no-endpoints", "by hand"):
        yield from _marked_unready(state, service)
    if service is None or not stale or len(stale) < len(by_hand(state, service)):
        return
    held, addresses = stale[0][0], ", ".join(address for _, address in stale[:3])
    found = meant(state, service)
    mends = [Mend(f"Let it select the pods of {found[0].short}, which keeps the addresses up to date by itself",
                  (set_field(service.ref, "spec", "selector", value=dict(found[1])),
                   Patch(held.ref, action="delete")), risk="medium")] if found else []  # fmt: skip
    mends.append(Mend(f"Or write the addresses that serve now into {held.ref.short}",
                      (set_field(held.ref, "endpoints", 0, "addresses", value=["<ADDRESS>"]),),
                      unknown=("<ADDRESS>: where the service runs now",)))  # fmt: skip
    yield Finding(
        "service/endpoints-stale", service.ref, "proved",
        f"Service {service.ref.name} has no selector; {held.ref.short}, written by hand, sends its traffic to {addresses}, "
        "and no pod has that address any more",
        supports=(field(service, "spec.selector is not set"), field(held, f"endpoints of {held.ref.name}: {addresses}"),
                  listed("Pod", "", f"no pod of the cluster has the address {addresses}")),
        mends=tuple(mends), weight=0.2,
    )  # fmt: skip


@cause("service/external-name-invalid", "service-suspect", needs=_target_namespace,
       holds=lambda state, at: bool(_nowhere(state, at)))  # fmt: skip
def external_name_invalid(state: State, symptom: Symptom) -> Iterable[Finding]:
    service = state.find(symptom.at)
    if service is None or symptom.note != "ExternalName":
        return
    name, why = service.spec.get("externalName") or "", _nowhere(state, symptom.at)
    failing = [
        call
        for pod in state.all("Pod")
        for call in called(state, pod.ref)
        if call.service == service.ref and call.failing == "dns-failure"
    ]
    if not why and not failing:
        return
    target = service_named(name, "") if ".svc" in name else None
    near = nearest(target.name, [each.ref.name for each in state.all("Service", target.namespace)]) if target else ""
    value = f"{near}.{target.namespace}.svc.cluster.local" if target and near else "<HOST_NAME>"
    yield Finding(
        "service/external-name-invalid",
        service.ref,
        "proved" if why else "likely",
        f"Service {service.ref.name} is an alias for {name}" + (f", and {why}" if why else ", and clients cannot resolve it"),
        supports=(field(service, f"spec.externalName is {name}"), *((not_there(target),) if target and state.absent(target) else ()),
                  *(field(call.caller, f"log of {call.caller.part}: {call.line}") for call in failing[:1])),
        mends=(Mend(f"Lead it to {value}", (set_field(service.ref, "spec", "externalName", value=value),),
                    unknown=() if near else ("<HOST_NAME>: the DNS name that is meant cannot be known from the cluster",)),),
        weight=0.2,
    )  # fmt: skip


# -- overlap ----------------------------------------------------------------------------------------------------------

STREAMS = re.compile(r"(?i)canary|stable|preview|active|blue|green|baseline|primary|secondary|replica|shadow|v\d+$")


def _groups(state: State, service: Object) -> dict[Ref, list[Object]]:
    groups: dict[Ref, list[Object]] = {}
    for pod in servers(state, service):
        groups.setdefault(workload_of(state, pod.ref), []).append(pod)
    return groups


def _repositories(pod: Object) -> frozenset[str]:
    images = [each.image.partition("@")[0] for each in containers(pod) if each.role == "main"]
    return frozenset(image.rpartition(":")[0] if "/" not in image.rpartition(":")[2] else image for image in images)


def _strangers(state: State, service: Object) -> tuple[Ref, Ref] | None:
    """The workload a Service is for, and one of another app that its selector matches too."""
    groups = _groups(state, service)
    if len(groups) < 2:
        return None
    own = max(groups, key=lambda at: (at.name == service.ref.name, bool(nearest(service.ref.name, [at.name])),
                                      any(value == at.name for value in service.spec["selector"].values()), at))  # fmt: skip
    for other, pods in groups.items():
        if other == own or (STREAMS.search(other.name) and STREAMS.search(own.name)):
            continue
        deaf = any(
            serves(groups[own][0], port) and not serves(pods[0], port) for port in service.spec.get("ports") or ()
        )
        named = own.name == service.ref.name or own.name in service.spec["selector"].values()
        doors = {
            target_port(pod, port) for port in service.spec.get("ports") or () for pod in (groups[own][0], pods[0])
        }
        apart = len(doors - {None}) > len(service.spec.get("ports") or ())  # one port name, another number behind it
        if deaf or (named and apart) or (named and not _repositories(pods[0]) & _repositories(groups[own][0])):
            return own, other
    return None


def _narrowed(own: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
    """A label that tells the one's pods from the other's."""
    differ = {key: value for key, value in own.items() if other.get(key) != value and "hash" not in key}
    key = next((name for name in ("app.kubernetes.io/component", "component", "app.kubernetes.io/name", "app", "tier", "role")
                if name in differ), min(differ, default=""))  # fmt: skip
    return {key: differ[key]} if key else {}


@cause("service/selector-overlap", "service-suspect",
       holds=lambda state, at: (found := state.find(at)) is not None and _strangers(state, found) is not None)  # fmt: skip
def selector_overlap(state: State, symptom: Symptom) -> Iterable[Finding]:
    service = state.find(symptom.at)
    pair = _strangers(state, service) if service and symptom.note == "overlap" else None
    if service is None or pair is None:
        return
    own, other = pair
    groups = _groups(state, service)
    mine, theirs = groups[own][0], groups[other][0]
    label = _narrowed(mine.labels, theirs.labels)
    deaf = any(not serves(theirs, port) for port in service.spec.get("ports") or ()) and is_ready(theirs)
    mends: tuple[Mend, ...] = ()
    if label:
        ((key, value),) = label.items()
        mends = (
            Mend(
                f"Select the pods of {own.short} alone", (set_field(service.ref, "spec", "selector", key, value=value),)
            ),
        )
    yield Finding(
        "service/selector-overlap",
        service.ref,
        "proved" if deaf else "likely",
        f"Service {service.ref.name} selects {words(service.spec['selector'])}, which matches the pods of {own.short} and "
        f"of {other.short} too: part of its traffic goes to the wrong app",
        supports=(field(service, f"spec.selector is {words(service.spec['selector'])}"),
                  field(theirs, f"{theirs.ref.short} of {other.short} has these labels too and is among its endpoints"),
                  field(mine, f"{mine.ref.short} of {own.short} runs {', '.join(sorted(_repositories(mine)))}; "
                              f"{theirs.ref.short} runs {', '.join(sorted(_repositories(theirs)))}")),
        mends=mends,
        affects=(own,),
    )  # fmt: skip
