"""Autoscalers that cannot act or have no room, and disruption budgets that let nothing go."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kubectl_ai_intellect.causes.base import Fact, Finding, Mend, Symptom, cause
from kubectl_ai_intellect.causes.facts import field, not_there, told
from kubectl_ai_intellect.causes.symptoms.cluster import drained, refused_evictions
from kubectl_ai_intellect.causes.symptoms.workloads import other_scalers
from kubectl_ai_intellect.kube.refs import KNOWN, Ref, group_of, ref
from kubectl_ai_intellect.kube.source import Object, Read, dig, get_of, list_of
from kubectl_ai_intellect.state.edits import Edit, Patch, remove_field, set_field
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.history import field_managers, managed_by
from kubectl_ai_intellect.state.pods import containers, declared, declared_containers, is_ready
from kubectl_ai_intellect.state.relations import Relation, near, pods_of
from kubectl_ai_intellect.state.selectors import matches

METRICS = "v1beta1.metrics.k8s.io"
_NO_REQUEST = re.compile(r"missing request for (\S+)")
_SOURCES = {"Resource": METRICS, "ContainerResource": METRICS, "Pods": "v1beta1.custom.metrics.k8s.io",
            "Object": "v1beta1.custom.metrics.k8s.io", "External": "v1beta1.external.metrics.k8s.io"}  # fmt: skip


def target_of(found: Object) -> Ref:
    to = found.spec.get("scaleTargetRef") or {}
    return Ref(group_of(to.get("apiVersion") or ""), to.get("kind", ""), found.ref.namespace, to.get("name", ""))


def _said(found: Object) -> str:
    """What the autoscaler says of itself, where it cannot act."""
    words = [
        f"{kind}: {condition.get('reason')}: {condition.get('message')}"
        for kind in ("AbleToScale", "ScalingActive")
        if (condition := found.condition(kind) or {}).get("status") == "False"
    ]
    return "; ".join(words)


def _reads(state: State, symptom: Symptom) -> Iterator[Read]:
    found = state.find(symptom.at)
    if found is None:
        return
    target = target_of(found)
    if state.find(target) is None and (target.group, target.kind) in KNOWN:
        yield get_of(target)
    for name in dict.fromkeys(_SOURCES.get(each.get("type", ""), METRICS) for each in found.spec.get("metrics") or ()):
        yield get_of(ref("APIService", "", name))


def _backend(state: State, symptom: Symptom) -> Iterator[Read]:
    """What the metrics API is served by: its Service, endpoints and pods, once its own state is known."""
    yield from _reads(state, symptom)
    for api in state.all("APIService"):
        if (api.condition("Available") or {}).get("status") == "False" and dig(api.spec, "service", "namespace"):
            for kind in ("Service", "EndpointSlice", "Pod", "Event", "Deployment", "ReplicaSet"):
                yield list_of(kind, api.spec["service"]["namespace"])


# -- target ----------------------------------------------------------------------------------------------------------


def _no_target(state: State, at: Ref) -> bool:
    found = state.find(at)
    return found is not None and found.ref.kind == "HorizontalPodAutoscaler" and state.absent(target_of(found))


@cause("hpa/target-missing", "scaler-blind", needs=_reads, holds=_no_target)
def target_missing(state: State, symptom: Symptom) -> Iterable[Finding]:
    found = state.find(symptom.at)
    if found is None:
        return
    target = target_of(found)
    if not _no_target(state, found.ref):
        said = (found.condition("AbleToScale") or {}).get("message") or ""
        if symptom.note != "FailedGetScale" or "not found" not in said or state.find(target) is not None:
            return
    names = [each.ref.name for each in state.all(target.kind, target.namespace, group=target.group)]
    others = [
        each.ref
        for kind in ("Deployment", "StatefulSet")
        for each in state.all(kind, target.namespace)
        if each.ref.name == target.name and each.ref.kind != target.kind
    ]
    yield Finding(
        "hpa/target-missing", found.ref, "proved" if _no_target(state, found.ref) else "likely",
        f"{found.ref.short} scales {target.short}, which does not exist" + _offer(names, others, target.name),
        supports=(field(found, f"spec.scaleTargetRef is {target.short}"), not_there(target), field(found, _said(found))),
        mends=(_retarget(found, names, others, target),), weight=0.3,
    )  # fmt: skip


def _closest(name: str, names: list[str]) -> str:
    return next(iter(difflib.get_close_matches(name, names, n=1, cutoff=0.6)), names[0] if len(names) == 1 else "")


def _offer(names: list[str], others: list[Ref], name: str) -> str:
    if others:
        return f"; there is a {others[0].short}"
    close = _closest(name, names)
    return f"; there is {close}" if close else ""


def _retarget(found: Object, names: list[str], others: list[Ref], target: Ref) -> Mend:
    if others:
        edits = (
            Edit(("spec", "scaleTargetRef", "kind"), others[0].kind),
            Edit(("spec", "scaleTargetRef", "apiVersion"), "apps/v1"),
        )
        return Mend(f"Scale {others[0].short}", (Patch(found.ref, edits),))
    close = _closest(target.name, names)
    unknown = () if close else (f"<NAME>: the {target.kind} that is meant; none of a like name exists",)
    value = close or "<NAME>"
    return Mend(
        f"Scale {value}", (set_field(found.ref, "spec", "scaleTargetRef", "name", value=value),), unknown=unknown
    )


# -- requests --------------------------------------------------------------------------------------------------------


def _utilised(found: Object) -> list[str]:
    """The resources whose usage is measured against what was requested."""
    return [
        source.get("name", "")
        for each in found.spec.get("metrics") or ()
        for source in (each.get("resource") or each.get("containerResource") or {},)
        if dig(source, "target", "type") == "Utilization"
    ]


def _without(owner: Object, resource: str) -> list[str]:
    lacking: list[str] = []
    for each in declared_containers(owner):
        init = each.get("restartPolicy") != "Always" and _is_init(owner, each.get("name", ""))
        given = {**dig(each, "resources", "limits", otherwise={}), **dig(each, "resources", "requests", otherwise={})}
        if resource not in given and not init:
            lacking.append(each.get("name", ""))
    return lacking


def _is_init(owner: Object, name: str) -> bool:
    place = declared(owner, name)
    return place is not None and "initContainers" in place[1]


def _given_otherwise(state: State, owner: Ref, resource: str) -> bool:
    """A LimitRange gave the pods what the template does not ask for."""
    pods = pods_of(state, owner)
    return bool(pods) and all(
        dig(each.spec, "resources", "requests", resource) for pod in pods for each in containers(pod)
        if each.role != "init"
    )  # fmt: skip


def _unmeasurable(state: State, workload: Ref) -> bool:
    owner = state.find(workload)
    if owner is None:
        return False
    scalers = [state.find(each) for each in near(state, workload, Relation.SCALES, back=True)]
    wants = {name for each in scalers if each for name in _utilised(each)}
    return any(_without(owner, name) and not _given_otherwise(state, workload, name) for name in wants)


@cause("hpa/no-requests", "scaler-blind", needs=_reads, holds=_unmeasurable)
def no_requests(state: State, symptom: Symptom) -> Iterable[Finding]:
    found = state.find(symptom.at)
    owner = state.find(target_of(found)) if found else None
    if found is None or owner is None:
        return
    said = _said(found)
    spoken = _NO_REQUEST.search(said)
    for resource in dict.fromkeys(_utilised(found)):
        lacking = _without(owner, resource)
        if not lacking or _given_otherwise(state, owner.ref, resource):
            continue
        mark = f"<{resource.upper()}>"
        edits = tuple(
            Edit((*place[1], "resources", "requests", resource), mark)
            for name in lacking
            if (place := declared(owner, name))
        )
        yield Finding(
            "hpa/no-requests", owner.ref, "proved" if spoken else "likely",
            f"{found.ref.short} measures {resource} against what is requested, and container {', '.join(lacking)} of "
            f"{owner.ref.short} requests no {resource}",
            supports=(field(owner, f"container {', '.join(lacking)} has no resources.requests.{resource}"),
                      field(found, said)),
            mends=(Mend(f"Request {resource} for container {', '.join(lacking)}", (Patch(owner.ref, edits),),
                        unknown=(f"{mark}: what the container uses in ordinary times; `kubectl top pod` shows it",)),),
            affects=(found.ref,), weight=0.3,
        )  # fmt: skip


# -- metrics ---------------------------------------------------------------------------------------------------------


@cause("hpa/no-metrics", "scaler-blind", needs=_backend)
def no_metrics(state: State, symptom: Symptom) -> Iterable[Finding]:
    found = state.find(symptom.at)
    if found is None or not symptom.note.startswith("FailedGet") or symptom.note == "FailedGetScale":
        return
    said = _said(found)
    if _NO_REQUEST.search(said):
        return
    kinds = dict.fromkeys(_SOURCES.get(each.get("type", ""), METRICS) for each in found.spec.get("metrics") or ())
    gone = [ref("APIService", "", name) for name in kinds if state.absent(ref("APIService", "", name))]
    facts: list[Fact] = [field(found, said), *(not_there(each) for each in gone)]
    owner = state.find(target_of(found))
    pods = pods_of(state, owner.ref) if owner else []
    unready = bool(pods) and not any(is_ready(pod) for pod in pods)
    what = "metrics-server" if METRICS in [each.name for each in gone] else "a metrics adapter"
    yield Finding(
        "hpa/no-metrics", found.ref, "proved" if gone else ("possible" if unready or not pods else "likely"),
        f"{found.ref.short} gets no metrics: "
        + (f"{gone[0].name} is not served, for {what} is not installed" if gone else said.rpartition(": ")[2] or said),
        supports=tuple(facts),
        mends=(Mend(f"Install {what} (or mend the metrics API): nothing in this namespace needs a change",
                    advice=(get_of(ref("APIService", "", next(iter(kinds), METRICS))),)),),
    )  # fmt: skip


# -- bounds ----------------------------------------------------------------------------------------------------------


def _needed(found: Object) -> int | None:
    """How many replicas the metrics of now ask for, by the autoscaler's own rule."""
    current = int(found.status.get("currentReplicas") or 0)
    wants: list[int] = []
    for each in found.status.get("currentMetrics") or ():
        now = dig(each, "resource", "current", "averageUtilization")
        name = dig(each, "resource", "name")
        goal = next((dig(m, "resource", "target", "averageUtilization") for m in found.spec.get("metrics") or ()
                     if dig(m, "resource", "name") == name), None)  # fmt: skip
        if isinstance(now, int) and isinstance(goal, int) and goal:
            wants.append(math.ceil(current * now / goal))
    return max(wants, default=None)


