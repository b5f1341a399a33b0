"""NetworkPolicies that keep a client from its server: each policy is evaluated for the very connection that fails."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kubectl_ai_intellect.causes.areas.service import HASHES, words
from kubectl_ai_intellect.causes.attempts import Attempt, attempts, servers, service_port, target_port
from kubectl_ai_intellect.causes.base import Fact, Finding, Mend, Strength, Symptom, cause
from kubectl_ai_intellect.causes.facts import field
from kubectl_ai_intellect.causes.near import nearest
from kubectl_ai_intellect.causes.needs import namespace_look
from kubectl_ai_intellect.causes.symptoms import pods as pod_symptoms
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Object, Read, dig, get_of
from kubectl_ai_intellect.state.calls import LOCAL, called, in_cluster, service_named
from kubectl_ai_intellect.state.edits import Append, Edit, Patch, Step, set_field
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import pod_spec
from kubectl_ai_intellect.state.policies import (
    NAME_LABEL,
    Direction,
    Peer,
    admits_peer,
    admits_port,
    admitted,
    isolating,
    peer_of,
    rules,
)

DROPPED = ("connection-timeout",)
REJECTED = (
    "no-route",
    "connection-refused",
    "connection-reset",
    "grpc-unavailable",
    "http-upstream",
    "dependency-missing",
)
DNS = Peer("kube-system", {"k8s-app": "kube-dns"}, ports={"dns": 53, "dns-tcp": 53})
DNS_TO = {
    "namespaceSelector": {"matchLabels": {NAME_LABEL: "kube-system"}},
    "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
}


@dataclass(frozen=True, slots=True)
class Path:
    """One connection: who calls whom, on which port of the server."""

    client: Object
    server: Object | None
    host: str
    port: int | None
    protocol: str
    fact: Fact | None = None
    kind: str = ""

    @property
    def near_end(self) -> Peer:
        return peer_of(self.client)

    @property
    def far_end(self) -> Peer:
        return peer_of(self.server) if self.server else Peer(address=self.host if _address(self.host) else "")

    def said(self) -> str:
        at = f":{self.port}" if self.port else ""
        return f"{self.host}{at}"


def _address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


# -- which connections ------------------------------------------------------------------------------------------------


def paths(state: State, symptom: Symptom) -> Iterator[Path]:
    """The connections that a client's failure is about."""
    client = state.find(symptom.at)
    if client is None or client.spec.get("hostNetwork"):
        return
    for attempt in attempts(state, symptom):
        yield from _paths_of(state, client, attempt.host, attempt.port, attempt.service, attempt)


def _paths_of(
    state: State, client: Object, host: str, port: int | None, at: Ref | None, attempt: Attempt | None
) -> Iterator[Path]:
    fact, kind = (attempt.fact, attempt.kind) if attempt else (None, "")
    if host in LOCAL:
        return
    service = state.find(at) if at else None
    if service is None:
        pod = next((each for each in state.all("Pod") if each.status.get("podIP") == host), None)
        if pod is not None or (at is None and not in_cluster(host)):
            yield Path(client, pod, host, port, "TCP", fact, kind)
        return
    entry = service_port(service, port)
    headless = service.spec.get("clusterIP") == "None"
    for server in servers(state, service)[:1]:
        number = port if headless or entry is None else target_port(server, entry)
        protocol = (entry or {}).get("protocol") or "TCP"
        yield Path(client, server, host, number, protocol, fact, kind)


def blocked(state: State, path: Path, direction: Direction) -> list[Object]:
    """The policies that keep this connection from passing at one end; nothing where it passes or is not known."""
    inner, other = (path.near_end, path.far_end) if direction == "Egress" else (path.far_end, path.near_end)
    if not inner.inside or (direction == "Ingress" and path.server is not None and path.server.spec.get("hostNetwork")):
        return []
    policies = isolating(state, inner, direction)
    verdict = admitted(state, policies, direction, path.far_end, other, path.port, path.protocol)
    return policies if policies and verdict is False else []


