"""Nodes that do not report, cannot run containers, or cannot connect them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kubectl_ai_intellect.causes.base import Fact, Finding, Mend, Symptom, cause
from kubectl_ai_intellect.causes.facts import field, hits, logged, told
from kubectl_ai_intellect.causes.needs import container_logs, node_reads, together
from kubectl_ai_intellect.causes.symptoms.cluster import STALE
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Absent, Object, Read, get_of, list_of, when
from kubectl_ai_intellect.state.edits import Append, Patch, set_field
from kubectl_ai_intellect.state.events import Event
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import containers, is_finished, is_ready
from kubectl_ai_intellect.state.relations import owner_refs

RUNTIME = re.compile(r"(?i)container runtime is down|PLEG is not healthy|RuntimeReady=false|container runtime not ready|"
                     r"container runtime status check|containerd\.sock|crio\.sock|docker\.sock|cri-dockerd")  # fmt: skip
NETWORK = re.compile(r"(?i)NetworkReady=false|NetworkPluginNotReady|cni plugin not initialized|network plugin is not ready|"
                     r"container runtime network not ready|cni config uninitialized|no networks found in /etc/cni")  # fmt: skip
SHUTDOWN = re.compile(r"(?i)node is shutting down")
ADDRESSES = re.compile(r"(?i)no (?:ip )?addresses available|no free ips?\b|no available ips?\b|range is full|"
                       r"insufficient free addresses|failed to assign an ip address|no more free (?:ip )?addresses|"
                       r"exhausted.*(?:ip|address)|(?:ip|address)(?:es)? .*exhausted|could not find any free ip")  # fmt: skip
OWN_FAULT = re.compile(
    r"(?i)no runtime for|runtime handler|unknown runtime|sysctl|pull sandbox image|failed to pull image"
)
LEAVING = ("aws-node-termination-handler", "cloud.google.com/impending-node-termination", "kubernetes.azure.com/scalesetpriority-evict",
           "node.cloudprovider.kubernetes.io/shutdown", "node.kubernetes.io/out-of-service", "ToBeDeletedByClusterAutoscaler",
           "DeletionCandidateOfClusterAutoscaler", "karpenter.sh/disrupted", "karpenter.sh/disruption", "karpenter.sh/interruption")  # fmt: skip
PROXIES = re.compile(r"(?i)kube-proxy|kube-router|cilium")


def _reads(state: State, symptom: Symptom) -> Iterator[Read]:
    if symptom.at.kind == "Node":
        yield from node_reads(symptom.at)
        yield list_of("Event", "default", fields=f"involvedObject.name={symptom.at.name}")


def node_of(state: State, at: Ref) -> Ref | None:
    found = state.find(at)
    name = at.name if at.kind == "Node" else (found.spec.get("nodeName") if found else None)
    return ref("Node", "", name) if name else None


def _ready(node: Object) -> tuple[str, str]:
    """Status and message of the Ready condition."""
    condition = node.condition("Ready") or {}
    return condition.get("status") or "", f"{condition.get('reason') or ''}: {condition.get('message') or ''}"


def pods_on(state: State, node: Ref) -> list[Object]:
    return [pod for pod in state.all("Pod") if pod.spec.get("nodeName") == node.name and not is_finished(pod)]


def _lease(state: State, node: Ref) -> tuple[bool | None, Fact | None]:
    """Whether the node's lease is stale, and the fact that says so; nothing where it could not be read."""
    target = ref("Lease", "kube-node-lease", node.name)
    found = state.get(target)
    if not isinstance(found, Object):
        return None, None
    renewed = when(found.spec.get("renewTime"))
    if renewed is None:
        return None, None
    age = int((state.now - renewed).total_seconds())
    fact = field(found, f"the lease of {node.name} was renewed last {age} s ago ({renewed:%H:%M:%S} UTC)")
    return state.now - renewed > STALE, fact


# -- agents ----------------------------------------------------------------------------------------------------------


