"""A settled scenario as a case file: its namespaces and what they stand on, redacted, with the clock of now."""

from __future__ import annotations

from kubectl_ai_intellect.evidence.redact import redact
from kubectl_ai_intellect.kube.case.model import Case
from kubectl_ai_intellect.kube.case.settled import record_settled
from kubectl_ai_intellect.kube.config import Flags
from kubectl_ai_intellect.kube.session import connect
from tests.scenarios.runner import Settled


def record(settled: Settled) -> Case:
    """Everything that a question about the scenario could want to read."""
    manifests = settled.bound.manifests
    own = {each["metadata"].get("namespace", settled.namespace) for each in manifests}
    namespaces = [settled.namespace, *sorted(own - {settled.namespace})]
    with connect(Flags(kubeconfig=str(settled.cluster.kubeconfig), namespace=settled.namespace)) as source:
        name = settled.scenario.name
        return record_settled(source, namespaces, redact, settled.scenario.question, name)


__all__ = ["record"]
