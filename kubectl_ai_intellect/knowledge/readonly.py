"""Whether a runbook's check is within the read grammar once its `{placeholders}` are filled in."""

from __future__ import annotations

import re

from kubectl_ai_intellect.kube.command import Command, parse

_PLACEHOLDER = re.compile(r"\{[a-z][a-z0-9_-]*\}")
_FILLINGS = ("x", "1", "x/x")  # a name, and where one is wanted, a number or a kind with a name


def refusal(command: str) -> str:
    """Why the command is not a read; empty when it is one."""
    if not command.startswith("kubectl "):
        return "it must begin with 'kubectl'"
    command = command.replace("{namespace}", "x")
    reason = ""
    for filling in _FILLINGS:
        parsed = parse(_PLACEHOLDER.sub(filling, command))
        if isinstance(parsed, Command):
            return ""
        reason = reason or parsed.reason
    return reason


__all__ = ["refusal"]
