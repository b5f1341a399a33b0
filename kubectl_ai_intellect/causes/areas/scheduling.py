"""Pods that no node takes because of what they ask of nodes: labels, taints, cordons, volumes, gates."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from kubectl_ai_intellect.causes import fit
from kubectl_ai_intellect.causes.areas.node import is_leaving
from kubectl_ai_intellect.causes.base import Fact, Finding, Mend, Strength, Symptom, cause
from kubectl_ai_intellect.causes.facts import field, listed, told
from kubectl_ai_intellect.causes.needs import owners
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Object, Read, dig, get_of, list_of
from kubectl_ai_intellect.state.edits import Append, Edit, Patch, Step, remove_field, set_field
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import pod_spec, spec_path
from kubectl_ai_intellect.state.relations import owner_refs, workload_of

CLUSTER = Ref("", "Component", "", "cluster")
NODE_AFFINITY: tuple[Step, ...] = ("affinity", "nodeAffinity", fit.REQUIRED)


def needs(state: State, symptom: Symptom) -> Iterable[Read]:
    """The nodes; the volumes that bound claims lead to, and the classes of unbound ones."""
    yield from owners(state, symptom)
    yield list_of("Node")
    pod = state.find(symptom.at)
    for name in fit.claim_names(pod.spec) if pod else ():
        claim = state.find(ref("PersistentVolumeClaim", symptom.at.namespace, name))
        if claim and claim.spec.get("volumeName"):
            yield get_of(ref("PersistentVolume", "", claim.spec["volumeName"]))
        elif claim and claim.spec.get("storageClassName"):
            yield get_of(ref("StorageClass", "", claim.spec["storageClassName"]))


def waiting(state: State, symptom: Symptom, *by: str) -> tuple[Object, fit.Blocked] | None:
    """The pod and what blocks it, if that is one of these."""
    pod = state.find(symptom.at)
    found = fit.blocked(state, pod) if pod else None
    return (pod, found) if pod and found and found.by in by else None


def sure(found: fit.Blocked) -> Strength:
    """Fields decide; the scheduler's word alone proves only if it names one thing."""
    return "proved" if found.from_fields or len(found.counts or {}) == 1 else "likely"


def quoted(state: State, pod: Object) -> list[Fact]:
    """The scheduler's own words, from the event or, once that has expired, from the pod's condition."""
    said, event = fit.last_word(state, pod)
    return [told(event)] if event else [field(pod, f"condition PodScheduled is False: {said}")] if said else []


def names(nodes: Sequence[Object]) -> str:
    shown = ", ".join(node.ref.name for node in nodes[:3])
    return f"{shown} and {len(nodes) - 3} more" if len(nodes) > 3 else shown


def near(wanted: str, offers: Iterable[str]) -> str:
    known = sorted(set(offers))
    close = difflib.get_close_matches(wanted, known, n=1, cutoff=0.5)
    return close[0] if close else known[0] if len(known) == 1 else ""


def owner_spec(state: State, workload: Ref, pod: Object) -> dict[str, Any]:
    found = state.find(workload)
    return dict(pod_spec(found)) if found else dict(pod.spec)


# -- labels of nodes --------------------------------------------------------------------------------------------------


@cause("scheduling/node-selector-mismatch", "pod-unscheduled", needs=needs,
       holds=lambda state, at: _static(state, at) == "selector")  # fmt: skip
