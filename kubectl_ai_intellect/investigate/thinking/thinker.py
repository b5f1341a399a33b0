"""A model at work on one investigation: asked for a decision step by step, believed as far as code can check it.

Whatever happens to the model, the caller goes on: an answer that does not hold is refused once with the reason, and a
model that fails is not asked again. It chooses among findings and reads that exist; it makes none.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubectl_ai_intellect.causes.assess import worth
from kubectl_ai_intellect.causes.base import Fact, Finding
from kubectl_ai_intellect.gateway.protocol import Model, ModelError, NotSent, Part, Prompt, Usage
from kubectl_ai_intellect.investigate.thinking import checks, wording
from kubectl_ai_intellect.investigate.thinking.board import Board, Numbers
from kubectl_ai_intellect.investigate.thinking.patience import Patience
from kubectl_ai_intellect.investigate.thinking.shapes import decision
from kubectl_ai_intellect.investigate.thinking.turns import View, first_turn, next_turn
from kubectl_ai_intellect.kube.refs import Ref
from kubectl_ai_intellect.kube.source import Read

DECIDING = 220
"""Tokens of one decision at most."""
MARGIN = 0.2
"""How clearly a model must prefer its choice to what the evidence makes likelier."""

STOPPED = "the model was stopped: this is the answer without it"
UNDECIDED = '{"thought":"","do":{"undecided":true}}'

Note = Callable[[str, str, str, int, int], None]


@dataclass(frozen=True, slots=True)
class Picked:
    """A candidate, chosen."""

    finding: Finding
    cites: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stated:
    """A cause outside the catalogue, in the model's words."""

    text: str
    at: Ref
    facts: tuple[Fact, ...]


