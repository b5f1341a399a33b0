"""One check's outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Status = Literal["ok", "degraded", "failed"]


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at and how it is; where that is not well, what it costs and how to mend it."""

    name: str
    status: Status
    says: str
    costs: str = ""
    mend: str = ""


def ok(name: str, says: str) -> Check:
    return Check(name, "ok", says)


def degraded(name: str, says: str, costs: str, mend: str) -> Check:
    return Check(name, "degraded", says, costs, mend)


def failed(name: str, says: str, costs: str, mend: str) -> Check:
    return Check(name, "failed", says, costs, mend)


def unknown(name: str, needs: str) -> Check:
    """A check that could not be made because another one failed; that one says the mend."""
    return Check(name, "failed", f"not known: {needs}", "", "")


def report(checks: Sequence[Check], context: str, namespace: str) -> dict[str, Any]:
    """What `-o json` and `-o yaml` print."""
    return {
        "apiVersion": "intellect/v1",
        "kind": "Doctor",
        "context": context,
        "namespace": namespace,
        "status": worst(checks),
        "checks": [asdict(each) for each in checks],
    }


def worst(checks: Sequence[Check]) -> Status:
    states = {each.status for each in checks}
    return "failed" if "failed" in states else "degraded" if "degraded" in states else "ok"


__all__ = ["Check", "Status", "degraded", "failed", "ok", "report", "unknown", "worst"]
