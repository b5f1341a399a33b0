"""The loop with llama.cpp and real weights: SmolLM2 over recordings, as a user meets it on a terminal."""

from __future__ import annotations

import importlib.util
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kubectl_ai_intellect.cli.ask import ask_source
from kubectl_ai_intellect.cli.flags import Options
from kubectl_ai_intellect.cli.thinking import Helper
from kubectl_ai_intellect.gateway.governed import GovernedModel
from kubectl_ai_intellect.gateway.llama.client import LlamaModel, LocalModel
from kubectl_ai_intellect.gateway.protocol import Prompt
from kubectl_ai_intellect.investigate.thinking import wording
from kubectl_ai_intellect.kube.case import CaseSource, load
from kubectl_ai_intellect.kube.config import Flags
from kubectl_ai_intellect.report import Diagnosis
from tests.models.smollm import smollm
from tests.scenarios.recorded import FOLDER

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(importlib.util.find_spec("llama_cpp") is None, reason="llama-cpp-python is not installed"),
]


def recording(name: str) -> Path:
    return FOLDER / f"{name.replace('/', '-')}.json.gz"


def opened(store: Path) -> LlamaModel:
    return LlamaModel(LocalModel("smollm2", smollm(), "smollm2", 4096, 2, timeout=300, store=store))


def ask(name: str, model: LlamaModel | None, *, explain: bool = True) -> Diagnosis:
    case = load(recording(name))
    options = Options(flags=Flags(namespace=case.namespace), words=tuple(case.question.split()), forced=True,
                      source="here")  # fmt: skip
    helper = Helper(GovernedModel(model), explain) if model is not None else Helper()
    report = ask_source(options, CaseSource(case), lambda _: None, None, helper=helper)
    assert isinstance(report, Diagnosis)
    return report


def test_a_likely_verdict_is_decided_on_and_the_second_process_reads_no_prefix(tmp_path: Path) -> None:
    plain = ask("probe/liveness-too-aggressive", None)
    assert plain.verdict.confidence < 0.9, "the recording must leave something to decide"
    for process in (1, 2):
        model = opened(tmp_path / "prefix")
        try:
            report = ask("probe/liveness-too-aggressive", model, explain=process == 1)
            prefix = model.count(Prompt(wording.PREFIX))
        finally:
            model.close()
        first = model.evaluated[0]
        assert first["prompt"] <= wording.FIRST
        assert report.usage.model == "llamacpp:smollm2"
        assert report.usage.completionTokens > 0
        if process == 2:
            assert first["restored"] > 300
            assert first["evaluated"] <= first["prompt"] - first["restored"] + 1
            assert report.usage.cachedTokens >= prefix - 20
        decided = [step for step in report.steps if step.tokens]
        assert decided
        assert report.verdict.object == plain.verdict.object
        assert {fix.title for fix in report.verdict.fix} <= {
            fix.title for each in (plain,) for fix in each.verdict.fix
        } or report.verdict.cause != plain.verdict.cause


def test_a_killed_worker_costs_the_explanation_only(tmp_path: Path) -> None:
    plain = ask("app/missing-env-shell", None)
    model = opened(tmp_path)
    model.facts()
    os.kill(model.pid, signal.SIGKILL)
    report = ask("app/missing-env-shell", model)
    model.close()
    assert (report.verdict.cause, report.verdict.fix) == (plain.verdict.cause, plain.verdict.fix)
    assert report.verdict.explanation == plain.verdict.explanation
    assert any(each.startswith("the model failed") for each in report.verdict.missing)


def heard() -> None:
    """A shell that runs the tests in its background has interruptions ignored by all below it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """A program on a terminal of its own: what it has shown so far."""

    def __init__(self, *arguments: str, home: Path) -> None:
        master, slave = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "NO_COLOR": "1", "XDG_DATA_HOME": str(home),
                       "XDG_CONFIG_HOME": str(home), "XDG_CACHE_HOME": str(home)}  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kubectl_ai_intellect", *arguments], stdin=slave, stdout=slave, stderr=slave,
            env=environment, start_new_session=True, preexec_fn=heard, cwd="/",
        )  # fmt: skip
        os.close(slave)
        self.master, self.shown = master, ""

    def until(self, pattern: str, seconds: float = 300) -> bool:
        end = time.monotonic() + seconds
        while not re.search(pattern, self.shown) and time.monotonic() < end:
            if select.select([self.master], [], [], 0.05)[0]:
                try:
                    self.shown += os.read(self.master, 1 << 16).decode("utf-8", "replace")
                except OSError:  # the other end is closed
                    break
        return re.search(pattern, self.shown) is not None


def test_the_verdict_is_there_before_the_model_and_an_interruption_keeps_it(tmp_path: Path) -> None:
    screen = Terminal("--from", str(recording("app/missing-env-shell")), "--model", str(smollm()), "why",
                      home=tmp_path)  # fmt: skip
    assert screen.until(r"app/missing-env at Deployment/"), screen.shown
    assert screen.until(r"asking llamacpp:\S+ to explain"), screen.shown
    assert screen.process.poll() is None, "the model is still at work"
    start = time.monotonic()
    screen.process.send_signal(signal.SIGINT)
    screen.until("the model was stopped", 30)
    told = time.monotonic() - start
    code = screen.process.wait(60)
    took = time.monotonic() - start
    os.close(screen.master)
    print(f"said {told * 1000:.0f} ms, ended {took * 1000:.0f} ms after the interruption")
    assert code == 0, screen.shown
    assert "the model was stopped" in screen.shown
    assert "Traceback" not in screen.shown
    assert took < 10  # for a busy machine; by itself it is a matter of milliseconds
