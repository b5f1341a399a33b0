"""Symptoms of workloads and their autoscalers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from kubectl_ai_intellect.causes.base import Symptom
from kubectl_ai_intellect.causes.schedule import missed
from kubectl_ai_intellect.causes.symptoms.pods import outlived
from kubectl_ai_intellect.causes.symptoms.starting import on_its_way
from kubectl_ai_intellect.kube.refs import Ref
from kubectl_ai_intellect.kube.source import Object, when
from kubectl_ai_intellect.state.custom import complaints, scaled_by
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.history import field_managers
from kubectl_ai_intellect.state.pods import containers, declared_containers, is_finished, is_ready, pod_spec
from kubectl_ai_intellect.state.relations import Relation, near, owner_refs, pods_of, references, workload_of

REFUSED = ("FailedCreate", "ReplicaSetCreateError", "FailedDaemonPod")
SCALED = ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "ReplicationController")


def derive(state: State) -> Iterator[Symptom]:
    for kind in SCALED:
        for each in state.all(kind):
            if kind == "ReplicaSet" and workload_of(state, each.ref) != each.ref:
                continue
            yield from _scaled(state, each)
    for kind in (*SCALED, "Job", "CronJob"):
        for each in state.all(kind):
            yield from _refused(state, each)
    for each in state.all("Job"):
        yield from _job(state, each)
    for each in state.all("CronJob"):
        yield from _cronjob(state, each)
    for each in state.all("HorizontalPodAutoscaler"):
        yield from _scaler(each)
        yield from _contested(state, each)
    for kind in ("Deployment", "StatefulSet", "DaemonSet"):
        for each in state.all(kind):
            yield from _drift(state, each)
    for each in state.all("DaemonSet"):
        yield from _uncovered(state, each)


def wanted(each: Object) -> int:
    if each.ref.kind == "DaemonSet":
        return int(each.status.get("desiredNumberScheduled") or 0)
    value = each.spec.get("replicas")
    return 1 if value is None else int(value)


def available(each: Object) -> int:
    field = "numberAvailable" if each.ref.kind == "DaemonSet" else "availableReplicas"
    return int(each.status.get(field) or 0)


def _rests_by_rule(state: State, each: Object) -> bool:
    """Whether an event-driven autoscaler keeps it at none while there is no work."""
    scaler = scaled_by(state, each.ref)
    if scaler is not None:
        return int(scaler.spec.get("minReplicaCount") or 0) == 0 and not complaints(scaler)
    return any(
        any(key.endswith("keda.sh/name") for key in held.labels)
        for at in near(state, each.ref, Relation.SCALES, back=True)
        if (held := state.find(at)) is not None
    )


def _scaled(state: State, each: Object) -> Iterator[Symptom]:
    if int(each.status.get("observedGeneration") or 0) < int(each.meta.get("generation") or 0):
        changed = max((when(m.get("time")) or state.now for m in each.meta.get("managedFields") or ()), default=None)
        if state.now - (changed or each.created or state.now) > timedelta(seconds=10):
            yield Symptom("workload-unobserved", each.ref, changed or each.created)
    if wanted(each) == 0 and each.ref.kind != "DaemonSet":
        if not _rests_by_rule(state, each):
            yield Symptom("workload-idle", each.ref)
    elif available(each) < wanted(each) and not on_its_way(state, each):
        yield Symptom("workload-short", each.ref, _since(each), f"{available(each)}/{wanted(each)}")
    progressing = each.condition("Progressing") or {}
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        yield Symptom("rollout-stalled", each.ref, when(progressing.get("lastTransitionTime")), "deadline")
    if each.spec.get("paused"):
        yield Symptom("rollout-stalled", each.ref, when(progressing.get("lastUpdateTime")), "paused")
    current, update = each.status.get("currentRevision"), each.status.get("updateRevision")
    waits = current and update and current != update
    if each.ref.kind == "StatefulSet" and waits and int(each.status.get("updatedReplicas") or 0) < wanted(each):
        if any(_overdue(state, pod) for pod in pods_of(state, each.ref)):
            yield Symptom("rollout-stalled", each.ref, None, "revision")


def held_back(each: Object) -> str:
    """What of the update strategy keeps a change from the pods; nothing where none waits."""
    strategy = each.spec.get("updateStrategy") or {}
    if each.ref.kind == "DaemonSet":
        behind = int(each.status.get("updatedNumberScheduled") or 0) < wanted(each)
    else:
        current, update = each.status.get("currentRevision"), each.status.get("updateRevision")
        behind = bool(current and update and current != update) and int(
            each.status.get("updatedReplicas") or 0
        ) < wanted(each)
    if not behind or each.ref.kind not in ("StatefulSet", "DaemonSet"):
        return ""
    if strategy.get("type") == "OnDelete":
        return "its update strategy OnDelete replaces a pod only when somebody deletes it"
    partition = int((strategy.get("rollingUpdate") or {}).get("partition") or 0)
    return f"its partition of {partition} keeps the update from the pods below that ordinal" if partition else ""


def _overdue(state: State, pod: Object) -> bool:
    """Not ready for longer than a rollout's ordinary step takes, or in a loop."""
    if is_ready(pod):
        return False
    since = when((pod.condition("Ready") or {}).get("lastTransitionTime")) or pod.created
    looping = any(one.waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing")
                  for one in containers(pod))  # fmt: skip
    return looping or (since is not None and state.now - since > timedelta(seconds=60))


