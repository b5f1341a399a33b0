"""Custom resources that say themselves what is wrong, kinds that are not served, and releases stuck half way."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from kubectl_ai_intellect.causes.base import Fact, Finding, Mend, Symptom, cause
from kubectl_ai_intellect.causes.facts import field, logged
from kubectl_ai_intellect.causes.needs import container_logs
from kubectl_ai_intellect.kube.refs import KNOWN, Ref
from kubectl_ai_intellect.kube.source import Object, get_of, list_of
from kubectl_ai_intellect.state.custom import complaints
from kubectl_ai_intellect.state.edits import Patch, set_field
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.relations import workload_of

_NO_KIND = re.compile(
    r"no matches for kind \"?(?P<kind>\w+)\"? in (?:version|group) \"?(?P<version>[\w./-]*)\"?|"
    r"the server could not find the requested resource \(.*?(?P<plural>[a-z]+\.[a-z0-9.-]+)\)|"
    r"failed to (?:list|watch) \*?(?P<go>[\w./]+): the server could not find the requested resource"
)


@cause("custom/not-ready", "condition-false")
def not_ready(state: State, symptom: Symptom) -> Iterable[Finding]:
    found = state.find(symptom.at)
    if found is None:
        return
    said = complaints(found)
    if not said:
        return
    owned = [
        each for each in state.objects if any(o.get("uid") == found.uid for o in each.meta.get("ownerReferences") or ())
    ]
    observed, newest = found.status.get("observedGeneration"), found.meta.get("generation")
    behind = isinstance(observed, int) and isinstance(newest, int) and observed < newest
    yield Finding(
        "custom/not-ready", found.ref, "likely",
        f"{found.ref.short} says of itself: {said[0].text}"
        + ("; its controller has not looked at its newest generation" if behind else ""),
        supports=tuple(field(found, each.text) for each in said[:3]),
        mends=(Mend("Mend what it names; its controller tries again by itself", advice=(get_of(found.ref),)),),
        affects=tuple(each.ref for each in owned[:3]),
    )  # fmt: skip


# -- kinds that are not served ---------------------------------------------------------------------------------------


def _words(state: State, symptom: Symptom) -> Iterator[tuple[str, Fact]]:
    """Conditions of the object, or lines of a container's log, that may speak of a kind that is not there."""
    found = state.find(symptom.at)
    if found is None:
        return
    if not symptom.at.part:
        for condition in found.status.get("conditions") or ():
            if condition.get("status") != "True" or condition.get("type") in ("Stalled", "ReconcileError", "Degraded"):
                message = condition.get("message") or ""
                yield message, field(found, f"{condition.get('type')}: {condition.get('reason')}: {message}")
        return
    for digest in state.logs(symptom.at):
        for hit in digest.hits:
            yield hit.line, logged(symptom.at, hit)


@cause("crd/version-missing", "scaler-blind", "condition-false", "container-restarting", "container-unready",
       needs=container_logs)  # fmt: skip
def version_missing(state: State, symptom: Symptom) -> Iterable[Finding]:
    for words, fact in _words(state, symptom):
        match = _NO_KIND.search(words)
        if match is None or (symptom.kind == "scaler-blind" and "metrics.k8s.io" in match.group()):
            continue  # an aggregated API that does not answer is no custom kind
        at = workload_of(state, symptom.at) if symptom.at.part else symptom.at
        kind, version = match.group("kind") or "", match.group("version") or ""
        what = f"{kind} in {version}" if kind else (match.group("plural") or match.group("go") or "")
        served = [each.api_version for (_, name), each in KNOWN.items() if name == kind]
        yield Finding(
            "crd/version-missing", at, "proved",
            f"{at.short} asks for {what}, which this cluster does not serve: "
            + (f"{kind} is served as {served[0]}" if served else "its CRD is not installed, or that version is gone"),
            supports=(fact,), mends=tuple(_served(state, at, served)), weight=0.5,
        )  # fmt: skip
        return


def _served(state: State, at: Ref, served: list[str]) -> Iterator[Mend]:
    if at.kind == "HorizontalPodAutoscaler" and served:
        yield Mend(f"Name the version that is served, {served[0]}",
                   (set_field(at, "spec", "scaleTargetRef", "apiVersion", value=served[0]),))  # fmt: skip
    else:
        yield Mend("Install the CRD, or use a version that is served", advice=(list_of("CustomResourceDefinition"),))


# -- releases --------------------------------------------------------------------------------------------------------


def _pending(state: State, at: Ref) -> bool:
    found = state.find(at)
    return (
        found is not None
        and found.labels.get("owner") == "helm"
        and found.labels.get("status", "").startswith("pending-")
    )


@cause("gitops/helm-release-pending", "release-pending", holds=_pending)
def release_pending(state: State, symptom: Symptom) -> Iterable[Finding]:
    found = state.find(symptom.at)
    if found is None or not _pending(state, found.ref):
        return
    name, status = found.labels.get("name", ""), found.labels.get("status", "")
    version = found.labels.get("version", "")
    others = _revisions(state, found, name)
    newer = [each for each in others if _number(each) > _number(found)]
    if newer:
        return
    good = [each for each in others if each.labels.get("status") in ("deployed", "superseded")]
    fresh = state.within(found.created, minutes=5)
    facts = [
        field(
            found, f"release {name} revision {version} has status {status} since {found.meta.get('creationTimestamp')}"
        )
    ]
    facts += [field(each, f"revision {each.labels.get('version')} is {each.labels.get('status')}") for each in good[:1]]
    yield Finding(
        "gitops/helm-release-pending", found.ref, "likely" if fresh else "proved",
        f"Helm release {name} is stuck in {status} (revision {version}), so each further upgrade is refused: another operation "
        "is in progress",
        supports=tuple(facts),
        mends=(Mend("If no helm command is at work on it any more: take the half-made revision's record away"
                    + (f"; revision {good[0].labels.get('version')} then is the latest" if good else ""),
                    (Patch(found.ref, action="delete"),), risk="medium"),),
    )  # fmt: skip


def _number(found: Object) -> int:
    version = found.labels.get("version", "")
    return int(version) if version.isdigit() else 0


def _revisions(state: State, found: Object, name: str) -> list[Object]:
    kept = [each for each in state.all("Secret", found.ref.namespace)
            if each.labels.get("owner") == "helm" and each.labels.get("name") == name and each.ref != found.ref]  # fmt: skip
    return sorted(kept, key=_number, reverse=True)
