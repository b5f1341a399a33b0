"""Jobs and CronJobs that fail, do not end, or do not start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from kubectl_ai_intellect.causes.base import Fact, Finding, Mend, Symptom, cause
from kubectl_ai_intellect.causes.facts import field, told
from kubectl_ai_intellect.causes.schedule import missed
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Object, when
from kubectl_ai_intellect.state.edits import Append, By, Edit, Patch, remove_field, set_field
from kubectl_ai_intellect.state.events import Event
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import containers, declared, declared_containers, is_finished, is_ready, spec_path
from kubectl_ai_intellect.state.relations import owner_refs, workload_of

FAILED = ("BackoffLimitExceeded", "PodFailurePolicy", "MaxFailedIndexesExceeded", "FailedIndexes", "")


def pods_of_job(state: State, job: Ref) -> list[Object]:
    """The pods of this one Job (of a CronJob there may be several)."""
    return [pod for pod in state.all("Pod", job.namespace) if job in owner_refs(state, pod.ref)]


def _said_of_pods(state: State, job: Ref) -> list[Event]:
    """Warnings about the job's pods, also about those that are gone."""
    return [
        event
        for event in state.every_event
        if event.warning and event.about.kind == "Pod" and event.about.namespace == job.namespace
        and event.about.name.startswith(f"{job.name}-")
    ]  # fmt: skip


@cause("job/backoff-limit", "job-failed")
def backoff_limit(state: State, symptom: Symptom) -> Iterable[Finding]:
    job = state.find(symptom.at)
    if job is None or symptom.note not in FAILED:
        return
    failed = job.condition("Failed") or {}
    limit = job.spec.get("backoffLimit", 6)
    ends = [each for pod in pods_of_job(state, job.ref) for each in containers(pod) if each.death]
    codes = sorted({f"{each.name} exit {each.death.get('exitCode')}" for each in ends if each.death.get("exitCode")})
    facts = [field(job, f"Failed: {failed.get('reason')}: {failed.get('message')}")]
    facts += [told(event) for event in _said_of_pods(state, job.ref)[:2]]
    yield Finding(
        "job/backoff-limit", job.ref, "proved",
        f"{job.ref.short} gave up after {job.status.get('failed', 0)} failed pods (backoffLimit {limit})"
        + (f": {', '.join(codes[:3])}" if codes else ""),
        supports=tuple(facts), mends=(_again(job),),
    )  # fmt: skip


def _again(job: Object) -> Mend:
    from kubectl_ai_intellect.causes.commands import manifest

    return Mend(
        "Once the reason is mended, run it again",
        (Patch(job.ref, action="delete"), Patch(job.ref, action="create", body=manifest(job.raw))),
        kind="stopgap",
    )


def _deadline(state: State, at: Ref) -> bool:
    job = state.find(at)
    return job is not None and job.spec.get("activeDeadlineSeconds") is not None and bool(
        (job.condition("Failed") or {}).get("reason") == "DeadlineExceeded"
    )  # fmt: skip


@cause("job/deadline-exceeded", "job-failed")
def deadline_exceeded(state: State, symptom: Symptom) -> Iterable[Finding]:
    job = state.find(symptom.at)
    if job is None or not _deadline(state, job.ref):
        return
    seconds = job.spec["activeDeadlineSeconds"]
    trouble = [event for event in _said_of_pods(state, job.ref) if event.reason not in ("Killing", "DeadlineExceeded")]
    facts: list[Fact] = [field(job, f"spec.activeDeadlineSeconds is {seconds}; Failed: DeadlineExceeded")]
    facts += [told(event) for event in trouble[:2]]
    after = f"; before that, its pods did not even run well: {trouble[0].reason}" if trouble else ""
    yield Finding(
        "job/deadline-exceeded", job.ref, "likely" if trouble else "proved",
        f"{job.ref.short} was ended after its {seconds} s (activeDeadlineSeconds), before its work was done{after}",
        supports=tuple(facts),
        mends=(Mend("Give it longer and run it again", (_longer(state, job),),
                    unknown=("<SECONDS>: how long the work may take; it is more than "
                             f"{seconds} s, and leaving the field out sets no limit",)),),
    )  # fmt: skip


def _longer(state: State, job: Object) -> Patch:
    """In the CronJob, where that makes the Job; else in the Job, which has to be made anew."""
    owner = workload_of(state, job.ref)
    inside = ("spec", "jobTemplate", "spec") if owner.kind == "CronJob" else ("spec",)
    return set_field(owner, *inside, "activeDeadlineSeconds", value="<SECONDS>")


