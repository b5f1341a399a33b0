"""What a row of the pattern tables is. The tables are data, by theme; `classify` reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

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


@dataclass(frozen=True)
class Rule:
    """Groups of the pattern: name, host, port. `needles`: one of these (lower case) must occur at all."""

    kind: str
    weight: int
    needles: tuple[str, ...]
    expression: str
    name: str = ""
    context_expression: str = ""
    scheme: str = ""

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Compiled when a needle first occurs: a run needs few of the hundreds."""
        return re.compile(self.expression, re.IGNORECASE)

    @cached_property
    def context(self) -> re.Pattern[str] | None:
        """What must occur somewhere in the whole record, if anything must."""
        return re.compile(self.context_expression, re.IGNORECASE) if self.context_expression else None


def rule(
    kind: str, weight: int, needles: str, pattern: str, *, name: str = "", context: str = "", scheme: str = ""
) -> Rule:
    """One row; needles are separated by `|`. `context` must occur somewhere in the whole record."""
    if kind not in LOG_KINDS:
        raise ValueError(f"no such log kind: {kind}")
    return Rule(kind, weight, tuple(needles.split("|")), pattern, name, context, scheme)
