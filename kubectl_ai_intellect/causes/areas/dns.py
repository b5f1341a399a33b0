"""The cluster's own name server: not there, or there and not able to ask anybody outside."""

from __future__ import annotations

import re
from collections.abc import Iterable

from kubectl_ai_intellect.causes.base import Fact, Finding, Mend, Symptom, cause
from kubectl_ai_intellect.causes.facts import field, listed
from kubectl_ai_intellect.causes.needs import cluster_dns
from kubectl_ai_intellect.causes.symptoms.traffic import ready_endpoints
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Object, Read, logs_of
from kubectl_ai_intellect.state.calls import in_cluster
from kubectl_ai_intellect.state.edits import set_field
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import containers, is_ready, pod_labels
from kubectl_ai_intellect.state.relations import workload_of
from kubectl_ai_intellect.state.selectors import equals

SERVICE = ref("Service", "kube-system", "kube-dns")
CONFIG = ref("ConfigMap", "kube-system", "coredns")
LOOP = re.compile(r"(?i)plugin/loop: Loop|loop \([^)]*\) detected")
UPSTREAM = re.compile(
    r"(?i)plugin/(?:errors|forward)[^\n]*(?:i/o timeout|connection refused|no route to host|network is unreachable|"
    r"no upstream|unreachable backend)|SERVFAIL[^\n]*upstream|no healthy upstreams"
)
FORWARD = re.compile(r"(?m)^(?P<lead>\s*(?:forward|proxy)\s+\.\s+)(?P<to>[^\n{]+?)(?P<tail>\s*\{?\s*)$")


def dns_pods(state: State) -> list[Object]:
    service = state.find(SERVICE)
    selector = (service.spec.get("selector") if service else None) or {"k8s-app": "kube-dns"}
    return [pod for pod in state.all("Pod", "kube-system") if equals(selector, pod.labels)]


def server(state: State) -> Ref:
    """What makes the name server's pods."""
    service = state.find(SERVICE)
    selector = (service.spec.get("selector") if service else None) or {"k8s-app": "kube-dns"}
    for kind in ("Deployment", "DaemonSet"):
        for each in state.all(kind, "kube-system"):
            if equals(selector, pod_labels(each)):
                return each.ref
    pods = dns_pods(state)
    return workload_of(state, pods[0].ref) if pods else ref("Deployment", "kube-system", "coredns")


def _needs(state: State, symptom: Symptom) -> Iterable[Read]:
    if symptom.kind == "name-failing" or symptom.at.whole() == SERVICE:
        yield from cluster_dns()
        for pod in dns_pods(state)[:2]:
            for each in containers(pod):
                if each.last:
                    yield logs_of(each.ref, previous=True)
                if each.status.get("containerID"):
                    yield logs_of(each.ref)


def said(state: State, pattern: re.Pattern[str]) -> list[Fact]:
    """Lines of the name server's log that match."""
    found: list[Fact] = []
    for pod in dns_pods(state):
        for each in containers(pod):
            for digest in state.logs(each.ref):
                lines = (
                    *(hit.line for hit in digest.hits),
                    *digest.last_lines,
                    *(one.text for one in digest.templates),
                )
                line = next((line for line in lines if pattern.search(line)), "")
                if line:
                    found.append(Fact(f"log of {pod.ref.name}: {line}", each.ref, logs_of(each.ref)))
    return found


def _down(state: State, at: Ref) -> bool:
    found = state.find(at)
    return found is not None and found.spec.get("replicas", 1) == 0


@cause("controlplane/coredns-down", "no-endpoints", needs=_needs)
def coredns_down(state: State, symptom: Symptom) -> Iterable[Finding]:
    service = state.find(SERVICE)
    if symptom.at.whole() != SERVICE or service is None or ready_endpoints(state, service) not in (0, None):
        return
    pods = dns_pods(state)
    if any(is_ready(pod) for pod in pods):
        return
    owner = server(state)
    stopped = _down(state, owner)
    why = "is scaled to no replicas" if stopped else f"has no ready pod ({len(pods)} in all)"
    mends = (Mend("Run the name server again", (set_field(owner, "spec", "replicas", value=2),)),) if stopped else ()
    yield Finding(
        "controlplane/coredns-down",
        owner,
        "likely" if said(state, LOOP) else "proved",
        f"cluster DNS is down: {owner.short} {why}, so that the Service kube-dns has no endpoint and no name resolves",
        supports=(listed("EndpointSlice", "kube-system", "the Service kube-dns has no ready endpoint"),
                  field(owner, f"{owner.short} {why}"), *(field(pod, f"{pod.ref.short} is not ready") for pod in pods[:2])),
        mends=mends,
        weight=0.6,
    )  # fmt: skip


def _forwards(state: State) -> tuple[str, str, str]:
    """The Corefile's key, its text, and where it forwards to."""
    config = state.find(CONFIG)
    for key, text in ((config.raw.get("data") or {}) if config else {}).items():
        found = FORWARD.search(str(text))
        if found:
            return key, str(text), found["to"].strip()
    return "", "", ""


@cause("controlplane/coredns-upstream", "name-failing", "no-endpoints", needs=_needs)
def coredns_upstream(state: State, symptom: Symptom) -> Iterable[Finding]:
    if symptom.kind == "no-endpoints" and symptom.at.whole() != SERVICE:
        return
    looping, failing = said(state, LOOP), said(state, UPSTREAM)
    inside = symptom.kind == "name-failing" and in_cluster(symptom.note)
    if not looping and (not failing or inside):
        return
    key, text, to = _forwards(state)
    facts = looping or failing
    why = (
        "forwards queries back to itself (the loop plugin stops it)"
        if looping
        else f"cannot reach its upstream {to or 'servers'}"
    )
    mends: tuple[Mend, ...] = ()
    if key:
        value = FORWARD.sub(lambda found: f"{found['lead']}<UPSTREAM>{found['tail']}", text, count=1)
        mends = (Mend("Forward to a name server that answers", (set_field(CONFIG, "data", key, value=value),), risk="medium",
                      unknown=("<UPSTREAM>: which name servers this network offers cannot be known from the cluster; "
                               "/etc/resolv.conf stands for the node's own",)),)  # fmt: skip
    yield Finding(
        "controlplane/coredns-upstream",
        CONFIG,
        "proved" if looping or to else "likely",
        f"CoreDNS {why}: names outside the cluster do not resolve for anyone",
        supports=(*facts[:2], *((field(CONFIG, f"Corefile forwards to {to}"),) if to else ())),
        mends=mends,
        weight=0.4,
    )