@cause("node/kubelet-down", "node-not-ready", needs=_reads)
def kubelet_down(state: State, symptom: Symptom) -> Iterable[Finding]:
    node = state.find(symptom.at)
    if node is None:
        return
    status, words = _ready(node)
    stale, lease = _lease(state, node.ref)
    if status != "Unknown" and symptom.note != "lease":
        if (
            status == "False"
            and symptom.note == (node.condition("Ready") or {}).get("reason")
            and stale is False
            and lease
        ):
            yield Finding("node/kubelet-down", node.ref, "refuted", "its kubelet reports", refutes=(lease,))
        return
    contrary = stale is False and lease is not None
    never = "NeverUpdated" in words
    facts = [field(node, f"Ready is {status}, {words}"), *([lease] if lease else [])]
    yield Finding(
        "node/kubelet-down", node.ref, "possible" if contrary else "proved",
        f"the kubelet of {node.ref.name} "
        + ("never reported its state" if never else "has stopped reporting")
        + ": it is down, or its machine is off or cut off from the API server",
        supports=tuple(facts), mends=tuple(_revive(state, node)), affects=tuple(p.ref for p in pods_on(state, node.ref)[:5]),
        since=when((node.condition("Ready") or {}).get("lastTransitionTime")),
    )  # fmt: skip


def _revive(state: State, node: Object) -> Iterator[Mend]:
    yield Mend(f"On {node.ref.name}: start the kubelet again (systemctl restart kubelet) and read why it ended "
               "(journalctl -u kubelet); if the machine is gone, replace it", advice=(get_of(node.ref),), risk="medium")  # fmt: skip
    bound = [
        pod
        for pod in pods_on(state, node.ref)
        if pod.deleting and any(o.kind == "StatefulSet" for o in owner_refs(state, pod.ref))
    ]
    if bound:
        taint = {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}
        yield Mend("If the machine is surely off: free its pods and volumes, so that they start elsewhere",
                   (set_field(node.ref, "spec", "taints", Append(), value=taint),), kind="stopgap", risk="high")  # fmt: skip


@cause("node/container-runtime-down", "node-not-ready", needs=_reads)
def runtime_down(state: State, symptom: Symptom) -> Iterable[Finding]:
    node = state.find(symptom.at)
    if node is None:
        return
    status, words = _ready(node)
    if (
        status != "False"
        or not RUNTIME.search(words)
        or (NETWORK.search(words) and not re.search("(?i)is down|PLEG", words))
    ):
        return
    events = [event for event in state.events(node.ref) if RUNTIME.search(event.message)]
    yield Finding(
        "node/container-runtime-down", node.ref, "proved",
        f"the container runtime of {node.ref.name} does not answer its kubelet: {words.partition(': ')[2]}",
        supports=(field(node, f"Ready is False, {words}"), *(told(event) for event in events[:1])),
        mends=(Mend(f"On {node.ref.name}: restart the container runtime (systemctl restart containerd) and see its log "
                    "(journalctl -u containerd)", advice=(get_of(node.ref),), risk="medium"),),
        affects=tuple(pod.ref for pod in pods_on(state, node.ref)[:5]), weight=0.2,
    )  # fmt: skip


@cause("node/network-unavailable", "node-not-ready", needs=_reads)
def network_unavailable(state: State, symptom: Symptom) -> Iterable[Finding]:
    node = state.find(symptom.at)
    if node is None:
        return
    condition = node.condition("NetworkUnavailable") or {}
    status, words = _ready(node)
    flagged = symptom.note == "NetworkUnavailable" and condition.get("status") == "True"
    plugin = symptom.note != "NetworkUnavailable" and status == "False" and bool(NETWORK.search(words))
    if not flagged and not plugin:
        return
    facts = (
        [field(node, f"NetworkUnavailable is True, {condition.get('reason')}: {condition.get('message')}")]
        if flagged
        else []
    )
    facts += [field(node, f"Ready is False, {words}")] if plugin else []
    agents = _agents(state, node.ref)
    facts += [field(pod, f"network agent {pod.ref.name} on {node.ref.name} is not ready") for pod in agents[:1]]
    yield Finding(
        "node/network-unavailable", node.ref, "proved",
        f"pods on {node.ref.name} get no network: "
        + (words.partition(": ")[2] if plugin else condition.get("message") or "its network is not set up"),
        supports=tuple(facts),
        mends=(Mend("Bring its network plugin back: see the pods of the CNI DaemonSet on this node and /etc/cni/net.d",
                    advice=(list_of("Pod", "kube-system", fields=f"spec.nodeName={node.ref.name}"),), risk="medium"),),
        affects=tuple(pod.ref for pod in pods_on(state, node.ref)[:5]), weight=0.2,
    )  # fmt: skip


def _agents(state: State, node: Ref) -> list[Object]:
    """Pods of a network plugin on this node that are not well."""
    name = re.compile(r"(?i)cni|calico|flannel|cilium|weave|canal|antrea|kindnet|aws-node|multus|ovn")
    return [pod for pod in pods_on(state, node) if name.search(pod.ref.name) and not is_ready(pod)]


