"""Information questions, answered as tables."""

from __future__ import annotations

from kubectl_ai_intellect.kube.source import Read
from kubectl_ai_intellect.question import Asked, Resolution
from kubectl_ai_intellect.report import Table
from kubectl_ai_intellect.state.graph import State


def needs(asked: Asked, namespace: str) -> list[Read]:
    return []


def answer(state: State, asked: Asked, resolution: Resolution, namespace: str) -> Table:
    rows = [[pod.ref.namespace, pod.ref.name, pod.status.get("phase", "")] for pod in state.all("Pod")]
    return Table(status="answered", text=f"{len(rows)} pods", columns=["NAMESPACE", "NAME", "PHASE"], rows=rows)


__all__ = ["answer", "needs"]
