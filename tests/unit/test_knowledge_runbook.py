"""The runbook format: what is read, and where faults are said to be."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubectl_ai_intellect.errors import IntellectError
from kubectl_ai_intellect.knowledge.readonly import refusal
from kubectl_ai_intellect.knowledge.runbook import RunbookError, examine, load, looks_like_runbook, parse

GOOD = """---
id: config/configmap-missing
title: A pod needs a ConfigMap that does not exist
symptoms:
  - the pod stays in CreateContainerConfigError
  - 'configmap "app-settings" not found'
checks:
  - command: kubectl describe pod {pod} -n {namespace}
    expect: 'configmap "app-settings" not found'
fixes:
  - title: Create it
    command: kubectl create configmap {configmap} -n {namespace} --from-file={file}
  - title: Make it optional
    yaml: |
      optional: true
---
## What happens
The kubelet waits.
## Confirm it
```
## not a heading
kubectl describe pod
```
## Fix it
Create it.
## Prevent it
Ship both together.
"""


def test_a_good_runbook_is_read_whole() -> None:
    runbook = parse(GOOD)
    assert runbook.id == "config/configmap-missing"
    assert [check.command for check in runbook.checks] == ["kubectl describe pod {pod} -n {namespace}"]
    assert runbook.fixes[1].yaml == "optional: true"
    assert "## not a heading" in runbook.section("Confirm it")
    assert len(runbook.sections) == 4


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("title: A pod needs", "titel: A pod needs", 3, "unknown key 'titel'"),
        ("id: config/configmap-missing", "id: Config Map", 2, "<area>/<name>"),
        ("symptoms:\n  - the pod", "symptoms:\n  - 5\n  - the pod", 5, "must be text"),
        ("    expect: 'configmap", "    expects: 'configmap", 9, "unknown key 'expects'"),
        ("    expect: 'configmap", "    expect: '(configmap", 9, "not a regular expression"),
        ("  - title: Create it\n", "  - name: x\n    title: Create it\n", 11, "unknown key 'name'"),
        ("## Prevent it", "## Avoid it", 26, "unknown section 'Avoid it'"),
        ("Create it.\n", "\n", 24, "section 'Fix it' is empty"),
        ("## Fix it\nCreate it.\n", "", 17, "section missing: '## Fix it'"),
        ("title: A pod", "title: A: pod", 3, "front matter"),
        ("---\nid:", "id:", 1, "no front matter"),
    ],
)
def test_a_fault_is_named_with_its_line(old: str, new: str, line: int, words: str) -> None:
    assert old in GOOD
    runbook, faults = examine(GOOD.replace(old, new, 1))
    assert runbook is None
    assert any(fault.line == line and words in fault.message for fault in faults), faults


def test_a_check_outside_the_read_grammar_is_told_but_does_not_spoil_the_file() -> None:
    runbook, faults = examine(GOOD.replace("kubectl describe pod {pod}", "kubectl delete pod {pod}"))
    assert runbook is not None
    assert [(fault.line, fault.spoils) for fault in faults] == [(8, False)]
    assert "never run" in faults[0].message


def test_all_faults_are_found_at_once() -> None:
    _, faults = examine(GOOD.replace("title:", "titel:").replace("## Prevent it", "## Never"))
    assert len(faults) >= 4


def test_a_guide_may_leave_out_checks_and_fixes() -> None:
    text = "---\nid: guide/probes\ntitle: Probes\nsymptoms:\n  - a\n  - b\n---\n## The three kinds\nText.\n"
    assert parse(text).checks == ()
    assert examine(text.replace("## The three kinds", "Kinds"))[0] is None


def test_control_characters_are_dropped() -> None:
    hostile = GOOD.replace("The kubelet waits.", "The\x1b[31m kubelet\u202e waits.\x00")
    assert "The[31m kubelet waits." in parse(hostile).section("What happens")


def test_errors_carry_path_and_line(tmp_path: Path) -> None:
    path = tmp_path / "x.md"
    path.write_text(GOOD.replace("title:", "titel:"))
    with pytest.raises(RunbookError, match=r"x\.md:\d+: "):
        load(path)


@pytest.mark.parametrize(
    ("data", "words"), [(b"\xff\xfe\x00", "UTF-8"), (b"x" * 300_000, "larger than")], ids=["bytes", "size"]
)
def test_unreadable_files_say_why(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "x.md"
    path.write_bytes(data)
    with pytest.raises(IntellectError, match=words):
        load(path)


def test_plain_markdown_is_not_taken_for_a_runbook() -> None:
    assert looks_like_runbook(GOOD)
    assert not looks_like_runbook("# Notes\nid: x\n")
    assert not looks_like_runbook("---\ntitle: A blog post\nid: 7\n---\nText")


@pytest.mark.parametrize(
    "command",
    [
        "kubectl get pods -n {namespace} -o wide",
        "kubectl get deploy {deployment} -o jsonpath='{.spec.template.spec.containers[*].image}'",
        "kubectl get secret {secret} -n {namespace}",
        "kubectl auth can-i list pods -n {namespace}",
        "kubectl rollout status deployment/{deployment}",
        "kubectl logs {pod} --previous",
        "kubectl get events --field-selector 'reason=Failed' --sort-by=.lastTimestamp",
    ],
)
def test_reads_are_allowed(command: str) -> None:
    assert refusal(command) == ""


@pytest.mark.parametrize(
    "command",
    [
        "kubectl get pods | grep x",
        "kubectl get pods > /etc/cron.d/x",
        "kubectl get pods; kubectl delete ns prod",
        "kubectl get pods $(id)",
        'kubectl get pods "$(id)"',
        "kubectl get pods `id`",
        "kubectl -n prod delete pod x",
        "kubectl delete ns prod --dry-run=none",
        "kubectl exec p -- rm -rf /data",
        "kubectl rollout undo deploy/x",
        "kubectl auth reconcile -f x",
        "kubectl cluster-info dump",
        "kubectl get --raw /api/v1/secrets",
        "kubectl get secrets -A -o yaml",
        "kubectl get pods,secret/x -ojson",
        "kubectl get pods --server=https://evil",
        "kubectl get pods -s https://evil",
        "kubectl get pods --as=system:masters",
        "kubectl get pods --token x",
        "/tmp/evil-kubectl get pods",
        "PATH=/tmp kubectl get pods",
        "kubectl get 'pods",
        "helm list",
        "",
    ],
)
def test_everything_else_is_refused(command: str) -> None:
    assert refusal(command)
