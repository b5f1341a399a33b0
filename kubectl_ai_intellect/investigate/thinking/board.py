"""What a model is shown, under names it can answer with: facts E1…, candidates C1…, reads P1….

Names are given once and never change their meaning, so that a conversation can only grow. Facts share their numbers
with the report's evidence.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from kubectl_ai_intellect.causes.base import Fact, Finding
from kubectl_ai_intellect.investigate.thinking.wording import Line
from kubectl_ai_intellect.kube.refs import Ref
from kubectl_ai_intellect.kube.source import Read

Numbers = dict[tuple[str, Ref], str]
"""The E-numbers of one investigation, by a fact's text and object."""

CANDIDATES = 9
PROBES = 9


@dataclass
class Board:
    """Everything that has been shown in one conversation."""

    numbers: Numbers
    facts: dict[str, Fact] = field(default_factory=dict[str, Fact])
    candidates: dict[str, Finding] = field(default_factory=dict[str, Finding])
    probes: dict[str, Read] = field(default_factory=dict[str, Read])
    made: set[Read] = field(default_factory=set[Read])
    gone: set[str] = field(default_factory=set[str])
    """Candidates that are no longer live: refuted since they were shown."""
    shown: set[str] = field(default_factory=set[str])

    def number(self, fact: Fact) -> str:
        """The fact's number, given to it now if it has none."""
        return self.numbers.setdefault((fact.text, fact.of), f"E{len(self.numbers) + 1}")

    def keep(self, lines: Iterable[Line]) -> None:
        """Only what stayed in a turn has been shown; the rest may come again."""
        for line in lines:
            if line.name:
                self.shown.add(line.name)
            if line.fact is not None:
                self.facts[line.name] = line.fact
        self.candidates = {name: each for name, each in self.candidates.items() if name in self.shown}
        self.probes = {name: each for name, each in self.probes.items() if name in self.shown}

    def name_of(self, finding: Finding) -> str | None:
        key = (finding.cause, finding.object)
        return next((name for name, each in self.candidates.items() if (each.cause, each.object) == key), None)

    def nominate(self, findings: Iterable[Finding]) -> list[str]:
        """Enter the live candidates; the names of those that were not there before or are surer now."""
        live = list(findings)
        fresh: list[str] = []
        for finding in live:
            name = self.name_of(finding)
            if name is None:
                if len(self.candidates) >= CANDIDATES:
                    continue
                name = self._name("C")
                fresh.append(name)
            elif self.candidates[name].strength != finding.strength:
                fresh.append(name)
            self.candidates[name] = finding
        keys = {(each.cause, each.object) for each in live}
        self.gone = {name for name, each in self.candidates.items() if (each.cause, each.object) not in keys}
        return fresh

    def _name(self, letter: str) -> str:
        taken = {*self.shown, *self.candidates, *self.probes}
        return next(name for number in range(1, 1000) if (name := f"{letter}{number}") not in taken)

    def offer(self, reads: Iterable[Read]) -> list[str]:
        """Enter reads that can be made; the names of the new ones."""
        fresh: list[str] = []
        for read in reads:
            if read in self.probes.values() or len(self.probes) >= PROBES:
                continue
            name = self._name("P")
            self.probes[name] = read
            fresh.append(name)
        return fresh

    @property
    def live(self) -> dict[str, Finding]:
        return {name: each for name, each in self.candidates.items() if name not in self.gone}

    @property
    def open_probes(self) -> dict[str, Read]:
        return {name: read for name, read in self.probes.items() if read not in self.made}


__all__ = ["CANDIDATES", "PROBES", "Board", "Numbers"]
