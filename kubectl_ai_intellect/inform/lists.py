"""Any kind as a list like kubectl's, how many there are, and which are not ready."""

from __future__ import annotations

from collections.abc import Callable

from kubectl_ai_intellect.inform import pods
from kubectl_ai_intellect.inform.columns import COLUMNS, cells, healthy
from kubectl_ai_intellect.inform.tables import Question, age, be, listed, some, table, unread
from kubectl_ai_intellect.kube.refs import GROUP_OF, KNOWN, Resource
from kubectl_ai_intellect.kube.source import Object
from kubectl_ai_intellect.report import Table
from kubectl_ai_intellect.state.pods import is_ready
from kubectl_ai_intellect.state.relations import WORKLOADS, Relation, near


def _kind(question: Question, otherwise: str = "Pod") -> str:
    kind = question.asked.kind
    return kind if kind and kind in GROUP_OF else otherwise


def _resource(kind: str) -> Resource:
    return KNOWN[GROUP_OF.get(kind, ""), kind]


def _words(kind: str, count: int) -> str:
    """ "1 pod", "3 network policies"."""
    resource = _resource(kind)
    return f"{count} {kind.lower() if count == 1 else resource.plural}"


def _items(question: Question, kind: str) -> list[Object]:
    """The objects of a kind that are meant: of the scope, of an app, or the one object asked about."""
    state, target = question.state, question.target
    if kind == "Pod":
        return question.pods()
    if target is not None and target.kind == kind:
        found = state.find(target)
        return [found] if found else []
    found = list(state.all(kind, question.namespace if _resource(kind).namespaced else None))
    if target is not None and target.kind not in ("Namespace", "Node"):
        mine = {*near(state, target, Relation.OWNS), *near(state, target, Relation.SELECTS, back=True),
                *near(state, target, Relation.MOUNTS), *near(state, target, Relation.SCALES, back=True)}  # fmt: skip
        return [each for each in found if each.ref in mine]
    return found


def _blind(question: Question, kind: str, items: list[Object]) -> Table | None:
    gaps = unread(question.state, [kind], question.namespace)
    return Table(status="declined", text="; ".join(gaps)) if gaps and not items else None


def _listed(question: Question, kind: str, text: str, items: list[Object]) -> Table:
    state = question.state
    items = sorted(items, key=lambda each: each.ref)
    flag = f" {question.flag}" if _resource(kind).namespaced else ""
    rows = [[each.ref.namespace, *cells(state, each), age(state, each.created)] for each in items]
    columns = ["NAMESPACE", *COLUMNS.get(kind, ("NAME",)), "AGE"]
    gaps = unread(state, [kind], question.namespace)
    return table(text, columns, rows, f"kubectl get {_resource(kind).argument}{flag}", gaps=gaps)


def listing(question: Question) -> Table:
    """A list like `kubectl get`, with a line that sums it up."""
    kind = _kind(question, "")
    if not kind:
        return Table(status="declined", text="say what to list: for example, list deployments")
    state_asked = pods.wanted(_beside(question)) if kind == "Pod" else None
    if state_asked is not None:
        return pods.selected(question, *state_asked)
    items = _items(question, kind)
    nothing = _blind(question, kind, items)
    if nothing:
        return nothing
    text = f"{_words(kind, len(items))} {_where(question, kind)}"
    ill = [each for each in items if not healthy(each)]
    if ill:
        text += f"; {len(ill)} {be(len(ill))} not ready: {listed([each.ref.name for each in ill])}"
    return _listed(question, kind, text, items)


def _where(question: Question, kind: str) -> str:
    target = question.target
    if target is not None and target.kind == kind:
        return f"in namespace {target.namespace}" if target.namespace else "in the cluster"
    return question.where if _resource(kind).namespaced else "in the cluster"


def _beside(question: Question) -> str:
    """The question's words without its names, so that a pod called ready-maker asks for no state."""
    text = question.text
    for name in question.asked.sure:
        text = text.replace(name, " ")
    return text.replace("containers ready", "")


