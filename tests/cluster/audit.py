"""What a client did to a cluster, by the API server's own account."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Entry = dict[str, Any]

AGENT = "kubectl-intellect"
"""How our own requests call themselves."""
WRITING = frozenset({"create", "update", "patch", "delete", "deletecollection"})
INTO_CONTAINERS = frozenset({"exec", "attach", "portforward", "proxy", "ephemeralcontainers", "token", "eviction"})


def ours(entry: Entry) -> bool:
    return str(entry.get("userAgent", "")).startswith(AGENT)


def entries(log: Path, of: Callable[[Entry], bool] = ours) -> list[Entry]:
    """The log's entries of one client; the last line may still be on its way."""
    lines = log.read_text(encoding="utf-8").split("\n")
    return [entry for line in lines[:-1] if of(entry := json.loads(line))]


def is_review(entry: Entry) -> bool:
    return str((entry.get("objectRef") or {}).get("resource", "")).startswith("selfsubject")


def is_rehearsal(entry: Entry) -> bool:
    return "dryRun=All" in entry.get("requestURI", "")


def changes(found: Iterable[Entry]) -> list[str]:
    """What would have changed something, or gone into a container: all but reads, self reviews and dry runs."""
    told: list[str] = []
    for entry in found:
        subresource = (entry.get("objectRef") or {}).get("subresource", "")
        writes = entry["verb"] in WRITING and not is_review(entry) and not is_rehearsal(entry)
        if writes or subresource in INTO_CONTAINERS:
            told.append(f"{entry['verb']} {entry['requestURI']}")
    return told


__all__ = ["AGENT", "Entry", "changes", "entries", "is_rehearsal", "is_review", "ours"]
