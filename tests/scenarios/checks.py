"""A runbook's checks, run as written on the staged scenario of its cause, and held against what they expect.

A scenario is one shape of its cause, so that not every check shows something in each; on a real node one must at least,
and none may ever be refused by or unknown to kubectl. A state that flips (a crash loop between two restarts) is given
some looks. Where nodes and what runs on them are simulated, only the command itself can be tried.
"""

from __future__ import annotations

import re
import time
from typing import Any

from kubectl_ai_intellect.investigate.confirming import filled, met, names_of
from kubectl_ai_intellect.knowledge.library import runbook_for
from kubectl_ai_intellect.kube.command import Command
from kubectl_ai_intellect.report import Diagnosis
from tests.scenarios.cluster import Cluster, CommandFailed
from tests.scenarios.runner import Settled

LOOKS = 4
BETWEEN_S = 3.0
BROKEN = re.compile(r"^(?:error: (?:unknown|flag|invalid)|Error: unknown|error: error parsing)", re.MULTILINE)


def checked(settled: Settled, report: dict[str, Any]) -> list[str]:
    """What is wrong with the checks of the verdict's runbook, here; empty where they hold."""
    if report.get("kind") != "Diagnosis" or not report["verdict"].get("cause"):
        return []
    diagnosis = Diagnosis.model_validate(report)
    runbook = runbook_for(str(diagnosis.verdict.cause))
    if runbook is None:
        return [f"no runbook for {diagnosis.verdict.cause}"]
    names = names_of(diagnosis)
    commands = [(check, command) for check in runbook.checks if (command := filled(check.command, names))]
    if not commands:
        return []
    wrong: list[str] = []
    unmet = commands
    for look in range(LOOKS):
        printed = [(check, command, said(settled.cluster, command)) for check, command in unmet]
        wrong = [f"{command} is not understood: {text[:200]}" for _, command, text in printed if BROKEN.search(text)]
        unmet = [(check, command) for check, command, text in printed if not met(check, text)]
        if wrong or len(unmet) < len(commands) or settled.scenario.needs != "node":
            break
        if look < LOOKS - 1:
            time.sleep(BETWEEN_S)
    if len(unmet) == len(commands) and settled.scenario.needs == "node":
        wrong += [f"{command} does not show {check.expect}" for check, command in unmet]
    return wrong


def said(cluster: Cluster, command: Command) -> str:
    """What the command prints, or its error."""
    try:
        return cluster.run(*command.argv)
    except CommandFailed as failed:
        return str(failed).partition(": ")[2]


__all__ = ["checked"]
