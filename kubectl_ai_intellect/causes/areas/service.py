"""Services whose own declaration leads nowhere: selectors that match no pod, ports that no backend serves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from kubectl_ai_intellect.causes.attempts import servers, target_port
from kubectl_ai_intellect.causes.base import Fact, Finding, Mend, Symptom, cause
from kubectl_ai_intellect.causes.facts import field, listed
from kubectl_ai_intellect.causes.near import nearest
from kubectl_ai_intellect.causes.symptoms.traffic import serves, silent_ports
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Object, Read, list_of, logs_of
from kubectl_ai_intellect.state.calls import called
from kubectl_ai_intellect.state.edits import REMOVE, Edit, Patch, set_field
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.listening import listening
from kubectl_ai_intellect.state.pods import containers, is_ready, pod_labels
from kubectl_ai_intellect.state.relations import workload_of
from kubectl_ai_intellect.state.selectors import equals

MAKERS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController")
HASHES = ("pod-template-hash", "controller-revision-hash", "pod-template-generation", "statefulset.kubernetes.io/pod-name",
          "apps.kubernetes.io/pod-index", "controller-uid", "batch.kubernetes.io/controller-uid", "job-name",
          "batch.kubernetes.io/job-name")  # fmt: skip


# -- selectors --------------------------------------------------------------------------------------------------------


def makers(state: State, namespace: str) -> dict[Ref, Mapping[str, str]]:
    """Everything that makes pods here, with the labels its pods carry."""
    made: dict[Ref, Mapping[str, str]] = {}
    for kind in MAKERS:
        for each in state.all(kind, namespace):
            if not any(owner.get("controller") for owner in each.meta.get("ownerReferences") or ()):
                made[each.ref] = pod_labels(each)
    for pod in state.all("Pod", namespace):
        owner = workload_of(state, pod.ref)
        if owner.kind not in ("Job", "CronJob"):
            made.setdefault(owner, pod.labels)
    return {at: {key: value for key, value in labels.items() if key not in HASHES} for at, labels in made.items()}


def matches_nothing(state: State, at: Ref) -> bool:
    service = state.find(at)
    selector = service.spec.get("selector") if service else None
    if not selector or any(equals(selector, pod.labels) for pod in state.all("Pod", at.namespace)):
        return False
    return not any(equals(selector, labels) for labels in makers(state, at.namespace).values())


def likeness(service: Object, at: Ref, labels: Mapping[str, str]) -> float:
    """How likely a Service means the pods of this workload: labels in common, near values, near names."""
    selector: Mapping[str, str] = service.spec.get("selector") or {}
    score = 0.0
    for key, value in selector.items():
        if labels.get(key) == value:
            score += 1.0
        elif key in labels and (labels[key].lower() == value.lower() or nearest(value, [labels[key]])):
            score += 0.8
        elif value in labels.values():
            score += 0.7
    score /= max(len(selector), 1)
    if at.name == service.ref.name:
        score += 0.6
    elif nearest(service.ref.name, [at.name]) or at.name in selector.values():
        score += 0.4
    return score


def meant(state: State, service: Object) -> tuple[Ref, Mapping[str, str]] | None:
    """The workload that a Service without any pod most likely means."""
    scored = [
        (likeness(service, at, labels), at, labels) for at, labels in makers(state, service.ref.namespace).items()
    ]
    best = max(scored, key=lambda each: (each[0], each[1]), default=None)
    return (best[1], best[2]) if best is not None and best[0] >= 0.4 else None


def reselected(service: Object, labels: Mapping[str, str]) -> Patch:
    """The selector changed as little as makes it match these labels."""
    edits: list[Edit] = []
    selector: Mapping[str, str] = service.spec.get("selector") or {}
    for key, value in selector.items():
        if labels.get(key) == value:
            continue
        other = next((name for name in sorted(labels) if labels[name] == value and name not in selector), "")
        if key in labels:
            edits.append(Edit(("spec", "selector", key), labels[key]))
        else:
            edits.append(Edit(("spec", "selector", key), REMOVE))
            if other:
                edits.append(Edit(("spec", "selector", other), value))
    kept = [key for key in selector if key in labels]
    if not kept and not any(edit.value is not REMOVE for edit in edits):
        edits = [Edit(("spec", "selector"), dict(labels))]
    return Patch(service.ref, tuple(edits))


def words(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(labels.items())) or "no labels"


def _elsewhere(state: State, symptom: Symptom) -> Iterable[Read]:
    """Pods of these labels in other namespaces, asked for only when none is here."""
    service = state.find(symptom.at)
    if service is not None and matches_nothing(state, symptom.at) and meant(state, service) is None:
        yield list_of("Pod", "", labels=words(service.spec["selector"]).replace(", ", ","))


@cause("service/selector-mismatch", "no-endpoints", needs=_elsewhere, holds=matches_nothing)
def selector_mismatch(state: State, symptom: Symptom) -> Iterable[Finding]:
    service = state.find(symptom.at)
    if service is None or not matches_nothing(state, symptom.at):
        return
    selector = service.spec["selector"]
    facts = (field(service, f"spec.selector is {words(selector)}"),
             listed("Pod", symptom.at.namespace, f"no pod in namespace {symptom.at.namespace} has the labels {words(selector)}"))  # fmt: skip
    found = meant(state, service)
    if found is None:
        yield from _not_here(state, service, facts)
        return
    at, labels = found
    yield Finding(
        "service/selector-mismatch",
        service.ref,
        "proved",
        f"Service {service.ref.name} selects pods with {words(selector)}, and no pod has these labels; "
        f"the pods of {at.short} have {words(labels)}",
        supports=(*facts, field(at, f"the pods of {at.short} carry {words(labels)}")),
        mends=(Mend(f"Select the pods of {at.short}", (reselected(service, labels),)),),
        affects=(at,),
        weight=0.2,
    )


def _not_here(state: State, service: Object, facts: tuple[Fact, ...]) -> Iterator[Finding]:
    """Nothing here resembles what is selected: perhaps it runs in another namespace, perhaps it is gone."""
    selector = service.spec["selector"]
    away = sorted({pod.ref.namespace for pod in state.all("Pod") if equals(selector, pod.labels)})
    if away:
        meta = {"name": service.ref.name, "namespace": away[0]}
        spec = {"selector": dict(selector), "ports": [_portable(port) for port in service.spec.get("ports") or ()]}
        body = {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}
        yield Finding(
            "service/selector-mismatch",
            service.ref,
            "proved",
            f"Service {service.ref.name} selects pods with {words(selector)}, but the pods with these labels are in "
            f"namespace {away[0]}, and a Service selects in its own namespace only",
            supports=(*facts, listed("Pod", away[0], f"pods with {words(selector)} run in namespace {away[0]}")),
            mends=(Mend(f"Put the Service beside its pods, and call it as {service.ref.name}.{away[0]}",
                        (Patch(ref("Service", away[0], service.ref.name), action="create", body=body),)),),
        )  # fmt: skip
        return
    yield Finding(
        "service/selector-mismatch",
        service.ref,
        "possible",
        f"Service {service.ref.name} selects pods with {words(selector)}, and nothing in namespace "
        f"{service.ref.namespace} makes such pods",
        supports=facts,
        mends=(Mend("Select the pods that should serve", (set_field(service.ref, "spec", "selector", value={"<LABEL>": "<VALUE>"}),),
                    unknown=("<LABEL> and <VALUE>: no workload here resembles what is selected, so which one is meant cannot be known",)),),
    )  # fmt: skip


def _portable(port: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in port.items() if key != "nodePort"}


@cause("service/no-ready-endpoints", "no-endpoints")
def no_ready_endpoints(state: State, symptom: Symptom) -> Iterable[Finding]:
    service = state.find(symptom.at)
    pods = servers(state, service) if service else []
    if service is None or not pods or any(is_ready(pod) for pod in pods):
        return
    yield Finding(
        "service/no-ready-endpoints",
        service.ref,
        "proved",
        f"none of the {len(pods)} pods that Service {service.ref.name} selects is ready",
        supports=tuple(field(pod, f"{pod.ref.short} is not ready") for pod in pods[:3]),
    )


# -- ports ------------------------------------------------------------------------------------------------------------


class Offer(NamedTuple):
    """A port that the backends serve: its number, its name if it has one, and what shows it."""

    number: int
    name: str
    shown: str


def offers(state: State, pods: Iterable[Object], protocol: str) -> list[Offer]:
    found: dict[int, Offer] = {}
    for pod in pods:
        for each in containers(pod):
            for port in each.ports() if each.role != "init" else ():
                if (port.get("protocol") or "TCP") == protocol and port.get("containerPort"):
                    number, name = int(port["containerPort"]), port.get("name") or ""
                    words = f"container {each.name} declares port {number}" + (f" named {name}" if name else "")
                    found.setdefault(number, Offer(number, name, words))
    for pod in pods:
        for number, shown in listening(state, pod).items() if protocol == "TCP" else ():
            found.setdefault(number, Offer(number, "", shown))
    return list(found.values())


def heard(state: State, pods: Iterable[Object]) -> list[Offer]:
    """Ports that are known to be listened on, not merely declared."""
    return [Offer(number, "", shown) for pod in pods for number, shown in listening(state, pod).items()]


def chosen(entry: Mapping[str, Any], found: list[Offer]) -> Offer | None:
    """The port that an entry of a Service most likely means."""
    target, name = entry.get("targetPort", entry.get("port")), entry.get("name") or ""
    names = [each.name for each in found if each.name]
    wanted = (nearest(str(target), names) if isinstance(target, str) else "") or (name if name in names else "")
    ranked = sorted(
        found,
        key=lambda each: (
            each.name != wanted or not wanted,
            each.number != entry.get("port"),
            not nearest(str(target), [str(each.number)]),
            any(word in each.name for word in ("metric", "admin", "health", "debug")),
            each.number,
        ),
    )
    return ranked[0] if ranked else None


def entry_of(service: Object, part: str) -> tuple[int, Mapping[str, Any]] | None:
    """The port entry that a symptom's part names, with its place."""
    for index, entry in enumerate(service.spec.get("ports") or ()):
        if str(entry.get("port")) == part:
            return index, entry
    return None


