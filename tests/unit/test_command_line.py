"""The command line: what it parses, what it refuses, and what it does not import."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import pytest

from kubectl_ai_intellect.cli.app import GROUPS, _takes_action
from kubectl_ai_intellect.cli.flags import duration, parse
from kubectl_ai_intellect.errors import UsageError

HEAVY = (
    "kubernetes",
    "langgraph",
    "langchain",
    "langchain_core",
    "faiss",
    "numpy",
    "llama_cpp",
    "sentence_transformers",
)


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["scan", "--help"], ["demo", "--help"]])
def test_help_and_version_import_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys; sys.argv = ['kubectl-intellect', *sys.argv[1:]]\n"
        "from kubectl_ai_intellect.cli.entry import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == "LOADED []"


@pytest.mark.parametrize("group", sorted(GROUPS))
def test_every_group_has_help(group: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "kubectl_ai_intellect", group, "--help"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert f"kubectl intellect {group}" in ran.stdout


def test_flags_may_stand_anywhere() -> None:
    options = parse(["why", "-n", "shop", "is", "cart", "down", "-ojson", "--context=prod", "-A", "-v"])
    assert options.words == ("why", "is", "cart", "down")
    assert (options.flags.namespace, options.flags.context, options.flags.all_namespaces) == ("shop", "prod", True)
    assert (options.output, options.verbose) == ("json", 1)


def test_impersonation_and_groups_are_kept() -> None:
    flags = parse(["x", "--as", "eve", "--as-group=a", "--as-group", "b"]).flags
    assert (flags.as_user, flags.as_groups) == ("eve", ("a", "b"))


def test_two_dashes_force_a_question() -> None:
    options = parse(["-n", "shop", "--", "scan", "-x"])
    assert options.forced
    assert options.words == ("scan", "-x")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["why", "-o", "pdf"], "-o pdf is not a form"),
        (["why", "--namespce", "x"], "did you mean --namespace"),
        (["why", "-n"], "-n needs a value"),
        (["why", "--timeout", "soon"], "not a duration"),
        (["scan", "--fail-on", "bad"], "not a severity"),
    ],
)
def test_wrong_flags_are_told(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(words)


def test_durations() -> None:
    assert duration("1h30m", "--since") == timedelta(minutes=90)
    assert duration("90", "--since") == timedelta(seconds=90)


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["runbook", "search", "oom"], True),
        (["model", "list"], True),
        (["case", "of", "beer"], False),
        (["model", "pods", "crash"], False),
        (["config", "of", "my", "pod", "is", "broken"], False),
    ],
)
def test_a_group_needs_an_action_of_its_own(words: list[str], command: bool) -> None:
    assert _takes_action(words[0], words[1:]) is command


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "kubectl_ai_intellect", *words], capture_output=True, text=True, check=False,
                          env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **environment}, stdin=subprocess.DEVNULL)  # fmt: skip


def test_errors_are_one_line_with_the_right_code(tmp_path: object) -> None:
    wrong = run("why", "-o", "pdf")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    lost = run("why is it down", "--kubeconfig", f"{tmp_path}/none")
    assert (lost.returncode, lost.stderr.count("\n")) == (1, 1)
    assert "Traceback" not in lost.stderr
    case = run("why", "--from", f"{tmp_path}/none.json.gz")
    assert (case.returncode, case.stderr.count("\n")) == (1, 1)
