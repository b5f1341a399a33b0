"""`-f FILE`: would these manifests work here, and why not, before anybody applies them.

The server is asked to apply each object, and one pod of each workload, without keeping it (dryRun=All): that is
admission, quotas and policies. What comes after admission is reasoned out: the objects are laid over the cluster as it
is, with a pod that waits for a node and its configuration, and every mechanism whose fault lies in declared fields is
asked whether it would hold.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from kubectl_ai_intellect.causes.assess import Root, assess, wanted
from kubectl_ai_intellect.causes.base import Symptom, causes
from kubectl_ai_intellect.errors import IntellectError
from kubectl_ai_intellect.evidence.redact import clean, redact
from kubectl_ai_intellect.investigate.conclude import Ledger, named, verdict_of
from kubectl_ai_intellect.investigate.reading import Reader
from kubectl_ai_intellect.investigate.scope import Scope
from kubectl_ai_intellect.kube.refs import KNOWN, Ref, group_of
from kubectl_ai_intellect.kube.source import Fetched, Object, Read, get_of, list_of
from kubectl_ai_intellect.report import SEVERITIES, ChainStep, Diagnosis, Fix, ObjectRef, Usage, Verdict
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import pod_spec
from kubectl_ai_intellect.state.relations import WORKLOADS

Try = Callable[[Mapping[str, Any]], str | None]
"""Ask the server to apply an object without keeping it: its refusal, or None."""

ROUNDS = 3


@dataclass
class Rehearsal:
    """One file's objects over one cluster."""

    reader: Reader
    context: str
    namespace: str
    objects: Sequence[Mapping[str, Any]]
    attempt: Try | None = None  # None: a case, which has no server to ask
    refusals: dict[Ref, str] = field(default_factory=dict[Ref, str])
    not_asked: list[str] = field(default_factory=list[str])
    attempts: int = 0
    began: float = field(default_factory=time.monotonic)

    def diagnose(self, question: str) -> Diagnosis:
        state = self._laid_over(self.reader.start(Scope(self.namespace)))
        symptoms = list(self._expected(state))
        register = {
            id: each for id, each in causes().items() if each.holds is not None or "create-refused" in each.explains
        }
        for _ in range(ROUNDS):
            reads = wanted(state, symptoms, register)
            if not reads:
                break
            state = self.reader.more(state, reads)
        roots = [each for each in assess(state, symptoms, register).roots if self._holds(state, each)]
        ledger = Ledger(state)
        verdicts = [self._worded(verdict_of(state, each, ledger), each) for each in roots]
        verdicts += self._bare_refusals(state, roots)
        verdicts.sort(key=lambda each: SEVERITIES.index(each.severity))
        missing = [*self.not_asked, *self.reader.unread.values()]
        first = verdicts[0] if verdicts else self._well(missing)
        first.missing = list(dict.fromkeys([*first.missing, *missing]))
        usage = Usage(apiCalls=self.reader.requests + self.attempts, apiBytes=self.reader.size,
                      wallMs=int((time.monotonic() - self.began) * 1000))  # fmt: skip
        return Diagnosis(question=question, context=self.context, namespace=self.namespace, verdict=first,
                         findings=verdicts[1:], evidence=ledger.entries, usage=usage)  # fmt: skip

    def _worded(self, verdict: Verdict, root: Root) -> Verdict:
        ours = {ref_of(each) for each in self.objects}
        return _in_the_file(verdict) if root.finding.object in ours else verdict

    def _holds(self, state: State, root: Root) -> bool:
        holds = causes()[root.finding.cause].holds
        if root.finding.strength not in ("proved", "likely"):
            return False
        return any(each.kind == "create-refused" for each in root.explains) or bool(
            holds and holds(state, root.finding.object)
        )

    # -- what would be there ------------------------------------------------------------------------------------------

    def _laid_over(self, state: State) -> State:
        answers: list[Fetched] = []
        for document in self.objects:
            whole = _numbered(document)
            of = ref_of(whole)
            pod = _pod_of(whole, state)
            answers.append(Fetched(get_of(of), (whole,), requests=0))
            if pod is not None:
                answers.append(Fetched(get_of(ref_of(pod)), (pod,), requests=0))
            refused = self._refused(whole, document, pod)
            if refused:
                self.refusals[of] = refused
                answers.append(_said(state, of, whole["metadata"]["uid"], refused))
        return state.including(answers)

    def _refused(self, whole: Mapping[str, Any], document: Mapping[str, Any], pod: Mapping[str, Any] | None) -> str:
        if self.attempt is None:
            return ""
        self.attempts += 1
        refused = self.attempt(document)
        if not refused and pod is not None and whole.get("kind") != "Pod":
            bare = {"apiVersion": "v1", "kind": "Pod", "spec": pod["spec"],
                    "metadata": {key: pod["metadata"].get(key) or {} for key in ("labels", "annotations")}
                    | {key: pod["metadata"][key] for key in ("name", "namespace")}}  # fmt: skip
            self.attempts += 1
            refused = self.attempt(bare)
        if refused and "User " in refused and " cannot patch " in refused:
            self.not_asked.append(f"the server was not asked about {ref_of(whole).short}: {clean(refused)}")
            return ""
        return refused or ""

    def _expected(self, state: State) -> Iterator[Symptom]:
        """What would be seen first if something were wrong with each object."""
        for document in self.objects:
            of = ref_of(document)
            if of in self.refusals:
                yield Symptom("create-refused", of, state.now)
                continue
            pod = _pod_of(_numbered(document), state)
            if pod is not None:
                at = ref_of(pod)
                yield Symptom("pod-unscheduled", at, state.now)
                yield Symptom("pod-stuck-creating", at, state.now)
                for each in (*pod["spec"].get("initContainers", ()), *pod["spec"].get("containers", ())):
                    yield Symptom("config-refused", at.at(str(each.get("name", ""))), state.now)
            for kind in AT_OBJECTS.get(of.kind, ()):
                yield Symptom(kind, of, state.now)

    # -- what to say --------------------------------------------------------------------------------------------------

    def _bare_refusals(self, state: State, roots: Sequence[Root]) -> list[Verdict]:
        """The server's refusals that no mechanism knows, in its own words."""
        told = {symptom.at for root in roots for symptom in root.explains}
        return [
            _refusal(named(of, state), clean(redact(words))) for of, words in self.refusals.items() if of not in told
        ]

    def _well(self, missing: Sequence[str]) -> Verdict:
        count = f"{len(self.objects)} object{'s' if len(self.objects) > 1 else ''}"
        asked = "the server accepts them without keeping them, and " if self.attempt else ""
        return Verdict(status="healthy", title=f"Nothing speaks against {count} in namespace {self.namespace}", severity="low",
                       confidence=0.6 if missing else 0.8,
                       explanation=f"Of {count}: {asked}what they refer to is there and a node has room for their pods. "
                                   "Images and what the programs do themselves cannot be known before they run.")  # fmt: skip