@dataclass
class Thinker:
    """One model and one conversation."""

    model: Model
    explain: bool = True
    deadline: float | None = None
    note: Note = lambda hypothesis, command, finding, ms, tokens: None
    numbers: Numbers = field(default_factory=Numbers)
    conclusion: Picked | Stated | None = None
    failed: str = ""
    """Why it is not asked any more."""
    refused: str = ""
    """Why its decision was not taken; it may still explain."""
    prompt: Prompt = field(default_factory=lambda: Prompt(wording.PREFIX))
    steps: int = 0
    wanted: list[Read] = field(default_factory=list[Read])
    settled: bool = False
    """Whether it has had its say: nothing more is to be decided."""

    def __post_init__(self) -> None:
        self.board = Board(self.numbers)
        self.began = self.model.usage

    @property
    def name(self) -> str:
        return str(self.model.identity)

    @property
    def spent(self) -> Usage:
        """What this investigation has cost so far."""
        now, before = self.model.usage, self.began
        cost = None if now.cost_usd is None else now.cost_usd - (before.cost_usd or 0.0)
        return Usage(
            now.prompt_tokens - before.prompt_tokens,
            now.cached_tokens - before.cached_tokens,
            now.completion_tokens - before.completion_tokens,
            now.ms - before.ms,
            cost,
        )

    @property
    def asks(self) -> bool:
        return not self.failed and not self.settled

    def asked(self, call: Callable[[Any], Any], on_token: Callable[[str], None] | None = None) -> Any:
        """Have the model do something, no longer than there is time; its failure is the end of it."""
        try:
            return Patience(self.model, self.deadline).ask(call, on_token)
        except NotSent as problem:
            self.failed = str(problem)
            raise
        except ModelError as problem:
            self.failed = f"the model failed, and this is the answer without it: {wording.flat(str(problem))}"
            raise
        except Exception as problem:  # whatever it was, the answer does not depend on it
            what = wording.flat(f"{type(problem).__name__}: {problem}")
            self.failed = f"the model failed, and this is the answer without it: {what}"
            raise ModelError(self.failed) from problem
        except KeyboardInterrupt:
            self.failed = STOPPED
            raise ModelError(self.failed) from None

    # -- deciding --------------------------------------------------------------------------------------------------

    def consult(self, view: View) -> list[Read]:
        """One decision: the reads to make next, or none when it is made (or cannot be)."""
        if not self.asks:
            return []
        reads: list[Read] = []
        with contextlib.suppress(ModelError):  # `failed` holds the reason
            reads = self._decided(view)
        self.settled = not reads
        return reads

    def _decided(self, view: View) -> list[Read]:
        lines = next_turn(self.board, view, self.wanted) if self.steps else first_turn(self.board, view)
        used = self.asked(lambda _: self.model.count(self.prompt)) if self.steps else 0
        budget = used + wording.STEP if self.steps else wording.FIRST
        prompt, kept = self.asked(lambda _: wording.fitted(self.model, self.prompt, lines, budget))
        self.board.keep(kept)
        if not self.board.facts:  # nothing to cite: nothing to claim
            return []
        self.steps += 1
        refusal, prompt_kept = "", prompt
        for _ in range(2):
            start, before = time.monotonic(), self.spent
            grammar, asked = decision(self.board, view.probes_left > 0), prompt
            done = self.asked(lambda _, p=asked, g=grammar: self.model.complete(p, g, DECIDING))
            try:
                reads = self._taken(view, done.value, asked.answered(done.text))
            except checks.Refused as why:
                refusal = str(why)
                self._record(view, "", f"refused: {refusal}", start, before)
                said = f"Not taken: {wording.flat(refusal)}. Decide again."
                prompt = asked.answered(done.text).ask(Part(said, evidence=True))
                continue
            self.prompt, self.wanted = asked.answered(done.text), reads
            self._record(view, reads[0].kubectl() if reads else "", self._outcome(reads), start, before)
            return reads
        self.prompt = prompt_kept.answered(UNDECIDED)  # what it said instead shall not be read again
        self.refused = f"the model gave no answer that holds: {wording.flat(refusal)}"
        return []

    def _taken(self, view: View, value: Any, after: Prompt) -> list[Read]:
        """Check one decision and take it over; Refused says why not."""
        do: dict[str, Any] = value["do"] if isinstance(value, dict) and isinstance(value.get("do"), dict) else {}
        if "probe" in do:
            read = self.board.open_probes.get(do["probe"])
            if read is None or view.probes_left < 1:
                raise checks.Refused(f"{do['probe']} cannot be read (again)")
            self.board.made.add(read)
            return [read]
        if "ranked" in do:
            finding = checks.candidate(view.state, self.board, do["ranked"][0], do["cites"])
            self._surer(view, finding, after)
            self.conclusion = Picked(finding, tuple(do["cites"]))
        elif "other" in do:
            text, at = checks.other(view.state, self.board, do["other"], do["cites"], view.proved)
            facts = tuple(checks.cited(self.board, do["cites"]))
            self._surer(view, Finding("other", at, "possible", text), after)
            self.conclusion = Stated(text, at, facts)
        elif not do:
            raise checks.Refused("that is no decision")
        return []

    def _surer(self, view: View, finding: Finding, after: Prompt) -> None:
        """What the evidence makes likelier is given up only for a choice made twice, the second time by a margin."""
        leader = view.leader
        if leader is None or (leader.cause, leader.object) == (finding.cause, finding.object):
            return
        if leader.strength == "proved":
            raise checks.Refused(f"it is proved that {leader.says}")
        if finding.cause != "other" and worth(leader) < worth(finding):
            return
        labels = [wording.flat(f"{each.object.short}: {each.says}", 120) for each in (leader, finding)]
        if labels[0] == labels[1]:
            return
        prompt = after.ask("Which of the two do the facts show?")
        choice = self.asked(lambda _: self.model.choose(prompt, labels))
        if choice.label != labels[1] or (choice.measured and choice.margin < MARGIN):
            raise checks.Refused(f"the facts make it likelier that {labels[0]}")

    def _record(self, view: View, command: str, outcome: str, start: float, before: Usage) -> None:
        now = self.spent
        tokens = now.prompt_tokens + now.completion_tokens - before.prompt_tokens - before.completion_tokens
        weighed = ", ".join(f"{each.cause} at {each.object.short}" for each in list(self.board.live.values())[:3])
        self.note(f"{self.name} weighs {weighed or 'what stays unexplained'}", command, outcome,
                  int((time.monotonic() - start) * 1000), tokens)  # fmt: skip

    def _outcome(self, reads: Sequence[Read]) -> str:
        match self.conclusion:
            case Picked(finding, cites):
                return f"chose {finding.cause} at {finding.object.short} ({', '.join(cites)})"
            case Stated(text, at):
                return f"stated: {text} (at {at.short})"
            case _:
                return "reads on" if reads else "undecided"


__all__ = ["DECIDING", "MARGIN", "STOPPED", "Picked", "Stated", "Thinker"]
