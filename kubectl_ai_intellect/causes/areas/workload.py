"""Workloads that do not bring up what they should, for reasons of their own declaration."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from kubectl_ai_intellect.causes.base import Fact, Finding, Mend, Symptom, cause
from kubectl_ai_intellect.causes.facts import field, listed, not_there, told
from kubectl_ai_intellect.causes.needs import lists
from kubectl_ai_intellect.causes.symptoms.workloads import available, wanted
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Object, dig
from kubectl_ai_intellect.state.calls import called
from kubectl_ai_intellect.state.edits import Patch, remove_field, set_field
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.history import differences, revisions
from kubectl_ai_intellect.state.pods import declared_containers, is_ready, pod_labels, template
from kubectl_ai_intellect.state.relations import Relation, near, pods_of, workload_of

LOCAL = ("pull-failing", "config-refused", "start-refused", "container-restarting", "container-killed-memory",
         "container-unready", "probe-killing", "init-waiting", "pod-unscheduled", "pod-stuck-creating")  # fmt: skip
_SCALED_DOWN = re.compile(r"from (\d+) to 0\b")


# -- no replicas -----------------------------------------------------------------------------------------------------


def _idle(state: State, at: Ref) -> bool:
    found = state.find(at)
    return found is not None and found.spec.get("replicas") == 0


def _replicas_before(state: State, found: Object) -> tuple[int, Fact | None]:
    """How many replicas it had: an event tells, or what was applied, or an autoscaler's minimum."""
    for event in state.events(found.ref):
        match = _SCALED_DOWN.search(event.message)
        if match and int(match.group(1)):
            return int(match.group(1)), told(event)
    try:
        applied = json.loads(found.annotations.get("kubectl.kubernetes.io/last-applied-configuration") or "{}")
    except ValueError:
        applied = {}
    before = dig(applied, "spec", "replicas")
    if isinstance(before, int) and before > 0:
        return before, field(found, f"{before} replicas were applied last with kubectl apply")
    for scaler in near(state, found.ref, Relation.SCALES, back=True):
        least = dig((state.find(scaler) or found).spec, "minReplicas", otherwise=1)
        return max(int(least), 1), None
    return 1, None


@cause("workload/zero-replicas", "workload-idle", holds=_idle)
def zero_replicas(state: State, symptom: Symptom) -> Iterable[Finding]:
    found = state.find(symptom.at)
    if found is None or not _idle(state, symptom.at):
        return
    services = [each for each in near(state, found.ref, Relation.SELECTS, back=True) if each.kind == "Service"]
    before, fact = _replicas_before(state, found)
    facts = [field(found, "spec.replicas is 0"), *([fact] if fact else [])]
    facts += [field(each, f"{each.short} selects its pods, and there are none") for each in services[:2]]
    yield Finding(
        "workload/zero-replicas",
        found.ref,
        "proved" if services else "likely",
        f"{found.ref.short} is scaled to 0 replicas"
        + (f", so {services[0].short} has no backend" if services else "")
        + _whose_scale(found),
        supports=tuple(facts),
        mends=(Mend(f"Scale it up to {before}", (set_field(found.ref, "spec", "replicas", value=before),)),),
        affects=tuple(services),
    )


def _whose_scale(found: Object) -> str:
    from kubectl_ai_intellect.state.history import field_managers

    writers = field_managers(found, "spec", "replicas")
    return f"; the replicas were last set by {writers[0][0]}" if writers and writers[0][0] else ""


# -- paused ----------------------------------------------------------------------------------------------------------


def _paused(state: State, at: Ref) -> bool:
    found = state.find(at)
    return found is not None and bool(found.spec.get("paused"))


def _pending_change(state: State, found: Object) -> list[str] | None:
    """What of the template waits for the rollout: nothing where all of it is out, None where there is no revision."""
    known = revisions(state, found.ref)
    if not known:
        return None if state.all("ReplicaSet", found.ref.namespace).complete else []
    return differences(known[0].template, template(found))


