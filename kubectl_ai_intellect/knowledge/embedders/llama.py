"""Sentence embeddings by llama.cpp from a GGUF file, in this process and without a word on stderr."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kubectl_ai_intellect.knowledge.embedders import EmbedderError
from kubectl_ai_intellect.knowledge.embedders.weights import ModelFile
from kubectl_ai_intellect.native import load_cpu_code

if TYPE_CHECKING:
    from kubectl_ai_intellect.knowledge.embedders import Vectors

TOKENS = 256  # what all-MiniLM-L6-v2 was trained to read; passages are shorter
MANY = 8  # texts from which more threads than one pay


class LlamaEmbedder:
    """A GGUF embedder; the file's own pooling (mean where it names none), unit length."""

    def __init__(self, file: ModelFile):
        self.name = file.path.stem
        self.identity = f"llama.cpp/1:{file.sha256[:32]}"
        self._model = _load(file)
        self.dimensions = int(self._model.n_embd())

    def embed(self, texts: Sequence[str]) -> Vectors:
        import numpy as np

        # One text at a time: batches of short texts gain nothing.
        self._use(_free_cores() if len(texts) >= MANY else 1)
        rows = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            row[:] = self._model.embed(text or " ", normalize=True, truncate=True)
        return rows

    def _use(self, threads: int) -> None:
        import llama_cpp

        llama_cpp.llama_set_n_threads(self._model.ctx, threads, threads)


def _free_cores() -> int:
    """The cores that others leave idle, at most four.

    Threads wait for each other at every layer: on a busy machine two of them are a hundred times slower than one.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return min(cores, 4) if busy < cores + 0.5 else 1


def _load(file: ModelFile) -> Any:
    try:
        import llama_cpp

        load_cpu_code()
    except (ImportError, OSError, RuntimeError) as error:
        raise EmbedderError("llama-cpp-python is not installed; pip install 'kubectl-ai-intellect[local]'") from error
    settings: dict[str, Any] = {
        "n_ctx": TOKENS,
        "n_batch": TOKENS,
        "n_ubatch": TOKENS,
        "n_threads": 1,
        "n_threads_batch": 1,
        "n_gpu_layers": 0,
    }
    try:
        model = llama_cpp.Llama(str(file.path), embedding=True, verbose=False, **settings)
        pooling: Any = model.pooling_type()
        if pooling == llama_cpp.LLAMA_POOLING_TYPE_NONE:
            mean = llama_cpp.LLAMA_POOLING_TYPE_MEAN
            model = llama_cpp.Llama(str(file.path), embedding=True, verbose=False, pooling_type=mean, **settings)
    except (ValueError, RuntimeError, AssertionError) as error:
        raise EmbedderError(f"llama.cpp cannot load {file.path}: {error}") from error
    return model


__all__ = ["LlamaEmbedder"]
