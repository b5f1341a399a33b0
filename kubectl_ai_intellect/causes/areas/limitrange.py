"""Limits that nobody wrote: a LimitRange's default is what a container hits, or what its own request exceeds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from kubectl_ai_intellect.causes.areas.container import doubled
from kubectl_ai_intellect.causes.areas.scheduling_room import shown
from kubectl_ai_intellect.causes.base import Fact, Finding, Mend, Symptom, cause
from kubectl_ai_intellect.causes.facts import field
from kubectl_ai_intellect.causes.fit import quantity
from kubectl_ai_intellect.causes.needs import lists, owners, together
from kubectl_ai_intellect.causes.refusals import refusals
from kubectl_ai_intellect.kube.refs import Ref
from kubectl_ai_intellect.kube.source import Object, dig
from kubectl_ai_intellect.state.edits import Patch, set_field
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import container, containers, declared, declared_containers
from kubectl_ai_intellect.state.relations import pods_of, workload_of

SET_BY = "kubernetes.io/limit-ranger"
OVER_LIMIT = re.compile(
    r"Invalid value: \"([^\"]+)\": must be less than or equal to (cpu|memory|ephemeral-storage) limit"
)
RESTARTED = ("Deployment", "StatefulSet", "DaemonSet")


def defaults(state: State, namespace: str, resource: str) -> Iterator[tuple[Object, int, str]]:
    """The default limits for a resource that LimitRanges give to containers: the object, which of its items, how much."""
    for each in state.all("LimitRange", namespace):
        for index, item in enumerate(each.spec.get("limits") or ()):
            value = dig(item, "default", resource)
            if item.get("type") == "Container" and value:
                yield each, index, str(value)


def given(pod: Object, name: str, resource: str) -> bool:
    """Whether the limit of a container was set by a LimitRange, as the pod's annotation says."""
    said = pod.annotations.get(SET_BY, "")
    return bool(
        re.search(rf"\b{resource}\b(?:, \w[\w-]*)* limit for (?:init )?container {re.escape(name)}(?![\w-])", said)
    )


def _killed(state: State, at: Ref) -> Iterator[tuple[Object, str, str]]:
    """Containers of the namespace that were killed at a limit that this LimitRange gave them."""
    for pod in state.all("Pod", at.namespace):
        for each in containers(pod):
            limit = dig(each.spec, "resources", "limits", "memory")
            if each.death.get("reason") == "OOMKilled" and limit and given(pod, each.name, "memory"):
                yield pod, each.name, str(limit)


def _still_low(state: State, at: Ref) -> bool:
    if at.kind != "LimitRange":
        return False
    ours = [value for each, _, value in defaults(state, at.namespace, "memory") if each.ref == at]
    for pod, name, limit in _killed(state, at):
        own = declared(owner, name) if (owner := state.find(workload_of(state, pod.ref))) else None
        if (
            own
            and not dig(own[0], "resources", "limits", "memory")
            and any(quantity(v) <= quantity(limit) for v in ours)
        ):
            return True
    return any(
        each.ref == at and quantity(value) < quantity(request)
        for workload in state.all("Deployment", at.namespace)
        for resource in ("memory", "cpu")
        for request in _requested(state, workload.ref, resource)
        for each, _, value in defaults(state, at.namespace, resource)
        if refusals(state, workload.ref)
    )


def _requested(state: State, workload: Ref, resource: str) -> Iterator[str]:
    """What containers without a limit of their own request."""
    found = state.find(workload)
    for each in declared_containers(found) if found else ():
        request = dig(each, "resources", "requests", resource)
        if request and not dig(each, "resources", "limits", resource):
            yield str(request)


@cause("limitrange/default-too-low", "container-killed-memory", "create-refused",
       needs=together(owners, lists("LimitRange")), holds=_still_low)  # fmt: skip
def default_too_low(state: State, symptom: Symptom) -> Iterable[Finding]:
    if symptom.kind == "create-refused":
        yield from _below_request(state, symptom)
        return
    pod = state.find(symptom.at)
    each = container(pod, symptom.at.part) if pod else None
    limit = dig(each.spec, "resources", "limits", "memory") if each else None
    if pod is None or each is None or not limit or not given(pod, each.name, "memory"):
        return
    for held, index, value in defaults(state, symptom.at.namespace, "memory"):
        if quantity(value) == quantity(limit):
            workload = workload_of(state, symptom.at)
            facts = (field(pod, f"annotation {SET_BY} of {pod.ref.name}: {pod.annotations[SET_BY]}"),
                     field(pod, f"container {each.name} was ended with reason OOMKilled, {each.restarts} restarts"))  # fmt: skip
            yield _finding(state, workload, held, index, "memory", doubled(value), f"container {each.name} of {workload.short} "
                           f"declares no memory limit, got the default of {value} from {held.ref.short} and was killed at it",
                           facts, each.name)  # fmt: skip
            return


def _below_request(state: State, symptom: Symptom) -> Iterator[Finding]:
    for refusal in refusals(state, symptom.at):
        match = OVER_LIMIT.search(refusal.words)
        for held, index, value in defaults(state, symptom.at.namespace, match.group(2)) if match else ():
            asked = (
                [one for one in _requested(state, symptom.at, match.group(2)) if quantity(one) > quantity(value)]
                if match
                else []
            )
            if match and asked:
                resource, most = match.group(2), max(asked, key=quantity)
                found = state.find(symptom.at)
                name = next((one["name"] for one in declared_containers(found) if dig(one, "resources", "requests", resource) == most),
                            "") if found else ""  # fmt: skip
                yield _finding(state, symptom.at, held, index, resource, shown(resource, quantity(most)),
                               f"{symptom.at.short} requests {resource} {most} without a limit of its own, and {held.ref.short} "
                               f"sets a default limit of {value}, which is less", (refusal.fact,), name)  # fmt: skip
                return


def _finding(
    state: State, workload: Ref, held: Object, index: int, resource: str, enough: str, says: str, facts: tuple[Fact, ...], name: str
) -> Finding:  # fmt: skip
    restart = (Patch(workload, action="restart"),) if workload.kind in RESTARTED else ()
    mends: list[Mend] = []
    place: tuple[Any, Any] | None = declared(found, name) if (found := state.find(workload)) and name else None
    raised = set_field(held.ref, "spec", "limits", index, "default", resource, value=enough)
    mends.append(Mend(f"Raise the default {resource} limit of {held.ref.short} to {enough}", (raised, *restart), risk="medium",
                      unknown=(f"{enough} is a first step; what it needs shows when it runs (kubectl top pod)",)))  # fmt: skip
    if place:
        mends.append(Mend(f"Or give container {name} a limit of its own",
                          (set_field(workload, *place[1], "resources", "limits", resource, value=enough),)))  # fmt: skip
    amount = dig((held.spec.get("limits") or [{}])[index], "default", resource)
    return Finding(
        "limitrange/default-too-low", held.ref, "proved", says,
        supports=(*facts, field(held, f"{held.ref.short} gives containers without one a {resource} limit of {amount}")),
        mends=tuple(mends), affects=tuple({workload, *(each.ref for each in pods_of(state, workload)[:1])}), weight=0.7,
    )  # fmt: skip
