"""How well our runbooks are found, held against floors a little below what was measured.

Only the open half of the queries: the held-out half is for benchmarks/retrieval.py --heldout.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from kubectl_ai_intellect.knowledge import building
from kubectl_ai_intellect.knowledge.embedders import Embedder
from kubectl_ai_intellect.knowledge.embedders.lexical import LexicalEmbedder
from kubectl_ai_intellect.knowledge.embedders.weights import named_file
from kubectl_ai_intellect.knowledge.index import Index, current
from kubectl_ai_intellect.knowledge.retrieval import Searcher
from plugin.bundle.tree import build_index
from plugin.embedder.convert import converted

QUERIES = Path(__file__).parents[1] / "knowledge" / "queries.yaml"
LEXICAL_FLOOR = 0.9
DENSE_FLOOR = 0.95
OPEN_FLOOR, SHUT_FLOOR = 0.95, 0.9


class Measured(NamedTuple):
    recall: float
    opened: float
    shut: float


def queries() -> dict[str, list[dict[str, Any]]]:
    return yaml.safe_load(QUERIES.read_text(encoding="utf-8"))


def measure(embedder: Embedder) -> Measured:
    return measured_with(Searcher(building.update(embedder)[0], embedder))


def measured_with(searcher: Searcher) -> Measured:
    ids = [record.id for record in searcher.index.records]
    halves = {key: [row for row in rows if not row["heldout"]] for key, rows in queries().items()}
    on = [searcher.rank(row["text"]) for row in halves["on_topic"]]
    off = [searcher.rank(row["text"]) for row in halves["off_topic"]]
    found = [
        any(ids[document] in row["accept"] for document in ranking.fused[:3])
        for row, ranking in zip(halves["on_topic"], on, strict=True)
    ]
    opened = sum(ranking.open for ranking in on) / len(on)
    shut = sum(not ranking.open for ranking in off) / len(off)
    return Measured(sum(found) / len(found), opened, shut)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))


def test_the_queries_are_many_and_halved() -> None:
    rows = queries()
    assert len(rows["on_topic"]) >= 300
    assert len(rows["off_topic"]) >= 60
    for group in rows.values():
        assert 0.4 < sum(row["heldout"] for row in group) / len(group) < 0.6
    assert {row["kind"] for row in rows["on_topic"]} == {"typed", "event", "log"}


def test_every_accepted_id_is_of_the_catalogue() -> None:
    path = Path(__file__).parents[2] / "kubectl_ai_intellect" / "causes" / "catalogue.yaml"
    catalogue = set(yaml.safe_load(path.read_text(encoding="utf-8")))
    accepted = {name for row in queries()["on_topic"] for name in row["accept"]}
    assert accepted <= catalogue
    assert len({name for name in catalogue if "/" in name} - accepted) <= 10, "nearly every cause is asked for"


def test_words_alone_find_most() -> None:
    measured = measure(LexicalEmbedder())
    assert measured.recall >= LEXICAL_FLOOR
    assert measured.shut >= SHUT_FLOOR


@pytest.mark.model
def test_the_default_embedder_meets_the_aims(tmp_path: Path) -> None:
    """With the very index that the wheel brings."""
    pytest.importorskip("llama_cpp")
    from kubectl_ai_intellect.knowledge.embedders.llama import LlamaEmbedder

    build_index(converted(), tmp_path / "index")
    embedder = LlamaEmbedder(named_file(str(converted())))
    measured = measured_with(Searcher(Index(current(tmp_path / "index")), embedder))
    assert measured.recall >= DENSE_FLOOR
    assert measured.opened >= OPEN_FLOOR
    assert measured.shut >= SHUT_FLOOR