def _since(each: Object) -> datetime | None:
    return when((each.condition("Available") or {}).get("lastTransitionTime"))


def _refused(state: State, each: Object) -> Iterator[Symptom]:
    """Pods that are not created: FailedCreate, unless a later success shows that it is over."""
    stuck = each.condition("Progressing") or {}
    if stuck.get("reason") == "ReplicaSetCreateError":
        yield Symptom("create-refused", each.ref, when(stuck.get("lastTransitionTime")))
        return
    for told in state.events(each.ref):
        if told.reason in REFUSED and told.warning:
            owner = workload_of(state, each.ref)
            if not _made_up_for(state, owner):
                yield Symptom("create-refused", owner, told.first)
            return
    failure = each.condition("ReplicaFailure") or {}
    if failure.get("status") == "True":
        yield Symptom("create-refused", workload_of(state, each.ref), when(failure.get("lastTransitionTime")))


def _made_up_for(state: State, owner: Ref) -> bool:
    found = state.find(owner)
    if found is None or found.ref.kind not in SCALED:
        return found is not None and found.ref.kind == "Job" and bool(found.status.get("active"))
    updated = found.status.get("updatedReplicas")
    enough = len(pods_of(state, found.ref)) >= wanted(found) and available(found) >= wanted(found)
    return enough and (updated is None or int(updated) >= wanted(found))


def _job(state: State, job: Object) -> Iterator[Symptom]:
    failed = job.condition("Failed") or {}
    if failed.get("status") == "True":
        if outlived(state, job):
            return
        yield Symptom("job-failed", job.ref, when(failed.get("lastTransitionTime")), failed.get("reason") or "")
    elif job.spec.get("suspend"):
        yield Symptom("rollout-stalled", job.ref, None, "suspended")
    elif not job.status.get("startTime") and job.created and state.now - job.created > timedelta(seconds=30):
        yield Symptom("workload-unobserved", job.ref, job.created)
    elif job.status.get("active"):
        for pod in pods_of(state, workload_of(state, job.ref)):
            if job.ref not in owner_refs(state, pod.ref):
                continue
            ended = [each for each in containers(pod) if each.role == "main" and each.terminated.get("exitCode") == 0]
            running = [each for each in containers(pod) if each.role == "main" and each.running is not None]
            if ended and running:
                yield Symptom("job-unfinished", job.ref, when(ended[0].terminated.get("finishedAt")), "sidecar")


def _cronjob(state: State, each: Object) -> Iterator[Symptom]:
    if each.spec.get("suspend"):
        yield Symptom("cronjob-idle", each.ref, None, "suspended")
    for told in state.events(each.ref):
        if told.reason in ("JobAlreadyActive", "MissSchedule", "TooManyMissedTimes", "FailedNeedsStart",
                           "UnparseableSchedule", "InvalidSchedule", "UnknownTimeZone"):  # fmt: skip
            yield Symptom("cronjob-idle", each.ref, told.first, told.reason)
            return
    last = when(each.status.get("lastScheduleTime"))
    skipped = missed(each.spec.get("schedule") or "", last, state.now, each.spec.get("timeZone") or "")
    if skipped and each.status.get("active") and each.spec.get("concurrencyPolicy") == "Forbid":
        yield Symptom("cronjob-idle", each.ref, skipped, "active")


