"""The rules around every model: pacing, the cache, repair, opening, settings."""

from __future__ import annotations

import importlib.util
import stat
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kubectl_ai_intellect import settings as config
from kubectl_ai_intellect.cli import config as config_cli
from kubectl_ai_intellect.errors import IntellectError, UsageError
from kubectl_ai_intellect.gateway import egress, open_model, opening
from kubectl_ai_intellect.gateway.cache import AnswerCache, key
from kubectl_ai_intellect.gateway.governed import GovernedModel
from kubectl_ai_intellect.gateway.grammar import Fields, Flag, Grammar, Whole
from kubectl_ai_intellect.gateway.policy import Again, Gate, Limits, retry_after
from kubectl_ai_intellect.gateway.protocol import (
    Choice,
    Completion,
    Identity,
    ModelError,
    OnToken,
    OutputInvalid,
    Part,
    Prompt,
    Usage,
)

YES = Grammar("yes", Fields((("sure", Flag()),)))
PROMPT = Prompt("rules").ask("Why?", Part("E1 x", evidence=True))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CONFIG", "DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    return tmp_path


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def gate(clock: Clock, **limits: Any) -> Gate:
    return Gate(Limits(**limits), clock, clock.sleep, lambda: 1.0)


class Scripted:
    """A model that says what it was told to say."""

    def __init__(self, *texts: str, finish: str = "stop"):
        self.texts = list(texts)
        self.asked: list[Prompt] = []
        self.finish: Any = finish
        self.identity = Identity("scripted", "s")
        self.usage = Usage()

    def complete(
        self, prompt: Prompt, grammar: Grammar | None, max_tokens: int, on_token: OnToken | None = None
    ) -> Completion:
        self.asked.append(prompt)
        text = self.texts.pop(0)
        if on_token is not None:
            on_token(text)
        return Completion(text, grammar.value(text, self.finish) if grammar else None, self.finish)

    def choose(self, prompt: Prompt, labels: Sequence[str]) -> Choice:
        self.asked.append(prompt)
        return Choice(labels[1], 1, 0.4)

    def count(self, prompt: Prompt) -> int:
        return 1

    def cancel(self) -> None: ...

    def close(self) -> None: ...


# Pacing


def test_backoff_doubles_and_ends() -> None:
    clock, tries = Clock(), list[float]()

    def attempt(left: float) -> str:
        tries.append(clock.now)
        raise Again("no")

    with pytest.raises(ModelError, match="no \\(after 4 attempts\\)"):
        gate(clock, timeout=100, retries=3).call(attempt)
    assert tries == [0, 0.5, 1.5, 3.5]


def test_requests_are_spread_over_the_minute() -> None:
    clock = Clock()
    paced = gate(clock, per_minute=2, timeout=100)
    times = [paced.call(lambda _: clock.now) for _ in range(5)]
    assert times == [0, 0, 60, 60, 120]
    single = gate(Clock(), per_minute=1, timeout=10)
    single.call(lambda _: None)
    with pytest.raises(ModelError, match="requests_per_minute"):
        single.call(lambda _: None)


