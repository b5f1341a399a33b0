"""Gateway API: Gateways and routes that their controller does not accept, or that nobody answers for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kubectl_ai_intellect.causes.base import Fact, Finding, Mend, Symptom, cause
from kubectl_ai_intellect.causes.facts import field, not_there
from kubectl_ai_intellect.causes.near import nearest
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Object, Read, list_of
from kubectl_ai_intellect.state.edits import Patch, set_field
from kubectl_ai_intellect.state.graph import State

KINDS = ("Gateway", "HTTPRoute")
DECIDING = ("Accepted", "Programmed", "ResolvedRefs", "Ready", "Scheduled")


def _needs(state: State, symptom: Symptom) -> Iterable[Read]:
    found = state.find(symptom.at)
    if found is None or found.ref.kind not in KINDS:
        return
    yield list_of("GatewayClass")
    for namespace in {found.ref.namespace, *(target.namespace for target, _ in _parents(found))}:
        yield list_of("Gateway", namespace)
    for target, _ in _backends(found):
        yield list_of("Service", target.namespace)


def _parents(route: Object) -> Iterator[tuple[Ref, int]]:
    for index, each in enumerate(route.spec.get("parentRefs") or ()):
        yield ref("Gateway", each.get("namespace") or route.ref.namespace, each.get("name", "")), index


def _backends(route: Object) -> Iterator[tuple[Ref, tuple[int, int]]]:
    for index, rule in enumerate(route.spec.get("rules") or ()):
        for place, each in enumerate(rule.get("backendRefs") or ()):
            if each.get("kind", "Service") == "Service":
                yield ref("Service", each.get("namespace") or route.ref.namespace, each.get("name", "")), (index, place)


def _refused(found: Object) -> Mapping[str, Any]:
    """The condition that says no."""
    groups = [found.status.get("conditions") or []]
    groups += [parent.get("conditions") or [] for parent in found.status.get("parents") or ()]
    for conditions in groups:
        for each in conditions:
            if each.get("status") == "False" and each.get("type") in DECIDING:
                return each
    return {}


def broken(state: State, found: Object) -> tuple[str, Fact, Mend] | None:
    """A reference that leads to nothing: what, the fact, and the field to set."""
    if found.ref.kind == "Gateway":
        target = ref("GatewayClass", "", found.spec.get("gatewayClassName") or "")
        if not state.absent(target):
            return None
        classes = [each.ref.name for each in state.all("GatewayClass")]
        name = nearest(target.name, classes) or (classes[0] if len(classes) == 1 else "<GATEWAY_CLASS>")
        return _bad(state, found, target, name, ("spec", "gatewayClassName"))
    for target, index in _parents(found):
        if state.absent(target):
            here = [each.ref.name for each in state.all("Gateway", target.namespace)]
            name = nearest(target.name, here) or (here[0] if len(here) == 1 else "<GATEWAY>")
            return _bad(state, found, target, name, ("spec", "parentRefs", index, "name"))
    for target, (index, place) in _backends(found):
        if state.absent(target):
            name = (
                nearest(target.name, [each.ref.name for each in state.all("Service", target.namespace)]) or "<SERVICE>"
            )
            return _bad(state, found, target, name, ("spec", "rules", index, "backendRefs", place, "name"))
    return None


def _bad(state: State, found: Object, target: Ref, name: str, path: tuple[Any, ...]) -> tuple[str, Fact, Mend]:
    unknown = (
        (f"{name}: nothing here resembles {target.name}, so which {target.kind} is meant cannot be known",)
        if "<" in name
        else ()
    )
    patch: Patch = set_field(found.ref, *path, value=name)
    return (
        f"it refers to {target.short}, which does not exist",
        not_there(target),
        Mend(f"Refer to {target.kind} {name}", (patch,), unknown=unknown),
    )


@cause("gateway/not-accepted", "route-broken", needs=_needs,
       holds=lambda state, at: (found := state.find(at)) is not None and broken(state, found) is not None)  # fmt: skip
def not_accepted(state: State, symptom: Symptom) -> Iterable[Finding]:
    found = state.find(symptom.at)
    if found is None or found.ref.kind not in KINDS:
        return
    condition, bad = _refused(found), broken(state, found)
    if not condition and bad is None and symptom.note != "silent":
        return
    said = (
        f"{condition.get('type')} is False: {condition.get('reason', '')} {condition.get('message', '')}".strip()
        if condition
        else ""
    )
    why = [part for part in (bad[0] if bad else "", said) if part]
    silent = "no controller has looked at it: it has no status"
    yield Finding(
        "gateway/not-accepted",
        found.ref,
        "proved" if condition or bad else "likely",
        f"{found.ref.short} is not accepted: {'; '.join(why) or silent}",
        supports=(*((bad[1],) if bad else ()), field(found, said or silent)),
        mends=(bad[2],) if bad else (),
        weight=0.3,
    )