def standing(state: State, at: Ref, direction: Direction) -> bool:
    """Whether a failing connection that some log tells of is still kept off by this policy."""
    found = False
    for symptom in _failures(state):
        for path in paths(state, symptom):
            found = found or any(policy.ref == at for policy in blocked(state, path, direction))
    return found


def _failures(state: State) -> Iterator[Symptom]:
    for pod in state.all("Pod"):
        for symptom in pod_symptoms.of_pod(state, pod):
            if symptom.kind in ("client-failing", "name-failing"):
                yield symptom


# -- which policy, and what to add to it ------------------------------------------------------------------------------


def blamed(state: State, policies: list[Object], path: Path, direction: Direction) -> tuple[Object, Mend]:
    """The policy a person would edit: the one that nearly admits the connection, else the one most about this pod."""
    other = path.near_end if direction == "Ingress" else path.far_end
    scored: list[tuple[float, str, Object, Mend]] = []
    for policy in policies:
        score, mend = _nearly(state, policy, path, other, direction)
        specific = 0.3 if (policy.spec.get("podSelector") or {}).get("matchLabels") else 0.0
        scored.append(
            (score + specific, policy.ref.name, policy, mend or _rule_added(state, policy, path, other, direction))
        )
    best = max(scored, key=lambda each: (each[0], each[1]))
    return best[2], best[3]


def _nearly(state: State, policy: Object, path: Path, other: Peer, direction: Direction) -> tuple[float, Mend | None]:
    """How close a rule of this policy comes to the connection, and the one field that would make it fit."""
    best: tuple[float, Mend | None] = (0.0, None)
    for index, rule in enumerate(rules(policy, direction)):
        peer = admits_peer(state, policy, rule, direction, other)
        port = admits_port(rule, path.far_end, path.port, path.protocol)
        at: tuple[Step, ...] = ("spec", direction.lower(), index)
        if peer and not port:
            entry: dict[str, Any] = {"protocol": path.protocol, **({"port": path.port} if path.port else {})}
            near = _same_protocol(rule, path.protocol)
            mend = Mend(f"Admit port {path.port} there too",
                        (Patch(policy.ref, (Edit((*at, "ports", Append()), entry),)),))  # fmt: skip
            best = max(best, (1.0 + near, mend), key=lambda each: each[0])
        elif port and other.inside:
            found = _relabelled(policy, rule, other, direction, at)
            best = max(best, found or (0.6, None), key=lambda each: each[0])
    return best


def _same_protocol(rule: Mapping[str, Any], protocol: str) -> float:
    return 0.2 if any((each.get("protocol") or "TCP") == protocol for each in rule.get("ports") or ()) else 0.0


def _relabelled(
    policy: Object, rule: Mapping[str, Any], other: Peer, direction: Direction, at: tuple[Step, ...]
) -> tuple[float, Mend] | None:
    """A peer selector that misses by the spelling of one label, of the pod or of its namespace."""
    side = "from" if direction == "Ingress" else "to"
    for place, each in enumerate(rule.get(side) or ()):
        for name, labels in (("podSelector", other.labels), ("namespaceSelector", {NAME_LABEL: other.namespace})):
            wanted: Mapping[str, str] = dig(each, name, "matchLabels", otherwise={})
            wrong = [key for key, value in wanted.items() if labels.get(key) != value]
            near = [key for key in wrong if key in labels and nearest(wanted[key], [labels[key]])]
            if len(wrong) == 1 and wrong == near:
                key = wrong[0]
                path = (*at, side, place, name, "matchLabels", key)
                title = f"Admit {key}={labels[key]}, which is what the {'clients' if direction == 'Ingress' else 'servers'} carry"
                return 1.5, Mend(title, (set_field(policy.ref, *path, value=labels[key]),))
    return None


