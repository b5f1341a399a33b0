"""`kubectl intellect demo`: bundled recordings of real incidents, answered as a cluster would be."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from typing import Any

from kubectl_ai_intellect.cli.flags import Options
from kubectl_ai_intellect.errors import UsageError
from kubectl_ai_intellect.report import Report

HELP = """Diagnose a recorded incident, with no cluster at hand.

Usage:
  kubectl intellect demo           list the incidents
  kubectl intellect demo NAME      ask one the question it came with

Examples:
  kubectl intellect demo crash
  kubectl intellect demo crash -o json
"""


def cases() -> dict[str, Any]:
    """The bundled case files by name."""
    folder = resources.files("kubectl_ai_intellect").joinpath("demos")
    return {each.name.removesuffix(".json.gz"): each for each in folder.iterdir() if each.name.endswith(".json.gz")}


def demo(options: Options) -> Report | None:
    """List the incidents, or answer one."""
    from kubectl_ai_intellect.kube.case import load

    known = cases()
    if len(options.words) < 2:
        print("Recorded incidents; `kubectl intellect demo NAME` answers one:")
        for name, place in sorted(known.items()):
            with resources.as_file(place) as path:
                print(f"  {name:<14} {load(path).question}")
        return None
    name = options.words[1]
    if name not in known:
        raise UsageError(f'there is no demo "{name}"; take one of {", ".join(sorted(known))}')
    from kubectl_ai_intellect.cli.ask import ask

    with resources.as_file(known[name]) as path:
        case = load(path)
        asked = replace(options, source=str(path), words=tuple(case.question.split()), forced=True)
        return ask(asked, progress=lambda text: None, choose=None)


__all__ = ["HELP", "cases", "demo"]
