"""A scenario's recording shows the same fault: recorded, written, read, played to kubectl without the cluster."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from kubectl_ai_intellect.kube.case.model import dumped, load, save
from tests.player import Player
from tests.player.recorded import world_of
from tests.scenarios.cluster import Cluster, Kubectl
from tests.scenarios.fixtures import Staged
from tests.scenarios.recording import record
from tests.scenarios.runner import Settled
from tests.scenarios.scenario import Scenario, find

LARGEST = 300_000
"""Bytes that a case may take, gzipped."""


@dataclass(frozen=True)
class Recorded:
    """What came of one recording."""

    size: int
    same_bytes: bool
    unseen: list[str]


@pytest.fixture(scope="module")
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Staged[Recorded]]:
    def visit(settled: Settled) -> Recorded:
        directory = tmp_path_factory.mktemp("case")
        case = record(settled)
        save(case, directory / "case.json.gz")
        read = load(directory / "case.json.gz")
        world, faults = world_of(read)
        with Player(world, directory, faults, settled.namespace) as player:
            reader = Kubectl(Cluster(player.kubeconfig, settled.cluster.kubectl))
            unseen = settled.unseen(reader)
        size = (directory / "case.json.gz").stat().st_size
        same = dumped(read) == (directory / "case.json.gz").read_bytes()
        shutil.rmtree(directory)
        return Recorded(size, same, unseen)

    staged = Staged(request, visit)
    yield staged
    staged.close()


@pytest.mark.parametrize("scenario", Staged.parameters(find()))
def test_its_recording_shows_the_fault(recorded: Staged[Recorded], scenario: Scenario) -> None:
    outcome = recorded.outcome(scenario)
    assert outcome.unseen == []
    assert outcome.size < LARGEST
    assert outcome.same_bytes
