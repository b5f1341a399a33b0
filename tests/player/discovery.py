"""The documents by which an API server says what it serves: the old ones and the aggregated one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from kubectl_ai_intellect.kube.refs import Resource

Json = dict[str, Any]


def core_versions() -> Json:
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def group_list(resources: Sequence[Resource]) -> Json:
    groups = [group(resources, name) for name in _groups(resources) if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def group(resources: Iterable[Resource], name: str) -> Json:
    versions = [
        {"groupVersion": f"{name}/{version}", "version": version}
        for version in dict.fromkeys(each.version for each in resources if each.group == name)
    ]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def resource_list(resources: Iterable[Resource], group_name: str, version: str) -> Json:
    rows: list[Json] = []
    for each in resources:
        if (each.group, each.version) != (group_name, version):
            continue
        row = {
            "name": each.plural,
            "singularName": each.kind.lower(),
            "namespaced": each.namespaced,
            "kind": each.kind,
            "verbs": list(each.verbs),
            "shortNames": list(each.short),
        }
        rows.append(row)
        if (each.group, each.plural) == ("", "pods"):
            rows.append({"name": "pods/log", "namespaced": True, "kind": "Pod", "verbs": ["get"], "singularName": ""})
    name = f"{group_name}/{version}" if group_name else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": rows}


def aggregated(resources: Sequence[Resource], *, core: bool, version: str) -> Json:
    items = [_group_items(resources, name) for name in _groups(resources) if (name == "") is core]
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{version}",
        "metadata": {},
        "items": items,
    }


def _groups(resources: Iterable[Resource]) -> list[str]:
    return list(dict.fromkeys(each.group for each in resources))


def _group_items(resources: Iterable[Resource], name: str) -> Json:
    versions: dict[str, list[Json]] = {}
    for each in resources:
        if each.group == name:
            versions.setdefault(each.version, []).append(_row(each))
    listed = [{"version": version, "resources": rows, "freshness": "Current"} for version, rows in versions.items()]
    return {"metadata": {"name": name} if name else {}, "versions": listed}


def _row(each: Resource) -> Json:
    return {
        "resource": each.plural,
        "responseKind": {"group": each.group, "version": each.version, "kind": each.kind},
        "scope": "Namespaced" if each.namespaced else "Cluster",
        "singularResource": each.kind.lower(),
        "verbs": list(each.verbs),
        "shortNames": list(each.short),
    }


__all__ = ["aggregated", "core_versions", "group", "group_list", "resource_list"]