def _suspended(state: State, at: Ref) -> bool:
    found = state.find(at)
    return found is not None and bool(found.spec.get("suspend"))


@cause("cronjob/suspended", "cronjob-idle", holds=lambda state, at: at.kind == "CronJob" and _suspended(state, at))
def suspended(state: State, symptom: Symptom) -> Iterable[Finding]:
    found = state.find(symptom.at)
    if found is None or symptom.note != "suspended":
        return
    last = when(found.status.get("lastScheduleTime"))
    yield Finding(
        "cronjob/suspended", found.ref, "proved",
        f"{found.ref.short} is suspended, so its schedule {found.spec.get('schedule')} starts no Job"
        + (f"; the last one started at {last:%Y-%m-%d %H:%M} UTC" if last else "; it never started one"),
        supports=(field(found, f"spec.suspend is true, spec.schedule is {found.spec.get('schedule')}"),),
        mends=(Mend("Let it run again", (set_field(found.ref, "spec", "suspend", value=False),)),),
    )  # fmt: skip


@cause("job/suspended", "rollout-stalled", "workload-unobserved",
       holds=lambda state, at: at.kind == "Job" and _suspended(state, at))  # fmt: skip
def job_suspended(state: State, symptom: Symptom) -> Iterable[Finding]:
    job = state.find(symptom.at)
    if job is None or job.ref.kind != "Job" or not job.spec.get("suspend"):
        return
    queue = job.labels.get("kueue.x-k8s.io/queue-name")
    yield Finding(
        "job/suspended", job.ref, "likely" if queue else "proved",
        f"{job.ref.short} is suspended, so it has no pods"
        + (f"; the queue {queue} (Kueue) starts it when it is admitted" if queue else ""),
        supports=(field(job, "spec.suspend is true"),),
        mends=() if queue else (Mend("Let it run", (set_field(job.ref, "spec", "suspend", value=False),)),),
    )  # fmt: skip


# -- blocked CronJobs ------------------------------------------------------------------------------------------------


def active_jobs(state: State, cron: Object) -> list[Object]:
    refs = [ref("Job", cron.ref.namespace, each.get("name", "")) for each in cron.status.get("active") or ()]
    found = [state.find(each) for each in refs]
    return [each for each in found if each is not None]


@cause("cronjob/blocked", "cronjob-idle")
def blocked(state: State, symptom: Symptom) -> Iterable[Finding]:
    cron = state.find(symptom.at)
    if cron is None or cron.spec.get("suspend"):
        return
    if symptom.note in ("MissSchedule", "TooManyMissedTimes", "FailedNeedsStart", "missed"):
        yield from _missed(state, cron, symptom)
        return
    if symptom.note not in ("JobAlreadyActive", "active"):
        return
    last = when(cron.status.get("lastScheduleTime"))
    skipped = missed(cron.spec.get("schedule") or "", last, state.now, cron.spec.get("timeZone") or "")
    said = [event for event in state.events(cron.ref) if event.reason == "JobAlreadyActive"]
    jobs = active_jobs(state, cron)
    if not jobs or not (skipped or said):
        return
    job = min(jobs, key=lambda each: each.created or state.now)
    age = state.now - (job.created or state.now)
    unwell = [pod for pod in pods_of_job(state, job.ref) if not is_ready(pod) and not is_finished(pod)]
    facts = [field(cron, f"concurrencyPolicy is Forbid and {job.ref.name} is still active after {_span(age)}")]
    facts += [told(event) for event in said[:1]]
    yield Finding(
        "cronjob/blocked", cron.ref, "likely" if unwell else "proved",
        f"{cron.ref.short} starts no new Job while {job.ref.name} runs (concurrencyPolicy Forbid), and that one has been "
        f"running for {_span(age)}",
        supports=tuple(facts),
        mends=(Mend(f"End the Job {job.ref.name} that is stuck", (Patch(job.ref, action="delete"),), risk="medium"),
               Mend("Bound how long one Job may take, so that it cannot block for ever",
                    (set_field(cron.ref, "spec", "jobTemplate", "spec", "activeDeadlineSeconds", value="<SECONDS>"),),
                    unknown=("<SECONDS>: longer than a healthy run, shorter than the schedule's interval",))),
        since=job.created,
    )  # fmt: skip


