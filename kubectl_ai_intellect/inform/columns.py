"""The columns that kubectl shows of the common kinds, and whether an object of them is well."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kubectl_ai_intellect.inform import pods
from kubectl_ai_intellect.inform.tables import age, span
from kubectl_ai_intellect.kube.source import Object, dig, when
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.relations import Relation, near

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "Pod": ("NAME", "READY", "STATUS", "RESTARTS"),
    "Deployment": ("NAME", "READY", "UP-TO-DATE", "AVAILABLE"),
    "StatefulSet": ("NAME", "READY"),
    "DaemonSet": ("NAME", "DESIRED", "READY", "AVAILABLE"),
    "ReplicaSet": ("NAME", "DESIRED", "READY"),
    "Job": ("NAME", "STATUS", "COMPLETIONS", "DURATION"),
    "CronJob": ("NAME", "SCHEDULE", "SUSPEND", "ACTIVE", "LAST SCHEDULE"),
    "Service": ("NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORTS", "BACKENDS"),
    "Ingress": ("NAME", "CLASS", "HOSTS", "ADDRESS"),
    "Node": ("NAME", "STATUS", "ROLES", "VERSION"),
    "Namespace": ("NAME", "STATUS"),
    "ConfigMap": ("NAME", "KEYS"),
    "Secret": ("NAME", "TYPE"),
    "PersistentVolumeClaim": ("NAME", "STATUS", "VOLUME", "CAPACITY", "CLASS"),
    "PersistentVolume": ("NAME", "STATUS", "CAPACITY", "CLAIM", "CLASS"),
    "StorageClass": ("NAME", "PROVISIONER", "BINDING"),
    "HorizontalPodAutoscaler": ("NAME", "TARGET", "MIN", "MAX", "REPLICAS"),
    "PodDisruptionBudget": ("NAME", "MIN AVAILABLE", "MAX UNAVAILABLE", "ALLOWED"),
    "ResourceQuota": ("NAME", "USED OF HARD"),
    "NetworkPolicy": ("NAME", "SELECTS", "TYPES"),
    "RoleBinding": ("NAME", "ROLE", "SUBJECTS"),
    "ClusterRoleBinding": ("NAME", "ROLE", "SUBJECTS"),
    "CustomResourceDefinition": ("NAME", "KIND", "SCOPE"),
}


def cells(state: State, found: Object) -> list[object]:
    """The cells of one object, in the order of its kind's columns."""
    if found.ref.kind == "Pod":
        return list(pods.row(state, found)[1:5])
    shown = _CELLS.get(found.ref.kind)
    return [found.ref.name, *(shown(state, found) if shown else ())]


def _number(found: Object, *path: str) -> int:
    return int(dig(found.raw, *path, otherwise=0))


def desired(found: Object) -> int:
    if found.ref.kind == "DaemonSet":
        return _number(found, "status", "desiredNumberScheduled")
    return int(found.spec.get("replicas", 1) or 0)


def ready(found: Object) -> int:
    return _number(found, "status", "numberReady" if found.ref.kind == "DaemonSet" else "readyReplicas")


def healthy(found: Object) -> bool:
    """Whether an object's own status says that it is as it should be."""
    kind = found.ref.kind
    if kind == "Pod":
        return not pods.unwell(found)
    if kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController"):
        return ready(found) >= desired(found)
    if kind == "Node":
        return (found.condition("Ready") or {}).get("status") == "True"
    if kind == "Job":
        return (found.condition("Failed") or {}).get("status") != "True"
    if kind == "PersistentVolumeClaim":
        return found.status.get("phase") == "Bound"
    if kind == "PersistentVolume":
        return found.status.get("phase") in ("Bound", "Available")
    if kind == "Namespace":
        return found.status.get("phase", "Active") == "Active"
    return True


def _deployment(state: State, found: Object) -> list[object]:
    status = found.status
    return [f"{ready(found)}/{desired(found)}", status.get("updatedReplicas", 0), status.get("availableReplicas", 0)]


def _daemon(state: State, found: Object) -> list[object]:
    return [desired(found), ready(found), found.status.get("numberAvailable", 0)]


def _job(state: State, found: Object) -> list[object]:
    told = next(
        (kind for kind in ("Failed", "Complete", "Suspended") if (found.condition(kind) or {}).get("status") == "True"),
        "Running",
    )
    begun, ended = when(found.status.get("startTime")), when(found.status.get("completionTime"))
    took = span((ended or state.now) - begun) if begun else ""
    return [told, f"{found.status.get('succeeded', 0)}/{found.spec.get('completions') or 1}", took]


def _cron(state: State, found: Object) -> list[object]:
    last = when(found.status.get("lastScheduleTime"))
    return [found.spec.get("schedule", ""), bool(found.spec.get("suspend")), len(found.status.get("active") or ()),
            f"{age(state, last)} ago" if last else "never"]  # fmt: skip