def _scaler(each: Object) -> Iterator[Symptom]:
    for kind in ("AbleToScale", "ScalingActive"):
        condition = each.condition(kind) or {}
        if condition.get("status") == "False" and condition.get("reason") != "ScalingDisabled":
            yield Symptom("scaler-blind", each.ref, when(condition.get("lastTransitionTime")), condition["reason"])
    limited = each.condition("ScalingLimited") or {}
    if limited.get("status") == "True" and limited.get("reason") == "TooManyReplicas":
        yield Symptom("scaler-capped", each.ref, when(limited.get("lastTransitionTime")), "TooManyReplicas")


def _contested(state: State, scaler: Object) -> Iterator[Symptom]:
    """The replicas go up and down again and again, and somebody beside the autoscaler sets them."""
    for target in near(state, scaler.ref, Relation.SCALES):
        found = state.find(target)
        steps = [told for told in state.events(target) if told.reason == "ScalingReplicaSet"
                 and state.within(told.last, minutes=60)]  # fmt: skip
        up, down = (sum(told.count for told in steps if f"caled {way}" in told.message) for way in ("up", "down"))
        if found is not None and up >= 2 and down >= 2 and other_scalers(found):
            yield Symptom("scaler-contested", target, min((told.first for told in steps if told.first), default=None))


def other_scalers(found: Object) -> list[str]:
    """Field managers, other than the autoscaler, that claim the replicas of a workload."""
    claims = [name for name, _ in field_managers(found, "spec", "replicas")]
    return [name for name in claims if not name.startswith("kube-controller-manager")]


def _drift(state: State, each: Object) -> Iterator[Symptom]:
    """Pods that run on something else than what is declared now."""
    yield from stale_configs(state, each)
    if held_back(each):
        yield Symptom("stale-config", each.ref, None, "update")
    pods = [pod for pod in pods_of(state, each.ref) if is_ready(pod)]
    for name in {one.get("name", "") for one in declared_containers(each)}:
        digests = {c.status.get("imageID") for pod in pods for c in containers(pod) if c.name == name}
        images = {c.image for pod in pods for c in containers(pod) if c.name == name}
        if len(digests - {None, ""}) > 1 and len(images) == 1:
            yield Symptom("mixed-image", each.ref.at(name))


def stale_configs(state: State, each: Object) -> Iterator[Symptom]:
    """The ConfigMaps and Secrets of a workload that were changed after some container of its pods had started."""
    pods = [pod for pod in pods_of(state, each.ref) if not is_finished(pod)]
    starts = (one.started for pod in pods for one in containers(pod) if one.role != "init")
    started = min((start for start in starts if start), default=None)
    for target in {target.whole() for target in references((pods[0] if pods else each).spec, each.ref.namespace)}:
        changed = _data_changed(state.find(target))
        if started and changed and changed > started:
            yield Symptom("stale-config", each.ref, changed, target.short)


def _uncovered(state: State, each: Object) -> Iterator[Symptom]:
    """Nodes that a DaemonSet's selectors admit and a taint keeps it from; those that taints keep for the cluster are meant."""
    from kubectl_ai_intellect.causes import fit

    spec = pod_spec(each)
    hosts = {pod.spec.get("nodeName") for pod in pods_of(state, each.ref)}
    for node in state.all("Node"):
        taints = [taint for taint in fit.untolerated(spec, node) if "kubernetes.io/" not in (taint.get("key") or "")]
        own = [taint for taint in fit.untolerated(spec, node) if taint not in taints]
        if node.ref.name not in hosts and taints and not own and fit.selects(spec, node):
            yield Symptom("node-uncovered", each.ref, None, node.ref.name)


def _data_changed(found: Object | None) -> datetime | None:
    """When the data (not the labels) of a ConfigMap or Secret last changed, as its field managers say."""
    if found is None or found.ref.kind not in ("ConfigMap", "Secret"):
        return None
    times = [
        when(each.get("time"))
        for each in found.meta.get("managedFields") or ()
        if {"f:data", "f:binaryData", "f:stringData"} & set(each.get("fieldsV1") or ())
    ]
    latest = max((time for time in times if time), default=None)
    return latest if latest and found.created and latest > found.created else None


__all__ = ["available", "derive", "held_back", "other_scalers", "stale_configs", "wanted"]
