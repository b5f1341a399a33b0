"""Symptoms of pods and their containers, read off specs, statuses, events and digested logs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from kubectl_ai_intellect.causes.base import Symptom
from kubectl_ai_intellect.causes.facts import hits
from kubectl_ai_intellect.causes.symptoms.starting import SAYS_WHY, SILENCE, starting
from kubectl_ai_intellect.evidence.logs import CHILD, LogHit
from kubectl_ai_intellect.kube.source import Object, Unread, when
from kubectl_ai_intellect.state.calls import service_of
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import Container, containers, is_finished, is_ready, phase
from kubectl_ai_intellect.state.relations import Relation, near, owner_refs

PULL = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError",
                  "RegistryUnavailable", "SignatureValidationFailed"})  # fmt: skip
CONFIG = frozenset({"CreateContainerConfigError"})
START = frozenset({"CreateContainerError", "RunContainerError", "StartError", "ContainerCannotRun",
                   "PreCreateHookError", "PreStartHookError"})  # fmt: skip
OWN_FAULTS = ("missing-env", "bad-config", "file-not-found", "permission-denied", "disk-full", "schema-missing")
PATIENCE = timedelta(seconds=60)
"""How long whoever opens a pod's readiness gate may take."""
UNANSWERED = timedelta(seconds=10)
"""How long the owner of a finalizer of its own may take to let go."""
ON_SINCE = 8
"""How many lines a log must have gone on without a failure before that counts as over."""
SETTLED = timedelta(seconds=10)
"""How much longer than its last life a container must have been well before that counts as over."""
OFTEN = 5
"""How often a log must speak of slowness before that is a symptom of a container that is ready."""
RECENT = timedelta(minutes=30)
"""A restart longer ago than this, of a container that has been well since, is history."""
UNREACHED = ("connection-refused", "connection-timeout", "connection-reset", "no-route", "auth-failed", "tls-failed",
             "db-read-only", "connections-exhausted", "http-upstream", "grpc-unavailable", "protocol-mismatch",
             "dependency-missing", "rate-limited")  # fmt: skip


def derive(state: State) -> Iterator[Symptom]:
    for pod in state.all("Pod"):
        yield from of_pod(state, pod)


def of_pod(state: State, pod: Object) -> Iterator[Symptom]:
    if pod.deleting is not None:
        grace = int(pod.meta.get("deletionGracePeriodSeconds") or 30)
        if state.now - pod.deleting > timedelta(seconds=max(grace, 30)) or (
            is_finished(pod) and _held(pod) and state.now - pod.deleting > UNANSWERED
        ):  # deletionTimestamp already includes grace
            yield Symptom("pod-stuck-terminating", pod.ref, pod.deleting)
        return
    since = when((pod.condition("PodScheduled") or {}).get("lastTransitionTime")) or pod.created
    if phase(pod) in ("Pending", "") and not pod.spec.get("nodeName"):
        if not starting(state, pod):
            yield Symptom("pod-unscheduled", pod.ref, since)
        return
    old = phase(pod) == "Failed" and _superseded(state, pod)
    if phase(pod) == "Failed":
        yield from (each._replace(kind="pod-left-behind") if old else each for each in _failed(state, pod))
    if phase(pod) == "Succeeded" or old:
        return
    if phase(pod) == "Unknown" or (pod.condition("Ready") or {}).get("reason") == "NodeLost":
        yield Symptom("pod-lost", pod.ref, since)
    shut = closed_gates(pod)
    if (
        shut
        and (when((pod.condition("ContainersReady") or {}).get("lastTransitionTime")) or state.now)
        < state.now - PATIENCE
    ):
        yield Symptom("gate-closed", pod.ref, since, shut[0])
    stuck = _stuck_creating(state, pod)
    if stuck:
        yield Symptom("pod-stuck-creating", pod.ref, pod.created, stuck)
    for each in containers(pod):
        yield from of_container(state, pod, each)


def _held(pod: Object) -> bool:
    """Whether a finalizer that is not the cluster's own keeps a pod that has ended."""
    return any("kubernetes.io" not in str(name) for name in pod.meta.get("finalizers") or ())


