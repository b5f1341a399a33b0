"""Objects that the namespace's quotas do not let in, and pods that a quota wants limits of."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from kubectl_ai_intellect.causes.areas.scheduling_room import shown
from kubectl_ai_intellect.causes.base import Fact, Finding, Mend, Symptom, cause
from kubectl_ai_intellect.causes.facts import field, not_there
from kubectl_ai_intellect.causes.fit import claim_names, quantity, requests
from kubectl_ai_intellect.causes.needs import lists
from kubectl_ai_intellect.causes.refusals import refusals
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Object, dig
from kubectl_ai_intellect.state.calls import called
from kubectl_ai_intellect.state.edits import Edit, Patch
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import declared, declared_containers, pod_spec
from kubectl_ai_intellect.state.relations import pods_of, references, routed, workload_of

EXCEEDED = re.compile(r"exceeded quota: (\S+), requested: (.+?), used: (.+?), limited: ([^\s\]]+)")
UNSPECIFIED = re.compile(r"failed quota: (\S+?): must specify ([^\]]+)")


def group(resource: str) -> str:
    """Which of the quota causes a quota's resource belongs to."""
    name = resource.removeprefix("requests.").removeprefix("limits.")
    if name in ("cpu", "memory"):
        return name
    if name in ("pods", "count/pods"):
        return "pods"
    if name.startswith("services") or name == "count/services":
        return "services"
    if ("storage" in name and name != "ephemeral-storage") or "persistentvolumeclaims" in name:
        return "storage"
    return "object-count"


def amounts(text: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in text.split(",") if "=" in pair)


def exceeded(state: State, workload: Ref, kind: str) -> Iterator[tuple[Ref, dict[str, str], dict[str, str], Fact]]:
    """Each quota that a refusal names for this kind of resource: what was asked, what is used, and the fact."""
    for refusal in refusals(state, workload):
        match = EXCEEDED.search(refusal.words)
        if match:
            asked = {name: value for name, value in amounts(match.group(2)).items() if group(name) == kind}
            if asked:
                yield (
                    ref("ResourceQuota", workload.namespace, match.group(1)),
                    asked,
                    amounts(match.group(3)),
                    refusal.fact,
                )


def full(quota: Object, name: str) -> bool:
    hard, used = dig(quota.raw, "spec", "hard", otherwise={}), quota.status.get("used") or {}
    return name in hard and name in used and quantity(used[name]) >= quantity(hard[name])


def still(kind: str) -> Callable[[State, Ref], bool]:
    """Whether a quota, as declared now, still refuses what was refused, or has nothing left."""

    def holds(state: State, at: Ref) -> bool:
        quota = state.find(at)
        if quota is None or at.kind != "ResourceQuota":
            return False
        hard = dig(quota.raw, "spec", "hard", otherwise={})
        wanted: dict[str, float] = {}
        for workload in _refused(state, at.namespace):
            for named, asked, used, _ in exceeded(state, workload, kind):
                for name, value in asked.items() if named == at else ():
                    wanted[name] = max(wanted.get(name, 0.0), quantity(value) + quantity(used.get(name, "0")))
        if any(name in hard and value > quantity(hard[name]) for name, value in wanted.items()):
            return True
        return not wanted and any(group(name) == kind and full(quota, name) for name in hard)

    return holds


def _refused(state: State, namespace: str) -> Iterator[Ref]:
    for kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "ReplicationController"):
        for each in state.all(kind, namespace):
            if workload_of(state, each.ref) == each.ref:
                yield each.ref


def _exceeded(state: State, symptom: Symptom, kind: str, id: str) -> Iterator[Finding]:
    if symptom.kind == "quota-full":
        if group(symptom.note) == kind:
            yield _at_limit(state, symptom.at, symptom.note, id)
        return
    found = False
    for quota, asked, used, fact in exceeded(state, symptom.at, kind):
        found = True
        yield _over(state, symptom.at, id, quota, asked, used, (fact,))
    if not found and symptom.kind == "workload-short" and not refusals(state, symptom.at):
        yield from _no_room(state, symptom, kind, id)


