"""Why a workload's pods are not created: the API server's words, as controllers pass them on in events and conditions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import NamedTuple

from kubectl_ai_intellect.causes.base import Fact
from kubectl_ai_intellect.causes.facts import field, told
from kubectl_ai_intellect.kube.refs import Ref
from kubectl_ai_intellect.state.events import Event
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.relations import Relation, near

HOOK = re.compile(r'(failed calling webhook|admission webhook) "([^"]+)"')
"""What became of a webhook's call. A webhook that answers now, whatever it says, can be called; and the other way round."""
REVISION = "ReplicaSetCreateError"
"""Why a Deployment makes no progress whose new ReplicaSet itself is refused."""
TOGETHER = timedelta(minutes=2)
"""Refusals this much older than the newest one tell of a fault that was mended since."""


class Refusal(NamedTuple):
    """One refusal, word for word, and the fact that shows it."""

    words: str
    fact: Fact


def makers(state: State, workload: Ref) -> list[Ref]:
    """The workload and the objects it makes its pods through."""
    return [workload, *(each for each in near(state, workload, Relation.OWNS) if each.kind in ("ReplicaSet", "Job"))]


def refusals(state: State, workload: Ref) -> list[Refusal]:
    """The standing refusals, newest first; conditions count where the events have expired."""
    key = ("refusals", workload)
    if key not in state.memo:
        state.memo[key] = list(_standing(state, workload))
    return state.memo[key]


def _standing(state: State, workload: Ref) -> Iterable[Refusal]:
    places = makers(state, workload)
    events: list[Event] = sorted(
        (one for at in places for one in state.events(at) if one.warning and one.reason.startswith(("Failed", "ReplicaSetCreate"))
         and ("rror" in one.message or "forbidden" in one.message or "denied" in one.message)),
        key=lambda one: one.last or state.now, reverse=True,
    )  # fmt: skip
    newest = events[0].last if events else None
    seen: set[str] = set()
    answered: dict[str, str] = {}
    for one in events:
        if newest and one.last and newest - one.last > TOGETHER:
            break
        hook = HOOK.search(one.message)
        said = answered.setdefault(hook.group(2), hook.group(1)) if hook else ""
        if one.message not in seen and (hook is None or said == hook.group(1)):
            seen.add(one.message)
            yield Refusal(one.message, told(one))
    for at in places if not events else ():
        found = state.find(at)
        failures = [found.condition(kind) or {} for kind in ("ReplicaFailure", "Progressing")] if found else []
        for failure in failures:
            words, kind = failure.get("message") or "", failure.get("type")
            holds = failure.get("status") == "True" if kind == "ReplicaFailure" else failure.get("reason") == REVISION
            if holds and words and words not in seen:
                seen.add(words)
                yield Refusal(words, field(at, f"condition {kind} of {at.short}: {words}"))


def uncalled(state: State, workload: Ref) -> set[str]:
    """The webhooks that the API server says it could not call for this workload's pods."""
    found = (HOOK.search(each.words) for each in refusals(state, workload))
    return {match.group(2) for match in found if match and match.group(1).startswith("failed")}


__all__ = ["Refusal", "makers", "refusals", "uncalled"]
