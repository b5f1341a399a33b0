"""The loop with models that know everything and models that mean harm, over recordings of all scenarios."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from tests.models.adversary import ADVERSARIES, MARK, Adversary, Reader, WellCited
from tests.models.asking import ask_with
from tests.models.cases import Told, share
from tests.models.harm import harms, uncited_sentences
from tests.models.oracle import Oracle
from tests.models.reading import shown
from tests.scenarios.asking import root
from tests.scenarios.share import everything

LOST = ("events expired", "logs forbidden", "neither")
PROVED = share("proved", 8, "as recorded")
UNDECIDED = share("undecided", 14, *LOST)
UNKNOWN = share("unknown", 8, "as recorded", unknown=True)


@cache
def alone(told: Told) -> dict[str, Any]:
    """The answer without a model."""
    with told.staged() as case:
        return ask_with(None, case, told.recording.question)


def id_of(told: Told) -> str:
    return told.name


def against(told: Told) -> list[Adversary]:
    """All adversaries, or one of them: another for each case."""
    made = [make() for make in ADVERSARIES]
    return made if everything() else [made[sum(map(ord, told.name)) % len(made)]]


@pytest.mark.parametrize("told", [*PROVED, *UNDECIDED, *UNKNOWN], ids=id_of)
def test_no_adversary_does_harm(told: Told) -> None:
    before = alone(told)
    with told.staged() as case:
        for model in against(told):
            after = ask_with(model, case, told.recording.question)
            assert harms(before, after) == [], model.name
            assert uncited_sentences(before, after) == [], model.name


def test_the_adversaries_are_asked_and_lie_as_far_as_they_can() -> None:
    """Else the tests above would hold of models that nobody listens to."""
    told = next(each for each in share("", 999, "logs forbidden") if each.recording.name == "app/auth-failed")
    with told.staged() as case:
        for make in ADVERSARIES:
            model = make()
            report = ask_with(model, case, told.recording.question)
            assert model.prompts, model.name
            if model.name == "liar":
                assert MARK in report["verdict"]["title"]
                assert report["verdict"]["cause"] is None


def test_a_reader_that_never_concludes_is_stopped_by_the_budget() -> None:
    for told in UNDECIDED[:4]:
        model = Reader()
        with told.staged() as case:
            report = ask_with(model, case, told.recording.question)
        reads = [step for step in report["steps"] if step["hypothesis"].startswith("scripted:") and step["command"]]
        assert len(reads) <= 8
        assert len({step["command"] for step in reads}) == len(reads)


@pytest.mark.parametrize("told", [*PROVED[:4], *UNDECIDED], ids=id_of)
def test_an_oracle_costs_nothing_that_was_right(told: Told) -> None:
    """Whoever knows the answer never makes a right one wrong."""
    before = alone(told)
    with told.staged() as case:
        after = ask_with(Oracle(told.recording.expect), case, told.recording.question)
    assert harms(before, after) == []
    was, now = root(before), root(after)
    assert now == was or now[1] in told.causes


@pytest.mark.parametrize("told", [*UNDECIDED[:5], *UNKNOWN[:5]], ids=id_of)
def test_what_is_shown_grows_and_never_changes(told: Told) -> None:
    """Byte for byte: the prefix in all questions, and every earlier turn in all later steps."""
    model = WellCited() if told.unknown else Reader()
    with told.staged() as case:
        ask_with(model, case, told.recording.question)
    prefixes = {prompt.prefix for prompt in model.prompts}
    assert len(prefixes) <= 1
    for earlier, later in zip(model.prompts, model.prompts[1:], strict=False):
        assert later.turns[: len(earlier.turns)] == earlier.turns
    for prompt in model.prompts:
        seen = shown(prompt)
        assert len(seen.facts) == len({*seen.facts.values()})


def test_the_prefix_is_one_for_all_questions() -> None:
    prefixes: set[str] = set()
    for told in [*PROVED[:2], *UNDECIDED[:3]]:
        model = Reader()
        with told.staged() as case:
            ask_with(model, case, told.recording.question)
        prefixes |= {prompt.prefix for prompt in model.prompts}
    assert len(prefixes) == 1
