"""A byte-pair vocabulary learned from our own texts, so that a random model reads about as many tokens as a real one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

HERE = Path(__file__).parents[2]
WORD = re.compile(r" ?[A-Za-z]+|[0-9]| ?[^\sA-Za-z0-9]+|\s+")
TEXTS = 40  # runbooks are enough to learn the words of the trade


def byte_letters() -> list[str]:
    """The visible characters that stand for bytes in byte-level vocabularies."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    place = {byte: chr(byte) for byte in shown} | {byte: chr(256 + n) for n, byte in enumerate(hidden)}
    return [place[byte] for byte in range(256)]


@cache
def learned(count: int) -> tuple[tuple[str, str], ...]:
    """The merges that shorten our texts most, the best first."""
    counts = Counter(word for text in _texts() for word in WORD.findall(text))
    letters = byte_letters()
    words = [([letters[byte] for byte in word.encode()], often) for word, often in counts.items() if often > 3]
    pairs: Counter[tuple[str, str]] = Counter()
    where: dict[tuple[str, str], set[int]] = {}
    for index, (parts, often) in enumerate(words):
        for pair in zip(parts, parts[1:], strict=False):
            pairs[pair] += often
            where.setdefault(pair, set()).add(index)
    merges: list[tuple[str, str]] = []
    while len(merges) < count and pairs:
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        for index in where.pop(best):
            parts, often = words[index]
            for pair in zip(parts, parts[1:], strict=False):
                pairs[pair] -= often
            parts[:] = _merged(parts, best)
            for pair in zip(parts, parts[1:], strict=False):
                pairs[pair] += often
                where.setdefault(pair, set()).add(index)
        del pairs[best]
    return tuple(merges)


def _merged(parts: list[str], pair: tuple[str, str]) -> Iterator[str]:
    at = 0
    while at < len(parts):
        if tuple(parts[at : at + 2]) == pair:
            yield "".join(pair)
            at += 2
        else:
            yield parts[at]
            at += 1


def _texts() -> Iterator[str]:
    from kubectl_ai_intellect.investigate.thinking.wording import PREFIX

    yield PREFIX * 20
    for path in sorted((HERE / "runbooks").rglob("*.md"))[:: max(1, 200 // TEXTS)]:
        yield path.read_text(encoding="utf-8")


__all__ = ["byte_letters", "learned"]
