"""A Source that remembers what it was asked and what came back, to write it as a case."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from kubectl_ai_intellect.kube.case.compact import Redact, compacted
from kubectl_ai_intellect.kube.case.model import Access, Case, Reason, RecordedList, RecordedLog, save
from kubectl_ai_intellect.kube.refs import KNOWN, Ref, Resource
from kubectl_ai_intellect.kube.source import Fetched, Read, Source

Json = Any


class Recorder:
    """Passes reads on and keeps the answers."""

    def __init__(self, source: Source, redact: Redact) -> None:
        self._source = source
        self._redact = redact
        self._answers: dict[Read, Fetched] = {}
        self._lock = threading.Lock()

    @property
    def context(self) -> str:
        return self._source.context

    @property
    def namespace(self) -> str:
        return self._source.namespace

    @property
    def server_version(self) -> str:
        return self._source.server_version

    def now(self) -> datetime:
        return self._source.now()

    def resources(self) -> Sequence[Resource]:
        return self._source.resources()

    def fetch(self, reads: Sequence[Read]) -> list[Fetched]:
        answers = self._source.fetch(reads)
        with self._lock:
            self._answers.update((answer.read, answer) for answer in answers)
        return answers

    def case(self, question: str = "", title: str = "", namespace: str = "") -> Case:
        """All that was read so far."""
        with self._lock:
            answers = list(self._answers.values())
        groups: dict[str, list[Fetched]] = {"list": [], "get": [], "logs": [], "can-i": []}
        for answer in answers:
            groups[answer.read.what].append(answer)
        lists = [self._list(answer) for answer in groups["list"]]
        lists += self._single_objects(groups["get"])
        return Case(
            recorded_at=self.now(),
            context=self.context,
            namespace=namespace or self.namespace,
            server_version=self.server_version,
            title=title,
            question=self._redact(question),
            resources=tuple(self._strangers(lists)),
            lists=tuple(lists),
            absent=tuple(a.read.of.whole() for a in groups["get"] if not a.items and a.unread is None),
            logs=tuple(self._log(answer) for answer in groups["logs"]),
            access=tuple(_access(answer) for answer in groups["can-i"] if answer.allowed is not None),
        )

    def write(self, path: str | Path, question: str = "", title: str = "") -> Case:
        case = self.case(question, title)
        save(case, path)
        return case

    def _list(self, answer: Fetched) -> RecordedList:
        of, read = answer.read.of, answer.read
        return RecordedList(
            group=of.group,
            kind=of.kind,
            namespace=of.namespace,
            labels=read.option("labels"),
            fields=read.option("fields"),
            complete=answer.complete and answer.unread is None,
            partial=read.option("metadata") == "true" and (of.group, of.kind) != ("", "Secret"),
            unread=_reason(answer),
            items=self._items(answer.items, of),
        )

    def _items(self, items: Iterable[Mapping[str, Json]], of: Ref) -> tuple[Mapping[str, Json], ...]:
        return tuple(compacted(item, (of.group, of.kind), self._redact) for item in items)

    def _single_objects(self, answers: Sequence[Fetched]) -> list[RecordedList]:
        """Objects read by name: each is a list of that one name, found or refused."""
        found: list[RecordedList] = []
        for answer in answers:
            if not answer.items and answer.unread is None:
                continue
            of = answer.read.of
            found.append(
                RecordedList(
                    group=of.group,
                    kind=of.kind,
                    namespace=of.namespace,
                    fields=f"metadata.name={of.name}",
                    complete=answer.unread is None,
                    partial=answer.read.option("metadata") == "true" and (of.group, of.kind) != ("", "Secret"),
                    unread=_reason(answer),
                    items=self._items(answer.items, of),
                )
            )
        return found

    def _strangers(self, lists: Iterable[RecordedList]) -> Iterable[Resource]:
        """How kinds that we know only from this cluster's discovery are served."""
        unknown = {(entry.group, entry.kind) for entry in lists} - set(KNOWN)
        return [r for r in self.resources() if (r.group, r.kind) in unknown] if unknown else ()

    def _log(self, answer: Fetched) -> RecordedLog:
        of = answer.read.of
        return RecordedLog(
            namespace=of.namespace,
            pod=of.name,
            container=of.part,
            previous=answer.read.option("previous") == "true",
            text=self._redact(answer.data.decode("utf-8", "replace")),
            complete=answer.complete,
            unread=_reason(answer),
        )


def _reason(answer: Fetched) -> Reason | None:
    return None if answer.unread is None else Reason(answer.unread.why, answer.unread.message)


def _access(answer: Fetched) -> Access:
    of, read = answer.read.of, answer.read
    return Access(
        verb=read.option("verb", "get"),
        group=of.group,
        kind=of.kind,
        namespace=of.namespace,
        name=of.name,
        subresource=read.option("subresource"),
        allowed=bool(answer.allowed),
    )


__all__ = ["Recorder"]
