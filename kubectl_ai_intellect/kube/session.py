"""A live cluster as a Source: reads through the official client's raw requests, concurrent, paged, retried.

What one read may not see (403) or cannot get is said in its own answer and never ends the others; only an
unknown identity (401) and a server that never answers do.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any
from urllib.parse import quote

from kubectl_ai_intellect.errors import Unreachable
from kubectl_ai_intellect.kube import config
from kubectl_ai_intellect.kube.arrival import parsed, received
from kubectl_ai_intellect.kube.discovery import discovered
from kubectl_ai_intellect.kube.refs import BUILTIN, KNOWN, Ref, Resource, group_of
from kubectl_ai_intellect.kube.source import Fetched, Json, Read, Unread, Why
from kubectl_ai_intellect.kube.transport import TRIES, Answer, Query, Transport, Usage

WORKERS = 8
PAGE = 500
TAIL = 2000
LOG_BYTES = 4 << 20
PARTIAL_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
PARTIAL = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


class Cluster:
    """One cluster, read with one identity."""

    def __init__(self, connection: config.Connection, deadline: float | None = None) -> None:
        self._transport = Transport(connection, deadline)
        self._connection = connection
        self._lock = threading.Lock()
        self._resources: list[Resource] | None = None
        self._version: str | None = None

    @property
    def context(self) -> str:
        return self._connection.context

    @property
    def namespace(self) -> str:
        return self._connection.namespace

    @property
    def server(self) -> str:
        return self._connection.server

    @property
    def usage(self) -> Usage:
        return self._transport.usage

    @property
    def server_version(self) -> str:
        """Asked when first wanted; empty where the server does not say."""
        if self._version is None:
            answer = self._transport.get("/version", tries=1)
            document = _json(answer.body) if answer.ok else {}
            self._version = str(document.get("gitVersion") or "")
        return self._version

    def now(self) -> datetime:
        return self._transport.now()

    def expires(self, seconds: float | None) -> None:
        """Let no request begin or last beyond this many seconds from now."""
        self._transport.deadline = None if seconds is None else time.monotonic() + seconds

    def fetch(self, reads: Sequence[Read]) -> list[Fetched]:
        """All the reads at once, each distinct one sent once; the answers come in the order asked."""
        distinct = list(dict.fromkeys(reads))
        outcomes = _at_once(self._settled, distinct)
        fatal = next((o for o in outcomes if isinstance(o, Unreachable)), None)
        if fatal is not None and not self._transport.answered:
            raise fatal
        answers = {
            read: _unread(read, "failed", str(outcome)) if isinstance(outcome, Unreachable) else outcome
            for read, outcome in zip(distinct, outcomes, strict=True)
        }
        return [answers[read] for read in reads]

    def resources(self) -> Sequence[Resource]:
        """Every kind that this server lets one read."""
        with self._lock:
            if self._resources is None:
                self._resources = discovered(self._transport)
            return self._resources

    def rehearse(self, document: Mapping[str, Json]) -> str | None:
        """What the server says against this object, admission and all, without keeping it; None where it accepts it."""
        meta = document.get("metadata") or {}
        group = group_of(str(document.get("apiVersion") or ""))
        of = Ref(group, str(document.get("kind") or ""), meta.get("namespace") or "", meta.get("name") or "")
        resource = self._resource(of)
        if resource is None:
            return f'no matches for kind "{of.kind}" in version "{document.get("apiVersion")}"'
        path = resource.path(_safe(of.namespace), _safe(of.name))
        sent = {key: value for key, value in document.items() if key != "status"}
        answer = self._transport.rehearse(path, json.dumps(sent))
        if answer.ok:
            return None
        refused = _refused(Read("get", of), answer).unread
        return refused.message if refused is not None else f"HTTP {answer.status}"

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _settled(self, read: Read) -> Fetched | Unreachable:
        kinds: Mapping[str, Callable[[Read, Resource], Fetched]] = {
            "list": self._list,
            "get": self._get,
            "logs": self._logs,
            "can-i": self._can_i,
        }
        try:
            resource = self._resource(read.of)
            if resource is None:
                return self._not_served(read)
            answer = kinds[read.what](read, resource)
            return self._not_served(read) if self._is_stranger(answer, resource) else answer
        except Unreachable as error:
            return error

    def _not_served(self, read: Read) -> Fetched:
        return _unread(read, "not-served", f"the server has no resource type {read.of.kind}")

    def _is_stranger(self, answer: Fetched, resource: Resource) -> bool:
        """Is a kind forbidden only because there is none? The API looks at rights before it looks for the kind."""
        if answer.unread is None or answer.unread.why != "forbidden":
            return False
        kind = (resource.group, resource.kind)
        served = {(r.group, r.kind) for r in self.resources()} if kind not in BUILTIN else set[tuple[str, str]]()
        return bool(served) and kind not in served

    def _resource(self, of: Ref) -> Resource | None:
        known = KNOWN.get((of.group, of.kind))
        if known is not None:
            return known
        for resource in self.resources():
            if (resource.group, resource.kind) == (of.group, of.kind):
                return resource
        return None

    def _list(self, read: Read, resource: Resource) -> Fetched:
        """All pages of a list; one that expires half-way (410) is begun again once."""
        wanted = int(read.option("limit", "0"))
        first = self._pages(read, resource, wanted)
        if first.unread is None and not first.complete and not wanted:
            second = self._pages(read, resource, wanted)
            requests, size = first.requests + second.requests, first.size + second.size
            best = second if len(second.items) >= len(first.items) else first
            return Fetched(read, best.items, best.complete, best.unread, size=size, requests=requests)
        return first

    def _pages(self, read: Read, resource: Resource, wanted: int) -> Fetched:
        path = resource.path(_safe(read.of.namespace))
        query = [("limit", str(min(PAGE, wanted or PAGE)))]
        query += [("labelSelector", read.option("labels"))] if read.option("labels") else []
        query += [("fieldSelector", read.option("fields"))] if read.option("fields") else []
        items: list[dict[str, Json]] = []
        token, requests, size = "", 0, 0
        while True:
            page = [*query, ("continue", token)] if token else query
            answer, document = self._document(path, page, self._accept(read, resource, PARTIAL_LIST), resource)
            requests, size = requests + 1, size + len(answer.body)
            if not answer.ok or "metadata" not in document:
                if not items:
                    return _refused(read, answer, requests)
                return Fetched(read, tuple(items), complete=False, size=size, requests=requests)
            items += (received(item, resource) for item in document.get("items") or ())
            token = document["metadata"].get("continue") or ""
            if not token or (wanted and len(items) >= wanted):
                kept = tuple(items[:wanted] if wanted else items)
                complete = not token and len(kept) == len(items)
                return Fetched(read, kept, complete, size=size, requests=requests)

    def _document(self, path: str, query: Query, accept: str, resource: Resource) -> tuple[Answer, dict[str, Any]]:
        """A JSON answer; one that is cut short is asked for once more."""
        answer = self._transport.get(path, query, accept, tries=_tries(resource))
        document = _json(answer.body)
        if answer.ok and not document:
            answer = self._transport.get(path, query, accept, tries=1)
            document = _json(answer.body)
        return answer, document

    def _accept(self, read: Read, resource: Resource, partial: str) -> str:
        """Secrets are only ever asked for by name and keys, except for a certificate that decides."""
        secret = resource.kind == "Secret" and not resource.group
        if secret and read.what == "get" and read.option("tls") == "true":
            return "application/json"
        if secret:
            return partial
        return f"{partial},application/json" if read.option("metadata") == "true" else "application/json"

    def _get(self, read: Read, resource: Resource) -> Fetched:
        name = _safe(read.of.name)
        if not name:
            return Fetched(read, requests=0)
        path = resource.path(_safe(read.of.namespace), name)
        answer, document = self._document(path, (), self._accept(read, resource, PARTIAL), resource)
        if answer.status == 404 and (document.get("details") or {}).get("name"):
            return Fetched(read, size=len(answer.body))
        if not answer.ok or "metadata" not in document:
            return _refused(read, answer)
        item = received(document, resource, certificate=read.option("tls") == "true")
        return Fetched(read, (item,), size=len(answer.body))

    def _logs(self, read: Read, resource: Resource) -> Fetched:
        """The end of a container's log; where its lines are so long that the end is cut off, fewer of them."""
        tail = int(read.option("tail", str(TAIL)))
        path = f"{resource.path(_safe(read.of.namespace), _safe(read.of.name))}/log"
        size = requests = 0
        while True:
            query = [("tailLines", str(tail)), ("limitBytes", str(LOG_BYTES))]
            query += [("container", read.of.part)] if read.of.part else []
            query += [("previous", "true")] if read.option("previous") == "true" else []
            query += [("sinceSeconds", read.option("since"))] if read.option("since") else []
            answer = self._transport.get(path, query, "*/*", limit=LOG_BYTES, tries=1)
            size, requests = size + len(answer.body), requests + 1
            if not answer.ok:
                return _refused(read, answer, requests, log=True)
            full = len(answer.body) >= LOG_BYTES
            if not full or tail <= 1:
                return Fetched(read, complete=not full, data=answer.body, size=size, requests=requests)
            tail = max(1, tail // 20)

    def _can_i(self, read: Read, resource: Resource) -> Fetched:
        attributes = {
            "verb": read.option("verb", "get"),
            "group": resource.group,
            "resource": resource.plural,
            "subresource": read.option("subresource"),
            "namespace": read.of.namespace,
            "name": read.of.name,
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}},
        }
        answer = self._transport.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
        status = _json(answer.body).get("status")
        if not answer.ok or not isinstance(status, dict):
            return _refused(read, answer)
        return Fetched(read, allowed=bool(status.get("allowed")), size=len(answer.body))