def node_selector_mismatch(state: State, symptom: Symptom) -> Iterable[Finding]:
    found = waiting(state, symptom, "selector")
    if not found:
        yield from _selector_refuted(state, symptom)
        return
    pod, why = found
    workload = workload_of(state, symptom.at)
    wanted = pod.spec.get("nodeSelector") or {}
    asked = ", ".join(f"{key}={value}" for key, value in wanted.items())
    lacking = {
        key: value for key, value in wanted.items() if all(n.labels.get(key) != value for n in why.nodes)
    } or wanted
    offers = {key: sorted({n.labels[key] for n in why.nodes if key in n.labels}) for key in lacking}
    there = "; ".join(f"nodes have {key}={'|'.join(values[:4])}" if values else f"no node has a label {key}"
                      for key, values in offers.items()) if why.nodes else ""  # fmt: skip
    yield Finding(
        "scheduling/node-selector-mismatch", workload, sure(why),
        f"{workload.short} asks for nodes with {asked} (nodeSelector), and no node has that{': ' + there if there else ''}",
        supports=(field(workload, f"spec.nodeSelector is {asked}"),
                  listed("Node", "", f"of {len(why.nodes)} nodes none has {asked}") if why.nodes else field(pod, why.said),
                  *quoted(state, pod)),
        mends=tuple(_selector_mends(state, workload, pod, lacking, offers, why.nodes)),
    )  # fmt: skip


def _selector_refuted(state: State, symptom: Symptom) -> Iterator[Finding]:
    pod = state.find(symptom.at)
    why = fit.blocked(state, pod) if pod else None
    if pod and why and why.from_fields and "selector" in (why.counts or {}) and (pod.spec.get("nodeSelector")):
        fitting = [node for node in state.all("Node") if fit.selects(pod.spec, node)]
        if fitting:
            yield Finding(
                "scheduling/node-selector-mismatch", workload_of(state, symptom.at), "refuted",
                f"the nodeSelector matches {names(fitting)}",
                refutes=(listed("Node", "", f"the nodeSelector matches {names(fitting)}"),),
            )  # fmt: skip


def _selector_mends(
    state: State,
    workload: Ref,
    pod: Object,
    lacking: dict[str, str],
    offers: dict[str, list[str]],
    nodes: Sequence[Object],
) -> Iterator[Mend]:
    path = (*spec_path(workload.kind), "nodeSelector")
    swaps = {key: near(value, offers[key]) for key, value in lacking.items()}
    if nodes and all(swaps.values()):
        changed = ", ".join(f"{key}={value}" for key, value in swaps.items())
        spec = {**pod.spec, "nodeSelector": {**(pod.spec.get("nodeSelector") or {}), **swaps}}
        if any(fit.selects(spec, node) for node in nodes):
            yield Mend(f"Ask for {changed}, which nodes have",
                       (Patch(workload, tuple(Edit((*path, key), value) for key, value in swaps.items())),),
                       risk="medium")  # fmt: skip
    wanted = ", ".join(f"{key}={value}" for key, value in lacking.items())
    yield Mend(
        f"Do not ask for {wanted}", (Patch(workload, tuple(Edit((*path, key)) for key in lacking)),), risk="medium"
    )
    if nodes:
        target = ref("Node", "", "<NODE>") if len(nodes) > 1 else nodes[0].ref
        unknown = ("<NODE>: a node that really is what the label says",) if len(nodes) > 1 else ()
        yield Mend(f"Or label a node with {wanted}, if one is meant to have it",
                   (Patch(target, tuple(Edit(("metadata", "labels", key), value) for key, value in lacking.items())),),
                   unknown=unknown)  # fmt: skip


def _static(state: State, at: Ref) -> str:
    found = fit.blocked_workload(state, at)
    return found.by if found else ""


def expression(each: fit.Spec) -> str:
    values = ", ".join(str(value) for value in each.get("values") or ())
    return f"{each.get('key')} {each.get('operator')} {values}".strip()


@cause("scheduling/node-affinity-mismatch", "pod-unscheduled", needs=needs,
       holds=lambda state, at: _static(state, at) == "affinity")  # fmt: skip