@cause("workload/paused", "rollout-stalled", "workload-short", holds=_paused)
def paused(state: State, symptom: Symptom) -> Iterable[Finding]:
    found = state.find(symptom.at)
    if found is None or not _paused(state, symptom.at):
        return
    change = _pending_change(state, found)
    facts = [field(found, "spec.paused is true")]
    if change is None:
        says = f"{found.ref.short} was paused before its first rollout, so no pod was ever made"
        facts.append(listed("ReplicaSet", found.ref.namespace, f"{found.ref.short} owns no ReplicaSet"))
    elif change:
        says = f"the rollout of {found.ref.short} is paused, so its newest change is not rolled out: {'; '.join(change[:3])}"
        facts.append(field(found, f"not yet rolled out: {'; '.join(change[:3])}"))
    else:
        says = f"the rollout of {found.ref.short} is paused; all of its template is rolled out so far"
    yield Finding(
        "workload/paused", found.ref, "possible" if change == [] else "proved", says, supports=tuple(facts),
        mends=(Mend("Resume the rollout", (remove_field(found.ref, "spec", "paused"),)),), weight=0.3,
    )  # fmt: skip


# -- stuck -----------------------------------------------------------------------------------------------------------


@cause("workload/rollout-stuck", "rollout-stalled")
def rollout_stuck(state: State, symptom: Symptom) -> Iterable[Finding]:
    found = state.find(symptom.at)
    if found is None or symptom.note not in ("deadline", "revision"):
        return
    progress = found.condition("Progressing") or {}
    told_so = progress.get("message") or "its pods are not all of the newest revision"
    known = revisions(state, found.ref)
    change = known[0].differs if known else ()
    facts = [field(found, f"Progressing: {told_so}" if progress else told_so)]
    if change:
        facts.append(field(known[0].of, f"revision {known[0].number} changed {'; '.join(change[:4])}"))
    good = next((each for each in known[1:] if each.ready), None)
    back = Mend(
        f"Roll back to revision {good.number}, which still serves" if good else "Roll back to the revision before",
        (Patch(found.ref, action="rollback", body=good.number if good else None),),
        kind="stopgap",
        risk="medium",
    )
    yield Finding(
        "workload/rollout-stuck", found.ref, "proved" if symptom.note == "deadline" else "likely",
        f"the rollout of {found.ref.short} makes no progress: {available(found)} of {wanted(found)} pods are available"
        + (f"; it changed {'; '.join(change[:3])}" if change else ""),
        supports=tuple(facts), mends=(back,) if len(known) > 1 else (),
    )  # fmt: skip


# -- StatefulSets ----------------------------------------------------------------------------------------------------


def _ordinal(pod: Object) -> int:
    tail = pod.ref.name.rpartition("-")[2]
    return int(tail) if tail.isdigit() else -1


def _ordered(found: Object | None) -> bool:
    return found is not None and found.ref.kind == "StatefulSet" and found.spec.get("podManagementPolicy") != "Parallel"


def _outdated(found: Object, pod: Object) -> list[str]:
    """What the template says otherwise than the pod that is there: a mend that has not reached it."""
    told: list[str] = []
    for each in declared_containers(found):
        own = next((c for c in declared_containers(pod) if c.get("name") == each.get("name")), None)
        if own is None:
            continue
        for name in ("image", "command", "args", "env", "envFrom", "resources", "readinessProbe", "livenessProbe"):
            if each.get(name) is not None and each.get(name) != own.get(name):
                told.append(f"container {each.get('name')}: {name}")
    return told


