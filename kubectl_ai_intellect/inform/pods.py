"""Tables of pods: as kubectl's STATUS column says, who restarts, who errs in which namespace, who runs where."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from kubectl_ai_intellect.inform.tables import Question, age, be, blind, listed, some, table, unread
from kubectl_ai_intellect.kube.source import Object, when
from kubectl_ai_intellect.report import Table
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import containers, is_finished, is_ready, phase
from kubectl_ai_intellect.state.relations import workload_of

COLUMNS = ["NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS", "AGE"]
_STARTING = frozenset({"ContainerCreating", "PodInitializing"})


def status(pod: Object) -> str:
    """What a pod is doing, in the word that kubectl's STATUS column has for it."""
    if pod.deleting:
        return "Unknown" if pod.status.get("reason") == "NodeLost" else "Terminating"
    word = pod.status.get("reason") or phase(pod) or "Unknown"
    initial = _initial(pod)
    return initial if initial else _of_containers(pod, word)


def _initial(pod: Object) -> str:
    """Init:0/2, Init:CrashLoopBackOff …: while an init container is not through."""
    inits = [each for each in containers(pod) if each.role != "main"]
    for number, each in enumerate(inits):
        ended = each.terminated
        if ended and ended.get("exitCode") == 0:
            continue
        if each.role == "sidecar" and each.status.get("started"):
            continue
        if ended:
            return f"Init:{ended.get('reason') or 'ExitCode:' + str(ended.get('exitCode'))}"
        reason = each.waiting.get("reason")
        if reason and reason not in _STARTING:
            return f"Init:{reason}"
        return "" if not each.status and phase(pod) != "Running" else f"Init:{number}/{len(inits)}"
    return ""


def _of_containers(pod: Object, word: str) -> str:
    running = False
    for each in reversed([each for each in containers(pod) if each.role == "main"]):
        if each.waiting.get("reason"):
            word = each.waiting["reason"]
        elif each.terminated:
            ended = each.terminated
            word = ended.get("reason") or (
                f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode')}"
            )
        elif each.ready and each.running is not None:
            running = True
    if word == "Completed" and running:
        return "Running" if is_ready(pod) else "NotReady"
    return word


def readiness(pod: Object) -> str:
    mains = [each for each in containers(pod) if each.role != "init"]
    return f"{sum(each.ready for each in mains)}/{len(mains)}"


def restarted(pod: Object) -> int:
    return sum(each.restarts for each in containers(pod) if each.role != "init" or not is_ready(pod))


def last_restart(pod: Object) -> datetime | None:
    ends = [when(each.last.get("finishedAt")) for each in containers(pod) if each.last]
    return max((each for each in ends if each), default=None)


def row(state: State, pod: Object) -> list[str]:
    last = last_restart(pod)
    count = f"{restarted(pod)} ({age(state, last)} ago)" if restarted(pod) and last else str(restarted(pod))
    return [pod.ref.namespace, pod.ref.name, readiness(pod), status(pod), count, age(state, pod.created)]


def unwell(pod: Object) -> bool:
    """Not ready, and not because its work is done."""
    return phase(pod) != "Succeeded" and not is_ready(pod)


def erring(pod: Object) -> bool:
    """In an error by its status, not merely on its way up or down."""
    if not unwell(pod):
        return False
    word = status(pod).rpartition("Init:")[2]
    calm = {"Pending", "Running", "Terminating", "NotReady", "Completed", *_STARTING}
    return not (word in calm or "/" in word)


