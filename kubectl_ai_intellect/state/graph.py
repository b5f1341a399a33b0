"""State: everything that was read, as one immutable value that mechanisms reason over.

A State is made of `Fetched` answers and never asks for more itself; `including` makes the next State out of this
one and further answers. Whether something is absent or merely unread is always told apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from kubectl_ai_intellect.kube.refs import GROUP_OF, Ref, group_of, ref
from kubectl_ai_intellect.kube.source import Absent, Fetched, Listing, Object, Read, Unread
from kubectl_ai_intellect.state.edits import Patch, applied
from kubectl_ai_intellect.state.events import Event, event
from kubectl_ai_intellect.state.selectors import equals

if TYPE_CHECKING:
    from kubectl_ai_intellect.evidence.logs import LogDigest


class Digest(Protocol):
    """What makes of a log's bytes the form that causes read."""

    def __call__(self, chunks: Iterable[bytes], *, exit_code: int | None = None) -> Any: ...


GONE = (
    b"unable to retrieve container logs for ",
    b"failed to try resolving symlinks in path ",
    b"failed to open log file ",
)
"""The kubelet's own words where a container's log was removed, served as if they were the log."""


@dataclass(frozen=True)
class State:
    """What is known of a cluster at one moment; `now` is the clock of the reading, never the wall's."""

    now: datetime
    namespace: str = "default"
    context: str = ""
    fetched: Mapping[Read, Fetched] = field(default_factory=dict[Read, Fetched], repr=False)
    digest: Digest | None = field(default=None, repr=False)
    patches: tuple[Patch, ...] = ()
    _digests: dict[Read, Any] = field(default_factory=dict[Read, Any], repr=False, compare=False)
    memo: dict[Any, Any] = field(default_factory=dict[Any, Any], repr=False, compare=False)
    """What relations worked out of this very State, so that no walk is walked twice."""

    # -- making states -------------------------------------------------------------------------------------------

    def including(self, answers: Iterable[Fetched]) -> State:
        """The State that also knows these answers."""
        merged = dict(self.fetched)
        merged.update((answer.read, answer) for answer in answers)
        return State(self.now, self.namespace, self.context, merged, self.digest, self.patches, self._digests)

    def patched(self, *patches: Patch) -> State:
        """The State as it would be declared after these patches: declared fields only, no status."""
        return State(
            self.now, self.namespace, self.context, self.fetched, self.digest, (*self.patches, *patches), self._digests
        )

    # -- objects -------------------------------------------------------------------------------------------------

    @cached_property
    def _objects(self) -> dict[Ref, Object]:
        objects: dict[Ref, Object] = {}
        for read, answer in self.fetched.items():
            if read.what not in ("list", "get") or read.of.kind == "Event":
                continue
            for raw in answer.items:
                found = self._object(read, raw)
                before = objects.get(found.ref)
                if before is None or "data" not in before.raw or "data" in raw:  # names alone do not hide what was read
                    objects[found.ref] = found
        for patch in self.patches:
            applied(objects, patch)
        return objects

    @staticmethod
    def _object(read: Read, raw: Mapping[str, Any]) -> Object:
        meta = raw.get("metadata") or {}
        version = raw.get("apiVersion") or ""
        partial = version.startswith("meta.k8s.io/")
        group = group_of(version) if version and not partial else read.of.group
        kind = read.of.kind if partial else (raw.get("kind") or read.of.kind)
        return Object(Ref(group, kind, meta.get("namespace") or "", meta.get("name") or ""), raw)

    @cached_property
    def _by_kind(self) -> dict[tuple[str, str], list[Object]]:
        kinds: dict[tuple[str, str], list[Object]] = {}
        for found in self._objects.values():
            kinds.setdefault((found.ref.group, found.ref.kind), []).append(found)
        return kinds

    @cached_property
    def _listed(self) -> dict[tuple[str, str, str], Fetched]:
        """Whole lists by group, kind and namespace ("" for all): what makes a missing name an absent one."""
        whole = {"labels", "fields"}
        return {
            (read.of.group, read.of.kind, read.of.namespace): answer
            for read, answer in self.fetched.items()
            if read.what == "list" and not whole & {name for name, _ in read.options}
        }

    def _list_answer(self, group: str, kind: str, namespace: str) -> Fetched | None:
        own = self._listed.get((group, kind, namespace))
        everywhere = self._listed.get((group, kind, ""))
        if own is not None and own.unread is None and own.complete:
            return own
        return everywhere if everywhere is not None and everywhere.unread is None else own or everywhere

    def get(self, target: Ref) -> Object | Absent | Unread:
        """The object, or why there is none: it is not there, or nobody could look."""
        target = target.whole()
        found = self._objects.get(target)
        if found is not None:
            return found
        answer = self.fetched.get(Read("get", target)) or self.fetched.get(
            Read("get", target, (("tls", "true"),)),
        )
        if answer is None:
            answer = self._list_answer(target.group, target.kind, target.namespace)
        if answer is None:
            return Unread(target)
        if answer.unread is not None:
            return Unread(target, answer.unread.why, answer.unread.message)
        return Absent(target) if answer.complete else Unread(target, "cut")

    def find(self, target: Ref) -> Object | None:
        """The object if it was read and is there."""
        return self._objects.get(target.whole())

    def absent(self, target: Ref) -> bool:
        """Looked for, and not there."""
        return isinstance(self.get(target), Absent)

    @cached_property
    def _by_place(self) -> dict[tuple[str, str, str], list[Object]]:
        places: dict[tuple[str, str, str], list[Object]] = {}
        for found in self._objects.values():
            places.setdefault((found.ref.group, found.ref.kind, found.ref.namespace), []).append(found)
        return places

    def all(self, kind: str, namespace: str | None = None, *, group: str | None = None) -> Listing:
        """All objects of a kind that were read (in one namespace), and whether those are all there are."""
        group = GROUP_OF.get(kind, "") if group is None else group
        items = self._by_place.get((group, kind, namespace), ()) if namespace else self._by_kind.get((group, kind), ())
        answer = self._list_answer(group, kind, namespace or "")
        unread = answer.unread if answer else Unread(Ref(group, kind, namespace or "", ""))
        return Listing(tuple(items), bool(answer and answer.complete and answer.unread is None), unread)

    @cached_property
    def _by_label(self) -> dict[tuple[str, str], dict[tuple[str, str], list[Object]]]:
        return {}  # of kinds and namespaces that were asked for so far

    def labelled(self, kind: str, namespace: str, labels: Mapping[str, str] | None) -> list[Object]:
        """The objects of a kind in a namespace that carry all these labels; none of them where no label is given."""
        index = self._by_label.get((kind, namespace))
        if index is None:
            index = self._by_label[kind, namespace] = {}
            for found in self.all(kind, namespace):
                for pair in found.labels.items():
                    index.setdefault(pair, []).append(found)
        fewest = min((index.get(pair, []) for pair in (labels or {}).items()), key=len, default=[])
        return [each for each in fewest if equals(labels, each.labels)]

    def listed(self, what: Ref) -> bool:
        """Whether a list of this kind was asked for here, with whatever answer."""
        return self._list_answer(what.group, what.kind, what.namespace) is not None

    @cached_property
    def by_uid(self) -> dict[str, Object]:
        return {found.uid: found for found in self._objects.values() if found.uid}

    @property
    def objects(self) -> Iterable[Object]:
        return self._objects.values()

    # -- events --------------------------------------------------------------------------------------------------

    @cached_property
    def _events(self) -> tuple[dict[str, list[Event]], dict[Ref, list[Event]]]:
        by_uid: dict[str, list[Event]] = {}
        by_ref: dict[Ref, list[Event]] = {}
        seen: set[str] = set()
        for read, answer in self.fetched.items():
            if read.of.kind != "Event":
                continue
            for raw in answer.items:
                key = (raw.get("metadata") or {}).get("uid") or ""
                if key and key in seen:
                    continue
                seen.add(key)
                told = event(raw)
                by_uid.setdefault(told.uid, []).append(told)
                by_ref.setdefault(told.about.whole(), []).append(told)
        return by_uid, by_ref

    def events(self, target: Ref) -> Sequence[Event]:
        """Events about this very object (joined by UID where it is known), latest first; a part filters to it."""
        by_uid, by_ref = self._events
        found = self.find(target)
        told = by_uid.get(found.uid, []) if found and found.uid else by_ref.get(target.whole(), [])
        if found and not told and target.kind == "Node":  # the kubelet names its node, not its UID
            told = by_uid.get(target.name, [])
        if target.part:
            told = [each for each in told if each.about.part in ("", target.part)]
        return sorted(told, key=lambda each: each.last or self.now, reverse=True)

    def events_named(self, target: Ref) -> Sequence[Event]:
        """Events about anything that ever had this name: for objects that are gone or were replaced."""
        told = self._events[1].get(target.whole(), [])
        return sorted(told, key=lambda each: each.last or self.now, reverse=True)

    @property
    def every_event(self) -> Iterable[Event]:
        for told in self._events[1].values():
            yield from told

    def events_known(self, namespace: str) -> bool:
        """Whether silence means something: the events of this namespace were read in full."""
        answer = self._list_answer("", "Event", namespace)
        return bool(answer and answer.unread is None and answer.complete)

    # -- logs ----------------------------------------------------------------------------------------------------

    def log(self, container: Ref, *, previous: bool = False) -> LogDigest | Unread:
        """The digested log of one container; digested once, however often it is asked for."""
        read = Read("logs", container, (("previous", "true"),) if previous else ())
        answer = self.fetched.get(read)
        if answer is None:
            return Unread(container)
        if answer.unread is not None:
            return answer.unread
        if answer.data.startswith(GONE):
            return Unread(container, "failed", "the container's log is gone")
        if read not in self._digests:
            assert self.digest is not None, "a State with logs needs a digest function"
            self._digests[read] = self.digest([answer.data], exit_code=self._exit_code(container, previous))
        return self._digests[read]

    def _exit_code(self, container: Ref, previous: bool) -> int | None:
        """How the container ended whose log this is, if it did and the pod's status still tells."""
        pod = self.find(container)
        for group in ("containerStatuses", "initContainerStatuses"):
            for each in (pod.status.get(group) or ()) if pod is not None else ():
                if each.get("name") == container.part:
                    ended = (each.get("lastState" if previous else "state") or {}).get("terminated") or {}
                    return ended.get("exitCode")
        return None

    def logs(self, container: Ref) -> Sequence[LogDigest]:
        """What was read of a container's logs, the previous container first (it is the one that died)."""
        both = (self.log(container, previous=True), self.log(container))
        return [each for each in both if not isinstance(each, Unread) and not each.empty]

    # -- rights --------------------------------------------------------------------------------------------------

    def can(self, verb: str, target: Ref) -> bool | None:
        answer = self.fetched.get(Read("can-i", target, (("verb", verb),)))
        return answer.allowed if answer else None

    # -- time ----------------------------------------------------------------------------------------------------

    def ago(self, then: datetime | None) -> timedelta | None:
        return self.now - then if then else None

    def within(self, then: datetime | None, **span: float) -> bool:
        return then is not None and self.now - then <= timedelta(**span)


__all__ = ["Digest", "State", "ref"]
