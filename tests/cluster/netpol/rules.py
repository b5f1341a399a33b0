"""What the NetworkPolicies of a cluster permit: pods, namespaces and policies in, permits per pod out. Pure.

A pod that some policy selects for a direction is isolated in it: only what a permit names passes. IPv4 only,
as the test node's network is.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Direction = Literal["ingress", "egress"]
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class Ports:
    """A protocol, and its ports from first to last; (0, 0) is every port."""

    protocol: str
    first: int = 0
    last: int = 0


@dataclass(frozen=True, slots=True, order=True)
class Permit:
    """Traffic that may pass: from or to these addresses (None: any), on these ports (None: any)."""

    peers: tuple[str, ...] | None = None
    excepted: tuple[str, ...] = ()
    ports: tuple[Ports, ...] | None = None


@dataclass(frozen=True, slots=True)
class Isolated:
    """A pod that policies select in a direction, with all that they permit it."""

    address: str
    pod: str
    direction: Direction
    permits: tuple[Permit, ...]


@dataclass(frozen=True, slots=True)
class Pod:
    """What rules need to know of a pod that has an address of its own."""

    namespace: str
    name: str
    address: str
    labels: Mapping[str, str]
    named: Mapping[tuple[str, str], int]
    """(protocol, port name) to number."""


def pods_of(objects: Iterable[Json]) -> list[Pod]:
    """The pods that policies concern: they have an IPv4 address of their own, and have not ended."""
    found = [_pod(each) for each in objects if _concerned(each)]
    return sorted(found, key=lambda pod: (pod.namespace, pod.name))


def _concerned(pod: Json) -> bool:
    status = pod.get("status", {})
    address = status.get("podIP", "")
    ended = status.get("phase") in ("Succeeded", "Failed")
    return bool(address) and ":" not in address and not ended and not pod["spec"].get("hostNetwork")


def _pod(pod: Json) -> Pod:
    meta, spec = pod["metadata"], pod["spec"]
    containers = [*spec.get("containers", ()), *spec.get("initContainers", ())]
    named = {
        (port.get("protocol", "TCP"), port["name"]): port["containerPort"]
        for container in containers
        for port in container.get("ports", ())
        if port.get("name")
    }
    return Pod(meta["namespace"], meta["name"], pod["status"]["podIP"], meta.get("labels") or {}, named)


def selects(selector: Json | None, labels: Mapping[str, str]) -> bool:
    """Whether a label selector matches; an empty one matches everything."""
    selector = selector or {}
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_expression(each, labels) for each in selector.get("matchExpressions") or ())


def _expression(expression: Json, labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case other:
            raise ValueError(f"unknown operator {other!r} in a label selector")


def directions(policy: Json) -> tuple[Direction, ...]:
    """In which directions a policy isolates; without policyTypes, egress only if it speaks of egress."""
    spec = policy["spec"]
    types = spec.get("policyTypes") or (["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])
    both: tuple[Direction, ...] = ("ingress", "egress")
    return tuple(each for each in both if each.capitalize() in types)


def isolate(pods: Sequence[Pod], namespaces: Iterable[Json], policies: Iterable[Json]) -> list[Isolated]:
    """Every isolated pod and direction, in a stable order."""
    labels = {each["metadata"]["name"]: each["metadata"].get("labels") or {} for each in namespaces}
    found: dict[tuple[Direction, str, str], set[Permit]] = {}
    for policy in policies:
        for direction in directions(policy):
            for pod in _selected(policy, pods):
                permits = found.setdefault((direction, f"{pod.namespace}/{pod.name}", pod.address), set())
                permits.update(_permits(policy, direction, pod, pods, labels))
    return [
        Isolated(address, pod, direction, tuple(sorted(permits, key=repr)))
        for (direction, pod, address), permits in sorted(found.items())
    ]


def _selected(policy: Json, pods: Iterable[Pod]) -> Iterator[Pod]:
    namespace, selector = policy["metadata"]["namespace"], policy["spec"].get("podSelector")
    return (pod for pod in pods if pod.namespace == namespace and selects(selector, pod.labels))


def _permits(
    policy: Json,
    direction: Direction,
    pod: Pod,
    pods: Sequence[Pod],
    labels: Mapping[str, Mapping[str, str]],
) -> Iterator[Permit]:
    """What one policy lets this pod receive or send."""
    for rule in policy["spec"].get(direction) or ():
        wanted = rule.get("ports") or None
        others = rule.get("from" if direction == "ingress" else "to") or ()
        blocks = [permit for each in others if "ipBlock" in each for permit in _block(each["ipBlock"])]
        home = policy["metadata"]["namespace"]
        matched = [peer for each in others if "ipBlock" not in each for peer in _peers(each, home, pods, labels)]
        # A port's name is one of the pod that is called: the selected pod of ingress, the peer of egress.
        if direction == "ingress":
            sources = [
                *blocks,
                *([Permit(_addresses(matched))] if matched else []),
                *([] if others else [Permit()]),
            ]
            for source in sources:
                yield from _with_ports(source, wanted, [pod])
        else:
            for block in blocks:
                yield from _with_ports(block, wanted, ())
            yield from _egress_to(matched, wanted) if others else _egress_anywhere(wanted, pods)


def _egress_anywhere(wanted: Sequence[Json] | None, pods: Sequence[Pod]) -> Iterator[Permit]:
    """To any address: numbers hold for all, a name holds for the pods that have a port so called."""
    numbers = [each for each in wanted or () if not isinstance(each.get("port"), str)]
    if wanted is None or numbers:
        yield from _with_ports(Permit(), numbers or None, ())
    names = [each for each in wanted or () if isinstance(each.get("port"), str)]
    if names:
        yield from _egress_to(pods, names)


def _egress_to(peers: Sequence[Pod], wanted: Sequence[Json] | None) -> Iterator[Permit]:
    """Peers that resolve the wanted ports alike share a permit."""
    alike: dict[tuple[Ports, ...] | None, list[Pod]] = {}
    for peer in peers:
        alike.setdefault(_ports(wanted, [peer]), []).append(peer)
    for ports, members in alike.items():
        if ports is None or ports:
            yield Permit(_addresses(members), (), ports)


def _with_ports(permit: Permit, wanted: Sequence[Json] | None, called: Sequence[Pod]) -> Iterator[Permit]:
    ports = _ports(wanted, called)
    if ports is None or ports:
        yield Permit(permit.peers, permit.excepted, ports)


def _ports(wanted: Sequence[Json] | None, called: Sequence[Pod]) -> tuple[Ports, ...] | None:
    """The ports as numbers; None is every port, an empty tuple is none at all (a name that nobody has)."""
    if wanted is None:
        return None
    found: set[Ports] = set()
    for each in wanted:
        protocol, port = each.get("protocol") or "TCP", each.get("port")
        if port is None:
            found.add(Ports(protocol))
        elif isinstance(port, int):
            found.add(Ports(protocol, port, each.get("endPort") or port))
        else:
            numbers = [pod.named[protocol, port] for pod in called if (protocol, port) in pod.named]
            found.update(Ports(protocol, number, number) for number in numbers)
    return tuple(sorted(found))


def _block(block: Json) -> list[Permit]:
    if ipaddress.ip_network(block["cidr"], strict=False).version != 4:
        return []
    return [Permit((block["cidr"],), tuple(sorted(block.get("except") or ())))]


def _peers(peer: Json, home: str, pods: Sequence[Pod], labels: Mapping[str, Mapping[str, str]]) -> Iterator[Pod]:
    selector = peer.get("namespaceSelector")
    if selector is None:
        allowed = {home}
    else:
        allowed = {name for name, own in labels.items() if selects(selector, own)}
    return (pod for pod in pods if pod.namespace in allowed and selects(peer.get("podSelector"), pod.labels))


def _addresses(pods: Iterable[Pod]) -> tuple[str, ...]:
    return tuple(sorted({pod.address for pod in pods}, key=ipaddress.ip_address))


__all__ = ["Direction", "Isolated", "Permit", "Pod", "Ports", "directions", "isolate", "pods_of", "selects"]
