"""Which object of a State the words of a question mean."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kubectl_ai_intellect.causes.base import Symptom
from kubectl_ai_intellect.kube.refs import Ref
from kubectl_ai_intellect.question.words import Asked
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.relations import workload_of


@dataclass(frozen=True, slots=True)
class Resolution:
    """The object meant, or the several that may be, or the name that is nowhere."""

    target: Ref | None = None
    candidates: tuple[Ref, ...] = ()
    absent: str = ""
    near: tuple[Ref, ...] = ()
    namespace: str | None = None
    gone: str = ""  # the pod that was named: it is no more, and the target is what made it


_SUFFIX = re.compile(r"-(?:service|svc|app|application|server|pods?|deployment|deploy|statefulset|container)$")
"""What people add to a name that goes without."""
ORDER = ("Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job", "ReplicationController", "Service", "Ingress", "PersistentVolumeClaim", "Node",
         "HorizontalPodAutoscaler", "Gateway", "HTTPRoute", "ReplicaSet", "PodDisruptionBudget", "NetworkPolicy",
         "ResourceQuota", "ConfigMap", "Secret", "ServiceAccount", "Pod")  # fmt: skip
"""Which kind is meant where several have one name: what a person would edit first."""
APP_LABELS = (
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
    "app",
    "k8s-app",
    "app.kubernetes.io/component",
    "name",
)


def resolve(state: State, asked: Asked, symptoms: Sequence[Symptom]) -> Resolution:
    """The exact name first, then an app's label, a pod's prefix, a near spelling, a namespace; then the unhealthy one of a kind."""
    named = [each for each in state.objects if each.ref.kind in ORDER or each.ref.kind == asked.kind]
    refs = [each.ref for each in named if not each.ref.name.startswith("kube-root-ca")]
    for name in (*_compounds(asked, {each.name for each in refs}), *asked.names):
        found = _called(state, refs, name, asked.kind)
        if found is not None:
            return Resolution(found)
    spaces = {each.ref.name for each in state.all("Namespace")}
    for name in asked.names:
        if name in spaces:
            return Resolution(namespace=name)
    for name in asked.names:
        maker = maker_of(state, name)
        if maker is not None:
            return Resolution(maker, gone=name)
    for name in asked.names:
        near = _nearly(refs, name, asked.kind) if name in asked.sure or len(name) >= 5 else None
        if near is not None:
            return Resolution(near)
    for name in asked.names:
        bare = _SUFFIX.sub("", name)
        found = _called(state, refs, bare, asked.kind) if bare and bare != name else None
        if found is not None:
            return Resolution(found)
    missing = next((name for name in asked.names if name in asked.sure), "")
    if missing and "/" not in missing and "." not in missing:
        return Resolution(absent=missing, near=tuple(_offers(refs, missing)))
    return _unhealthy(state, asked, symptoms)


def _compounds(asked: Asked, known: set[str]) -> list[str]:
    """Neighbouring words that, joined by a hyphen, are a name: "the hourly export" means hourly-export."""
    words = re.findall(r"[a-z0-9]+", asked.text.lower())
    joined = ("-".join(words[at : at + size]) for size in (4, 3, 2) for at in range(len(words) - size + 1))
    return [name for name in dict.fromkeys(joined) if name in known]


def _called(state: State, refs: Sequence[Ref], name: str, kind: str | None) -> Ref | None:
    """The object of this name; of several, that of the kind asked about, else what a person would edit."""
    exact = [each for each in refs if each.name == name]
    if kind == "Pod" and not any(each.kind == "Pod" for each in exact):
        exact = [
            each for each in exact if each.kind not in ("Service", "ConfigMap", "Secret", "ServiceAccount")
        ] or exact
    if not exact:
        exact = _labelled(state, name) or [
            each for each in refs if each.kind == "Pod" and each.name.startswith(f"{name}-")
        ]
        if len({workload_of(state, each) for each in exact}) == 1:
            exact = [workload_of(state, exact[0])]
    chosen = [each for each in exact if each.kind == kind] or exact
    return min(chosen, key=_rank) if chosen else None


def _rank(each: Ref) -> int:
    return ORDER.index(each.kind) if each.kind in ORDER else len(ORDER)


def _labelled(state: State, name: str) -> list[Ref]:
    """Workloads and pods of an app of this name."""
    found = [
        each.ref
        for kind in ("Deployment", "StatefulSet", "DaemonSet", "Pod")
        for each in state.all(kind)
        if any(each.labels.get(label) == name for label in APP_LABELS)
    ]
    return [each for each in found if each.kind != "Pod"] or found


def _nearly(refs: Sequence[Ref], name: str, kind: str | None) -> Ref | None:
    """A name that is nearly this one: a slip of the finger, not another word."""
    names = sorted({each.name for each in refs})
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.84)
    if not close:
        return None
    same = [each for each in refs if each.name == close[0]]
    return min([each for each in same if each.kind == kind] or same, key=_rank)


SAFE = "bcdfghjklmnpqrstvwxz2456789"
"""The letters that Kubernetes makes names of, so that they spell no words."""
_MADE = re.compile(
    rf"^(?P<owner>[a-z0-9][a-z0-9.-]*?)(?:-(?P<hash>[{SAFE}]{{6,10}}))?-(?P<tail>[{SAFE}]{{5}}|\d{{1,3}})$"
)
MAKERS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicaSet")


def maker_of(state: State, pod: str) -> Ref | None:
    """The workload whose pod would have such a name: what remains of a pod that was replaced."""
    made = _MADE.match(pod)
    if made is None:
        return None
    hashed, numbered = made["hash"] is not None, made["tail"].isdigit() and len(made["tail"]) < 5
    for kind in MAKERS:
        fits = hashed if kind == "Deployment" else numbered if kind == "StatefulSet" else not hashed
        for each in state.all(kind) if fits else ():
            if each.ref.name == made["owner"]:
                return workload_of(state, each.ref)
    return None


def _offers(refs: Iterable[Ref], name: str) -> list[Ref]:
    listed = list(refs)
    names = difflib.get_close_matches(name, sorted({each.name for each in listed}), n=3, cutoff=0.5)
    parts = [part for part in name.split("-") if len(part) > 3]
    inside = [each.name for each in listed if any(part in each.name for part in parts)]
    wanted = list(dict.fromkeys([*names, *inside]))[:3]
    return [min((each for each in listed if each.name == one), key=_rank) for one in wanted]


def _unhealthy(state: State, asked: Asked, symptoms: Sequence[Symptom]) -> Resolution:
    """ "my pod", "the job": the unhealthy one of that kind, when just one is; else the whole scope is meant."""
    if asked.kind is None or asked.everywhere:
        return Resolution()
    if asked.kind == "Node":
        return _ill_node(symptoms)
    if asked.kind in ("Pod", "Service"):
        return Resolution()  # the scope's worst is found by its roots, whichever pod shows them
    ill = dict.fromkeys(each.at.whole() for each in symptoms if each.at.kind == asked.kind)
    if asked.kind in ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"):
        ill.update(dict.fromkeys(workload_of(state, each.at) for each in symptoms if each.at.kind == "Pod"))
        ill = {each: None for each in ill if each.kind == asked.kind}
    found = [each for each in ill if state.find(each) is not None]
    if len(found) == 1:
        return Resolution(found[0])
    only = [each.ref for each in state.all(asked.kind)]
    if len(only) == 1 and asked.kind in (
        "CronJob",
        "HorizontalPodAutoscaler",
        "PodDisruptionBudget",
        "Ingress",
        "PersistentVolumeClaim",
    ):
        return Resolution(only[0])
    return (
        Resolution(candidates=tuple(sorted(found))[:9])
        if len(found) > 1 and asked.kind in ("HorizontalPodAutoscaler", "CronJob")
        else Resolution()
    )


def _ill_node(symptoms: Sequence[Symptom]) -> Resolution:
    """ "one of the nodes": the one that is not well; else the one that somebody closed."""
    for kind, note in (("node-not-ready", ""), ("node-closed", "cordoned")):
        ill = sorted({each.at for each in symptoms if each.kind == kind and note in ("", each.note)})
        if ill:
            return Resolution(ill[0]) if len(ill) == 1 else Resolution(candidates=tuple(ill[:9]))
    return Resolution()


__all__ = ["Resolution", "maker_of", "resolve"]
