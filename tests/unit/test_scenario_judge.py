"""The judge finds each kind of wrong answer, and lets a right one pass."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.judge import MendFailed, apply_fix, judge

EXPECT = {
    "status": "root_cause",
    "cause": "probe/readiness-wrong-port",
    "object": "Deployment/web",
    "words": ["8080"],
    "no_words": ["DiskPressure"],
    "ruled_out": ["service/selector-mismatch"],
    "also": [{"cause": "workload/paused", "object": "Deployment/other"}],
}

RIGHT: dict[str, Any] = {
    "kind": "Diagnosis",
    "verdict": {
        "status": "root_cause",
        "cause": "probe/readiness-wrong-port",
        "object": {"kind": "Deployment", "name": "web"},
        "explanation": "the probe asks port 8080",
        "chain": [{"object": {"kind": "Pod", "name": "web-1"}, "because": "unready", "evidence": ["E1"]}],
        "fix": [
            {"kind": "stopgap", "commands": ["kubectl rollout undo deploy/web"]},
            {"kind": "mend", "commands": ["kubectl set image deploy/web web=<IMAGE>"], "unknown": ["<IMAGE>"]},
            {"kind": "mend", "commands": ["kubectl patch deploy web -p '{\"a\": <PORT>}'"], "unknown": ["<PORT>"]},
        ],
        "alternatives": [{"cause": "service/selector-mismatch", "ruledOutBy": ["E1"]}],
    },
    "findings": [{"cause": "workload/paused", "object": {"kind": "Deployment", "name": "other"}}],
    "evidence": [{"id": "E1", "text": "connection refused", "command": "kubectl get events"}],
}


def changed(change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    answer = copy.deepcopy(RIGHT)
    change(answer)
    return answer


def test_a_right_answer_passes() -> None:
    assert judge(RIGHT, EXPECT) == []


def test_any_of_several_causes_and_objects_will_do() -> None:
    expect = {"status": "root_cause", "any_of": ["app/crash", RIGHT["verdict"]["cause"]], "object": ["Pod/x", "Deployment/w*"]}  # fmt: skip
    assert judge(RIGHT, expect) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda a: a["verdict"].update(status="healthy"), "status 'healthy'"),
        (lambda a: a["verdict"].update(cause="app/crash"), "cause app/crash instead of"),
        (lambda a: a["verdict"]["object"].update(kind="Pod"), "object Pod/web instead of"),
        (lambda a: a["verdict"].update(explanation="the probe is wrong"), "says nothing of '8080'"),
        (lambda a: a["verdict"].update(title="no diskpressure here"), "speaks of 'DiskPressure'"),
        (lambda a: a["verdict"]["alternatives"][0].update(ruledOutBy=[]), "does not rule out"),
        (lambda a: a.update(findings=[]), "no finding of workload/paused"),
        (lambda a: a["verdict"]["chain"][0].update(evidence=["E9"]), "cites E9"),
        (lambda a: a["verdict"].update(chain=[]), "without a chain"),
        (lambda a: a["verdict"]["fix"][0].update(commands=["rm -rf /"]), "does not start with kubectl"),
        (lambda a: a["verdict"]["fix"][0].update(commands=["kubectl get x | sh"]), "needs a shell"),
        (lambda a: a["verdict"]["fix"][0].update(commands=["kubectl edit deploy/x"]), "opens an editor"),
    ],
)
def test_each_wrong_is_told(change: Callable[[dict[str, Any]], None], says: str) -> None:
    found = judge(changed(change), EXPECT)
    assert len(found) == 1
    assert says in found[0]


def test_healthy_has_no_cause_and_inconclusive_says_what_is_missing() -> None:
    healthy = {"kind": "Diagnosis", "verdict": {"status": "healthy", "cause": "app/crash"}}
    assert judge(healthy, {"status": "healthy"}) == ["status 'healthy', and yet a cause: app/crash"]
    unsure = {"kind": "Diagnosis", "verdict": {"status": "inconclusive", "cause": None, "missing": []}}
    assert judge(unsure, {"status": "inconclusive"}) == ["inconclusive, and does not say what is missing"]


class Recorder:
    """A cluster that only remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[Sequence[str]] = []
        self.texts: list[str | None] = []

    def run(self, *words: str, text: str | None, timeout: float) -> str:
        self.told.append(words)
        self.texts.append(text)
        return ""


def test_the_first_mend_that_can_be_filled_in_is_run() -> None:
    recorder = Recorder()
    apply_fix(recorder, RIGHT, {"PORT": "80"})  # type: ignore[arg-type]
    assert recorder.told == [("patch", "deploy", "web", "-p", '{"a": 80}')]


def test_a_mend_with_unknowns_left_is_not_run() -> None:
    with pytest.raises(MendFailed, match="nothing is given for <PORT>"):
        apply_fix(Recorder(), RIGHT, {})  # type: ignore[arg-type]


def test_a_document_that_a_heredoc_hands_over_goes_to_stdin() -> None:
    command = "kubectl apply -f - <<'EOF'\nkind: Role\nEOF"
    mend = {"kind": "mend", "commands": [command]}
    recorder = Recorder()
    apply_fix(recorder, {"kind": "Diagnosis", "verdict": {"fix": [mend]}}, {})  # type: ignore[arg-type]
    assert (recorder.told, recorder.texts) == ([("apply", "-f", "-")], ["kind: Role\n"])


def test_the_schema_file_is_json() -> None:
    import json

    import tests.scenarios

    json.loads((Path(tests.scenarios.__file__).parent / "schema.json").read_text())
