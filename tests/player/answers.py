"""The answer to each request, computed from the world: lists, objects, logs, reviews, discovery. Pure."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from kubectl_ai_intellect.kube.refs import Resource
from tests.player import discovery
from tests.player.faults import REASONS
from tests.player.select import BadSelector, fields_match, labels_match
from tests.player.world import Failure, World

Json = dict[str, Any]
JSON = "application/json"
VERSION = "1000"
"""The resource version of every list: a recording does not change."""


@dataclass(frozen=True)
class Answer:
    """A status, a body, and headers beyond the usual."""

    code: int
    body: bytes
    kind: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """What a path asks for."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def verb(self) -> str:
        return "get" if self.name else "list"

    @property
    def words(self) -> str:
        """The resource as access rules spell it: `pods/log`."""
        return f"{self.resource.plural}/{self.subresource}" if self.subresource else self.resource.plural


PATH = re.compile(
    r"^/(?:api|apis/(?P<group>[^/]+))/(?P<version>v[^/]+)"
    r"(?:/namespaces/(?P<namespace>[^/]+)(?=/[^/]))?/(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?(?:/(?P<sub>[^/]+))?$"
)


def asked(world: World, path: str) -> Asked | None:
    """What the path names, if the world's API serves it."""
    match = PATH.match(path)
    if not match:
        return None
    parts = match.groupdict(default="")
    resource = world.resource(parts["group"], parts["version"], parts["plural"])
    return Asked(resource, parts["namespace"], parts["name"], parts["sub"]) if resource else None


def status(code: int, message: str = "", reason: str = "", **details: str) -> Answer:
    """A failure as the API words it."""
    usual, words = REASONS.get(code, ("", ""))
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message or words,
        "reason": reason or usual,
        "details": details,
        "code": code,
    }
    return Answer(code, _bytes(body))


def refused(what: Asked, user: str = "recorded") -> Answer:
    """403, in the words of the authorizer."""
    group = what.resource.group
    where = f' in the namespace "{what.namespace}"' if what.namespace else " at the cluster scope"
    name = f' "{what.name}"' if what.name else ""
    plural = f"{what.resource.plural}.{group}" if group else what.resource.plural
    message = (
        f'{plural}{name} is forbidden: User "{user}" cannot {what.verb} resource "{what.words}" '
        f'in API group "{group}"{where}'
    )
    return status(403, message, name=what.name, group=group, kind=what.resource.plural)


def served(world: World, path: str, query: Mapping[str, str], accept: str) -> Answer:
    """The answer to a GET."""
    fixed = _fixed(world, path, accept)
    if fixed:
        return fixed
    what = asked(world, path)
    if what is None:
        return status(404)
    try:
        if what.subresource == "log":
            return _log(world, what, query)
        if what.subresource:
            return status(404)
        return _one(world, what, accept) if what.name else _many(world, what, query, accept)
    except BadSelector as problem:
        return status(400, str(problem), "BadRequest")


def _fixed(world: World, path: str, accept: str) -> Answer | None:
    """Documents about the server itself."""
    if path in ("/readyz", "/livez", "/healthz"):
        return Answer(200, b"ok", "text/plain; charset=utf-8")
    if path == "/version":
        return Answer(200, _bytes(dict(world.version)))
    wanted = re.search(r"g=apidiscovery\.k8s\.io;v=(v2beta1|v2);as=APIGroupDiscoveryList", accept)
    if path in ("/api", "/apis") and wanted:
        document = discovery.aggregated(world.resources, core=path == "/api", version=wanted[1])
        kind = f"{JSON};g=apidiscovery.k8s.io;v={wanted[1]};as=APIGroupDiscoveryList"
        return Answer(200, _bytes(document), kind)
    if path == "/api":
        return Answer(200, _bytes(discovery.core_versions()))
    if path == "/apis":
        return Answer(200, _bytes(discovery.group_list(world.resources)))
    parts = path.strip("/").split("/")
    groups = {each.group for each in world.resources}
    if len(parts) == 2 and parts[0] == "apis" and parts[1] in groups:
        return Answer(200, _bytes(discovery.group(world.resources, parts[1])))
    group, version = (parts[1], parts[2]) if len(parts) == 3 and parts[0] == "apis" else ("", parts[-1])
    if (len(parts) == 3 and parts[0] == "apis") or (len(parts) == 2 and parts[0] == "api"):
        document = discovery.resource_list(world.resources, group, version)
        return Answer(200, _bytes(document)) if document["resources"] else status(404)
    return None


def chosen(world: World, what: Asked, query: Mapping[str, str]) -> list[Json]:
    """The objects that a list asks for, in the order of the server's keys."""
    found: Iterable[Mapping[str, Any]] = world.objects.get((what.resource.group, what.resource.plural), ())
    labels, fields = query.get("labelSelector", ""), query.get("fieldSelector", "")
    kept = [
        dict(each)
        for each in found
        if what.namespace in ("", each["metadata"].get("namespace", ""))
        and labels_match(labels, each["metadata"].get("labels") or {})
        and fields_match(fields, each)
    ]
    return sorted(kept, key=lambda each: (each["metadata"].get("namespace", ""), each["metadata"]["name"]))


def _unknown(what: Asked) -> Answer:
    where = f" in {what.namespace}" if what.namespace else ""
    name = f" {what.name}" if what.name else ""
    return status(503, f"{what.resource.plural}{name}{where}: not recorded in this case")


