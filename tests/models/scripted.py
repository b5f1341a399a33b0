"""Models without weights that speak the gateway's protocol: what they answer is written down, what they read is not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from kubectl_ai_intellect.gateway.grammar import Grammar
from kubectl_ai_intellect.gateway.protocol import (
    Choice,
    Completion,
    Identity,
    Meter,
    OnToken,
    Prompt,
    Usage,
)
from tests.models.reading import Legal, Shown, legal, shown

PIECE = 7  # characters of a streamed piece


class Scripted:
    """Answers from what is shown; a token is taken for four characters."""

    name = "scripted"

    def __init__(self) -> None:
        self._meter = Meter()
        self.prompts: list[Prompt] = []
        self.answers: list[Any] = []

    @property
    def identity(self) -> Identity:
        return Identity("scripted", self.name, local=True)

    @property
    def usage(self) -> Usage:
        return self._meter.total

    def decide(self, seen: Shown, may: Legal) -> dict[str, Any]:
        """What to do, as the answer's `do`."""
        return {"undecided": True}

    def tell(self, seen: Shown, may: Legal) -> list[dict[str, Any]]:
        """The sentences of an explanation."""
        return [{"says": f"{at}: {text}"[: may.says.most if may.says else 200].ljust(10), "cites": [name]}
                for name in may.cites for at, text in [seen.facts.get(name, ("", "nothing was shown"))]][:2]  # fmt: skip

    def thought(self, seen: Shown, may: Legal) -> str:
        return "so it is"

    def picks(self, labels: Sequence[str]) -> int:
        """Which of several labels."""
        return 0

    def complete(
        self, prompt: Prompt, grammar: Grammar | None, max_tokens: int, on_token: OnToken | None = None
    ) -> Completion:
        assert grammar is not None, "the loop always gives a grammar"
        seen, may = shown(prompt), legal(grammar)
        value: dict[str, Any]
        if may.sentences is not None:
            value = {"sentences": self.tell(seen, may)}
        else:
            value = {"thought": self.thought(seen, may), "do": self.decide(seen, may)}
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        parsed = grammar.parse(text)  # raises where a script breaks the rules that no model can break
        self.prompts.append(prompt)
        self.answers.append(parsed)
        usage = Usage(self.count(prompt), 0, len(text) // 4, 0.0)
        self._meter.add(usage)
        if on_token is not None:
            for start in range(0, len(text), PIECE):
                on_token(text[start : start + PIECE])
        return Completion(text, parsed, "stop", usage)

    def choose(self, prompt: Prompt, labels: Sequence[str]) -> Choice:
        index = self.picks(labels)
        return Choice(labels[index], index, 1.0)

    def count(self, prompt: Prompt) -> int:
        return (len(prompt.prefix) + sum(len(turn.text) + 8 for turn in prompt.turns)) // 4

    def cancel(self) -> None: ...

    def close(self) -> None: ...


__all__ = ["Scripted"]
