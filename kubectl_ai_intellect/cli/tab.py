"""`kubectl_complete-intellect WORDS…`, which kubectl runs for the Tab key."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from kubectl_ai_intellect.cli.flags import GLOBAL, OWN, SWITCHES
from kubectl_ai_intellect.completing.grammar import ASKING
from kubectl_ai_intellect.completing.shim import answer

VALUED = (*GLOBAL, *OWN, "--as-group")
BARE = (*SWITCHES, "-A", "--all-namespaces", "--insecure-skip-tls-verify")


def asking() -> dict[str, str]:
    """A question's flags as the command line knows them, with what their values are where we know it."""
    return {**{flag: ASKING.get(flag) or "none" for flag in VALUED}, **dict.fromkeys(BARE, "")}


def tab(words: Sequence[str]) -> None:
    sys.stdout.write(answer(words, asking()))
    sys.stdout.flush()


def main() -> None:
    tab(sys.argv[1:])


__all__ = ["asking", "main", "tab"]
