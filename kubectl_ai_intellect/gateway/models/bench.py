"""How fast a model is here, and what one diagnosis will take."""

from __future__ import annotations

import time
from dataclasses import dataclass

from kubectl_ai_intellect.gateway.llama.client import LlamaModel, LocalModel
from kubectl_ai_intellect.gateway.protocol import Prompt

READ_TOKENS = 512
WRITTEN_TOKENS = 64
# A diagnosis with a model: the prefix is on disk after the first, evidence and two more steps are read,
# two decisions and an explanation are written.
DIAGNOSIS_READ = 400 + 2 * 300
DIAGNOSIS_WRITTEN = 2 * 40 + 160
FIRST_PREFIX = 800


@dataclass(frozen=True, slots=True)
class Speed:
    """Measured on this machine."""

    load_seconds: float
    read_per_second: float
    written_per_second: float
    threads: int
    context: int

    @property
    def diagnosis_seconds(self) -> float:
        return DIAGNOSIS_READ / self.read_per_second + DIAGNOSIS_WRITTEN / self.written_per_second

    @property
    def first_seconds(self) -> float:
        return self.diagnosis_seconds + FIRST_PREFIX / self.read_per_second


def measure(spec: LocalModel) -> Speed:
    """Load, read a text that is in no memory, write with nothing forbidden."""
    from dataclasses import replace

    began = time.perf_counter()
    model = LlamaModel(replace(spec, store=None))
    try:
        model.facts()
        loaded = time.perf_counter() - began
        words = " ".join(f"pod-{number}" for number in range(READ_TOKENS))
        model.complete(Prompt("Warm up."), None, 2)
        model.complete(Prompt(_cut(model, words)), None, WRITTEN_TOKENS)
        cost = model.evaluated[-1]
        return Speed(
            loaded,
            cost["evaluated"] / max(cost["read_ms"], 0.001) * 1000,
            cost["sampled"] / max(cost["write_ms"], 0.001) * 1000,
            spec.threads,
            spec.context,
        )
    finally:
        model.close()


def _cut(model: LlamaModel, words: str) -> str:
    """Words worth about READ_TOKENS tokens."""
    count = model.count(Prompt(words))
    return words[: max(1, len(words) * READ_TOKENS // count)] if count > READ_TOKENS else words


__all__ = ["Speed", "measure"]
