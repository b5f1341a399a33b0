"""Pods that no node takes because there is no room: resources, pod slots, host ports, neighbours, spread."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from kubectl_ai_intellect.causes import fit
from kubectl_ai_intellect.causes.areas.scheduling import names, near, needs, quoted, sure, waiting
from kubectl_ai_intellect.causes.base import Fact, Finding, Mend, Symptom, cause
from kubectl_ai_intellect.causes.facts import field, listed
from kubectl_ai_intellect.kube.refs import Ref
from kubectl_ai_intellect.kube.source import Object, Read
from kubectl_ai_intellect.state.edits import By, Edit, Patch, Step, set_field
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import declared, pod_labels, pod_spec, spec_path
from kubectl_ai_intellect.state.relations import pods_of, workload_of
from kubectl_ai_intellect.state.selectors import matches

LOOKED_AT = 3
"""On how many nodes the pods are read, to see what is left there."""


def room_needs(state: State, symptom: Symptom) -> Iterable[Read]:
    """Who is on the nodes that are open and big enough: a few of them speak for all."""
    yield from needs(state, symptom)
    pod = state.find(symptom.at)
    found = fit.blocked(state, pod) if pod else None
    if (
        found
        and found.from_fields
        and (found.by.startswith("short ") or found.by in ("pods", "ports", "anti-affinity"))
    ):
        for node in sorted(found.nodes, key=lambda each: each.ref.name)[:LOOKED_AT]:
            if not fit.pods_known(state, node.ref.name):
                yield fit.pods_on(node.ref.name)


# -- resources --------------------------------------------------------------------------------------------------------


def shown(resource: str, value: float) -> str:
    """An amount as a person writes it: 250m, 2, 512Mi, 4Gi."""
    if resource == "cpu":
        return f"{round(value * 1000)}m" if value % 1 else str(int(value))
    if resource in ("memory", "ephemeral-storage") or resource.startswith("hugepages-"):
        for unit, size in (("Gi", 2.0**30), ("Mi", 2.0**20), ("Ki", 2.0**10)):
            if value >= size and (unit != "Gi" or value % size == 0):
                return f"{int(value // size)}{unit}"
    return str(int(value))


def short_of(resource: str) -> Callable[[State, Ref], bool]:
    def holds(state: State, at: Ref) -> bool:
        found = fit.blocked_workload(state, at)
        return found is not None and _kind(found.by) == resource

    return holds


def _kind(by: str) -> str:
    name = by.removeprefix("short ") if by.startswith("short ") else ""
    return name if name in ("", "cpu", "memory", "ephemeral-storage") else "extended"


def _short(state: State, symptom: Symptom, kind: str, id: str) -> Iterator[Finding]:
    pod = state.find(symptom.at)
    why = fit.blocked(state, pod) if pod else None
    if pod is None or why is None or _kind(why.by) != kind:
        return
    resource = why.by.removeprefix("short ")
    workload = workload_of(state, symptom.at)
    asks = fit.requests(pod.spec).get(resource, 0.0)
    largest = max((fit.allocatable(node).get(resource, 0.0) for node in why.nodes), default=0.0)
    left = {node.ref.name: max(fit.free(state, node).get(resource, 0.0), 0.0)
            for node in why.nodes if fit.pods_known(state, node.ref.name)}  # fmt: skip
    best = max(left.values(), default=None)
    never = bool(why.nodes) and asks > largest
    if never:
        what = f"the largest node that fits has {shown(resource, largest)}" if largest else f"no node offers {resource}"
    elif best is not None:
        what = f"the most that is left on {names(why.nodes)} is {shown(resource, best)} of {shown(resource, largest)}"
    else:
        what = "no node that fits has so much left"
    supports: list[Fact] = [
        field(workload, f"its pods request {resource} {shown(resource, asks)}"),
        *quoted(state, pod),
    ]
    for node in why.nodes[:2]:
        has = shown(resource, fit.allocatable(node).get(resource, 0.0))
        rest = f", {shown(resource, left[node.ref.name])} of it not requested yet" if node.ref.name in left else ""
        supports.append(field(node, f"{node.ref.name} has allocatable {resource} {has}{rest}"))
    room = best if best is not None else 0.0
    yield Finding(
        id, workload, sure(why),
        f"{workload.short} requests {resource} {shown(resource, asks)} for each pod, but {what}",
        supports=tuple(supports), mends=tuple(_room_mends(state, workload, pod, resource, asks, room, why)),
    )  # fmt: skip


def _room_mends(
    state: State, workload: Ref, pod: Object, resource: str, asks: float, room: float, why: fit.Blocked
) -> Iterator[Mend]:
    containers: list[dict[str, Any]] = list(pod.spec.get("containers") or [{}])
    greedy = max(containers, key=lambda each: fit.container_requests(each).get(resource, 0.0))
    owner = state.find(workload)
    place = declared(owner, greedy.get("name", "")) if owner else None
    if place is None:
        return
    own = fit.container_requests(greedy).get(resource, 0.0)
    if _kind(why.by) == "extended":
        yield from _extended_mends(workload, place, resource, room, own, why)
        return
    peers = [each for each in pods_of(state, workload) if not each.spec.get("nodeName")]
    share = room / max(1, math.ceil(len(peers) / max(1, len(why.nodes))))
    fits = _rounded(resource, share - (asks - own))
    lower = (*place[1], "resources", "requests", resource)
    if fits > 0:
        value = shown(resource, fits)
        yield Mend(f"Lower the {resource} request of container {greedy['name']} to {value}, which fits",
                   (set_field(workload, *lower, value=value),), risk="medium",
                   unknown=(f"whether {value} is enough for it: kubectl top pods tells what it uses",))  # fmt: skip
    else:
        mark = f"<{resource.upper().replace('-', '_')}_REQUEST>"
        yield Mend(f"Lower the {resource} request of container {greedy['name']}",
                   (set_field(workload, *lower, value=mark),), risk="medium",
                   unknown=(f"{mark}: what it really needs, and no more than what is left on a node",))  # fmt: skip
    yield Mend(f"Or add a node with at least {shown(resource, asks)} {resource} to spare, or free as much")


def _rounded(resource: str, value: float) -> float:
    """Down to what a person would write: whole 10m, whole Mi, and a little to spare."""
    if value <= 0:
        return 0.0
    unit = 0.01 if resource == "cpu" else 2.0**20
    return math.floor(value * 0.9 / unit) * unit


def _extended_mends(
    workload: Ref,
    place: tuple[Mapping[str, Any], tuple[Step, ...]],
    resource: str,
    room: float,
    own: float,
    why: fit.Blocked,
) -> Iterator[Mend]:
    path = (*place[1], "resources")
    own_resources: Any = (place[0] or {}).get("resources") or {}
    groups = [group for group in ("limits", "requests") if resource in (own_resources.get(group) or {})]
    offered = {name for node in why.nodes for name, value in fit.allocatable(node).items() if "/" in name and value > 0}
    largest = max((fit.allocatable(node).get(resource, 0.0) for node in why.nodes), default=0.0)
    fits = min(own, room or largest)
    meant = near(resource, offered - {resource}) if not largest and offered else ""
    if meant:
        edits = [Edit((*path, group, resource)) for group in groups]
        edits += [Edit((*path, group, meant), shown(resource, own)) for group in groups]
        yield Mend(f"Ask for {meant}, which nodes offer", (Patch(workload, tuple(edits)),), risk="medium")
    elif 0 < fits < own:
        edits = [Edit((*path, group, resource), shown(resource, fits)) for group in groups]
        yield Mend(f"Ask for {shown(resource, fits)} {resource}", (Patch(workload, tuple(edits)),), risk="medium")
    yield Mend(f"Do without {resource}", (Patch(workload, tuple(Edit((*path, group, resource)) for group in groups)),),
               risk="medium", unknown=(f"whether it works without {resource} cannot be known",))  # fmt: skip
    yield Mend(f"Or add a node (or its device plugin) that offers {resource}")


@cause("scheduling/insufficient-cpu", "pod-unscheduled", needs=room_needs, holds=short_of("cpu"))
def insufficient_cpu(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _short(state, symptom, "cpu", "scheduling/insufficient-cpu")


@cause("scheduling/insufficient-memory", "pod-unscheduled", needs=room_needs, holds=short_of("memory"))
def insufficient_memory(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _short(state, symptom, "memory", "scheduling/insufficient-memory")


@cause(
    "scheduling/insufficient-ephemeral-storage",
    "pod-unscheduled",
    needs=room_needs,
    holds=short_of("ephemeral-storage"),
)
def insufficient_ephemeral(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _short(state, symptom, "ephemeral-storage", "scheduling/insufficient-ephemeral-storage")


@cause("scheduling/insufficient-extended-resource", "pod-unscheduled", needs=room_needs, holds=short_of("extended"))
def insufficient_extended(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _short(state, symptom, "extended", "scheduling/insufficient-extended-resource")


@cause("scheduling/too-many-pods", "pod-unscheduled", needs=room_needs)
def too_many_pods(state: State, symptom: Symptom) -> Iterable[Finding]:
    found = waiting(state, symptom, "pods")
    if not found:
        return
    pod, why = found
    workload = workload_of(state, symptom.at)
    full = [
        field(node, f"{node.ref.name} may hold {int(fit.allocatable(node).get('pods', 0))} pods")
        for node in why.nodes[:2]
    ]
    running = sum(bool(each.spec.get("nodeName")) for each in pods_of(state, workload))
    mends = [Mend("Add a node, raise the kubelets' maxPods, or remove pods that are not needed")]
    if workload.kind in ("Deployment", "StatefulSet", "ReplicaSet") and running:
        mends.append(Mend(f"Run only the {running} that fit", (set_field(workload, "spec", "replicas", value=running),),
                          kind="stopgap"))  # fmt: skip
    yield Finding("scheduling/too-many-pods", workload, sure(why),
                  f"every node that fits {workload.short} already holds as many pods as it may ({names(why.nodes)})",
                  supports=(*full, *quoted(state, pod)), mends=tuple(mends))  # fmt: skip


# -- neighbours -------------------------------------------------------------------------------------------------------


def _replicas(found: Object | None) -> int:
    return int(found.spec.get("replicas") or 0) if found is not None else 0


def _scale_to_fit(state: State, workload: Ref, running: int) -> Iterator[Mend]:
    if running and workload.kind in ("Deployment", "StatefulSet", "ReplicaSet"):
        yield Mend(f"Run the {running} that fit, one for each place, or add places",
                   (set_field(workload, "spec", "replicas", value=running),), risk="medium")  # fmt: skip


def _placed(state: State, workload: Ref) -> int:
    return sum(bool(each.spec.get("nodeName")) and each.deleting is None for each in pods_of(state, workload))


def _self_averse(state: State, at: Ref) -> bool:
    """A workload that wants more replicas than there are places apart from each other."""
    found = state.find(at)
    if found is None or not state.all("Node").complete:
        return False
    spec = pod_spec(found)
    for term in fit.affinity_terms(spec, "podAntiAffinity"):
        if not matches(term.get("labelSelector"), pod_labels(found)):
            continue
        nodes = [node for node in state.all("Node") if fit.selects(spec, node) and fit.likes(spec, node)
                 and not fit.untolerated(spec, node) and not fit.cordoned(spec, node)]  # fmt: skip
        places = {node.labels.get(term.get("topologyKey", "")) for node in nodes} - {None}
        if _replicas(found) > len(places):
            return True
    other = fit.blocked_workload(state, at)
    return other is not None and other.by == "anti-affinity" and not _placed(state, at)


@cause("scheduling/pod-anti-affinity-conflict", "pod-unscheduled", needs=room_needs, holds=_self_averse)
def anti_affinity(state: State, symptom: Symptom) -> Iterable[Finding]:
    found = waiting(state, symptom, "anti-affinity")
    if not found:
        return
    pod, why = found
    workload = workload_of(state, symptom.at)
    terms = fit.affinity_terms(pod.spec, "podAntiAffinity")
    others = {
        workload_of(state, each.ref) for term in terms for each in fit.term_pods(state, term, symptom.at.namespace)
    }
    keys = ", ".join(sorted({term.get("topologyKey", "") for term in terms})) or "a topology"
    apart = "its own pods" if workload in others else ", ".join(sorted(each.short for each in others)) or "other pods"
    mine = (
        f"must not share a {keys} with {apart}"
        if terms
        else "is shut out by the anti-affinity of pods that already run"
    )
    alone = len(why.nodes) or "few"
    path = (*spec_path(workload.kind), "affinity", "podAntiAffinity")
    placed = _placed(state, workload)
    mends = list(_scale_to_fit(state, workload, placed)) if workload in others else []
    if terms:
        soft = [{"weight": 100, "podAffinityTerm": dict(term)} for term in terms]
        mends.append(Mend("Prefer them apart instead of requiring it", (
            Patch(workload, (Edit((*path, fit.REQUIRED)),
                             Edit((*path, "preferredDuringSchedulingIgnoredDuringExecution"), soft))),), risk="medium"))  # fmt: skip
    yield Finding(
        "scheduling/pod-anti-affinity-conflict", workload, sure(why),
        f"a pod of {workload.short} {mine}, and all of the {alone} nodes that fit are taken in that sense",
        supports=(field(workload, f"required podAntiAffinity over {keys}"), *quoted(state, pod),
                  *(listed("Pod", symptom.at.namespace, f"{placed} pods of {workload.short} already have a node") for _ in [0] if placed)),
        mends=tuple(mends),
    )  # fmt: skip


def _wants_company(state: State, at: Ref) -> bool:
    found = state.find(at)
    terms = fit.affinity_terms(pod_spec(found), "podAffinity") if found else ()
    alone = [term for term in terms if not fit.term_pods(state, term, at.namespace)]
    return bool(alone) and state.all("Pod", at.namespace).complete


@cause("scheduling/pod-affinity-unsatisfied", "pod-unscheduled", needs=needs, holds=_wants_company)
def pod_affinity(state: State, symptom: Symptom) -> Iterable[Finding]:
    found = waiting(state, symptom, "pod-affinity")
    if not found:
        return
    pod, why = found
    workload = workload_of(state, symptom.at)
    terms = fit.affinity_terms(pod.spec, "podAffinity")
    lonely = next(
        (term for term in terms if not fit.term_pods(state, term, symptom.at.namespace)), terms[0] if terms else {}
    )
    labels = ", ".join(
        f"{key}={value}" for key, value in ((lonely.get("labelSelector") or {}).get("matchLabels") or {}).items()
    )
    whom = labels or "its labelSelector"
    path = (*spec_path(workload.kind), "affinity", "podAffinity")
    mends = list(_company_mends(state, workload, terms, lonely, path))
    yield Finding(
        "scheduling/pod-affinity-unsatisfied", workload, sure(why),
        f"{workload.short} must run next to pods with {whom} (required podAffinity), and none runs on a node that fits",
        supports=(field(workload, f"required podAffinity to pods with {whom}"),
                  listed("Pod", symptom.at.namespace, f"no pod with {whom} has a node"), *quoted(state, pod)),
        mends=tuple(mends),
    )  # fmt: skip


def _company_mends(
    state: State, workload: Ref, terms: Iterable[fit.Spec], lonely: fit.Spec, path: tuple[Step, ...]
) -> Iterator[Mend]:
    index = next((number for number, term in enumerate(terms) if term is lonely), 0)
    wanted = (lonely.get("labelSelector") or {}).get("matchLabels") or {}
    pods = [pod for pod in state.all("Pod", workload.namespace) if pod.spec.get("nodeName")]
    for key, value in wanted.items():
        meant = near(value, (pod.labels[key] for pod in pods if key in pod.labels))
        if meant and meant != value and len(wanted) == 1:
            yield Mend(f"Run next to the pods with {key}={meant}, which do exist",
                       (set_field(workload, *path, fit.REQUIRED, index, "labelSelector", "matchLabels", key, value=meant),),
                       risk="medium")  # fmt: skip
    soft = [{"weight": 100, "podAffinityTerm": dict(term)} for term in terms]
    yield Mend("Prefer that instead of requiring it", (
        Patch(workload, (Edit((*path, fit.REQUIRED)),
                         Edit((*path, "preferredDuringSchedulingIgnoredDuringExecution"), soft))),), risk="medium")  # fmt: skip


def _spread_hard(state: State, at: Ref) -> bool:
    found = state.find(at)
    spreads = pod_spec(found).get("topologySpreadConstraints") or () if found else ()
    return any(each.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule" for each in spreads)


@cause("scheduling/topology-spread-unsatisfiable", "pod-unscheduled", needs=needs, holds=_spread_hard)
def topology_spread(state: State, symptom: Symptom) -> Iterable[Finding]:
    found = waiting(state, symptom, "spread")
    if not found:
        return
    pod, why = found
    workload = workload_of(state, symptom.at)
    hard = [
        (index, each) for index, each in enumerate(pod.spec.get("topologySpreadConstraints") or ())
        if each.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule"
    ]  # fmt: skip
    if not hard:
        return
    text = ", ".join(f"{each.get('topologyKey')} with maxSkew {each.get('maxSkew')}" for _, each in hard)
    unlabelled = [
        each["topologyKey"]
        for _, each in hard
        if why.nodes and not any(each["topologyKey"] in n.labels for n in why.nodes)
    ]
    hint = f": no node that fits has the label {unlabelled[0]}" if unlabelled else ""
    path = (*spec_path(workload.kind), "topologySpreadConstraints")
    edits = tuple(Edit((*path, index, "whenUnsatisfiable"), "ScheduleAnyway") for index, _ in hard)
    yield Finding(
        "scheduling/topology-spread-unsatisfiable", workload, sure(why),
        f"{workload.short} must be spread over {text} (DoNotSchedule), which no free node would keep{hint}",
        supports=(field(workload, f"topologySpreadConstraints: {text}, whenUnsatisfiable DoNotSchedule"), *quoted(state, pod)),
        mends=(Mend("Let the spread be a wish (ScheduleAnyway)", (Patch(workload, edits),)),),
    )  # fmt: skip


def _ports_crowded(state: State, at: Ref) -> bool:
    found = state.find(at)
    spec = pod_spec(found) if found else {}
    if found is None or not fit.host_ports(spec) or not state.all("Node").complete:
        return False
    nodes = [node for node in state.all("Node") if fit.selects(spec, node) and fit.likes(spec, node)
             and not fit.untolerated(spec, node) and not fit.cordoned(spec, node)]  # fmt: skip
    taken = [node for node in nodes if any(fit.host_ports(spec) & fit.host_ports(pod.spec)
             for pod in fit.hosted(state, node.ref.name) if workload_of(state, pod.ref) != at)]  # fmt: skip
    return _replicas(found) > len(nodes) - len(taken) or len(taken) == len(nodes)


@cause("scheduling/host-port-conflict", "pod-unscheduled", needs=room_needs, holds=_ports_crowded)
def host_port(state: State, symptom: Symptom) -> Iterable[Finding]:
    found = waiting(state, symptom, "ports")
    if not found:
        return
    pod, why = found
    workload = workload_of(state, symptom.at)
    wanted = fit.host_ports(pod.spec)
    holders = {
        workload_of(state, each.ref) for node in why.nodes for each in fit.hosted(state, node.ref.name)
        if wanted & fit.host_ports(each.spec)
    }  # fmt: skip
    ports = ", ".join(str(port) for _, port in sorted(wanted))
    by = (
        "its own other pods"
        if holders == {workload}
        else ", ".join(sorted(each.short for each in holders)) or "other pods"
    )
    mends = list(_scale_to_fit(state, workload, _placed(state, workload))) if workload in holders else []
    owner = state.find(workload)
    edits = [
        Edit((*place[1], "ports", By(port["containerPort"], "containerPort"), "hostPort"))
        for each in pod.spec.get("containers") or ()
        for place in [declared(owner, each["name"]) if owner else None]
        if place
        for port in place[0].get("ports") or ()
        if port.get("hostPort") and not pod.spec.get("hostNetwork")
    ]
    if edits:
        removal = Mend("Do without hostPort; a Service reaches the pods all the same", (Patch(workload, tuple(edits)),),
                       risk="medium")  # fmt: skip
        mends = [removal, *mends]
    yield Finding(
        "scheduling/host-port-conflict", workload, sure(why),
        f"{workload.short} wants host port {ports}, which {by} already hold on every node that fits ({names(why.nodes)})",
        supports=(field(workload, f"hostPort {ports}"), *quoted(state, pod)), mends=tuple(mends),
    )  # fmt: skip
