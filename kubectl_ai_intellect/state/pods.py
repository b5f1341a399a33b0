"""Pods and the templates they come from: containers with their status, and what their specs refer to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from kubectl_ai_intellect.kube.refs import Ref
from kubectl_ai_intellect.kube.source import Object, dig, when
from kubectl_ai_intellect.state.edits import By, Step

TEMPLATED = frozenset(
    {"Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicationController", "Rollout"}
)


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a pod: what was declared and what the kubelet says of it."""

    pod: Ref
    name: str
    role: Literal["main", "init", "sidecar"]
    spec: Mapping[str, Any]
    status: Mapping[str, Any]

    @property
    def ref(self) -> Ref:
        return self.pod.at(self.name)

    @property
    def image(self) -> str:
        return self.spec.get("image") or ""

    @property
    def waiting(self) -> Mapping[str, Any]:
        return dig(self.status, "state", "waiting", otherwise={})

    @property
    def running(self) -> Mapping[str, Any] | None:
        return dig(self.status, "state", "running")

    @property
    def terminated(self) -> Mapping[str, Any]:
        return dig(self.status, "state", "terminated", otherwise={})

    @property
    def last(self) -> Mapping[str, Any]:
        """How the container ended before the one of now."""
        return dig(self.status, "lastState", "terminated", otherwise={})

    @property
    def death(self) -> Mapping[str, Any]:
        """The most recent end that is known: of now if it is ended, else the one before."""
        return self.terminated or self.last

    @property
    def restarts(self) -> int:
        return int(self.status.get("restartCount") or 0)

    @property
    def ready(self) -> bool:
        return bool(self.status.get("ready"))

    @property
    def started(self) -> datetime | None:
        return when(dig(self.status, "state", "running", "startedAt"))

    def ports(self) -> list[Mapping[str, Any]]:
        return list(self.spec.get("ports") or ())

    def env(self) -> list[Mapping[str, Any]]:
        return list(self.spec.get("env") or ())


def containers(pod: Object) -> Iterator[Container]:
    """Every container of a pod, init containers first; a restartable init container is a sidecar."""
    spec, status = pod.spec, pod.status
    states = {
        each.get("name"): each
        for name in ("initContainerStatuses", "containerStatuses")
        for each in status.get(name) or ()
    }
    for each in spec.get("initContainers") or ():
        role: Literal["init", "sidecar"] = "sidecar" if each.get("restartPolicy") == "Always" else "init"
        yield Container(pod.ref, each["name"], role, each, states.get(each["name"], {}))
    for each in spec.get("containers") or ():
        yield Container(pod.ref, each["name"], "main", each, states.get(each["name"], {}))


def container(pod: Object, name: str) -> Container | None:
    return next((each for each in containers(pod) if each.name == name), None)


def template_path(kind: str) -> tuple[Step, ...]:
    """Where the pod's own fields lie in an object of this kind: () for a pod."""
    if kind == "CronJob":
        return ("spec", "jobTemplate", "spec", "template")
    return ("spec", "template") if kind in TEMPLATED else ()


def template(owner: Object) -> Mapping[str, Any]:
    """The pod template (metadata and spec) of a workload, or the pod itself."""
    value: Any = owner.raw
    for step in template_path(owner.ref.kind):
        value = dig(value, step) if isinstance(step, str) else None
    return value or {}


def pod_spec(owner: Object) -> Mapping[str, Any]:
    return template(owner).get("spec") or {}


def pod_labels(owner: Object) -> Mapping[str, str]:
    return dig(template(owner), "metadata", "labels", otherwise={})


def spec_path(kind: str) -> tuple[Step, ...]:
    """The path of the pod spec in an object of this kind."""
    return (*template_path(kind), "spec")


def declared(owner: Object, name: str) -> tuple[Mapping[str, Any], tuple[Step, ...]] | None:
    """A container as declared in a workload's template (or in a pod), with its path for a patch."""
    for group in ("containers", "initContainers"):
        for each in pod_spec(owner).get(group) or ():
            if each.get("name") == name:
                return each, (*spec_path(owner.ref.kind), group, By(name))
    return None


def declared_containers(owner: Object) -> Iterator[Mapping[str, Any]]:
    spec = pod_spec(owner)
    yield from spec.get("initContainers") or ()
    yield from spec.get("containers") or ()


def shared_directories(owner: Object, *names: str) -> list[str]:
    """Where the last of these containers sees the emptyDirs that all of them mount."""
    spec = pod_spec(owner)
    passing = {each.get("name") for each in spec.get("volumes") or () if "emptyDir" in each}
    mounts = {
        each.get("name"): {one.get("name"): str(one.get("mountPath") or "").rstrip("/") for one in each.get("volumeMounts") or ()}
        for each in declared_containers(owner)
    }  # fmt: skip
    common = [volume for volume in passing if all(volume in mounts.get(name, {}) for name in names)]
    return sorted(mounts[names[-1]][volume] for volume in common)


def phase(pod: Object) -> str:
    return pod.status.get("phase") or ""


def is_ready(pod: Object) -> bool:
    return (pod.condition("Ready") or {}).get("status") == "True"


def is_finished(pod: Object) -> bool:
    return phase(pod) in ("Succeeded", "Failed")


__all__ = [
    "TEMPLATED",
    "Container",
    "container",
    "containers",
    "declared",
    "declared_containers",
    "is_finished",
    "is_ready",
    "phase",
    "pod_labels",
    "pod_spec",
    "spec_path",
    "template",
    "template_path",
]
