"""Who manages an object, and what changed when: revisions and their differences, field managers, controllers' acts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubectl_ai_intellect.kube.refs import KNOWN, Ref, group_of
from kubectl_ai_intellect.kube.source import Object, dig, when
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import template
from kubectl_ai_intellect.state.relations import owner_refs, replica_sets, revision

_SENSITIVE = re.compile(
    r"(?i)passw|pwd|secret|token|credential|(?:api|access|session)[_-]?key|private|auth|dsn|salt|cookie"
)
_INLINE = re.compile(r'(?i)((?:passw|pwd|secret|token|credential|api_?key)[\w-]*[=:]\s*)[^\s",]+')
_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")
_CONTROLLERS = ("kube-controller-manager", "kubelet", "kube-scheduler", "cloud-controller-manager", "k3s", "kcm")
_ACTS = ("ScalingReplicaSet", "SuccessfulRescale", "NodeNotReady", "NodeReady", "NodeNotSchedulable", "NodeSchedulable",
         "Evicted", "TaintManagerEviction", "Preempted", "DeploymentRollback", "SuccessfulDelete")  # fmt: skip


# -- who manages -----------------------------------------------------------------------------------------------------


def managed_by(found: Object) -> tuple[str, str] | None:
    """The tool that would put a hand-made change back, and where its source is."""
    return _marked(found.labels, found.annotations) or _owned(found) or _by_field_manager(found)


def _marked(labels: Mapping[str, str], annotations: Mapping[str, str]) -> tuple[str, str] | None:
    """What tools write on the objects they keep; those that deploy with Helm's help come before Helm."""
    if "argocd.argoproj.io/tracking-id" in annotations:
        return "argocd", f"Argo CD application {annotations['argocd.argoproj.io/tracking-id'].split(':')[0]}"
    if "argocd.argoproj.io/instance" in labels:
        return "argocd", f"Argo CD application {labels['argocd.argoproj.io/instance']}"
    for tool, kind in (("kustomize", "Kustomization"), ("helm", "HelmRelease")):
        if f"{tool}.toolkit.fluxcd.io/name" in labels:
            namespace = labels.get(f"{tool}.toolkit.fluxcd.io/namespace")
            where = f" in namespace {namespace}" if namespace else ""
            return "flux", f"Flux {kind} {labels[f'{tool}.toolkit.fluxcd.io/name']}{where}"
    if "fleet.cattle.io/bundle-id" in labels:
        return "fleet", f"Fleet bundle {labels['fleet.cattle.io/bundle-id']}"
    if annotations.get("configmanagement.gke.io/managed") == "enabled":
        return "config-sync", "the Git repository that Config Sync follows"
    if "kapp.k14s.io/app" in labels:
        return "kapp", f"kapp application {labels['kapp.k14s.io/app']}"
    keeper = labels.get("app.kubernetes.io/managed-by", "")
    if "meta.helm.sh/release-name" in annotations and keeper in ("Helm", ""):
        namespace = annotations.get("meta.helm.sh/release-namespace")
        where = f" in namespace {namespace}" if namespace else ""
        return "helm", f"Helm release {annotations['meta.helm.sh/release-name']}{where}"
    if "olm.owner" in labels:
        return "operator", f"{labels.get('olm.owner.kind', 'ClusterServiceVersion')} {labels['olm.owner']}"
    if labels.get("addonmanager.kubernetes.io/mode") == "Reconcile":
        return "addon-manager", "the cluster's add-on manifests on the control plane"
    if "kubernetes.io/config.mirror" in annotations:
        return "static-pod", "the static pod's manifest file on its node"
    if re.search(r"(?i)(operator|controller)$", keeper):
        return "operator", f"the operator {keeper}"
    return None


def _owned(found: Object) -> tuple[str, str] | None:
    """A custom resource that controls the object: its operator writes the object anew from it."""
    for owner in found.meta.get("ownerReferences") or ():
        group = group_of(owner.get("apiVersion") or "")
        if owner.get("controller") and "." in group and (group, owner.get("kind")) not in KNOWN:
            where = f" in namespace {found.ref.namespace}" if found.ref.namespace else ""
            return "operator", f"{owner['kind']}.{group} {owner.get('name', '')}{where}"
    return None


