"""How often the first verdict is right, over the recordings of all scenarios, with no cluster and no model.

Measured on what is recorded, with the events expired, and with the logs forbidden; and of each strength that an answer
claims, how often it was right, which is what its confidence should say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kubectl_ai_intellect.kube.case import Case
from tests.scenarios.asking import ask_case
from tests.scenarios.changed import without_events, without_logs
from tests.scenarios.judge import judge
from tests.scenarios.recorded import Recording, recordings

STRENGTHS = ((0.8, "proved"), (0.6, "likely"), (0.0, "possible"))
"""Confidence from which an answer counts as of that strength."""
VARIANTS: tuple[tuple[str, Callable[[Case], Case]], ...] = (
    ("as recorded", lambda case: case),
    ("events expired", without_events),
    ("logs forbidden", without_logs),
)


@dataclass(frozen=True)
class Answered:
    """One recording's answer, held against its scenario."""

    recording: Recording
    status: str
    cause_right: bool
    right: bool  # cause and object, or that nothing is wrong, or that no such thing is there
    confidence: float
    others: int  # further findings

    @property
    def control(self) -> bool:
        """A scenario with no root cause to find."""
        return self.recording.expect["status"] != "root_cause"

    @property
    def false_alarm(self) -> bool:
        """A fault told of where there is none: as the verdict, or beside it where nothing else is broken either."""
        expect = self.recording.expect
        return self.control and (self.status == "root_cause" or (self.others > 0 and not expect.get("also")))

    @property
    def tempting(self) -> bool:
        """A scenario made to tempt: healthy, recovered, a red herring, two faults, absent names, few rights."""
        return self.recording.name.startswith(("controls/", "healthy/"))


def answered(recording: Recording, change: Callable[[Case], Case]) -> Answered:
    report = ask_case(change(recording.case), recording.question)
    expect = recording.expect
    verdict = report.get("verdict") or {}
    causes = expect.get("any_of") or [expect.get("cause")]
    bare = {key: expect[key] for key in ("status", "cause", "any_of", "object", "also") if key in expect}
    status = verdict.get("status") or (report.get("answer") or {}).get("status", "nothing")
    return Answered(
        recording,
        status,
        status == expect["status"] and (expect["status"] != "root_cause" or verdict["cause"] in causes),
        not judge(without_style(report), bare),
        verdict.get("confidence", 0.0),
        len(report.get("findings") or ()),
    )


def without_style(report: dict[str, Any]) -> dict[str, Any]:
    """Status, causes and objects alone: what the judge has to say of citations and commands is for the tests."""
    if "verdict" not in report:
        return report

    def bare(verdict: dict[str, Any]) -> dict[str, Any]:
        return {**{key: verdict.get(key) for key in ("status", "cause", "object")}, "chain": [{}], "missing": ["-"]}

    found = [bare(each) for each in report.get("findings") or ()]
    return {"kind": report["kind"], "verdict": bare(report["verdict"]), "findings": found}


def main() -> None:
    found = recordings()
    if not found:
        raise SystemExit("there are no recordings: `python -m tests.scenarios record` makes them")
    results: list[Answered] = []
    for name, change in VARIANTS:
        answers = [answered(each, change) for each in found]
        print(f"{name:<16} {line(answers)}")
        results = results or answers
    tempting = [each for each in results if each.tempting]
    right = rate(sum(each.right for each in tempting), len(tempting))
    print(f"\nhealthy, recovered, red herrings, two faults, absent names, few rights: {right}")
    print("\nconfidence, as recorded")
    for name, part in by_strength(results):
        print(f"  {name:<10} {rate(sum(each.right for each in part), len(part))}")
    wrong = [each for each in results if not each.right]
    for each in wrong:
        print(f"  wrong: {each.recording.name} ({each.status})")


def line(answers: Sequence[Answered]) -> str:
    roots = [each for each in answers if not each.control]
    controls = [each for each in answers if each.control]
    alarms = sum(each.false_alarm for each in controls)
    open_ones = sum(each.status == "inconclusive" for each in roots)
    other = sum(not each.cause_right and each.status == "root_cause" for each in roots)
    return (
        f"cause {rate(sum(each.cause_right for each in roots), len(roots))}   "
        f"cause and object {rate(sum(each.right for each in roots), len(roots))}   "
        f"(inconclusive {open_ones}, another cause {other})   "
        f"controls {rate(sum(each.right for each in controls), len(controls))}, false alarms {alarms}"
    )


def by_strength(answers: Sequence[Answered]) -> list[tuple[str, list[Answered]]]:
    claimed = [each for each in answers if each.status == "root_cause"]
    parts: list[tuple[str, list[Answered]]] = []
    for least, name in STRENGTHS:
        part = [each for each in claimed if each.confidence >= least]
        claimed = [each for each in claimed if each.confidence < least]
        mean = sum(each.confidence for each in part) / len(part) if part else 0.0
        parts.append((f"{name} {mean:.2f}", part))
    return parts


def rate(part: int, whole: int) -> str:
    return f"{part}/{whole} ({100 * part / whole:.1f} %)" if whole else "none"


if __name__ == "__main__":
    main()
