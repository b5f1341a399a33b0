"""Where a pod could run: what keeps it off each node, worked out from declared fields and checked against the scheduler.

The scheduler names one failing predicate for each node and counts them; most are not the one to mend (a control-plane
taint, a node that is down). So the nodes are narrowed down as a person would do it: those the pod asks for, of those
the ones that are well, of those the ones that are big enough and open. Whatever empties the list is the blocker.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Object, dig, list_of
from kubectl_ai_intellect.state.events import Event
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import is_finished, pod_labels, pod_spec
from kubectl_ai_intellect.state.selectors import expression_matches, matches

Spec = Mapping[str, Any]
Blocker = str
"""selector, affinity, volume, unready, cordoned, taint, no-nodes, gated, claims, pods, ports, anti-affinity,
pod-affinity, spread, or `short RESOURCE`."""

CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
OF_THE_NODE = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable", "node.kubernetes.io/network-unavailable",
               "node.kubernetes.io/memory-pressure", "node.kubernetes.io/disk-pressure", "node.kubernetes.io/pid-pressure",
               "node.cloudprovider.kubernetes.io/uninitialized", "node.kubernetes.io/out-of-service",
               "node.cloudprovider.kubernetes.io/shutdown")  # fmt: skip
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


# -- what the scheduler said ------------------------------------------------------------------------------------------

_COUNTED = re.compile(r"(\d+) ((?:(?!, \d+ ).)+?)(?=, \d+ |\.(?:\s|$)|$)")
_WORDS: tuple[tuple[str, str], ...] = (
    (r"node-role\.kubernetes\.io/(?:control-plane|master)", "control-plane"),
    (r"taint.*node\.kubernetes\.io/unschedulable|were unschedulable", "cordoned"),
    (r"taint.*(?:not-ready|unreachable|-pressure|network-unavailable|uninitialized)|unknown conditions", "unready"),
    (r"taint", "taint"),
    (r"persistentvolume's node affinity|volume node affinity|no available volume zone", "volume"),
    (r"node affinity|node selector|affinity/selector|requested node name", "selector"),
    (r"existing pods anti-affinity|anti-affinity", "anti-affinity"),
    (r"pod affinity", "pod-affinity"),
    (r"topology spread", "spread"),
    (r"free ports", "ports"),
    (r"too many pods", "pods"),
    (
        r"unbound immediate|persistentvolumeclaim|persistent volumes to bind|non-existent pv|enough free storage",
        "claims",
    ),
)


def reasons(message: str) -> dict[str, int]:
    """The predicates a FailedScheduling message names, by blocker, with how many nodes each keeps the pod off."""
    text = re.split(r"\s*preemption:", message, maxsplit=1)[0]
    _, _, listed = text.partition("nodes are available:")
    found: dict[str, int] = {}
    for count, words in _COUNTED.findall(listed):
        kind = _reason(words)
        if kind:
            found[kind] = found.get(kind, 0) + int(count)
    if not found:  # predicates that fail for all nodes at once carry no count
        kind = _reason(text)
        if kind:
            found[kind] = 0
    return found


def _reason(words: str) -> str:
    short = re.search(r"Insufficient ([\w./-]+\w)", words)
    if short:
        return f"short {short.group(1)}"
    return next((kind for pattern, kind in _WORDS if re.search(pattern, words.lower())), "")


def last_word(state: State, pod: Object) -> tuple[str, Event | None]:
    """Why the scheduler says the pod waits: its condition, or its latest event."""
    event = next((one for one in state.events(pod.ref) if one.reason == "FailedScheduling"
                  and one.component != "karpenter"), None)  # fmt: skip
    condition = pod.condition("PodScheduled") or {}
    message = condition.get("message") or "" if condition.get("status") == "False" else ""
    return message or (event.message if event else ""), event


# -- one node against one pod -----------------------------------------------------------------------------------------


def quantity(value: object) -> float:
    from kubectl_ai_intellect.causes.symptoms.objects import quantity

    return quantity(value)


def requests(spec: Spec) -> dict[str, float]:
    """What a pod asks for: its containers and sidecars together, or its largest init container; and its overhead."""
    total: dict[str, float] = {}
    peak: dict[str, float] = {}
    for each in spec.get("initContainers") or ():
        wants = container_requests(each)
        if each.get("restartPolicy") == "Always":
            total = {name: total.get(name, 0) + wants.get(name, 0) for name in {*total, *wants}}
        else:
            peak = {name: max(peak.get(name, 0), wants.get(name, 0) + total.get(name, 0)) for name in {*peak, *wants}}
    for each in spec.get("containers") or ():
        wants = container_requests(each)
        total = {name: total.get(name, 0) + wants.get(name, 0) for name in {*total, *wants}}
    whole = {name: max(total.get(name, 0), peak.get(name, 0)) for name in {*total, *peak}}
    for name, value in {**dig(spec, "resources", "limits", otherwise={}),
                        **dig(spec, "resources", "requests", otherwise={})}.items():  # fmt: skip
        whole[name] = quantity(value)  # requests of the pod as a whole, where they are set, are what counts
    for name, value in (spec.get("overhead") or {}).items():
        whole[name] = whole.get(name, 0) + quantity(value)
    return {name: value for name, value in whole.items() if value > 0}


def container_requests(each: Spec) -> dict[str, float]:
    resources = each.get("resources") or {}
    return {name: quantity(value) for name, value in {**(resources.get("limits") or {}),
                                                      **(resources.get("requests") or {})}.items()}  # fmt: skip


def ready(node: Object) -> bool:
    return (node.condition("Ready") or {}).get("status") == "True"


def selects(spec: Spec, node: Object) -> bool:
    return all(node.labels.get(key) == value for key, value in (spec.get("nodeSelector") or {}).items())


def required_terms(spec: Spec) -> Sequence[Spec]:
    return dig(spec, "affinity", "nodeAffinity", REQUIRED, "nodeSelectorTerms", otherwise=[])


def term_matches(term: Spec, node: Object) -> bool:
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    return all(expression_matches(each, node.labels) for each in expressions) and all(
        expression_matches(each, {"metadata.name": node.ref.name}) for each in fields
    )


def likes(spec: Spec, node: Object) -> bool:
    terms = required_terms(spec)
    return not terms or any(term_matches(term, node) for term in terms)


def tolerated(taint: Spec, tolerations: Iterable[Spec]) -> bool:
    for each in tolerations:
        effect_fits = not each.get("effect") or each["effect"] == taint.get("effect")
        key_fits = each.get("key") == taint.get("key") or (not each.get("key") and each.get("operator") == "Exists")
        value_fits = each.get("operator") == "Exists" or (each.get("value") or "") == (taint.get("value") or "")
        if effect_fits and key_fits and value_fits:
            return True
    return False


def untolerated(spec: Spec, node: Object) -> list[Spec]:
    """The taints that keep the pod off, those that stand for the node's own state or a cordon left out."""
    return [
        taint for taint in node.spec.get("taints") or ()
        if taint.get("effect") in ("NoSchedule", "NoExecute")
        and taint.get("key") not in (*OF_THE_NODE, UNSCHEDULABLE)
        and not tolerated(taint, spec.get("tolerations") or ())
    ]  # fmt: skip


