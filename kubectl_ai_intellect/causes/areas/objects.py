"""Objects and namespaces that do not go away."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from kubectl_ai_intellect.causes.base import Fact, Finding, Mend, Symptom, cause
from kubectl_ai_intellect.causes.facts import field
from kubectl_ai_intellect.causes.needs import node_reads
from kubectl_ai_intellect.kube.refs import KNOWN, Ref, Resource, ref
from kubectl_ai_intellect.kube.source import Object, Read, dig, get_of, list_of
from kubectl_ai_intellect.state.edits import Patch, remove_field, set_field
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import containers, is_finished
from kubectl_ai_intellect.state.relations import WORKLOADS, Relation, near, workload_of

_REMAINING = re.compile(r"([a-z0-9.-]+) has (\d+) resource instances?")
_FINALIZERS = re.compile(r"(\S+) in (\d+) resource instances?")
IN_USE = {
    "kubernetes.io/pvc-protection": "it is still used by a pod",
    "kubernetes.io/pv-protection": "it is still bound to a claim",
}
WAITING = {
    "foregroundDeletion": "it waits until everything that it owns is gone",
    "orphan": "what it owns is being let go",
}


# -- finalizers ------------------------------------------------------------------------------------------------------


def _finalizers(found: Object | None) -> list[str]:
    return list(found.meta.get("finalizers") or ()) if found and found.deleting else []


def _stuck(state: State, at: Ref) -> bool:
    found = state.find(at)
    return found is not None and found.ref.kind != "Namespace" and bool(_finalizers(found))


@cause("object/stuck-finalizer", "deletion-stuck", "pod-stuck-terminating", holds=_stuck)
def stuck_finalizer(state: State, symptom: Symptom) -> Iterable[Finding]:
    found = state.find(symptom.at)
    names = _finalizers(found)
    if found is None or found.ref.kind == "Namespace" or not names:
        return
    users = _users(state, found) if set(names) & set(IN_USE) else []
    why = next((IN_USE[name] for name in names if name in IN_USE), None) or next(
        (WAITING[name] for name in names if name in WAITING), None)  # fmt: skip
    if users:
        why = f"{', '.join(each.name for each in users[:3])} still uses it"
    minutes = int((state.now - (found.deleting or state.now)).total_seconds() // 60)
    facts = [
        field(found, f"deletionTimestamp is {found.meta.get('deletionTimestamp')}, finalizers are {', '.join(names)}")
    ]
    facts += [field(each, f"{each.short} uses {found.ref.name}") for each in users[:2]]
    yield Finding(
        "object/stuck-finalizer", found.ref, "proved",
        f"{found.ref.short} was deleted {minutes} min ago and waits for its finalizer {', '.join(names)}: "
        + (why or "whoever should remove it does not"),
        supports=tuple(facts), mends=tuple(_released(state, found, names, users)), since=found.deleting,
    )  # fmt: skip


def _users(state: State, found: Object) -> list[Ref]:
    pods = [state.find(each) for each in near(state, found.ref, Relation.MOUNTS, back=True)]
    return [pod.ref for pod in pods if pod and not is_finished(pod)]


def _released(state: State, found: Object, names: list[str], users: list[Ref]) -> Iterator[Mend]:
    if users:
        for owner in dict.fromkeys(workload_of(state, each) for each in users):
            if owner.kind == "Pod":
                yield Mend(f"Delete the pod that uses it, {owner.name}", (Patch(owner, action="delete"),), risk="high")
            elif owner.kind in WORKLOADS - {"DaemonSet", "Job", "CronJob"}:
                yield Mend(
                    f"Stop what uses it, {owner.short}", (set_field(owner, "spec", "replicas", value=0),), risk="high"
                )
        return
    foreign = [name for name in names if name not in IN_USE]
    if foreign and foreign != ["foregroundDeletion"]:
        yield Mend(
            f"If the controller that keeps {', '.join(foreign)} is gone for good, take the finalizer out; else bring it back: "
            "what it would have cleaned up stays behind",
            (remove_field(found.ref, "metadata", "finalizers"),), risk="high",
        )  # fmt: skip


# -- namespaces ------------------------------------------------------------------------------------------------------


def _plural(word: str) -> Resource | None:
    """`widgets.example.com` or `pods.`: the known kind that it means."""
    plural, _, group = word.partition(".")
    return next((each for each in KNOWN.values() if each.plural == plural and each.group == group.rstrip(".")), None)


def _remaining(namespace: Object) -> list[str]:
    message = (namespace.condition("NamespaceContentRemaining") or {}).get("message") or ""
    return [word.rstrip(".") for word, _ in _REMAINING.findall(message)]


def _namespace_reads(state: State, symptom: Symptom) -> Iterator[Read]:
    """What is left in the namespace: first which kind a plural means, then the objects of that kind."""
    found = state.find(symptom.at)
    if found is None or found.ref.kind != "Namespace":
        return
    for word in _remaining(found)[:6]:
        resource = _plural(word)
        if resource is not None:
            yield list_of(resource.kind, found.ref.name, group=resource.group)
            continue
        definition = ref("CustomResourceDefinition", "", word)
        yield get_of(definition)
        known = state.find(definition)
        if known is not None:
            yield list_of(dig(known.spec, "names", "kind"), found.ref.name, group=known.spec.get("group"))
    if (found.condition("NamespaceDeletionDiscoveryFailure") or {}).get("status") == "True":
        yield list_of("APIService")


def _left(state: State, namespace: str) -> list[Object]:
    return [each for each in state.objects if each.ref.namespace == namespace and each.deleting and _finalizers(each)]


def _namespace_holds(state: State, at: Ref) -> bool:
    found = state.find(at)
    if found is None or found.ref.kind != "Namespace" or not found.deleting:
        return False
    own = bool(found.meta.get("finalizers"))
    return own or bool(_left(state, found.ref.name))


@cause("namespace/stuck-terminating", "deletion-stuck", needs=_namespace_reads, holds=_namespace_holds)
def namespace_stuck(state: State, symptom: Symptom) -> Iterable[Finding]:
    inside = ref("Namespace", "", symptom.at.namespace) if symptom.at.namespace else symptom.at
    found = state.find(inside)
    if found is None or found.ref.kind != "Namespace" or found.deleting is None:
        return
    bad = [each for each in found.status.get("conditions") or () if each.get("status") == "True"]
    failing = [each for each in bad if each.get("type") in ("NamespaceDeletionDiscoveryFailure",
               "NamespaceDeletionGroupVersionParsingFailure", "NamespaceDeletionContentFailure")]  # fmt: skip
    own: list[str] = list(found.meta.get("finalizers") or [])
    left = _left(state, found.ref.name)
    facts: list[Fact] = [field(found, f"{each.get('type')}: {each.get('message')}") for each in (failing or bad)[:3]]
    facts += [field(each, f"{each.ref.short} keeps finalizers {', '.join(_finalizers(each))}") for each in left[:2]]
    if own:
        facts.append(field(found, f"the namespace itself keeps finalizers {', '.join(own)}"))
    apis = _unserved(state) if failing else []
    yield Finding(
        "namespace/stuck-terminating", found.ref, "likely" if (apis and not left and not own) or not (left or own or bad) else "proved",
        f"namespace {found.ref.name} is being deleted and cannot be emptied: {_why(failing, left, own, bad)}",
        supports=tuple(facts) or (field(found, "status.phase is Terminating"),),
        mends=tuple(_emptied(found, left, own)), since=found.deleting, weight=0.3,
    )  # fmt: skip


def _unserved(state: State) -> list[Object]:
    return [each for each in state.all("APIService") if (each.condition("Available") or {}).get("status") == "False"]


def _why(failing: list[dict[str, str]], left: list[Object], own: list[str], bad: list[dict[str, str]]) -> str:
    if failing and not left:
        return failing[0].get("message") or failing[0].get("reason") or ""
    if left:
        return "; ".join(
            f"{each.ref.short} waits for its finalizer {', '.join(_finalizers(each))}" for each in left[:3]
        )
    if own:
        return f"its own finalizer {', '.join(own)} is not removed"
    said = [each.get("message") or "" for each in bad if "Remaining" in (each.get("type") or "")]
    return "; ".join(said[:2]) or "something in it remains"


def _emptied(found: Object, left: list[Object], own: list[str]) -> Iterator[Mend]:
    patches = [remove_field(each.ref, "metadata", "finalizers") for each in left[:10]]
    if own:
        patches.append(remove_field(found.ref, "metadata", "finalizers"))
    if patches:
        names = ", ".join(each.ref.short for each in left[:3]) or found.ref.short
        yield Mend(f"If the controller behind it is gone for good, take the finalizers of {names} out; else bring it back: "
                   "what it would have cleaned up stays behind", tuple(patches), risk="high")  # fmt: skip


# -- pods that do not end --------------------------------------------------------------------------------------------


def _node_reads(state: State, symptom: Symptom) -> Iterator[Read]:
    found = state.find(symptom.at)
    name = found.spec.get("nodeName") if found else None
    if name:
        yield from node_reads(ref("Node", "", name))


@cause("object/stuck-terminating", "pod-stuck-terminating", "deletion-stuck", needs=_node_reads)
def stuck_terminating(state: State, symptom: Symptom) -> Iterable[Finding]:
    found = state.find(symptom.at)
    if found is None or found.ref.kind == "Namespace" or _finalizers(found):
        return
    name = found.spec.get("nodeName") if found.ref.kind == "Pod" else None
    node = ref("Node", "", name) if name else None
    known = state.find(node) if node else None
    ready = known is not None and (known.condition("Ready") or {}).get("status") == "True"
    gone = node is not None and state.absent(node)
    overdue = int((state.now - (found.deleting or state.now)).total_seconds())
    running = [each.name for each in containers(found) if each.running is not None] if found.ref.kind == "Pod" else []
    facts = [field(found, f"deletionTimestamp is {found.meta.get('deletionTimestamp')}, no finalizers"
                   + (f"; still running: {', '.join(running)}" if running else ""))]  # fmt: skip
    if known is not None:
        facts.append(field(known, f"{known.ref.short} is {'Ready' if ready else 'not Ready'}"))
    elif gone and node is not None:
        facts.append(field(node, f"{node.short} does not exist"))
    where = f"its node {name} no longer exists" if gone else (
        f"the kubelet of {name} does not confirm its end" if name else "nobody confirms its end")  # fmt: skip
    yield Finding(
        "object/stuck-terminating", found.ref, "proved" if gone or ready or known is None else "likely",
        f"{found.ref.short} should have ended {overdue} s ago and has no finalizers: {where}"
        + (f"; {', '.join(running)} still runs" if running and not gone else ""),
        supports=tuple(facts),
        mends=(Mend("Take it out of the API without waiting for the node (surely stopped first, if it may exist only once)",
                    (Patch(found.ref, action="delete", body="force"),), kind="mend" if gone else "stopgap", risk="high"),)
        if found.ref.kind == "Pod" else (),
        weight=0.0 if gone or ready else -0.3, since=found.deleting,
    )  # fmt: skip
