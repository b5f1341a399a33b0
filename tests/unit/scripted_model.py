"""A Model for tests that answers from a script, and keeps all that it was asked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from kubectl_ai_intellect.gateway.grammar import Grammar
from kubectl_ai_intellect.gateway.protocol import Choice, Completion, Identity, OnToken, Prompt, Usage

Reply = dict[str, Any] | str | BaseException | Callable[["Asked"], Any]
UNDECIDED: dict[str, Any] = {"thought": "", "do": {"undecided": True}}


class Asked:
    """One request: the prompt and the grammar it came with."""

    def __init__(self, prompt: Prompt, grammar: Grammar | None) -> None:
        self.prompt, self.grammar = prompt, grammar
        self.kind = grammar.name if grammar else ""
        self.text = prompt.turns[-1].text

    def names(self, letter: str) -> list[str]:
        """The names on the board: E1, C2, P3 in all turns of ours."""
        said = "\n".join(turn.text for turn in self.prompt.turns if turn.role == "user")
        return list(dict.fromkeys(re.findall(rf"^({letter}\d+) ", said, re.MULTILINE)))

    def name(self, letter: str, holds: str) -> str:
        """The name of the line on the board that holds these words."""
        said = "\n".join(turn.text for turn in self.prompt.turns if turn.role == "user")
        return next(re.findall(rf"^({letter}\d+) .*{re.escape(holds)}", said, re.MULTILINE).__iter__())


class Scripted:
    """Answers decisions and explanations from two lists; what is left unsaid is undecided, and explains nothing."""

    identity = Identity("scripted", "one")

    def __init__(self, decisions: Sequence[Reply] = (), sentences: Reply | None = None, prefers: int = 1) -> None:
        self.decisions, self.sentences, self.prefers = list(decisions), sentences, prefers
        self.asked: list[Asked] = []
        self.choices: list[list[str]] = []
        self.usage = Usage()
        self.cancelled = 0

    @property
    def decided(self) -> list[Asked]:
        return [each for each in self.asked if each.kind == "decision"]

    def complete(
        self, prompt: Prompt, grammar: Grammar | None, max_tokens: int, on_token: OnToken | None = None
    ) -> Completion:
        asked = Asked(prompt, grammar)
        self.asked.append(asked)
        if asked.kind == "decision":
            reply: Any = self.decisions.pop(0) if self.decisions else UNDECIDED
        else:
            reply = self.sentences if self.sentences is not None else {"sentences": []}
        if callable(reply):
            reply = reply(asked)
        if isinstance(reply, BaseException):
            raise reply
        text = reply if isinstance(reply, str) else json.dumps(reply)
        for start in range(0, len(text), 5) if on_token else ():
            on_token(text[start : start + 5])  # type: ignore[misc]
        self.usage = self.usage.plus(Usage(100, 60, 20))
        return Completion(text, grammar.value(text) if grammar else None)

    def choose(self, prompt: Prompt, labels: Sequence[str]) -> Choice:
        self.choices.append(list(labels))
        return Choice(labels[self.prefers], self.prefers, 0.9)

    def count(self, prompt: Prompt) -> int:
        return len(prompt.prefix) // 4 + sum(len(turn.text) // 4 + 4 for turn in prompt.turns)

    def cancel(self) -> None:
        self.cancelled += 1

    def close(self) -> None:
        pass


def picks(name: str, *cites: str) -> dict[str, Any]:
    return {"thought": "", "do": {"ranked": [name], "cites": list(cites)}}


def states(text: str, *cites: str) -> dict[str, Any]:
    return {"thought": "", "do": {"other": text, "cites": list(cites)}}


def reads(name: str) -> dict[str, Any]:
    return {"thought": "", "do": {"probe": name}}


def tells(*sentences: tuple[str, list[str]]) -> dict[str, Any]:
    return {"sentences": [{"says": says, "cites": cites} for says, cites in sentences]}
