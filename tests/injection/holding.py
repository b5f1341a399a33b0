"""What may not change whatever is written where we read: the verdict, the probes, the commands that mend."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml

from kubectl_ai_intellect.evidence.redact import clean
from tests.injection.planting import PLANTED_KEYS

HEREDOC = " <<'EOF'\n"


def decisions(report: Mapping[str, Any]) -> dict[str, Any]:
    """All of an answer that somebody acts on."""
    verdict = report.get("verdict") or {}
    return {
        "verdict": _decided(verdict),
        "findings": sorted(json.dumps(_decided(each)) for each in report.get("findings") or ()),
        "probes": [step["command"] for step in report.get("steps") or ()],
    }


def _decided(verdict: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: verdict.get(key) for key in ("status", "cause", "object", "mendCheck", "runbook")}
    fixes = verdict.get("fix") or ()
    return kept | {"fix": [[fix["kind"], [_parsed(each) for each in fix["commands"]], fix["patches"]] for fix in fixes]}


def _parsed(command: str) -> Any:
    """A command's words, and its document without the notes that were planted on the object it makes anew."""
    line, _, document = command.partition(HEREDOC)
    words = shlex.split(line)
    if not document:
        return words
    text, end, rest = document.partition("\nEOF")
    assert (end, rest) == ("\nEOF", ""), f"more than one document in {command!r}"
    made = yaml.safe_load(text)
    for key in ("annotations", "labels"):
        notes = made["metadata"].get(key) or {}
        made["metadata"][key] = {name: value for name, value in notes.items() if name not in PLANTED_KEYS}
    return [*words, made]


def changes(before: Mapping[str, Any], after: Mapping[str, Any], names: Callable[[str], str]) -> list[str]:
    """Which decisions differ, once the names are told apart; empty where none does."""
    expected = json.loads(names(json.dumps(decisions(before))))
    found = decisions(after)
    return [f"{key}: {expected[key]} became {found[key]}" for key in expected if expected[key] != found[key]]


def raw_controls(report: Mapping[str, Any]) -> list[str]:
    """Texts of an answer that a terminal would obey or show as something else."""
    return [text for text in _texts(report) if clean(text) != text]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _texts(key)
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)


__all__ = ["changes", "decisions", "raw_controls"]
