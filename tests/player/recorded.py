"""A case file as a world: what was recorded is served, what was refused is refused again, the rest is unknown.

A server may not say "not found" of what nobody looked for: it answers 503 and says that it was not recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kubectl_ai_intellect.kube.case.model import Case, RecordedList
from kubectl_ai_intellect.kube.refs import KNOWN, Resource
from tests.player.faults import Fault
from tests.player.world import METRICS, Container, Failure, World

CODES = {"forbidden": 403, "failed": 500, "not-served": 404}


def world_of(case: Case) -> tuple[World, list[Fault]]:
    """What the case holds, and the refusals that its recording met."""
    metrics = any(entry.group == METRICS and not entry.unread for entry in case.lists)
    served: dict[tuple[str, str], Resource] = {key: each for key, each in KNOWN.items() if key[0] != METRICS or metrics}
    served |= {(each.group, each.kind): each for each in case.resources}
    for entry in case.lists:
        if entry.unread and entry.unread.why == "not-served":
            served.pop((entry.group, entry.kind), None)
    scopes = _scopes(case.lists, served)
    world = World(
        objects=_objects(case.lists, served),
        resources=list(served.values()),
        logs=_texts(case, previous=False),
        previous=_texts(case, previous=True),
        version={"major": "1", "minor": _minor(case.server_version), "gitVersion": case.server_version},
        now=case.recorded_at,
        scopes=scopes | {(*_key(served, ref.group, ref.kind), ref.namespace, ref.name) for ref in case.absent},
    )
    return world, list(_faults(case, served))


def _minor(version: str) -> str:
    parts = version.split(".")
    return parts[1] if len(parts) > 1 else ""


def _key(served: Mapping[tuple[str, str], Resource], group: str, kind: str) -> tuple[str, str]:
    resource = served.get((group, kind))
    return (group, resource.plural if resource else kind.lower())


def _objects(
    lists: Iterable[RecordedList], served: Mapping[tuple[str, str], Resource]
) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
    """Each object once, in the fullest form that was recorded."""
    found: dict[tuple[str, str], dict[tuple[str, str], Mapping[str, Any]]] = {}
    for entry in sorted(lists, key=lambda entry: not entry.partial):
        for item in entry.items:
            meta = item["metadata"]
            place = (meta.get("namespace", ""), meta["name"])
            found.setdefault(_key(served, entry.group, entry.kind), {})[place] = item
    return {key: list(items.values()) for key, items in found.items()}


def _scopes(
    lists: Iterable[RecordedList], served: Mapping[tuple[str, str], Resource]
) -> frozenset[tuple[str, str, str, str]]:
    """What was looked for in whole: a kind in a namespace, or one name (an empty one is all)."""
    whole: set[tuple[str, str, str, str]] = set()
    for entry in lists:
        name = entry.fields.removeprefix("metadata.name=") if entry.fields.startswith("metadata.name=") else ""
        narrowed = entry.labels or (entry.fields and (not name or "," in name))
        if entry.complete and not entry.unread and not narrowed:
            whole.add((*_key(served, entry.group, entry.kind), entry.namespace, name))
    return frozenset(whole)


def _texts(case: Case, *, previous: bool) -> dict[Container, str | Failure]:
    texts: dict[Container, str | Failure] = {}
    for log in case.logs:
        if log.previous is previous:
            failure = Failure(CODES.get(log.unread.why, 500), log.unread.message) if log.unread else None
            texts[log.namespace, log.pod, log.container] = failure or log.text
    return texts


def _faults(case: Case, served: Mapping[tuple[str, str], Resource]) -> Iterable[Fault]:
    for entry in case.lists:
        if entry.unread and entry.unread.why in ("forbidden", "failed"):
            group, plural = _key(served, entry.group, entry.kind)
            code = CODES[entry.unread.why]
            where = entry.namespace or None
            yield Fault("status", plural, group, where, code=code, message=entry.unread.message)


__all__ = ["world_of"]
