"""What the Tab key offers: the grammar against the commands themselves, and a kubectl that is slow, wrong or away."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from kubectl_ai_intellect import settings
from kubectl_ai_intellect.cli import app, flags, tab
from kubectl_ai_intellect.cli.completion import app as completion_app
from kubectl_ai_intellect.completing import asked, grammar, install
from kubectl_ai_intellect.completing.complete import complete
from kubectl_ai_intellect.errors import IntellectError
from tests.unit.test_command_line import HEAVY

ROOT = Path(__file__).parents[2]

Script = Callable[[str], Path]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("DATA", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"XDG_{variable}_HOME", str(tmp_path / variable.lower()))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    monkeypatch.delenv("KUBECTL_PATH", raising=False)
    return tmp_path


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """A kubectl that does what a shell script says; it writes down its arguments."""

    def made(body: str) -> Path:
        path = tmp_path / "bin" / "kubectl"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n{body}\n')
        path.chmod(0o755)
        monkeypatch.setenv("KUBECTL_PATH", str(path))
        return tmp_path / "calls"

    return made


@pytest.fixture
def names(kubectl: Script) -> Path:
    """A kubectl that always offers the same three."""
    return kubectl("printf 'cart\\ncheckout\\nshop\\n:4\\n'")


def choices(*words: str) -> list[str]:
    return [each.partition("\t")[0] for each in complete(words).choices]


# -- the grammar is the command line's ------------------------------------------------------------------------------


def test_groups_and_actions_are_those_of_the_command_line() -> None:
    assert {name: frozenset(actions) for name, (_, actions) in grammar.GROUPS.items()} == app.GROUPS


@pytest.mark.parametrize("group", sorted(app.GROUPS))
def test_an_actions_flags_and_words_are_those_it_takes(group: str) -> None:
    command: Any = typer.main.get_command(importlib.import_module(f"kubectl_ai_intellect.cli.{group}").app)
    for name, action in command.commands.items():
        known = grammar.GROUPS[group][1][name]
        options = {option: parameter for parameter in action.params if parameter.param_type_name == "option"
                   for option in parameter.opts}  # fmt: skip
        assert {flag for flag in known.flags if flag != "--help"} == set(options), name
        for flag, parameter in options.items():
            assert bool(known.flags[flag]) is not parameter.is_flag, f"{name} {flag}"
        taken = [each for each in action.params if each.param_type_name == "argument"]
        assert len(known.words) == len(taken), name


def test_a_questions_flags_are_those_it_takes() -> None:
    valued = {*flags.GLOBAL, *flags.OWN, "--as-group"}
    assert {flag for flag, slot in tab.asking().items() if slot} == valued
    assert set(grammar.GLOBAL) <= set(tab.asking())
    assert "=" + ",".join(flags.FORMS) == grammar.FORMS


def test_settings_are_all_there() -> None:
    assert list(grammar.SETTINGS) == settings.keys()


def test_help_names_every_command() -> None:
    for name in (*grammar.COMMANDS, *grammar.GROUPS):
        assert f"\n  {name} " in app.HELP


# -- what comes next -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "some", "directive"),
    [
        ([""], ["scan", "doctor", "runbook", "bundle", "completion"], 4),
        (["dep"], ["deployment/"], 6),
        (["sc"], ["scan"], 4),
        (["runbook", ""], ["search", "show", "index"], 4),
        (["runbook", "show", "config/secret-m"], ["config/secret-missing"], 4),
        (["model", "pull", "smol"], [], 4),
        (["model", "use", ""], ["none", "auto", "openai:"], 4),
        (["demo", ""], ["crash", "image", "pending"], 4),
        (["config", "set", "model.ti"], ["model.timeout"], 4),
        (["config", "set", "model.timeout", ""], [], 4),
        (["scan", "--fail-on", ""], ["critical", "high", "medium", "low"], 4),
        (["scan", "--fail-on=h"], ["high"], 4),
        (["why", "-o", "j"], ["json"], 4),
        (["runbook", "list", "-o", ""], ["text", "json", "yaml"], 4),
        (["scan", "--fa"], ["--fail-on"], 4),
        (["why", "is", "--na"], ["--namespace"], 4),
        (["bundle", "create", ""], [], 16),
        (["bundle", "install", "--verify-key", ""], [], 0),
        (["model", "import", ""], ["gguf"], 8),
        (["why", "--from", ""], [], 0),
        (["version", ""], [], 4),
        (["scan", ""], [], 4),
    ],
)
def test_without_a_cluster(words: list[str], some: list[str], directive: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    reply = complete(words)
    found = [each.partition("\t")[0] for each in reply.choices]
    assert set(some) <= set(found)
    assert some or not found
    assert reply.directive == directive


@pytest.mark.parametrize(
    ("words", "offered", "arguments"),
    [
        (["-n", ""], ["cart", "checkout", "shop"], "get --namespace"),
        (["-n=c"], ["cart", "checkout"], "get --namespace"),
        (["why", "--context", "s"], ["shop"], "get --context"),
        (["deployment/ch"], ["deployment/checkout"], "get deployments"),
        (["-n", "shop", "po/ca"], ["po/cart"], "--request-timeout=10s -n=shop get pods"),
        (["why", "is", "pod", ""], ["cart", "checkout", "shop"], "get pods"),
        (["why", "is", "svc/s", "--al"], ["--all-namespaces"], ""),
        (["why", "-A", "svc/s"], ["svc/shop"], "get services"),
        (["--", "scan", "deployment", "c"], ["cart", "checkout"], "get deployments"),
        (["why", "--kubeconfig", "/k", "--as", "eve", "-n", ""], ["cart", "checkout", "shop"], "--kubeconfig=/k --as=eve get --namespace"),
        (["certificates.cert-manager.io/s"], ["certificates.cert-manager.io/shop"], "get certificates.cert-manager.io"),
        (["why", "-x/", ""], [], ""),
    ],
)  # fmt: skip
def test_names_come_from_kubectl(words: list[str], offered: list[str], arguments: str, names: Path) -> None:
    assert choices(*words) == offered
    assert arguments in (names.read_text() if names.exists() else "")
    if arguments:
        assert names.read_text().startswith("__complete ")


# -- kubectl that is slow, wrong, away -------------------------------------------------------------------------------


def test_an_answer_is_remembered_for_a_moment(names: Path) -> None:
    assert choices("-n", "c") == choices("-n", "c") == ["cart", "checkout"]
    assert len(names.read_text().splitlines()) == 1


def test_another_current_context_is_asked_anew(names: Path, home: Path) -> None:
    choices("-n", "")
    (home / "kubeconfig").write_text("current-context: other")
    choices("-n", "")
    assert len(names.read_text().splitlines()) == 2


def aged(home: Path, seconds: float) -> None:
    for path in (home / "cache" / "kubectl-intellect" / "completion").iterdir():
        os.utime(path, (time.time() - seconds, time.time() - seconds))


def test_a_slow_cluster_is_not_waited_for_and_its_answer_serves_the_next_time(kubectl: Script, home: Path) -> None:
    kubectl("printf 'old\\n:4\\n'")
    assert choices("-n", "") == ["old"]
    aged(home, 60)
    calls = kubectl(f"while [ ! -e {home}/go ]; do sleep 0.02; done; printf 'new\\n:4\\n'")
    assert choices("-n", "") == ["old"]
    assert choices("-n", "") == ["old"], "one kubectl at a time is asked"
    assert len(calls.read_text().splitlines()) == 2
    (home / "go").touch()
    ends = time.monotonic() + 20
    while choices("-n", "") != ["new"]:
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_what_is_too_old_is_not_offered(kubectl: Script, home: Path) -> None:
    kubectl("printf 'old\\n:4\\n'")
    choices("-n", "")
    aged(home, asked.STALE + 1)
    kubectl("exit 1")
    assert choices("-n", "") == []


@pytest.mark.parametrize(
    "body", ["exit 1", "echo ':1'", "printf 'a\\n:0\\n'", "printf 'error: unknown command\\n'", "kill -9 $$"]
)
def test_a_kubectl_that_fails_offers_nothing(kubectl: Script, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked, "FIRST_WAIT", 0.2)
    kubectl(body)
    assert choices("-n", "") == []


def test_a_home_that_cannot_be_written_costs_only_the_names(names: Path, home: Path) -> None:
    (home / "cache").write_text("a file")
    assert choices("-n", "") == []
    assert "scan" in choices("")


def test_names_cannot_break_the_protocol_or_the_terminal(kubectl: Script) -> None:
    kubectl("printf 'a\\033[2Jb\\n_activeHelp_ do this\\n:4\\n'")
    assert choices("-n", "") == ["a[2Jb"]


def test_the_cache_is_private_and_small(names: Path, home: Path) -> None:
    for number in range(4):
        choices("-n", f"x{number}", "deployment/")
    folder = home / "cache" / "kubectl-intellect" / "completion"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    for number in range(asked.MOST_FILES + 20):
        (folder / f"old{number}").touch()
    choices("-n", "another", "deployment/")
    assert len(list(folder.iterdir())) <= asked.MOST_FILES


# -- what is loaded, and what is installed ---------------------------------------------------------------------------


def test_the_tab_key_imports_nothing_heavy() -> None:
    heavy = (*HEAVY, "typer", "click", "rich", "pydantic", "yaml", "httpx", "ssl", "http.client", "asyncio")
    code = (
        "import sys; from kubectl_ai_intellect.cli.tab import tab as answer\n"
        "for words in ([''], ['runbook', 'show', ''], ['-n', ''], ['deployment/'], ['model', 'use', '']): answer(words)\n"
        f"print('LOADED', [name for name in {heavy!r} if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "LOADED []"


def test_both_ways_in_answer_alike() -> None:
    words = ["runbook", "sh"]
    ways = [
        ["-m", "kubectl_ai_intellect", "__complete"],
        ["-c", "from kubectl_ai_intellect.cli.tab import main; main()"],
    ]
    outputs = {
        subprocess.run([sys.executable, *way, *words], capture_output=True, text=True, check=True).stdout
        for way in ways
    }
    assert outputs == {"show\tshow a runbook\n:4\n"}


def test_the_archives_shim_is_the_one_that_is_installed() -> None:
    assert (ROOT / "plugin" / install.NAME).read_text() == install.SHIM
    assert os.access(ROOT / "plugin" / install.NAME, os.X_OK)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with one directory of ours and the system's."""
    ours = tmp_path / "ours"
    ours.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{ours}{os.pathsep}/usr/bin{os.pathsep}/bin")
    return ours


