"""What a question's words say by themselves, before any object is looked at."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from kubectl_ai_intellect.kube.refs import named

Intent = Literal["diagnosis", "information", "action", "decline"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, taken apart."""

    text: str
    intent: Intent
    kind: str | None = None
    names: tuple[str, ...] = ()
    namespace: str | None = None
    everywhere: bool = False
    since: timedelta | None = None
    topics: frozenset[str] = frozenset()
    what: str = ""
    reason: str = ""


_NAMESPACE = re.compile(r"(?:-n|--namespace[= ]|\bin (?:the )?(?:namespace|ns)|\bnamespace)\s*([a-z0-9][a-z0-9-]*)", re.I)
_TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9./_-]*")


def understand(text: str) -> Asked:
    words = _TOKEN.findall(text)
    kind = next((found.kind for found in map(named, words) if found), None)
    namespace = _NAMESPACE.search(text)
    everywhere = bool(re.search(r"(?i)\ball namespaces\b|\bwhole cluster\b|\bin the cluster\b|\beach namespace\b", text))
    names = tuple(dict.fromkeys(word.lower() for word in words if not named(word)))
    return Asked(text, "diagnosis", kind, names, namespace.group(1) if namespace else None, everywhere)


__all__ = ["Asked", "Intent", "understand"]
