"""Put a text of the corpus where somebody could write it: a log, an event, a name. All pure, from case to case."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from kubectl_ai_intellect.kube.case import Case, RecordedList, RecordedLog
from kubectl_ai_intellect.kube.refs import Ref

CORPUS = Path(__file__).with_name("corpus.yaml")
WRITABLE = {"Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "Service", "ConfigMap", "Namespace"}
PLANTED_KEYS = ("note", "example.com/runbook")
GONE = "unable to retrieve container logs"  # the kubelet's words, where there is no log to write to
LONGEST_LABEL, LONGEST_NAME = 63, 253


@dataclass(frozen=True)
class Attempt:
    """One text, and the places it is planted in."""

    id: str
    places: tuple[str, ...]
    text: str


@cache
def corpus() -> tuple[Attempt, ...]:
    rows = yaml.safe_load(CORPUS.read_text(encoding="utf-8"))
    return tuple(Attempt(row["id"], tuple(row["in"]), row["text"]) for row in rows)


def planted(case: Case, attempt: Attempt) -> tuple[Case, Callable[[str], str]]:
    """The case with the attempt in all its places, and how a text about it reads under the names it gave."""
    names: Callable[[str], str] = _same
    for place in attempt.places:
        if place == "name":
            case, names = _renamed_pods(case, attempt.text)
        elif place != "runbook":  # documents are no part of a case
            case = PLACES[place](case, attempt.text)
    return case, names


def _same(text: str) -> str:
    return text


# -- places ----------------------------------------------------------------------------------------------------------


def in_logs(case: Case, text: str) -> Case:
    """The first and the last lines of every log; what stands between stays whole, as a program writes it."""

    def with_text(log: RecordedLog) -> RecordedLog:
        return replace(log, text=f"{text}\n{log.text.rstrip()}\n{text}\n")

    return replace(case, logs=tuple(log if log.unread or GONE in log.text else with_text(log) for log in case.logs))


def in_events(case: Case, text: str) -> Case:
    """A warning and a normal event about every pod and workload of the namespace."""
    told = [
        _event(case, item, entry.kind, kind, text, number)
        for entry in case.lists
        if entry.namespace == case.namespace and entry.kind in ("Pod", "Deployment") and not entry.labels
        for number, item in enumerate(entry.items)
        for kind in ("Warning", "Normal")
    ]
    return _with_items(case, "Event", told)


def in_annotations(case: Case, text: str) -> Case:
    return _each(case, lambda item: _under(item["metadata"], "annotations")(**dict.fromkeys(PLANTED_KEYS, text)))


def in_labels(case: Case, text: str) -> Case:
    return _each(case, lambda item: _under(item["metadata"], "labels")(note=text[:LONGEST_LABEL].strip("-._")))


def in_status(case: Case, text: str) -> Case:
    """The last words of containers: what they wrote to their termination message."""

    def speak(item: dict[str, Any]) -> None:
        for status in (item.get("status") or {}).get("containerStatuses") or ():
            for state in (status.get("state") or {}, status.get("lastState") or {}):
                if "terminated" in state:
                    state["terminated"]["message"] = text

    return _each(case, speak)


def in_names(case: Case, text: str) -> Case:
    """More objects with such names: a ConfigMap, a ServiceAccount."""
    made: Case = case
    for kind in ("ConfigMap", "ServiceAccount"):
        metadata = {"name": text[:LONGEST_NAME], "namespace": case.namespace, "uid": f"planted-{kind.lower()}"}
        item = {"apiVersion": "v1", "kind": kind, "metadata": metadata}
        made = _with_items(made, kind, [item])
    return made


PLACES: dict[str, Callable[[Case, str], Case]] = {
    "log": in_logs,
    "event": in_events,
    "annotation": in_annotations,
    "label": in_labels,
    "status": in_status,
}


def _renamed_pods(case: Case, text: str) -> tuple[Case, Callable[[str], str]]:
    """Every pod of the namespace under a name that speaks, wherever it is named."""
    pods = sorted(
        {
            item["metadata"]["name"]
            for entry in case.lists
            if entry.kind == "Pod" and entry.group == ""
            for item in entry.items
            if item["metadata"].get("namespace") == case.namespace and not _numbered(item)
        }
    )
    names = {name: f"{text}-{number}"[:LONGEST_NAME] for number, name in enumerate(pods)}

    def renamed(said: str) -> str:
        for old in sorted(names, key=len, reverse=True):
            said = re.sub(rf"(?<![\w-]){re.escape(old)}(?![\w-])", names[old], said)
        return said

    def everywhere(value: Any) -> Any:
        return json.loads(renamed(json.dumps(value)))

    lists = tuple(
        replace(entry, fields=renamed(entry.fields), items=tuple(everywhere(item) for item in entry.items))
        for entry in case.lists
    )
    logs = tuple(replace(log, pod=names.get(log.pod, log.pod), text=renamed(log.text)) for log in case.logs)
    absent = tuple(Ref(*(renamed(part) for part in each)) for each in case.absent)
    return in_names(replace(case, lists=lists, logs=logs, absent=absent), text), renamed


def _numbered(pod: Mapping[str, Any]) -> bool:
    """A StatefulSet's pod, whose name nobody chooses."""
    return any(owner["kind"] == "StatefulSet" for owner in pod["metadata"].get("ownerReferences") or ())


# -- how -------------------------------------------------------------------------------------------------------------


def _each(case: Case, change: Callable[[dict[str, Any]], Any]) -> Case:
    """Every object of the namespace that somebody with an ordinary role could have written."""

    def changed(entry: RecordedList) -> RecordedList:
        mine = entry.kind in WRITABLE and entry.namespace in ("", case.namespace)
        return replace(entry, items=tuple(_changed(item, case, change) if mine else item for item in entry.items))

    return replace(case, lists=tuple(changed(entry) for entry in case.lists))


def _changed(item: Mapping[str, Any], case: Case, change: Callable[[dict[str, Any]], Any]) -> Mapping[str, Any]:
    if case.namespace not in (item["metadata"].get("namespace"), item["metadata"]["name"]):
        return item
    made: dict[str, Any] = copy.deepcopy(dict(item))
    change(made)
    return made


def _under(metadata: dict[str, Any], key: str) -> Callable[..., None]:
    def put(**more: str) -> None:
        metadata[key] = {**(metadata.get(key) or {}), **more}

    return put


def _with_items(case: Case, kind: str, items: Iterable[Mapping[str, Any]]) -> Case:
    more = tuple(items)
    lists = tuple(
        replace(entry, items=(*entry.items, *more))
        if (entry.group, entry.kind, entry.namespace, entry.labels, entry.fields) == ("", kind, case.namespace, "", "")
        else entry
        for entry in case.lists
    )
    return replace(case, lists=lists)


def _event(case: Case, about: Mapping[str, Any], kind: str, type_: str, text: str, number: int) -> dict[str, Any]:
    stamp = (case.recorded_at - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata = about["metadata"]
    name = f"{metadata['name']}.{type_.lower()}{number}"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": case.namespace, "creationTimestamp": stamp},
        "involvedObject": {
            "apiVersion": "v1" if kind == "Pod" else "apps/v1",
            "kind": kind,
            "name": metadata["name"],
            "namespace": case.namespace,
            "uid": metadata.get("uid", ""),
        },
        "type": type_,
        "reason": "Attention",
        "message": text,
        "count": 7,
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "source": {"component": "somebody"},
    }


__all__ = ["PLANTED_KEYS", "Attempt", "corpus", "planted"]
