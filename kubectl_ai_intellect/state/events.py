"""Events: what components said, about which object, how often and when."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubectl_ai_intellect.kube.refs import Ref, group_of
from kubectl_ai_intellect.kube.source import dig, when

_CONTAINER = re.compile(r"spec\.(?:init|ephemeral)?[cC]ontainers\{([^}]+)\}")


@dataclass(frozen=True, slots=True)
class Event:
    """One event, with the container its field path names as the part of `about`."""

    reason: str
    message: str
    type: str
    count: int
    first: datetime | None
    last: datetime | None
    component: str
    about: Ref
    uid: str

    @property
    def warning(self) -> bool:
        return self.type == "Warning"


def event(raw: Mapping[str, Any]) -> Event:
    """Read core/v1 events as old and new recorders write them (count and lastTimestamp, or series and eventTime)."""
    about = raw.get("involvedObject") or raw.get("regarding") or {}
    series = raw.get("series") or {}
    part = _CONTAINER.search(about.get("fieldPath") or "")
    created = when(dig(raw, "metadata", "creationTimestamp"))
    first = when(raw.get("firstTimestamp")) or when(raw.get("eventTime")) or created
    last = when(series.get("lastObservedTime")) or when(raw.get("lastTimestamp")) or when(raw.get("eventTime"))
    return Event(
        reason=raw.get("reason") or "",
        message=raw.get("message") or raw.get("note") or "",
        type=raw.get("type") or "Normal",
        count=int(series.get("count") or raw.get("count") or 1),
        first=first,
        last=last or first,
        component=dig(raw, "source", "component") or raw.get("reportingComponent") or "",
        about=Ref(
            group_of(about.get("apiVersion") or ""),
            about.get("kind") or "",
            about.get("namespace") or "",
            about.get("name") or "",
            part.group(1) if part else "",
        ),
        uid=about.get("uid") or "",
    )


__all__ = ["Event", "event"]
