"""Runbooks and the user's documents: found by cause id, or by what people type.

`runbook_for` reads one file and loads nothing heavy; `search` opens the index once per process. An empty
result means that nothing fits.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kubectl_ai_intellect.knowledge.retrieval import Hit, Searcher
    from kubectl_ai_intellect.knowledge.runbook import Runbook


def runbook_for(cause_id: str) -> Runbook | None:
    """The runbook of a cause: the user's own, else ours."""
    from kubectl_ai_intellect.knowledge.library import runbook_for as find

    return find(cause_id)


def search(text: str, k: int = 3, embedder: str | None = None) -> list[Hit]:
    """The runbooks that fit a text, the best first; empty when the gate finds that none does.

    The embedder is the one of the settings where none is given.
    """
    return _searcher(wished() if embedder is None else embedder).search(text, k)


def wished() -> str:
    """The embedder that the settings name; empty for the default."""
    from kubectl_ai_intellect import settings

    return settings.load().knowledge.embedder


@lru_cache(maxsize=2)
def _searcher(embedder: str) -> Searcher:
    from kubectl_ai_intellect.knowledge.retrieval import open_searcher

    return open_searcher(embedder)


__all__ = ["runbook_for", "search", "wished"]
