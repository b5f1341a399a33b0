"""The product against the recordings of all scenarios: the right root of each, with no cluster."""

from __future__ import annotations

import pytest

from tests.scenarios.asking import ask_case
from tests.scenarios.judge import judge
from tests.scenarios.recorded import FOLDER, Recording, path_of, recordings
from tests.scenarios.scenario import find

SCENARIOS = find()
RECORDINGS = recordings(SCENARIOS)
LARGEST, LARGEST_OF_ALL = 300_000, 6_000_000
MEND = "`python -m tests.scenarios record` makes it"


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda each: each.name)
def test_the_verdict_is_right(recording: Recording) -> None:
    assert judge(ask_case(recording.case, recording.question), recording.expect) == []


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
