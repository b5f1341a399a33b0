"""Investigations on disk: made by several processes at once, damaged, resumed, gone on from."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from kubectl_ai_intellect.cli.ask import ask_source
from kubectl_ai_intellect.cli.flags import Options
from kubectl_ai_intellect.cli.thinking import Helper
from kubectl_ai_intellect.errors import UsageError
from kubectl_ai_intellect.investigate.sessions import Sessions
from kubectl_ai_intellect.report import Answer, Diagnosis, Report
from tests.unit.paper import Paper
from tests.unit.scripted_model import Scripted, tells

WRITER = textwrap.dedent("""
    import sys
    from pathlib import Path
    from kubectl_ai_intellect.investigate.sessions import Sessions

    for number in range(6):
        sessions = Sessions(Path(sys.argv[1]))
        saver = sessions.saver()
        assert saver is not None
        sessions._connection.execute(
            "insert into writes (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, value) "
            "values (?, '', 'c', 't', 0, 'told', 'x', ?)", (f"{sys.argv[2]}-{number}", b"x" * 20000))
        sessions._connection.commit()
        sessions.close()
""")


def test_several_processes_may_make_it_at_once(tmp_path: Path) -> None:
    file = tmp_path / "new" / "sessions.db"
    running = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(file), str(number)], stderr=subprocess.PIPE, text=True)
        for number in range(2)
    ]
    assert [each.communicate(timeout=120)[1] for each in running] == [""] * 2
    with sqlite3.connect(file) as found:
        assert found.execute("pragma integrity_check").fetchone() == ("ok",)
        assert found.execute("select count(*) from writes").fetchone() == (12,)
    found.close()
    assert file.stat().st_mode & 0o077 == 0
    assert not list(file.parent.glob(".sessions-*"))


def test_opening_it_again_keeps_the_locks_that_this_process_has(tmp_path: Path) -> None:
    """Closing any descriptor of a file drops all POSIX locks of the process on it; then another may spoil it."""
    file = tmp_path / "sessions.db"
    first, second = Sessions(file), Sessions(file)
    assert first.saver() is not None
    assert first._connection is not None
    first._connection.execute("begin")
    first._connection.execute("select count(*) from checkpoints").fetchone()
    second._create()
    code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('select 1 from checkpoints').fetchall(); c.close()"
    subprocess.run([sys.executable, "-c", code, str(file)], check=True)
    assert file.with_name("sessions.db-wal").exists(), "the other process took itself for the last user of the log"
    first._connection.rollback()
    first.close()
    second.close()


def test_a_damaged_file_is_put_aside(tmp_path: Path) -> None:
    file = tmp_path / "sessions.db"
    file.write_bytes(b"SQLite format 3\x00" + b"\xff" * 4000)
    sessions = Sessions(file)
    assert sessions.saver() is not None
    assert sessions.last() is None
    assert file.with_name("sessions.db.damaged").exists()
    sessions.close()


def test_where_nothing_can_be_written_nothing_is_kept() -> None:
    sessions = Sessions(Path("/proc/nowhere/sessions.db"))
    assert sessions.saver() is None
    assert sessions.last() is None


# -- going on ------------------------------------------------------------------------------------------------------------

LEDGER = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: ledger, namespace: shop, uid: s1, generation: 1}
spec:
  replicas: 2
  selector: {matchLabels: {app: ledger}}
  template: {metadata: {labels: {app: ledger}}, spec: {containers: [{name: ledger, image: ledger:1}]}}
status: {replicas: 2, readyReplicas: 1, updatedReplicas: 2, observedGeneration: 1}
---
apiVersion: v1
kind: Pod
metadata:
  {name: ledger-0, namespace: shop, uid: p0, creationTimestamp: "2026-01-01T11:00:00Z", labels: {app: ledger, apps.kubernetes.io/pod-index: "0"},
   ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: ledger, uid: s1, controller: true}]}
spec: {nodeName: node-a, containers: [{name: ledger, image: ledger:1}]}
status:
  phase: Running
  conditions: [{type: Ready, status: "False", reason: ContainersNotReady}]
  containerStatuses:
  - {name: ledger, ready: false, restartCount: 7, image: ledger:1, containerID: "c://1",
     state: {waiting: {reason: CrashLoopBackOff}},
     lastState: {terminated: {exitCode: 3, reason: Error, finishedAt: "2026-01-01T11:59:00Z", startedAt: "2026-01-01T11:58:58Z"}}}
---
apiVersion: v1
kind: Pod
metadata:
  {name: ledger-1, namespace: shop, uid: p1, creationTimestamp: "2026-01-01T11:00:00Z", labels: {app: ledger, apps.kubernetes.io/pod-index: "1"},
   ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: ledger, uid: s1, controller: true}]}
spec: {nodeName: node-b, containers: [{name: ledger, image: ledger:1}]}
status:
  phase: Running
  conditions: [{type: Ready, status: "True"}]
  containerStatuses: [{name: ledger, ready: true, restartCount: 0, image: ledger:1, containerID: "c://2", state: {running: {startedAt: "2026-01-01T11:00:00Z"}}}]
"""  # fmt: skip
LOGS = {
    "ledger-0/ledger previous": "slot 0 is claimed by ledger-old, refusing to join\n",
    "ledger-1/ledger": "joined\n",
}
IDLE = """
apiVersion: batch/v1
kind: CronJob
metadata: {name: cleanup, namespace: shop, uid: j1}
spec: {schedule: "*/5 * * * *", suspend: true}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: report, namespace: shop, uid: j2}
spec: {schedule: "*/5 * * * *", suspend: true}
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CONFIG", "DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.setattr("kubectl_ai_intellect.knowledge.search", lambda *_, **__: [])  # an index takes long to build
    return tmp_path


def ask(
    words: str, text: str, *, go_on: bool = False, choose: Any = None, model: Any = None, explain: bool = False
) -> Report:
    options = Options(words=tuple(words.split()), forced=True, resume=go_on)
    helper = Helper(model, explain) if model else Helper()
    return ask_source(options, Paper(text, LOGS), lambda _: None, choose, helper=helper)


def test_a_question_goes_on_about_what_the_last_one_was_about() -> None:
    first = ask("why is ledger failing", LEDGER)
    report = ask("and why only that pod?", LEDGER, go_on=True)
    assert isinstance(first, Diagnosis)
    assert isinstance(report, Diagnosis)
    assert report.after is not None
    assert report.after.question == "why is ledger failing"
    assert first.verdict.title in report.after.answer
    assert (report.verdict.cause, report.verdict.object) == (first.verdict.cause, first.verdict.object)
    told = " ".join(report.after.differences)
    assert "Pod/ledger-0" in told
    assert "node-a" in told
    assert "node-b" in told
    assert any(f"[{each.id}]" in told for each in report.evidence)


def test_a_model_is_told_what_went_before_and_how_they_differ() -> None:
    from kubectl_ai_intellect.causes.base import causes

    ask("why is ledger failing", LEDGER)
    known = causes()
    saved = dict(known)
    known.clear()
    try:
        model = Scripted()
        ask("and why only that pod?", LEDGER, go_on=True, model=model)
    finally:
        known.update(saved)
    said = model.decided[0].text
    assert "Before: why is ledger failing Answer: " in said
    assert "has the node node-a; the ready Pod/ledger-1: node-b" in said
    assert "slot 0 is claimed" in said


def test_a_model_explains_how_they_differ() -> None:
    ask("why is ledger failing", LEDGER)
    model = Scripted([], lambda asked: tells(
        ("Pod/ledger-0 runs on node-a, the ready Pod/ledger-1 on node-b", [asked.name("E", "has the node")]),
        ("Pod/ledger-9 runs on node-c instead of the node", [asked.name("E", "has the node")]),
    ))  # fmt: skip
    report = ask("and why only that pod?", LEDGER, go_on=True, model=model, explain=True)
    assert isinstance(report, Diagnosis)
    (sentence,) = re.findall(r"Pod/ledger-0 runs on node-a, .*?\]", report.verdict.explanation)
    assert sentence == report.verdict.explanation
    assert "Before: why is ledger failing Answer: " in model.asked[-1].text


def test_a_question_that_names_something_else_leaves_the_last_one() -> None:
    ask("why is ledger failing", LEDGER)
    report = ask("and what about the report cronjob?", LEDGER + "---" + IDLE, go_on=True)
    assert isinstance(report, Diagnosis)
    assert report.verdict.object is not None
    assert report.verdict.object.short == "CronJob/report"


def test_a_count_goes_on_too() -> None:
    ask("why is ledger failing", LEDGER)
    report = ask("how many restarts does it have", LEDGER, go_on=True)
    assert isinstance(report, Answer)
    assert "7" in f"{report.answer.text} {report.answer.rows}"


def test_nothing_to_go_on_from_is_said() -> None:
    with pytest.raises(UsageError, match="no earlier investigation"):
        ask("and why?", LEDGER, go_on=True)


def test_of_several_one_is_chosen_by_number() -> None:
    offered: list[list[str]] = []

    def second(options: list[str]) -> int:
        offered.append(options)
        return 1

    report = ask("why is my cronjob not running", IDLE, choose=second)
    assert offered == [["CronJob/cleanup in shop", "CronJob/report in shop"]]
    assert isinstance(report, Diagnosis)
    assert report.verdict.object is not None
    assert (report.verdict.cause, report.verdict.object.name) == ("cronjob/suspended", "report")


def test_a_choice_left_open_is_made_later_by_another_process() -> None:
    def leave(options: list[str]) -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask("why is my cronjob not running", IDLE, choose=leave)
    report = ask("", IDLE, go_on=True, choose=lambda options: options.index("CronJob/report in shop"))
    assert isinstance(report, Diagnosis)
    assert report.question == "why is my cronjob not running"
    assert report.verdict.object is not None
    assert report.verdict.object.name == "report"