FILTERS: tuple[tuple[tuple[str, ...], str, Callable[[Object], bool]], ...] = (
    (("crash", "backoff", "back-off"), "crashing", lambda pod: "Crash" in status(pod) or status(pod) in ("Error", "OOMKilled")),
    (("oom",), "killed for memory", lambda pod: any(each.death.get("reason") == "OOMKilled" for each in containers(pod))),
    (("pending", "unscheduled", "unschedulable"), "pending", lambda pod: phase(pod) == "Pending"),
    (("evicted",), "evicted", lambda pod: pod.status.get("reason") == "Evicted"),
    (("terminating",), "terminating", lambda pod: pod.deleting is not None),
    (("completed", "succeeded", "finished"), "completed", lambda pod: phase(pod) == "Succeeded"),
    (("not running",), "not running", lambda pod: status(pod) != "Running" and phase(pod) != "Succeeded"),
    (("not ready", "unready", "unhealthy", "failing", "broken", "down"), "not ready", unwell),
    (("failed",), "failed or not ready", unwell),
    (("error",), "in an error", erring),
    (("running",), "running", lambda pod: phase(pod) == "Running" and not pod.deleting),
    (("ready", "healthy"), "ready", is_ready),
)  # fmt: skip
"""The words for a state of pods: those of a narrower state first."""


def wanted(text: str) -> tuple[str, Callable[[Object], bool]] | None:
    """The state of pods that a question asks for."""
    return next(((name, keep) for words, name, keep in FILTERS if any(word in text for word in words)), None)


def selected(question: Question, name: str, keep: Callable[[Object], bool]) -> Table:
    """The pods in one state, worst first, and how many of all they are."""
    state, pods = question.state, question.pods()
    nothing = blind(question, "Pod")
    if nothing:
        return nothing
    chosen = sorted((pod for pod in pods if keep(pod)), key=lambda pod: (not erring(pod), pod.ref))
    done = [pod for pod in pods if phase(pod) == "Succeeded"]
    counted = len(pods) if name == "completed" else len(pods) - len(done)
    text = f"{len(chosen)} of {some(counted, 'pod')} {question.where} {be(len(chosen))} {name}"
    if done and name != "completed":
        text += f" (not counting {len(done)} completed)"
    command = f"kubectl get pods {question.flag}"
    return table(
        text, COLUMNS, [row(state, pod) for pod in chosen], command, gaps=unread(state, ["Pod"], question.namespace)
    )


def restarts(question: Question) -> Table:
    """Pods that restarted, most often first."""
    nothing = blind(question, "Pod")
    if nothing:
        return nothing
    pods = [pod for pod in question.pods() if restarted(pod)]
    since = question.asked.since
    if since:
        start = question.state.now - since
        pods = [pod for pod in pods if (last_restart(pod) or start) >= start]
    pods.sort(key=lambda pod: (-restarted(pod), pod.ref))
    total = len(question.pods())
    most = f", most often {pods[0].ref.name} ({some(restarted(pods[0]), 'time')})" if pods else ""
    rows = [[pod.ref.namespace, pod.ref.name, restarted(pod), _ended(question.state, pod), status(pod)] for pod in pods]
    columns = ["NAMESPACE", "NAME", "RESTARTS", "LAST END", "STATUS"]
    text = f"{len(pods)} of {some(total, 'pod')} {question.where} restarted{most}"
    return table(text, columns, rows, f"kubectl get pods {question.flag} --sort-by=.status.containerStatuses[0].restartCount",
                 gaps=unread(question.state, ["Pod"], question.namespace))  # fmt: skip


def _ended(state: State, pod: Object) -> str:
    """Why and when the container that ended last did so."""
    ends = [(when(each.death.get("finishedAt")) or state.now, each) for each in containers(pod) if each.death]
    if not ends:
        return ""
    time, last = max(ends, key=lambda each: each[0])
    return f"{last.death.get('reason') or 'ended'}, exit code {last.death.get('exitCode', '?')}, {age(state, time)} ago"


