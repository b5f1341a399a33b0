"""Changes that do not reach the pods, or are not even taken: held back by the update strategy, refused as immutable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kubectl_ai_intellect.causes.base import Fact, Finding, Mend, Symptom, cause
from kubectl_ai_intellect.causes.facts import field
from kubectl_ai_intellect.causes.refusals import refusals
from kubectl_ai_intellect.causes.symptoms.asked import IMMUTABLE
from kubectl_ai_intellect.causes.symptoms.workloads import held_back
from kubectl_ai_intellect.kube.refs import Ref
from kubectl_ai_intellect.kube.source import Object, dig, get_of
from kubectl_ai_intellect.state.edits import Patch, set_field
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.history import differences, revisions
from kubectl_ai_intellect.state.pods import pod_labels, template
from kubectl_ai_intellect.state.relations import pods_of

# -- held back by the update strategy --------------------------------------------------------------------------------


def _held(state: State, at: Ref) -> bool:
    found = state.find(at)
    return found is not None and bool(held_back(found))


@cause("workload/update-held", "stale-config", holds=_held)
def update_held(state: State, symptom: Symptom) -> Iterable[Finding]:
    found = state.find(symptom.at)
    why = held_back(found) if found else ""
    if found is None or not why or symptom.note != "update":
        return
    newest = found.status.get("updateRevision") or ""
    old = [pod for pod in pods_of(state, found.ref) if newest and pod.labels.get("controller-revision-hash") != newest]
    known = revisions(state, found.ref)
    change = differences(known[1].template, template(found)) if len(known) > 1 else []
    says = f"{found.ref.short} was changed, and {why}, so its pods stay as they were"
    says += f"; what waits: {'; '.join(change[:3])}" if change else ""
    yield Finding(
        "workload/update-held", found.ref, "proved", says,
        supports=(field(found, f"spec.updateStrategy: {why}"),
                  *(field(pod, f"pod {pod.ref.name} is of revision {pod.labels.get('controller-revision-hash')}, the newest is {newest}")
                    for pod in old[:1])),
        mends=tuple(_release(found, old)), weight=0.3,
    )  # fmt: skip


def _release(found: Object, old: list[Object]) -> Iterator[Mend]:
    if dig(found.spec, "updateStrategy", "type") == "OnDelete":
        patches = tuple(Patch(pod.ref, action="delete") for pod in old[:1])
        yield Mend("Let it replace its pods by itself",
                   (set_field(found.ref, "spec", "updateStrategy", "type", value="RollingUpdate"),), risk="medium")  # fmt: skip
        if patches:
            yield Mend("Or delete its pods one by one, each once the one before is ready", patches, risk="medium")
        return
    yield Mend("Let the update reach all pods",
               (set_field(found.ref, "spec", "updateStrategy", "rollingUpdate", "partition", value=0),), risk="medium")  # fmt: skip


# -- refused as immutable --------------------------------------------------------------------------------------------


@cause("workload/selector-immutable", "create-refused")
def selector_immutable(state: State, symptom: Symptom) -> Iterable[Finding]:
    found = state.find(symptom.at)
    told = next(((one.words, one.fact) for one in refusals(state, symptom.at) if IMMUTABLE.search(one.words)), None)
    if told is None and symptom.note == "immutable" and found is not None:
        told = "", field(found, f"the change of {found.ref.short} was refused as immutable, as the question tells")
    if told is None:
        return
    words, fact = told
    sure = "proved" if words else "likely"  # the question's word alone is no proof
    mismatch = "does not match template" in words
    selector = dig(found.spec, "selector", "matchLabels", otherwise={}) if found is not None else {}
    has = ", ".join(f"{key}={value}" for key, value in sorted(selector.items()))
    says = f"{symptom.at.short} is refused: its selector does not match the labels of its own pod template" if mismatch else (
        f"{symptom.at.short} is there with the selector {has}, and a selector can never be changed, so the change is refused")  # fmt: skip
    facts: list[Fact] = [fact]
    if found is not None and has and not mismatch:
        labels = ", ".join(f"{key}={value}" for key, value in sorted(pod_labels(found).items()))
        facts.append(field(found, f"spec.selector.matchLabels is {has}; the template has labels {labels}"))
    yield Finding("workload/selector-immutable", symptom.at, sure, says, supports=tuple(facts),
                  mends=tuple(_ways_round(symptom.at, has, mismatch)), weight=0.6)  # fmt: skip


def _ways_round(at: Ref, has: str, mismatch: bool) -> Iterator[Mend]:
    if mismatch:
        yield Mend("Give spec.template.metadata.labels every label of spec.selector.matchLabels, in the manifest that is applied",
                   advice=(get_of(at),))  # fmt: skip
        return
    yield Mend(f"Keep the selector that it has ({has}) in the manifest, and put new labels on the pod template only",
               advice=(get_of(at),))  # fmt: skip
    yield Mend("Or delete it and apply the manifest again: its pods are gone for that long, and Services must select the new labels",
               (Patch(at, action="delete"),), risk="high")  # fmt: skip