def unserved(state: State, at: Ref) -> bool:
    service = state.find(at)
    if service is None:
        return False
    pods = servers(state, service)
    ports = service.spec.get("ports") or ()
    nowhere = any(not any(serves(pod, port) for pod in pods) for port in ports)
    return bool(pods) and (nowhere or bool(silent_ports(state, service, pods)))


def server_logs(state: State, symptom: Symptom) -> Iterable[Read]:
    """What the servers say that they listen on, where a client is refused."""
    if not symptom.note.startswith(("connection-refused", "connection-reset", "http-upstream", "no-route", "grpc")):
        return
    for call in called(state, symptom.at):
        service = state.find(call.service) if call.service and (call.failing or not symptom.note.count(" ")) else None
        for pod in servers(state, service)[:1] if service else ():
            yield from (
                logs_of(each.ref) for each in containers(pod) if each.running is not None and each.role != "init"
            )


def _said(entry: Mapping[str, Any]) -> str:
    return f"port {entry.get('port')} (targetPort {entry.get('targetPort', entry.get('port'))})"


@cause("service/port-mismatch", "port-unserved", "service-suspect", "client-failing", needs=server_logs, holds=unserved)
def port_mismatch(state: State, symptom: Symptom) -> Iterable[Finding]:
    if symptom.kind == "service-suspect":
        yield from _heard_elsewhere(state, symptom)
    if symptom.kind != "port-unserved":
        return
    service = state.find(symptom.at)
    place = entry_of(service, symptom.at.part) if service else None
    if service is None or place is None:
        return
    index, entry = place
    pods, protocol = servers(state, service), entry.get("protocol") or "TCP"
    found = offers(state, pods, protocol)
    if not pods or not found:
        return
    pick = chosen(entry, found)
    owner = workload_of(state, pods[0].ref)
    yield Finding(
        "service/port-mismatch",
        service.ref,
        "proved",
        f"Service {service.ref.name} sends {_said(entry)} to its pods, but no container of {owner.short} has such a "
        f"port: {'; '.join(each.shown for each in found[:4])}",
        supports=(field(service, f"spec.ports: port {entry.get('port')} has targetPort {entry.get('targetPort', entry.get('port'))}"),
                  *(field(owner, each.shown) for each in found[:3])),
        mends=_retargeted(service, index, entry, pick, found),
        affects=(owner,),
        weight=0.2,
    )  # fmt: skip


