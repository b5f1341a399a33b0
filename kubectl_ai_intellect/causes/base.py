"""The seam every cause is written against: symptom, fact, mend, finding, cause, and the register of causes."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any, Literal, NamedTuple

from kubectl_ai_intellect.kube.refs import Ref
from kubectl_ai_intellect.kube.source import Read
from kubectl_ai_intellect.state.edits import Patch
from kubectl_ai_intellect.state.graph import State

Strength = Literal["proved", "likely", "possible", "refuted"]
Role = Literal["root", "symptom", "fallback", "advice"]


class Symptom(NamedTuple):
    """Something that is visibly not as it should be: a kind of the closed enum in `symptoms`, at one place."""

    kind: str
    at: Ref
    since: datetime | None = None
    note: str = ""  # what distinguishes it, in a few words (a reason, a peer, a resource)


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that was read, as a citation shows it: the text, about which object, and the read that shows it."""

    text: str
    of: Ref
    read: Read | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Mend:
    """A change that would make it well. `unknown` names each <PLACEHOLDER> a person must fill in, and why."""

    title: str
    patches: tuple[Patch, ...] = ()
    kind: Literal["mend", "stopgap"] = "mend"
    risk: Literal["low", "medium", "high"] = "low"
    unknown: tuple[str, ...] = ()
    advice: tuple[Read, ...] = ()  # reads that help to fill in what is unknown


@dataclass(frozen=True, slots=True)
class Finding:
    """What one mechanism says about one object: how sure, why, what against it, and what would mend it."""

    cause: str
    object: Ref
    strength: Strength
    says: str  # one or two sentences: the mechanism as it is here, with the names and values that decide it
    accounts_for: frozenset[Symptom] = frozenset()
    supports: tuple[Fact, ...] = ()
    refutes: tuple[Fact, ...] = ()
    mends: tuple[Mend, ...] = ()
    affects: tuple[Ref, ...] = ()
    weight: float = 0.0  # between findings of one strength: the more specific mechanism is heavier (-1 … 1)
    since: datetime | None = None


Needs = Callable[[State, Symptom], Iterable[Read]]
Examine = Callable[[State, Symptom], Iterable[Finding]]
Holds = Callable[[State, Ref], bool]


@dataclass(frozen=True, slots=True)
class Cause:
    """One mechanism: which symptoms wake it, what it must read, how it decides, and where the fault is declared."""

    id: str
    explains: frozenset[str]
    examine: Examine
    needs: Needs
    holds: Holds | None
    role: Role
    object: str


_REGISTER: dict[str, Cause] = {}


def _nothing(state: State, symptom: Symptom) -> Iterable[Read]:
    return ()


def cause(id: str, *explains: str, needs: Needs = _nothing, holds: Holds | None = None) -> Callable[[Examine], Examine]:
    """Register a mechanism under its catalogue id; the decorated function is its `examine`."""

    def register(examine: Examine) -> Examine:
        entry = catalogue()[id]
        if id in _REGISTER:
            raise ValueError(f"two units for {id}")

        def examined(state: State, symptom: Symptom) -> Iterable[Finding]:
            for found in examine(state, symptom):
                yield found if found.accounts_for else replace(found, accounts_for=frozenset({symptom}))

        _REGISTER[id] = Cause(
            id, frozenset(explains), examined, needs, holds, entry.get("role", "root"), entry.get("object", "any")
        )
        return examine

    return register


@cache
def catalogue() -> dict[str, dict[str, Any]]:
    """The catalogue's rows by id: object, role, what decides it."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = resources.files("kubectl_ai_intellect.causes").joinpath("catalogue.yaml").read_text("utf-8")
    return yaml.load(text, Loader=loader)  # a safe loader, the C one where there is one


@cache
def causes() -> dict[str, Cause]:
    """Every registered cause, from every area."""
    from kubectl_ai_intellect.causes import areas

    for module in pkgutil.iter_modules(areas.__path__):
        importlib.import_module(f"{areas.__name__}.{module.name}")
    return dict(sorted(_REGISTER.items()))


def role(id: str) -> Role:
    return catalogue().get(id, {}).get("role", "root")


__all__ = ["Cause", "Examine", "Fact", "Finding", "Holds", "Mend", "Needs", "Role", "Strength", "Symptom", "catalogue",
           "cause", "causes", "role"]  # fmt: skip