def test_the_shim_is_installed_beside_the_program(path: Path) -> None:
    (path / "kubectl-intellect").write_text(f'#!/bin/sh\nexec {sys.executable} -m kubectl_ai_intellect "$@"\n')
    (path / "kubectl-intellect").chmod(0o755)
    first = install.install()
    assert (first.path.parent, first.fresh, first.on_path) == (path, True, True)
    assert install.install().fresh is False
    ran = subprocess.run([install.NAME, "runbook", "sh"], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ran.stdout == "show\tshow a runbook\n:4\n"


def test_a_file_of_somebody_elses_stays(path: Path) -> None:
    (path / install.NAME).write_text("mine")
    with pytest.raises(IntellectError, match="is not ours"):
        install.install(path)
    assert (path / install.NAME).read_text() == "mine"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shells_script_is_one_for_that_shell(
    shell: str, path: Path, kubectl: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubectl("true")
    for name in ("argv", "executable"):  # an installed package brings the shim along, beside its program
        monkeypatch.setattr(sys, name, [str(tmp_path / "x")] if name == "argv" else str(tmp_path / "python"))
    with pytest.raises(IntellectError, match="completion install"):
        install.script(shell)
    install.install(path)
    text = install.script(shell)
    assert f"completion {shell}" in text
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=text, text=True, check=True, capture_output=True)


def test_completion_is_a_command_with_help() -> None:
    from typer.testing import CliRunner

    result = CliRunner().invoke(completion_app, ["--help"])
    assert result.exit_code == 0
    assert "source <(kubectl intellect completion bash)" in " ".join(result.output.split())
