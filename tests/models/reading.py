"""What a model is shown, read back out of its prompt: facts, candidates, reads, as a model itself would read them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from kubectl_ai_intellect.gateway.grammar import Either, Fields, Grammar, Items, OneOf, Shape, Text
from kubectl_ai_intellect.gateway.protocol import Prompt

FACT = re.compile(r"^(E\d+) (?P<at>[^:]+): (?P<text>.*)$")
CANDIDATE = re.compile(r"^(C\d+) (?P<cause>\S+) at (?P<at>\S+) \((?P<strength>\w+)\): (?P<says>.*)$")
READ = re.compile(r"^(P\d+) (?P<command>kubectl .*)$")
REFUSAL = "Not taken: "


@dataclass(frozen=True)
class Candidate:
    """A candidate's line."""

    cause: str
    at: str
    strength: str
    says: str


@dataclass
class Shown:
    """Everything that the user's turns of a prompt have shown."""

    facts: dict[str, tuple[str, str]] = field(default_factory=dict)  # name: object, text
    candidates: dict[str, Candidate] = field(default_factory=dict)
    reads: dict[str, str] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)
    last: str = ""

    @property
    def explaining(self) -> bool:
        return self.last.rstrip().endswith("Explain.")


def shown(prompt: Prompt) -> Shown:
    found = Shown(last=prompt.turns[-1].text)
    lines = [line for turn in prompt.turns if turn.role == "user" for part in turn.parts for line in [part.text]]
    for line in lines:
        if match := FACT.match(line):
            found.facts[match[1]] = (match["at"], match["text"])
        elif match := CANDIDATE.match(line):
            found.candidates[match[1]] = Candidate(match["cause"], match["at"], match["strength"], match["says"])
        elif match := READ.match(line):
            found.reads[match[1]] = match["command"]
        elif line.startswith(REFUSAL):
            found.refusals.append(line)
    return found


@dataclass
class Legal:
    """What the grammar of one answer allows."""

    ranked: tuple[str, ...] = ()
    cites: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    other: Text | None = None
    thought: Text | None = None
    sentences: Items | None = None
    says: Text | None = None


def legal(grammar: Grammar) -> Legal:
    """The labels and limits in a grammar, by the keys that they stand under."""
    found = Legal()
    _walk(grammar.shape, "", found)
    return found


def _walk(shape: Shape, key: str, found: Legal) -> None:
    match shape:
        case Fields(of):
            for name, part in of:
                _walk(part, name, found)
        case Either(of):
            for option in of:
                _walk(option, key, found)
        case Items(of):
            if key == "sentences":
                found.sentences = shape
            _walk(of, key, found)
        case OneOf(labels):
            if key == "ranked":
                found.ranked = labels
            elif key == "cites":
                found.cites = labels
            elif key == "probe":
                found.reads = labels
        case Text():
            if key in ("thought", "other", "says"):
                setattr(found, key, shape)
        case _:
            pass


__all__ = ["Candidate", "Legal", "Shown", "legal", "shown"]