@cause("node/kube-proxy-down", "component-silent", needs=_reads)
def kube_proxy_down(state: State, symptom: Symptom) -> Iterable[Finding]:
    if symptom.at.kind != "Node" or not PROXIES.search(symptom.note):
        return
    broken = [pod for pod in pods_on(state, symptom.at)
              if PROXIES.search(pod.ref.name) and pod.ref.namespace == "kube-system" and not is_ready(pod)]  # fmt: skip
    if not broken:
        return
    pod = broken[0]
    why = [f"{each.name}: {each.waiting.get('reason') or each.death.get('reason')}" for each in containers(pod)
           if each.waiting or each.death]  # fmt: skip
    yield Finding(
        "node/kube-proxy-down", symptom.at, "proved",
        f"{symptom.note} on {symptom.at.name} is not at work ({', '.join(why) or 'not ready'}), so Service addresses do not "
        "work from there",
        supports=(field(pod, f"pod {pod.ref.name} on {symptom.at.name} is not ready: {', '.join(why)}"),
                  *(told(event) for event in state.events(pod.ref)[:1])),
        mends=(Mend(f"See why {pod.ref.name} ends, then let it start anew", (Patch(pod.ref, action="delete"),),
                    kind="stopgap", advice=(get_of(pod.ref),)),),
    )  # fmt: skip


# -- sandboxes -------------------------------------------------------------------------------------------------------


def _sandbox(state: State, symptom: Symptom) -> list[Event]:
    return [
        event for event in state.events(symptom.at) if event.reason in ("FailedCreatePodSandBox", "NetworkNotReady")
    ]


@cause("node/pod-ip-exhausted", "pod-stuck-creating")
def pod_ip_exhausted(state: State, symptom: Symptom) -> Iterable[Finding]:
    node = node_of(state, symptom.at)
    events = [event for event in _sandbox(state, symptom) if ADDRESSES.search(event.message)]
    if node is None or not events:
        return
    count = len(pods_on(state, node))
    found = state.find(node)
    span = found.spec.get("podCIDR") if found else None
    yield Finding(
        "node/pod-ip-exhausted", node, "proved",
        f"{node.name} has no pod address left" + (f" in {span}" if span else "") + f" ({count} pods known there), so new pods "
        "get no network",
        supports=(told(events[0]), *([field(found, f"spec.podCIDR is {span}")] if found and span else [])),
        mends=(Mend("Stop new pods from coming here until there are addresses again (leaked ones, a wider range)",
                    (set_field(node, "spec", "unschedulable", value=True),), kind="stopgap"),),
        weight=0.4,
    )  # fmt: skip


@cause("container/sandbox-failed", "pod-stuck-creating")
def sandbox_failed(state: State, symptom: Symptom) -> Iterable[Finding]:
    node = node_of(state, symptom.at)
    events = _sandbox(state, symptom)
    if node is None or not events or OWN_FAULT.search(events[0].message):
        return
    here = pods_on(state, node)
    alike = [pod for pod in here if pod.ref != symptom.at and any(
        event.reason == "FailedCreatePodSandBox" for event in state.events(pod.ref)) and not is_ready(pod)]  # fmt: skip
    yield Finding(
        "container/sandbox-failed", node, "proved",
        f"{node.name} cannot set up the sandbox (network) of {symptom.at.name}"
        + (f", nor of {len(alike)} other pods there" if alike else "") + f": {_plugin(events[0].message)}",
        supports=(told(events[0]), *(told(next(iter(_sandbox(state, Symptom(symptom.kind, pod.ref))))) for pod in alike[:1])),
        mends=(Mend(f"Mend the network plugin of {node.name}: its DaemonSet's pod there, its files in /etc/cni/net.d and "
                    "/opt/cni/bin", advice=(list_of("Pod", "kube-system", fields=f"spec.nodeName={node.name}"),)),
               Mend("Keep new pods away from it meanwhile", (set_field(node, "spec", "unschedulable", value=True),),
                    kind="stopgap")),
        weight=-0.3,
    )  # fmt: skip


def _plugin(message: str) -> str:
    """The plugin's own words, behind the kubelet's and the runtime's."""
    tail = re.split(r"(?i)failed to setup network for sandbox|plugin type=", message)[-1]
    return tail.strip(' "')[:200]


# -- files and leaving nodes -----------------------------------------------------------------------------------------


INOTIFY = re.compile(r"(?i)inotify|file ?watchers|too many watches")


@cause("node/file-limits", "container-restarting", "container-unready", "start-refused", "node-not-ready",
       needs=together(container_logs, _reads))  # fmt: skip