def node_affinity_mismatch(state: State, symptom: Symptom) -> Iterable[Finding]:
    found = waiting(state, symptom, "affinity")
    if not found:
        return
    pod, why = found
    workload = workload_of(state, symptom.at)
    terms = fit.required_terms(pod.spec)
    asked = " or ".join(
        " and ".join(
            expression(each) for each in (*(term.get("matchExpressions") or ()), *(term.get("matchFields") or ()))
        )
        for term in terms
    )
    both = ", together with its nodeSelector" if pod.spec.get("nodeSelector") else ""
    yield Finding(
        "scheduling/node-affinity-mismatch", workload, sure(why),
        f"{workload.short} requires by node affinity {asked}{both}, which no node satisfies",
        supports=(field(workload, f"required nodeAffinity: {asked}"),
                  listed("Node", "", f"of {len(why.nodes)} nodes none satisfies {asked}") if why.nodes else field(pod, why.said),
                  *quoted(state, pod)),
        mends=tuple(_affinity_mends(state, workload, pod, why.nodes)),
    )  # fmt: skip


def _affinity_mends(state: State, workload: Ref, pod: Object, nodes: Sequence[Object]) -> Iterator[Mend]:
    path = (*spec_path(workload.kind), *NODE_AFFINITY)
    for number, term in enumerate(fit.required_terms(pod.spec)):
        failing = [
            (index, each) for index, each in enumerate(term.get("matchExpressions") or ())
            if not any(fit.term_matches({"matchExpressions": [each]}, node) for node in nodes)
        ]  # fmt: skip
        if len(failing) != 1 or failing[0][1].get("operator") != "In" or not nodes:
            continue
        index, each = failing[0]
        have = [node.labels[each["key"]] for node in nodes if each["key"] in node.labels]
        value = near((each.get("values") or [""])[0], have)
        if value:
            at = (*path, "nodeSelectorTerms", number, "matchExpressions", index, "values")
            yield Mend(f"Accept {each['key']}={value}, which nodes have",
                       (set_field(workload, *at, value=[value]),), risk="medium")  # fmt: skip
            break
    yield Mend("Do not require it of the node", (remove_field(workload, *path),), risk="medium")


# -- taints and cordons -----------------------------------------------------------------------------------------------


def as_text(taint: fit.Spec) -> str:
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint.get('key')}{value}:{taint.get('effect')}"


def _passed_by(state: State, symptom: Symptom) -> Iterator[Finding]:
    """A node that a DaemonSet would serve but for a taint: no pod is even made for it, so nothing waits."""
    owner, node = state.find(symptom.at), state.find(ref("Node", "", symptom.note))
    if owner is None or node is None:
        return
    taints = fit.untolerated(pod_spec(owner), node)
    text = ", ".join(as_text(taint) for taint in taints)
    yield Finding(
        "scheduling/taint-not-tolerated", symptom.at, "proved",
        f"{symptom.at.short} runs no pod on {node.ref.name}, though its selectors admit that node: the taint {text} is not "
        "tolerated, and a DaemonSet makes no pod for such a node",
        supports=(field(node, f"spec.taints of {node.ref.name}: {text}"), field(owner, f"no toleration for {text}")),
        mends=tuple(_taint_mends(state, symptom.at, node, taints)),
    )  # fmt: skip


@cause("scheduling/taint-not-tolerated", "pod-unscheduled", "node-uncovered", needs=needs,
       holds=lambda state, at: _static(state, at) == "taint")  # fmt: skip
def taint_not_tolerated(state: State, symptom: Symptom) -> Iterable[Finding]:
    if symptom.kind == "node-uncovered":
        yield from _passed_by(state, symptom)
        return
    found = waiting(state, symptom, "taint")
    if not found:
        return
    pod, why = found
    workload = workload_of(state, symptom.at)
    if not why.nodes:
        yield Finding("scheduling/taint-not-tolerated", workload, sure(why),
                      f"every node that would fit {workload.short} has a taint that it does not tolerate",
                      supports=tuple(quoted(state, pod)))  # fmt: skip
        return
    node = min(why.nodes, key=lambda each: len(fit.untolerated(pod.spec, each)))
    taints = fit.untolerated(pod.spec, node)
    text = ", ".join(as_text(taint) for taint in taints)
    if all(is_leaving(taint) for each in why.nodes for taint in fit.untolerated(pod.spec, each)):
        return  # those nodes are being taken away: node/interrupted's
    yield Finding(
        "scheduling/taint-not-tolerated", workload, "proved",
        f"{names(why.nodes)} would fit {workload.short}, but the taint {text} is not tolerated by its pods",
        supports=(*(field(each, f"spec.taints of {each.ref.name}: "
                          + ", ".join(as_text(taint) for taint in fit.untolerated(pod.spec, each))) for each in why.nodes[:2]),
                  *quoted(state, pod), field(workload, f"no toleration for {text}")),
        mends=tuple(_taint_mends(state, workload, node, taints)),
    )  # fmt: skip


