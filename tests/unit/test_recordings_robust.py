"""Recordings told otherwise keep their verdict; with parts lost they keep it or say that it is open; two in one show both.

Each run takes a share of each, drawn by name; `INTELLECT_SCENARIOS=all` takes everything.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from kubectl_ai_intellect.causes.symptoms.asked import addresses
from tests.scenarios.asking import ask_case, root
from tests.scenarios.changed import losable, merged, renamed, shifted, shuffled, without, without_events, without_logs
from tests.scenarios.recorded import Recording, recordings
from tests.scenarios.share import drawn, everything

RECORDINGS = recordings()
PROVED = 0.8
"""Confidence from which an answer claims to be proved."""


def some(kind: str, count: int) -> Any:
    """A share of the recordings as the test's parameter: others for each kind of change, the same in every run."""
    chosen = drawn([each.name for each in RECORDINGS], len(RECORDINGS) if everything() else count, kind)
    return pytest.mark.parametrize(
        "recording", [each for each in RECORDINGS if each.name in chosen], ids=lambda each: each.name
    )


def answer(recording: Recording) -> dict[str, Any]:
    return ask_case(recording.case, recording.question)


def softened(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Empty where the verdict stayed or became open; else what it turned into."""
    was, now = root(before), root(after)
    if was == now or now[0] != "root_cause":
        claims_health = now[0] == "healthy" and was[0] != "healthy"
        return f"{was} became healthy" if claims_health else ""
    sure = after["verdict"]["confidence"] >= PROVED
    return f"{was} became {now}, as if proved" if sure else ""


SLIPS = ("controls/replaced-pod-", "controls/typo-in-name")
"""Their questions hold a name that is like another's: it would not be like that one's new name."""


@some("renamed", 24)
def test_other_names(recording: Recording) -> None:
    if recording.name.startswith(SLIPS):
        pytest.skip("its question holds a name that is only like the one meant")
    if addresses(recording.question):
        pytest.skip("the address that is asked about stands in no object, so it is not renamed with them")
    case, name = renamed(recording.case)
    before, after = root(answer(recording)), root(ask_case(case, question_in(recording, name)))
    assert after == (*before[:2], name(before[2]))


def question_in(recording: Recording, name: Any) -> str:
    """The question with the names that stand in it replaced as in the case."""
    names = {
        item["metadata"]["name"]: entry.kind
        for entry in recording.case.lists
        for item in entry.items
        if entry.kind != "Event"
    }
    question = recording.question
    for each in sorted(names, key=len, reverse=True):
        new = name(f"{names[each]}/{each}").partition("/")[2]
        question = re.sub(rf"(?<![\w-]){re.escape(each)}(?![\w-])", new, question)
    return question


@some("shuffled", 24)
def test_another_order(recording: Recording) -> None:
    changed = shuffled(recording.case, recording.name)
    assert root(ask_case(changed, recording.question)) == root(answer(recording))


@some("shifted", 24)
@pytest.mark.parametrize("days", [-400, 97])
def test_another_time(recording: Recording, days: int) -> None:
    changed = shifted(recording.case, timedelta(days=days, hours=5, minutes=17))
    assert root(ask_case(changed, recording.question)) == root(answer(recording))


@some("no events", 40)
def test_expired_events(recording: Recording) -> None:
    assert softened(answer(recording), ask_case(without_events(recording.case), recording.question)) == ""


@some("no logs", 40)
def test_forbidden_logs(recording: Recording) -> None:
    assert softened(answer(recording), ask_case(without_logs(recording.case), recording.question)) == ""


@some("one read", 24)
def test_one_read_lost(recording: Recording) -> None:
    reads = {str((type(each).__name__, n)): each for n, each in enumerate(losable(recording.case))}
    chosen = drawn(list(reads), len(reads) if everything() else 3, recording.name)
    before = answer(recording)
    wrong = []
    for each in sorted(chosen):
        read = reads[each]
        became = softened(before, ask_case(without(recording.case, read), recording.question))
        if became:
            wrong.append(f"without {what(read)}: {became}")
    assert wrong == []


def what(read: Any) -> str:
    if hasattr(read, "pod"):
        return f"the log of {read.pod} {read.container}{' before' if read.previous else ''}"
    return f"the list of {read.kind} in {read.namespace or 'the cluster'} {read.fields}".strip()


PAIRED = [each for each in RECORDINGS if each.expect["status"] == "root_cause" and each.scenario.needs == "node"
          and not each.scenario.alone]  # fmt: skip
PAIRS = [
    pytest.param(one, two, id=f"{one.name}+{two.name}")
    for one, two in zip(PAIRED, PAIRED[len(PAIRED) // 2 :], strict=False)
]


@pytest.mark.parametrize(("one", "two"), PAIRS if everything() else PAIRS[::3])
def test_two_in_one_cluster(one: Recording, two: Recording) -> None:
    both = merged(one.case, two.case)
    report = ask_case(both, "what is wrong", everywhere=True)
    found = {root({"verdict": each}) for each in (report["verdict"], *report["findings"])}
    wanted = {root(answer(each)) for each in (one, two)}
    assert {each for each in wanted if each[0] == "root_cause"} - found == set()