def unwell(spec: Spec, node: Object) -> bool:
    states = [taint for taint in node.spec.get("taints") or () if taint.get("key") in OF_THE_NODE
              and taint.get("effect") in ("NoSchedule", "NoExecute")]  # fmt: skip
    if any(not tolerated(taint, spec.get("tolerations") or ()) for taint in states):
        return True
    return not ready(node) and not states


def cordoned(spec: Spec, node: Object) -> bool:
    taint = {"key": UNSCHEDULABLE, "effect": "NoSchedule"}
    return bool(node.spec.get("unschedulable")) and not tolerated(taint, spec.get("tolerations") or ())


def control_plane(node: Object) -> bool:
    keys = {taint.get("key") for taint in node.spec.get("taints") or ()}
    return bool(keys & set(CONTROL_PLANE))


def allocatable(node: Object) -> dict[str, float]:
    return {name: quantity(value) for name, value in (node.status.get("allocatable") or {}).items()}


def too_small(spec: Spec, node: Object) -> set[str]:
    """The resources of which the node has too little even when it is empty."""
    has = allocatable(node)
    return {name for name, value in requests(spec).items() if value > has.get(name, 0.0) + 1e-9} if has else set()


def pods_known(state: State, node: str) -> bool:
    """Whether every pod on the node was read, whatever its namespace."""
    by_node = state.fetched.get(pods_on(node))
    return state.all("Pod").complete or bool(by_node and by_node.unread is None and by_node.complete)


