"""The installed command with SmolLM2 beside it, against faults on a real node: it joins in, and does no harm."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.models.harm import harms, uncited_sentences
from tests.models.smollm import smollm
from tests.scenarios.fixtures import Staged
from tests.scenarios.judge import judge
from tests.scenarios.runner import Settled
from tests.scenarios.scenario import Scenario, find

pytestmark = [
    pytest.mark.model,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(importlib.util.find_spec("llama_cpp") is None, reason="llama-cpp-python is not installed"),
]
NAMES = ("app/dependency-dns",)
"""Told by a log and no surer than likely: the model has something to decide."""
SCENARIOS = [each for each in find() if each.name in NAMES]


@dataclass
class Outcome:
    """The answers to one question, and how the second process came by its prefix."""

    expect: Any
    alone: dict[str, Any]
    first: dict[str, Any]
    again: dict[str, Any]
    text: str


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def staged(request: pytest.FixtureRequest, home: Path) -> Iterator[Staged[Outcome]]:
    def visit(settled: Settled) -> Outcome:
        answers = [asked(settled, home, *flags) for flags in ((), WITH, WITH)]
        alone, first, again = (json.loads(each) for each in answers)
        return Outcome(settled.expect, alone, first, again, asked(settled, home, *WITH, output="text"))

    all_of_them = Staged(request, visit)
    yield all_of_them
    all_of_them.close()


WITH = ("--model", "SMOLLM", "--explain", "on")


def asked(settled: Settled, home: Path, *flags: str, output: str = "json") -> str:
    """`kubectl intellect …`, with directories of its own."""
    commands = Path(sys.executable).parent
    environment = {
        **os.environ,
        "NO_COLOR": "1",
        "PATH": f"{commands}{os.pathsep}{os.environ.get('PATH', '')}",
        "KUBECTL_INTELLECT_MODEL__CACHE_DAYS": "0",  # each process asks the model itself
        **{f"XDG_{each}_HOME": str(home / each.lower()) for each in ("CONFIG", "DATA", "CACHE")},
    }
    named = [str(smollm()) if each == "SMOLLM" else each for each in flags]
    words = ["intellect", "--kubeconfig", str(settled.cluster.kubeconfig), "-n", settled.namespace, "-o", output]
    ran = subprocess.run([settled.cluster.kubectl, *words, *named, "--", settled.question], capture_output=True,
                         text=True, timeout=600, env=environment, check=False)  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize("scenario", Staged.parameters(SCENARIOS))
def test_the_answer_stays_right(staged: Staged[Outcome], scenario: Scenario) -> None:
    outcome = staged.outcome(scenario)
    for report in (outcome.first, outcome.again):
        assert harms(outcome.alone, report) == []
        assert uncited_sentences(outcome.alone, report) == []
    assert judge(outcome.alone, outcome.expect) == []


@pytest.mark.parametrize("scenario", Staged.parameters(SCENARIOS))
def test_the_model_was_asked_and_the_second_process_read_no_prefix(staged: Staged[Outcome], scenario: Scenario) -> None:
    first, again = (each["usage"] for each in (staged.outcome(scenario).first, staged.outcome(scenario).again))
    assert first["model"].startswith("llamacpp:")
    assert first["promptTokens"] > 300
    assert first["completionTokens"] > 0
    assert again["cachedTokens"] - first["cachedTokens"] > 200


@pytest.mark.parametrize("scenario", Staged.parameters(SCENARIOS))
def test_people_see_the_verdict(staged: Staged[Outcome], scenario: Scenario) -> None:
    outcome = staged.outcome(scenario)
    assert outcome.alone["verdict"]["object"]["name"] in outcome.text
