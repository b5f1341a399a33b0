"""What a workload needs to run, and who uses a ConfigMap, a Secret, a claim, a Service or an account."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_ai_intellect.inform.tables import Question, listed, some, table, unread
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Absent, Object
from kubectl_ai_intellect.report import Table
from kubectl_ai_intellect.state.calls import called
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import TEMPLATED, pod_labels, pod_spec
from kubectl_ai_intellect.state.relations import Relation, near, references, routed, selecting_services

_USED = (
    "Service",
    "ConfigMap",
    "Secret",
    "PersistentVolumeClaim",
    "ServiceAccount",
    "StorageClass",
    "PersistentVolume",
)
_HOLDERS = ("Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job", "Pod")


def depends(question: Question) -> Table:
    target = question.target
    if target is None:
        return Table(status="declined", text="name the object: for example, what does deployment/web depend on")
    if target.kind in _USED:
        return _users(question, target)
    found = question.state.find(target)
    if found is None:
        return Table(status="declined", text=f"{target.short} was not read")
    lines = dict.fromkeys(_needed(question.state, found))
    rows = sorted([each.kind, each.name, how, _there(question.state, each)] for each, how in lines)
    missing = [f"{row[0]}/{row[1]}" for row in rows if row[3] == "missing"]
    text = (
        f"{target.short} depends on {some(len(rows), 'object')}"
        if rows
        else f"{target.short} refers to no other object"
    )
    text += f"; missing: {listed(missing)}" if missing else ""
    command = f"kubectl get {target.kind.lower()} {target.name} {question.flag} -o yaml"
    return table(text, ["KIND", "NAME", "HOW", "THERE"], rows, command)


def _there(state: State, target: Ref) -> str:
    found = state.get(target)
    return "yes" if found else "missing" if isinstance(found, Absent) else "not read"


def _needed(state: State, owner: Object) -> Iterator[tuple[Ref, str]]:
    """What an object names, and how."""
    at = owner.ref
    if at.kind in TEMPLATED or at.kind == "Pod":
        spec = pod_spec(owner)
        for each in references(spec, at.namespace):
            yield each.whole(), "claim" if each.kind == "PersistentVolumeClaim" else _how(each)
        yield ref("ServiceAccount", at.namespace, spec.get("serviceAccountName") or "default"), "runs as"
        for call in called(state, at):
            if call.service is not None:
                yield call.service, f"calls ({call.origin})"
        if spec.get("priorityClassName"):
            yield ref("PriorityClass", "", spec["priorityClassName"]), "priority"
    for name, _, where in routed(owner) if at.kind == "Ingress" else ():
        yield ref("Service", at.namespace, name), f"routes {where}"
    for each in near(state, at, Relation.SCALES):
        yield each, "scales"


def _how(each: Ref) -> str:
    return f"key {each.part}" if each.part else "environment, volume or pull secret"


def _users(question: Question, target: Ref) -> Table:
    """Who refers to an object, workloads before the pods they made."""
    state = question.state
    lines = dict.fromkeys(_using(state, target))
    rows = sorted([each.namespace, each.kind, each.name, how] for each, how in lines)
    names = list(dict.fromkeys(f"{row[1]}/{row[2]}" for row in rows))
    text = (
        f"{target.short} is used by {some(len(names), 'object')}: {listed(names)}"
        if rows
        else f"nothing that was read uses {target.short}"
    )
    gaps = unread(state, [*_HOLDERS, *(["Ingress"] if target.kind in ("Service", "Secret") else [])], target.namespace)
    kinds = ",".join(f"{kind.lower()}s" for kind in _HOLDERS[:4])
    return table(
        text, ["NAMESPACE", "KIND", "NAME", "HOW"], rows, f"kubectl get {kinds} {question.flag} -o yaml", gaps=gaps
    )


def _using(state: State, target: Ref) -> Iterator[tuple[Ref, str]]:
    for kind in _HOLDERS:
        for each in state.all(kind, target.namespace or None):
            if kind in ("Pod", "Job") and each.meta.get("ownerReferences"):
                continue
            for used, how in _needed(state, each):
                if used == target:
                    yield each.ref, how
    if target.kind == "Service":
        yield from _callers_and_routes(state, target)
    if target.kind == "Secret":
        for each in state.all("Ingress", target.namespace):
            if any(tls.get("secretName") == target.name for tls in each.spec.get("tls") or ()):
                yield each.ref, "tls"
    if target.kind in ("StorageClass", "PersistentVolume"):
        for claim in near(state, target, Relation.BINDS, back=True):
            yield claim, "claims"


def _callers_and_routes(state: State, target: Ref) -> Iterator[tuple[Ref, str]]:
    for route in near(state, target, Relation.ROUTES, back=True):
        yield route, "routes to it"
    for kind in _HOLDERS[:3]:
        for each in state.all(kind, target.namespace):
            if target in {service.ref for service in selecting_services(state, pod_labels(each), target.namespace)}:
                yield each.ref, "serves it"


__all__ = ["depends"]
