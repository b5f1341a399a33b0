"""Every scenario, staged once on a real cluster: its fault, the product's answer, its recording, its fix.

The answer must name the right cause and object, cite what it says, and print a fix that heals as it stands.
`INTELLECT_SCENARIOS=all` stages all of them, `share` some that change with the commit (see `share`).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.scenarios.fixtures import Staged
from tests.scenarios.scenario import Scenario, find
from tests.scenarios.share import selected
from tests.scenarios.visit import THROUGH_KUBECTL, WRONG_MENDS, Outcome, visit

SCENARIOS = selected(find(), always=(*THROUGH_KUBECTL, *WRONG_MENDS))
HEALING = [each for each in SCENARIOS if each.expect.get("heals")]
CONTROLLED = [each for each in HEALING if each.name in WRONG_MENDS]

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def staged(request: pytest.FixtureRequest) -> Iterator[Staged[Outcome]]:
    all_of_them = Staged(request, visit)
    yield all_of_them
    all_of_them.close()


@pytest.mark.parametrize("scenario", Staged.parameters(SCENARIOS))
def test_its_fault_is_seen_with_kubectl(staged: Staged[Outcome], scenario: Scenario) -> None:
    assert staged.outcome(scenario).seen == []


@pytest.mark.parametrize("scenario", Staged.parameters(SCENARIOS))
def test_the_answer_is_right(staged: Staged[Outcome], scenario: Scenario) -> None:
    assert staged.outcome(scenario).answer == []


@pytest.mark.parametrize("scenario", Staged.parameters(SCENARIOS))
def test_its_recording_shows_the_fault(staged: Staged[Outcome], scenario: Scenario) -> None:
    assert staged.outcome(scenario).recording == []


@pytest.mark.parametrize("scenario", Staged.parameters(SCENARIOS))
def test_its_recording_is_answered_alike(staged: Staged[Outcome], scenario: Scenario) -> None:
    assert staged.outcome(scenario).replay == []


@pytest.mark.parametrize("scenario", Staged.parameters(SCENARIOS))
def test_the_checks_of_its_runbook_show_what_they_expect(staged: Staged[Outcome], scenario: Scenario) -> None:
    assert staged.outcome(scenario).checks == []


@pytest.mark.parametrize("scenario", Staged.parameters(CONTROLLED))
def test_a_wrong_mend_does_not_heal(staged: Staged[Outcome], scenario: Scenario) -> None:
    assert staged.outcome(scenario).wrong_mend == []


@pytest.mark.parametrize("scenario", Staged.parameters(HEALING))
def test_the_fix_heals_as_printed(staged: Staged[Outcome], scenario: Scenario) -> None:
    assert staged.outcome(scenario).healing == []