def _capped(state: State, at: Ref) -> bool:
    found = state.find(at)
    if found is None or found.ref.kind != "HorizontalPodAutoscaler":
        return False
    limited = found.condition("ScalingLimited") or {}
    most = found.spec.get("maxReplicas")
    wants = _needed(found)
    if not isinstance(most, int):
        return False
    stuck = limited.get("status") == "True" and limited.get("reason") == "TooManyReplicas"
    return stuck and most <= int(found.status.get("desiredReplicas") or 0) and (wants is None or most < wants)


@cause("hpa/at-maximum", "scaler-capped", holds=_capped)
def at_maximum(state: State, symptom: Symptom) -> Iterable[Finding]:
    found = state.find(symptom.at)
    if found is None:
        return
    most, wants = found.spec.get("maxReplicas"), _needed(found)
    limited = found.condition("ScalingLimited") or {}
    more = wants if wants and isinstance(most, int) and wants > most else "<REPLICAS>"
    yield Finding(
        "hpa/at-maximum", found.ref, "proved",
        f"{found.ref.short} is at its maximum of {most} replicas"
        + (f", and its metrics ask for {wants}" if wants else " and wants more"),
        supports=(field(found, f"ScalingLimited: {limited.get('reason')}: {limited.get('message')}"),
                  field(found, f"spec.maxReplicas is {most}, status.desiredReplicas is {found.status.get('desiredReplicas')}")),
        mends=(Mend(f"Allow {more} replicas", (set_field(found.ref, "spec", "maxReplicas", value=more),), risk="medium",
                    unknown=() if isinstance(more, int) else
                    (f"<REPLICAS>: more than {most}, and no more than the nodes and the quota have room for",)),),
        affects=tuple(near(state, found.ref, Relation.SCALES)),
    )  # fmt: skip


