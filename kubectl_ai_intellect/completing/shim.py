"""The shell's answer, whatever happens."""

from __future__ import annotations

from collections.abc import Sequence

from kubectl_ai_intellect.completing.grammar import ASKING, Slots


def answer(words: Sequence[str], asking: Slots = ASKING) -> str:
    """The choices and the directive; whatever goes wrong, the shell gets cobra's form and no noise."""
    from kubectl_ai_intellect.completing.complete import complete

    try:
        return complete(words, asking).printed()
    except Exception:
        return ":4\n"


__all__ = ["answer"]
