"""A synthetic cluster as a case: many namespaces of well shops, and one pod somewhere that does not start."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from kubectl_ai_intellect.kube.case import Case, RecordedList
from kubectl_ai_intellect.kube.refs import BUILTIN, KNOWN

Json = dict[str, Any]
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
FAULTY = ("team-07", "shop-3")


def town(pods: int = 170, namespaces: int = 18, nodes: int = 6) -> Case:
    """Deployments of two pods each with a Service, evenly over the namespaces; one has an image that is not there."""
    objects: dict[str, list[Json]] = {
        kind: []
        for kind in (
            "Namespace",
            "Node",
            "ServiceAccount",
            "Deployment",
            "ReplicaSet",
            "Pod",
            "Service",
            "EndpointSlice",
            "Event",
        )
    }
    objects["Node"] = [_node(n) for n in range(nodes)]
    names = [f"team-{n:02}" for n in range(namespaces)]
    objects["Namespace"] = [{"metadata": _meta(name, ""), "status": {"phase": "Active"}} for name in names]
    objects["ServiceAccount"] = [{"metadata": _meta("default", name)} for name in names]
    for number in range(pods // 2):
        _shop(objects, names[number % namespaces], f"shop-{number // namespaces}", number, nodes)
    api = {"Deployment": "apps", "ReplicaSet": "apps", "EndpointSlice": "discovery.k8s.io"}
    held = [RecordedList(api.get(kind, ""), kind, items=tuple(items)) for kind, items in objects.items()]
    seen = {(entry.group, entry.kind) for entry in held}
    empty = [
        RecordedList(group, kind) for group, kind in KNOWN if (group, kind) in BUILTIN and (group, kind) not in seen
    ]
    return Case(NOW, "bench", FAULTY[0], "v1.36.2", question="why is shop-3 not starting", lists=(*held, *empty))


def _meta(name: str, namespace: str, labels: Json | None = None, owner: tuple[str, str] | None = None) -> Json:
    made = (NOW - timedelta(days=3)).isoformat().replace("+00:00", "Z")
    meta: Json = {"name": name, "uid": f"uid-{namespace}-{name}", "creationTimestamp": made, "generation": 1}
    if namespace:
        meta["namespace"] = namespace
    if labels:
        meta["labels"] = labels
    if owner:
        api, owned = "apps/v1", f"uid-{namespace}-{owner[1]}"
        meta["ownerReferences"] = [
            {"apiVersion": api, "kind": owner[0], "name": owner[1], "uid": owned, "controller": True}
        ]
    return meta


def _node(number: int) -> Json:
    room = {"cpu": "16", "memory": "64Gi", "pods": "110"}
    return {
        "metadata": _meta(f"node-{number}", "", {"kubernetes.io/hostname": f"node-{number}"}),
        "spec": {},
        "status": {"capacity": room, "allocatable": room, "conditions": [_true("Ready", reason="KubeletReady")]},
    }


def _true(kind: str, reason: str = "", status: str = "True") -> Json:
    since = (NOW - timedelta(days=2)).isoformat().replace("+00:00", "Z")
    return {"type": kind, "status": status, "reason": reason, "lastTransitionTime": since}


def _shop(objects: dict[str, list[Json]], namespace: str, name: str, number: int, nodes: int) -> None:
    ill = (namespace, name) == FAULTY
    labels = {"app": name}
    image = f"registry.example/{name}:1.{'99' if ill else '4'}"
    resources = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}}
    ports = [{"name": "http", "containerPort": 8080, "protocol": "TCP"}]
    container = {
        "name": "app",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "ports": ports,
        "resources": resources,
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container], "restartPolicy": "Always"}}
    ready = 0 if ill else 2
    counts = {
        "replicas": 2,
        "updatedReplicas": 2,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "observedGeneration": 1,
    }
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    available = _true(
        "Available", status="False" if ill else "True", reason="MinimumReplicasUnavailable" if ill else ""
    )
    objects["Deployment"].append(
        {"metadata": _meta(name, namespace, labels), "spec": spec, "status": {**counts, "conditions": [available]}}
    )
    owned = f"{name}-5d9c8b7f6d"
    objects["ReplicaSet"].append(
        {"metadata": _meta(owned, namespace, labels, ("Deployment", name)), "spec": spec, "status": counts}
    )
    endpoints = []
    for copy in range(2):
        pod = f"{owned}-x{number:03}{copy}"
        home = f"node-{(number + copy) % nodes}"
        objects["Pod"].append(_pod(_meta(pod, namespace, labels, ("ReplicaSet", owned)), template["spec"], home, ill))
        address = f"10.{number // 250}.{number % 250}.{copy + 2}"
        target = {"kind": "Pod", "namespace": namespace, "name": pod}
        endpoints.append({"addresses": [address], "conditions": {"ready": not ill}, "targetRef": target})
        if ill:
            objects["Event"] += [_event(namespace, pod, image, n) for n in range(3)]
    service = {
        "selector": labels,
        "ports": [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}],
        "type": "ClusterIP",
    }
    objects["Service"].append({"metadata": _meta(name, namespace, labels), "spec": service, "status": {}})
    of = _meta(f"{name}-abcde", namespace, {"kubernetes.io/service-name": name})
    objects["EndpointSlice"].append(
        {
            "metadata": of,
            "addressType": "IPv4",
            "endpoints": endpoints,
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        }
    )


def _pod(meta: Json, spec: Json, node: str, ill: bool) -> Json:
    image = spec["containers"][0]["image"]
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "{image}"'}}
    running = {"running": {"startedAt": meta["creationTimestamp"]}}
    state = waiting if ill else running
    status = {
        "name": "app",
        "image": image,
        "imageID": "",
        "ready": not ill,
        "started": not ill,
        "restartCount": 0,
        "state": state,
    }
    truth = "False" if ill else "True"
    conditions = [
        _true("PodScheduled"),
        _true("Initialized"),
        _true("ContainersReady", status=truth),
        _true("Ready", status=truth),
    ]
    phase = "Pending" if ill else "Running"
    return {"metadata": meta, "spec": {**spec, "nodeName": node},
            "status": {"phase": phase, "conditions": conditions, "containerStatuses": [status]}}  # fmt: skip


def _event(namespace: str, pod: str, image: str, number: int) -> Json:
    at = (NOW - timedelta(minutes=3 * number)).isoformat().replace("+00:00", "Z")
    about = {"kind": "Pod", "namespace": namespace, "name": pod, "uid": f"uid-{namespace}-{pod}", "apiVersion": "v1"}
    message = f'Failed to pull image "{image}": rpc error: code = NotFound desc = failed to pull and unpack image: {image}: not found'
    return {"metadata": _meta(f"{pod}.{number}", namespace), "involvedObject": about, "reason": "Failed", "type": "Warning",
            "message": message, "count": 4, "firstTimestamp": at, "lastTimestamp": at}  # fmt: skip


__all__ = ["FAULTY", "town"]
