"""The judge finds each kind of wrong answer, and lets a right one pass."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios import judge as judging
from tests.scenarios.judge import MendFailed, apply_fix, judge
from tests.scenarios.runner import Healed

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


def test_where_all_is_well_nothing_else_may_be_told_but_what_is_expected() -> None:
    answer = {"kind": "Diagnosis", "verdict": {"status": "healthy"}, "findings": RIGHT["findings"]}
    assert judge(answer, {"status": "healthy"}) == [
        "a finding of workload/paused at Deployment/other, though all is well"
    ]
    assert judge(answer, {"status": "healthy", "also": EXPECT["also"]}) == []


NOT_FOUND = {
    "kind": "Answer",
    "answer": {
        "status": "not_found",
        "text": "nothing is named carp",
        "near": [{"kind": "Pod", "name": "cart"}],
        "rows": [],
    },
}


def test_a_table_and_a_name_that_is_not_there_are_judged() -> None:
    expect = {"status": "not_found", "near": ["Pod/cart"], "words": ["carp"], "rows": 0}
    assert judge(NOT_FOUND, expect) == []
    assert judge(NOT_FOUND, {**expect, "near": ["Pod/other"]}) == ["does not offer Pod/other"]
    assert judge(NOT_FOUND, {**expect, "rows": 2}) == ["0 rows instead of 2"]
    assert judge(NOT_FOUND, {"status": "answered"}) == [
        "status 'not_found' (nothing is named carp) instead of 'answered'"
    ]
    assert judge(RIGHT, expect)[0].startswith("a diagnosis (root_cause")
    assert judge(NOT_FOUND, EXPECT)[0].startswith("a Diagnosis is expected")


class Standing:
    """A scenario whose pods are ready, and whose container starts again at some looks."""

    def __init__(self, lasting: int, restarts: Sequence[int]) -> None:
        self.namespace, self.healed, self.cluster, self.api = "n", Healed((), lasting), self, self
        self.restarts = list(restarts)

    def objects(self, kind: str, namespace: str) -> list[dict[str, Any]]:
        if kind != "Pod":
            return []
        count = self.restarts.pop(0) if len(self.restarts) > 1 else self.restarts[0]
        statuses = [{"name": "web", "restartCount": count}]
        ready = [{"type": "Ready", "status": "True"}]
        return [{"metadata": {"uid": "u", "name": "p"}, "spec": {"containers": []},
                 "status": {"containerStatuses": statuses, "conditions": ready}}]  # fmt: skip


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time that passes by sleeping only."""
    now = [0.0]
    monkeypatch.setattr(judging.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(judging.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))


@pytest.mark.usefixtures("clock")
def test_what_starts_again_is_not_well_for_long() -> None:
    assert judging.wait_healthy(Standing(5, [3]), 20) == []  # type: ignore[arg-type]
    looping = Standing(5, [n // 8 for n in range(400)])
    assert judging.wait_healthy(looping, 20) != []  # type: ignore[arg-type]
    assert judging.ails(Standing(5, [0, 0, 0, 0, 1]))  # type: ignore[arg-type]
    assert not judging.ails(Standing(5, [1]))  # type: ignore[arg-type]


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