_MANAGERS = (
    (re.compile(r"(?i)^argocd"), "argocd", "the Argo CD application that keeps it"),
    (re.compile(r"(?i)^kustomize-controller$"), "flux", "the Flux Kustomization that keeps it"),
    (re.compile(r"(?i)^helm-controller$"), "flux", "the Flux HelmRelease that keeps it"),
    (re.compile(r"(?i)^(terraform|hashicorp)"), "terraform", "the Terraform configuration that keeps it"),
    (re.compile(r"(?i)^pulumi"), "pulumi", "the Pulumi program that keeps it"),
    (re.compile(r"(?i)^fleet(agent)?$"), "fleet", "the Fleet bundle that keeps it"),
)  # fmt: skip


def _by_field_manager(found: Object) -> tuple[str, str] | None:
    for entry in found.meta.get("managedFields") or ():
        if entry.get("subresource"):
            continue
        for pattern, tool, where in _MANAGERS:
            if pattern.search(entry.get("manager") or ""):
                return tool, where
    return None


def field_managers(found: Object, *path: str) -> list[tuple[str, datetime | None]]:
    """Who claims a declared field (`spec`, `replicas`), the latest writer first."""
    claims: list[tuple[str, datetime | None]] = []
    for entry in found.meta.get("managedFields") or ():
        fields: Any = entry.get("fieldsV1") or {}
        for step in path:
            fields = fields.get(f"f:{step}") if isinstance(fields, Mapping) else None
        if fields is not None:
            name = entry.get("manager") or ""
            through = f" ({entry['subresource']})" if entry.get("subresource") else ""
            claims.append((name + through, when(entry.get("time"))))
    return sorted(claims, key=lambda each: each[1].timestamp() if each[1] else 0.0, reverse=True)


# -- revisions -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision of a workload's template, and what sets it apart from the one before."""

    number: int
    of: Ref  # the ReplicaSet or ControllerRevision
    at: datetime | None
    ready: int
    template: Mapping[str, Any]
    differs: tuple[str, ...] = ()


def revisions(state: State, workload: Ref) -> list[Revision]:
    """A workload's revisions that were read, newest first."""
    if workload.kind == "Deployment":
        kept = [
            Revision(revision(each), each.ref, each.created, int(each.status.get("readyReplicas") or 0), template(each))
            for each in replica_sets(state, workload)
        ]
    else:
        kept = [
            Revision(
                int(each.raw.get("revision") or 0), each.ref, each.created, 0,
                dig(each.raw, "data", "spec", "template", otherwise={}),
            )
            for each in state.all("ControllerRevision", workload.namespace)
            if workload in owner_refs(state, each.ref)
        ]  # fmt: skip
    kept.sort(key=lambda each: each.number, reverse=True)
    return [
        Revision(
            each.number, each.of, _began(state, workload, each, older), each.ready, each.template,
            tuple(differences(older.template, each.template)) if older else (),
        )
        for each, older in zip(kept, [*kept[1:], None][: len(kept)], strict=True)
    ]  # fmt: skip


def _began(state: State, workload: Ref, each: Revision, older: Revision | None) -> datetime | None:
    """When a revision was rolled out: its creation, or, for one that was gone back to, when it was scaled up again."""
    if older is None or each.at is None or older.at is None or each.at >= older.at:
        return each.at
    scaled = [
        told.last
        for told in state.events(workload)
        if told.reason == "ScalingReplicaSet" and each.of.name in told.message and "up" in told.message
    ]
    return max((time for time in scaled if time), default=None) or _written(state.find(workload)) or each.at