def _failed(state: State, pod: Object) -> Iterator[Symptom]:
    reason = pod.status.get("reason") or ""
    if reason in ("Evicted", "NodeShutdown", "Terminated", "Preempting") or pod.condition("DisruptionTarget"):
        yield Symptom("pod-evicted", pod.ref, _ended(pod), reason)
    elif reason and reason != "DeadlineExceeded" and not any(each.death for each in containers(pod)):
        yield Symptom("pod-rejected", pod.ref, pod.created, reason)


def _ended(pod: Object) -> datetime | None:
    condition = pod.condition("DisruptionTarget") or pod.condition("Ready") or {}
    return when(condition.get("lastTransitionTime")) or pod.created


def _superseded(state: State, pod: Object) -> bool:
    """A dead pod that its controller has replaced by a healthy one tells of the past only."""
    owner = next(iter(owner_refs(state, pod.ref)), None)
    if owner is None:
        return False
    if owner.kind == "Job":
        job = state.find(owner)
        if job is not None:
            return (job.condition("Complete") or {}).get("status") == "True" or outlived(state, job)
    siblings = [other for other in state.all("Pod", pod.ref.namespace) if owner in owner_refs(state, other.ref)]
    if owner.kind == "Job":  # its own word could not be read: a later try that succeeded says as much
        return any(phase(other) == "Succeeded" and _later(other, pod) for other in siblings)
    alive = [other for other in siblings if is_ready(other)]
    wanted = (state.find(owner) or pod).spec.get("replicas", 1)
    return len(alive) >= int(wanted or 0)


def _later(one: Object, other: Object) -> bool:
    return one.created is not None and other.created is not None and one.created > other.created


def outlived(state: State, job: Object) -> bool:
    """Whether the CronJob that made a failed Job has had a successful one since."""
    failed = when((job.condition("Failed") or {}).get("lastTransitionTime"))
    makers = [state.find(owner) for owner in owner_refs(state, job.ref) if owner.kind == "CronJob"]
    done = [when(each.status.get("lastSuccessfulTime")) for each in makers if each]
    return failed is not None and any(time is not None and time > failed for time in done)


def _stuck_creating(state: State, pod: Object) -> str:
    """Why a pod on a node has no containers yet: an event's reason, or that there is none."""
    if phase(pod) != "Pending" or any(each.status.get("containerID") for each in containers(pod)):
        return ""
    waiting = {each.waiting.get("reason") for each in containers(pod)}
    if not waiting <= {"ContainerCreating", "PodInitializing", None} or starting(state, pod):
        return ""
    for told in state.events(pod.ref):
        if told.reason in SAYS_WHY:
            return told.reason
    return "silent" if pod.created and state.now - pod.created > SILENCE else ""


def of_container(state: State, pod: Object, each: Container) -> Iterator[Symptom]:
    reason = each.waiting.get("reason") or ""
    if reason in PULL:
        yield Symptom("pull-failing", each.ref, pod.created, reason)
    elif reason in CONFIG:
        yield Symptom("config-refused", each.ref, pod.created, reason)
    elif reason in START or each.death.get("reason") in START:
        yield Symptom("start-refused", each.ref, _died(each) or pod.created, reason or each.death.get("reason", ""))
    if _troubled(state, pod, each):
        yield from _deaths(state, pod, each)
        yield from _told_by_log(state, each)
    elif each.ready and each.role != "init":
        yield from _told_while_ready(state, each)
    if each.role == "init" and not (each.terminated and each.terminated.get("exitCode") == 0) and _begun(pod):
        first_open = next((x for x in containers(pod) if x.role == "init" and x.terminated.get("exitCode") != 0), None)
        if first_open is not None and first_open.name == each.name:
            yield Symptom("init-waiting", each.ref, pod.created, reason or ("running" if each.running else ""))
    if each.running is not None and not each.ready and each.role != "init" and not is_finished(pod):
        if not starting(state, pod):
            yield Symptom("container-unready", each.ref, each.started or pod.created)
    for told in state.events(each.ref):
        if told.reason in ("FailedPostStartHook", "FailedPreStopHook") and state.within(told.last, minutes=30):
            yield Symptom("hook-failing", each.ref, told.first, told.reason)
            break