def pods_on(node: str) -> Any:
    return list_of("Pod", "", fields=f"spec.nodeName={node}")


def hosted(state: State, node: str) -> list[Object]:
    return [pod for pod in state.all("Pod") if pod.spec.get("nodeName") == node and not is_finished(pod)]


def free(state: State, node: Object) -> dict[str, float]:
    """What is left on a node by the requests of the pods on it."""
    left = allocatable(node)
    pods = hosted(state, node.ref.name)
    for pod in pods:
        for name, value in requests(pod.spec).items():
            left[name] = left.get(name, 0.0) - value
    left["pods"] = left.get("pods", 110.0) - len(pods)
    return left


def host_ports(spec: Spec) -> set[tuple[str, int]]:
    shared = bool(spec.get("hostNetwork"))
    return {
        (port.get("protocol") or "TCP", int(port.get("hostPort") or (port.get("containerPort") if shared else 0) or 0))
        for each in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))
        for port in each.get("ports") or ()
        if port.get("hostPort") or (shared and port.get("containerPort"))
    }


def volumes_of(state: State, spec: Spec, namespace: str) -> list[Object]:
    """The volumes that the pod's claims are bound to."""
    found: list[Object] = []
    for name in claim_names(spec):
        claim = state.find(ref("PersistentVolumeClaim", namespace, name))
        volume = state.find(ref("PersistentVolume", "", claim.spec.get("volumeName") or "")) if claim else None
        if volume is not None:
            found.append(volume)
    return found


def claim_names(spec: Spec) -> list[str]:
    return [
        each["persistentVolumeClaim"].get("claimName", "")
        for each in spec.get("volumes") or ()
        if each.get("persistentVolumeClaim")
    ]


def volume_reaches(volume: Object, node: Object) -> bool:
    terms = dig(volume.spec, "nodeAffinity", "required", "nodeSelectorTerms", otherwise=[])
    return not terms or any(term_matches(term, node) for term in terms)


def affinity_terms(spec: Spec, kind: str) -> Sequence[Spec]:
    return dig(spec, "affinity", kind, REQUIRED, otherwise=[])


def term_pods(state: State, term: Spec, namespace: str) -> list[Object]:
    """The pods on nodes that a pod (anti-)affinity term selects, as far as they were read."""
    spaces = set(term.get("namespaces") or ()) or ({namespace} if term.get("namespaceSelector") is None else set())
    return [
        pod for pod in state.all("Pod")
        if pod.spec.get("nodeName") and not is_finished(pod) and (not spaces or pod.ref.namespace in spaces)
        and matches(term.get("labelSelector"), pod.labels)
    ]  # fmt: skip


def crowded(state: State, spec: Spec, namespace: str, node: Object) -> bool:
    """Whether a required anti-affinity term of the pod itself excludes this node."""
    for term in affinity_terms(spec, "podAntiAffinity"):
        key = term.get("topologyKey", "")
        domain = node.labels.get(key)
        for pod in term_pods(state, term, namespace):
            host = state.find(ref("Node", "", pod.spec["nodeName"]))
            if domain is not None and host is not None and host.labels.get(key) == domain:
                return True
    return False


# -- the decision -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Blocked:
    """What keeps a pod off every node, on which nodes it would run but for that, and how it is known."""

    by: Blocker
    nodes: tuple[Object, ...] = ()
    said: str = ""
    counts: Mapping[str, int] | None = None
    from_fields: bool = True


