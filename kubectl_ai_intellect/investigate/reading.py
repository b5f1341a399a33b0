"""From a scope to a State: the first look, and the further reads that mechanisms ask for, within a budget."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from kubectl_ai_intellect.causes.assess import known
from kubectl_ai_intellect.causes.needs import first_look, of_routes
from kubectl_ai_intellect.errors import ClusterError
from kubectl_ai_intellect.evidence.logs import digest
from kubectl_ai_intellect.investigate.scope import Scope
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Fetched, Read, Source, get_of, list_of, logs_of
from kubectl_ai_intellect.state.events import event
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import containers, is_finished
from kubectl_ai_intellect.state.relations import workload_of

LOST = "logs Pod: failed"
PAGE = "500"
"""A question about one object reads at most one page of each kind around it."""
LOGS_PER_CONTAINER = 2
LOGS = 40
QUIET_WORKLOADS = 15
CUSTOM_KINDS = 20


DECISIVE = frozenset(
    [
        "Pod",
        "Deployment",
        "StatefulSet",
        "DaemonSet",
        "Job",
        "Service",
        "EndpointSlice",
        "PersistentVolumeClaim",
        "NetworkPolicy",
        "Ingress",
        "HorizontalPodAutoscaler",
        "CronJob",
        "Event",
        "ConfigMap",
        "ResourceQuota",
    ]
)
"""Kinds (and logs) without which nobody can say that all is well."""


@dataclass
class Reader:
    """Asks a source and keeps count; the States it hands out are immutable."""

    source: Source
    requests: int = 0
    size: int = 0
    unread: dict[str, str] = field(default_factory=dict[str, str])
    logs: int = 0
    logs_read: int = 0
    unasked: set[Read] = field(default_factory=set[Read])  # read on the off chance: nobody misses them
    since: timedelta | None = None  # events and log lines older than this are left out

    def start(self, scope: Scope, *, narrow: bool = False) -> State:
        """The State after the first look; `narrow` reads one page of each kind at first."""
        answers = self.fetch(first_reads(scope, narrow))
        state = State(self.source.now(), scope.namespace, self.source.context, digest=digest).including(answers)
        further = [read for read in following(state, scope) if not known(state, read)]
        return state.including(self.fetch(further)) if further else state

    def more(self, state: State, reads: Iterable[Read]) -> State:
        """The State that also knows these reads; logs beyond the budget stay unread."""
        chosen = self._affordable(state, dict.fromkeys(read for read in reads if not known(state, read)))
        return state.including(self.fetch(chosen)) if chosen else state

    def fetch(self, reads: Sequence[Read]) -> list[Fetched]:
        answers = self._asked(reads) if reads else []
        for answer in answers:
            self.requests += answer.requests
            self.size += answer.size
            if answer.read.what == "logs":
                self._log(answer)
            elif answer.unread is not None and (answer.unread.why != "not-served" or answer.read.of.kind in DECISIVE):
                self._note(answer, answer.unread.why)
        return answers

    def _asked(self, reads: Sequence[Read]) -> list[Fetched]:
        if self.since is None:
            return self.source.fetch(list(reads))
        seconds = str(max(1, int(self.since.total_seconds())))
        sent = [
            read._replace(options=(*read.options, ("since", seconds))) if read.what == "logs" else read
            for read in reads
        ]
        oldest = self.source.now() - self.since
        answers = zip(reads, self.source.fetch(sent), strict=True)
        return [replace(answer, read=read, items=_young(answer.items, read, oldest)) for read, answer in answers]

    def _note(self, answer: Fetched, why: str) -> None:
        if answer.read.what != "can-i" and answer.read not in self.unasked:
            what = f"{answer.read.what} {answer.read.of.kind}"
            where = answer.read.of.namespace or "the cluster"
            self.unread.setdefault(f"{what} in {where}", f"cannot {what} in {where}: {why}")

    def _log(self, answer: Fetched) -> None:
        """A log that is gone (rotated away, its container removed) is no blindness; none at all is."""
        if answer.unread is None:
            self.logs_read += 1
            self.unread.pop(LOST, None)
        elif answer.unread.why != "failed":
            self._note(answer, answer.unread.why)
        elif not self.logs_read:
            self.unread[LOST] = f"cannot read logs in {answer.read.of.namespace}: {answer.unread.message or 'failed'}"

    def custom(self, scope: Scope) -> list[Read]:
        """Helm's releases and the custom resources that may live in the scope: what they say of themselves."""
        try:
            served = self.source.resources()
        except ClusterError:  # discovery is refused or broken: then there is nothing to list
            served = ()
        releases = list_of("Secret", scope.namespace, labels="owner=helm")
        kinds = [
            Ref(each.group, each.kind, scope.namespace, "")
            for each in served
            if each.namespaced and "list" in each.verbs and "." in each.group and not each.group.endswith(".k8s.io")
        ]
        lists = [Read("list", kind, (("limit", "100"),)) for kind in dict.fromkeys(kinds)][:CUSTOM_KINDS]
        self.unasked.update([releases, *lists])
        return [releases, *lists]

    @property
    def blind(self) -> bool:
        """Whether something could not be read that a clean bill of health needs."""
        return any(what.split()[1] in DECISIVE for what in self.unread)

    def _affordable(self, state: State, reads: Iterable[Read]) -> list[Read]:
        """One pod speaks for its siblings: at most two pods of a workload, the same container of each."""
        chosen: list[Read] = []
        taken: dict[tuple[Ref, str, str], set[str]] = {}
        for read in reads:
            if read.what == "logs":
                kin = taken.setdefault((workload_of(state, read.of), read.of.part, read.option("previous")), set())
                if (len(kin) >= LOGS_PER_CONTAINER and read.of.name not in kin) or self.logs >= LOGS:
                    continue
                kin.add(read.of.name)
                self.logs += 1
            chosen.append(read)
        return chosen


