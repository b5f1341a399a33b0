"""The case file: its one format, read and written.

Gzipped JSON by default; plain JSON or YAML where the file's name ends so, for people. The same case always
makes the same bytes. A `get` that found its object is kept as a list of that one name.
"""

from __future__ import annotations

import gzip
import json
import os
import tempfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast, get_args

from kubectl_ai_intellect.errors import CaseError
from kubectl_ai_intellect.kube.refs import Ref, Resource
from kubectl_ai_intellect.kube.source import Why, when

API_VERSION = "intellect/v1"
LARGEST = 512 << 20
"""No case unpacks to more than this: a file that does is not one of ours."""

Json = Any


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something was not read."""

    why: Why
    message: str = ""


@dataclass(frozen=True, slots=True)
class RecordedList:
    """One list as it was read: which objects were asked for, and what came."""

    group: str
    kind: str
    namespace: str = ""
    labels: str = ""
    fields: str = ""
    complete: bool = True
    partial: bool = False
    unread: Reason | None = None
    items: tuple[Mapping[str, Json], ...] = ()


@dataclass(frozen=True, slots=True)
class RecordedLog:
    """The end of one container's log."""

    namespace: str
    pod: str
    container: str
    previous: bool = False
    text: str = ""
    complete: bool = True
    unread: Reason | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """The answer to one `auth can-i`."""

    verb: str
    group: str
    kind: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    allowed: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that was read for one question, with the clock of its reading."""

    recorded_at: datetime
    context: str = ""
    namespace: str = "default"
    server_version: str = ""
    title: str = ""
    question: str = ""
    resources: tuple[Resource, ...] = ()
    lists: tuple[RecordedList, ...] = ()
    absent: tuple[Ref, ...] = ()
    logs: tuple[RecordedLog, ...] = ()
    access: tuple[Access, ...] = ()


def load(path: str | Path) -> Case:
    """The case in a file, or a CaseError that says what is wrong with it."""
    file = Path(path)
    document = _document(file, _unpacked(file))
    if document.get("kind") != "Case":
        raise CaseError(f"{file} is not a case: record one with --record FILE")
    if document.get("apiVersion") != API_VERSION:
        found = str(document.get("apiVersion"))[:40]
        raise CaseError(f"{file} has apiVersion {found}, not {API_VERSION}: record it again with this version")
    try:
        return _case(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}" if not isinstance(error, KeyError) else f"no {error}"
        raise CaseError(f"{file} is not a well-formed case ({what[:120]}): record it again") from None


def save(case: Case, path: str | Path) -> None:
    """Write the case for its owner only, in one step: a reader sees the old file or the new one."""
    file = Path(path)
    try:
        handle, draft = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(dumped(case, file.name))
            os.replace(draft, file)
        except BaseException:
            os.unlink(draft)
            raise
    except OSError as error:
        raise CaseError(f"cannot write the case {file}: {error.strerror}; choose another place") from None


def dumped(case: Case, name: str = "") -> bytes:
    """The case as bytes, in the format that the file's name asks for."""
    document = as_json(case)
    if name.endswith((".yaml", ".yml")):
        import yaml

        return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110).encode()
    if name.endswith(".json"):
        return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "replace")
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return gzip.compress(text.encode("utf-8", "replace"), compresslevel=9, mtime=0)


def as_json(case: Case) -> dict[str, Json]:
    """The case as its file says it, in a settled order."""
    document: dict[str, Json] = {
        "apiVersion": API_VERSION,
        "kind": "Case",
        "title": case.title,
        "question": case.question,
        "recordedAt": case.recorded_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "context": case.context,
        "namespace": case.namespace,
        "serverVersion": case.server_version,
        "resources": [_plain_resource(r) for r in sorted(case.resources, key=lambda r: (r.group, r.kind))],
        "lists": [_plain_list(entry) for entry in sorted(case.lists, key=_list_order)],
        "absent": [_without_empty(ref._asdict()) for ref in sorted(case.absent)],
        "logs": [
            _plain_log(log)
            for log in sorted(case.logs, key=lambda log: (log.namespace, log.pod, log.container, log.previous))
        ],
        "access": [
            _without_empty({name: getattr(row, name) for name in Access.__slots__})
            for row in sorted(case.access, key=repr)
        ],
    }
    return {key: value for key, value in document.items() if value not in ("", [])}


def _list_order(entry: RecordedList) -> tuple[str, ...]:
    return (entry.group, entry.kind, entry.namespace, entry.labels, entry.fields, str(entry.partial))


