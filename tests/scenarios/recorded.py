"""The recordings of the scenarios: one case file each, kept beside them, asked wherever there is no cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from kubectl_ai_intellect.kube.case import Case, load
from tests.scenarios.scenario import HERE, Bound, Scenario, find

FOLDER = HERE / "recordings"


@dataclass(frozen=True)
class Recording:
    """A scenario and the case that was made of it."""

    scenario: Scenario
    path: Path

    @property
    def name(self) -> str:
        return self.scenario.name

    @property
    def case(self) -> Case:
        return _loaded(self.path)

    @property
    def bound(self) -> Bound:
        """The scenario with the names that it was recorded with."""
        return self.scenario.bound(self.case.namespace.rpartition("-")[2])

    @property
    def question(self) -> str:
        return self.bound.data["question"]

    @property
    def expect(self) -> Mapping[str, Any]:
        return self.bound.expect

    @property
    def stale(self) -> bool:
        """Whether the scenario stages something else by now."""
        return self.case.title.split() != [self.scenario.name, self.scenario.digest]


def path_of(scenario: Scenario) -> Path:
    """In `recordings`, beside the areas of the directory that the scenario is in."""
    return scenario.path.parents[1] / "recordings" / f"{scenario.name.replace('/', '-')}.json.gz"


def recordings(scenarios: Iterable[Scenario] | None = None) -> list[Recording]:
    """Those that there are."""
    known = find() if scenarios is None else scenarios
    return [Recording(each, path_of(each)) for each in known if path_of(each).exists()]


@cache
def _loaded(path: Path) -> Case:
    return load(path)


__all__ = ["FOLDER", "Recording", "path_of", "recordings"]