def file_limits(state: State, symptom: Symptom) -> Iterable[Finding]:
    node = node_of(state, symptom.at)
    if node is None:
        return
    said = [logged(symptom.at, hit, previous=previous)
            for hit, previous in (hits(state, symptom.at, "file-limit", "disk-full") if symptom.at.part else ())
            if INOTIFY.search(hit.line)]  # fmt: skip
    open_files = [logged(symptom.at, hit, previous=previous)
                  for hit, previous in (hits(state, symptom.at, "file-limit") if symptom.at.part else ())]  # fmt: skip
    system = [told(event) for event in (*state.events(symptom.at.whole()), *state.events(node))
              if re.search(r"(?i)too many open files|inotify", event.message)]  # fmt: skip
    whole = state.get(node)
    full = not isinstance(whole, Object | Absent) or (
        isinstance(whole, Object) and (whole.condition("DiskPressure") or {}).get("status") == "True"
    )
    facts = [*said, *system]
    if not facts and not open_files:
        return
    what = (
        "inotify watches or instances (fs.inotify.*)"
        if said
        else "open files (fs.file-max, or the limit of the runtime)"
    )
    yield Finding(
        "node/file-limits", node, "proved" if said and not full else ("likely" if facts else "possible"),
        f"{node.name} has reached its limit of {what}; no disk is full",
        supports=tuple((facts or open_files)[:3]),
        mends=(Mend(f"On {node.name}: raise the limit (sysctl fs.inotify.max_user_instances, fs.inotify.max_user_watches, "
                    "fs.file-max)", advice=(get_of(node),), risk="medium"),),
        weight=0.4 if facts else 0.0,
    )  # fmt: skip


def is_leaving(taint: Mapping[str, Any]) -> bool:
    """Whether a taint says that its node is being taken away."""
    return str(taint.get("key", "")).startswith(LEAVING)


def _closed_by(state: State, pod: Ref) -> Ref | None:
    """The node that a pod waits for, where only its being taken away keeps the pod out."""
    from kubectl_ai_intellect.causes.fit import blocked, untolerated

    found = state.find(pod)
    why = blocked(state, found) if found else None
    if found is None or why is None or why.by != "taint":
        return None
    closed = [node for node in why.nodes if all(is_leaving(taint) for taint in untolerated(found.spec, node))]
    return closed[0].ref if closed and len(closed) == len(why.nodes) else None


@cause("node/interrupted", "pod-evicted", "node-not-ready", "node-closed", "pod-lost", "pod-unscheduled")
def interrupted(state: State, symptom: Symptom) -> Iterable[Finding]:
    place = _closed_by(state, symptom.at) if symptom.kind == "pod-unscheduled" else node_of(state, symptom.at)
    if place is None:
        return
    node = state.find(place)
    taints = [t for t in (node.spec.get("taints") or () if node else ()) if str(t.get("key", "")).startswith(LEAVING)]
    facts = [field(place, f"{place.name} has the taint {t.get('key')}:{t.get('effect')}") for t in taints]
    if node is not None and SHUTDOWN.search(_ready(node)[1]):
        facts.append(field(node, f"Ready is {_ready(node)[0]}, {_ready(node)[1]}"))
    pod = state.find(symptom.at) if symptom.at.kind == "Pod" else None
    disrupted = (pod.condition("DisruptionTarget") or {}) if pod else {}
    ended = pod is not None and (pod.status.get("reason") in ("NodeShutdown", "Terminated")
                                 or (disrupted.get("reason") == "TerminationByKubelet" and pod.status.get("reason") != "Evicted")
                                 or disrupted.get("reason") == "DeletionByTaintManager")  # fmt: skip
    if pod is not None and ended:
        facts.append(field(pod, f"{pod.ref.name}: {pod.status.get('reason') or disrupted.get('reason')}: "
                                f"{pod.status.get('message') or disrupted.get('message')}"))  # fmt: skip
    if node is not None and state.absent(place):
        facts.append(field(place, f"{place.name} no longer exists"))
    if not facts:
        return
    yield Finding(
        "node/interrupted", place, "proved" if taints or ended else "likely",
        f"{place.name} is being taken away ({taints[0]['key'] if taints else 'it shuts down'}), and its pods with it",
        supports=tuple(facts[:4]),
        mends=(Mend("Empty it in good order and let its replacement come: kubectl drain; spread replicas over nodes",
                    (set_field(place, "spec", "unschedulable", value=True),), kind="stopgap"),),
        weight=0.3,
    )  # fmt: skip
