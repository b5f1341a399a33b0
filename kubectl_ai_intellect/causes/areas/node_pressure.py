"""Nodes short of memory, disk or processes, pods that were evicted for it, and delays that a node's pods share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from kubectl_ai_intellect.causes.areas.node import node_of, pods_on
from kubectl_ai_intellect.causes.base import Fact, Finding, Mend, Symptom, cause
from kubectl_ai_intellect.causes.facts import field, hits, logged, told
from kubectl_ai_intellect.causes.needs import container_logs, node_reads, owners, together
from kubectl_ai_intellect.causes.symptoms.objects import quantity
from kubectl_ai_intellect.kube.refs import Ref
from kubectl_ai_intellect.kube.source import Object, Read, dig, list_of, when
from kubectl_ai_intellect.state.edits import By, Step, set_field
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import containers, declared, pod_spec, spec_path
from kubectl_ai_intellect.state.relations import workload_of

PRESSURE = {
    "MemoryPressure": ("node/memory-pressure", "memory", "free memory: move or bound the pods that use most of it"),
    "DiskPressure": (
        "node/disk-pressure",
        "disk space",
        "free its disk: old images, logs, what pods write to emptyDir",
    ),
    "PIDPressure": ("node/pid-pressure", "process ids", "find the pod that makes so many processes, and bound it"),
}


def _reads(state: State, symptom: Symptom) -> Iterator[Read]:
    if symptom.at.kind == "Node":
        yield from node_reads(symptom.at)
        yield list_of("Event", "default", fields=f"involvedObject.name={symptom.at.name}")
        yield list_of("Pod", "", fields=f"spec.nodeName={symptom.at.name}")


def _pressed(state: State, symptom: Symptom, kind: str) -> Iterable[Finding]:
    node = state.find(symptom.at)
    condition = node.condition(kind) or {} if node else {}
    if node is None or symptom.note != kind or condition.get("status") != "True":
        return
    id, what, how = PRESSURE[kind]
    said = [event for event in state.events(node.ref) if event.reason in (
        "EvictionThresholdMet", "FreeDiskSpaceFailed", "ImageGCFailed", "SystemOOM", "ContainerGCFailed",
        f"NodeHas{kind.removesuffix('Pressure')}Pressure", "NodeHasInsufficientMemory", "NodeHasInsufficientPID")]  # fmt: skip
    evicted = [pod for pod in state.all("Pod") if pod.spec.get("nodeName") == node.ref.name
               and pod.status.get("reason") == "Evicted"]  # fmt: skip
    facts: list[Fact] = [field(node, f"{kind} is True, {condition.get('reason')}: {condition.get('message')}")]
    facts += [told(event) for event in said[:2]]
    facts += [field(pod, f"{pod.ref.name} was evicted: {pod.status.get('message')}") for pod in evicted[:1]]
    greedy = _greediest(state, node.ref) if kind == "MemoryPressure" else ""
    yield Finding(
        id, node.ref, "proved",
        f"{node.ref.name} is short of {what} ({kind}), so it takes no new pods and evicts those it has"
        + (f"; {greedy}" if greedy else ""),
        supports=tuple(facts),
        mends=(Mend(f"On {node.ref.name}: {how}", advice=(list_of("Pod", "", fields=f"spec.nodeName={node.ref.name}"),)),
               Mend("Keep new pods away from it meanwhile", (set_field(node.ref, "spec", "unschedulable", value=True),),
                    kind="stopgap")),
        affects=tuple(dict.fromkeys(workload_of(state, pod.ref) for pod in evicted))[:4],
        since=when(condition.get("lastTransitionTime")), weight=0.2,
    )  # fmt: skip


def _greediest(state: State, node: Ref) -> str:
    """Pods without a memory limit there, which nothing keeps from taking all of it."""
    free = [pod.ref.name for pod in pods_on(state, node)
            if pod.ref.namespace != "kube-system"
            and any(not dig(each.spec, "resources", "limits", "memory") for each in containers(pod))]  # fmt: skip
    return f"without a memory limit run there: {', '.join(free[:4])}" if free else ""


@cause("node/memory-pressure", "node-not-ready", needs=_reads)
def memory_pressure(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _pressed(state, symptom, "MemoryPressure")


@cause("node/disk-pressure", "node-not-ready", needs=_reads)
def disk_pressure(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _pressed(state, symptom, "DiskPressure")


@cause("node/pid-pressure", "node-not-ready", needs=_reads)
def pid_pressure(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _pressed(state, symptom, "PIDPressure")


# -- evictions -------------------------------------------------------------------------------------------------------

_CONTAINER_LIMIT = re.compile(r'Container (\S+) exceeded its local ephemeral storage limit "?([^"\s]+?)"?[. ]*$', re.M)
_POD_LIMIT = re.compile(
    r"(?i)pod ephemeral local storage usage exceeds the total limit of containers (\S+?)\.?\s*$", re.M
)
_EMPTY_DIR = re.compile(r'(?i)usage of emptydir volume "([^"]+)" exceeds the limit "([^"]+)"')
_LOW = re.compile(r"(?i)low on resource: ([\w.-]+?)\.? ")
_USING = re.compile(r"(?i)(?:container|pod) (\S+) was using ([^,\s]+), request is ([^,\s]+)")


def _message(state: State, pod: Object) -> str:
    said = [event.message for event in state.events(pod.ref) if event.reason == "Evicted"]
    return pod.status.get("message") or (said[0] if said else "")


@cause("container/local-storage-exceeded", "pod-evicted", "pod-left-behind", needs=owners)
def local_storage_exceeded(state: State, symptom: Symptom) -> Iterable[Finding]:
    pod = state.find(symptom.at)
    if pod is None or pod.status.get("reason") != "Evicted":
        return
    message = _message(state, pod)
    place = _exceeded(state, pod, message)
    if place is None:
        return
    what, limit, path = place
    workload = workload_of(state, pod.ref)
    mend = Mend(f"Allow {what} more space (or let it write less, or to a claim)", (set_field(workload, *path, value="<SIZE>"),),
                unknown=(f"<SIZE>: how much it needs; {limit} was not enough",), risk="medium")  # fmt: skip
    yield Finding(
        "container/local-storage-exceeded", workload, "proved",
        f"{what} of {workload.short} wrote more than its limit of {limit} to the node's disk, so the kubelet evicted {pod.ref.name}",
        supports=(field(pod, f"{pod.ref.name}: Evicted: {message.strip()}"),),
        mends=(mend,) if state.find(workload) else (), weight=0.5,
    )  # fmt: skip


def _exceeded(state: State, pod: Object, message: str) -> tuple[str, str, tuple[Step, ...]] | None:
    """Whose limit it was, how much, and where that is declared."""
    owner = state.find(workload_of(state, pod.ref)) or pod
    volume = _EMPTY_DIR.search(message)
    if volume:
        path = (*spec_path(owner.ref.kind), "volumes", By(volume.group(1)), "emptyDir", "sizeLimit")
        return f"the emptyDir volume {volume.group(1)}", volume.group(2), path
    own = _CONTAINER_LIMIT.search(message)
    if own:
        place = declared(owner, own.group(1))
        return (f"container {own.group(1)}", own.group(2), _storage_limit(place[1])) if place else None
    whole = _POD_LIMIT.search(message)
    if whole:
        limited = [each for each in pod_spec(owner).get("containers") or ()
                   if dig(each, "resources", "limits", "ephemeral-storage")]  # fmt: skip
        place = declared(owner, limited[0].get("name", "")) if limited else None
        return (f"pod {pod.ref.name}", whole.group(1), _storage_limit(place[1])) if place else None
    return None


def _storage_limit(path: tuple[Step, ...]) -> tuple[Step, ...]:
    return (*path, "resources", "limits", "ephemeral-storage")


@cause("container/evicted", "pod-evicted", "pod-left-behind", needs=owners)
def evicted(state: State, symptom: Symptom) -> Iterable[Finding]:
    pod = state.find(symptom.at)
    if pod is None or pod.status.get("reason") != "Evicted":
        return
    message = _message(state, pod)
    if _exceeded(state, pod, message) is not None:
        return
    low, using = _LOW.search(f"{message} "), _USING.search(message)
    what = low.group(1) if low else ("a resource" if "condition" not in message else message)
    node = node_of(state, pod.ref)
    pressed = _still_pressed(state, node)
    workload = workload_of(state, pod.ref)
    over = f"; {using.group(1)} used {using.group(2)} and had requested {using.group(3)}" if using else ""
    yield Finding(
        "container/evicted", workload, "likely" if pressed else "proved",
        f"the kubelet evicted {pod.ref.name} because {node.name if node else 'its node'} ran low on {what}{over}",
        supports=(field(pod, f"{pod.ref.name}: Evicted: {message.strip()}"),
                  *(told(event) for event in state.events(pod.ref)[:1] if event.reason == "Evicted")),
        mends=tuple(_request(state, workload, what, using)),
    )  # fmt: skip


def _still_pressed(state: State, node: Ref | None) -> bool:
    found = state.find(node) if node else None
    return found is not None and any((found.condition(kind) or {}).get("status") == "True" for kind in PRESSURE)


def _request(state: State, workload: Ref, what: str, using: re.Match[str] | None) -> Iterator[Mend]:
    """Request what it really uses: the scheduler then finds it a place, and the kubelet evicts others first."""
    owner = state.find(workload)
    place = declared(owner, using.group(1)) if owner and using else None
    if place is None or using is None or what not in ("memory", "ephemeral-storage"):
        return
    limit = dig(place[0], "resources", "limits", what)
    if limit and quantity(limit) < quantity(using.group(2)):
        return
    yield Mend(f"Request the {what} that it uses", (set_field(workload, *place[1], "resources", "requests", what,
                                                             value=using.group(2)),), risk="medium")  # fmt: skip


# -- delays ----------------------------------------------------------------------------------------------------------

LATE = ("connection-timeout", "slow")


def _late(state: State, at: Ref, *kinds: str) -> list[Fact]:
    return [logged(at, hit, previous=previous) for hit, previous in hits(state, at, *kinds) if not hit.recovered]


def _split(state: State, node: Ref, *kinds: str) -> tuple[list[Ref], list[Ref], int]:
    """Workloads that complain on this node, those that complain elsewhere, and how many were heard elsewhere."""
    here: list[Ref] = []
    there: list[Ref] = []
    quiet = 0
    for pod in state.all("Pod"):
        refs = [each.ref for each in containers(pod) if state.logs(each.ref)]
        if not refs or not pod.spec.get("nodeName"):
            continue
        complains = any(_late(state, each, *kinds) for each in refs)
        if complains:
            (here if pod.spec["nodeName"] == node.name else there).append(workload_of(state, pod.ref))
        elif pod.spec["nodeName"] != node.name:
            quiet += 1
    return list(dict.fromkeys(here)), list(dict.fromkeys(there)), quiet


def _confined(state: State, symptom: Symptom, id: str, words: str, *kinds: str) -> Iterable[Finding]:
    node = node_of(state, symptom.at)
    if node is None or not symptom.at.part:
        return
    here, there, quiet = _split(state, node, *kinds)
    said = _late(state, symptom.at, *kinds)
    if not said or len(here) < 2 or there or not quiet:
        return
    yield Finding(
        id, node, "likely", f"{len(here)} workloads on {node.name} tell of {words}, and none of the {quiet} heard elsewhere does",
        supports=tuple(said[:2]),
        mends=(Mend("Move pods off this node, and look at its network", (set_field(node, "spec", "unschedulable", value=True),),
                    kind="stopgap"),), affects=tuple(here[:4]),
    )  # fmt: skip


@cause("node/network-delay", "slow", needs=together(container_logs))
def network_delay(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _confined(state, symptom, "node/network-delay", "delays", "slow")


@cause("node/packet-loss", "client-failing", needs=together(container_logs))
def packet_loss(state: State, symptom: Symptom) -> Iterable[Finding]:
    if symptom.note.startswith(("connection-timeout", "connection-reset")):
        yield from _confined(
            state, symptom, "node/packet-loss", "timeouts and resets", "connection-timeout", "connection-reset"
        )


@cause("performance/network-delay", "slow", needs=together(owners, container_logs))
def one_workload_delayed(state: State, symptom: Symptom) -> Iterable[Finding]:
    """Several clients are slow towards one and the same workload."""
    peers: dict[tuple[str, int | None], set[Ref]] = {}
    facts: dict[tuple[str, int | None], list[Fact]] = {}
    for pod in state.all("Pod", symptom.at.namespace):
        for each in containers(pod):
            for hit, previous in hits(state, each.ref, *LATE):
                if hit.peer and hit.peer.host and not hit.recovered:
                    key = (hit.peer.host, hit.peer.port)
                    peers.setdefault(key, set()).add(workload_of(state, pod.ref))
                    facts.setdefault(key, []).append(logged(each.ref, hit, previous=previous))
    from kubectl_ai_intellect.state.calls import service_named
    from kubectl_ai_intellect.state.relations import Relation, near

    for (host, port), clients in peers.items():
        service = service_named(host, symptom.at.namespace)
        behind = [workload_of(state, each) for each in near(state, service, Relation.SELECTS)] if service else []
        if len(peers) == 1 and len(clients) >= 2 and behind:
            yield Finding(
                "performance/network-delay", behind[0], "likely",
                f"{len(clients)} clients are slow towards {host}{f':{port}' if port else ''} and towards nothing else",
                supports=tuple(facts[host, port][:3]), affects=tuple(sorted(clients))[:4],
            )  # fmt: skip
