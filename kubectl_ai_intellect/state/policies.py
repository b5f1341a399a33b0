"""NetworkPolicies, evaluated as a network plugin does: who is isolated, and whether a rule admits a peer on a port.

Answers are True, False or None: None where a label or an address that decides was not read.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from kubectl_ai_intellect.kube.refs import ref
from kubectl_ai_intellect.kube.source import Object
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import containers
from kubectl_ai_intellect.state.selectors import expression_matches, matches

Direction = Literal["Ingress", "Egress"]
NAME_LABEL = "kubernetes.io/metadata.name"


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection: a pod by its labels and namespace, or an address outside."""

    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    address: str = ""
    ports: Mapping[str, int] = field(default_factory=dict[str, int])  # named ports of the pod

    @property
    def inside(self) -> bool:
        return bool(self.namespace)


def peer_of(pod: Object) -> Peer:
    ports = {port["name"]: int(port.get("containerPort") or 0) for each in containers(pod) for port in each.ports()
             if port.get("name")}  # fmt: skip
    return Peer(pod.ref.namespace, pod.labels, pod.status.get("podIP") or "", ports)


def isolating(state: State, peer: Peer, direction: Direction) -> list[Object]:
    """The policies that isolate a pod in one direction: beside their rules nothing is admitted."""
    return [
        each
        for each in state.all("NetworkPolicy", peer.namespace)
        if direction in directions(each) and matches(each.spec.get("podSelector") or {}, peer.labels)
    ]


def directions(policy: Object) -> list[str]:
    return policy.spec.get("policyTypes") or ["Ingress", *(["Egress"] if policy.spec.get("egress") else [])]


def rules(policy: Object, direction: Direction) -> list[Mapping[str, Any]]:
    return list(policy.spec.get(direction.lower()) or ())


def admitted(
    state: State,
    policies: Iterable[Object],
    direction: Direction,
    server: Peer,
    other: Peer,
    port: int | None,
    protocol: str,
) -> bool | None:
    """Whether any rule of these policies lets this connection pass. `server` owns the port."""
    unknown = False
    for policy in policies:
        for rule in rules(policy, direction):
            answer = rule_admits(state, policy, rule, direction, server, other, port, protocol)
            if answer:
                return True
            unknown = unknown or answer is None
    return None if unknown else False


def rule_admits(
    state: State, policy: Object, rule: Mapping[str, Any], direction: Direction, server: Peer, other: Peer,
    port: int | None, protocol: str,
) -> bool | None:  # fmt: skip
    both = (admits_peer(state, policy, rule, direction, other), admits_port(rule, server, port, protocol))
    return False if False in both else None if None in both else True


def admits_port(rule: Mapping[str, Any], server: Peer, port: int | None, protocol: str) -> bool | None:
    ports = rule.get("ports") or ()
    if not ports:
        return True
    unknown = False
    for each in ports:
        if (each.get("protocol") or "TCP") != protocol:
            continue
        wanted = each.get("port")
        if wanted is None:
            return True
        if isinstance(wanted, str):
            wanted = server.ports.get(wanted) if server.inside else None
            if wanted is None:
                continue
        if port is None:
            unknown = True
        elif wanted <= port <= int(each.get("endPort") or wanted):
            return True
    return None if unknown else False


def admits_peer(
    state: State, policy: Object, rule: Mapping[str, Any], direction: Direction, other: Peer
) -> bool | None:
    peers = rule.get("from" if direction == "Ingress" else "to") or ()
    if not peers:
        return True
    answers = [_one(state, policy, each, other) for each in peers]
    return True if True in answers else None if None in answers else False


def _one(state: State, policy: Object, each: Mapping[str, Any], other: Peer) -> bool | None:
    if each.get("ipBlock"):
        return _in_block(each["ipBlock"], other)
    if not other.inside:
        return False
    if each.get("podSelector") is not None and not matches(each["podSelector"], other.labels):
        return False
    if each.get("namespaceSelector") is None:
        return other.namespace == policy.ref.namespace
    return namespace_matches(state, each["namespaceSelector"], other.namespace)


def namespace_matches(state: State, selector: Mapping[str, Any], namespace: str) -> bool | None:
    """A namespaceSelector; of a namespace that was not read, its name is the one label that is known."""
    found = state.find(ref("Namespace", "", namespace))
    if found is not None:
        return matches(selector, {NAME_LABEL: namespace, **found.labels})
    known = {NAME_LABEL: namespace}
    unknown = False
    for key, value in (selector.get("matchLabels") or {}).items():
        if key == NAME_LABEL and known[key] != value:
            return False
        unknown = unknown or key != NAME_LABEL
    for expression in selector.get("matchExpressions") or ():
        if expression.get("key") == NAME_LABEL:
            if not expression_matches(expression, known):
                return False
        else:
            unknown = True
    return None if unknown else True


def _in_block(block: Mapping[str, Any], other: Peer) -> bool | None:
    """Whether an address lies in an ipBlock. Plugins judge pods by selectors, but count their addresses too."""
    try:
        inside = ipaddress.ip_network(block.get("cidr", ""), strict=False)
        excepted = [ipaddress.ip_network(each, strict=False) for each in block.get("except") or ()]
    except ValueError:
        return None
    if not other.address:
        return True if inside.prefixlen == 0 and not excepted else None
    try:
        address = ipaddress.ip_address(other.address)
    except ValueError:
        return None
    return address in inside and not any(address in each for each in excepted)


__all__ = ["NAME_LABEL", "Direction", "Peer", "admits_peer", "admits_port", "admitted", "directions", "isolating",
           "namespace_matches", "peer_of", "rule_admits", "rules"]  # fmt: skip
