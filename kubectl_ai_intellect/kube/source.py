"""The seam between reading and reasoning: what can be asked of a cluster, and what comes back.

A live cluster (`session`) and a case file (`case`) are both a `Source`; nothing above this room knows which.
Present, absent, forbidden, unread and cut short are different answers, so that "the Secret is missing" is
only ever said of one that was looked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol

from kubectl_ai_intellect.kube.refs import KNOWN, Ref, Resource

Json = Any
What = Literal["list", "get", "logs", "can-i"]
Why = Literal["unread", "forbidden", "failed", "not-served", "cut"]


class Read(NamedTuple):
    """One read of the cluster, as a value; it prints itself as the kubectl command that does the same.

    `of.name` is empty for a list; `of.namespace` is empty for all namespaces. Options: labels, fields, limit,
    metadata (names and keys only), tls (a Secret's certificate too), previous, tail, verb, subresource.
    """

    what: What
    of: Ref
    options: tuple[tuple[str, str], ...] = ()

    def option(self, name: str, otherwise: str = "") -> str:
        return dict(self.options).get(name, otherwise)

    def kubectl(self) -> str:
        from kubectl_ai_intellect.kube.command import printed

        return printed(self)


@dataclass(frozen=True, slots=True)
class Object:
    """One object as the API served it."""

    ref: Ref
    raw: Mapping[str, Json] = field(repr=False)

    def dig(self, *path: str | int, otherwise: Json = None) -> Json:
        return dig(self.raw, *path, otherwise=otherwise)

    @property
    def meta(self) -> Mapping[str, Json]:
        return self.raw.get("metadata") or {}

    @property
    def uid(self) -> str:
        return self.meta.get("uid", "")

    @property
    def labels(self) -> Mapping[str, str]:
        return self.meta.get("labels") or {}

    @property
    def annotations(self) -> Mapping[str, str]:
        return self.meta.get("annotations") or {}

    @property
    def spec(self) -> Mapping[str, Json]:
        return self.raw.get("spec") or {}

    @property
    def status(self) -> Mapping[str, Json]:
        return self.raw.get("status") or {}

    @property
    def created(self) -> datetime | None:
        return when(self.meta.get("creationTimestamp"))

    @property
    def deleting(self) -> datetime | None:
        return when(self.meta.get("deletionTimestamp"))

    def condition(self, kind: str) -> Mapping[str, Json] | None:
        for condition in self.status.get("conditions") or ():
            if condition.get("type") == kind:
                return condition
        return None


@dataclass(frozen=True, slots=True)
class Absent:
    """Looked for, and not there."""

    ref: Ref

    def __bool__(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Unread:
    """Not known: nobody looked, or looking failed."""

    of: Ref
    why: Why = "unread"
    message: str = ""

    def __bool__(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Listing:
    """Objects of one kind; `complete` says whether a name that is not in it does not exist."""

    items: tuple[Object, ...] = ()
    complete: bool = False
    unread: Unread | None = None

    def __iter__(self) -> Iterator[Object]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __bool__(self) -> bool:
        return bool(self.items)


@dataclass(frozen=True, slots=True)
class Fetched:
    """The answer to one read. A list's `items`, a get's one item, a log's `data`, a can-i's `allowed`."""

    read: Read
    items: tuple[Mapping[str, Json], ...] = ()
    complete: bool = True
    unread: Unread | None = None
    data: bytes = b""
    allowed: bool | None = None
    size: int = 0
    requests: int = 1


class Source(Protocol):
    """Something that answers reads: a cluster, or a recording of one."""

    @property
    def context(self) -> str: ...
    @property
    def namespace(self) -> str: ...
    @property
    def server_version(self) -> str: ...
    def now(self) -> datetime: ...
    def fetch(self, reads: Sequence[Read]) -> list[Fetched]: ...
    def resources(self) -> Sequence[Resource]: ...


def list_of(kind: str, namespace: str = "", *, group: str | None = None, **options: str) -> Read:
    from kubectl_ai_intellect.kube.refs import ref

    return Read("list", ref(kind, namespace, "", group=group), tuple(sorted(options.items())))


def get_of(target: Ref) -> Read:
    return Read("get", target.whole())


def logs_of(container: Ref, *, previous: bool = False) -> Read:
    return Read("logs", container, (("previous", "true"),) if previous else ())


def resource_of(target: Ref) -> Resource | None:
    return KNOWN.get((target.group, target.kind))


def dig(value: Json, *path: str | int, otherwise: Json = None) -> Json:
    """Walk into JSON; whatever is missing, null or of another shape gives `otherwise`."""
    for step in path:
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and -len(value) <= step < len(value):
            value = value[step]
        else:
            return otherwise
        if value is None:
            return otherwise
    return value


def when(stamp: Json) -> datetime | None:
    """An RFC 3339 time of the API, aware, or nothing."""
    if not isinstance(stamp, str) or not stamp:
        return None
    try:
        return datetime.fromisoformat(stamp.replace("Z", "+00:00"))
    except ValueError:
        return None


__all__ = [
    "Absent",
    "Fetched",
    "Json",
    "Listing",
    "Object",
    "Read",
    "Source",
    "Unread",
    "What",
    "Why",
    "dig",
    "get_of",
    "list_of",
    "logs_of",
    "resource_of",
    "when",
]
