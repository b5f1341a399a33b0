"""Recordings changed: told in other words, with parts lost, two clusters in one. All pure, from case to case."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from kubectl_ai_intellect.kube.case import Case, RecordedList, RecordedLog, share
from kubectl_ai_intellect.kube.case.model import Reason
from kubectl_ai_intellect.kube.source import when

STAMP = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)")
EVENTS = {("", "Event"), ("events.k8s.io", "Event")}


# -- the same trouble, told otherwise: the verdict may not change -------------------------------------------------


def renamed(case: Case) -> tuple[Case, Callable[[str], str]]:
    """Everything under other names, and from `Kind/name` to what it is called now."""
    other = share(case)
    names: dict[str, str] = {}
    for was, now in zip(case.lists, other.lists, strict=True):
        for before, after in zip(was.items, now.items, strict=True):
            names[f"{was.kind}/{before['metadata']['name']}"] = f"{now.kind}/{after['metadata']['name']}"
    return other, lambda each: names.get(each, each)


def shuffled(case: Case, seed: str) -> Case:
    """Lists, their objects and logs in another order."""
    draw = random.Random(seed)

    def mixed(items: Iterable[Any]) -> tuple[Any, ...]:
        found = list(items)
        draw.shuffle(found)
        return tuple(found)

    lists = mixed(replace(entry, items=mixed(entry.items)) for entry in case.lists)
    return replace(case, lists=lists, logs=mixed(case.logs), access=mixed(case.access), absent=mixed(case.absent))


def shifted(case: Case, by: timedelta) -> Case:
    """The same at another time: every stamp in objects and logs, and the recording's clock."""

    def later(match: re.Match[str]) -> str:
        stamp = when(match.group())
        if stamp is None or stamp.year < 1980:
            return match.group()
        fraction = re.search(r"\.(\d+)", match.group())
        digits = len(fraction[1]) if fraction else 0
        text = (stamp + by).strftime("%Y-%m-%dT%H:%M:%S.%f")
        return (text[: 20 + digits].ljust(20 + digits, "0") if digits else text[:19]) + "Z"

    def moved(value: Any) -> Any:
        if isinstance(value, str):
            return STAMP.sub(later, value)
        if isinstance(value, Mapping):
            return {key: moved(below) for key, below in value.items()}
        if isinstance(value, list | tuple):
            return [moved(below) for below in value]
        return value

    return replace(
        case,
        recorded_at=case.recorded_at + by,
        lists=tuple(replace(entry, items=tuple(moved(item) for item in entry.items)) for entry in case.lists),
        logs=tuple(replace(log, text=moved(log.text)) for log in case.logs),
    )


# -- with parts lost: the verdict may become inconclusive, never another proved one ----------------------------------


def without_events(case: Case) -> Case:
    """As after an hour: the events have expired, so that no pod without one is young."""
    return replace(case, lists=tuple(
        replace(entry, items=()) if (entry.group, entry.kind) in EVENTS
        else replace(entry, items=tuple(map(_older, entry.items))) if entry.kind == "Pod" else entry
        for entry in case.lists
    ))  # fmt: skip


def _older(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same pod, made two hours earlier."""
    made = str(pod["metadata"].get("creationTimestamp") or "")
    if not made:
        return pod
    before = datetime.fromisoformat(made) - timedelta(hours=2)
    return {**pod, "metadata": {**pod["metadata"], "creationTimestamp": before.strftime("%Y-%m-%dT%H:%M:%SZ")}}


def without_logs(case: Case) -> Case:
    """As for one who may not read logs."""
    refused = Reason("forbidden", 'pods "log" is forbidden: cannot get resource "pods/log"')
    return replace(case, logs=tuple(replace(log, text="", complete=False, unread=refused) for log in case.logs))


def losable(case: Case) -> list[RecordedList | RecordedLog]:
    """The reads that say something: each could have failed."""
    lists = [entry for entry in case.lists if entry.items and entry.unread is None]
    return [*lists, *(log for log in case.logs if log.text and log.unread is None)]


def without(case: Case, read: RecordedList | RecordedLog) -> Case:
    """That one read never happened."""
    return replace(
        case,
        lists=tuple(entry for entry in case.lists if entry is not read),
        logs=tuple(log for log in case.logs if log is not read),
    )


# -- two in one ------------------------------------------------------------------------------------------------------


def merged(one: Case, two: Case) -> Case:
    """One cluster with the namespaces of both, at the time of the first."""
    other = shifted(two, one.recorded_at - two.recorded_at)
    absent = {*one.absent, *other.absent}
    lists = _united([*one.lists, *other.lists])
    present = {(e.group, e.kind, _place(i)) for e in lists for i in e.items}
    return replace(
        one,
        title="",
        lists=tuple(lists),
        resources=tuple(dict.fromkeys((*one.resources, *other.resources))),
        absent=tuple(ref for ref in absent if (ref.group, ref.kind, (ref.namespace, ref.name)) not in present),
        logs=(*one.logs, *other.logs),
        access=tuple(dict.fromkeys((*one.access, *other.access))),
    )


def _united(entries: Iterable[RecordedList]) -> list[RecordedList]:
    """Whole lists of a kind become one of the cluster; narrower ones stay as they are."""
    whole: dict[tuple[str, str], dict[tuple[str, str], Mapping[str, Any]]] = {}
    rest: list[RecordedList] = []
    for entry in entries:
        if entry.labels or entry.fields or entry.partial or entry.unread or not entry.complete:
            rest.append(entry)
        else:
            items = whole.setdefault((entry.group, entry.kind), {})
            items |= {_place(item): item for item in entry.items}
    return [*rest, *(RecordedList(group, kind, items=tuple(i.values())) for (group, kind), i in whole.items())]


def _place(item: Mapping[str, Any]) -> tuple[str, str]:
    return (item["metadata"].get("namespace") or "", item["metadata"]["name"])


__all__ = ["losable", "merged", "renamed", "shifted", "shuffled", "without", "without_events", "without_logs"]
