"""Finding the runbooks that fit a text: words and meaning ranked apart, fused by rank, behind a gate.

The gate may say that nothing fits. Its two inputs are how far the nearest passage stands above the index's
background and how much of the query's weight the best document's words cover; their weights were fitted on
the open half of tests/knowledge/queries.yaml (benchmarks/retrieval.py --fit).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from kubectl_ai_intellect.knowledge import building, library
from kubectl_ai_intellect.knowledge.bm25 import Lexicon, Match
from kubectl_ai_intellect.knowledge.embedders import Embedder, choose
from kubectl_ai_intellect.knowledge.index import Index, IndexUnusable
from kubectl_ai_intellect.knowledge.passages import LIMIT, Passage
from kubectl_ai_intellect.knowledge.words import spellings, without_noise

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kubectl_ai_intellect.knowledge.embedders import Vectors

# Chosen on the open half of the queries. Runbooks are few and their symptoms are what people paste, so the first
# ranks weigh much, and words more than meaning.
RANK_CONSTANT = 5.0
DENSE_WEIGHT = 0.5
NEIGHBOURS = 256  # passages looked at by meaning
QUERY_CHARACTERS = 1000
SHORT = 240  # a text of several lines that is asked as one
QUERY_LINES = 6  # else it is asked line by line, so many
MOST_LINES = 400  # and no more than the last of these are weighed
SMALL_UPDATE = 40  # passages' worth of files that a search may index on its way


class Gate(NamedTuple):
    """A logistic: open when bias + nearness·z + coverage·c is positive."""

    bias: float
    nearness: float
    coverage: float

    def level(self, nearness: float, coverage: float) -> float:
        return self.bias + self.nearness * nearness + self.coverage * coverage


DENSE_GATE = Gate(-8.92, 2.77, 4.26)
LEXICAL_GATE = Gate(-7.55, 2.10, 7.67)

# Words with which clusters and programs announce trouble; a line with one of them says twice as much.
_ALARM = re.compile(
    r"\b(?:warn(?:ing)?|error|fail(?:ed|ure)?|fatal|panic|exception|denied|refused|timed? ?out|unable|cannot)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Hit:
    """A runbook or document that fits, with the passage to show and why it was found."""

    runbook_id: str
    title: str
    section: str
    passage: str
    score: float
    why: str
    origin: str = "ours"
    path: str = ""


@dataclass(frozen=True, slots=True)
class Ranking:
    """All documents against one query; positions are document numbers, the best first."""

    dense: list[int]
    lexical: list[int]
    fused: list[int]
    scores: dict[int, float]
    cosines: dict[int, float]
    match: Match
    vectors: Vectors
    nearness: float
    coverage: float
    level: float

    @property
    def open(self) -> bool:
        return self.level > 0


class Searcher:
    """An open index with its embedder."""

    def __init__(self, index: Index, embedder: Embedder, note: str = ""):
        self.index = index
        self.embedder = embedder
        self.note = note
        self.gate = LEXICAL_GATE if embedder.identity.startswith("lexical") else DENSE_GATE

    def rank(self, text: str) -> Ranking:
        lexicon = self.index.lexicon
        lines = telling_lines(text, lexicon)
        vectors = self.embedder.embed(lines)
        match = lexicon.match(" ".join(lines))
        cosines = self._cosines(vectors)
        dense = sorted(cosines, key=lambda document: -cosines[document])
        lexical = _descending(match.scores)
        scores: dict[int, float] = {}
        for order, weight in ((dense, DENSE_WEIGHT), (lexical, 1.0)):
            for position, document in enumerate(order, start=1):
                scores[document] = scores.get(document, 0.0) + weight / (RANK_CONSTANT + position)
        best = (1 + DENSE_WEIGHT) / (RANK_CONSTANT + 1)
        scores = {document: score / best for document, score in scores.items()}
        fused = sorted(scores, key=lambda document: -scores[document])
        nearness = self._nearness(cosines)
        coverage = max(float(lexicon.match(line).coverage.max(initial=0.0)) for line in lines)
        level = self.gate.level(nearness, coverage)
        return Ranking(dense, lexical, fused, scores, cosines, match, vectors, nearness, coverage, level)

    def _nearness(self, cosines: dict[int, float]) -> float:
        """How many spreads the nearest passage stands above the background."""
        header = self.index.header
        return (max(cosines.values(), default=0.0) - header.background_mean) / header.background_spread

    def search(self, text: str, k: int = 3) -> list[Hit]:
        if not text.strip() or not self.index.records:
            return []
        ranking = self.rank(text)
        if not ranking.open:
            return []
        surfaces = spellings(text)
        return [self._hit(surfaces, ranking, document) for document in ranking.fused[:k]]

    def _cosines(self, vectors: Vectors) -> dict[int, float]:
        """The cosine of each near document's nearest passage."""
        import numpy as np

        nearest, rows = self.index.vectors.search(vectors, min(NEIGHBOURS, len(self.index.owners)))
        found: dict[int, float] = {}
        for cosine, row in zip(np.ravel(nearest), np.ravel(rows), strict=True):
            if row >= 0:
                document = int(self.index.owners[row])
                found[document] = max(found.get(document, -1.0), float(cosine))
        return found

    def _hit(self, surfaces: dict[str, str], ranking: Ranking, document: int) -> Hit:
        record = self.index.records[document]
        passage = self._best_passage(ranking.vectors, document)
        return Hit(
            runbook_id=record.id,
            title=record.title,
            section=passage.section,
            passage=passage.text[:LIMIT],
            score=round(ranking.scores[document], 3),
            why=self._why(surfaces, ranking, document),
            origin=record.origin,
            path=record.path,
        )

    def _best_passage(self, vectors: Vectors, document: int) -> Passage:
        """The prose nearest to the question: what to read, where a matching symptom would only repeat it."""
        record = self.index.records[document]
        passages = self.index.passages(record)
        near = (self.index.vectors_of(record) @ vectors.T).max(axis=1)
        body = [number for number, passage in enumerate(passages) if passage.kind == "body"]
        return passages[max(body or range(len(passages)), key=lambda number: float(near[number]))]

    def _why(self, surfaces: dict[str, str], ranking: Ranking, document: int) -> str:
        parts: list[str] = []
        if document in ranking.cosines:
            place = ranking.dense.index(document) + 1
            parts.append(f"meaning {ranking.cosines[document]:.2f} ({_ordinal(place)})")
        if document in ranking.lexical[:99]:
            lexicon = self.index.lexicon
            shared = [word for word in ranking.match.terms if lexicon.has(word, document)]
            told = ", ".join(surfaces.get(word, word) for word in shared[:4])
            parts.append(f"words {told} ({_ordinal(ranking.lexical.index(document) + 1)})")
        return "; ".join(parts)


