"""A cluster on paper: a Source that answers every read from a few documents and logs. What is not written is not there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import yaml

from kubectl_ai_intellect.kube.refs import KNOWN, Resource, group_of
from kubectl_ai_intellect.kube.source import Fetched, Read, Unread
from tests.unit.states import NOW


class Paper:
    """Objects by kind, logs by "pod/container" (and "pod/container previous"); it keeps what was read."""

    context = "paper"
    server_version = "v1.34.0"

    def __init__(self, text: str, logs: Mapping[str, str] | None = None, namespace: str = "shop") -> None:
        self.documents = [each for each in yaml.safe_load_all(text) if each]
        self.documents.append({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        self.logs = dict(logs or {})
        self.namespace = namespace
        self.reads: list[Read] = []

    def now(self) -> datetime:
        return NOW

    def resources(self) -> Sequence[Resource]:
        own = {(group_of(each["apiVersion"]), each["kind"]): each["apiVersion"] for each in self.documents}
        custom = [
            Resource(group, version.rpartition("/")[2], kind, f"{kind.lower()}s", True)
            for (group, kind), version in own.items()
            if (group, kind) not in KNOWN
        ]
        return [*KNOWN.values(), *custom]

    def fetch(self, reads: Sequence[Read]) -> list[Fetched]:
        self.reads += reads
        return [self._answer(read) for read in reads]

    def _answer(self, read: Read) -> Fetched:
        if read.what == "logs":
            previous = " previous" if read.option("previous") else ""
            text = self.logs.get(f"{read.of.name}/{read.of.part}{previous}")
            if text is None:
                return Fetched(read, unread=Unread(read.of, "failed", "no log"))
            return Fetched(read, data=text.encode())
        if read.what == "can-i":
            return Fetched(read, allowed=True)
        found = [each for each in self.documents if self._meant(read, each)]
        return Fetched(read, tuple(found))

    def _meant(self, read: Read, each: dict[str, Any]) -> bool:
        meta, of = each["metadata"], read.of
        if (group_of(each["apiVersion"]), each["kind"]) != (of.group, of.kind):
            return False
        if of.namespace and meta.get("namespace", "") != of.namespace:
            return False
        fields = dict(part.split("=") for part in read.option("fields").split(",") if part)
        named = fields.get("involvedObject.name")
        if named and (each.get("involvedObject") or {}).get("name") != named:
            return False
        return not of.name or meta["name"] == of.name