def blocked(state: State, pod: Object) -> Blocked | None:
    """The one thing to mend so that at least one node fits this pod; nothing where it cannot be told."""
    key = ("blocked", pod.ref)
    if key not in state.memo:
        said, _ = last_word(state, pod)
        if not said and pod.spec.get("schedulerName") not in (None, "", "default-scheduler"):
            state.memo[key] = None  # another scheduler's business, which has not spoken
            return None
        state.memo[key] = decide(state, pod.spec, pod.ref.namespace, said)
    return state.memo[key]


def blocked_workload(state: State, at: Ref) -> Blocked | None:
    """The same of a workload's template: by declared fields alone."""
    found = state.find(at)
    spec = pod_spec(found) if found is not None else {}
    if not spec.get("containers"):
        return None
    return decide(state, spec, at.namespace, "")


def decide(state: State, spec: Spec, namespace: str, said: str) -> Blocked | None:
    counts = reasons(said)
    if spec.get("schedulingGates"):
        return Blocked("gated", (), said, counts)
    if "claims" in counts or (not counts and _claims_wait(state, spec, namespace)):
        return Blocked("claims", (), said, counts)
    listing = state.all("Node")
    if not listing.complete:
        return _by_words(spec, said, counts)
    nodes = list(listing)
    if not nodes or not any(ready(node) for node in nodes):
        return Blocked("no-nodes", tuple(nodes), said, counts)
    asked = _asked_for(state, spec, namespace, nodes)
    if isinstance(asked, str):
        return Blocked(asked, tuple(nodes), said, counts)
    well = [node for node in asked if not unwell(spec, node)]
    if not well:
        return Blocked("unready", tuple(asked), said, counts)
    workers = [node for node in well if not (control_plane(node) and untolerated(spec, node))] or well
    sized = [node for node in workers if not too_small(spec, node)]
    if not sized:
        return Blocked(f"short {_scarce(spec, workers)}", tuple(workers), said, counts)
    unlocked = [node for node in sized if not untolerated(spec, node)]
    open_now = [node for node in unlocked if not cordoned(spec, node)]
    if open_now:
        return _crowd(state, spec, namespace, open_now, said, counts)
    return (
        Blocked("cordoned", tuple(unlocked), said, counts) if unlocked else Blocked("taint", tuple(sized), said, counts)
    )


def _asked_for(state: State, spec: Spec, namespace: str, nodes: list[Object]) -> list[Object] | str:
    """The nodes that the pod's own fields and volumes ask for, or which of them asks for what is not there."""
    chosen = [node for node in nodes if selects(spec, node)]
    if not chosen:
        return "selector"
    liked = [node for node in chosen if likes(spec, node)]
    if not liked:
        return "affinity"
    volumes = volumes_of(state, spec, namespace)
    reached = [node for node in liked if all(volume_reaches(volume, node) for volume in volumes)]
    return reached or "volume"


def _claims_wait(state: State, spec: Spec, namespace: str) -> bool:
    for name in claim_names(spec):
        at = ref("PersistentVolumeClaim", namespace, name)
        claim = state.find(at)
        if state.absent(at) or (claim is not None and claim.status.get("phase") != "Bound" and not waits(state, claim)):
            return True
    return False


def waits(state: State, claim: Object) -> bool:
    """Whether a claim's class binds only when a pod is scheduled: then waiting is no fault of the claim."""
    held = state.find(ref("StorageClass", "", claim.spec.get("storageClassName") or ""))
    return held is not None and held.raw.get("volumeBindingMode") == "WaitForFirstConsumer"


def _scarce(spec: Spec, nodes: Sequence[Object]) -> str:
    """The resource whose lack alone keeps the most nodes out; else the one that most nodes lack."""
    lacks = [too_small(spec, node) for node in nodes]
    names = sorted({name for each in lacks for name in each})
    return max(names, key=lambda name: (sum(each == {name} for each in lacks), sum(name in each for each in lacks)))


DYNAMIC = ("anti-affinity", "pod-affinity", "spread", "ports", "pods")


