"""Each scenario's fault is really there: staged on a real cluster, then looked at with real kubectl."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.scenarios.cluster import Kubectl
from tests.scenarios.fixtures import Staged
from tests.scenarios.runner import Settled
from tests.scenarios.scenario import Scenario, find


def look(settled: Settled) -> list[str]:
    """What kubectl does not show of the fault."""
    return settled.unseen(Kubectl(settled.cluster))


@pytest.fixture(scope="module")
def seen(request: pytest.FixtureRequest) -> Iterator[Staged[list[str]]]:
    staged = Staged(request, look)
    yield staged
    staged.close()


@pytest.mark.parametrize("scenario", Staged.parameters(find()))
def test_its_fault_is_seen(seen: Staged[list[str]], scenario: Scenario) -> None:
    assert seen.outcome(scenario) == []
