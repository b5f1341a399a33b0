"""Which object of a State the words of a question mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kubectl_ai_intellect.causes.base import Symptom
from kubectl_ai_intellect.kube.refs import Ref
from kubectl_ai_intellect.question.words import Asked
from kubectl_ai_intellect.state.graph import State


@dataclass(frozen=True, slots=True)
class Resolution:
    """The object meant, or the several that may be, or the name that is nowhere."""

    target: Ref | None = None
    candidates: tuple[Ref, ...] = ()
    absent: str = ""
    near: tuple[Ref, ...] = ()
    namespace: str | None = None


ORDER = ("Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job", "Service", "Ingress", "PersistentVolumeClaim", "Pod")


def resolve(state: State, asked: Asked, symptoms: Sequence[Symptom]) -> Resolution:
    for name in asked.names:
        found = [each.ref for each in state.objects if each.ref.name == name and each.ref.kind in ORDER]
        if asked.kind:
            found = [each for each in found if each.kind == asked.kind] or found
        if found:
            return Resolution(min(found, key=lambda each: ORDER.index(each.kind)))
    return Resolution()


__all__ = ["Resolution", "resolve"]