def _crowd(
    state: State, spec: Spec, namespace: str, nodes: list[Object], said: str, counts: Mapping[str, int]
) -> Blocked | None:
    """Of nodes that are open and big enough: what is taken there, by the scheduler's word and by the pods on them."""
    named = {kind: count for kind, count in counts.items() if kind in DYNAMIC or kind.startswith("short ")}
    seen = {node.ref.name: _taken(state, spec, namespace, node) for node in nodes if pods_known(state, node.ref.name)}
    alone = [next(iter(kinds)) for kinds in seen.values() if len(kinds) == 1]
    unseen = {kind: count for kind, count in named.items() if kind in ("pod-affinity", "spread")}
    roomy = sum(not kinds for kinds in seen.values())
    agreed = [kind for kind in alone if kind in named] if named else alone if len(alone) == len(nodes) else []
    if unseen and roomy > len(agreed):  # most nodes have room: what holds the pod back does not show on them
        return Blocked(max(unseen, key=lambda kind: unseen[kind]), tuple(nodes), said, counts)
    if agreed:
        return Blocked(max(agreed, key=agreed.count), tuple(nodes), said, counts)
    if named:
        return Blocked(max(named, key=lambda kind: named[kind]), tuple(nodes), said, counts)
    if affinity_terms(spec, "podAntiAffinity") and all(crowded(state, spec, namespace, node) for node in nodes):
        return Blocked("anti-affinity", tuple(nodes), said, counts)
    for term in affinity_terms(spec, "podAffinity"):
        if not term_pods(state, term, namespace) and state.all("Pod", namespace).complete and not counts and said:
            return Blocked("pod-affinity", tuple(nodes), said, counts)
    full = set.intersection(*seen.values()) if seen and len(seen) == len(nodes) and all(seen.values()) else set[str]()
    return Blocked(sorted(full)[0], tuple(nodes), said, counts) if full else None


def _taken(state: State, spec: Spec, namespace: str, node: Object) -> set[Blocker]:
    left = free(state, node)
    found = {f"short {name}" for name, value in requests(spec).items() if value > left.get(name, 0.0) + 1e-9}
    if left["pods"] < 1:
        found.add("pods")
    wanted = host_ports(spec)
    if wanted and any(wanted & host_ports(pod.spec) for pod in hosted(state, node.ref.name)):
        found.add("ports")
    if crowded(state, spec, namespace, node):
        found.add("anti-affinity")
    return found


def _by_words(spec: Spec, said: str, counts: Mapping[str, int]) -> Blocked | None:
    """Nodes may not be read: what the scheduler said, less what a pod's owner cannot mend."""
    if "no nodes available" in said:
        return Blocked("no-nodes", (), said, counts, from_fields=False)
    left = {kind: count for kind, count in counts.items() if kind not in ("control-plane", "unready")} or dict(counts)
    if not left:
        return None
    ranked = ("volume", "selector", *DYNAMIC)
    chosen = next((kind for kind in left if kind.startswith("short ")), None) or next(
        (kind for kind in ranked if kind in left), None
    ) or max(left, key=lambda kind: left[kind])  # fmt: skip
    if chosen == "selector" and required_terms(spec) and not spec.get("nodeSelector"):
        chosen = "affinity"
    if chosen == "control-plane":
        chosen = "taint"
    return Blocked(chosen, (), said, counts, from_fields=False)


__all__ = [
    "REQUIRED",
    "Blocked",
    "Spec",
    "affinity_terms",
    "allocatable",
    "blocked",
    "blocked_workload",
    "claim_names",
    "container_requests",
    "control_plane",
    "cordoned",
    "crowded",
    "decide",
    "free",
    "host_ports",
    "hosted",
    "last_word",
    "likes",
    "pod_labels",
    "pods_known",
    "pods_on",
    "quantity",
    "ready",
    "reasons",
    "requests",
    "required_terms",
    "selects",
    "term_matches",
    "term_pods",
    "tolerated",
    "too_small",
    "untolerated",
    "unwell",
    "volume_reaches",
    "volumes_of",
    "waits",
]  # fmt: skip
