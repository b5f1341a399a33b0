"""Why this one and not the others: what tells pods that are well from their siblings that are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from kubectl_ai_intellect.causes.base import Fact
from kubectl_ai_intellect.causes.facts import field
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Object
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import containers, is_finished, is_ready
from kubectl_ai_intellect.state.relations import pods_of, workload_of

NAMED = 3
ZONE = "topology.kubernetes.io/zone"


def differences(state: State, target: Ref | None) -> list[Fact]:
    """Facts that tell the ill pods of a workload from its well ones; none where all fare alike."""
    if target is None:
        return []
    workload = workload_of(state, target)
    pods = [pod for pod in pods_of(state, workload) if not is_finished(pod)]
    ill = [pod for pod in pods if not is_ready(pod)]
    well = [pod for pod in pods if is_ready(pod)]
    if not ill or not well:
        return []
    found = list(_apart(state, ill, well))
    if found:
        return found
    text = f"{_names(ill)} and the ready {_names(well)} are declared alike and run on like nodes"
    return [Fact(text, ill[0].ref, field(ill[0], "").read)]


def _apart(state: State, ill: Sequence[Object], well: Sequence[Object]) -> Iterator[Fact]:
    for says, value in _traits(state):
        mine, theirs = {value(pod) for pod in ill}, {value(pod) for pod in well}
        if mine & theirs or "" in mine | theirs:
            continue
        verb = "has" if len(ill) == 1 else "have"
        yield field(
            ill[0],
            f"{_names(ill)} (not ready) {verb} {says} {_some(mine)}; the ready {_names(well)}: {_some(theirs)}",
        )


def _traits(state: State) -> list[tuple[str, Callable[[Object], str]]]:
    def zone(pod: Object) -> str:
        node = state.find(ref("Node", "", pod.spec.get("nodeName") or ""))
        return node.labels.get(ZONE, "") if node else ""

    return [
        ("the template", lambda pod: pod.labels.get("pod-template-hash") or pod.labels.get("controller-revision-hash") or ""),
        ("the images", lambda pod: ", ".join(sorted(each.image for each in containers(pod)))),
        ("the node", lambda pod: pod.spec.get("nodeName") or ""),
        ("the zone", zone),
        ("the ordinal", lambda pod: pod.labels.get("apps.kubernetes.io/pod-index") or ""),
    ]  # fmt: skip


def _names(pods: Sequence[Object]) -> str:
    more = f" and {len(pods) - NAMED} more" if len(pods) > NAMED else ""
    return ", ".join(pod.ref.short for pod in pods[:NAMED]) + more


def _some(values: set[str]) -> str:
    listed = sorted(values)
    return ", ".join(listed[:NAMED]) + (" ..." if len(listed) > NAMED else "")


__all__ = ["differences"]