def _at_once(work: Callable[[Read], Fetched | Unreachable], reads: Sequence[Read]) -> list[Fetched | Unreachable]:
    """Every read's outcome, several in flight; what must end the whole run is raised here.

    Daemon threads, so that Ctrl-C need not wait for a server that does not answer.
    """
    waiting = deque(enumerate(reads))
    outcomes: dict[int, Fetched | Unreachable] = {}
    fatal: list[Exception] = []

    def worker() -> None:
        while waiting and not fatal:
            try:
                index, read = waiting.popleft()
            except IndexError:
                return
            try:
                outcomes[index] = work(read)
            except Exception as error:
                fatal.append(error)

    threads = [threading.Thread(target=worker, daemon=True) for _ in range(min(WORKERS, len(reads)) - 1)]
    for thread in threads:
        thread.start()
    worker()
    for thread in threads:
        thread.join()
    if fatal:
        raise fatal[0]
    return [outcomes[index] for index in range(len(reads))]


def connect(flags: config.Flags, timeout: float | None = None) -> Cluster:
    """The cluster that kubectl would talk to for these flags; nothing is sent yet."""
    return Cluster(config.load(flags), None if timeout is None else time.monotonic() + timeout)


def _tries(resource: Resource) -> int:
    """An extension API that is down stays down for a while: asking thrice only costs time."""
    return 1 if resource.group == "metrics.k8s.io" else TRIES


def _safe(segment: str) -> str:
    """A name as one path segment, whatever it holds."""
    return "" if segment in (".", "..") else quote(segment, safe="")


def _json(body: bytes) -> dict[str, Any]:
    try:
        document = parsed(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _refused(read: Read, answer: Answer, requests: int = 1, *, log: bool = False) -> Fetched:
    """Why a read has no answer, in the API's own words."""
    why: Why = "failed"
    if answer.status == 403:
        why = "forbidden"
    elif answer.status == 404 and not log:
        why = "not-served"
    message = str(_json(answer.body).get("message") or "")
    if answer.ok:
        message = "the answer was cut short or is not the API's"
    elif not message:
        message = f"HTTP {answer.status}: {answer.body[:200].decode(errors='replace').strip()}"
    return _unread(read, why, message, requests, len(answer.body))


def _unread(read: Read, why: Why, message: str, requests: int = 0, size: int = 0) -> Fetched:
    clean = " ".join("".join(c if c.isprintable() else " " for c in message).split())
    unread = Unread(read.of, why, clean[:500])
    return Fetched(read, complete=False, unread=unread, size=size, requests=requests)


__all__ = ["Cluster", "connect"]
