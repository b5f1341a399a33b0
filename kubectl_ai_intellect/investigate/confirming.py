"""A team's own runbook confirms a verdict: its checks, filled in with the names that were found, run as reads.

Only checks within the read grammar are run, through the user's own kubectl; what they print is data, held against the
check's `expect` and cited, nothing else.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from kubectl_ai_intellect.evidence.redact import clean, redact
from kubectl_ai_intellect.knowledge.runbook import Check
from kubectl_ai_intellect.kube.command import Command, parse
from kubectl_ai_intellect.report import Diagnosis, Evidence, ObjectRef, StepRecord

CHECKS = 4
"""How many checks of one runbook are run."""
SHOWN = 160
"""Characters of a matching line that are cited."""
CALLED = {"persistentvolumeclaim": "claim", "persistentvolume": "pv", "horizontalpodautoscaler": "hpa",
          "poddisruptionbudget": "pdb", "resourcequota": "quota", "validatingwebhookconfiguration": "webhook",
          "mutatingwebhookconfiguration": "webhook"}  # fmt: skip
"""Placeholders that are not called like their kind."""
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicaSet")
_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_-]*)\}")

Run = Callable[[Command], str | None]
"""Run a read with the user's kubectl: what it prints, errors too; None where it could not be run."""


def names_of(report: Diagnosis) -> dict[str, str]:
    """What the placeholders of a runbook stand for here, from the objects of the verdict, the nearest first."""
    verdict = report.verdict
    cited = {number for step in verdict.chain for number in step.evidence}
    objects: list[ObjectRef | None] = [verdict.object, *(step.object for step in verdict.chain)]
    objects += [each.object for each in report.evidence if each.id in cited]
    objects += verdict.affects
    root = verdict.object.name if verdict.object else ""
    own = [each for each in objects if each and root and (each.name == root or each.name.startswith(f"{root}-"))]
    found: dict[str, str] = {}
    for each in (*own, *objects):  # a pod of the root's own before a client's that suffers
        if each is None:
            continue
        kind = each.kind.lower()
        found.setdefault(CALLED.get(kind, kind), each.name)
        if each.kind in WORKLOADS:
            found.setdefault("workload", f"{kind}/{each.name}")
        if each.namespace:
            found.setdefault("namespace", each.namespace)
        found.setdefault("object", f"{kind}/{each.name}")
    container = next((match[1] for each in report.evidence if (match := _CONTAINER.search(each.command))), "")
    return found | ({"container": container} if container else {})


_CONTAINER = re.compile(r"(?:^| )-c ([a-z0-9]([a-z0-9-]*[a-z0-9])?)(?: |$)")


def filled(command: str, names: Mapping[str, str]) -> Command | None:
    """The check as a command of the read grammar; None where a name is not known or it is no read."""
    wanted = set(_PLACEHOLDER.findall(command))
    if not wanted <= set(names):
        return None
    parsed = parse(_PLACEHOLDER.sub(lambda match: names[match[1]], command))
    return parsed if isinstance(parsed, Command) else None


def met(check: Check, printed: str) -> str:
    """The line that shows what the check expects; empty where nothing does."""
    found = re.search(check.expect, printed, re.IGNORECASE | re.MULTILINE)
    if found is None:
        return ""
    start = printed.rfind("\n", 0, found.start()) + 1
    end = printed.find("\n", found.end())
    return " ".join(printed[start : end if end >= 0 else None].split())[:SHOWN] or found.group()


def confirm(report: Diagnosis, checks: Iterable[Check], title: str, run: Run) -> None:
    """Run a runbook's checks; each is a step, and evidence where it shows what it expects."""
    names = names_of(report)
    at = report.verdict.object or (report.verdict.affects[0] if report.verdict.affects else None)
    for check in list(checks)[:CHECKS]:
        command = filled(check.command, names)
        if command is None:
            continue
        begun = time.monotonic()
        printed = run(command)
        line = met(check, printed) if printed is not None else ""
        finding = f"as it expects: {line}" if line else "not what it expects" if printed is not None else "not run"
        report.steps.append(
            StepRecord(n=len(report.steps) + 1, hypothesis=f"your runbook: {clean(title)}", command=str(command),
                       finding=clean(redact(finding)), ms=int((time.monotonic() - begun) * 1000))
        )  # fmt: skip
        if line and at is not None:
            number = f"E{max((int(each.id[1:]) for each in report.evidence), default=0) + 1}"
            report.evidence.append(Evidence(id=number, object=at, command=str(command),
                                            text=clean(redact(f"your runbook expects this: {line}"))))  # fmt: skip


def yours(report: Diagnosis) -> tuple[tuple[Check, ...], str] | None:
    """The checks and title of the user's own runbook for the verdict, or for the passage that fits an open one."""
    from kubectl_ai_intellect.knowledge import library

    if not library.registry_file().is_file():
        return None
    known = library.registry().ids
    wanted = [report.verdict.cause or "", *(each.runbook for each in report.passages)]
    path: Path | None = next((known[each] for each in wanted if each in known), None)
    found = library.readable(path, ours=False) if path else None
    return (found.checks, found.title) if found else None


__all__ = ["confirm", "filled", "met", "names_of", "yours"]
