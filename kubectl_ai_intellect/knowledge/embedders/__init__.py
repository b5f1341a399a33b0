"""What turns texts into vectors, behind one Protocol, and the choice among them.

The default is all-MiniLM-L6-v2 run by llama.cpp. What cannot be loaded is replaced by the lexical embedder,
which is always there, with one line that says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from kubectl_ai_intellect.errors import IntellectError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]


class Embedder(Protocol):
    """Texts in, rows of unit length out; the same identity always gives the same vectors."""

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> str: ...

    @property
    def dimensions(self) -> int: ...

    def embed(self, texts: Sequence[str]) -> Vectors: ...


class EmbedderError(IntellectError):
    """An embedder that cannot be had; the message says why and what would mend it."""


def choose(wish: str = "") -> tuple[Embedder, str]:
    """The embedder for a wish, and one line of why it is not the wished one (empty when it is).

    A wish is `lexical`, `sentence-transformers[:MODEL]`, the path of a GGUF file, or nothing for the default.
    """
    from kubectl_ai_intellect.knowledge.embedders.lexical import LexicalEmbedder

    if wish == "lexical":
        return LexicalEmbedder(), ""
    try:
        return _named(wish), ""
    except EmbedderError as error:
        return LexicalEmbedder(), f"searching by words alone: {error}"


def _named(wish: str) -> Embedder:
    if wish.startswith("sentence-transformers"):
        from kubectl_ai_intellect.knowledge.embedders.sentence import SentenceEmbedder

        return SentenceEmbedder(wish.partition(":")[2])
    from kubectl_ai_intellect.knowledge.embedders.llama import LlamaEmbedder
    from kubectl_ai_intellect.knowledge.embedders.weights import default_file, named_file

    return LlamaEmbedder(named_file(wish) if wish else default_file())


__all__ = ["Embedder", "EmbedderError", "choose"]