@cause("hpa/fights-replicas", "scaler-contested")
def fights(state: State, symptom: Symptom) -> Iterable[Finding]:
    found = state.find(symptom.at)
    scalers = near(state, symptom.at, Relation.SCALES, back=True)
    if found is None or not scalers:
        return
    writers = other_scalers(found)
    keeper = managed_by(found)
    steps = [event for event in state.events(found.ref) if event.reason == "ScalingReplicaSet"]
    claims = [f"{name} at {time:%H:%M:%S}" for name, time in field_managers(found, "spec", "replicas") if time]
    yield Finding(
        "hpa/fights-replicas", found.ref, "proved",
        f"{scalers[0].short} and {', '.join(writers)} set the replicas of {found.ref.short} by turns: each puts back what "
        "the other did",
        supports=(field(found, f"spec.replicas is claimed by {', '.join(claims) or ', '.join(writers)}"),
                  *(told(event) for event in steps[:2])),
        mends=(Mend("Take spec.replicas out of what is applied, so that the autoscaler alone sets it"
                    + (f": in {keeper[1]}" if keeper else ""), advice=(get_of(found.ref),)),),
    )  # fmt: skip


# -- budgets ---------------------------------------------------------------------------------------------------------


def _least(value: object, pods: int) -> int:
    if isinstance(value, str) and value.endswith("%") and value[:-1].isdigit():
        return math.ceil(int(value[:-1]) * pods / 100)
    return int(value) if isinstance(value, int) or (isinstance(value, str) and value.isdigit()) else 0


