"""Control plane components that are not at work, and aggregated APIs that nobody serves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from kubectl_ai_intellect.causes.base import Fact, Finding, Mend, Symptom, cause
from kubectl_ai_intellect.causes.facts import field, listed, not_there
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Object, Read, dig, get_of, list_of, logs_of, when
from kubectl_ai_intellect.state.edits import Patch, set_field
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import containers, phase


def _lease_fact(state: State, name: str) -> Fact | None:
    lease = state.find(ref("Lease", "kube-system", name))
    renewed = when(lease.spec.get("renewTime")) if lease else None
    if lease is None or renewed is None:
        return None
    age = int((state.now - renewed).total_seconds())
    return field(
        lease, f"lease {name}, held by {lease.spec.get('holderIdentity') or 'nobody'}, was renewed last {age} s ago"
    )


def _own_pod(state: State, at: Ref) -> list[Fact]:
    """What its own pod says, where the component runs as one."""
    pod = state.find(at)
    if pod is None:
        return []
    return [field(pod, f"container {each.name}: {each.waiting.get('reason') or each.death.get('reason')} "
                       f"{each.waiting.get('message') or each.death.get('message') or ''}".strip())
            for each in containers(pod) if each.waiting or each.death][:1]  # fmt: skip


def _restart(at: Ref, name: str) -> Mend:
    advice = (logs_of(at.at(name)),) if at.kind == "Pod" else (get_of(ref("Lease", "kube-system", name)),)
    return Mend(f"On the control plane: start {name} again and read why it ended (its static pod's manifest in "
                "/etc/kubernetes/manifests, or its service)", advice=advice, risk="medium")  # fmt: skip


def _silent_pods(state: State) -> list[Object]:
    """Pods that no scheduler said a word about: no condition, no event, no node, no gate, of the default scheduler."""
    return [
        pod for pod in state.all("Pod")
        if phase(pod) in ("Pending", "") and not pod.spec.get("nodeName") and not pod.condition("PodScheduled")
        and pod.spec.get("schedulerName", "default-scheduler") == "default-scheduler"
        and not pod.spec.get("schedulingGates")
        and not any(event.reason in ("FailedScheduling", "Scheduled") for event in state.events(pod.ref))
    ]  # fmt: skip


@cause("controlplane/scheduler-down", "component-silent", "pod-unscheduled")
def scheduler_down(state: State, symptom: Symptom) -> Iterable[Finding]:
    name = "kube-scheduler"
    if symptom.kind == "pod-unscheduled":
        yield from _nobody_schedules(state, symptom)
        return
    fact = _lease_fact(state, name)
    if symptom.note != name or fact is None:
        return
    silent = _silent_pods(state)
    facts = [fact, *_own_pod(state, symptom.at)]
    facts += [
        field(pod, f"{pod.ref.name} is Pending without a PodScheduled condition or a scheduling event")
        for pod in silent[:2]
    ]
    yield Finding(
        "controlplane/scheduler-down", symptom.at, "proved",
        "no kube-scheduler is at work (its lease has run out), so no pod gets a node"
        + (f": {len(silent)} wait without a word" if silent else ""),
        supports=tuple(facts), mends=(_restart(symptom.at, name),), since=symptom.since,
    )  # fmt: skip


def _nobody_schedules(state: State, symptom: Symptom) -> Iterator[Finding]:
    """Where the lease cannot be read (a managed control plane), the silence alone speaks, more softly."""
    pod = state.find(symptom.at)
    lease = ref("Lease", "kube-system", "kube-scheduler")
    if pod is None or state.find(lease) is not None or pod not in _silent_pods(state):
        return
    if not state.events_known(pod.ref.namespace) or state.within(pod.created, seconds=60):
        return
    yield Finding(
        "controlplane/scheduler-down", Ref("", "Component", "", "kube-scheduler"), "likely",
        f"{pod.ref.name} has waited without a word from a scheduler: nobody schedules",
        supports=(field(pod, f"{pod.ref.name} is Pending without a PodScheduled condition"),
                  listed("Event", pod.ref.namespace, f"there is no scheduling event for {pod.ref.name}")),
        mends=(_restart(Ref("", "Component", "", "kube-scheduler"), "kube-scheduler"),),
    )  # fmt: skip


def _ignored(state: State) -> list[Fact]:
    """Objects whose controller has not acted on what was declared."""
    facts: list[Fact] = []
    for each in state.all("Deployment"):
        seen, newest = int(each.status.get("observedGeneration") or 0), int(each.meta.get("generation") or 0)
        if seen < newest:
            facts.append(field(each, f"{each.ref.short} is at generation {newest}, observedGeneration is {seen}"))
    for each in state.all("ReplicaSet"):
        wanted = each.spec.get("replicas") or 0
        if wanted and not each.status.get("observedGeneration"):
            facts.append(field(each, f"{each.ref.short} wants {wanted} pods and nobody made one"))
    facts += [field(each, f"{each.ref.short} was never started") for each in state.all("Job")
              if not each.status.get("startTime") and not each.spec.get("suspend")]  # fmt: skip
    return facts


@cause("controlplane/controller-manager-down", "component-silent")
def controller_manager_down(state: State, symptom: Symptom) -> Iterable[Finding]:
    name = "kube-controller-manager"
    fact = _lease_fact(state, name)
    if symptom.note != name or fact is None:
        return
    ignored = _ignored(state)
    yield Finding(
        "controlplane/controller-manager-down", symptom.at, "proved",
        "no kube-controller-manager is at work (its lease has run out): nobody makes pods for workloads, endpoints for "
        "Services, or acts on any change" + (f"; {ignored[0].text}" if ignored else ""),
        supports=(fact, *_own_pod(state, symptom.at), *ignored[:2]), mends=(_restart(symptom.at, name),), since=symptom.since,
    )  # fmt: skip


# -- aggregated APIs -------------------------------------------------------------------------------------------------


def _service_of(api: Object) -> Ref | None:
    name = dig(api.spec, "service", "name")
    return ref("Service", dig(api.spec, "service", "namespace", otherwise=""), name) if name else None


def _api_reads(state: State, symptom: Symptom) -> Iterator[Read]:
    api = state.find(symptom.at)
    service = _service_of(api) if api and api.ref.kind == "APIService" else None
    if service is not None:
        for kind in ("Service", "EndpointSlice", "Pod", "Event", "Deployment", "ReplicaSet"):
            yield list_of(kind, service.namespace)


@cause("apiservice/unavailable", "api-unavailable", needs=_api_reads)
def unavailable(state: State, symptom: Symptom) -> Iterable[Finding]:
    api = state.find(symptom.at)
    condition = api.condition("Available") or {} if api else {}
    service = _service_of(api) if api else None
    if api is None or condition.get("status") != "False":
        return
    gone = service is not None and state.absent(service)
    facts = [field(api, f"Available is False, {condition.get('reason')}: {condition.get('message')}")]
    if service is not None:
        facts.append(
            not_there(service) if gone else field(service, f"it is served by {service.short} in {service.namespace}")
        )
    mends: list[Mend] = []
    if gone:
        mends.append(Mend("If what it was served by is gone for good, take its registration away",
                          (Patch(api.ref, action="delete"),), risk="medium"))  # fmt: skip
    yield Finding(
        "apiservice/unavailable", api.ref, "proved",
        f"the API {api.ref.name} is registered but not served: "
        + (f"its {service.short} in {service.namespace} does not exist" if gone and service else condition.get("message") or ""),
        supports=tuple(facts), mends=tuple(mends), weight=1.0 if gone else 0.0, since=when(condition.get("lastTransitionTime")),
    )  # fmt: skip


_HOOK = re.compile(r"conversion webhook for ([^\s,]+), Kind=(\w+) failed: (.*)")
_HOOK_SERVICE = re.compile(r"https://([a-z0-9-]+)\.([a-z0-9-]+)\.svc")


@cause("crd/conversion-webhook-failed", "api-unavailable", "condition-false", "deletion-stuck",
       needs=lambda state, symptom: [list_of("CustomResourceDefinition")] if symptom.note == "conversion" else ())  # fmt: skip
def conversion_failed(state: State, symptom: Symptom) -> Iterable[Finding]:
    message, fact = _conversion_words(state, symptom)
    match = _HOOK.search(message)
    if match is None or fact is None:
        return
    group, _, _ = match.group(1).partition("/")
    definition = next((each for each in state.all("CustomResourceDefinition")
                       if each.spec.get("group") == group and dig(each.spec, "names", "kind") == match.group(2)), None)  # fmt: skip
    at = definition.ref if definition else symptom.at
    where = _HOOK_SERVICE.search(match.group(3))
    service = ref("Service", where.group(2), where.group(1)) if where else None
    gone = bool(service and state.absent(service)) or ("service" in match.group(3) and "not found" in match.group(3))
    mends = (
        Mend(
            "If all stored objects are of the version that is served, no conversion is needed: take the webhook out",
            (set_field(at, "spec", "conversion", value={"strategy": "None"}),),
            kind="stopgap",
            risk="high",
        ),
    )
    yield Finding(
        "crd/conversion-webhook-failed", at, "proved",
        f"{match.group(2)}.{group} cannot be read: the webhook that converts between its versions fails: {match.group(3)[:200]}"
        + (f" ({service.short} in {service.namespace} does not exist)" if gone and service else ""),
        supports=(fact,), mends=mends if definition else (), weight=0.6,
    )  # fmt: skip


def _conversion_words(state: State, symptom: Symptom) -> tuple[str, Fact | None]:
    for read, answer in state.fetched.items():
        if answer.unread is not None and "conversion webhook" in answer.unread.message and symptom.note == "conversion":
            return answer.unread.message, Fact(answer.unread.message, read.of, read)
    found = state.find(symptom.at)
    for condition in found.status.get("conditions") or () if found else ():
        message = condition.get("message") or ""
        if found is not None and "conversion webhook" in message:
            return message, field(found, message)
    return "", None
