"""Custom resources of kinds that nobody here knows: what they say of themselves, refer to, make and keep.

Only habits that nearly all operators share are relied on: conditions, phases, `…Ref` fields, `secretName`, and labels
under the operator's own group.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from kubectl_ai_intellect.kube.refs import BUILTIN, Ref
from kubectl_ai_intellect.kube.source import Object, dig
from kubectl_ai_intellect.state.graph import State

POSITIVE = ("Ready", "Available", "Synced", "Healthy", "Reconciled", "Established", "Accepted", "Programmed", "Issuing")
"""Conditions that should be True."""
NEGATIVE = re.compile(r"^(?:\w*(?:Error|Failed|Failure)|Degraded|Stalled|Unhealthy|Invalid)$")
"""Conditions that should not be; some tools write them without a status, only while they hold."""
BAD_WORDS = frozenset(
    {"failed", "failure", "error", "degraded", "unhealthy", "missing", "stalled", "invalid", "crashed"}
)
NOT_CUSTOM = frozenset({"metrics.k8s.io", "gateway.networking.k8s.io"})


class Complaint(NamedTuple):
    """What an object says is wrong with it: which field says so, why, in whose words, and since when."""

    what: str
    reason: str
    message: str
    since: str = ""

    @property
    def text(self) -> str:
        return f"{self.what}: {': '.join(each for each in (self.reason, self.message) if each)}".rstrip(": ")


def is_custom(each: Object) -> bool:
    return (each.ref.group, each.ref.kind) not in BUILTIN and each.ref.group not in NOT_CUSTOM


def complaints(each: Object) -> list[Complaint]:
    """What a custom resource says is wrong, the most telling first; nothing where it is well."""
    found = [*_conditions(each), *_words(each)]
    return sorted(found, key=lambda one: -len(one.message))


def _conditions(each: Object) -> Iterator[Complaint]:
    conditions = [one for one in each.status.get("conditions") or () if isinstance(one, Mapping)]
    whole = {one.get("type"): one.get("status") for one in conditions}
    for one in conditions:
        kind, status = str(one.get("type") or ""), one.get("status")
        part = kind.endswith("Ready") and not any(whole.get(all_) == "True" for all_ in ("Ready", "Available"))
        if status == "False" and (kind in POSITIVE or part):
            yield _complaint(f"{kind} is False", one)
        elif NEGATIVE.match(kind) and (status == "True" or (status is None and one.get("message"))):
            yield _complaint(f"{kind} is True" if status else kind, one)


def _complaint(what: str, one: Mapping[str, Any]) -> Complaint:
    words = [str(one.get(key) or "") for key in ("reason", "message", "lastTransitionTime")]
    return Complaint(what, *words)


def _words(each: Object) -> Iterator[Complaint]:
    """Objects without conditions to go by: a phase, a health, the end of the last operation."""
    status = each.status
    told = {
        path: dig(status, *path.split("."))
        for path in ("phase", "state", "health.status", "health", "operationState.phase")
    }
    for path, word in told.items():
        if isinstance(word, str) and word.lower() in BAD_WORDS:
            above = dig(status, *path.split(".")[:-1]) if "." in path else status
            message = next((str(above[key]) for key in ("message", "error", "reason") if above.get(key)), "")
            yield Complaint(f"status.{path} is {word}", "", message)


def refers_to(state: State, each: Object) -> list[Ref]:
    """The custom resources that a custom resource names in its spec: by kind and name, or by a field `kindRef`."""
    if not is_custom(each):
        return []
    key = ("refers", each.ref)
    if key not in state.memo:
        named = set(_named(each.spec, ""))
        state.memo[key] = [
            other.ref for other in state.objects
            if is_custom(other) and other.ref != each.ref and other.ref.namespace in (each.ref.namespace, "")
            and ((other.ref.kind.lower(), other.ref.name) in named or ("", other.ref.name) in named)
        ]  # fmt: skip
    return state.memo[key]


def _named(value: Any, field: str) -> Iterator[tuple[str, str]]:
    """(kind, name) of each reference in a spec; the kind is the field's where the reference gives none."""
    if isinstance(value, Mapping):
        name, kind = value.get("name"), value.get("kind")
        if isinstance(name, str) and (isinstance(kind, str) or field.endswith("ref") or field == "dependson"):
            guess = field.removesuffix("ref")
            yield (kind.lower() if isinstance(kind, str) else guess if field.endswith("ref") else "", name)
        for key, below in value.items():
            yield from _named(below, str(key).lower())
    elif isinstance(value, list | tuple):
        for below in value:
            yield from _named(below, field)


def makes(each: Object, name: str) -> bool:
    """Whether a custom resource is to write a Secret or ConfigMap of this name: it is named so, or its spec names it."""
    if not is_custom(each):
        return False
    return each.ref.name == name or name in _targets(each.spec, "")


def _targets(value: Any, field: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        name = value.get("name")
        if isinstance(name, str) and re.search(r"(?i)target|destination|output|connectionsecret|template", field):
            yield name
        for key, below in value.items():
            if isinstance(below, str) and re.search(r"(?i)secretname$|^target$|configmapname$", str(key)):
                yield below
            yield from _targets(below, str(key))
    elif isinstance(value, list | tuple):
        for below in value:
            yield from _targets(below, field)


def keepers(state: State, each: Object) -> list[Ref]:
    """The custom resources that keep an object: those its labels, annotations or owners name under their own group."""
    marks = {**each.annotations, **each.labels}
    tracked = str(marks.get("argocd.argoproj.io/tracking-id") or "").partition(":")[0]
    owners = {(one.get("kind"), one.get("name")) for one in each.meta.get("ownerReferences") or ()}
    found: list[Ref] = []
    for other in state.objects:
        if not is_custom(other):
            continue
        name, kind = other.ref.name, other.ref.kind
        group = [
            value for key, value in marks.items() if other.ref.group and key.partition("/")[0].endswith(other.ref.group)
        ]
        argo = kind == "Application" and name in (
            tracked,
            marks.get("argocd.argoproj.io/instance"),
            marks.get("app.kubernetes.io/instance"),
        )
        if name in group or argo or (kind, name) in owners:
            found.append(other.ref)
    return found


def scaled_by(state: State, workload: Ref) -> Object | None:
    """The custom resource that sets how many replicas a workload has, by its `scaleTargetRef`."""
    for each in state.objects:
        named = each.spec.get("scaleTargetRef")
        if is_custom(each) and isinstance(named, Mapping) and each.ref.namespace == workload.namespace:
            if (named.get("name"), named.get("kind") or "Deployment") == (workload.name, workload.kind):
                return each
    return None


__all__ = ["POSITIVE", "Complaint", "complaints", "is_custom", "keepers", "makes", "refers_to", "scaled_by"]