def _service(state: State, found: Object) -> list[object]:
    spec = found.spec
    outside = [
        each.get("ip") or each.get("hostname") for each in dig(found.status, "loadBalancer", "ingress", otherwise=[])
    ]
    waiting = "<pending>" if spec.get("type") == "LoadBalancer" else "<none>"
    address = ",".join(str(each) for each in outside) or spec.get("externalName") or waiting
    listed = [f"{each.get('port')}/{each.get('protocol', 'TCP')}" for each in spec.get("ports") or ()]
    behind = [each for each in near(state, found.ref, Relation.SELECTS) if each.kind == "Pod"]
    return [spec.get("type", "ClusterIP"), spec.get("clusterIP") or "<none>", address, ",".join(listed),
            f"{len(behind)} pods" if spec.get("selector") else "no selector"]  # fmt: skip


def _ingress(state: State, found: Object) -> list[object]:
    hosts = [rule.get("host") or "*" for rule in found.spec.get("rules") or ()]
    at = [
        each.get("ip") or each.get("hostname") or ""
        for each in dig(found.status, "loadBalancer", "ingress", otherwise=[])
    ]
    return [found.spec.get("ingressClassName") or "<none>", ",".join(hosts) or "*", ",".join(at)]


def _node(state: State, found: Object) -> list[object]:
    well = {"True": "Ready", "False": "NotReady"}.get((found.condition("Ready") or {}).get("status", ""), "Unknown")
    closed = ",SchedulingDisabled" if found.spec.get("unschedulable") else ""
    prefix = "node-role.kubernetes.io/"
    roles = sorted(label.removeprefix(prefix) for label in found.labels if label.startswith(prefix))
    return [well + closed, ",".join(roles) or "<none>", dig(found.status, "nodeInfo", "kubeletVersion", otherwise="")]


def _claim(state: State, found: Object) -> list[object]:
    size = dig(found.status, "capacity", "storage", otherwise="") or dig(
        found.spec, "resources", "requests", "storage", otherwise=""
    )
    return [
        found.status.get("phase", ""),
        found.spec.get("volumeName", ""),
        size,
        found.spec.get("storageClassName", ""),
    ]


def _volume(state: State, found: Object) -> list[object]:
    claim: Mapping[str, Any] = found.spec.get("claimRef") or {}
    whose = f"{claim.get('namespace')}/{claim.get('name')}" if claim else ""
    return [
        found.status.get("phase", ""),
        dig(found.spec, "capacity", "storage", otherwise=""),
        whose,
        found.spec.get("storageClassName", ""),
    ]


def _scaler(state: State, found: Object) -> list[object]:
    target: Mapping[str, Any] = found.spec.get("scaleTargetRef") or {}
    return [f"{target.get('kind')}/{target.get('name')}", found.spec.get("minReplicas", 1), found.spec.get("maxReplicas", ""),
            found.status.get("currentReplicas", 0)]  # fmt: skip


def _budget(state: State, found: Object) -> list[object]:
    spec = found.spec
    return [spec.get("minAvailable", ""), spec.get("maxUnavailable", ""), found.status.get("disruptionsAllowed", 0)]


def _quota(state: State, found: Object) -> list[object]:
    used: Mapping[str, Any] = found.status.get("used") or {}
    hard: Mapping[str, Any] = found.status.get("hard") or found.spec.get("hard") or {}
    return [", ".join(f"{name} {used.get(name, '?')}/{most}" for name, most in sorted(hard.items()))]


def _policy(state: State, found: Object) -> list[object]:
    labels = dig(found.spec, "podSelector", "matchLabels", otherwise={})
    chosen = ",".join(f"{name}={value}" for name, value in labels.items()) or "all pods"
    return [chosen, ",".join(found.spec.get("policyTypes") or ())]


def _binding(state: State, found: Object) -> list[object]:
    role: Mapping[str, Any] = found.raw.get("roleRef") or {}
    whom = [f"{each.get('kind')} {each.get('name')}" for each in found.raw.get("subjects") or ()]
    return [f"{role.get('kind')}/{role.get('name')}", ", ".join(whom)]


_CELLS: Mapping[str, Callable[[State, Object], list[object]]] = {
    "Deployment": _deployment,
    "StatefulSet": lambda state, found: [f"{ready(found)}/{desired(found)}"],
    "DaemonSet": _daemon,
    "ReplicaSet": lambda state, found: [desired(found), ready(found)],
    "Job": _job,
    "CronJob": _cron,
    "Service": _service,
    "Ingress": _ingress,
    "Node": _node,
    "Namespace": lambda state, found: [found.status.get("phase", "")],
    "ConfigMap": lambda state, found: [len(found.raw.get("data") or ()) + len(found.raw.get("binaryData") or ())],
    "Secret": lambda state, found: [found.raw.get("type", "")],
    "PersistentVolumeClaim": _claim,
    "PersistentVolume": _volume,
    "StorageClass": lambda state, found: [found.raw.get("provisioner", ""), found.raw.get("volumeBindingMode", "")],
    "HorizontalPodAutoscaler": _scaler,
    "PodDisruptionBudget": _budget,
    "ResourceQuota": _quota,
    "NetworkPolicy": _policy,
    "RoleBinding": _binding,
    "ClusterRoleBinding": _binding,
    "CustomResourceDefinition": lambda state, found: [dig(found.spec, "names", "kind", otherwise=""), found.spec.get("scope", "")],
}  # fmt: skip

__all__ = ["COLUMNS", "cells", "healthy"]
