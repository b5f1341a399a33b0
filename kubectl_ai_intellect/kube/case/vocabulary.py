"""Words that name nobody: they stay when a case is shared, since the diagnosis lives in them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from kubectl_ai_intellect.kube.refs import KNOWN


@cache
def _sections() -> tuple[frozenset[str], frozenset[str]]:
    lines = Path(__file__).with_name("kept-words.txt").read_text(encoding="utf-8").splitlines()
    text = " ".join(line for line in lines if not line.startswith("#"))
    kept, _, libraries = text.partition("[libraries]")
    return frozenset(kept.split()), frozenset(libraries.split())


@cache
def kept_words() -> frozenset[str]:
    """The platform's and everybody's words, in lower case."""
    known = KNOWN.values()
    kinds = {resource.kind.lower() for resource in known} | {resource.plural for resource in known}
    return _sections()[0] | kinds | {name for resource in known for name in resource.short}


def libraries() -> frozenset[str]:
    """Whose code it is in a stack trace: not the user's."""
    return _sections()[1]


__all__ = ["kept_words", "libraries"]
