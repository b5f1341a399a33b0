"""Choosing among labels by logits, with the liking for a position taken out.

A small model prefers the first slot whatever stands in it. Each slot's liking is measured once with options
that say nothing and subtracted, and the labels are shown a second time in another order; a choice is the
label that does best over all orders.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

MOST_LABELS = 9
NEUTRAL = "n/a"


@dataclass(frozen=True, slots=True)
class Scored:
    """The winner, and the gap in probability to the next."""

    index: int
    margin: float
    probabilities: tuple[float, ...]


def slots(count: int) -> list[str]:
    return [str(number) for number in range(1, count + 1)]


def orders(count: int) -> list[tuple[int, ...]]:
    """The orders to show: as given, and shifted by half, so that first and last change places."""
    given = tuple(range(count))
    if count < 2:
        return [given]
    half = (count + 1) // 2
    return [given, given[half:] + given[:half]]


def options_text(labels: Sequence[str]) -> str:
    lines = [f"{slot}. {' '.join(label.split())}" for slot, label in zip(slots(len(labels)), labels, strict=True)]
    return "Options:\n" + "\n".join(lines) + "\nAnswer with the number of one option only.\n"


def combine(shown: Sequence[tuple[int, ...]], logits: Sequence[Sequence[float]], prior: Sequence[float]) -> Scored:
    """The label that does best over the orders shown, each slot's prior subtracted."""
    totals = [0.0] * len(prior)
    for order, scores in zip(shown, logits, strict=True):
        likely = _log_softmax([score - liking for score, liking in zip(scores, prior, strict=True)])
        for slot, label in enumerate(order):
            totals[label] += likely[slot]
    probabilities = [math.exp(value) for value in _log_softmax([total / len(shown) for total in totals])]
    ranked = sorted(range(len(totals)), key=lambda index: -probabilities[index])
    margin = probabilities[ranked[0]] - probabilities[ranked[1]] if len(ranked) > 1 else 1.0
    return Scored(ranked[0], margin, tuple(probabilities))


def _log_softmax(scores: Sequence[float]) -> list[float]:
    top = max(scores)
    total = top + math.log(sum(math.exp(score - top) for score in scores))
    return [score - total for score in scores]


__all__ = ["MOST_LABELS", "NEUTRAL", "Scored", "combine", "options_text", "orders", "slots"]