def closed_gates(pod: Object) -> list[str]:
    """The conditions that a pod with ready containers still lacks."""
    if (pod.condition("ContainersReady") or {}).get("status") != "True" or is_ready(pod):
        return []
    named = [gate.get("conditionType") or "" for gate in pod.spec.get("readinessGates") or ()]
    return [name for name in named if (pod.condition(name) or {}).get("status") != "True"]


def _begun(pod: Object) -> bool:
    return phase(pod) == "Pending" and bool(pod.spec.get("nodeName"))


def _died(each: Container) -> datetime | None:
    return when(each.death.get("finishedAt"))


def _troubled(state: State, pod: Object, each: Container) -> bool:
    """Whether the container is unwell now, or was just now: an old restart of a healthy one is history."""
    if not each.status:
        return False
    if each.role == "init" and each.terminated.get("exitCode") == 0:
        return False
    if not each.ready and each.role != "init":
        return True
    if each.role == "init":
        return bool(each.waiting or each.death or each.running)
    if _made_up(state, each):
        return False
    died = _died(each)
    if _standing(state, each, *UNREACHED, "dns-failure", "forbidden", "cloud-denied"):
        return True
    if any(hit.count >= OFTEN for hit in _standing(state, each, "slow")) or _children_killed(state, each):
        return True
    if died is None:
        return False
    often = each.restarts >= 3 and state.now - died < RECENT
    return often or state.now - died < timedelta(minutes=10)


def _made_up(state: State, each: Container) -> bool:
    """What ended it was a peer that came only later, or it has been well for longer than it lasted that time."""
    start, end = when(each.last.get("startedAt")), when(each.last.get("finishedAt"))
    if not each.ready or each.running is None or each.started is None or start is None or end is None:
        return False
    before, now = state.log(each.ref, previous=True), state.log(each.ref)
    peers = (*UNREACHED, "dns-failure")
    if isinstance(before, Unread) or isinstance(now, Unread) or not before.hits or before.hits[0].kind not in peers:
        return False
    if not all(hit.recovered for hit in now.of(*peers)):
        return False
    return state.now - each.started > end - start + SETTLED or _came_after(state, each, before.hits[0], start)


def _ready_since(state: State, each: Container, hit: LogHit) -> datetime | None:
    """Since when every pod of the Service that a hit speaks of has been ready, where all are."""
    service = service_of(state, hit.peer.host, each.pod.namespace) if hit.peer else None
    backends = (state.find(at) for at in near(state, service, Relation.SELECTS)) if service else ()
    pods = [pod for pod in backends if pod is not None and pod.ref.kind == "Pod"]
    times = [when((pod.condition("Ready") or {}).get("lastTransitionTime")) for pod in pods if is_ready(pod)]
    known = [time for time in times if time is not None]
    return max(known) if known and len(known) == len(pods) else None


def _came_after(state: State, each: Container, hit: LogHit, start: datetime) -> bool:
    """Whether what the hit speaks of became ready only after the run that failed for want of it had begun."""
    since = _ready_since(state, each, hit)
    return since is not None and since > start


def _past(state: State, each: Container) -> bool:
    """Whether the last end tells of the past: something else keeps it down now, or it has run on for long since."""
    reason, died = each.waiting.get("reason") or "", _died(each)
    if each.terminated:
        return False
    if reason in PULL or reason in CONFIG:
        return True
    return each.running is not None and died is not None and state.now - died >= RECENT


