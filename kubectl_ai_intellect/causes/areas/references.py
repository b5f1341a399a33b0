"""Pods that name a scheduler, a priority class or a runtime class that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from kubectl_ai_intellect.causes.base import Fact, Finding, Mend, Symptom, cause
from kubectl_ai_intellect.causes.facts import field, listed, not_there, told
from kubectl_ai_intellect.causes.near import nearest
from kubectl_ai_intellect.causes.needs import lists, owners, together
from kubectl_ai_intellect.causes.refusals import refusals
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.state.edits import remove_field, set_field
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import pod_spec, spec_path
from kubectl_ai_intellect.state.relations import workload_of

DEFAULT_SCHEDULER = "default-scheduler"
NO_PRIORITY = re.compile(r"no PriorityClass with name \"?([\w.-]+)\"? was found")
NO_RUNTIME = re.compile(
    r"RuntimeClass(?:\.node\.k8s\.io)? \"([\w.-]+)\" not found|runtimeclass(?:\.node\.k8s\.io|es\.node\.k8s\.io)? \"([\w.-]+)\" not found"
)
NO_HANDLER = re.compile(r"no runtime for \"([\w.-]+)\" is configured|[Rr]untime[Hh]andler \"?([\w.-]+)\"? (?:is )?not (?:supported|found)|"
                        r"failed to find runtime handler ([\w.-]+)")  # fmt: skip


# -- schedulers --------------------------------------------------------------------------------------------------------


def scheduler_of(state: State, at: Ref) -> str:
    found = state.find(at)
    return str(pod_spec(found).get("schedulerName") or DEFAULT_SCHEDULER) if found else DEFAULT_SCHEDULER


def _at_work(state: State, name: str) -> bool:
    """Whether any sign is seen of a scheduler: its lease, a pod of it, an event of it, a pod that it placed."""
    if any(name in each.ref.name for kind in ("Lease", "Deployment") for each in state.all(kind, "kube-system")):
        return True
    for pod in state.all("Pod"):
        if pod.spec.get("schedulerName") == name and pod.spec.get("nodeName"):
            return True
        if pod.ref.name.startswith(name) and pod.spec.get("nodeName"):
            return True
    return any(one.component == name and one.reason in ("Scheduled", "FailedScheduling") for one in state.every_event)


def _unserved(state: State, at: Ref) -> bool:
    name = scheduler_of(state, at)
    return name != DEFAULT_SCHEDULER and not _at_work(state, name)


@cause("scheduling/scheduler-missing", "pod-unscheduled", needs=together(owners, lists("Node")), holds=_unserved)
def scheduler_missing(state: State, symptom: Symptom) -> Iterable[Finding]:
    pod = state.find(symptom.at)
    name = scheduler_of(state, symptom.at)
    if pod is None or name == DEFAULT_SCHEDULER or pod.condition("PodScheduled") or _at_work(state, name):
        return
    workload = workload_of(state, symptom.at)
    yield Finding(
        "scheduling/scheduler-missing", workload, "likely",
        f"the pods of {workload.short} ask for the scheduler {name}, and no scheduler of that name has looked at them: "
        "there is no word from one, and no sign of it in the cluster",
        supports=(field(pod, f"spec.schedulerName is {name}"), field(pod, "no condition PodScheduled, and no event from a scheduler"),
                  listed("Lease", "kube-system", f"no scheduler holds a lease named like {name}")),
        mends=(Mend("Use the cluster's own scheduler",
                    (set_field(workload, *spec_path(workload.kind), "schedulerName", value=DEFAULT_SCHEDULER),),
                    unknown=(f"whether {name} was to be installed: then install it instead",)),), weight=0.6,
    )  # fmt: skip


# -- classes -----------------------------------------------------------------------------------------------------------


def _refused(state: State, workload: Ref, words: re.Pattern[str]) -> Iterator[tuple[str, Fact]]:
    for refusal in refusals(state, workload):
        match = words.search(refusal.words)
        if match:
            yield next(each for each in match.groups() if each), refusal.fact


def _named(state: State, at: Ref, kind: str, field_name: str) -> bool:
    """Whether a workload's template names a class that does not exist."""
    found = state.find(at)
    name = pod_spec(found).get(field_name) if found else None
    return bool(name) and state.absent(ref(kind, "", str(name)))


def _class_missing(
    state: State, id: str, workload: Ref, kind: str, field_name: str, name: str, fact: Fact
) -> Iterator[Finding]:
    target = ref(kind, "", name)
    near = nearest(name, [each.ref.name for each in state.all(kind) if not each.ref.name.startswith("system-")])
    path = (*spec_path(workload.kind), field_name)
    mends: list[Mend] = []
    if near:
        mends.append(Mend(f"Use the {kind} {near}, which exists", (set_field(workload, *path, value=near),)))
    mends.append(Mend(f"Do without a {kind}", (remove_field(workload, *path),), risk="medium",
                      unknown=(f"whether {kind} {name} was to be installed: then create it instead",)))  # fmt: skip
    gone = (not_there(target),) if state.absent(target) else ()
    yield Finding(
        id, workload, "proved",
        f"the pods of {workload.short} are refused, because they name the {kind} {name}, which does not exist"
        + (f"; {near} does" if near else ""),
        supports=(fact, field(workload, f"{field_name} is {name}"), *gone), mends=tuple(mends), weight=0.5,
    )  # fmt: skip


@cause("scheduling/priority-class-missing", "create-refused", needs=lists("PriorityClass"),
       holds=lambda state, at: _named(state, at, "PriorityClass", "priorityClassName"))  # fmt: skip
def priority_class_missing(state: State, symptom: Symptom) -> Iterable[Finding]:
    for name, fact in _refused(state, symptom.at, NO_PRIORITY):
        yield from _class_missing(state, "scheduling/priority-class-missing", symptom.at, "PriorityClass",
                                  "priorityClassName", name, fact)  # fmt: skip
        return


@cause("scheduling/runtime-class-missing", "create-refused", "pod-stuck-creating", needs=lists("RuntimeClass"),
       holds=lambda state, at: _named(state, at, "RuntimeClass", "runtimeClassName"))  # fmt: skip
def runtime_class_missing(state: State, symptom: Symptom) -> Iterable[Finding]:
    if symptom.kind == "create-refused":
        for name, fact in _refused(state, symptom.at, NO_RUNTIME):
            yield from _class_missing(state, "scheduling/runtime-class-missing", symptom.at, "RuntimeClass",
                                      "runtimeClassName", name, fact)  # fmt: skip
            return
        return
    pod = state.find(symptom.at)
    for one in state.events(symptom.at) if pod else ():
        match = NO_HANDLER.search(one.message) if one.reason == "FailedCreatePodSandBox" else None
        if match and pod is not None and pod.spec.get("runtimeClassName"):
            workload = workload_of(state, symptom.at)
            handler = next(each for each in match.groups() if each)
            name = pod.spec["runtimeClassName"]
            yield Finding(
                "scheduling/runtime-class-missing", workload, "proved",
                f"the pods of {workload.short} ask for the RuntimeClass {name}, whose handler {handler} is not configured on "
                f"node {pod.spec.get('nodeName')}",
                supports=(told(one), field(pod, f"spec.runtimeClassName is {name}")),
                mends=(Mend("Do without a RuntimeClass", (remove_field(workload, *spec_path(workload.kind), "runtimeClassName"),),
                            risk="medium", unknown=(f"whether the nodes should have {handler}: then configure it in their runtime",)),),
                weight=0.7,
            )  # fmt: skip
            return


__all__ = ["scheduler_of"]
