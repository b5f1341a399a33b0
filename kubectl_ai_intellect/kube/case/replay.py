"""A case as a Source: answers reads from what was recorded, and says what was not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from kubectl_ai_intellect.kube.arrival import without_secret_values
from kubectl_ai_intellect.kube.case.model import Case, Reason, RecordedList, RecordedLog, load
from kubectl_ai_intellect.kube.case.selection import fielded, labelled, terms
from kubectl_ai_intellect.kube.refs import KNOWN, Resource
from kubectl_ai_intellect.kube.source import Fetched, Read, Unread

Json = Any
Item = Mapping[str, Json]


class CaseSource:
    """Answers as the cluster would have, at the time of the recording."""

    def __init__(self, case: Case | str | Path) -> None:
        self.case = case if isinstance(case, Case) else load(case)
        self._lists: dict[tuple[str, str], list[RecordedList]] = defaultdict(list)
        self._items: dict[tuple[str, str], dict[tuple[str, str], tuple[Item, bool]]] = defaultdict(dict)
        for entry in self.case.lists:
            self._remember(entry)
        self._absent = frozenset(self.case.absent)
        self._logs: dict[tuple[str, str, str, bool], RecordedLog] = {}
        for log in sorted(self.case.logs, key=lambda log: len(log.text)):
            self._logs[log.namespace, log.pod, log.container, log.previous] = log

    @property
    def context(self) -> str:
        return self.case.context

    @property
    def namespace(self) -> str:
        return self.case.namespace

    @property
    def server_version(self) -> str:
        return self.case.server_version

    def now(self) -> datetime:
        return self.case.recorded_at

    def resources(self) -> Sequence[Resource]:
        return [*KNOWN.values(), *self.case.resources]

    def fetch(self, reads: Sequence[Read]) -> list[Fetched]:
        kinds: Mapping[str, Callable[[Read], Fetched]] = {
            "list": self._list,
            "get": self._get,
            "logs": self._log,
            "can-i": self._can_i,
        }
        return [kinds[read.what](read) for read in reads]

    def _remember(self, entry: RecordedList) -> None:
        """Index a list; of one object recorded twice, the fuller form counts."""
        key = (entry.group, entry.kind)
        resource = KNOWN.get(key) or next((r for r in self.case.resources if (r.group, r.kind) == key), None)
        version = resource.api_version if resource else (f"{entry.group}/v1" if entry.group else "v1")
        items: list[Item] = []
        for raw in entry.items:
            item: dict[str, Json] = {"apiVersion": version, "kind": entry.kind, **raw}
            if key == ("", "Secret"):
                item = without_secret_values(item, certificate=True)
            metadata = item["metadata"]
            place = (metadata.get("namespace") or "", metadata.get("name") or "")
            before = self._items[key].get(place)
            fuller = before is None or (before[1], len(item)) >= (entry.partial, len(before[0]))
            if before is None or (fuller and not (entry.partial and not before[1])):
                self._items[key][place] = (item, entry.partial)
            items.append(item)
        self._lists[key].append(
            RecordedList(
                entry.group, entry.kind, entry.namespace, entry.labels, entry.fields, entry.complete,
                entry.partial, entry.unread, tuple(items),
            )
        )  # fmt: skip

    def _covering(self, read: Read, namespace: str) -> list[RecordedList]:
        """The recorded lists wide enough to hold every object that the read asks for."""
        labels, fields = terms(read.option("labels")), terms(read.option("fields"))
        partial_will_do = read.option("metadata") == "true" or (read.of.group, read.of.kind) == ("", "Secret")
        return [
            entry
            for entry in self._lists[read.of.group, read.of.kind]
            if entry.namespace in ("", namespace)
            and terms(entry.labels) <= labels
            and terms(entry.fields) <= fields
            and (partial_will_do or not entry.partial)
        ]

    def _list(self, read: Read) -> Fetched:
        covering = self._covering(read, read.of.namespace)
        known = [entry for entry in covering if entry.unread is None]
        whole = next((entry for entry in known if entry.complete), None)
        if whole is not None:
            return self._selected(read, whole.items, complete=True)
        if known:
            most = max(known, key=lambda entry: len(entry.items))
            return self._selected(read, most.items, complete=False)
        refused = next((entry.unread for entry in covering if entry.unread), None)
        if refused is not None:
            return _unread(read, refused)
        narrower = self._narrower(read)
        return _unread(read) if narrower is None else self._selected(read, narrower, complete=False)

    def _narrower(self, read: Read) -> Sequence[Item] | None:
        """What is known where only parts of what is asked were recorded."""
        if not any(entry.unread is None for entry in self._lists[read.of.group, read.of.kind]):
            return None
        namespace = read.of.namespace
        items = self._items[read.of.group, read.of.kind]
        found = [item for place, (item, _) in items.items() if namespace in ("", place[0])]
        return found or None

    def _selected(self, read: Read, items: Sequence[Item], *, complete: bool) -> Fetched:
        by_labels, by_fields = labelled(read.option("labels")), fielded(read.option("fields"))
        namespace = read.of.namespace
        chosen = tuple(
            item
            for item in items
            if (not namespace or (item["metadata"].get("namespace") or namespace) == namespace)
            and by_labels(item)
            and by_fields(item)
        )
        limit = int(read.option("limit", "0"))
        if limit and len(chosen) > limit:
            return Fetched(read, chosen[:limit], complete=False, requests=0)
        return Fetched(read, chosen, complete=complete, requests=0)

    def _get(self, read: Read) -> Fetched:
        of = read.of
        partial_will_do = read.option("metadata") == "true" or (of.group, of.kind) == ("", "Secret")
        found = self._items[of.group, of.kind].get((of.namespace, of.name))
        if found and (partial_will_do or not found[1]):
            return Fetched(read, (found[0],), requests=0)
        if of.whole() in self._absent:
            return Fetched(read, requests=0)
        options = (*read.options, ("fields", f"metadata.name={of.name}"))
        covering = self._covering(Read("list", of, options), of.namespace)
        if not found and any(entry.complete for entry in covering):
            return Fetched(read, requests=0)
        refused = next((entry.unread for entry in covering if entry.unread), None)
        return _unread(read, refused)

    def _log(self, read: Read) -> Fetched:
        of, previous = read.of, read.option("previous") == "true"
        log = self._logs.get((of.namespace, of.name, of.part, previous))
        if log is None and not of.part:
            own = [entry for key, entry in self._logs.items() if key[:2] == of[2:4] and key[3] == previous]
            log = own[0] if len(own) == 1 else None
        if log is None:
            return _unread(read)
        if log.unread:
            return _unread(read, log.unread)
        return Fetched(read, complete=log.complete, data=_tail(log, read).encode(), requests=0)

    def _can_i(self, read: Read) -> Fetched:
        of = read.of
        asked = (read.option("verb", "get"), of.group, of.kind, of.namespace, of.name, read.option("subresource"))
        for row in self.case.access:
            if asked == (row.verb, row.group, row.kind, row.namespace, row.name, row.subresource):
                return Fetched(read, allowed=row.allowed, requests=0)
        return _unread(read)


def _tail(log: RecordedLog, read: Read) -> str:
    tail = int(read.option("tail", "0"))
    return "".join(log.text.splitlines(keepends=True)[-tail:]) if tail else log.text


def _unread(read: Read, reason: Reason | None = None) -> Fetched:
    said = reason or Reason("unread", "not recorded in this case")
    return Fetched(read, complete=False, unread=Unread(read.of, said.why, said.message), requests=0)


__all__ = ["CaseSource"]