def _taint_mends(state: State, workload: Ref, node: Object, taints: Sequence[fit.Spec]) -> Iterator[Mend]:
    path = (*spec_path(workload.kind), "tolerations")
    wanted = [
        {"key": taint.get("key"), "operator": "Equal", "value": taint["value"], "effect": taint.get("effect")}
        if taint.get("value")
        else {"key": taint.get("key"), "operator": "Exists", "effect": taint.get("effect")}
        for taint in taints
    ]
    text = ", ".join(as_text(taint) for taint in taints)
    yield Mend(f"Tolerate {text}, if the pods belong on {node.ref.name}",
               (Patch(workload, tuple(Edit((*path, Append()), each) for each in wanted)),))  # fmt: skip
    rest = [taint for taint in node.spec.get("taints") or () if taint not in taints]
    yield Mend(f"Or take the taint {text} off {node.ref.name}, if it is no longer meant",
               (set_field(node.ref, "spec", "taints", value=rest),), risk="medium")  # fmt: skip


def _is_cordoned(state: State, at: Ref) -> bool:
    found = state.find(at)
    return at.kind == "Node" and found is not None and bool(found.spec.get("unschedulable"))


@cause("scheduling/node-cordoned", "pod-unscheduled", "node-closed", needs=needs, holds=_is_cordoned)
def node_cordoned(state: State, symptom: Symptom) -> Iterable[Finding]:
    if symptom.kind == "node-closed":
        if symptom.note == "cordoned":
            yield _cordoned(symptom.at, f"{symptom.at.name} is cordoned and takes no new pods", ())
        return
    found = waiting(state, symptom, "cordoned")
    if not found:
        return
    pod, why = found
    workload = workload_of(state, symptom.at)
    if not why.nodes:
        yield Finding("scheduling/node-cordoned", CLUSTER, sure(why), "every node that would fit is cordoned",
                      supports=tuple(quoted(state, pod)))  # fmt: skip
        return
    which = "is" if len(why.nodes) == 1 else "are"
    said = (f"{names(why.nodes)} {which} cordoned (unschedulable), and no other node fits {workload.short}")  # fmt: skip
    yield _cordoned(why.nodes[0].ref, said, tuple(quoted(state, pod)))


def _cordoned(node: Ref, says: str, more: tuple[Fact, ...]) -> Finding:
    return Finding(
        "scheduling/node-cordoned", node, "proved", says, supports=(field(node, "spec.unschedulable is true"), *more),
        mends=(Mend(f"Uncordon {node.name}", (remove_field(node, "spec", "unschedulable"),),
                    unknown=("whether the maintenance it was cordoned for is over",)),),
    )  # fmt: skip


@cause("scheduling/no-nodes", "pod-unscheduled", needs=needs)
def no_nodes(state: State, symptom: Symptom) -> Iterable[Finding]:
    found = waiting(state, symptom, "no-nodes")
    if not found:
        return
    pod, why = found
    says = (
        f"none of the {len(why.nodes)} nodes is Ready" if why.nodes else "the cluster has no node that could run a pod"
    )
    supports = [listed("Node", "", says), *quoted(state, pod)]
    supports += [field(node, f"node {node.ref.name}: {(node.condition('Ready') or {}).get('message') or 'not Ready'}")
                 for node in why.nodes[:2]]  # fmt: skip
    yield Finding("scheduling/no-nodes", CLUSTER, sure(why), says, supports=tuple(supports))


# -- volumes and gates ------------------------------------------------------------------------------------------------


