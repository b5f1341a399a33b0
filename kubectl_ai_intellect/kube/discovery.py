"""Which kinds this API server serves: asked once, and only when a kind is not one we know."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubectl_ai_intellect.kube.arrival import parsed
from kubectl_ai_intellect.kube.refs import Resource
from kubectl_ai_intellect.kube.transport import Transport

AGGREGATED = ",".join(
    [
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
        "application/json",
    ]
)


def discovered(transport: Transport) -> list[Resource]:
    """Every kind that can be read, in the version that the server prefers."""
    found: dict[tuple[str, str], Resource] = {}
    for root in ("/api", "/apis"):
        answer = transport.get(root, accept=AGGREGATED)
        document = _document(answer.body) if answer.ok else {}
        if document.get("kind") == "APIGroupDiscoveryList":
            rows = _aggregated(document)
        else:
            rows = _one_by_one(transport, root, document)
        for resource in rows:
            found.setdefault((resource.group, resource.kind), resource)
    return list(found.values())


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = parsed(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _aggregated(document: dict[str, Any]) -> Iterable[Resource]:
    for group in document.get("items") or ():
        name = (group.get("metadata") or {}).get("name") or ""
        for version in group.get("versions") or ():
            for row in version.get("resources") or ():
                yield Resource(
                    group=name,
                    version=version.get("version", ""),
                    kind=(row.get("responseKind") or {}).get("kind", ""),
                    plural=row.get("resource", ""),
                    namespaced=row.get("scope") == "Namespaced",
                    short=tuple(row.get("shortNames") or ()),
                    verbs=tuple(row.get("verbs") or ()),
                )


def _one_by_one(transport: Transport, root: str, document: dict[str, Any]) -> Iterable[Resource]:
    """Servers before aggregated discovery: one request for each group's preferred version."""
    if root == "/api":
        versions = [("", version) for version in document.get("versions") or ()]
    else:
        versions = [
            (group.get("name", ""), (group.get("preferredVersion") or {}).get("version", ""))
            for group in document.get("groups") or ()
        ]
    for group, version in versions:
        answer = transport.get(f"{root}/{group}/{version}" if group else f"{root}/{version}", tries=1)
        if not answer.ok:
            continue
        for row in _document(answer.body).get("resources") or ():
            if "/" not in row.get("name", "/"):
                yield Resource(
                    group=group,
                    version=version,
                    kind=row.get("kind", ""),
                    plural=row["name"],
                    namespaced=bool(row.get("namespaced")),
                    short=tuple(row.get("shortNames") or ()),
                    verbs=tuple(row.get("verbs") or ()),
                )


__all__ = ["discovered"]
