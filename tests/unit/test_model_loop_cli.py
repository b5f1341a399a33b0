"""A model as the command line meets it: a service on loopback, its flags, and what is shown when."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kubectl_ai_intellect.cli.app import run
from tests.scenarios.recorded import FOLDER
from tests.unit import scripted_service as s

CASE = str(FOLDER / "app-missing-env-shell.json.gz")
TOLD = {"sentences": [
    {"says": "Deployment/cron-sync has no value for SYNC_TARGET, so its log says that it must be set", "cites": ["E1", "E2"]},
    {"says": "Run kubectl delete deployment cron-sync to fix it", "cites": ["E1"]},
]}  # fmt: skip
HELD = "Deployment/cron-sync has no value for SYNC_TARGET, so its log says that it must be set. [E1, E2]"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONFIG", "DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))


def served(monkeypatch: pytest.MonkeyPatch, service: s.Service) -> None:
    settings = {
        "PROVIDER": "openai",
        "NAME": "served",
        "BASE_URL": service.url + "/v1",
        "RETRIES": "0",
        "CACHE_DAYS": "0",
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"KUBECTL_INTELLECT_MODEL__{name}", value)


def explained(value: Any = TOLD) -> s.Act:
    text = json.dumps(value)
    return s.events(*s.openai_chunks(*(text[at : at + 9] for at in range(0, len(text), 9))))


def test_the_explanation_stands_below_the_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with s.served(explained()) as service:
        served(monkeypatch, service)
        assert run(["--from", CASE, "why", "does", "it", "crash"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert HELD in out
    assert "kubectl delete" not in out
    assert (
        out.index("app/missing-env at Deployment/cron-sync")
        < out.index("In other words")
        < out.index("so its log says")
    )
    assert len(service.seen) == 1


def test_a_document_holds_the_explanation_and_what_it_cost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with s.served(explained()) as service:
        served(monkeypatch, service)
        assert run(["--from", CASE, "-o", "json", "why"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["verdict"]["explanation"] == HELD
    assert report["usage"]["model"] == "openai:served"
    assert report["usage"]["completionTokens"] > 0


def test_without_explanation_a_proved_verdict_asks_nobody(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with s.served(explained()) as service:
        served(monkeypatch, service)
        assert run(["--from", CASE, "--explain", "off", "why"]) == 0
        assert run(["--from", CASE, "--model", "none", "why"]) == 0
    assert service.seen == []
    assert "In other words" not in capsys.readouterr().out


def test_show_egress_prints_the_request_and_sends_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBECTL_INTELLECT_API_KEY", "very-secret-key")
    with s.served(explained()) as service:
        served(monkeypatch, service)
        assert run(["--from", CASE, "-o", "json", "--show-egress", "why"]) == 0
        shown = capsys.readouterr()
        assert service.seen == []
        assert run(["--from", CASE, "-o", "json", "why"]) == 0
    body = shown.err[shown.err.index("{") : shown.err.rindex("}") + 1]
    assert json.loads(body) == service.bodies[0]
    assert "very-secret-key" not in shown.err
    assert json.loads(shown.out)["verdict"]["cause"] == "app/missing-env"


@pytest.mark.parametrize("act", [s.error(500, "no"), s.garbage, s.cut_at_once, explained({"sentences": "none"})])
def test_a_service_that_fails_costs_the_explanation_only(
    act: s.Act, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--from", CASE, "-o", "json", "why"]) == 0
    plain = json.loads(capsys.readouterr().out)["verdict"]
    with s.served(act) as service:
        served(monkeypatch, service)
        assert run(["--from", CASE, "-o", "json", "why"]) == 0
    told = json.loads(capsys.readouterr().out)["verdict"]
    (line,) = told.pop("missing")
    assert line.startswith("the model failed, and this is the answer without it: ")
    assert plain.pop("missing") == []
    assert told == plain


def test_without_a_model_nothing_of_the_gateway_is_loaded_and_pipes_hear_nothing_of_it() -> None:
    code = (
        "import sys; from kubectl_ai_intellect.cli.app import run\n"
        f"run(['--from', {CASE!r}, 'why'])\n"
        "print('LOADED', [name for name in sys.modules if name.startswith(('kubectl_ai_intellect.gateway',"
        " 'kubectl_ai_intellect.investigate.thinking', 'kubectl_ai_intellect.settings'))])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *shown, loaded = ran.stdout.splitlines()
    assert loaded == "LOADED []"
    assert "model list" not in "\n".join(shown)
