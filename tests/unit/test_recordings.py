"""The product against the recordings of all scenarios: the right root of each, with no cluster."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest

from kubectl_ai_intellect.knowledge.library import runbook_for
from tests.scenarios.asking import ask_case
from tests.scenarios.judge import judge
from tests.scenarios.recorded import FOLDER, Recording, path_of, recordings
from tests.scenarios.scenario import find

SCENARIOS = find()
RECORDINGS = recordings(SCENARIOS)
LARGEST, LARGEST_OF_ALL = 300_000, 6_000_000
MEND = "`python -m tests.scenarios record` makes it"


@cache
def answers() -> dict[str, dict[str, Any]]:
    return {}


def answered(recording: Recording) -> dict[str, Any]:
    """The answer to a recording's question, asked once for all tests."""
    known = answers()
    if recording.name not in known:
        known[recording.name] = ask_case(recording.case, recording.question)
    return known[recording.name]


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda each: each.name)
def test_the_verdict_is_right(recording: Recording) -> None:
    assert judge(answered(recording), recording.expect) == []


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda each: each.name)
def test_the_mend_is_one_that_the_runbook_knows(recording: Recording) -> None:
    """What the tool tells people to do and what the runbook tells them must not be two things."""
    verdict = answered(recording).get("verdict") or {}
    runbook = runbook_for(verdict.get("cause") or "")
    fixes = [each for each in verdict.get("fix", ()) if each["kind"] == "mend" and each["patches"]]
    if runbook is None or not fixes:
        return
    told = runbook.section("Fix it") + "".join(each.command + each.yaml + each.title for each in runbook.fixes)
    wanted = [term for fix in fixes for patch in fix["patches"] for term in terms(patch)]
    assert any(re.search(term, told, re.IGNORECASE) for term in wanted), wanted


ACTIONS = {"rollback": ["rollout undo"], "restart": ["rollout restart", "delete pod"], "delete": ["delete"],
           "create": ["create", "apply", "kind:"], "replace": ["replace", "delete", "recreate"]}  # fmt: skip


def terms(patch: dict[str, Any]) -> list[str]:
    """Words of a patch that a text about the same change must have: its field, or its action."""
    found = list(ACTIONS.get(patch["action"], ()))
    for operation in patch.get("operations") or ():
        names = [part for part in operation["path"].split("/") if part and not part.isdigit() and part != "-"]
        fields = [re.escape(name) for name in names if name not in STRUCTURE]
        found += [patch["object"]["kind"]] if "data" in names else fields[-2:]  # a key's name is anybody's
    return found


STRUCTURE = {"spec", "template", "metadata", "containers", "data", "name", "value"}


def test_every_scenario_has_a_recording_of_what_it_stages() -> None:
    missing = [each.name for each in SCENARIOS if not path_of(each).exists()]
    stale = [each.name for each in RECORDINGS if each.stale]
    assert missing == [], MEND
    assert stale == [], MEND


def test_every_recording_has_its_scenario() -> None:
    assert {path.name for path in FOLDER.glob("*")} == {each.path.name for each in RECORDINGS}


def test_recordings_are_small() -> None:
    sizes = {each.name: each.path.stat().st_size for each in RECORDINGS}
    assert {name: size for name, size in sizes.items() if size > LARGEST} == {}
    assert sum(sizes.values()) < LARGEST_OF_ALL
