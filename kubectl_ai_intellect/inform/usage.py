"""Who uses how much processor and memory, from the metrics API."""

from __future__ import annotations

from kubectl_ai_intellect.causes.symptoms.objects import quantity
from kubectl_ai_intellect.inform.tables import Question, some, table
from kubectl_ai_intellect.kube.refs import GROUP_OF
from kubectl_ai_intellect.kube.source import Object, Read, Unread, dig, list_of
from kubectl_ai_intellect.question import Asked
from kubectl_ai_intellect.report import Table

_INSTALL = "kubectl apply -f https://github.com/kubernetes-sigs/metrics-server/releases/latest/download/components.yaml"


def _nodes(asked: Asked) -> bool:
    return asked.kind == "Node"


def needs(asked: Asked, namespace: str) -> list[Read]:
    if _nodes(asked):
        return [list_of("NodeMetrics"), list_of("Node")]
    return [list_of("PodMetrics", namespace)]


def usage(question: Question) -> Table:
    """Pods or nodes by what they use now, the greediest first."""
    kind = "NodeMetrics" if _nodes(question.asked) else "PodMetrics"
    listing = question.state.all(kind, question.namespace if kind == "PodMetrics" else None)
    if not listing and (listing.unread is not None or not listing.complete):
        missing = listing.unread if listing.unread is not None else Unread(list_of(kind).of)
        return _without(question, kind, missing)
    return _of_nodes(question) if kind == "NodeMetrics" else _of_pods(question)


def _without(question: Question, kind: str, unread: Unread) -> Table:
    what = "node" if kind == "NodeMetrics" else "pod"
    if unread.why == "forbidden":
        group = GROUP_OF[kind]
        return Table(
            status="answered",
            text=f"cannot list {what} metrics: forbidden; it takes the right to list {what}s of {group}",
        )
    text = f"no metrics API answers in this cluster ({unread.why}), so nobody can say what is used; metrics-server provides one"
    return Table(
        status="answered",
        text=f"{text}: {_INSTALL}",
        command=f"kubectl top {what} {'' if what == 'node' else question.flag}".rstrip(),
    )


def _by_memory(question: Question) -> bool:
    return "memory" in question.text or "ram" in question.text.split()


def _of_pods(question: Question) -> Table:
    state = question.state
    meant = {pod.ref for pod in question.pods()} if question.target else None
    found: list[tuple[float, float, Object]] = []
    for each in state.all("PodMetrics", question.namespace or None):
        pod = each.ref._replace(group="", kind="Pod")
        if meant is not None and pod not in meant:
            continue
        used = [dig(one, "usage", otherwise={}) for one in each.raw.get("containers") or ()]
        found.append(
            (sum(quantity(one.get("cpu")) for one in used), sum(quantity(one.get("memory")) for one in used), each)
        )
    first = 1 if _by_memory(question) else 0
    found.sort(key=lambda each: (-(each[1] if first else each[0]), each[2].ref))
    rows: list[list[str]] = []
    for cpu, memory, each in found:
        pod = state.find(each.ref._replace(group="", kind="Pod"))
        rows.append(
            [
                each.ref.namespace,
                each.ref.name,
                cores(cpu),
                size(memory),
                _share(cpu, pod, "cpu"),
                _share(memory, pod, "memory"),
            ]
        )
    text = f"{some(len(found), 'pod')} {question.where} " + ("uses" if len(found) == 1 else "use")
    text += f" {cores(sum(each[0] for each in found))} cpu and {size(sum(each[1] for each in found))} memory"
    if len(found) > 1:
        top = found[0]
        text += f"; most {'memory' if first else 'cpu'}: {top[2].ref.name} ({size(top[1]) if first else cores(top[0])})"
    columns = ["NAMESPACE", "NAME", "CPU", "MEMORY", "CPU OF LIMIT", "MEMORY OF LIMIT"]
    command = f"kubectl top pod {question.flag} --sort-by={'memory' if first else 'cpu'}"
    return table(text, columns, rows, command)


def _share(used: float, pod: Object | None, what: str) -> str:
    """Of the limit; nothing where a container has none."""
    limits = [dig(each, "resources", "limits", what) for each in (pod.spec.get("containers") or () if pod else ())]
    if not limits or any(each is None for each in limits):
        return "no limit"
    whole = sum(quantity(each) for each in limits)
    return f"{used / whole:.0%}" if whole else ""


def _of_nodes(question: Question) -> Table:
    state, target = question.state, question.target
    rows: list[tuple[float, list[str]]] = []
    for each in state.all("NodeMetrics"):
        if target is not None and target.kind == "Node" and each.ref.name != target.name:
            continue
        node = state.find(each.ref._replace(group="", kind="Node"))
        cpu, memory = (quantity(dig(each.raw, "usage", what)) for what in ("cpu", "memory"))
        shares = [_part(used, node, what) for used, what in ((cpu, "cpu"), (memory, "memory"))]
        rows.append(
            (memory if _by_memory(question) else cpu, [each.ref.name, cores(cpu), shares[0], size(memory), shares[1]])
        )
    rows.sort(key=lambda each: (-each[0], each[1][0]))
    by = "memory" if _by_memory(question) else "cpu"
    text = some(len(rows), "node") + (
        f"; most {by}: {rows[0][1][0]} ({rows[0][1][3 if by == 'memory' else 1]})" if rows else ""
    )
    return table(text, ["NAME", "CPU", "CPU OF NODE", "MEMORY", "MEMORY OF NODE"], [row for _, row in rows],
                 f"kubectl top node --sort-by={by}")  # fmt: skip


def _part(used: float, node: Object | None, what: str) -> str:
    whole = quantity(dig(node.status, "allocatable", what)) if node else 0.0
    return f"{used / whole:.0%}" if whole else ""


def cores(value: float) -> str:
    return f"{round(value * 1000)}m"


def size(value: float) -> str:
    return f"{round(value / 2**20)}Mi"


__all__ = ["cores", "needs", "size", "usage"]