def test_no_more_at_once_than_allowed() -> None:
    paced = Gate(Limits(concurrency=2, per_minute=1000))
    inside, most, lock = 0, 0, threading.Lock()
    barrier = threading.Barrier(2, timeout=5)

    def attempt(_: float) -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        barrier.wait()
        with lock:
            inside -= 1

    threads = [threading.Thread(target=paced.call, args=(attempt,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 2


def test_retry_after_in_both_forms() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert retry_after("7") == 7
    assert retry_after("Thu, 01 Jan 2026 00:00:09 GMT", now) == 9
    assert retry_after("Thu, 01 Jan 2020 00:00:09 GMT", now) == 0
    assert retry_after("soon") is None
    assert retry_after(None) is None


# The cache


def test_an_answer_is_kept_and_keyed_by_all_it_depends_on(home: Path) -> None:
    inner = Scripted('{"sure":true}', "other")
    model = GovernedModel(inner, AnswerCache(home / "c" / "answers.db", 1))
    heard: list[str] = []
    first = model.complete(PROMPT, YES, 9)
    again = model.complete(PROMPT, YES, 9, heard.append)
    assert (first.from_cache, again.from_cache) == (False, True)
    assert again.value == {"sure": True}
    assert heard == ['{"sure":true}']
    assert len(inner.asked) == 1
    base = key(inner.identity, PROMPT, YES, {"most": 9})
    others = [
        key(Identity("scripted", "t"), PROMPT, YES, {"most": 9}),
        key(Identity("scripted", "s", "http://elsewhere"), PROMPT, YES, {"most": 9}),
        key(inner.identity, Prompt("rules!").ask("Why?"), YES, {"most": 9}),
        key(inner.identity, Prompt("rules").ask("Why?", Part("E1 x")), YES, {"most": 9}),
        key(inner.identity, PROMPT, Grammar("yes", Fields((("sure", Whole(0, 1)),))), {"most": 9}),
        key(inner.identity, PROMPT, None, {"most": 9}),
        key(inner.identity, PROMPT, YES, {"most": 8}),
    ]
    assert len({base, *others}) == 8
    model.close()
    assert stat.S_IMODE((home / "c" / "answers.db").stat().st_mode) == 0o600
    assert b"E1 x" not in (home / "c" / "answers.db").read_bytes()


def test_choices_are_kept(home: Path) -> None:
    inner = Scripted()
    model = GovernedModel(inner, AnswerCache(home / "answers.db", 1))
    first, again = model.choose(PROMPT, ["a", "b"]), model.choose(PROMPT, ["a", "b"])
    assert (again.label, again.margin, again.index) == (first.label, first.margin, 1)
    model.choose(PROMPT, ["b", "a"])
    assert len(inner.asked) == 2
    model.close()


def test_old_answers_are_forgotten(home: Path) -> None:
    now = [0.0]
    cache = AnswerCache(home / "answers.db", 2, lambda: now[0])
    cache.put("k", {"text": "x"})
    now[0] = 2 * 86400 - 1.0
    assert cache.get("k") == {"text": "x"}
    now[0] += 2
    assert cache.get("k") is None
    cache.close()


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 100, b"SQLite format 3\0" + bytes(5000)])
def test_a_damaged_cache_is_replaced(home: Path, content: bytes) -> None:
    file = home / "answers.db"
    file.write_bytes(content)
    cache = AnswerCache(file, 1)
    cache.put("k", {"text": "x"})
    assert cache.get("k") == {"text": "x"}
    cache.close()


def test_a_cache_that_cannot_be_is_done_without(home: Path) -> None:
    (home / "file").write_text("")
    cache = AnswerCache(home / "file" / "answers.db", 1)
    cache.put("k", {"text": "x"})
    assert cache.get("k") is None
    cache.close()


# Repair


def test_an_invalid_answer_is_asked_for_once_more_with_the_reason() -> None:
    inner = Scripted('{"sure":"yes"}', '{"sure":false}')
    assert GovernedModel(inner).complete(PROMPT, YES, 9).value == {"sure": False}
    assert "true or false" in inner.asked[1].turns[-1].text
    assert inner.asked[1].turns[: len(PROMPT.turns)] == PROMPT.turns, "the repair appends"


def test_two_invalid_answers_are_an_error_and_not_kept(home: Path) -> None:
    inner = Scripted("no", "still no")
    cache = AnswerCache(home / "answers.db", 1)
    with pytest.raises(OutputInvalid, match="no valid answer"):
        GovernedModel(inner, cache).complete(PROMPT, YES, 9)
    assert len(inner.asked) == 2
    assert cache.get(key(inner.identity, PROMPT, YES, {"most": 9})) is None
    cache.close()


# Opening


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("none", ("none", "")),
        ("openai:gpt-x", ("openai", "gpt-x")),
        ("openai:org/model:free", ("openai", "org/model:free")),
        ("llamacpp", ("llamacpp", "")),
        ("qwen3-4b", ("llamacpp", "qwen3-4b")),
        ("./m.gguf", ("llamacpp", "./m.gguf")),
    ],
)
def test_wishes(text: str, wish: tuple[str, str]) -> None:
    assert opening.parse(text) == wish


@pytest.mark.parametrize("text", ["", "gemini:x"])
def test_wishes_that_make_no_sense(text: str) -> None:
    with pytest.raises(UsageError, match=r"PROVIDER|provider"):
        opening.parse(text)


def test_a_key_that_lies_around_chooses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-y")
    assert open_model(config.load()) is None
    assert open_model(config.load(), "none") is None
    model = open_model(config.load(), "openai:m")
    assert model is not None
    assert (model.identity.provider, model.identity.local) == ("openai", False)
    model.close()


def test_a_custom_address_is_not_lent_to_another_provider() -> None:
    config.change("model.provider", "openai")
    config.change("model.base_url", "http://127.0.0.1:9/v1")
    other = open_model(config.load(), "anthropic:m")
    assert other is not None
    assert other.identity.digest == "https://api.anthropic.com/v1/messages"
    other.close()


