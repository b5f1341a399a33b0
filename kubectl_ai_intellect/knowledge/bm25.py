"""Ranking by words: Okapi BM25 over an inverted file in plain arrays.

Counts are weighted by where a word stands (see passages.WEIGHT). The postings are one array that is mapped,
not read; the vocabulary is text.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kubectl_ai_intellect.knowledge.passages import WEIGHT, Passage
from kubectl_ai_intellect.knowledge.words import words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

K1 = 2.0
B = 0.5
POSTINGS = "postings.npy"
VOCABULARY = "vocabulary.tsv"
LENGTHS = "lengths.npy"


class Span(NamedTuple):
    """Where a word's postings begin and how many documents have it."""

    start: int
    having: int


class Match(NamedTuple):
    """A query against all documents: scores, and which share of the query's weight each one covers."""

    scores: NDArray[np.float32]
    coverage: NDArray[np.float32]
    terms: tuple[str, ...]  # the query's words by weight, the heaviest first


def counts(passages: Sequence[Passage]) -> dict[str, float]:
    """A document's weighted word counts."""
    total: defaultdict[str, float] = defaultdict(float)
    for passage in passages:
        for word in words(passage.text):
            total[word] += WEIGHT[passage.kind]
    return {word: round(count, 2) for word, count in total.items()}


def write(directory: Path, documents: Iterable[dict[str, float]]) -> None:
    """The inverted file of the documents' counts."""
    import numpy as np

    postings: dict[str, list[tuple[int, float]]] = {}
    lengths: list[float] = []
    for number, document in enumerate(documents):
        lengths.append(sum(document.values()))
        for word, count in document.items():
            postings.setdefault(word, []).append((number, count))
    rows = np.zeros(sum(map(len, postings.values())), dtype=[("document", "<u4"), ("count", "<f4")])
    at = 0
    with (directory / VOCABULARY).open("w", encoding="utf-8") as file:
        for word in sorted(postings):
            entries = postings[word]
            file.write(f"{word}\t{at}\t{len(entries)}\n")
            rows[at : at + len(entries)] = entries
            at += len(entries)
    np.save(directory / POSTINGS, rows, allow_pickle=False)
    np.save(directory / LENGTHS, np.asarray(lengths, dtype=np.float32), allow_pickle=False)


class Lexicon:
    """The inverted file of an index, open for queries."""

    def __init__(self, directory: Path):
        import numpy as np

        self._rows: Any = np.load(directory / POSTINGS, mmap_mode="r", allow_pickle=False)
        self._lengths: NDArray[np.float32] = np.load(directory / LENGTHS, allow_pickle=False)
        self._spans: dict[str, Span] = {}
        for line in (directory / VOCABULARY).read_text(encoding="utf-8").splitlines():
            word, start, count = line.split("\t")
            self._spans[word] = Span(int(start), int(count))

    def idf(self, word: str) -> float:
        """How much a word tells; one that no document has tells the most."""
        having = self._spans[word].having if word in self._spans else 0
        return math.log(1 + (len(self._lengths) - having + 0.5) / (having + 0.5))

    def fit(self, text: str) -> float:
        """How well the best document fits a text: the score, as far as the text is covered."""
        match = self.match(text)
        return float((match.scores * match.coverage).max(initial=0.0))

    def match(self, query: str) -> Match:
        import numpy as np

        size = len(self._lengths)
        scores = np.zeros(size, dtype=np.float32)
        covered = np.zeros(size, dtype=np.float32)
        asked = Counter(words(query))
        weights = {word: self.idf(word) for word in asked}
        norm = K1 * (1 - B + B * self._lengths / max(float(self._lengths.mean()) if size else 1.0, 1e-6))
        for word, weight in weights.items():
            if (span := self._spans.get(word)) is None:
                continue
            rows = self._rows[span.start : span.start + span.having]
            at, count = rows["document"], rows["count"]
            scores[at] += weight * count * (K1 + 1) / (count + norm[at])
            covered[at] += weight
        coverage = covered / max(sum(weights.values()), 1e-6)
        ordered = sorted(weights, key=lambda word: -weights[word])
        return Match(scores, coverage, tuple(ordered))

    def has(self, word: str, document: int) -> bool:
        """Whether a document contains the word."""
        span = self._spans.get(word)
        if span is None:
            return False
        return document in self._rows[span.start : span.start + span.having]["document"]


__all__ = ["Lexicon", "Match", "counts", "write"]
