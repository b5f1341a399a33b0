"""Which scenarios a run stages: all of them, or in CI a share that changes with the commit.

The recordings of all of them are asked in every run; only staging on real clusters is shared out.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.scenarios.scenario import Scenario

VARIABLE = "INTELLECT_SCENARIOS"
STAGED_IN_CI = 16
"""Scenarios on a real node that a run of CI stages; kept small while CI also builds and asks every recording."""
FEW = 60
"""Up to so many on a node, CI stages all."""


def everything() -> bool:
    """Whether this run is to leave nothing out."""
    return os.environ.get(VARIABLE) == "all"


def mode(scenarios: Sequence[Scenario]) -> str:
    """`all` or `share`: as the environment says, else a share in CI once there are many."""
    said = os.environ.get(VARIABLE, "")
    if said not in ("", "all", "share"):
        raise ValueError(f"{VARIABLE}={said}: say all or share")
    in_ci = os.environ.get("CI", "").lower() in ("true", "1")
    many = sum(each.needs == "node" for each in scenarios) > FEW
    return said or ("share" if in_ci and many else "all")


def selected(scenarios: Sequence[Scenario], always: Sequence[str] = ()) -> list[Scenario]:
    """The scenarios to stage, in their order; those in `always` are never left out, large ones always."""
    if mode(scenarios) == "all":
        return list(scenarios)
    on_node = [each for each in scenarios if each.needs == "node" and not each.large]
    chosen = drawn([each.name for each in on_node], STAGED_IN_CI, commit()) | set(always)
    return [each for each in scenarios if not each.large and (each.needs != "node" or each.name in chosen)]


def drawn(names: Sequence[str], count: int, seed: str) -> set[str]:
    """As many names as asked for, others with every seed."""
    return set(sorted(names, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())[:count])


def commit() -> str:
    """The commit that is tested; empty where there is no repository."""
    here = Path(__file__).parent
    try:
        ran = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, timeout=10, check=False
        )
    except OSError:
        return ""
    return ran.stdout.strip() if ran.returncode == 0 else ""


__all__ = ["commit", "drawn", "everything", "mode", "selected"]
