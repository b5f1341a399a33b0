"""The product against every scenario: the question is asked on the real cluster, and where the mend heals, it is run.

The answer must name the right cause and object, cite what it says, and print a fix that heals as it stands.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.scenarios.fixtures import Staged
from tests.scenarios.judge import MendFailed, apply_fix, judge, wait_healthy
from tests.scenarios.runner import Settled
from tests.scenarios.scenario import Scenario, find


@dataclass
class Outcome:
    """What was wrong with the answer, and with what its fix did."""

    answer: list[str]
    healing: list[str] = field(default_factory=list)


def ask(settled: Settled, question: str, *more: str) -> dict[str, Any]:
    """Ask the installed command, as a user would."""
    words = [sys.executable, "-m", "kubectl_ai_intellect", "--kubeconfig", str(settled.cluster.kubeconfig)]
    words += ["-n", settled.namespace, "-o", "json", *more, "--", question]
    ran = subprocess.run(
        words, capture_output=True, text=True, timeout=180, env={**os.environ, "NO_COLOR": "1"}, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def visit(settled: Settled) -> Outcome:
    question = settled.bound.data.get("question", settled.scenario.question)
    answer = ask(settled, question)
    outcome = Outcome(judge(answer, settled.expect))
    if settled.expect.get("heals") and not outcome.answer:
        try:
            apply_fix(settled.cluster, answer, settled.expect.get("fill"))
            outcome.healing = wait_healthy(settled)
        except (MendFailed, Exception) as problem:
            outcome.healing = [f"{type(problem).__name__}: {problem}"]
    return outcome


@pytest.fixture(scope="module")
def asked(request: pytest.FixtureRequest) -> Iterator[Staged[Outcome]]:
    staged = Staged(request, visit)
    yield staged
    staged.close()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("scenario", Staged.parameters(find()))
def test_the_answer_is_right_and_the_fix_heals(asked: Staged[Outcome], scenario: Scenario) -> None:
    outcome = asked.outcome(scenario)
    assert outcome.answer == []
    assert outcome.healing == []