def _written(found: Object | None) -> datetime | None:
    """When the declared part of an object was last written by somebody who is no controller."""
    times = [
        when(entry.get("time"))
        for entry in (found.meta.get("managedFields") if found else None) or ()
        if not entry.get("subresource") and entry.get("manager") not in _CONTROLLERS
    ]
    return max((time for time in times if time), default=None)


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What sets one pod template apart from another, in the words of its fields."""
    told: list[str] = []
    for group in ("initContainers", "containers"):
        old = {each.get("name"): each for each in dig(before, "spec", group, otherwise=[])}
        new = {each.get("name"): each for each in dig(after, "spec", group, otherwise=[])}
        told += [f"container {name} added" for name in new if name not in old]
        told += [f"container {name} removed" for name in old if name not in new]
        for name in new:
            if name in old and new[name] != old[name]:
                told += [f"container {name}: {each}" for each in _container(old[name], new[name])]
    skip = {"initContainers", "containers"}
    told += _fields(_less(before.get("spec"), skip), _less(after.get("spec"), skip), "")
    meta = [{**_less(dig(each, "metadata", otherwise={}), {"creationTimestamp"})} for each in (before, after)]
    for each in meta:
        each["labels"] = _less(each.get("labels"), {"pod-template-hash"})
    return [*told, *_fields(meta[0], meta[1], "")]


def _less(value: Mapping[str, Any] | None, skip: Iterable[str]) -> dict[str, Any]:
    return {key: each for key, each in (value or {}).items() if key not in skip}


def _container(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    yield from _variables(old.get("env") or (), new.get("env") or ())
    yield from _fields(_less(old, {"env"}), _less(new, {"env"}), "")


def _variables(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    was, now = ({each.get("name", ""): each for each in group} for group in (old, new))
    for name in dict.fromkeys([*was, *now]):
        if name not in now:
            yield f"env {name} removed"
        elif name not in was:
            yield f"env {name} added ({_variable(now[name])})"
        elif was[name] != now[name]:
            yield f"env {name} {_variable(was[name])} → {_variable(now[name])}"


def _variable(variable: Mapping[str, Any]) -> str:
    origin = variable.get("valueFrom")
    if origin:
        kind, value = next(iter(origin.items()))
        return f"from {kind} {value.get('name') or ''}/{value.get('key') or value.get('fieldPath') or ''}".rstrip("/")
    return _value(variable.get("name", ""), variable.get("value") or "")


def _value(name: str, value: Any) -> str:
    """A value as it may be shown: nothing that its name calls secret, no user's part of a URL."""
    if _SENSITIVE.search(name):
        return "(not shown)"
    text = value if isinstance(value, str) else json.dumps(_hidden(value), ensure_ascii=False, separators=(",", ":"))
    text = _INLINE.sub(r"\1(not shown)", _USERINFO.sub("(not shown)@", text))
    return text if len(text) <= 80 else f"{text[:77]}…"


def _hidden(value: Any) -> Any:
    """The value without what a name beside it calls secret: `--api-key`, then the key; a header's name and value."""
    if isinstance(value, Mapping):
        secret = _SENSITIVE.search(str(value.get("name", "")))
        return {key: "(not shown)" if secret and key == "value" else _hidden(each) for key, each in value.items()}
    if isinstance(value, list):
        before = ["", *(str(each) for each in value)]
        return ["(not shown)" if flag.startswith("-") and "=" not in flag and _SENSITIVE.search(flag) else _hidden(each)
                for flag, each in zip(before, value, strict=False)]  # fmt: skip
    return value


def _fields(old: Any, new: Any, path: str) -> Iterator[str]:
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys([*old, *new]):
            yield from _fields(old.get(key), new.get(key), f"{path}.{key}" if path else str(key))
        return
    name = path.rpartition(".")[2]
    if old is None:
        yield f"{path} set to {_value(name, new)}"
    elif new is None:
        yield f"{path} removed (was {_value(name, old)})"
    else:
        yield f"{path} {_value(name, old)} → {_value(name, new)}"


# -- what changed ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that changed: when, which object, what, and by whom where that is known."""

    at: datetime
    object: Ref
    what: str
    by: str = ""


def changes(state: State, since: datetime | None = None, namespace: str | None = None) -> list[Change]:
    """What changed, the latest first: rollouts, written fields, new and leaving objects, controllers' acts."""
    found: dict[tuple[datetime, Ref, str], Change] = {}
    for each in _all(state):
        inside = not namespace or each.object.namespace in (namespace, "")
        if inside and (since is None or each.at >= since) and each.at <= state.now:
            found.setdefault((each.at, each.object, each.what), each)
    return sorted(found.values(), key=lambda each: (each.at, each.object), reverse=True)


_DERIVED = frozenset({"Pod", "ReplicaSet", "EndpointSlice", "Endpoints", "Event", "Lease", "ControllerRevision",
                      "PodMetrics", "NodeMetrics", "CSINode"})  # fmt: skip


