"""The embedder that always works: hashed words and letter trigrams, no model.

It knows no meaning, only spelling, which still finds the runbook for a pasted event line and forgives typing
errors.
"""

from __future__ import annotations

import math
import zlib
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubectl_ai_intellect.knowledge.words import words

if TYPE_CHECKING:
    from kubectl_ai_intellect.knowledge.embedders import Vectors

DIMENSIONS = 512


class LexicalEmbedder:
    """Feature hashing with a signed hash, square-root damped counts, unit length."""

    name = "lexical"
    identity = "lexical/1"
    dimensions = DIMENSIONS

    def embed(self, texts: Sequence[str]) -> Vectors:
        import numpy as np

        rows = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for feature, weight in _features(text).items():
                code = zlib.crc32(feature.encode())
                row[code % DIMENSIONS] += weight if code & 0x10000 else -weight
            length = math.sqrt(float(row @ row))
            if length:
                row /= length
        return rows


def _features(text: str) -> dict[str, float]:
    found: defaultdict[str, float] = defaultdict(float)
    for word in words(text):
        found[word] += 1.0
        marked = f"^{word}$"
        grams = [marked[at : at + 3] for at in range(len(marked) - 2)]
        for gram in grams:
            found["#" + gram] += 1.0 / len(grams)
    return {feature: math.sqrt(count) for feature, count in found.items()}


__all__ = ["LexicalEmbedder"]
