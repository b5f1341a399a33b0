"""The whole loop over the real worker, with random weights and with SmolLM2."""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kubectl_ai_intellect.gateway.llama.client import LlamaModel, LocalModel
from tests.injection.holding import changes, decisions
from tests.injection.planting import corpus, planted
from tests.models import random_weights, smollm
from tests.models.asking import ask_with
from tests.models.cases import Told
from tests.models.chaos import all_runs, some, without_model
from tests.models.harm import harms
from tests.scenarios.recorded import recordings
from tests.scenarios.share import everything

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(importlib.util.find_spec("llama_cpp") is None, reason="llama-cpp-python is not installed"),
]
KNOWN = {each.name: each for each in recordings()}
SEEDS, SCENARIOS = 20, 20
UNDECIDED = Told(KNOWN["app/auth-failed"], "logs forbidden")
OPEN = Told(KNOWN["probe/readiness-failing"], "events expired")


@pytest.mark.timeout(1800)
def test_random_weights_do_no_harm() -> None:
    """20 models of random weights, each over 20 scenarios, cancelled once and killed once on the way."""
    tallies = all_runs(range(SEEDS), some(SCENARIOS), jobs=2)
    assert [harm for each in tallies for harm in each.harms] == []
    assert sum(each.asked for each in tallies) == SEEDS * SCENARIOS
    assert sum(each.decided for each in tallies) >= SEEDS, "there was something to decide"


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_weights.write(tmp_path_factory.mktemp("models") / "reader.gguf", random_weights.READER)


def opened(path: Path, store: Path | None = None) -> LlamaModel:
    return LlamaModel(LocalModel(path.stem, path, f"digest of {path.name}", 2048, 2, store=store, timeout=300))


@pytest.mark.parametrize("harm", ["half", "header", "last byte", "noise", "empty", "text", "gone"])
def test_a_damaged_model_file_costs_the_explanation_only(reader: Path, tmp_path: Path, harm: str) -> None:
    data = reader.read_bytes()
    noise = random.Random(harm).randbytes(4096)
    harmed = {"half": data[: len(data) // 2], "header": data[:512], "last byte": data[:-1], "empty": b"",
              "noise": data[:4] + noise, "text": b"<html>not found</html>"}  # fmt: skip
    path = tmp_path / "damaged.gguf"
    if harm in harmed:
        path.write_bytes(harmed[harm])
    with closing(opened(path)) as model:
        after = ask_with(model, UNDECIDED.case, UNDECIDED.recording.question)
    before = without_model(UNDECIDED)
    assert harms(before, after) == []
    assert decisions(after) == decisions(before)
    assert any("model failed" in each for each in after["verdict"]["missing"])


class Once:
    """One question in a process of its own: what was asked, answered, and what each answer cost."""

    def __init__(self, path: Path, store: Path, told: Told):
        with closing(opened(path, store)) as model:
            self._ask(model, told)

    def _ask(self, model: LlamaModel, told: Told) -> None:
        self.prompts: list[Any] = []
        complete = model.complete

        def kept(prompt: Any, *rest: Any) -> Any:
            self.prompts.append(prompt)
            return complete(prompt, *rest)

        model.complete = kept  # type: ignore[method-assign]
        with told.staged() as case:
            self.report = ask_with(model, case, told.recording.question)
        self.costs = model.evaluated
        self.tokens = [model.tokens(prompt) for prompt in self.prompts]


@pytest.fixture(scope="module", params=["random weights", "SmolLM2"])
def runs(request: pytest.FixtureRequest, reader: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Once]:
    path = smollm.smollm() if request.param == "SmolLM2" else reader
    store = tmp_path_factory.mktemp("prefixes")
    return [Once(path, store, each) for each in (UNDECIDED, OPEN, UNDECIDED)]


def test_a_second_process_evaluates_no_token_of_the_prefix(runs: list[Once]) -> None:
    """Another question, another process: the instructions are restored, not read."""
    first, other, again = (each.costs[0] for each in runs)
    assert (first["restored"], first["evaluated"]) == (0, first["prompt"])
    for later in (other, again):
        assert later["restored"] == later["prefix"] == first["prefix"] > 200
        assert later["evaluated"] == later["prompt"] - later["prefix"]


def test_a_restored_memory_gives_the_same_answer(runs: list[Once]) -> None:
    first, _, again = runs
    assert [each["written"] for each in first.costs] == [each["written"] for each in again.costs]
    assert decisions(first.report) == decisions(again.report)
    assert first.report["verdict"]["explanation"] == again.report["verdict"]["explanation"]


def test_the_prefix_is_the_same_to_the_byte_and_to_the_token(runs: list[Once]) -> None:
    prefixes = {prompt.prefix.encode() for each in runs for prompt in each.prompts}
    assert len(prefixes) == 1
    size = runs[0].costs[0]["prefix"]
    assert len({tuple(tokens[:size]) for each in runs for tokens in each.tokens}) == 1


def test_each_step_reads_only_what_is_new(runs: list[Once]) -> None:
    """Earlier turns are byte for byte part of later ones, and none of their tokens is read again."""
    steps = 0
    for run in runs:
        for number in range(1, len(run.prompts)):
            earlier, later = run.prompts[number - 1], run.prompts[number]
            if later.turns[: len(earlier.turns)] != earlier.turns:
                continue  # the explanation may leave a refused answer out
            steps += 1
            before = run.tokens[number - 1]
            assert run.tokens[number][: len(before)] == before
            assert run.costs[number]["evaluated"] <= len(run.tokens[number]) - len(before)
    assert steps


@pytest.mark.timeout(900)
def test_smollm_obeys_no_injection(tmp_path: Path) -> None:
    """A sample of the corpus, with a model that really reads: the verdict, the probes and the commands stay."""
    attempts = [each for each in corpus() if {"log", "event"} & {*each.places}]
    before = without_model(Told(KNOWN["app/auth-failed"]))
    with closing(opened(smollm.smollm(), tmp_path)) as model:
        for attempt in attempts if everything() else attempts[::10]:
            case, names = planted(KNOWN["app/auth-failed"].case, attempt)
            after = ask_with(model, case, names(KNOWN["app/auth-failed"].question))
            assert harms(before, after) == [], attempt.id
            assert changes(before, after, names) == [], attempt.id


def test_smollm_does_no_harm_where_it_decides(tmp_path: Path) -> None:
    with closing(opened(smollm.smollm(), tmp_path)) as model:
        for told in (UNDECIDED, OPEN, Told(KNOWN["custom/not-ready"], "logs forbidden")):
            after = ask_with(model, told.case, told.recording.question)
            assert harms(without_model(told), after) == []
            assert after["usage"]["model"].startswith("llamacpp:")
            assert after["usage"]["promptTokens"] > 0


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Each test leaves the register of causes as it was."""
    from kubectl_ai_intellect.causes.base import causes

    before = dict(causes())
    yield
    assert causes() == before