def _all(state: State) -> Iterator[Change]:
    for found in list(state.objects):
        if found.ref.kind in _DERIVED or _is_automatic(found):
            continue
        rolled = list(_rollouts(state, found))
        yield from rolled
        yield from _written_fields(found, rolled)
        if found.created:
            yield Change(found.created, found.ref, "created", _creator(found))
        if found.deleting:
            yield Change(found.deleting, found.ref, "its deletion was asked for")
    for told in state.every_event:
        if told.reason in _ACTS and told.last:
            yield Change(told.last, told.about.whole(), f"{told.reason}: {told.message}", told.component)


def _is_automatic(found: Object) -> bool:
    """Jobs of a CronJob, claims of a template, and what every namespace is given."""
    if found.ref.kind == "Job" and found.meta.get("ownerReferences"):
        return True
    given = (("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default"))
    return (found.ref.kind, found.ref.name) in given


def _rollouts(state: State, found: Object) -> Iterator[Change]:
    if found.ref.kind not in ("Deployment", "StatefulSet", "DaemonSet"):
        return
    for each in revisions(state, found.ref):
        if each.differs and each.at:
            owned = state.find(each.of)
            cause = owned.annotations.get("kubernetes.io/change-cause") if owned else None
            why = f" ({cause})" if cause else ""
            yield Change(
                each.at, found.ref, f"revision {each.number}: {'; '.join(each.differs[:6])}{why}", _at(found, each.at)
            )


def _at(found: Object, time: datetime) -> str:
    """Whose write of the object falls on this moment."""
    for entry in found.meta.get("managedFields") or ():
        wrote = when(entry.get("time"))
        if wrote and not entry.get("subresource") and abs((wrote - time).total_seconds()) <= 5:
            if entry.get("manager") not in _CONTROLLERS:
                return entry.get("manager") or ""
    return ""


def _creator(found: Object) -> str:
    return _at(found, found.created) if found.created else ""


def _written_fields(found: Object, rolled: Sequence[Change]) -> Iterator[Change]:
    """The last write of each manager after creation: which fields it claims now, not each of which it changed then."""
    for entry in found.meta.get("managedFields") or ():
        time, manager = when(entry.get("time")), entry.get("manager") or ""
        if time is None or entry.get("subresource") == "status" or manager in _CONTROLLERS:
            continue
        if found.created and abs((time - found.created).total_seconds()) <= 2:
            continue
        if any(abs((time - each.at).total_seconds()) <= 5 for each in rolled):
            continue
        paths = list(_owned_paths(entry.get("fieldsV1") or {}))
        if not paths:
            continue
        shown = ", ".join(paths[:5]) + (f" and {len(paths) - 5} more" if len(paths) > 5 else "")
        yield Change(time, found.ref, f"written ({shown})", manager)


_DULL = ("metadata.annotations.kubectl.kubernetes.io/last-applied-configuration",
         "metadata.annotations.deployment.kubernetes.io/revision", "metadata.annotations", "metadata.labels")  # fmt: skip


def _owned_paths(fields: Mapping[str, Any], path: str = "", depth: int = 0) -> Iterator[str]:
    inner = {key: value for key, value in fields.items() if key != "."}
    if not inner or depth >= 7:
        if path and path not in _DULL and not path.startswith("status"):
            yield path
        return
    for key, value in inner.items():
        step = _step(key)
        below = value if isinstance(value, Mapping) else {}
        yield from _owned_paths(below, f"{path}{'' if step.startswith('[') or not path else '.'}{step}", depth + 1)


def _step(key: str) -> str:
    """A step of fieldsV1: `f:name`, `k:{"name":"app"}`, `v:value`."""
    kind, _, rest = key.partition(":")
    if kind == "k":
        try:
            return f"[{','.join(str(value) for value in json.loads(rest).values())}]"
        except (ValueError, AttributeError):
            return f"[{rest}]"
    return rest if kind == "f" else f"[{rest.strip(chr(34))}]"


def changed_before(state: State, target: Ref, moment: datetime | None, *, minutes: float = 30) -> list[Change]:
    """What changed at an object, or at what it refers to, shortly before trouble began."""
    from kubectl_ai_intellect.state.relations import Relation, near

    places = {target.whole(), *(each.whole() for each in near(state, target, Relation.MOUNTS))}
    return [
        each
        for each in changes(state)
        if each.object in places and moment and 0 <= (moment - each.at).total_seconds() <= minutes * 60
    ]


__all__ = ["Change", "Revision", "changed_before", "changes", "differences", "field_managers", "managed_by",
           "revisions"]  # fmt: skip