def _young(items: tuple[Mapping[str, Any], ...], read: Read, oldest: datetime) -> tuple[Mapping[str, Any], ...]:
    """Events that were seen since; everything else as it is."""
    if read.of.kind != "Event":
        return items
    return tuple(each for each in items if (last := event(each).last) is None or last >= oldest)


def first_reads(scope: Scope, narrow: bool = False) -> list[Read]:
    look = first_look(scope.namespace)
    leaders = list_of("Lease", "kube-system")
    if scope.target is None:
        if narrow:
            return [*(read._replace(options=(("limit", PAGE),)) for read in look), leaders, list_of("Namespace")]
        return [*look, list_of("Node"), leaders, list_of("Namespace")]
    beside = [read._replace(options=(("limit", PAGE),)) for read in look] if scope.namespace else []
    own = [get_of(scope.target)]
    if scope.target.namespace:
        fields = f"involvedObject.name={scope.target.name}"
        own.append(list_of("Event", scope.target.namespace, fields=fields))
    else:
        own.append(list_of("Event", "default", fields=f"involvedObject.name={scope.target.name}"))
    return [*own, *beside, leaders]


def following(state: State, scope: Scope) -> list[Read]:
    """What the first look shows to be needed at once: nodes of the pods that matter, or all for one without a node."""
    pods = list(state.all("Pod"))
    if scope.target is not None and scope.target.kind == "Pod":
        pods = [pod for pod in pods if pod.ref == scope.target]
    if scope.target is not None and scope.target.kind == "Node":
        return [get_of(ref("Lease", "kube-node-lease", scope.target.name)),
                list_of("Pod", "", fields=f"spec.nodeName={scope.target.name}")]  # fmt: skip
    if scope.target is not None and scope.target.kind == "Namespace":
        return first_look(scope.target.name)
    waiting = [pod for pod in pods if not pod.spec.get("nodeName") and not is_finished(pod)]
    reads: list[Read] = []
    passes_by = scope.target is not None and scope.target.kind == "DaemonSet"
    if waiting or passes_by or (scope.target is None and len(pods) < int(PAGE)):
        reads.append(list_of("Node"))
    hosts = list(dict.fromkeys(pod.spec["nodeName"] for pod in pods if pod.spec.get("nodeName")))
    if scope.target is not None:
        reads += [get_of(ref("Node", "", name)) for name in hosts[:5]]
    troubled = [node.ref.name for node in state.all("Node") if (node.condition("Ready") or {}).get("status") != "True"]
    reads += [get_of(ref("Lease", "kube-node-lease", name)) for name in (troubled or hosts)[:3]]
    return [*reads, *of_routes(state)]


def quiet_logs(state: State, scope: Scope) -> list[Read]:
    """The logs of containers that look well, one pod for each workload: trouble that shows nowhere else."""
    from kubectl_ai_intellect.investigate.scope import around, callers

    places = None
    if scope.target is not None:
        places = around(state, scope.target) | {each.whole() for each in callers(state, scope.target)}
    return _logs_of(state, scope, places)


def neighbours_logs(state: State, scope: Scope) -> list[Read]:
    """The same of what a target that looks well calls, directly and by others, and of its kin."""
    from kubectl_ai_intellect.investigate.connected import rings

    if scope.target is None:
        return []
    return _logs_of(state, scope, {place for ring in rings(state, scope.target) for place in ring})


def _logs_of(state: State, scope: Scope, places: Container[Ref] | None) -> list[Read]:
    seen: dict[Ref, list[Read]] = {}
    for pod in state.all("Pod", scope.namespace or None):
        workload = workload_of(state, pod.ref)
        if is_finished(pod) or workload in seen or (places is not None and pod.ref not in places):
            continue
        seen[workload] = [
            logs_of(each.ref) for each in containers(pod) if each.running is not None and each.role != "init"
        ]
    chosen = list(seen.values())[:QUIET_WORKLOADS]
    return [read for reads in chosen for read in reads]


__all__ = ["Reader", "first_reads", "following", "neighbours_logs", "quiet_logs"]