def _over(
    state: State, workload: Ref, id: str, quota: Ref, asked: Mapping[str, str], used: Mapping[str, str],
    facts: tuple[Fact, ...]
) -> Finding:  # fmt: skip
    held = state.find(quota)
    hard = dig(held.raw, "spec", "hard", otherwise={}) if held else {}
    text = ", ".join(f"{name}: {used.get(name, '?')} of {hard.get(name, '?')} used, {value} more asked"
                     for name, value in asked.items())  # fmt: skip
    return Finding(
        id, quota, "proved",
        f"the quota {quota.name} does not let in the next pod or object of {workload.short}: {text}",
        supports=(*facts, field(quota, f"{quota.short}: {text}")),
        mends=tuple(_raise(state, workload, quota, asked, used)), affects=(workload,), weight=0.3,
    )  # fmt: skip


def _raise(
    state: State, workload: Ref, quota: Ref, asked: Mapping[str, str], used: Mapping[str, str]
) -> Iterator[Mend]:
    found = state.find(workload)
    replicas = int((found.spec.get("replicas") or found.spec.get("parallelism") or 1) if found else 1)
    if workload.kind == "DaemonSet" and found:
        replicas = int(found.status.get("desiredNumberScheduled") or 1)
    missing = max(1, replicas - len(pods_of(state, workload)))
    values = {
        name: shown(name.removeprefix("requests.").removeprefix("limits."),
                    quantity(used.get(name, "0")) + missing * quantity(value))
        if "storage" not in name else _bytes(quantity(used.get(name, "0")) + missing * quantity(value), name)
        for name, value in asked.items()
    }  # fmt: skip
    text = ", ".join(f"{name} {value}" for name, value in values.items())
    yield Mend(f"Raise the quota {quota.name} to {text}",
               (Patch(quota, tuple(Edit(("spec", "hard", name), value) for name, value in values.items())),), risk="medium",
               unknown=("whether the namespace may have so much is its administrator's to say",))  # fmt: skip
    yield Mend(f"Or let {workload.short} ask for less, or remove what is not needed in {quota.namespace}")


def _bytes(value: float, name: str) -> str:
    return shown("memory", value) if value > 10_000 and "claims" not in name else str(math.ceil(value))


def _no_room(state: State, symptom: Symptom, kind: str, id: str) -> Iterator[Finding]:
    """The events have expired: pods are missing, and the quota has no room for one more."""
    found = state.find(symptom.at)
    pods = pods_of(state, symptom.at)
    if found is None or len(pods) >= int(found.spec.get("replicas") or 1):
        return
    need = requests(pod_spec(found))
    for quota in state.all("ResourceQuota", symptom.at.namespace):
        hard, used = dig(quota.raw, "spec", "hard", otherwise={}), quota.status.get("used") or {}
        asked = {
            name: shown(plain, want)
            for name in hard
            if group(name) == kind and name in used
            for plain in [name.removeprefix("requests.").removeprefix("limits.")]
            for want in [1.0 if kind == "pods" else need.get(plain, 0.0)]
            if want and quantity(used[name]) + want > quantity(hard[name])
        }
        if asked:
            over = _over(state, symptom.at, id, quota.ref, asked, used, ())
            yield Finding(
                id, quota.ref, "likely", over.says, supports=over.supports, mends=over.mends, affects=over.affects
            )


def _at_limit(state: State, at: Ref, resource: str, id: str) -> Finding:
    quota = state.find(at)
    hard = dig(quota.raw, "spec", "hard", resource, otherwise="?") if quota else "?"
    return Finding(id, at, "possible", f"the quota {at.name} has nothing left of {resource}: all of {hard} is used",
                   supports=(field(at, f"status.used {resource} has reached hard {hard}"),))  # fmt: skip


WAKES = ("create-refused", "workload-short", "quota-full")