def _many(world: World, what: Asked, query: Mapping[str, str], accept: str) -> Answer:
    only = query.get("fieldSelector", "").removeprefix("metadata.name=")
    name = only if only != query.get("fieldSelector", "") and "," not in only else ""
    if not world.knows(what.resource.group, what.resource.plural, what.namespace, name):
        return _unknown(what)
    found = chosen(world, what, query)
    first = _offset(query.get("continue", ""))
    limit = int(query.get("limit") or 0) or len(found)
    page, rest = found[first : first + limit], len(found) - first - limit
    meta: Json = {"resourceVersion": VERSION}
    if rest > 0:
        meta |= {"continue": _token(first + limit)}
        # A server counts the rest only of lists that no selector narrows.
        if not query.get("labelSelector") and not query.get("fieldSelector"):
            meta["remainingItemCount"] = rest
    resource = what.resource
    if "as=PartialObjectMetadataList" in accept:
        items = [_partial(each) for each in page]
        body = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": meta, "items": items}
        return Answer(200, _bytes(body), _partial_type("PartialObjectMetadataList"))
    # Lists of built-in kinds name kind and version once, for the list; those of others repeat them.
    items = [_bare(each) if "." not in resource.group.removesuffix(".k8s.io") else each for each in page]
    body = {"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": meta, "items": items}
    return Answer(200, _bytes(body))


def _one(world: World, what: Asked, accept: str) -> Answer:
    found = [each for each in chosen(world, what, {}) if each["metadata"]["name"] == what.name]
    if not found and not world.knows(what.resource.group, what.resource.plural, what.namespace, what.name):
        return _unknown(what)
    if not found:
        group = what.resource.group
        plural = f"{what.resource.plural}.{group}" if group else what.resource.plural
        return status(404, f'{plural} "{what.name}" not found', name=what.name, group=group, kind=what.resource.plural)
    each = {"apiVersion": what.resource.api_version, "kind": what.resource.kind, **found[0]}
    if "as=PartialObjectMetadata" in accept:
        return Answer(200, _bytes(_partial(each)), _partial_type("PartialObjectMetadata"))
    return Answer(200, _bytes(each))


def _bare(each: Json) -> Json:
    return {key: value for key, value in each.items() if key not in ("apiVersion", "kind")}


def _partial(each: Mapping[str, Any]) -> Json:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": each["metadata"]}


def _partial_type(kind: str) -> str:
    return f"{JSON};as={kind};g=meta.k8s.io;v=v1"


def _token(first: int) -> str:
    return base64.urlsafe_b64encode(json.dumps({"first": first}).encode()).decode()


def _offset(token: str) -> int:
    return json.loads(base64.urlsafe_b64decode(token))["first"] if token else 0


def _log(world: World, what: Asked, query: Mapping[str, str]) -> Answer:
    pods = [each for each in chosen(world, what, {}) if each["metadata"]["name"] == what.name]
    if not pods:
        return status(404, f'pods "{what.name}" not found', name=what.name, kind="pods")
    names = _containers(pods[0])
    container = query.get("container") or (names[0] if len(names) == 1 else "")
    if not container:
        message = f"a container name must be specified for pod {what.name}, choose one of: [{' '.join(names)}]"
        return status(400, message, "BadRequest")
    if container not in names:
        return status(400, f"container {container} is not valid for pod {what.name}", "BadRequest")
    previous = query.get("previous") in ("true", "1")
    text = (world.previous if previous else world.logs).get((what.namespace, what.name, container))
    if isinstance(text, Failure):
        return status(text.code, text.message)
    if text is None and world.scopes is not None:
        return status(503, f"the log of {what.name} was not recorded in this case")
    if text is None:
        return status(400, _no_log(pods[0], container, previous), "BadRequest")
    return Answer(200, _tail(world, text, query).encode(), "text/plain")


def _containers(pod: Mapping[str, Any]) -> list[str]:
    spec = pod["spec"]
    kinds = ("containers", "initContainers", "ephemeralContainers")
    return [each["name"] for kind in kinds for each in spec.get(kind) or ()]


def _no_log(pod: Mapping[str, Any], container: str, previous: bool) -> str:
    name = pod["metadata"]["name"]
    if previous:
        return f'previous terminated container "{container}" in pod "{name}" not found'
    reason = "ContainerCreating"
    for each in (pod.get("status") or {}).get("containerStatuses") or ():
        if each["name"] == container:
            reason = ((each.get("state") or {}).get("waiting") or {}).get("reason") or reason
    return f'container "{container}" in pod "{name}" is waiting to start: {reason}'


def _tail(world: World, text: str, query: Mapping[str, str]) -> str:
    """The lines asked for, with the runtime's time before each if that is asked for and was recorded."""
    lines = text.splitlines(keepends=True)
    if world.stamped and world.now and query.get("sinceSeconds"):
        since = world.now - timedelta(seconds=int(query["sinceSeconds"]))
        lines = [line for line in lines if datetime.fromisoformat(line.partition(" ")[0]) >= since]
    if query.get("tailLines"):
        count = int(query["tailLines"])
        lines = lines[-count:] if count else []
    if world.stamped and query.get("timestamps") not in ("true", "1"):
        lines = [line.partition(" ")[2] for line in lines]
    text = "".join(lines)
    limit = int(query.get("limitBytes") or 0)
    return text.encode()[:limit].decode(errors="ignore") if limit else text


def _bytes(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode() + b"\n"


__all__ = ["Answer", "Asked", "asked", "chosen", "refused", "served", "status"]
