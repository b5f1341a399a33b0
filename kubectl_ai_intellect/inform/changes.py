"""What changed, latest first: rollouts with their differences, written fields, new objects, controllers' acts."""

from __future__ import annotations

import re
from datetime import datetime

from kubectl_ai_intellect.inform.tables import Question, age, some, span, table, unread
from kubectl_ai_intellect.kube.refs import Ref
from kubectl_ai_intellect.report import Table
from kubectl_ai_intellect.state.history import Change, changes
from kubectl_ai_intellect.state.relations import Relation, near, owner_refs, pods_of, workload_of

_SINCE_ROLLOUT = re.compile(
    r"\b(?:since|after|with) (?:the |my |our )?(?:last |latest |new )?(?:deploy\w*|release|rollout|update|upgrade)\b"
)
_READ = ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "ConfigMap", "Secret", "Service", "Event")
_MOST = 40


def changed(question: Question) -> Table:
    state = question.state
    if not any(state.all(kind, question.namespace or None).complete for kind in _READ[:7]):
        return Table(status="declined", text="; ".join(unread(state, _READ[:7], question.namespace)))
    places = _places(question)
    found = [
        each
        for each in changes(state, None, question.namespace or None)
        if places is None or each.object in places
    ]  # fmt: skip
    start, told = _start(question, found)
    if start is not None:
        found = [each for each in found if each.at >= start]
    rows = [
        [each.object.namespace, age(state, each.at), each.at.strftime("%Y-%m-%d %H:%M:%S"), each.object.short, each.what, each.by]
        for each in found
    ]  # fmt: skip
    text = f"{some(len(found), 'change')} {question.where}{told}"
    if found:
        text += f"; the latest, {age(state, found[0].at)} ago: {found[0].object.short} {found[0].what}"
    gaps = [
        *_onset(question, found, places),
        *unread(state, [kind for kind in _READ if kind != "Event"], question.namespace),
    ]
    columns = ["NAMESPACE", "AGO", "AT", "OBJECT", "CHANGE", "BY"]
    return table(text, columns, rows, _command(question), gaps=gaps, limit=_MOST)


def _command(question: Question) -> str:
    target = question.target
    if target is not None and target.kind in ("Deployment", "StatefulSet", "DaemonSet"):
        return f"kubectl rollout history {target.kind.lower()}/{target.name} {question.flag}"
    return f"kubectl get events {question.flag} --sort-by=.lastTimestamp"


def _places(question: Question) -> set[Ref] | None:
    """The objects whose change is a change of the one asked about: itself, its owners, what it mounts, its nodes."""
    state, target = question.state, question.target
    if target is None or target.kind == "Namespace":
        return None
    places = {target, workload_of(state, target), *owner_refs(state, target)}
    for pod in question.pods() or ([found] if (found := state.find(target)) else []):
        places |= {each.whole() for each in near(state, pod.ref, Relation.MOUNTS)}
        places |= set(near(state, pod.ref, Relation.RUNS_ON))
    places |= {each.whole() for each in near(state, target, Relation.MOUNTS)}
    if target.kind == "Service":
        places |= {workload_of(state, pod.ref) for pod in question.pods()}
    places |= {pod.ref for pod in pods_of(state, target)}
    return places


def _start(question: Question, found: list[Change]) -> tuple[datetime | None, str]:
    """From when on changes are asked for, and the words for it."""
    since = question.asked.since
    if since is not None:
        return question.state.now - since, f" in the last {span(since)}"
    if _SINCE_ROLLOUT.search(question.text):
        last = next((each for each in found if each.what.startswith("revision ")), None)
        if last is not None:
            return last.at, f" since the last rollout ({last.object.short}, {age(question.state, last.at)} ago)"
    return None, ""


def _onset(question: Question, found: list[Change], places: set[Ref] | None) -> list[str]:
    """When the trouble that is there now began, and which change came last before it."""
    from kubectl_ai_intellect.causes.symptoms import derive

    state, namespace = question.state, question.namespace
    times = [
        (each.since, each)
        for each in derive(state)
        if each.since and (not namespace or each.at.namespace == namespace)
        and (places is None or each.at.whole() in places or workload_of(state, each.at) in places)
    ]  # fmt: skip
    if not times:
        return []
    began, first = min(times, key=lambda each: each[0])
    before = next((each for each in found if each.at <= began and each.object.kind != "Node"), None)
    text = f"the trouble that is there now began {age(state, began)} ago ({first.kind} at {first.at.short})"
    return [text + (f", {span(began - before.at)} after {before.object.short} {before.what}" if before else "")]


__all__ = ["changed"]