@cause("quota/cpu-exceeded", *WAKES, holds=still("cpu"))
def cpu_exceeded(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _exceeded(state, symptom, "cpu", "quota/cpu-exceeded")


@cause("quota/memory-exceeded", *WAKES, holds=still("memory"))
def memory_exceeded(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _exceeded(state, symptom, "memory", "quota/memory-exceeded")


@cause("quota/pods-exceeded", *WAKES, holds=still("pods"))
def pods_exceeded(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _exceeded(state, symptom, "pods", "quota/pods-exceeded")


def _blocked_object(
    state: State, symptom: Symptom, id: str, target: Ref, kind: str, plurals: tuple[str, ...]
) -> Iterator[Finding]:
    """An object that is used and is not there, while the quota for its kind is full: it could not be made."""
    if not state.absent(target):
        return
    for quota in state.all("ResourceQuota", symptom.at.namespace):
        names = [name for name in dig(quota.raw, "spec", "hard", otherwise={}) if name in plurals and full(quota, name)]
        used = quota.status.get("used") or {}
        for name in names[:1]:
            over = _over(state, workload_of(state, symptom.at), id, quota.ref, {name: "1"}, used, (not_there(target),))
            yield Finding(
                id, quota.ref, "proved",
                f"{target.short}, which {symptom.at.short} needs, does not exist, and the quota {quota.ref.name} "
                f"has no room for it: {name} is at its limit of {used.get(name)}",
                supports=over.supports, mends=over.mends[:1], affects=(workload_of(state, symptom.at),), weight=0.6,
            )  # fmt: skip


@cause("quota/services-exceeded", "create-refused", "quota-full", "name-failing", "client-failing", "route-broken",
       holds=still("services"))  # fmt: skip
def services_exceeded(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _exceeded(state, symptom, "services", "quota/services-exceeded")
    wanted: set[Ref] = set()
    if symptom.kind in ("name-failing", "client-failing"):
        hosts = {call.host for call in called(state, symptom.at.whole()) if call.host}
        hosts |= {word.partition(":")[0] for word in symptom.note.split()}
        for host in hosts:
            name, _, rest = host.partition(".")
            if re.fullmatch(r"[a-z][a-z0-9-]*", name) and rest.partition(".")[0] in ("", symptom.at.namespace):
                wanted.add(ref("Service", symptom.at.namespace, name))
    route = state.find(symptom.at) if symptom.kind == "route-broken" and symptom.at.kind == "Ingress" else None
    wanted |= {ref("Service", symptom.at.namespace, name) for name, _, _ in (routed(route) if route else ())}
    for target in sorted(wanted):
        yield from _blocked_object(state, symptom, "quota/services-exceeded", target, "services",
                                   ("services", "count/services"))  # fmt: skip


@cause("quota/storage-exceeded", *WAKES, "pod-unscheduled", holds=still("storage"))
def storage_exceeded(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _exceeded(state, symptom, "storage", "quota/storage-exceeded")
    pod = state.find(symptom.at) if symptom.kind == "pod-unscheduled" else None
    for name in claim_names(pod.spec) if pod else ():
        target = ref("PersistentVolumeClaim", symptom.at.namespace, name)
        yield from _blocked_object(
            state, symptom, "quota/storage-exceeded", target, "storage",
            ("requests.storage", "persistentvolumeclaims", "count/persistentvolumeclaims"),
        )  # fmt: skip


@cause("quota/object-count-exceeded", *WAKES, "config-refused", "pod-stuck-creating", needs=lists("ConfigMap"),
       holds=still("object-count"))  # fmt: skip
def object_count_exceeded(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _exceeded(state, symptom, "object-count", "quota/object-count-exceeded")
    pod = state.find(symptom.at) if symptom.kind in ("config-refused", "pod-stuck-creating") else None
    for target in sorted({each.whole() for each in references(pod.spec, pod.ref.namespace)}) if pod else ():
        plural = {"ConfigMap": "configmaps", "Secret": "secrets"}.get(target.kind)
        if plural:
            yield from _blocked_object(state, symptom, "quota/object-count-exceeded", target, "object-count",
                                       (plural, f"count/{plural}"))  # fmt: skip


# -- limits that a quota wants ----------------------------------------------------------------------------------------


def unspecified(words: str) -> tuple[str, list[str]]:
    """The quota and the resources of which a pod must say how much: both wordings, with and without containers."""
    match = UNSPECIFIED.search(words)
    if not match:
        return "", []
    return match.group(1), re.findall(r"(?:requests\.|limits\.)?(?:cpu|memory|ephemeral-storage)", match.group(2))


def _silent(state: State, at: Ref) -> dict[str, list[str]]:
    """Which containers of a workload say nothing of which resource that a quota wants."""
    found = state.find(at)
    lacking: dict[str, list[str]] = {}
    for refusal in refusals(state, at) if found is not None else ():
        for resource in unspecified(refusal.words)[1]:
            section, _, name = resource.rpartition(".")
            for each in declared_containers(found) if found else ():
                declared_here = each.get("resources") or {}
                sections = ("requests", "limits") if section != "limits" else ("limits",)
                if not any(name in (declared_here.get(one) or {}) for one in sections):
                    lacking.setdefault(each["name"], []).append(resource)
    return {name: sorted(set(resources)) for name, resources in lacking.items()}


START: dict[str, float] = {"cpu": 0.2, "memory": 256 * 2.0**20, "ephemeral-storage": 2.0**30}


@cause("quota/limits-required", "create-refused", holds=lambda state, at: bool(_silent(state, at)))
def limits_required(state: State, symptom: Symptom) -> Iterable[Finding]:
    for refusal in refusals(state, symptom.at):
        name, resources = unspecified(refusal.words)
        if not resources:
            continue
        silent = _silent(state, symptom.at)
        which = ", ".join(silent) or "its containers"
        text = ", ".join(dict.fromkeys(resources))
        quota = ref("ResourceQuota", symptom.at.namespace, name)
        yield Finding(
            "quota/limits-required", symptom.at, "proved",
            f"the quota {name} counts {text}, so every pod must say how much; {which} of {symptom.at.short} does not",
            supports=(refusal.fact, field(symptom.at, f"containers without {text}: {which}"),
                      field(quota, f"{quota.short} limits {text}")),
            mends=tuple(_say_how_much(state, symptom.at, quota, silent)), weight=0.4,
        )  # fmt: skip
        return


def _say_how_much(state: State, workload: Ref, quota: Ref, silent: dict[str, list[str]]) -> Iterator[Mend]:
    found, held = state.find(workload), state.find(quota)
    pods = max(1, int((found.spec.get("replicas") or found.spec.get("parallelism") or 1) if found else 1))
    edits: list[Edit] = []
    for name, resources in silent.items():
        place = declared(found, name) if found else None
        for resource in resources if place else ():
            section, _, plain = resource.rpartition(".")
            hard = dig(held.raw, "spec", "hard", resource, otherwise="") if held else ""
            used = dig(held.raw, "status", "used", resource, otherwise="0") if held else "0"
            left = quantity(hard) - quantity(used) if hard else math.inf
            value = min(START[plain], left / (pods * len(silent)))
            edits.append(Edit((*place[1], "resources", section or "requests", plain), shown(plain, value)))  # type: ignore[index]
    if edits:
        yield Mend("Say how much each container may use", (Patch(workload, tuple(edits)),),
                   unknown=("whether these starting values suffice: kubectl top pods tells what it uses",))  # fmt: skip
    body: dict[str, Any] = {
        "apiVersion": "v1", "kind": "LimitRange",
        "metadata": {"name": "defaults", "namespace": workload.namespace},
        "spec": {"limits": [{"type": "Container", "default": {"cpu": "200m", "memory": "256Mi"},
                             "defaultRequest": {"cpu": "100m", "memory": "128Mi"}}]},
    }  # fmt: skip
    target = ref("LimitRange", workload.namespace, "defaults")
    yield Mend("Or give every container of the namespace defaults", (Patch(target, action="create", body=body),))


__all__ = ["exceeded", "group", "unspecified"]
