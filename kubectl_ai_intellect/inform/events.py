"""Recent events, the latest first."""

from __future__ import annotations

from kubectl_ai_intellect.inform.tables import Question, age, some, table, unread
from kubectl_ai_intellect.report import Table
from kubectl_ai_intellect.state.events import Event
from kubectl_ai_intellect.state.relations import workload_of

_MOST = 50


def recent(question: Question) -> Table:
    """Events of the scope (or of an object and its pods), warnings alone where those are asked for."""
    state, namespace = question.state, question.namespace
    gaps = unread(state, ["Event"], namespace)
    found = [each for each in state.every_event if _about(question, each)]
    if gaps and not found:
        return Table(status="declined", text="; ".join(gaps))
    if "warning" in question.text:
        found = [each for each in found if each.warning]
    if question.asked.since is not None:
        start = state.now - question.asked.since
        found = [each for each in found if each.last and each.last >= start]
    found.sort(key=lambda each: (each.last or state.now, each.about), reverse=True)
    rows = [
        [each.about.namespace, age(state, each.last), each.type, each.reason, each.about.whole().short, each.count,
         " ".join(each.message.split())] for each in found
    ]  # fmt: skip
    warnings = sum(each.warning for each in found)
    text = f"{some(len(found), 'event')} {question.where}, {some(warnings, 'warning')}"
    if not found:
        text = f"no events {question.where} (the API server forgets them after an hour or so)"
    columns = ["NAMESPACE", "LAST SEEN", "TYPE", "REASON", "OBJECT", "COUNT", "MESSAGE"]
    target = question.target
    chosen = f" --field-selector=involvedObject.name={target.name}" if target else ""
    command = f"kubectl get events {question.flag} --sort-by=.lastTimestamp{chosen}"
    return table(text, columns, rows, command, gaps=gaps, limit=_MOST)


def _about(question: Question, told: Event) -> bool:
    target, about = question.target, told.about.whole()
    if target is None:
        return not question.namespace or about.namespace == question.namespace
    return about == target or workload_of(question.state, about) == target


__all__ = ["recent"]