def _deaths(state: State, pod: Object, each: Container) -> Iterator[Symptom]:
    death = {} if _past(state, each) else each.death
    if not death:
        if each.waiting.get("reason") == "CrashLoopBackOff":
            yield Symptom("container-restarting", each.ref, pod.created, "CrashLoopBackOff")
        return
    code, reason = death.get("exitCode"), death.get("reason") or ""
    if reason in START:
        return
    probes = _probe_kills(state, each)
    if reason == "OOMKilled":
        yield Symptom("container-killed-memory", each.ref, _died(each), f"exit {code}")
    elif code == 0 and pod.spec.get("restartPolicy", "Always") == "Always" and each.role == "main" and not probes:
        yield Symptom("container-finished", each.ref, _died(each), "exit 0")
    elif code != 0 and not probes:
        yield Symptom("container-restarting", each.ref, _died(each), f"exit {code} {reason}".strip())
    if probes:
        yield Symptom("probe-killing", each.ref, _died(each), probes)


def _probe_kills(state: State, each: Container) -> str:
    """liveness or startup, when the kubelet says that it killed this container for it."""
    told = state.events(each.ref)
    for one in told:
        if one.reason == "Killing" and "probe" in one.message:
            for kind in ("liveness", "startup"):
                if f"failed {kind} probe" in one.message:
                    return kind
    if not state.events_known(each.pod.namespace) and each.death.get("exitCode") in (137, 143):
        return "liveness" if each.spec.get("livenessProbe") and each.death.get("reason") != "OOMKilled" else ""
    return ""


def _standing(state: State, each: Container, *kinds: str) -> list[LogHit]:
    """Failures that the log tells of and that were not made up for later on."""
    told = [(hit, previous) for hit, previous in hits(state, each.ref, *kinds) if not hit.recovered]
    return [hit for hit, previous in told if previous or not each.ready or not _over(state, each, hit)]


def _over(state: State, each: Container, hit: LogHit) -> bool:
    """Whether a failure to reach somebody, in the log of a container that is ready, tells of the past.

    Its peer became ready only after it, or the log went on for long without it.
    """
    if hit.kind not in UNREACHED and hit.kind != "dns-failure":
        return False
    since = _ready_since(state, each, hit)
    if hit.at is not None and since is not None and since > hit.at:
        return True
    digest = state.log(each.ref)
    lines = 0 if isinstance(digest, Unread) else digest.lines
    return lines - max(hit.until, hit.number) >= max(ON_SINCE, 3 * hit.number / max(hit.count, 1))


def _children_killed(state: State, each: Container) -> list[LogHit]:
    """Processes of a container that were killed while its first one lives on: only its log tells of them."""
    if each.running is None or each.death.get("reason") == "OOMKilled":
        return []
    return [hit for hit in _standing(state, each, "out-of-memory") if hit.name == CHILD]


def _told_while_ready(state: State, each: Container) -> Iterator[Symptom]:
    """Faults of its own that a container writes of while it passes its probes: some of its work fails."""
    now = state.log(each.ref)
    for hit in () if isinstance(now, Unread) else now.of(*OWN_FAULTS):
        if not hit.recovered and hit.level in ("error", "fatal"):
            yield Symptom("log-failing", each.ref, hit.at, hit.kind)


def _told_by_log(state: State, each: Container) -> Iterator[Symptom]:
    forbidden = bool(_standing(state, each, "forbidden"))
    for hit in _standing(state, each, *UNREACHED):
        if forbidden and hit.kind == "auth-failed" and hit.peer is None and "403" in hit.line:
            continue  # the same refusal, told by its number alone
        peer = f"{hit.peer.host}:{hit.peer.port or ''}" if hit.peer else ""
        yield Symptom("client-failing", each.ref, hit.at, f"{hit.kind} {peer}".strip())
    for hit in _standing(state, each, "dns-failure"):
        yield Symptom("name-failing", each.ref, hit.at, hit.name or (hit.peer.host if hit.peer else ""))
    for hit in _standing(state, each, "forbidden", "cloud-denied"):
        yield Symptom("access-denied", each.ref, hit.at, hit.kind)
    for hit in _children_killed(state, each)[:1]:
        yield Symptom("container-killed-memory", each.ref, hit.at, CHILD)
    for hit in _standing(state, each, "slow"):
        yield Symptom("slow", each.ref, hit.at)


__all__ = ["CONFIG", "PULL", "START", "UNREACHED", "closed_gates", "derive", "of_pod", "outlived"]