def own_labels(peer: Peer) -> dict[str, str]:
    """The labels that name a pod's app, without what controllers stamp on it."""
    labels = {key: value for key, value in peer.labels.items() if key not in HASHES}
    for key in ("app.kubernetes.io/name", "app", "k8s-app", "name"):
        if key in labels:
            extra = ("app.kubernetes.io/component", "app.kubernetes.io/instance", "component")
            return {each: labels[each] for each in (key, *extra) if each in labels}
    return labels


def _peer_rule(policy: Object, other: Peer, host: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    if other.inside:
        rule: dict[str, Any] = {}
        if other.namespace != policy.ref.namespace:
            rule["namespaceSelector"] = {"matchLabels": {NAME_LABEL: other.namespace}}
        return {**rule, "podSelector": {"matchLabels": own_labels(other)}}, ()
    if other.address:
        return {"ipBlock": {"cidr": f"{other.address}/{128 if ':' in other.address else 32}"}}, ()
    return {"ipBlock": {"cidr": "<CIDR>"}}, (f"<CIDR>: the addresses behind {host} cannot be known from the cluster",)


def _rule_added(state: State, policy: Object, path: Path, other: Peer, direction: Direction) -> Mend:
    """The smallest rule that lets this connection pass."""
    side = "from" if direction == "Ingress" else "to"
    peer, unknown = _peer_rule(policy, other, path.host)
    rule: dict[str, Any] = {side: [peer]}
    if path.port:
        rule["ports"] = [{"protocol": path.protocol, "port": path.port}]
    whom = words(own_labels(other)) if other.inside else path.host
    title = (
        f"Admit {'clients' if direction == 'Ingress' else 'connections to pods'} with {whom}"
        if other.inside
        else f"Admit {whom}"
    )
    return Mend(
        title + (f" on port {path.port}" if path.port else ""), _grown(policy, direction, rule), unknown=unknown
    )


def _grown(policy: Object, direction: Direction, rule: Mapping[str, Any]) -> tuple[Patch, ...]:
    return (Patch(policy.ref, (Edit(("spec", direction.lower(), Append()), dict(rule)),)),)


# -- the causes -------------------------------------------------------------------------------------------------------


def _far_side(state: State, symptom: Symptom) -> Iterable[Read]:
    """What the server's namespace holds, where a client calls out of its own; and the labels of both namespaces."""
    for call in called(state, symptom.at):
        target = service_named(call.host, symptom.at.namespace)
        if target is None or target.namespace == symptom.at.namespace:
            continue
        if ((call.failing or call.host in symptom.note) and in_cluster(call.host)) or state.find(
            ref("Namespace", "", target.namespace)
        ):
            yield from namespace_look(target.namespace)
            yield get_of(ref("Namespace", "", target.namespace))
            yield get_of(ref("Namespace", "", symptom.at.namespace))


def _strength(path: Path) -> Strength:
    if path.kind in DROPPED:
        return "proved"
    return "possible" if path.kind == "connection-refused" else "likely"


def _found(state: State, symptom: Symptom, direction: Direction, id: str) -> Iterator[Finding]:
    kind = symptom.note.partition(" ")[0]
    if symptom.kind == "client-failing" and kind not in (*DROPPED, *REJECTED):
        return
    for path in paths(state, symptom):
        policies = blocked(state, path, direction)
        if not policies:
            continue
        policy, mend = blamed(state, policies, path, direction)
        inner = path.near_end if direction == "Egress" else path.far_end
        other = path.far_end if direction == "Egress" else path.near_end
        whom = f"pods with {words(own_labels(other))}" + (
            f" of namespace {other.namespace}" if other.inside and other.namespace != policy.ref.namespace else ""
        ) if other.inside else path.host  # fmt: skip
        way = f"admits no connection from {whom}" if direction == "Ingress" else f"lets nothing out to {whom}"
        allowed = _allowed(policy, direction)
        yield Finding(
            id,
            policy.ref,
            _strength(path),
            f"NetworkPolicy {policy.ref.name} selects the {'server' if direction == 'Ingress' else 'client'} pods "
            f"({words(own_labels(inner))}) and {way} on port {path.port or '(any)'}; it admits only {allowed}",
            supports=(*((path.fact,) if path.fact else ()),
                      field(policy, f"spec.{direction.lower()} admits only {allowed}"),
                      field(path.client, f"{path.client.ref.short} has labels {words(own_labels(path.near_end))}")),
            mends=(mend,),
            weight=0.4,
        )  # fmt: skip
        return


def _allowed(policy: Object, direction: Direction) -> str:
    """A policy's rules in words."""
    side = "from" if direction == "Ingress" else "to"
    said: list[str] = []
    for rule in rules(policy, direction):
        peers = [_peer_words(each) for each in rule.get(side) or ()] or ["anyone"]
        ports = [f"{each.get('port', 'all')}/{each.get('protocol') or 'TCP'}" for each in rule.get("ports") or ()]
        said.append(f"{' or '.join(peers)}" + (f" on {', '.join(ports)}" if ports else ""))
    return "; ".join(said[:4]) or "nothing"


def _peer_words(each: Mapping[str, Any]) -> str:
    if each.get("ipBlock"):
        return str(each["ipBlock"].get("cidr", ""))
    parts: list[str] = []
    for name, what in (("podSelector", "pods"), ("namespaceSelector", "namespaces")):
        if each.get(name) is not None:
            labels = each[name].get("matchLabels") or {}
            some = bool(each[name].get("matchExpressions"))
            parts.append(f"{what} with {words(labels)}" if labels else f"some {what}" if some else f"all {what}")
    return " in ".join(parts)


@cause(
    "netpol/ingress-blocked", "client-failing", needs=_far_side, holds=lambda state, at: standing(state, at, "Ingress")
)
def ingress_blocked(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _found(state, symptom, "Ingress", "netpol/ingress-blocked")


@cause(
    "netpol/egress-blocked", "client-failing", needs=_far_side, holds=lambda state, at: standing(state, at, "Egress")
)
def egress_blocked(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _found(state, symptom, "Egress", "netpol/egress-blocked")


def without_dns(state: State, pod: Object) -> list[Object]:
    """The policies that keep a pod from the cluster's name server."""
    if pod.spec.get("hostNetwork") or pod_spec(pod).get("dnsPolicy") == "Default":
        return []
    policies = isolating(state, peer_of(pod), "Egress")
    server = next(
        (peer_of(each) for each in state.all("Pod", "kube-system") if each.labels.get("k8s-app") == "kube-dns"), DNS
    )
    verdict = admitted(state, policies, "Egress", server, server, 53, "UDP")
    return policies if policies and verdict is False else []


def _dns_standing(state: State, at: Ref) -> bool:
    return any(policy.ref == at for pod in state.all("Pod", at.namespace) for policy in without_dns(state, pod))


@cause("netpol/dns-blocked", "name-failing", holds=_dns_standing)
def dns_blocked(state: State, symptom: Symptom) -> Iterable[Finding]:
    client = state.find(symptom.at)
    policies = without_dns(state, client) if client else []
    if client is None or not policies:
        return
    # What a person opens for name resolution is the widest policy: the default deny, if there is one.
    policy = min(
        policies, key=lambda each: (bool((each.spec.get("podSelector") or {}).get("matchLabels")), each.ref.name)
    )
    rule = {"to": [DNS_TO], "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}
    allowed = _allowed(policy, "Egress")
    told = next(iter(attempts(state, symptom)), None)
    yield Finding(
        "netpol/dns-blocked",
        policy.ref,
        "proved",
        f"NetworkPolicy {policy.ref.name} selects {client.ref.short} and lets nothing out to the cluster's DNS on port 53 "
        f"(it admits only {allowed}), so that no name resolves",
        supports=(field(policy, f"spec.egress admits only {allowed}: no port 53 to kube-dns"), *((told.fact,) if told else ())),
        mends=(Mend("Let DNS out: port 53 over UDP and TCP to kube-dns", _grown(policy, "Egress", rule)),),
        weight=0.6,
    )  # fmt: skip