def _tight(spec: Mapping[str, Any], pods: int) -> bool:
    """Whether a budget would let nothing go though every pod were well."""
    if spec.get("maxUnavailable") is not None:
        return _least(spec["maxUnavailable"], pods) == 0
    return _least(spec.get("minAvailable", 1), pods) >= pods


def _budget_holds(state: State, at: Ref) -> bool:
    found = state.find(at)
    if found is None or found.ref.kind != "PodDisruptionBudget":
        return False
    pods = [pod for pod in state.all("Pod", at.namespace) if matches(found.spec.get("selector"), pod.labels)]
    expected = int(found.status.get("expectedPods") or len(pods))
    return expected > 0 and _tight(found.spec, expected)


def _drain_reads(state: State, symptom: Symptom) -> Iterator[Read]:
    """What still runs on a node that is being emptied, and the budgets over it."""
    if symptom.kind == "node-closed" and symptom.note == "cordoned":
        yield list_of("Pod", "", fields=f"spec.nodeName={symptom.at.name}")
        yield list_of("PodDisruptionBudget", "")


@cause("pdb/blocks-eviction", "eviction-blocked", "node-closed", needs=_drain_reads, holds=_budget_holds)
def blocks_eviction(state: State, symptom: Symptom) -> Iterable[Finding]:
    budgets = [state.find(symptom.at)]
    if symptom.at.kind == "Node":
        budgets = [each for each in state.all("PodDisruptionBudget")
                   if each.status.get("disruptionsAllowed") == 0 and symptom.at in drained(state, each)]  # fmt: skip
    for each in budgets:
        yield from _blocked_by(state, each)


def _blocked_by(state: State, found: Object | None) -> Iterator[Finding]:
    nodes = drained(state, found) if found else []
    refused = refused_evictions(state, found) if found else []
    if found is None or not (nodes or refused):
        return
    status = found.status
    healthy, expected = int(status.get("currentHealthy") or 0), int(status.get("expectedPods") or 0)
    tight = _budget_holds(state, found.ref)
    rule = "maxUnavailable" if found.spec.get("maxUnavailable") is not None else "minAvailable"
    facts = [field(found, f"spec.{rule} is {found.spec.get(rule)}; {healthy} of {expected} pods are healthy, "
                          "disruptionsAllowed is 0")]  # fmt: skip
    facts += [field(each, f"{each.short} is being emptied and still holds its pods") for each in nodes[:2]]
    facts += [told(event) for event in refused[:1]]
    yield Finding(
        "pdb/blocks-eviction", found.ref, "proved" if tight else "likely",
        f"{found.ref.short} lets no pod go ({rule} {found.spec.get(rule)}, {healthy} of {expected} healthy)"
        + (f", so the drain of {', '.join(each.name for each in nodes)} waits" if nodes else ", so evictions are refused")
        + ("" if tight else "; it would, were all its pods healthy"),
        supports=tuple(facts), mends=tuple(_loosened(found, tight)), affects=tuple(nodes), weight=0.5,
    )  # fmt: skip


def _loosened(found: Object, tight: bool) -> Iterator[Mend]:
    if not tight:
        return
    edits = [Edit(("spec", "maxUnavailable"), 1)]
    if found.spec.get("minAvailable") is not None:
        edits = [*remove_field(found.ref, "spec", "minAvailable").edits, *edits]
    yield Mend("Let one pod at a time be unavailable", (Patch(found.ref, tuple(edits)),), risk="medium")
