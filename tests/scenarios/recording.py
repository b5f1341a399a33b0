"""A settled scenario as a case file: its namespaces and what they stand on, redacted, with the clock of now.

To that comes what only the question itself made the product read, such as its own rights.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from kubectl_ai_intellect.evidence.redact import redact
from kubectl_ai_intellect.kube.case import Case, RecordedList, Recorder, record_settled
from kubectl_ai_intellect.kube.config import Flags
from kubectl_ai_intellect.kube.session import connect
from kubectl_ai_intellect.kube.source import Source
from tests.scenarios.asking import Report, ask
from tests.scenarios.runner import Settled


def asked(settled: Settled) -> tuple[Report, Case]:
    """The product's answer on the cluster, and what it read for it."""
    with _source(settled) as source:
        recorder = Recorder(source, redact)
        report = ask(recorder, settled.question, settled.namespace)
        return report, recorder.case(settled.question, namespace=settled.namespace)


def record(settled: Settled, read: Case | None = None) -> Case:
    """Everything that a question about the scenario could want to read."""
    manifests = settled.bound.manifests
    own = {each["metadata"].get("namespace", settled.namespace) for each in manifests}
    namespaces = [settled.namespace, *sorted(own - {settled.namespace})]
    scenario = settled.scenario
    title = f"{scenario.name} {scenario.digest}"
    with _source(settled) as source:
        case = record_settled(source, namespaces, redact, settled.question, title)
    return without_leftovers(_with_what_else(case, read) if read else case, namespaces)


def without_leftovers(case: Case, namespaces: Collection[str]) -> Case:
    """The recording without namespaces that other stagings, on their way out, had on the cluster just then."""

    def stays(item: Mapping[str, Any]) -> bool:
        return item["metadata"]["name"] in namespaces or "deletionTimestamp" not in item["metadata"]

    lists = (
        replace(entry, items=tuple(filter(stays, entry.items)))
        if (entry.group, entry.kind) == ("", "Namespace")
        else entry
        for entry in case.lists
    )
    return replace(case, lists=tuple(lists))


def _source(settled: Settled) -> Source:
    """The cluster as who asks sees it; nobody's rights are asked of the cluster's owner."""
    flags = Flags(kubeconfig=str(settled.cluster.kubeconfig), namespace=settled.namespace, as_user=settled.bound.asker)
    return connect(flags)


def _with_what_else(case: Case, read: Case) -> Case:
    """The recording, and of what the question read only that which the recording lacks: one clock for the rest."""
    whole = {
        (entry.group, entry.kind, entry.namespace) for entry in case.lists if not entry.fields and not entry.labels
    }
    lists = [
        entry for entry in read.lists
        if not {(entry.group, entry.kind, ""), (entry.group, entry.kind, entry.namespace)} & whole or _certificates(entry)
    ]  # fmt: skip
    known = {(log.namespace, log.pod, log.container, log.previous) for log in case.logs}
    logs = [log for log in read.logs if (log.namespace, log.pod, log.container, log.previous) not in known]
    return replace(
        case,
        lists=(*case.lists, *(entry for entry in lists if entry not in case.lists)),
        absent=tuple(dict.fromkeys((*case.absent, *read.absent))),
        logs=(*case.logs, *logs),
        access=tuple(dict.fromkeys((*case.access, *read.access))),
        resources=tuple(dict.fromkeys((*case.resources, *read.resources))),
    )


def _certificates(entry: RecordedList) -> bool:
    """Secrets with the public part of a certificate, of which a whole list has the names alone."""
    return entry.kind == "Secret" and any("data" in item for item in entry.items)


__all__ = ["asked", "record", "without_leftovers"]