def _without_empty(row: dict[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in row.items() if value != ""}


def _plain_resource(resource: Resource) -> dict[str, Json]:
    row = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    row |= {"plural": resource.plural, "namespaced": resource.namespaced, "short": list(resource.short)}
    return _without_empty(row)


def _plain_list(entry: RecordedList) -> dict[str, Json]:
    row: dict[str, Json] = {"group": entry.group, "kind": entry.kind, "namespace": entry.namespace}
    row |= {"labels": entry.labels, "fields": entry.fields}
    row = _without_empty(row) | {"complete": entry.complete}
    if entry.partial:
        row["partial"] = True
    if entry.unread:
        row["unread"] = {"why": entry.unread.why, "message": entry.unread.message}
    if entry.items:
        row["items"] = [dict(item) for item in sorted(entry.items, key=_item_order)]
    return row


def _item_order(item: Mapping[str, Json]) -> tuple[str, str]:
    metadata = item.get("metadata") or {}
    return (str(metadata.get("namespace") or ""), str(metadata.get("name") or ""))


def _plain_log(log: RecordedLog) -> dict[str, Json]:
    row: dict[str, Json] = {"namespace": log.namespace, "pod": log.pod, "container": log.container}
    row = _without_empty(row) | {"previous": log.previous}
    if log.unread:
        return row | {"unread": {"why": log.unread.why, "message": log.unread.message}}
    return row | ({} if log.complete else {"complete": False}) | {"text": log.text}


def _unpacked(file: Path) -> bytes:
    try:
        packed = file.read_bytes()
    except FileNotFoundError:
        raise CaseError(f"there is no case {file}: check the path") from None
    except OSError as error:
        raise CaseError(f"cannot read the case {file}: {error.strerror}") from None
    if not packed:
        raise CaseError(f"{file} is empty: record the case again")
    if packed[:2] != b"\x1f\x8b":
        return packed
    try:
        unpacker = zlib.decompressobj(wbits=31)
        text = unpacker.decompress(packed, LARGEST)
    except zlib.error:
        raise CaseError(f"{file} is damaged (not gzip all through): copy or record it again") from None
    if unpacker.unconsumed_tail:
        raise CaseError(f"{file} unpacks to more than {LARGEST >> 20} MB: it is not a case")
    if not unpacker.eof:
        raise CaseError(f"{file} is cut short: copy or record it again")
    return text


def _document(file: Path, text: bytes) -> dict[str, Json]:
    document: Json = None
    try:
        decoded = text.decode("utf-8")
        if decoded.lstrip()[:1] == "{":
            document = json.loads(decoded)
        elif file.suffix in (".yaml", ".yml") or "apiVersion:" in decoded[:4096]:
            document = _yaml(decoded)
    except (UnicodeDecodeError, ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise CaseError(f"{file} is neither JSON nor YAML, or is cut short: copy or record the case again")
    return cast("dict[str, Json]", document)


def _yaml(text: str) -> Json:
    import yaml

    try:
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


def _case(document: Mapping[str, Json]) -> Case:
    recorded_at = _moment(document["recordedAt"])
    return Case(
        recorded_at=recorded_at,
        context=_text(document, "context"),
        namespace=_text(document, "namespace") or "default",
        server_version=_text(document, "serverVersion"),
        title=_text(document, "title"),
        question=_text(document, "question"),
        resources=tuple(_resource(row) for row in _rows(document, "resources")),
        lists=tuple(_list(row) for row in _rows(document, "lists")),
        absent=tuple(_absent(row) for row in _rows(document, "absent")),
        logs=tuple(_log(row) for row in _rows(document, "logs")),
        access=tuple(_access(row) for row in _rows(document, "access")),
    )


def _moment(value: Json) -> datetime:
    """An aware time; YAML may have made a datetime of it already."""
    stamp = value if isinstance(value, datetime) else when(value)
    if stamp is None:
        raise ValueError("recordedAt is not a time")
    return stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)


def _text(row: Mapping[str, Json], key: str) -> str:
    value = row.get(key)
    return "" if value is None else str(value)


def _rows(document: Mapping[str, Json], key: str) -> Iterable[Mapping[str, Json]]:
    rows = document.get(key) or []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{key} is not a list of entries")
    return cast("list[Mapping[str, Json]]", rows)


def _resource(row: Mapping[str, Json]) -> Resource:
    return Resource(
        group=_text(row, "group"),
        version=str(row["version"]),
        kind=str(row["kind"]),
        plural=str(row["plural"]),
        namespaced=bool(row.get("namespaced", True)),
        short=tuple(str(name) for name in row.get("short") or ()),
    )


def _reason(row: Mapping[str, Json]) -> Reason | None:
    said = row.get("unread")
    if said is None:
        return None
    why = said["why"]
    if why not in get_args(Why):
        raise ValueError(f"unread.why is {why}")
    return Reason(why, _text(said, "message"))


def _list(row: Mapping[str, Json]) -> RecordedList:
    unread = _reason(row)
    items = _rows(row, "items")
    for item in items:
        if not isinstance(item.get("metadata"), dict):
            raise ValueError(f"an item of {row['kind']} has no metadata")
    return RecordedList(
        group=_text(row, "group"),
        kind=str(row["kind"]),
        namespace=_text(row, "namespace"),
        labels=_text(row, "labels"),
        fields=_text(row, "fields"),
        complete=bool(row.get("complete", True)) and unread is None,
        partial=bool(row.get("partial", False)),
        unread=unread,
        items=tuple(items),
    )


def _absent(row: Mapping[str, Json]) -> Ref:
    return Ref(_text(row, "group"), str(row["kind"]), _text(row, "namespace"), str(row["name"]))


def _log(row: Mapping[str, Json]) -> RecordedLog:
    return RecordedLog(
        namespace=str(row["namespace"]),
        pod=str(row["pod"]),
        container=_text(row, "container"),
        previous=bool(row.get("previous", False)),
        text=_text(row, "text"),
        complete=bool(row.get("complete", True)),
        unread=_reason(row),
    )


def _access(row: Mapping[str, Json]) -> Access:
    return Access(
        verb=str(row["verb"]),
        group=_text(row, "group"),
        kind=str(row["kind"]),
        namespace=_text(row, "namespace"),
        name=_text(row, "name"),
        subresource=_text(row, "subresource"),
        allowed=bool(row["allowed"]),
    )


__all__ = ["Access", "Case", "Reason", "RecordedList", "RecordedLog", "as_json", "dumped", "load", "save"]
