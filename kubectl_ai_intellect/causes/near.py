"""The name that was most likely meant, among those that exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, offers: Iterable[str]) -> str:
    """The closest of the names on offer: by spelling, then one that holds the other; nothing when none is near."""
    names = sorted(set(offers) - {name, ""})
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.75)
    if close:
        return close[0]
    inside = sorted((each for each in names if len(each) > 2 and (each in name or name in each)), key=len, reverse=True)
    if inside:
        return inside[0]
    loose = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return loose[0] if loose else ""


__all__ = ["nearest"]