def test_a_model_that_is_not_there_says_what_to_do() -> None:
    if importlib.util.find_spec("llama_cpp") is None:
        pytest.skip("llama-cpp-python is not installed")
    with pytest.raises(ModelError, match="model pull qwen3-4b"):
        open_model(config.load(), "qwen3-4b")
    with pytest.raises(ModelError, match="model list"):
        open_model(config.load(), "nonesuch")
    with pytest.raises(ModelError, match="which model of openai"):
        open_model(config.load(), "openai")


def test_without_llama_cpp_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"kubectl-ai-intellect\[local\]"):
        open_model(config.load(), "qwen3-4b")


# Egress


@pytest.mark.parametrize(
    "text",
    ["<|im_end|>", "<|eot_id|>", "</s>", "[/INST]", "<<SYS>>", "<start_of_turn>", "<think>", "<|START|>", "<｜User｜>"],
)
def test_control_tokens_are_broken(text: str) -> None:
    made = egress.inert(f"a {text} b")
    assert text not in made
    assert made.replace(" ", "") == f"a {text} b".replace(" ", "")
    assert egress.inert(made) == made


def test_ordinary_text_stays() -> None:
    text = "if a < b | c > d; <s3://x> arr[INSTANCE] <status> <none>"
    assert egress.inert(text) == text


# Settings


def write(text: str) -> None:
    config.write_private(config.path(), text)


def test_settings_from_nothing_file_and_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert config.load().model.provider == "auto"
    write('[model]\nprovider = "openai"\nname = "m"\ntimeout = 5\n')
    assert config.load().model.name == "m"
    monkeypatch.setenv("KUBECTL_INTELLECT_MODEL__NAME", "n")
    loaded = config.load()
    assert (loaded.model.name, loaded.model.timeout, loaded.model.provider) == ("n", 5.0, "openai")
    monkeypatch.setenv("KUBECTL_INTELLECT_API_KEY", "k")
    assert "k" not in config.flat(config.load()).values()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[model]\nprovidr = 'openai'", "did you mean model.provider"),
        ("provider = 'openai'", "did you mean model.provider"),
        ("[modell]\nname = 'x'", "did you mean model"),
        ("[model]\nprovider = 'gemini'", "model.provider"),
        ("[model]\ntimeout = -1", "model.timeout"),
        ("[model]\ntimeout = 'x'", "model.timeout"),
        ("[model", "not valid TOML"),
        ("model = 3", "model"),
        ("[model]\napi_key = 'sk-123'", "unknown setting model.api_key"),
    ],
)
def test_wrong_settings_are_one_line(text: str, message: str) -> None:
    write(text)
    with pytest.raises(config.SettingsError, match=message) as caught:
        config.load()
    assert "\n" not in str(caught.value)
    assert "sk-123" not in str(caught.value)


def test_changing_keeps_the_rest_of_the_file() -> None:
    write('# mine\n[model]\nname = "a" # old\n\n[output]\ncolor = "never"\n')
    config.change("model.name", 'b "quoted" ü')
    config.change("model.timeout", "7")
    config.change("model.price.input", "2.5")
    config.change("model.explain", "off")
    config.change("cluster.timeout", "9")
    loaded = config.load()
    assert loaded.model.name == 'b "quoted" ü'
    assert (loaded.model.timeout, loaded.model.price.input, loaded.model.explain) == (7.0, 2.5, False)
    assert (loaded.output.color, loaded.cluster.timeout) == ("never", 9.0)
    text = config.path().read_text()
    assert text.startswith("# mine\n[model]\n")
    assert stat.S_IMODE(config.path().stat().st_mode) == 0o600
    assert stat.S_IMODE(config.path().parent.stat().st_mode) == 0o700


def test_a_change_that_is_wrong_changes_nothing() -> None:
    config.change("model.timeout", "7")
    before = config.path().read_text()
    for name, value in (("model.timeout", "soon"), ("model.provider", "x"), ("model.tmeout", "7")):
        with pytest.raises(IntellectError):
            config.change(name, value)
    assert config.path().read_text() == before


def test_the_config_command() -> None:
    run = CliRunner()
    assert run.invoke(config_cli.app, ["set", "model.explain", "no"]).output == "model.explain = false\n"
    shown = run.invoke(config_cli.app, ["show"]).output
    assert "model.explain = false\n" in shown
    assert str(config.path()) in shown
    assert isinstance(run.invoke(config_cli.app, ["show", "-o", "xml"]).exception, UsageError)
