"""What a player serves: objects by kind, logs, and the kinds that its API server knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from kubectl_ai_intellect.kube.refs import KNOWN, Resource

Json = Mapping[str, Any]
Container = tuple[str, str, str]
"""Namespace, pod, container."""

METRICS = "metrics.k8s.io"


@dataclass(frozen=True)
class Failure:
    """What the API server answers in place of a log."""

    code: int
    message: str


@dataclass(frozen=True)
class World:
    """A cluster at one moment."""

    objects: Mapping[tuple[str, str], Sequence[Json]]
    """By (group, plural)."""
    resources: Sequence[Resource]
    logs: Mapping[Container, str | Failure] = field(default_factory=dict)
    previous: Mapping[Container, str | Failure] = field(default_factory=dict)
    version: Json = field(default_factory=lambda: {"major": "1", "minor": "36", "gitVersion": "v1.36.3"})
    now: datetime | None = None
    stamped: bool = False
    """Whether each line of a log begins with the time at which the runtime took it in."""

    scopes: frozenset[tuple[str, str, str, str]] | None = None
    """What was looked for: group, plural, namespace, name; empty ones are all. None: everything was."""

    def knows(self, group: str, plural: str, namespace: str, name: str = "") -> bool:
        """Whether what is not among the objects is known not to exist."""
        if self.scopes is None:
            return True
        spaces, names = {"", namespace}, {"", name}
        return any((group, plural, space, one) in self.scopes for space in spaces for one in names)

    @classmethod
    def of(cls, objects: Iterable[Json], **more: Any) -> World:
        """A world of these objects, in the kinds that every cluster has and those that the objects are of."""
        by_kind: dict[tuple[str, str], list[Json]] = {}
        served = {key: each for key, each in KNOWN.items() if key[0] != METRICS}
        for each in objects:
            group, _, version = each["apiVersion"].rpartition("/")
            resource = served.get((group, each["kind"])) or KNOWN.get((group, each["kind"]))
            if resource is None:
                plural = each["kind"].lower() + "s"
                resource = Resource(group, version, each["kind"], plural, "namespace" in each["metadata"])
            served[group, each["kind"]] = resource
            by_kind.setdefault((group, resource.plural), []).append(each)
        return cls(by_kind, list(served.values()), **more)

    def without(self, group: str) -> World:
        """The same cluster without an API group, as if what serves it was never installed."""
        kept = [each for each in self.resources if each.group != group]
        objects = {key: each for key, each in self.objects.items() if key[0] != group}
        return replace(self, objects=objects, resources=kept)

    def resource(self, group: str, version: str, plural: str) -> Resource | None:
        for each in self.resources:
            if (each.group, each.version, each.plural) == (group, version, plural):
                return each
        return None


__all__ = ["METRICS", "Container", "Failure", "World"]