def _retargeted(
    service: Object, index: int, entry: Mapping[str, Any], pick: Offer | None, found: list[Offer]
) -> tuple[Mend, ...]:
    if pick is None:
        return ()
    by_name = isinstance(entry.get("targetPort"), str) and pick.name
    value = pick.name if by_name else pick.number
    others = [str(each.number) for each in found if each.number != pick.number]
    also = f" (its pods also have {', '.join(others)})" if others else ""
    return (Mend(f"Send it to port {value}{also}",
                 (set_field(service.ref, "spec", "ports", index, "targetPort", value=value),)),)  # fmt: skip


def _refused(state: State, at: Ref, entry: Mapping[str, Any]) -> tuple[Fact, ...]:
    """What clients' logs say of being refused by this port of a Service."""
    facts: list[Fact] = []
    for pod in state.all("Pod"):
        for call in called(state, pod.ref):
            if call.service == at and call.failing == "connection-refused" and call.port in (None, entry.get("port")):
                facts.append(Fact(f"log of {call.caller.part}: {call.line}", call.caller, logs_of(call.caller)))
    return tuple(facts[:2])


def _heard_elsewhere(state: State, symptom: Symptom) -> Iterator[Finding]:
    """The backends declare no other port, but what they say and what their probes reach is another one."""
    service = state.find(symptom.at)
    if service is None or not symptom.note.startswith("port "):
        return
    place = entry_of(service, symptom.note.removeprefix("port "))
    pods = servers(state, service)
    if place is None or not pods:
        return
    index, entry = place
    found, owner = heard(state, pods), workload_of(state, pods[0].ref)
    refused = _refused(state, service.ref, entry)
    target = target_port(pods[0], entry)
    declares = any(port.get("containerPort") == target for each in containers(pods[0]) for port in each.ports())
    if declares and not refused:
        return
    yield Finding(
        "service/port-mismatch",
        service.ref,
        "proved" if refused else "likely",
        f"Service {service.ref.name} sends {_said(entry)} to its pods, but {owner.short} listens on "
        f"{', '.join(str(each.number) for each in found[:3])}, not on {target}",
        supports=(field(service, f"spec.ports: {_said(entry)}"), *(field(owner, each.shown) for each in found[:2]), *refused),
        mends=_retargeted(service, index, entry, chosen(entry, found), found),
        affects=(owner,),
    )  # fmt: skip
