"""Information questions, answered as tables: what to read for one, and what it then says."""

from __future__ import annotations

from collections.abc import Callable

from kubectl_ai_intellect.inform import access, changes, depends, events, lists, pods, usage, workloads
from kubectl_ai_intellect.inform.tables import Question, pointed, table
from kubectl_ai_intellect.kube.refs import GROUP_OF, KNOWN
from kubectl_ai_intellect.kube.source import Read, list_of
from kubectl_ai_intellect.question import Asked, Resolution
from kubectl_ai_intellect.report import Table
from kubectl_ai_intellect.state.graph import State

Answerer = Callable[[Question], Table]

_ANSWERS: dict[str, Answerer] = {
    "changes": changes.changed,
    "errors-by-namespace": pods.errors_by_namespace,
    "count-not-ready": lists.count,
    "count": lists.count,
    "not-ready": lists.not_ready,
    "restarts": pods.restarts,
    "images": workloads.images,
    "who-can": access.who_can,
    "usage": usage.usage,
    "resources": workloads.resources,
    "on-node": pods.placed,
    "events": events.recent,
    "depends": depends.depends,
    "ready": lists.ready,
    "version": lists.version,
    "list": lists.listing,
}
_ABOUT_ONE = frozenset({"images", "resources", "ready", "depends", "on-node", "restarts", "usage"})
"""Questions that are usually about an object: one that is not found is said not to be."""


def needs(asked: Asked, namespace: str) -> list[Read]:
    """What is read for a question beyond the first look, before anybody knows what its names mean."""
    if asked.what == "who-can":
        return access.needs(asked, namespace)
    if asked.what == "usage":
        return usage.needs(asked, namespace)
    kinds: tuple[str, ...] = {
        "changes": ("ControllerRevision", "Secret"),
        "depends": ("Secret",),
        "version": ("Node",),
    }.get(asked.what, ())
    reads = [list_of(kind, namespace if _namespaced(kind) else "") for kind in kinds]
    if asked.kind and asked.kind in GROUP_OF and asked.what not in ("changes", "events"):
        reads.append(list_of(asked.kind, namespace if _namespaced(asked.kind) else ""))
    if asked.what == "version":
        reads.append(list_of("Pod", "kube-system", labels="component=kube-apiserver"))
    if namespace and (asked.kind == "Node" or asked.what == "on-node"):
        reads += [list_of("Pod", "", fields=f"spec.nodeName={name}") for name in asked.names if name in asked.sure][:1]
    return reads


def _namespaced(kind: str) -> bool:
    return KNOWN[GROUP_OF.get(kind, ""), kind].namespaced


def answer(state: State, asked: Asked, resolution: Resolution, namespace: str) -> Table:
    """The table that answers a question from what was read."""
    question = Question(state, asked, resolution, namespace)
    answerer = _ANSWERS.get(asked.what)
    if answerer is None:
        return Table(status="declined", text="no table answers that; ask for pods, images, events or what changed")
    if resolution.absent and asked.what not in ("who-can", "version"):
        return _absent(question)
    found = answerer(question)
    unknown = next((name for name in asked.names), "")
    if found.status == "answered" and asked.what in _ABOUT_ONE and question.target is None and unknown:
        if not resolution.namespace:
            return found.model_copy(update={"text": f'nothing is named "{unknown}"; {found.text}'})
    return found


def _absent(question: Question) -> Table:
    name, near = question.resolution.absent, list(question.resolution.near)
    where = f" in namespace {question.namespace}" if question.namespace else ""
    offer = f"; did you mean {', '.join(each.short for each in near)}?" if near else ""
    told = table(f'nothing named "{name}" exists{where}{offer}', [], [], f"kubectl get all {question.flag}")
    return told.model_copy(update={"status": "not_found", "near": [pointed(each) for each in near]})


__all__ = ["answer", "needs"]