def count(question: Question) -> Table:
    """How many there are, or how many of them are in the state that is asked for."""
    text = _beside(question)
    if "restart" in text:
        return pods.restarts(question)
    if "image" in text:
        from kubectl_ai_intellect.inform.workloads import images

        return images(question)
    if question.asked.kind is None and not _countable(question, text):
        return Table(status="declined", text="say what to count: for example, how many pods are not ready")
    kind = _kind(question)
    if kind == "Pod":
        state_asked = pods.wanted(text)
        if state_asked is not None:
            return pods.selected(question, *state_asked)
    items = _items(question, kind)
    nothing = _blind(question, kind, items)
    if nothing:
        return nothing
    if any(
        word in text
        for word in (
            "not ready",
            "unready",
            "unhealthy",
            "failing",
            "failed",
            "broken",
            "down",
            "pending",
            "not running",
        )
    ):
        return _unready(question, kind, items)
    if kind == "Pod":
        ready = sum(is_ready(each) for each in items)
        return _listed(question, kind, f"{_words(kind, len(items))} {question.where}, {ready} ready", items)
    return _listed(question, kind, f"{_words(kind, len(items))} {_where(question, kind)}", items)


def _countable(question: Question, text: str) -> bool:
    """Pods are what is counted where the words name a workload, replicas or instances."""
    target = question.target
    return any(word in text for word in ("replica", "instance", "copies")) or (
        target is not None and target.kind in WORKLOADS
    )


def _unready(question: Question, kind: str, items: list[Object]) -> Table:
    ill = [each for each in items if not healthy(each)]
    where = _where(question, kind)
    return _listed(question, kind, f"{len(ill)} of {_words(kind, len(items))} {where} {be(len(ill))} not ready", ill)


def not_ready(question: Question) -> Table:
    """Which are not ready (or crash, or pend: as asked)."""
    kind = _kind(question)
    if kind == "Pod":
        return pods.selected(question, *(pods.wanted(_beside(question)) or ("not ready", pods.unwell)))
    items = _items(question, kind)
    return _blind(question, kind, items) or _unready(question, kind, items)


def ready(question: Question) -> Table:
    """Yes or no, and of how many."""
    target = question.target
    kind = target.kind if target is not None else _kind(question)
    if kind in WORKLOADS | {"Pod", "Service", "Ingress"} or (target is None and kind == "Pod"):
        return _pods_ready(question)
    items = _items(question, kind)
    nothing = _blind(question, kind, items)
    if nothing:
        return nothing
    ill = [each for each in items if not healthy(each)]
    verdict = "no" if ill or not items else "yes"
    text = f"{verdict}: {len(items) - len(ill)} of {_words(kind, len(items))} {_where(question, kind)} {be(len(items) - len(ill))} ready"
    return _listed(question, kind, text, items)


def _pods_ready(question: Question) -> Table:
    found = [pod for pod in question.pods() if pods.status(pod) != "Completed"]
    nothing = _blind(question, "Pod", found)
    if nothing:
        return nothing
    good = sum(is_ready(pod) for pod in found)
    judge: Callable[[Object], bool] = healthy
    whole = question.state.find(question.target) if question.target is not None else None
    verdict = "yes" if found and good == len(found) and (whole is None or judge(whole)) else "no"
    text = f"{verdict}: {good} of {some(len(found), 'pod')} {question.where} {be(good)} ready"
    return _listed(question, "Pod", text, found)


def version(question: Question) -> Table:
    """The versions that the API server's own pod and the nodes' kubelets tell."""
    state = question.state
    server = sorted({
        each.get("image", "").rpartition(":")[2]
        for pod in state.all("Pod", "kube-system")
        if pod.labels.get("component") == "kube-apiserver"
        for each in pod.spec.get("containers") or ()
    })  # fmt: skip
    nodes = list(state.all("Node"))
    kubelets: dict[str, int] = {}
    for node in nodes:
        told = (node.status.get("nodeInfo") or {}).get("kubeletVersion") or "unknown"
        kubelets[told] = kubelets.get(told, 0) + 1
    gaps = unread(state, ["Node"], "")
    if not server and not kubelets:
        return Table(status="declined", text="; ".join([*(gaps or ["no nodes were read"]), "kubectl version tells it"]))
    said = [f"the API server is {', '.join(server)}"] if server else []
    said += (
        [f"nodes run {', '.join(f'{name} ({count})' for name, count in sorted(kubelets.items()))}"] if kubelets else []
    )
    rows = [["kube-apiserver", each, ""] for each in server]
    rows += [["kubelet", name, some(count, "node")] for name, count in sorted(kubelets.items())]
    return table("; ".join(said), ["COMPONENT", "VERSION", "WHERE"], rows, "kubectl version", gaps=gaps)


__all__ = ["count", "listing", "not_ready", "ready", "version"]
