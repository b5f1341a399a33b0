"""What tests over many scenarios share: which cluster each needs, and staging all that a run selected together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

import pytest

from tests.cluster.handle import Cluster as Running
from tests.scenarios.cluster import Cluster
from tests.scenarios.runner import Settled, Staging
from tests.scenarios.scenario import Scenario

T = TypeVar("T")

MARKS = {"controlplane": pytest.mark.controlplane, "node": pytest.mark.realnode}
FIXTURES = {"controlplane": "control_plane", "node": "real_node"}


class Staged(Generic[T]):
    """The scenarios of one test module, staged on the cluster each needs once the first is asked for.

    Made in a fixture of module scope; each test has a parameter `scenario` and asks for its outcome.
    """

    def __init__(self, request: pytest.FixtureRequest, visit: Callable[[Settled], T]) -> None:
        self._request, self._visit = request, visit
        self._stagings: dict[str, Staging[T]] = {}
        self._wanted: dict[str, Scenario] = {}
        for item in request.session.items:
            if isinstance(item, pytest.Function) and item.module is request.module and hasattr(item, "callspec"):
                scenario: Scenario = item.callspec.params["scenario"]
                self._wanted[scenario.name] = scenario

    @staticmethod
    def parameters(scenarios: Iterable[Scenario]) -> list[Any]:
        """For `parametrize`: named, and marked with the cluster they need."""
        return [pytest.param(each, id=each.name, marks=MARKS[each.needs]) for each in scenarios]

    def outcome(self, scenario: Scenario) -> T:
        """What the visitor made of it."""
        if scenario.needs not in self._stagings:
            running: Running = self._request.getfixturevalue(FIXTURES[scenario.needs])
            cluster = Cluster(running.kubeconfig, str(running.kubectl_path), running)
            wanted = [each for each in self._wanted.values() if each.needs == scenario.needs]
            self._stagings[scenario.needs] = Staging(cluster, wanted, self._visit)
        return self._stagings[scenario.needs].outcome(scenario.name)

    def close(self) -> None:
        for staging in self._stagings.values():
            staging.close()


__all__ = ["Staged"]
