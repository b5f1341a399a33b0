"""The product against an API server that misbehaves: an answer or a one-line error, never a traceback, never a write.

Also never a root cause that the same cluster without the fault does not show.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.town import FAULTY, town
from kubectl_ai_intellect.errors import IntellectError
from kubectl_ai_intellect.kube.config import Flags
from kubectl_ai_intellect.kube.session import connect
from tests.player import (
    Fault,
    Player,
    World,
    broken_log,
    expired_token,
    failing,
    forbidden,
    reset,
    slow,
    throttled,
    truncated,
    unauthorized,
)
from tests.player.recorded import world_of
from tests.player.world import METRICS
from tests.scenarios.asking import ask, root

NAMESPACE, NAME = FAULTY
WORLD, _ = world_of(town(96, 12, 2))
RIGHT = ("root_cause", "image/not-found", f"Deployment/{NAME}")

HARMLESS: dict[str, Callable[[], Fault]] = {
    "throttled once": lambda: throttled(retry_after=0.05),
    "503 once": lambda: failing(503, times=1),
    "one reset": lambda: reset(times=1),
    "slow": lambda: slow(0.2, times=2),
    "continue token too old": expired_token,
    "logs return 500": broken_log,
}
"""What a client must get over without a loss."""

HARMFUL: dict[str, Callable[[], Fault]] = {
    "401": unauthorized,
    "everything forbidden": lambda: forbidden("*"),
    **{f"{each} forbidden": (lambda each=each: forbidden(each)) for each in
       ("pods", "events", "replicasets", "deployments", "nodes", "secrets", "services", "namespaces")},
    "pods throttled for ever": lambda: throttled("pods", retry_after=0.05, times=None),
    "500 for ever": lambda: failing(500),
    "events return 500": lambda: failing(500, "events"),
    "reset for ever": reset,
    "pods reset": lambda: reset("pods"),
    "JSON cut short": lambda: truncated(700),
    "pods cut short": lambda: truncated(900, "pods"),
    "404": lambda: failing(404, "replicasets"),
}  # fmt: skip


def asked(tmp_path: Path, fault: Fault | None, world: World = WORLD) -> tuple[Any, Player]:
    """What came of the question: where it stands in the answer, or the error."""
    faults = [fault] if fault else []
    with Player(world, tmp_path, faults, NAMESPACE) as player:
        try:
            with connect(Flags(kubeconfig=str(player.kubeconfig)), 20) as source:
                return ask(source, f"why is {NAME} not starting", NAMESPACE), player
        except IntellectError as problem:
            return problem, player


@pytest.mark.parametrize("name", HARMLESS)
def test_what_passes_costs_nothing(tmp_path: Path, name: str) -> None:
    report, player = asked(tmp_path, HARMLESS[name]())
    assert not isinstance(report, IntellectError), report
    assert root(report) == RIGHT
    assert player.writes() == []


@pytest.mark.parametrize("name", HARMFUL)
def test_what_stays_ends_in_an_answer_or_one_line(tmp_path: Path, name: str) -> None:
    report, player = asked(tmp_path, HARMFUL[name]())
    assert player.writes() == []
    if isinstance(report, IntellectError):
        text = str(report)
        assert 10 < len(text) < 400
        assert "\n" not in text
        assert "Traceback" not in text
        return
    found = root(report)
    assert found == RIGHT or found[0] != "root_cause" or report["verdict"]["confidence"] < 0.8, found
    assert found[0] != "healthy"
    if found != RIGHT and "verdict" in report:
        assert report["verdict"]["missing"]


def test_a_cluster_without_metrics_is_asked_all_the_same(tmp_path: Path) -> None:
    report, _ = asked(tmp_path, None, WORLD.without(METRICS))
    assert root(report) == RIGHT


def test_a_world_without_the_object_says_so(tmp_path: Path) -> None:
    bare = replace(WORLD, objects={key: [] for key in WORLD.objects})
    report, _ = asked(tmp_path, None, bare)
    assert isinstance(report, IntellectError) or root(report)[0] != "root_cause"
