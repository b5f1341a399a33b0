"""Each scenario's fault is really there: staged on a real cluster, then looked at with real kubectl."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.cluster.handle import Cluster as Running
from tests.scenarios.cluster import Cluster, Kubectl
from tests.scenarios.runner import Settled, Staging
from tests.scenarios.scenario import Scenario, find

SCENARIOS = find()
MARKS = {"controlplane": pytest.mark.controlplane, "node": pytest.mark.realnode}
FIXTURES = {"controlplane": "control_plane", "node": "real_node"}

Seen = Callable[[Scenario], list[str]]


def look(settled: Settled) -> list[str]:
    """What kubectl does not show of the fault."""
    return settled.unseen(Kubectl(settled.cluster))


@pytest.fixture(scope="module")
def seen(request: pytest.FixtureRequest) -> Iterator[Seen]:
    """Stages what this run selected, all of a cluster's scenarios together once the first of them is asked for."""
    selected = {
        each.callspec.params["scenario"].name
        for each in request.session.items
        if isinstance(each, pytest.Function) and each.module is request.module
    }
    stagings: dict[str, Staging[list[str]]] = {}

    def outcome(scenario: Scenario) -> list[str]:
        if scenario.needs not in stagings:
            running: Running = request.getfixturevalue(FIXTURES[scenario.needs])
            cluster = Cluster(running.kubeconfig, str(running.kubectl_path), running)
            wanted = [each for each in SCENARIOS if each.needs == scenario.needs and each.name in selected]
            stagings[scenario.needs] = Staging(cluster, wanted, look)
        return stagings[scenario.needs].outcome(scenario.name)

    yield outcome
    for staging in stagings.values():
        staging.close()


@pytest.mark.parametrize("scenario", [pytest.param(each, id=each.name, marks=MARKS[each.needs]) for each in SCENARIOS])
def test_its_fault_is_seen(seen: Seen, scenario: Scenario) -> None:
    assert seen(scenario) == []
