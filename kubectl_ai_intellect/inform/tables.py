"""What all tables of answers share: columns, ages, which pods are meant, and what could not be read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from kubectl_ai_intellect.kube.refs import GROUP_OF, KNOWN, Ref
from kubectl_ai_intellect.kube.source import Object
from kubectl_ai_intellect.question import Asked, Resolution
from kubectl_ai_intellect.report import ObjectRef, Table
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.relations import Relation, near, pods_of

ROWS = 200
"""More rows than this are not printed; the text and the command say how to see them."""


@dataclass(frozen=True, slots=True)
class Question:
    """An information question with everything its answer is made from."""

    state: State
    asked: Asked
    resolution: Resolution
    namespace: str  # "" for all

    @property
    def target(self) -> Ref | None:
        return self.resolution.target or next(iter(self.resolution.candidates), None)

    @property
    def text(self) -> str:
        return self.asked.text.lower()

    @property
    def flag(self) -> str:
        """The words of a kubectl command that say where."""
        space = self.target.namespace if self.target and self.target.namespace else self.namespace
        return f"-n {space}" if space else "-A"

    @property
    def where(self) -> str:
        """ "in namespace shop", "of Deployment/web", as the end of a sentence."""
        target = self.target
        if target is not None and target.kind == "Node":
            return f"on node {target.name}"
        if target is not None:
            return f"of {target.short}" + (f" in namespace {target.namespace}" if target.namespace else "")
        return f"in namespace {self.namespace}" if self.namespace else "in the cluster"

    def pods(self) -> list[Object]:
        return pods_meant(self.state, self.target, self.namespace)


def pods_meant(state: State, target: Ref | None, namespace: str) -> list[Object]:
    """The pods of the object meant, or of the whole scope."""
    if target is None or target.kind == "Namespace":
        return list(state.all("Pod", target.name if target else namespace or None))
    if target.kind == "Node":
        return [pod for pod in state.all("Pod") if pod.spec.get("nodeName") == target.name]
    direct = pods_of(state, target)
    if direct:
        return direct
    if target.kind in ("Service", "NetworkPolicy", "PodDisruptionBudget"):
        refs = near(state, target, Relation.SELECTS)
    elif target.kind == "Ingress":
        refs = [
            pod for service in near(state, target, Relation.ROUTES) for pod in near(state, service, Relation.SELECTS)
        ]
    elif target.kind == "HorizontalPodAutoscaler":
        return [pod for each in near(state, target, Relation.SCALES) for pod in pods_of(state, each)]
    elif target.kind == "ServiceAccount":
        refs = near(state, target, Relation.USES, back=True)
    else:
        refs = near(state, target, Relation.MOUNTS, back=True)
    found = [state.find(each) for each in dict.fromkeys(refs) if each.kind == "Pod"]
    return [each for each in found if each is not None]


def unread(state: State, kinds: Iterable[str], namespace: str) -> list[str]:
    """ "cannot list nodes: forbidden" for every kind whose list is not known, or not in full."""
    told: list[str] = []
    for kind in kinds:
        resource = KNOWN[GROUP_OF.get(kind, ""), kind]
        listing = state.all(kind, namespace if resource.namespaced else None)
        where = f" in namespace {namespace}" if resource.namespaced and namespace else ""
        if listing.complete and listing.unread is None:  # an Unread is falsy: only None means read
            continue
        if listing.unread is None:
            told.append(f"only the first {len(listing)} {resource.plural}{where} were read")
        elif listing.unread.why == "unread":
            told.append(f"{resource.plural}{where} were not read")
        elif listing.unread.why == "not-served":
            told.append(f"cannot list {resource.plural}: this cluster does not serve them")
        else:
            told.append(f"cannot list {resource.plural}{where}: {listing.unread.why}")
    return told


def blind(question: Question, *kinds: str) -> Table | None:
    """The answer where nothing of a kind could be read: why not, and no table that looks like "none"."""
    gaps = unread(question.state, kinds, question.namespace)
    nothing = not any(question.state.all(kind, question.namespace or None) for kind in kinds)
    if not gaps or not nothing:
        return None
    return Table(status="declined", text="; ".join(gaps))


def table(
    text: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    command: str,
    *,
    gaps: Sequence[str] = (),
    limit: int = ROWS,
) -> Table:
    """An answered table. A first column NAMESPACE stays only where rows are of several namespaces."""
    cells = [[str(cell) for cell in row] for row in rows]
    heads = list(columns)
    if heads and heads[0] == "NAMESPACE" and len({row[0] for row in cells}) <= 1:
        heads, cells = heads[1:], [row[1:] for row in cells]
    if len(cells) > limit:
        text += f" (the first {limit} of {len(cells)} rows are shown)"
    return Table(
        status="answered",
        text="; ".join([text, *gaps]),
        columns=heads if cells else [],
        rows=cells[:limit],
        command=command,
    )


def age(state: State, then: datetime | None) -> str:
    return span(state.now - then) if then else "<unknown>"


def span(time: timedelta) -> str:
    """A duration as kubectl prints ages: 45s, 12m, 5h, 3d."""
    seconds = max(int(time.total_seconds()), 0)
    for unit, size, upto in (("s", 1, 120), ("m", 60, 7200), ("h", 3600, 172800)):
        if seconds < upto:
            return f"{seconds // size}{unit}"
    return f"{seconds // 86400}d"


def some(count: int, one: str, many: str = "") -> str:
    """ "1 pod", "3 pods"."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def be(count: int) -> str:
    return "is" if count == 1 else "are"


def listed(names: Sequence[str], most: int = 4) -> str:
    """A few names in a sentence, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def pointed(target: Ref) -> ObjectRef:
    resource = KNOWN.get((target.group, target.kind))
    version = resource.api_version if resource else f"{target.group}/v1" if target.group else "v1"
    return ObjectRef(apiVersion=version, kind=target.kind, namespace=target.namespace or None, name=target.name)


__all__ = [
    "ROWS",
    "Question",
    "age",
    "be",
    "blind",
    "listed",
    "pods_meant",
    "pointed",
    "some",
    "span",
    "table",
    "unread",
]
