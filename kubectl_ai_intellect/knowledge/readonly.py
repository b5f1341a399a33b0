"""Whether a runbook's check is one kubectl command that only reads.

The braces of a template stand for a name, so that `{pod}` is judged as the argument it becomes.
"""

from __future__ import annotations

import re
import shlex

_PLACEHOLDER = re.compile(r"\{[a-z][a-z0-9_-]*\}")
_SHELL = ("|", ">", "<", ";", "`", "$(", "&", "\n")
_READ_VERBS = "get describe logs events top explain api-resources api-versions version cluster-info diff"
_READS = frozenset(_READ_VERBS.split())
_READS_TWO = {"auth": {"can-i", "whoami"}, "rollout": {"status", "history"}}
_REFUSED_FLAGS = re.compile(
    r"--?(server|kubeconfig|context|cluster|user|token|as|insecure|certificate|client|raw|password|username)\b|-s$"
)
_FILE_OUTPUT = re.compile(r"(?:-o|--output)[= ]?(?:go-template-file|jsonpath-file|custom-columns-file)")
_PRINTS_OBJECT = re.compile(r"(?:^|\s)(?:-o|--output)(?:[= ]\s*)?(?:yaml|json|jsonpath|go-template|template|custom)")


def refusal(command: str) -> str:
    """Why the command is not a read; empty when it is one."""
    filled = _PLACEHOLDER.sub("x", command.strip())
    try:
        argv = shlex.split(filled)
    except ValueError:
        return "its quotes are not closed"
    bare = _outside_quotes(filled)
    if shell := next((mark for mark in _SHELL if mark in bare), ""):
        return f"contains {shell!r}; a check is one command without a shell"
    if not argv or argv[0] != "kubectl":
        return "must begin with 'kubectl'"
    for argument in argv[1:]:
        if argument.startswith("-") and _REFUSED_FLAGS.match(argument):
            return f"flag {argument.split('=')[0]} is not allowed"
    verbs = [argument for argument in argv[1:] if not argument.startswith("-")]
    if argv[1:2] != verbs[:1]:
        return "the verb must follow 'kubectl'; put flags after it"
    return _verb_refusal(verbs, filled)


def _verb_refusal(verbs: list[str], filled: str) -> str:
    verb = verbs[0] if verbs else ""
    if verb in _READS_TWO:
        if len(verbs) < 2 or verbs[1] not in _READS_TWO[verb]:
            return f"'{' '.join(verbs[:2])}' is not a read"
        return ""
    if verb not in _READS:
        return f"'{verb}' is not a read"
    if verb == "cluster-info" and "dump" in verbs:
        return "'cluster-info dump' prints everything"
    if _FILE_OUTPUT.search(filled):
        return "output to or from files is not allowed"
    kinds = verbs[1].lower() if len(verbs) > 1 else ""
    names_secret = any(kind.split("/")[0].split(".")[0] in ("secret", "secrets") for kind in kinds.split(","))
    if verb == "get" and names_secret and _PRINTS_OBJECT.search(filled):
        return "it would print Secret values; use 'kubectl describe secret', which lists the keys"
    return ""


def _outside_quotes(text: str) -> str:
    """The text with what stands in single or double quotes removed."""
    return re.sub(r"'[^']*'|\"[^\"`$]*\"", "", text)


__all__ = ["refusal"]