def _refusal(of: ObjectRef, words: str) -> Verdict:
    return Verdict(
        status="root_cause",
        title=f"The server refuses {of.kind}/{of.name}: {words}",
        object=of,
        severity="high",
        confidence=0.95,
        explanation=words,
        chain=[ChainStep(object=of, because=f"refused by the server: {words}")],
        fix=[Fix(title="Change in the file what the server names")],
    )


def _in_the_file(verdict: Verdict) -> Verdict:
    """What is not there yet is mended in its file, not with a command."""
    verdict.fix = [
        fix.model_copy(
            update={"title": f"In the file: {fix.title}", "commands": [], "unknown": [*_edits(fix), *fix.unknown]}
        )
        for fix in verdict.fix
    ]
    verdict.mendCheck = "not_checkable"
    return verdict


def _edits(fix: Fix) -> Iterator[str]:
    """Each change as the place in the object and what to put there."""
    for patch in fix.patches:
        for edit in patch.get("operations") or ():
            where = str(edit.get("path", "")).strip("/").replace("/", ".")
            value = json.dumps(edit["value"]) if "value" in edit else "remove it"
            if edit.get("op") != "test":
                yield f"{where}: {value}"


AT_OBJECTS = {
    "PersistentVolumeClaim": ("claim-pending",),
    "Service": ("no-endpoints", "port-unserved"),
    "Ingress": ("route-broken",),
    "HTTPRoute": ("route-broken",),
    "HorizontalPodAutoscaler": ("scaler-blind",),
    "RoleBinding": ("binding-broken",),
    "ClusterRoleBinding": ("binding-broken",),
    "PodDisruptionBudget": ("eviction-blocked",),
}


