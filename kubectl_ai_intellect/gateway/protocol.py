"""What the investigation asks of a model, and what it gets back; every provider speaks this and nothing else.

A prompt is a fixed prefix (instructions, byte for byte the same for every question) and turns that are only
ever appended, so that whoever answers can keep what it has read. Parts marked as evidence come from the
cluster, its logs or documents: they are data, whatever they say.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from kubectl_ai_intellect.errors import IntellectError

if TYPE_CHECKING:
    from kubectl_ai_intellect.gateway.grammar import Grammar


class ModelError(IntellectError):
    """The model gave no answer; the verdict stands without it."""


class ModelGone(ModelError):
    """The model's process died or its service went away: it will not answer later questions either."""


class ModelCancelled(ModelError):
    """Somebody asked the model to stop."""


class OutputInvalid(ModelError):
    """The model answered outside the grammar, or was cut off before the end."""


class NotSent(ModelError):
    """The request was only shown: nothing has left the machine."""


class Part(NamedTuple):
    """A piece of a turn; evidence is untrusted text."""

    text: str
    evidence: bool = False


class Turn(NamedTuple):
    role: Literal["user", "assistant"]
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The turn as one text: every part ends with its line."""
        return "".join(with_line_end(part.text) for part in self.parts).rstrip("\n")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A fixed prefix and the turns of one investigation, the last of them the user's."""

    prefix: str
    turns: tuple[Turn, ...] = ()

    def ask(self, *parts: Part | str) -> Prompt:
        """The prompt with one more question; a plain string is our own wording."""
        made = tuple(Part(part) if isinstance(part, str) else part for part in parts)
        return replace(self, turns=(*self.turns, Turn("user", made)))

    def answered(self, text: str) -> Prompt:
        """The prompt with the model's own answer appended, ready for the next question."""
        return replace(self, turns=(*self.turns, Turn("assistant", (Part(text, evidence=True),))))


class Usage(NamedTuple):
    """What an answer cost. Evaluated tokens are those read anew: prompt less cached, plus nothing hidden."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    ms: float = 0.0
    cost_usd: float | None = 0.0

    def plus(self, other: Usage) -> Usage:
        unknown = self.cost_usd is None or other.cost_usd is None
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.cached_tokens + other.cached_tokens,
            self.completion_tokens + other.completion_tokens,
            self.ms + other.ms,
            None if unknown else (self.cost_usd or 0.0) + (other.cost_usd or 0.0),
        )


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer; `value` is the parsed output where a grammar was given.

    `finish` is `stop` when the model ended by itself and `length` when it ran out of tokens.
    `shortened` says that the end of a free text was cut to close the grammar in time.
    """

    text: str
    value: Any = None
    finish: Literal["stop", "length"] = "stop"
    usage: Usage = field(default_factory=Usage)
    shortened: bool = False
    from_cache: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """The label chosen, and by how much: the gap in probability to the runner-up, from 0 to 1.

    `measured` is false where a provider shows no probabilities; the margin is then 1 and means nothing.
    """

    label: str
    index: int
    margin: float
    measured: bool = True
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Identity:
    """Which model answers: enough to key a cache and to print in a report; never a secret."""

    provider: str
    name: str
    digest: str = ""
    local: bool = True

    def __str__(self) -> str:
        return f"{self.provider}:{self.name}"


OnToken = Callable[[str], None]


class Model(Protocol):
    """What the investigation may ask of any model."""

    @property
    def identity(self) -> Identity: ...

    @property
    def usage(self) -> Usage: ...

    def complete(
        self, prompt: Prompt, grammar: Grammar | None, max_tokens: int, on_token: OnToken | None = None
    ) -> Completion: ...

    def choose(self, prompt: Prompt, labels: Sequence[str]) -> Choice: ...

    def count(self, prompt: Prompt) -> int: ...

    def cancel(self) -> None: ...

    def close(self) -> None: ...


class Meter:
    """Adds up usage; several threads may share one model."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._total = Usage()

    @property
    def total(self) -> Usage:
        return self._total

    def add(self, usage: Usage) -> None:
        with self._lock:
            self._total = self._total.plus(usage)


def with_line_end(text: str) -> str:
    """Parts meet only at line ends: tokens never reach over a seam."""
    return text if text.endswith("\n") or not text else text + "\n"


__all__ = [
    "Choice",
    "Completion",
    "Identity",
    "Meter",
    "Model",
    "ModelCancelled",
    "ModelError",
    "ModelGone",
    "NotSent",
    "OnToken",
    "OutputInvalid",
    "Part",
    "Prompt",
    "Turn",
    "Usage",
    "with_line_end",
]
