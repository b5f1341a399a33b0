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
    right: bool  # cause and object, or that nothing is wrong
    confidence: float

    @property
    def control(self) -> bool:
        """A scenario with no root cause to find."""
        return self.recording.expect["status"] != "root_cause"


def answered(recording: Recording, change: Callable[[Case], Case]) -> Answered:
    report = ask_case(change(recording.case), recording.question)
    expect = recording.expect
    verdict = report.get("verdict") or {}
    causes = expect.get("any_of") or [expect.get("cause")]
    bare = {key: expect[key] for key in ("status", "cause", "any_of", "object") if key in expect}
    return Answered(
        recording,
        verdict.get("status", "no diagnosis"),
        verdict.get("status") == expect["status"] and (expect["status"] != "root_cause" or verdict["cause"] in causes),
        bool(verdict) and not judge(without_style(report), bare),
        verdict.get("confidence", 0.0),
    )


def without_style(report: dict[str, Any]) -> dict[str, Any]:
    """Status, cause and object alone: what the judge has to say of citations and commands is for the tests."""
    keep = {key: report["verdict"].get(key) for key in ("status", "cause", "object", "missing")}
    return {"kind": report["kind"], "verdict": {**keep, "chain": [{}], "missing": ["-"]}}


def main() -> None:
    found = recordings()
    if not found:
        raise SystemExit("there are no recordings: `python -m tests.scenarios record` makes them")
    results: list[Answered] = []
    for name, change in VARIANTS:
        answers = [answered(each, change) for each in found]
        print(f"{name:<16} {line(answers)}")
        results = results or answers
    print("\nconfidence, as recorded")
    for name, part in by_strength(results):
        print(f"  {name:<10} {rate(sum(each.right for each in part), len(part))}")
    wrong = [each for each in results if not each.right]
    for each in wrong:
        print(f"  wrong: {each.recording.name} ({each.status})")


def line(answers: Sequence[Answered]) -> str:
    roots = [each for each in answers if not each.control]
    controls = [each for each in answers if each.control]
    alarms = sum(each.status == "root_cause" for each in controls)
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
