"""`kubectl_complete-intellect WORDS…`: what kubectl runs for the Tab key."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main() -> None:
    """Print the choices for the words of the command line."""
    sys.stdout.write(answer(sys.argv[1:]))
    sys.stdout.flush()


def answer(words: Sequence[str]) -> str:
    """The choices and the directive; whatever goes wrong, the shell gets cobra's form and no noise."""
    from kubectl_ai_intellect.completing.complete import complete

    try:
        return complete(words).printed()
    except Exception:
        return ":4\n"


__all__ = ["answer", "main"]
