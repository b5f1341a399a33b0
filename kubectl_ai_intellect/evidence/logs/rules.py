"""What a row of the pattern tables is. The tables are data, by theme; `classify` reads them."""

from __future__ import annotations

import re
from typing import NamedTuple

from kubectl_ai_intellect.evidence.logs.model import LOG_KINDS

__all__ = ["ERRNO", "HINT", "MECHANISM", "WORDING", "Rule", "rule"]

ERRNO = 4
"""The failing call's own words: an errno, a status code, an SQLSTATE, a client's typed error."""
MECHANISM = 3
"""A sentence that only this failure prints."""
WORDING = 2
"""Common words for it: believed unless the line is merely informative."""
HINT = 1
"""Weak words: believed only in an error line or a trace."""


class Rule(NamedTuple):
    """Groups of the pattern: name, host, port. `needles`: one of these (lower case) must occur at all."""

    kind: str
    weight: int
    needles: tuple[str, ...]
    pattern: re.Pattern[str]
    name: str = ""
    context: re.Pattern[str] | None = None
    scheme: str = ""


def rule(
    kind: str,
    weight: int,
    needles: str,
    pattern: str,
    *,
    name: str = "",
    context: str = "",
    scheme: str = "",
    case: bool = False,
) -> Rule:
    """One row; needles are separated by `|`. `context` must occur somewhere in the whole record."""
    if kind not in LOG_KINDS:
        raise ValueError(f"no such log kind: {kind}")
    flags = re.NOFLAG if case else re.IGNORECASE
    return Rule(
        kind,
        weight,
        tuple(needles.split("|")),
        re.compile(pattern, flags),
        name,
        re.compile(context, re.IGNORECASE) if context else None,
        scheme,
    )