def manifests(path: str, namespace: str) -> list[dict[str, Any]]:
    """The objects of a file of YAML or JSON documents, each with its namespace."""
    import yaml

    try:
        text = Path(path).read_text("utf-8")
        documents = [each for each in yaml.safe_load_all(text) if each is not None]
    except OSError as problem:
        raise IntellectError(f"cannot read {path}: {problem.strerror}; give -f a file of manifests") from problem
    except (UnicodeDecodeError, yaml.YAMLError) as problem:
        mark = getattr(problem, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        raise IntellectError(f"{path} is not YAML{line}: {getattr(problem, 'problem', None) or problem}") from problem
    found = list(_flat(documents))
    if not found:
        raise IntellectError(f"{path} holds no object; give -f a file of Kubernetes manifests")
    for number, each in enumerate(found, 1):
        meta = each.get("metadata")
        if not (isinstance(meta, dict) and meta.get("name") and each.get("kind") and each.get("apiVersion")):
            raise IntellectError(
                f"document {number} of {path} is no object: it needs apiVersion, kind and metadata.name"
            )
        if _namespaced(each):
            meta.setdefault("namespace", namespace)
    return found


def _flat(documents: Sequence[Any]) -> Iterator[dict[str, Any]]:
    for each in documents:
        if isinstance(each, dict) and isinstance(each.get("items"), list):
            yield from _flat(each["items"])
        elif isinstance(each, dict):
            yield each
        else:
            yield {}


def _namespaced(document: Mapping[str, Any]) -> bool:
    known = KNOWN.get((group_of(str(document["apiVersion"])), str(document["kind"])))
    return known is None or known.namespaced


def ref_of(document: Mapping[str, Any]) -> Ref:
    meta = document["metadata"]
    return Ref(
        group_of(str(document["apiVersion"])), str(document["kind"]), meta.get("namespace") or "", str(meta["name"])
    )


def _numbered(document: Mapping[str, Any]) -> dict[str, Any]:
    """The object as the server would keep it: with a uid, so that a pod can point to it, and no status."""
    meta = dict(document["metadata"])
    meta.setdefault("uid", f"rehearsed-{document['kind']}-{meta['name']}")
    return {
        **document,
        "metadata": meta,
        "status": {"phase": "Pending"} if document["kind"] == "PersistentVolumeClaim" else {},
    }


def _pod_of(whole: Mapping[str, Any], state: State) -> dict[str, Any] | None:
    """One pod of a workload as it would first stand there: no node, nothing started."""
    of = ref_of(whole)
    if of.kind != "Pod" and of.kind not in WORKLOADS:
        return None
    spec = pod_spec(Object(of, whole))
    if not spec:
        return None
    begun = (state.now - timedelta(minutes=5)).isoformat()
    meta: dict[str, Any] = {
        "name": of.name,
        "namespace": of.namespace,
        "creationTimestamp": begun,
        "uid": f"rehearsed-{of.name}",
    }
    if of.kind == "Pod":
        meta |= {key: whole["metadata"][key] for key in ("labels", "annotations") if key in whole["metadata"]}
    else:
        template = _template(whole)
        owner = {
            "apiVersion": whole["apiVersion"],
            "kind": of.kind,
            "name": of.name,
            "controller": True,
            "uid": whole["metadata"]["uid"],
        }
        meta |= {
            "name": f"{of.name}-rehearsed",
            "ownerReferences": [owner],
            **{key: template[key] for key in ("labels", "annotations") if template.get(key)},
        }
    waiting = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "lastTransitionTime": begun}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "spec": dict(spec),
        "status": {"phase": "Pending", "conditions": [waiting]},
    }


def _template(whole: Mapping[str, Any]) -> Mapping[str, Any]:
    spec = whole.get("spec") or {}
    inner = (spec.get("jobTemplate") or {}).get("spec") or spec
    return (inner.get("template") or {}).get("metadata") or {}


def _said(state: State, of: Ref, uid: str, refusal: str) -> Fetched:
    """The refusal as the controllers would tell it."""
    at = state.now.isoformat()
    about = {
        "apiVersion": f"{of.group}/v1" if of.group else "v1",
        "kind": of.kind,
        "namespace": of.namespace,
        "name": of.name,
        "uid": uid,
    }
    told = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": f"{of.name}.rehearsed", "namespace": of.namespace, "creationTimestamp": at},
            "reason": "FailedCreate", "type": "Warning", "message": f"Error creating: {refusal}", "involvedObject": about,
            "firstTimestamp": at, "lastTimestamp": at, "count": 1}  # fmt: skip
    read: Read = list_of("Event", of.namespace, fields=f"involvedObject.name={of.name}")
    return Fetched(read, (told,), requests=0)


__all__ = ["Rehearsal", "manifests", "ref_of"]
