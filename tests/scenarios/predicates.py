"""What must be seen before a scenario counts as staged: an event, a condition, a value, a log line."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping
from typing import Any

from tests.scenarios.cluster import Json, Reader

CLUSTER_SCOPED_EVENTS = "default"
"""The namespace that events about nodes and other objects without a namespace are kept in."""


def unseen(predicates: Iterable[Mapping[str, Any]], reader: Reader, namespace: str) -> list[str]:
    """The predicates that do not hold now, in words."""
    cached = _Once(reader)
    return [describe(each) for each in predicates if not _holds(each, cached, namespace)]


def describe(predicate: Mapping[str, Any]) -> str:
    ((kind, body),) = predicate.items()
    details = ", ".join(f"{key} {value!r}" for key, value in body.items() if key != "of")
    return f"{kind} of {body['of']}: {details}"


class _Once:
    """One look: each list is read once, however many predicates ask for it."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._lists: dict[tuple[str, str], list[Json]] = {}

    def objects(self, kind: str, namespace: str) -> list[Json]:
        key = (kind, namespace)
        if key not in self._lists:
            self._lists[key] = self._reader.objects(kind, namespace)
        return self._lists[key]

    def log(self, namespace: str, pod: str, container: str, previous: bool) -> str:
        return self._reader.log(namespace, pod, container, previous)

    def named(self, on: str, namespace: str) -> list[Json]:
        kind, _, pattern = on.partition("/")
        found = self.objects(kind, namespace)
        return [each for each in found if fnmatch.fnmatchcase(each["metadata"]["name"], pattern)]


def _holds(predicate: Mapping[str, Any], look: _Once, home: str) -> bool:
    ((kind, body),) = predicate.items()
    namespace = body.get("namespace", home)
    match kind:
        case "event":
            return any(_event(each, body) for each in look.objects("Event", namespace))
        case "condition":
            return any(_condition(each, body) for each in look.named(body["of"], namespace))
        case "value":
            return any(_value(each, body) for each in look.named(body["of"], namespace))
        case "log":
            return any(_log(each, body, look, namespace) for each in look.named(body["of"], namespace))
        case "count":
            return len(look.named(body["of"], namespace)) == body["is"]
        case _:
            raise ValueError(f"unknown predicate {kind}")


def _event(event: Json, body: Mapping[str, Any]) -> bool:
    kind, _, pattern = body["of"].partition("/")
    about = event.get("involvedObject") or event.get("regarding") or {}
    return (
        about.get("kind") == kind
        and fnmatch.fnmatchcase(about.get("name", ""), pattern)
        and body.get("reason", event.get("reason")) == event.get("reason")
        and bool(re.search(body.get("message", ""), event.get("message") or event.get("note") or ""))
    )


def _condition(each: Json, body: Mapping[str, Any]) -> bool:
    return any(
        condition.get("type") == body["type"]
        and condition.get("status") == body["status"]
        and body.get("reason", condition.get("reason")) == condition.get("reason")
        and bool(re.search(body.get("message", ""), condition.get("message") or ""))
        for condition in (each.get("status") or {}).get("conditions") or ()
    )


def _value(each: Json, body: Mapping[str, Any]) -> bool:
    found = values(each, body["path"])
    if body.get("absent"):
        return not found
    if "equals" in body:
        return body["equals"] in found
    if "at_least" in body:
        return any(isinstance(value, int | float) and value >= body["at_least"] for value in found)
    return any(re.search(body["matches"], str(value)) for value in found)


def values(each: Any, path: str) -> list[Any]:
    """What lies at a path of keys, `[n]` and `[*]`: `status.containerStatuses[*].restartCount`."""
    found = [each]
    for key, index in re.findall(r"([^.\[\]]+)|\[([^\]]+)\]", path):
        found = [value for one in found for value in _step(one, key, index)]
    return [value for value in found if value is not None]


def _step(each: Any, key: str, index: str) -> list[Any]:
    if key:
        return [each[key]] if isinstance(each, dict) and key in each else []
    if index.startswith("'"):
        return _step(each, index.strip("'"), "")
    if not isinstance(each, list):
        return []
    return each if index == "*" else each[int(index) :][:1]


def _log(pod: Json, body: Mapping[str, Any], look: _Once, namespace: str) -> bool:
    """In this run's log or the run's before, unless one of them is asked for: a crash loop's lines move over."""
    container = body.get("container") or pod["spec"]["containers"][0]["name"]
    runs = [body["previous"]] if "previous" in body else [False, True]
    texts = (look.log(namespace, pod["metadata"]["name"], container, previous) for previous in runs)
    return any(re.search(body["matches"], text, re.MULTILINE) for text in texts)


__all__ = ["describe", "unseen", "values"]
