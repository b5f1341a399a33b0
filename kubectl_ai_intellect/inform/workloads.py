"""Which images workloads run, and what their containers request and are limited to."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_ai_intellect.inform.tables import Question, blind, listed, some, table, unread
from kubectl_ai_intellect.kube.source import Object, dig
from kubectl_ai_intellect.report import Table
from kubectl_ai_intellect.state.pods import containers, declared_containers
from kubectl_ai_intellect.state.relations import WORKLOADS, workload_of

_KINDS = ("Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job")


def _meant(question: Question) -> list[Object]:
    """The workloads (or bare pods) that a question is about, by name."""
    state, target = question.state, question.target
    if target is not None and target.kind in (*WORKLOADS, "Pod"):
        found = state.find(target)
        return [found] if found else []
    owners = {workload_of(state, pod.ref) for pod in question.pods()}
    if target is None and question.asked.kind != "Pod":
        owners |= {each.ref for kind in _KINDS for each in state.all(kind, question.namespace or None)
                   if not (kind == "Job" and each.meta.get("ownerReferences"))}  # fmt: skip
    found = [state.find(each) for each in sorted(owners, key=lambda each: (each.namespace, each.kind, each.name))]
    return [each for each in found if each is not None]


def images(question: Question) -> Table:
    """Workload, container, image as declared; and, where pods run another one, that too."""
    nothing = blind(question, "Pod", *_KINDS[:3])
    if nothing:
        return nothing
    rows = [line for each in _meant(question) for line in _images(question, each)]
    found = sorted({str(line[3]) for line in rows})
    text = (
        f"{some(len(found), 'image')} {question.where}: {listed(found)}" if found else f"no containers {question.where}"
    )
    if question.target is not None and found:
        text = f"{question.target.short} runs {listed(found)}"
    columns = ["NAMESPACE", "WORKLOAD", "CONTAINER", "IMAGE", "PULLED"]
    return table(text, columns, rows, _command(question), gaps=unread(question.state, ["Pod"], question.namespace))


def _command(question: Question) -> str:
    target = question.target
    if target is not None and target.kind in (*WORKLOADS, "Pod"):
        return f"kubectl get {target.kind.lower()} {target.name} {question.flag} -o yaml"
    return f"kubectl get {','.join(f'{kind.lower()}s' for kind in _KINDS[:4])} {question.flag} -o wide"


def _images(question: Question, owner: Object) -> Iterator[list[object]]:
    from kubectl_ai_intellect.inform.tables import pods_meant

    pods = pods_meant(question.state, owner.ref, owner.ref.namespace)
    for spec in declared_containers(owner):
        name = spec.get("name", "")
        mine = [each for pod in pods for each in containers(pod) if each.name == name]
        running = sorted({each.image for each in mine if each.image and each.image != spec.get("image")})
        pulled = sum(bool(each.status.get("imageID")) for each in mine)
        told = f"{pulled}/{len(mine)} pods" if mine else "no pods"
        other = f"; pods still run {listed(running)}" if running else ""
        yield [owner.ref.namespace, owner.ref.short, name, spec.get("image", ""), told + other]


def resources(question: Question) -> Table:
    """What containers request and are limited to; those without a limit where that is asked."""
    nothing = blind(question, "Pod", *_KINDS[:3])
    if nothing:
        return nothing
    lacking = any(word in question.text for word in (" no ", "without", "missing", "don't", "do not", "lack"))
    field = "requests" if "request" in question.text and "limit" not in question.text else "limits"
    rows: list[list[object]] = []
    total = without = 0
    for owner in _meant(question):
        for spec in declared_containers(owner):
            total += 1
            bare = not dig(spec, "resources", field)
            without += bare
            if lacking and not bare:
                continue
            cells = [dig(spec, "resources", kind, what, otherwise="-")
                     for what in ("cpu", "memory") for kind in ("requests", "limits")]  # fmt: skip
            rows.append([owner.ref.namespace, owner.ref.short, spec.get("name", ""), *cells])
    text = f"{without} of {some(total, 'container')} {question.where} {'has' if without == 1 else 'have'} no {field}"
    if question.target is not None and len(rows) == 1 and not lacking:
        cells = rows[0][3:]
        text = f"{question.target.short} requests cpu {cells[0]}, memory {cells[2]}; limits cpu {cells[1]}, memory {cells[3]}"
    columns = ["NAMESPACE", "WORKLOAD", "CONTAINER", "CPU REQUEST", "CPU LIMIT", "MEMORY REQUEST", "MEMORY LIMIT"]
    return table(text, columns, rows, _command(question).replace("-o wide", "-o yaml"),
                 gaps=unread(question.state, ["Pod"], question.namespace))  # fmt: skip


__all__ = ["images", "resources"]
