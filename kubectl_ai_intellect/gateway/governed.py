"""A model under the rules that hold for all of them: answers from the cache, checked output, one repair.

An answer outside the grammar is asked for once more, with the reason; then it is an error, and the caller
goes on without the model.
"""

from __future__ import annotations

from collections.abc import Sequence

from kubectl_ai_intellect.gateway import cache as caching
from kubectl_ai_intellect.gateway.cache import AnswerCache
from kubectl_ai_intellect.gateway.grammar import Grammar
from kubectl_ai_intellect.gateway.protocol import (
    Choice,
    Completion,
    Identity,
    Model,
    OnToken,
    OutputInvalid,
    Prompt,
    Usage,
)

MOST_SHOWN = 400  # characters of a bad answer that the repair shows again


class GovernedModel:
    """Wraps a provider's model; itself a Model."""

    def __init__(self, model: Model, cache: AnswerCache | None = None):
        self._model = model
        self._cache = cache

    @property
    def identity(self) -> Identity:
        return self._model.identity

    @property
    def usage(self) -> Usage:
        return self._model.usage

    @property
    def inner(self) -> Model:
        return self._model

    def complete(
        self, prompt: Prompt, grammar: Grammar | None, max_tokens: int, on_token: OnToken | None = None
    ) -> Completion:
        name = caching.key(self.identity, prompt, grammar, {"most": max_tokens})
        kept = self._kept(name, grammar)
        if kept is not None:
            if on_token is not None:
                on_token(kept.text)
            return kept
        done = self._model.complete(prompt, grammar, max_tokens, on_token)
        if grammar is not None and done.value is None:
            done = self._repaired(prompt, grammar, max_tokens, done)
        if self._cache is not None and done.finish == "stop":
            self._cache.put(name, {"text": done.text, "shortened": done.shortened})
        return done

    def _kept(self, name: str, grammar: Grammar | None) -> Completion | None:
        row = self._cache.get(name) if self._cache is not None else None
        if row is None or not isinstance(row.get("text"), str):
            return None
        value = grammar.value(row["text"]) if grammar is not None else None
        if grammar is not None and value is None:
            return None  # kept by an older version with another grammar, or tampered with
        return Completion(row["text"], value, shortened=bool(row.get("shortened")), from_cache=True)

    def _repaired(self, prompt: Prompt, grammar: Grammar, max_tokens: int, bad: Completion) -> Completion:
        reason = _reason(grammar, bad)
        again = prompt.answered(bad.text[:MOST_SHOWN]).ask(
            f"That answer is not valid: {reason}. Answer again, complete and shorter."
        )
        done = self._model.complete(again, grammar, max_tokens)
        if done.value is None:
            raise OutputInvalid(f"the model gave no valid answer: {_reason(grammar, done)}")
        return done

    def choose(self, prompt: Prompt, labels: Sequence[str]) -> Choice:
        name = caching.key(self.identity, prompt, None, {"labels": list(labels)})
        row = self._cache.get(name) if self._cache is not None else None
        if row is not None and row.get("label") in labels:
            label = str(row["label"])
            return Choice(label, list(labels).index(label), float(row["margin"]), bool(row["measured"]))
        made = self._model.choose(prompt, labels)
        if self._cache is not None:
            kept = {"label": made.label, "margin": made.margin, "measured": made.measured}
            self._cache.put(name, kept)
        return made

    def count(self, prompt: Prompt) -> int:
        return self._model.count(prompt)

    def cancel(self) -> None:
        self._model.cancel()

    def close(self) -> None:
        self._model.close()
        if self._cache is not None:
            self._cache.close()


def _reason(grammar: Grammar, done: Completion) -> str:
    if done.finish == "length":
        return "it was cut off before its end"
    try:
        grammar.parse(done.text)
    except OutputInvalid as error:
        return str(error)
    return "it does not fit"


__all__ = ["GovernedModel"]
