"""Symptoms of claims, quotas, custom resources, certificates, bindings and of whatever does not go away."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

from kubectl_ai_intellect.causes.base import Symptom
from kubectl_ai_intellect.kube.refs import ref
from kubectl_ai_intellect.kube.source import Object, dig, when
from kubectl_ai_intellect.state.certificates import validity
from kubectl_ai_intellect.state.custom import complaints, is_custom
from kubectl_ai_intellect.state.graph import State

OVERDUE = timedelta(seconds=60)
"""How long a deletion may take that waits for what the cluster itself must do first: pods that end with grace, claims in use."""
UNANSWERED = timedelta(seconds=10)
"""How long the owner of a finalizer of its own may take to let go."""


def derive(state: State) -> Iterator[Symptom]:
    for claim in state.all("PersistentVolumeClaim"):
        if claim.status.get("phase") == "Lost":
            yield Symptom("claim-lost", claim.ref, claim.created)
        elif claim.status.get("phase") != "Bound" and claim.deleting is None and not _waits_for_pod(state, claim):
            yield Symptom("claim-pending", claim.ref, claim.created)
    for quota in state.all("ResourceQuota"):
        hard, used = quota.status.get("hard") or {}, quota.status.get("used") or {}
        full = [name for name in hard if name in used and quantity(used[name]) >= quantity(hard[name])]
        for name in full:
            yield Symptom("quota-full", quota.ref, None, name)
    yield from _leaving(state)
    yield from _custom(state)
    for each in state.all("Secret"):
        kind = each.raw.get("type") or ""
        status = each.labels.get("status", "")
        if each.ref.name.startswith("sh.helm.release.") and status.startswith("pending-"):
            yield Symptom("release-pending", each.ref, each.created, status)
        span = validity(each) if kind == "kubernetes.io/tls" else None
        if span is not None and span.ends - state.now < timedelta(days=21):
            yield Symptom("certificate-old", each.ref, each.created)
    for kind in ("RoleBinding", "ClusterRoleBinding"):
        for each in state.all(kind):
            named = each.raw.get("roleRef") or {}
            namespace = each.ref.namespace if named.get("kind") == "Role" else ""
            if state.absent(ref(named.get("kind", "Role"), namespace, named.get("name", ""))):
                yield Symptom("binding-broken", each.ref, each.created)


def _waits_for_pod(state: State, claim: Object) -> bool:
    """A claim that is bound only once a pod is scheduled is no fault while none is, unless that pod waits for it."""
    told = state.events(claim.ref)
    if told and told[0].reason not in ("WaitForFirstConsumer", "WaitForPodScheduled"):
        return False
    held = state.find(ref("StorageClass", "", claim.spec.get("storageClassName") or ""))
    if not told and (held is None or held.raw.get("volumeBindingMode") != "WaitForFirstConsumer"):
        return False
    if claim.annotations.get("volume.kubernetes.io/selected-node"):
        return False
    for pod in state.all("Pod", claim.ref.namespace):
        names = {dig(each, "persistentVolumeClaim", "claimName") for each in pod.spec.get("volumes") or ()}
        message = (pod.condition("PodScheduled") or {}).get("message") or ""
        if claim.ref.name in names and "persistent volumes to bind" in message:
            return False
    return True


def _is_built_in(finalizer: str) -> bool:
    """Whether the cluster's own controllers take a finalizer away."""
    return finalizer.partition("/")[0].endswith("kubernetes.io") or finalizer in (
        "foregroundDeletion",
        "orphan",
        "kubernetes",
    )


def _leaving(state: State) -> Iterator[Symptom]:
    for each in state.objects:
        if each.deleting is None or each.ref.kind in ("Pod", "Namespace"):
            continue
        foreign = any(not _is_built_in(str(name)) for name in each.meta.get("finalizers") or ())
        if state.now - each.deleting < (UNANSWERED if foreign else OVERDUE):
            continue
        yield Symptom("deletion-stuck", each.ref, each.deleting)
    for namespace in state.all("Namespace"):
        if namespace.status.get("phase") == "Terminating" or namespace.deleting:
            if state.now - (namespace.deleting or state.now) >= timedelta(seconds=20):
                yield Symptom("deletion-stuck", namespace.ref, namespace.deleting)


def _custom(state: State) -> Iterator[Symptom]:
    for each in state.objects:
        if not is_custom(each) or each.deleting:
            continue
        for told in complaints(each)[:1]:
            what = told.what.removesuffix(" is False")
            yield Symptom("condition-false", each.ref, when(told.since), f"{what} {told.reason}".strip())


_QUANTITY = re.compile(r"^([+-]?[\d.]+)([eE][+-]?\d+)?([a-zA-Z]*)$")
_UNITS = {"": 1.0, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
          "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50, "Ei": 2.0**60}  # fmt: skip


def quantity(text: object) -> float:
    """A Kubernetes quantity as a number; what is not one counts as nothing."""
    match = _QUANTITY.match(str(text).strip())
    if not match:
        return 0.0
    number, exponent, unit = match.groups()
    try:
        return float(number + (exponent or "")) * _UNITS.get(unit, 1.0)
    except ValueError:
        return 0.0


def claim_templates(found: Object) -> list[str]:
    return [dig(each, "metadata", "name", otherwise="") for each in found.spec.get("volumeClaimTemplates") or ()]


__all__ = ["claim_templates", "derive", "quantity"]
