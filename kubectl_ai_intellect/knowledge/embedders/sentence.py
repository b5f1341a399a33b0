"""Embeddings by sentence-transformers, an extra for those who have it installed; it loads local files
only."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kubectl_ai_intellect.knowledge.embedders import EmbedderError

if TYPE_CHECKING:
    from kubectl_ai_intellect.knowledge.embedders import Vectors

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"


class SentenceEmbedder:
    """A model by name (from the local Hugging Face cache) or directory."""

    def __init__(self, model: str = ""):
        self.name = model or DEFAULT_MODEL
        self.identity = f"sentence-transformers/1:{self.name}"
        self._model = _load(self.name)
        self.dimensions = int(self._model.get_sentence_embedding_dimension())

    def embed(self, texts: Sequence[str]) -> Vectors:
        import numpy as np

        rows = self._model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(rows, dtype=np.float32)


def _load(model: str) -> Any:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # the product never downloads
    try:
        from sentence_transformers import SentenceTransformer  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise EmbedderError(
            "sentence-transformers is not installed; pip install 'kubectl-ai-intellect[embeddings]'"
        ) from error
    try:
        return SentenceTransformer(model, device="cpu", local_files_only=True)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise EmbedderError(f"sentence-transformers cannot load {model}: {reason}") from error


__all__ = ["SentenceEmbedder"]