def _span(age: timedelta) -> str:
    minutes = int(age.total_seconds() // 60)
    if minutes < 1:
        return f"{int(age.total_seconds())} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"


def _missed(state: State, cron: Object, symptom: Symptom) -> Iterable[Finding]:
    said = [event for event in state.events(cron.ref) if event.reason == symptom.note][:2]
    deadline = cron.spec.get("startingDeadlineSeconds")
    if not said:
        return
    small = isinstance(deadline, int) and deadline < 60
    yield Finding(
        "cronjob/blocked", cron.ref, "proved" if deadline is not None or symptom.note == "TooManyMissedTimes" else "likely",
        f"{cron.ref.short} missed its times ({said[0].message})"
        + (f": a start may be at most {deadline} s late (startingDeadlineSeconds)" if deadline is not None else ""),
        supports=(field(cron, f"spec.startingDeadlineSeconds is {deadline}"), *(told(event) for event in said)),
        mends=(Mend("Let a start be later, and count missed times over that span only",
                    (set_field(cron.ref, "spec", "startingDeadlineSeconds", value=200),)),)
        if small or deadline is None else (),
    )  # fmt: skip


# -- sidecars that keep a Job from ending -----------------------------------------------------------------------------


def _lingering(state: State, owner: Ref) -> dict[str, Mapping[str, Any]]:
    """Containers that still run in a pod of which another has done its work: their declarations by name."""
    names: dict[str, None] = {}
    for pod in state.all("Pod", owner.namespace):
        if workload_of(state, pod.ref) != owner and owner not in owner_refs(state, pod.ref):
            continue
        mains = [each for each in containers(pod) if each.role == "main"]
        if any(each.terminated and each.terminated.get("exitCode") == 0 for each in mains):
            names.update((each.name, None) for each in mains if each.running is not None)
    found = state.find(owner)
    inside = {str(each.get("name")): each for each in (_mains(found) if found else [])}
    return {name: inside[name] for name in names if name in inside}


def _mains(found: Object) -> list[Mapping[str, Any]]:
    inits = {each.get("name") for each in _inits(found)}
    return [each for each in declared_containers(found) if each.get("name") not in inits]


def _inits(found: Object) -> list[Mapping[str, Any]]:
    from kubectl_ai_intellect.state.pods import pod_spec

    return list(pod_spec(found).get("initContainers") or ())


@cause("workload/sidecar-blocks-completion", "job-unfinished", "cronjob-idle",
       holds=lambda state, at: at.kind in ("Job", "CronJob") and bool(_lingering(state, at)))  # fmt: skip
def sidecar_blocks(state: State, symptom: Symptom) -> Iterable[Finding]:
    owner = state.find(workload_of(state, symptom.at))
    if owner is None or owner.ref.kind not in ("Job", "CronJob"):
        return
    side = _lingering(state, owner.ref)
    if not side:
        return
    pods = [pod for pod in state.all("Pod", owner.ref.namespace) if workload_of(state, pod.ref) == owner.ref]
    ended = [
        (pod, each)
        for pod in pods
        for each in containers(pod)
        if each.role == "main" and each.terminated and each.terminated.get("exitCode") == 0
    ]
    if not ended:
        return
    pod, done = ended[0]
    finished = when(done.terminated.get("finishedAt"))
    yield Finding(
        "workload/sidecar-blocks-completion", owner.ref, "proved",
        f"container {done.name} did its work and ended with 0{_at(finished)}, but {', '.join(side)} runs on beside it, "
        "so the pod never ends and the Job never completes",
        supports=(field(pod, f"container {done.name} terminated with exit code 0{_at(finished)}"),
                  field(pod, f"still running: {', '.join(side)}")),
        mends=(Mend(f"Make {', '.join(side)} a sidecar proper: an init container with restartPolicy Always, which ends "
                    "with the pod's own work", (_as_sidecars(owner, side),)),),
        weight=0.5,
    )  # fmt: skip


def _at(moment: datetime | None) -> str:
    return f" at {moment:%H:%M:%S} UTC" if moment else ""


def _as_sidecars(owner: Object, side: Mapping[str, Mapping[str, Any]]) -> Patch:
    edits: list[Edit] = []
    for name, spec in side.items():
        place = declared(owner, name)
        if place is not None:
            edits += remove_field(owner.ref, *place[1][:-1], By(name)).edits
            value = {**spec, "restartPolicy": "Always"}
            edits.append(Edit((*spec_path(owner.ref.kind), "initContainers", Append()), value))
    return Patch(owner.ref, tuple(edits))