def reach(volume: Object) -> str:
    terms = dig(volume.spec, "nodeAffinity", "required", "nodeSelectorTerms", otherwise=[])
    return " or ".join(" and ".join(expression(each) for each in term.get("matchExpressions") or ()) for term in terms)


@cause("scheduling/volume-node-affinity-conflict", "pod-unscheduled", needs=needs,
       holds=lambda state, at: _static(state, at) == "volume")  # fmt: skip
def volume_node_affinity(state: State, symptom: Symptom) -> Iterable[Finding]:
    found = waiting(state, symptom, "volume")
    if not found:
        return
    pod, why = found
    workload = workload_of(state, symptom.at)
    asked = [node for node in why.nodes if fit.selects(pod.spec, node) and fit.likes(pod.spec, node)]
    stuck = [volume for volume in fit.volumes_of(state, pod.spec, symptom.at.namespace)
             if not any(fit.volume_reaches(volume, node) for node in asked)]  # fmt: skip
    homes = [node for node in why.nodes if all(fit.volume_reaches(volume, node) for volume in stuck)]
    where = f"only reachable from {names(homes)}, where the pod may not run" if homes else "on no node of this cluster"
    volume = stuck[0] if stuck else None
    says = (
        f"{workload.short} mounts volume {volume.ref.name}, which needs a node with {reach(volume)}: {where}"
        if volume
        else f"the volume that {workload.short} mounts is bound to a node or zone where its pods may not run"
    )
    mends: list[Mend] = []
    path = spec_path(workload.kind)
    if homes and pod.spec.get("nodeSelector") and not any(fit.selects(pod.spec, node) for node in homes):
        mends.append(Mend(f"Let it run on {names(homes)}: take the nodeSelector away",
                          (remove_field(workload, *path, "nodeSelector"),), risk="medium"))  # fmt: skip
    elif homes and fit.required_terms(pod.spec):
        mends.append(Mend(f"Let it run on {names(homes)}: do not require another place",
                          (remove_field(workload, *path, *NODE_AFFINITY),), risk="medium"))  # fmt: skip
    else:
        mends.append(Mend("Bring back a node that has what the volume needs, or restore its data into a new volume",
                          unknown=("whether the data can be given up or restored cannot be known from the cluster",),
                          risk="high"))  # fmt: skip
    supports = [field(volume, f"nodeAffinity of volume {volume.ref.name}: {reach(volume)}")] if volume else []
    yield Finding("scheduling/volume-node-affinity-conflict", workload, sure(why), says,
                  supports=(*supports, *quoted(state, pod)), mends=tuple(mends), weight=0.2)  # fmt: skip


def _gated(state: State, at: Ref) -> bool:
    found = state.find(at)
    return at.kind == "Pod" and found is not None and bool(found.spec.get("schedulingGates"))


@cause("scheduling/gated", "pod-unscheduled", needs=owners, holds=_gated)
def gated(state: State, symptom: Symptom) -> Iterable[Finding]:
    found = waiting(state, symptom, "gated")
    if not found:
        return
    pod, _ = found
    gates = ", ".join(each.get("name", "") for each in pod.spec["schedulingGates"])
    workload = workload_of(state, symptom.at)
    owner = state.find(workload)
    patches = [remove_field(pod.ref, "spec", "schedulingGates")]
    if workload.kind != "Pod" and owner is not None and pod_spec(owner).get("schedulingGates"):
        patches.append(remove_field(workload, *spec_path(workload.kind), "schedulingGates"))
    yield Finding(
        "scheduling/gated", pod.ref, "proved",
        f"{pod.ref.short} has the scheduling gate {gates}, so the scheduler does not look at it until the gate is lifted",
        supports=(field(pod, f"spec.schedulingGates: {gates}"),
                  field(pod, f"condition PodScheduled: {(pod.condition('PodScheduled') or {}).get('reason') or 'absent'}")),
        mends=(Mend(f"Lift the gate {gates}", tuple(patches), risk="medium",
                    unknown=(f"whether what {gates} waits for is done: its controller should lift it",)),),
        weight=0.5,
    )  # fmt: skip


