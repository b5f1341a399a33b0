"""A model's explanation, sentence by sentence: each is checked before anybody sees it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubectl_ai_intellect.investigate.thinking.checks import Refused, plain, shared
from kubectl_ai_intellect.report import Evidence, ObjectRef, Verdict

_NAMED = re.compile(r"\b([A-Z][A-Za-z]+)/([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)")
_NUMBER = re.compile(r"\d[\d.]*")
_CITED = re.compile(r"\s*[\[(](?:E\d+(?:,\s*)?)+[\])]")


@dataclass(frozen=True, slots=True)
class Ground:
    """What an explanation may stand on: the verdict, its evidence, and which evidence speaks of which object."""

    verdict: Verdict
    evidence: Mapping[str, Evidence]
    about: Callable[[Evidence, ObjectRef], bool]

    def objects(self) -> dict[str, ObjectRef]:
        """Every object that the answer names, as Kind/name."""
        told = [self.verdict.object, *self.verdict.affects, *(step.object for step in self.verdict.chain)]
        told += [each.object for each in self.evidence.values()]
        quoted = [found for each in self.evidence.values() for found in _NAMED.findall(each.text)]
        told += [ObjectRef(kind=kind, name=name) for kind, name in quoted]
        return {each.short: each for each in reversed(told) if each is not None and each.name}

    def words(self, cites: Sequence[str]) -> str:
        """All the text that a sentence with these citations may take its numbers from."""
        verdict = self.verdict
        chain = [f"{step.object.short} {step.because}" for step in verdict.chain]
        facts = [f"{self.evidence[name].object.short} {self.evidence[name].text}" for name in cites]
        return " ".join([verdict.title, verdict.explanation, *(each.short for each in verdict.affects), *chain, *facts])


def believed(ground: Ground, says: str, cites: Sequence[str]) -> str:
    """The sentence as it is shown, its citations behind it; Refused says why it is dropped."""
    if not cites or any(name not in ground.evidence for name in cites):
        raise Refused("it cites what is not there")
    cites = list(dict.fromkeys(cites))
    sentence = plain(_CITED.sub("", says))
    _objects_are_cited(ground, sentence, cites)
    grounds = ground.words(cites)
    invented = [each for each in _NUMBER.findall(sentence) if each.rstrip(".") not in grounds]
    if invented:
        raise Refused(f"{invented[0]} is in nothing that it cites")
    facts = [ground.evidence[name] for name in cites]
    if not shared(sentence, [(each.text, each.object.name) for each in facts]):
        raise Refused("its citations do not say that")
    return f"{sentence}. [{', '.join(cites)}]"


def _objects_are_cited(ground: Ground, sentence: str, cites: Sequence[str]) -> None:
    """Each object that the sentence names exists and is one that a citation speaks of."""
    known = ground.objects()
    named: list[ObjectRef] = []
    for kind, name in _NAMED.findall(sentence):
        at = known.get(f"{kind}/{name}")
        if at is None:
            raise Refused(f"{kind}/{name} is no object of this answer")
        named.append(at)
    subject = ground.verdict.object
    wanted = named or ([subject] if subject is not None else [])
    for at in wanted:
        if not any(ground.about(ground.evidence[name], at) for name in cites):
            raise Refused(f"its citations say nothing of {at.short}")


@dataclass
class Sentences:
    """Sentences out of a growing JSON text, each as soon as it is complete."""

    text: str = ""
    _at: int = -1
    _decoder: json.JSONDecoder = field(default_factory=json.JSONDecoder)

    def feed(self, more: str) -> Iterator[tuple[str, list[str]]]:
        self.text += more
        if self._at < 0:
            found = re.search(r'"sentences"\s*:\s*\[', self.text)
            if found is None:
                return
            self._at = found.end()
        while True:
            start = self._at
            while start < len(self.text) and self.text[start] in ", \n\r\t":
                start += 1
            try:
                value, self._at = self._decoder.raw_decode(self.text, start)
            except ValueError:
                return
            if (sentence := _sentence(value)) is not None:
                yield sentence


def of_value(value: Any) -> list[tuple[str, list[str]]]:
    """The sentences of a whole answer."""
    rows: Any = value.get("sentences") if isinstance(value, dict) else None
    found = [_sentence(each) for each in rows] if isinstance(rows, list) else []
    return [each for each in found if each is not None]


def _sentence(value: Any) -> tuple[str, list[str]] | None:
    if not isinstance(value, dict) or not isinstance(value.get("says"), str):
        return None
    cites: Any = value.get("cites")
    names: Iterable[Any] = cites if isinstance(cites, list) else ()
    return value["says"], [str(each) for each in names]


__all__ = ["Ground", "Sentences", "believed", "of_value"]