def _descending(scores: NDArray[np.float32]) -> list[int]:
    """The documents with any score, the best first."""
    order = (-scores).argsort(kind="stable")
    return [int(document) for document in order[: int((scores > 0).sum())]][:NEIGHBOURS]


def telling_lines(text: str, lexicon: Lexicon) -> list[str]:
    """What is asked of a text: a short one as it is, of a pasted one the lines that say most.

    A line says as much as the runbook that it fits best: by the weight of the words they share and the part of
    the line that these are, so that an event's message stands above the fields and labels around it.
    """
    lines = list(dict.fromkeys(without_noise(line)[:QUERY_CHARACTERS] for line in text.splitlines()))
    lines = [line for line in lines if line]
    if len(lines) < 2 or sum(map(len, lines)) <= SHORT:
        return [" ".join(lines)[:QUERY_CHARACTERS]]
    weights = {line: lexicon.fit(line) * (2 if _ALARM.search(line) else 1) for line in lines[-MOST_LINES:]}
    ordered = sorted(weights, key=lambda line: weights[line], reverse=True)[:QUERY_LINES]
    return [line for line in ordered if weights[line] >= weights[ordered[0]] / 2]


def _ordinal(number: int) -> str:
    suffix = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def open_searcher(wish: str = "", progress: building.Progress | None = None, *, full: bool = False) -> Searcher:
    """The searcher for a wished embedder.

    `full` brings the index up to date whatever it takes. Otherwise little is done on the way: an index that
    lacks much is used as it is, and where there is none yet, the search goes by words until one is built.
    """
    embedder, note = choose(wish)
    if full:
        return Searcher(building.update(embedder, progress=progress)[0], embedder, note)
    try:
        index = building.usable(embedder)
    except IndexUnusable as error:
        if not embedder.identity.startswith("lexical"):
            note = f"searching by words alone: {error}"
            embedder, _ = choose("lexical")
        return Searcher(building.update(embedder)[0], embedder, note)
    fresh, gone = building.changes(index, library.sources())
    if (fresh or gone) and len(fresh) <= SMALL_UPDATE:
        index = building.update(embedder)[0]
    elif fresh:
        note = f"{len(fresh)} documents have changed; run 'kubectl intellect runbook index'"
    return Searcher(index, embedder, note)


__all__ = ["DENSE_GATE", "LEXICAL_GATE", "Gate", "Hit", "Ranking", "Searcher", "open_searcher"]