# -- who else decides -------------------------------------------------------------------------------------------------


@cause("scheduling/preempted", "pod-unscheduled", "pod-evicted", "workload-short", needs=owners)
def preempted(state: State, symptom: Symptom) -> Iterable[Finding]:
    workload = workload_of(state, symptom.at)
    makers = {workload, *owner_refs(state, symptom.at)}
    pod = state.find(symptom.at)
    disrupted = (pod.condition("DisruptionTarget") or {}) if pod else {}
    events = [
        one for one in state.every_event
        if one.reason == "Preempted" and one.about.namespace == workload.namespace
        and (one.about.whole() == symptom.at.whole() or any(_made_by(one.about.name, maker) for maker in makers))
    ]  # fmt: skip
    supports = [told(one) for one in sorted(events, key=lambda one: one.last or state.now)[-2:]]
    if disrupted.get("reason") in ("PreemptionByScheduler", "PreemptionByKubeScheduler") and pod:
        supports.append(field(pod, f"condition DisruptionTarget: {disrupted.get('message') or disrupted['reason']}"))
    if not supports or (symptom.kind == "workload-short" and not events):
        return
    who = next((state.by_uid[word.strip(".,")] for one in events for word in one.message.split()
                if word.strip(".,") in state.by_uid), None)  # fmt: skip
    by = f" {workload_of(state, who.ref).short}" if who else ""
    level = who.spec.get("priorityClassName") if who else ""
    value = level or "<PRIORITY_CLASS>"
    unknown = (
        () if level else ("<PRIORITY_CLASS>: one that is at least as high as that of the pods that pushed it out",)
    )
    yield Finding(
        "scheduling/preempted", workload, "proved" if symptom.kind != "workload-short" else "likely",
        f"a pod of {workload.short} was removed to make room for a pod of higher priority{by}, and there is no room left",
        supports=tuple(supports),
        mends=(Mend("Give it a priority that is not pushed out",
                    (set_field(workload, *spec_path(workload.kind), "priorityClassName", value=value),),
                    risk="medium", unknown=unknown),),
        weight=0.6,
    )  # fmt: skip


def _made_by(name: str, maker: Ref) -> bool:
    """Whether a pod that is gone was one of a workload's, by how controllers name pods."""
    rest = name[len(maker.name) + 1 :] if name.startswith(f"{maker.name}-") else ""
    parts = 2 if maker.kind == "Deployment" else 1
    return bool(rest) and len(rest.split("-")) == parts


CAPPED = ("max node group size reached", "max cluster", "backoff after failed scale-up", "limits exceeded", "exceed limits",
          "exceeds limit", "not ready for scale-up", "max total", "no node group", "all available instance types exceed")  # fmt: skip


@cause("scheduling/autoscaler-blocked", "pod-unscheduled", needs=needs)
def autoscaler_blocked(state: State, symptom: Symptom) -> Iterable[Finding]:
    pod = state.find(symptom.at)
    why = fit.blocked(state, pod) if pod else None
    if pod is None or (why and not (why.by.startswith("short ") or why.by in ("pods", "no-nodes"))):
        return
    for one in state.events(symptom.at):
        karpenter = "karpenter" in one.component and one.reason in ("FailedScheduling", "Nominated")
        if one.reason != "NotTriggerScaleUp" and not (karpenter and one.warning):
            continue
        capped = next((words for words in CAPPED if words in one.message), "")
        if capped:
            yield Finding(
                "scheduling/autoscaler-blocked", workload_of(state, symptom.at), "proved",
                f"no node has room for {pod.ref.short}, and the autoscaler adds none: {one.message}",
                supports=(told(one), *quoted(state, pod)),
                mends=(Mend("Raise the upper bound of the node group or pool, or free room",
                            unknown=("the bound is set in the autoscaler or at the cloud provider",)),),
                weight=0.8,
            )  # fmt: skip
            return