@cause("workload/ordinal-blocked", "workload-short", "rollout-stalled", *LOCAL)
def ordinal_blocked(state: State, symptom: Symptom) -> Iterable[Finding]:
    found = state.find(workload_of(state, symptom.at))
    if found is None or not _ordered(found):
        return
    pods = sorted(pods_of(state, found.ref), key=_ordinal)
    broken = next((pod for pod in pods if not is_ready(pod) and pod.deleting is None), None)
    if broken is None or (symptom.at.kind == "Pod" and symptom.at.whole() != broken.ref):
        return
    revision = broken.labels.get("controller-revision-hash") or ""
    newest = found.status.get("updateRevision") or ""
    behind = bool(revision and newest and revision != newest)
    changed = _outdated(found, broken) if behind else []
    if behind and changed:
        yield Finding(
            "workload/ordinal-blocked", found.ref, "proved",
            f"{found.ref.short} was changed ({'; '.join(changed[:3])}), but its broken pod {broken.ref.name} is still of the "
            "old revision: a StatefulSet does not replace a pod that never became ready, so the change cannot reach it",
            supports=(field(broken, f"pod {broken.ref.name} is of revision {revision} and is not ready"),
                      field(found, f"status.updateRevision is {newest}, podManagementPolicy is OrderedReady")),
            mends=(Mend(f"Delete the pod {broken.ref.name}, so that it is made anew from the template of now",
                        (Patch(broken.ref, action="delete"),), risk="medium"),),
            weight=1.0,
        )  # fmt: skip
    elif symptom.at.kind == "StatefulSet" and len(pods) < wanted(found):
        yield Finding(
            "workload/ordinal-blocked", found.ref, "possible",
            f"{found.ref.short} makes its pods one after the other and waits for {broken.ref.name}: "
            f"{wanted(found) - len(pods)} more are not even made",
            supports=(field(broken, f"pod {broken.ref.name} is not ready"),
                      field(found, f"{len(pods)} of {wanted(found)} pods exist, podManagementPolicy is OrderedReady")),
            weight=-0.5,
        )  # fmt: skip


def _no_service(state: State, at: Ref) -> bool:
    found = state.find(at)
    name = found.spec.get("serviceName") if found and found.ref.kind == "StatefulSet" else None
    return bool(name) and state.absent(ref("Service", at.namespace, name))


def _named_after(state: State, symptom: Symptom) -> Iterator[tuple[Object, str]]:
    """StatefulSets one of whose pods the failing name means: `db-0.db`, `db-0.db.shop.svc.cluster.local`."""
    names = [word.rpartition("//")[2].rpartition(":")[0] or word for word in symptom.note.split()]
    if symptom.kind == "name-failing" and not names:  # the log names no host: those that it is configured with
        names = [call.host for call in called(state, symptom.at)]
    for each in state.all("StatefulSet"):
        governing = each.spec.get("serviceName")
        for name in names:
            labels = name.split(".")
            pod = labels[0].rpartition("-")
            of_pod = len(labels) > 1 and pod[0] == each.ref.name and pod[2].isdigit() and labels[1] == governing
            if of_pod or (labels[0] == governing and (len(labels) == 1 or labels[1] == each.ref.namespace)):
                yield each, name
                break


@cause("workload/headless-service-missing", "name-failing", "client-failing", needs=lists("Service", "StatefulSet"),
       holds=_no_service)  # fmt: skip
def headless_service_missing(state: State, symptom: Symptom) -> Iterable[Finding]:
    for each, host in _named_after(state, symptom):
        if not _no_service(state, each.ref):
            continue
        name = each.spec["serviceName"]
        missing = ref("Service", each.ref.namespace, name)
        yield Finding(
            "workload/headless-service-missing",
            each.ref,
            "proved",
            f"{each.ref.short} names the Service {name} for the names of its pods, and there is no such Service, so "
            f"{host} does not resolve",
            supports=(field(each, f"spec.serviceName is {name}"), not_there(missing)),
            mends=(Mend(f"Make the headless Service {name}", (_headless(each, missing),)),),
            weight=0.6,
        )


def _headless(found: Object, missing: Ref) -> Patch:
    ports = [
        {"name": port.get("name") or f"port-{port['containerPort']}", "port": port["containerPort"]}
        for each in declared_containers(found)
        for port in each.get("ports") or ()
        if port.get("containerPort")
    ]
    spec: dict[str, Any] = {
        "clusterIP": "None",
        "selector": dict(dig(found.spec, "selector", "matchLabels") or pod_labels(found)),
    }
    if ports:
        spec["ports"] = ports
    meta = {"name": missing.name, "namespace": missing.namespace}
    body = {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}
    return Patch(missing, action="create", body=body)
