"""What is merely on its way: a pod that is being made, an image that is being pulled, a roll-out between two pods.

None of it is a symptom: trouble is what stands still or goes wrong, not what is young.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from kubectl_ai_intellect.kube.source import Object, dig, when
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import containers, is_finished, is_ready, phase
from kubectl_ai_intellect.state.relations import pods_of

SETTLING = timedelta(seconds=20)
"""How long a pod may take to be created before slowness is a symptom."""
SILENCE = 6 * SETTLING
"""How long a pod may be created without a word before that is one."""
PULLING = timedelta(minutes=15)
"""How long an image may take that the kubelet has begun to pull and not given up."""
FIRST = timedelta(seconds=5)
"""What the scheduler, a controller and a container's first breath take."""
SAYS_WHY = ("FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "NetworkNotReady", "FailedMapVolume",
            "FailedCreatePodContainer", "FailedSync")  # fmt: skip
"""Events of a pod whose creation does not succeed."""


def starting(state: State, pod: Object) -> str:
    """What a pod is about, in words, where it is on its way and nothing speaks against it; else empty."""
    if pod.deleting is not None or is_finished(pod) or is_ready(pod) or pod.created is None:
        return ""
    if phase(pod) in ("Pending", ""):
        return _placed(state, pod) if pod.spec.get("nodeName") else _waiting(state, pod)
    return _warming(state, pod)


def _waiting(state: State, pod: Object) -> str:
    """Not looked at yet by the scheduler."""
    young = state.now - pod.created <= FIRST if pod.created else False
    return "waits for its node" if young and not pod.condition("PodScheduled") and not _gated(pod) else ""


def _gated(pod: Object) -> bool:
    return bool(pod.spec.get("schedulingGates"))


def _placed(state: State, pod: Object) -> str:
    """On its node, its containers not yet begun."""
    if any(each.status.get("containerID") or each.restarts for each in containers(pod)):
        return ""
    waiting = {each.waiting.get("reason") for each in containers(pod)}
    told = state.events(pod.ref)
    if not waiting <= {"ContainerCreating", "PodInitializing", None} or any(one.reason in SAYS_WHY for one in told):
        return ""
    pulls = next((one for one in told if one.reason in ("Pulling", "Pulled", "Failed", "BackOff")), None)
    if pulls is not None and pulls.reason == "Pulling" and state.within(pulls.last, seconds=PULLING.total_seconds()):
        image = pulls.message.split('"')[1] if pulls.message.count('"') >= 2 else "its image"
        return f"is pulling {image}, for {_span(state, pulls.first)}"
    patience = SILENCE if told else SETTLING  # with no event at all nobody says that it is on its way
    young = pod.created is not None and state.now - pod.created <= patience
    return f"is being created, for {_span(state, pod.created)}" if young else ""


def _warming(state: State, pod: Object) -> str:
    """Running, and not ready for the first seconds or before its readiness is even asked for."""
    unready = [each for each in containers(pod) if each.role != "init" and not each.ready]
    if not unready:  # what keeps the pod back is not its containers: a gate, a node that is silent
        turned = when((pod.condition("ContainersReady") or {}).get("lastTransitionTime"))
        fresh = turned is not None and state.now - turned <= FIRST
        return "has begun and is not ready yet" if fresh else ""
    for each in unready:
        wait = dig(each.spec, "readinessProbe", "initialDelaySeconds", otherwise=0)
        fresh = each.started is not None and state.now - each.started <= FIRST + timedelta(seconds=int(wait))
        told_off = any(one.reason == "Unhealthy" for one in state.events(each.ref))
        if not fresh or told_off or each.restarts or each.last:
            return ""
    return "has begun and is not ready yet"


def _span(state: State, since: datetime | None) -> str:
    seconds = max(int((state.now - since).total_seconds()), 0) if since else 0
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"


def on_its_way(state: State, workload: Object) -> bool:
    """Whether all that a workload lacks is being made right now."""
    pods = [pod for pod in pods_of(state, workload.ref) if pod.deleting is None and not is_finished(pod)]
    unready = [pod for pod in pods if not is_ready(pod)]
    if not pods:
        return workload.created is not None and state.now - workload.created <= FIRST
    if unready:
        return all(starting(state, pod) for pod in unready)
    return _ripening(state, workload, pods)


def _ripening(state: State, workload: Object, pods: list[Object]) -> bool:
    """All its pods are ready: they must stay so for minReadySeconds, or the controller is about to see it."""
    wanted = workload.spec.get("replicas", 1)
    return bool(workload.spec.get("minReadySeconds")) and isinstance(wanted, int) and len(pods) >= wanted


def under_way(state: State, namespace: str | None = None) -> Iterator[tuple[Object, str]]:
    """The pods that are on their way, each with what it is about."""
    for pod in state.all("Pod", namespace):
        words = starting(state, pod)
        if words:
            yield pod, words


__all__ = ["FIRST", "SAYS_WHY", "SETTLING", "SILENCE", "on_its_way", "starting", "under_way"]