def errors_by_namespace(question: Question) -> Table:
    """All pods, those with errors first in each namespace, and what their error is."""
    nothing = blind(question, "Pod")
    if nothing:
        return nothing
    state, pods = question.state, question.pods()
    bad = {pod.ref for pod in pods if erring(pod) or unwell(pod)}
    by_space: dict[str, int] = {}
    for each in bad:
        by_space[each.namespace] = by_space.get(each.namespace, 0) + 1
    pods.sort(key=lambda pod: (pod.ref.namespace, pod.ref not in bad, pod.ref.name))
    rows = [[*row(state, pod)[:5], _error(pod) if pod.ref in bad else ""] for pod in pods]
    spaces = listed([f"{name}: {count}" for name, count in sorted(by_space.items())], 8)
    text = f"{len(bad)} of {some(len(pods), 'pod')} {question.where} {'has' if len(bad) == 1 else 'have'} errors or {be(len(bad))} not ready"
    return table(text + (f" ({spaces})" if bad else ""), [*COLUMNS[:5], "ERROR"], rows, f"kubectl get pods {question.flag}",
                 gaps=unread(state, ["Pod"], question.namespace))  # fmt: skip


def _error(pod: Object) -> str:
    """The kubelet's or the scheduler's own words on why a pod is not ready, on one line."""
    for each in containers(pod):
        if each.waiting.get("message") or (each.waiting.get("reason") and each.waiting["reason"] not in _STARTING):
            end = f"; ended with {each.last.get('reason')}, exit code {each.last.get('exitCode')}" if each.last else ""
            return _line(f"{each.name}: {each.waiting.get('message') or each.waiting.get('reason')}{end}")
        if each.terminated and each.terminated.get("exitCode"):
            return f"{each.name}: {each.terminated.get('reason')}, exit code {each.terminated['exitCode']}"
    scheduled = pod.condition("PodScheduled") or {}
    if scheduled.get("status") == "False":
        return _line(scheduled.get("message") or scheduled.get("reason") or "not scheduled")
    return _line(pod.status.get("message") or (pod.condition("Ready") or {}).get("message") or "not ready")


def _line(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 160 else f"{text[:159]}…"


def placed(question: Question) -> Table:
    """Which pods run on which node."""
    nothing = blind(question, "Pod")
    if nothing:
        return nothing
    state = question.state
    pods = sorted(
        (pod for pod in question.pods() if not is_finished(pod)),
        key=lambda pod: (pod.spec.get("nodeName") or "", pod.ref),
    )
    rows = [
        [pod.ref.namespace, pod.ref.name, status(pod), pod.spec.get("nodeName") or "<none>", pod.status.get("podIP") or "",
         workload_of(state, pod.ref).short] for pod in pods
    ]  # fmt: skip
    hosts = sorted({pod.spec["nodeName"] for pod in pods if pod.spec.get("nodeName")})
    text = f"{some(len(pods), 'pod')} {question.where}"
    gaps: list[str] = []
    target = question.target
    if target is not None and target.kind == "Node":
        text = f"{some(len(pods), 'pod')} {'runs' if len(pods) == 1 else 'run'} on node {target.name}"
        selector = f"kubectl get pods -A -o wide --field-selector=spec.nodeName={target.name}"
        known = any(dict(read.options).get("fields") == f"spec.nodeName={target.name}" and told.unread is None
                    for read, told in state.fetched.items())  # fmt: skip
        if question.namespace and not known:
            text += f" in namespace {question.namespace} (other namespaces were not read; add -A)"
        return table(text, ["NAMESPACE", "NAME", "STATUS", "NODE", "IP", "OF"], rows, selector)
    if pods:
        text += f" {'runs' if len(pods) == 1 else 'run'} on {listed(hosts)}" if hosts else ": none is on a node"
    gaps = unread(state, ["Pod"], question.namespace)
    return table(
        text,
        ["NAMESPACE", "NAME", "STATUS", "NODE", "IP", "OF"],
        rows,
        f"kubectl get pods {question.flag} -o wide",
        gaps=gaps,
    )


__all__ = [
    "COLUMNS",
    "erring",
    "errors_by_namespace",
    "placed",
    "readiness",
    "restarted",
    "restarts",
    "row",
    "selected",
    "status",
    "unwell",
    "wanted",
]  # fmt: skip
