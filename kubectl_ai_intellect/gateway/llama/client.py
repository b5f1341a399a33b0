"""The local model as the investigation sees it: prompts become pieces, grammars GBNF, choices logits."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubectl_ai_intellect.gateway.grammar import Grammar
from kubectl_ai_intellect.gateway.llama import choice, tokens
from kubectl_ai_intellect.gateway.llama.expression import of_shape, to_wire
from kubectl_ai_intellect.gateway.llama.grammar import gbnf
from kubectl_ai_intellect.gateway.llama.prefix import DEFAULT_CAP
from kubectl_ai_intellect.gateway.llama.process import WorkerProcess
from kubectl_ai_intellect.gateway.protocol import (
    Choice,
    Completion,
    Identity,
    Meter,
    ModelError,
    OnToken,
    Part,
    Prompt,
    Turn,
    Usage,
)
from kubectl_ai_intellect.places import private

OPENING_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model file and how to run it."""

    name: str
    path: Path
    digest: str
    context: int
    threads: int
    template: str = ""  # a name from the catalogue; else found in the file
    timeout: float = 300.0
    store: Path | None = None
    cap: int = DEFAULT_CAP


class LlamaModel:
    """One local model. The process starts at once and loads while the caller does other things."""

    def __init__(self, spec: LocalModel):
        self._spec = spec
        self._meter = Meter()
        self._worker = WorkerProcess()
        self._lock = threading.Lock()
        self._facts: dict[str, Any] = {}
        self._failed: ModelError | None = None
        self._template = tokens.PLAIN
        self._priors: dict[str, list[float]] = {}
        self.evaluated: list[dict[str, Any]] = []  # what each answer cost, for tests and bench
        self._opening = self._worker.send(
            {
                "op": "open",
                "load": {"path": str(spec.path), "context": spec.context, "threads": spec.threads},
                "digest": spec.digest,
                "store": str(spec.store) if spec.store else "",
                "cap": spec.cap,
            }
        )

    @property
    def identity(self) -> Identity:
        return Identity("llamacpp", self._spec.name, self._spec.digest, local=True)

    @property
    def usage(self) -> Usage:
        return self._meter.total

    @property
    def pid(self) -> int:
        return self._worker.pid

    @property
    def template(self) -> str:
        self.facts()
        return self._template.name

    def facts(self) -> dict[str, Any]:
        """What llama.cpp says about the open model; waits until it is open."""
        with self._lock:
            if self._failed is not None:
                raise self._failed
            if not self._facts:
                try:
                    facts = self._worker.wait(self._opening, OPENING_SECONDS)
                    self._template = self._choose_template(facts)
                except ModelError as error:
                    self._failed = error
                    raise
                self._facts = facts
            return self._facts

    def _choose_template(self, facts: dict[str, Any]) -> tokens.Template:
        wished = tokens.TEMPLATES.get(self._spec.template) or tokens.detect(facts["template"])
        if not wished.stop:
            return wished
        known = self._worker.ask({"op": "control", "text": wished.stop}, OPENING_SECONDS)
        return wished if known["control"] else tokens.PLAIN

    def complete(
        self, prompt: Prompt, grammar: Grammar | None, max_tokens: int, on_token: OnToken | None = None
    ) -> Completion:
        request: dict[str, Any] = {"op": "complete", "most": max_tokens, "stream": on_token is not None}
        if grammar is not None:
            request |= {"grammar": gbnf(grammar), "ahead": to_wire(of_shape(grammar.shape))}
        answer, usage = self._ask(prompt, request, on_token)
        text, finish = answer["text"], answer["finish"]
        value = grammar.value(text, finish) if grammar is not None else None
        return Completion(text, value, finish, usage, answer["shortened"])

    def choose(self, prompt: Prompt, labels: Sequence[str]) -> Choice:
        if not 1 <= len(labels) <= choice.MOST_LABELS:
            raise ValueError(f"1 to {choice.MOST_LABELS} labels, not {len(labels)}")
        prior = self._prior(prompt.prefix, len(labels))
        shown = choice.orders(len(labels))
        before = self.usage
        scores = [self._score(prompt, [labels[index] for index in order]) for order in shown]
        best = choice.combine(shown, scores, prior)
        return Choice(labels[best.index], best.index, best.margin, usage=_since(before, self.usage))

    def _score(self, prompt: Prompt, options: Sequence[str]) -> list[float]:
        request = {"op": "score", "labels": choice.slots(len(options))}
        answer, _ = self._ask(_with_options(prompt, options), request)
        return [float(value) for value in answer["logits"]]

    def _prior(self, prefix: str, count: int) -> list[float]:
        """How the model likes each slot when the options say nothing; measured once and kept."""
        key = hashlib.sha256(f"{self._spec.digest}\0{count}\0{prefix}".encode()).hexdigest()[:32]
        if key not in self._priors:
            self._priors |= self._kept_priors()
        if len(self._priors.get(key, [])) != count:
            neutral = Prompt(prefix).ask("Which option?")
            self._priors[key] = self._score(neutral, [choice.NEUTRAL] * count)
            self._keep_priors()
        return self._priors[key]

    def _prior_file(self) -> Path | None:
        return self._spec.store / "priors.json" if self._spec.store else None

    def _kept_priors(self) -> dict[str, list[float]]:
        file = self._prior_file()
        try:
            kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file else {}
            return {str(key): [float(one) for one in value] for key, value in kept.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def _keep_priors(self) -> None:
        file = self._prior_file()
        if file is None:
            return
        with contextlib.suppress(OSError):
            private(file.parent)
            part = file.with_suffix(".part")
            part.write_text(json.dumps(dict(list(self._priors.items())[-200:])), encoding="utf-8")
            part.chmod(0o600)
            part.replace(file)

    def count(self, prompt: Prompt) -> int:
        return int(self._worker.ask(self._request(prompt, {"op": "count"}), self._spec.timeout)["tokens"])

    def tokens(self, prompt: Prompt) -> list[int]:
        """Exactly the tokens that are read for a prompt."""
        return self._worker.ask(self._request(prompt, {"op": "tokens"}), self._spec.timeout)["tokens"]

    def check(self, grammar: Grammar) -> None:
        """Have llama.cpp parse the grammar; raises ModelError if it does not."""
        self.facts()
        self._worker.ask({"op": "check", "grammar": gbnf(grammar)}, self._spec.timeout)

    def _request(self, prompt: Prompt, request: dict[str, Any]) -> dict[str, Any]:
        self.facts()
        template = self._template
        return {
            **request,
            "prefix": tokens.prefix_pieces(template, prompt.prefix),
            "rest": tokens.turn_pieces(template, prompt),
            "bos": not template.begin,
        }

    def _ask(
        self, prompt: Prompt, request: dict[str, Any], on_token: OnToken | None = None
    ) -> tuple[dict[str, Any], Usage]:
        began = time.perf_counter()
        answer = self._worker.ask(self._request(prompt, request), self._spec.timeout, on_token)
        usage = Usage(
            prompt_tokens=answer["prompt"],
            cached_tokens=answer["prompt"] - answer["evaluated"],
            completion_tokens=answer.get("written", 0),
            ms=(time.perf_counter() - began) * 1000,
        )
        self._meter.add(usage)
        self.evaluated.append({key: answer[key] for key in answer if key not in {"text", "id", "done"}})
        return answer, usage

    def cancel(self) -> None:
        self._worker.cancel()

    def close(self) -> None:
        self._worker.close()


def _with_options(prompt: Prompt, options: Sequence[str]) -> Prompt:
    """The options as the end of the last question."""
    part = Part(choice.options_text(options), evidence=True)
    if prompt.turns and prompt.turns[-1].role == "user":
        last = prompt.turns[-1]
        return Prompt(prompt.prefix, (*prompt.turns[:-1], Turn("user", (*last.parts, part))))
    return prompt.ask(part)


def _since(before: Usage, after: Usage) -> Usage:
    return Usage(
        after.prompt_tokens - before.prompt_tokens,
        after.cached_tokens - before.cached_tokens,
        after.completion_tokens - before.completion_tokens,
        after.ms - before.ms,
    )


__all__ = ["LlamaModel", "LocalModel"]
