"""Whom a failing container tried to reach: the failure its log tells of, the address it is configured with, the server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kubectl_ai_intellect.causes.base import Fact, Symptom
from kubectl_ai_intellect.causes.facts import hits, logged
from kubectl_ai_intellect.evidence.logs import LogHit
from kubectl_ai_intellect.kube.refs import Ref
from kubectl_ai_intellect.kube.source import Object
from kubectl_ai_intellect.state.calls import Call, called, in_cluster, service_of
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import containers, is_finished
from kubectl_ai_intellect.state.selectors import equals

NOBODY = ("dns-failure", "dependency-missing", "grpc-unavailable")
"""Failures that a peer which does not even exist makes, too: all others took a connection to somebody."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One failure to reach somebody. `host` is empty where the log does not name the peer and nothing tells it."""

    caller: Ref
    kind: str
    host: str
    port: int | None
    service: Ref | None
    hit: LogHit
    fact: Fact
    calls: tuple[Call, ...]  # the configured addresses that it may be about


def attempts(state: State, symptom: Symptom) -> Iterator[Attempt]:
    """The attempts that a client-failing or name-failing symptom stands for."""
    kinds = ("dns-failure",) if symptom.kind == "name-failing" else (symptom.note.partition(" ")[0],)
    peer = symptom.note if symptom.kind == "name-failing" else symptom.note.partition(" ")[2]
    for hit, previous in hits(state, symptom.at, *kinds):
        named = (hit.name or (hit.peer.host if hit.peer else "")) if symptom.kind == "name-failing" else (
            f"{hit.peer.host}:{hit.peer.port or ''}" if hit.peer else "")  # fmt: skip
        if not hit.recovered and named == peer:
            yield from _of_hit(state, symptom.at, hit, logged(symptom.at, hit, previous=previous))


def _of_hit(state: State, at: Ref, hit: LogHit, fact: Fact) -> Iterator[Attempt]:
    configured = [call for call in called(state, at) if call.caller == at and call.origin != "log"]
    host = (hit.peer.host if hit.peer else "") or (hit.name if hit.kind in NOBODY else "")
    port = hit.peer.port if hit.peer else None
    if host:
        service = service_of(state, host, at.namespace)
        about = tuple(
            call
            for call in configured
            if (call.host == host or (service is not None and call.service == service))
            and (port is None or call.port in (None, port))
        )
        port = port or next((call.port for call in about if call.port), None)
        yield Attempt(at, hit.kind, host, port, service, hit, fact, about)
        return
    # The log names nobody: whichever address it is configured with may be meant, if there is anybody to answer so.
    for call in configured:
        if hit.kind not in NOBODY and call.service is None and in_cluster(call.host):
            continue
        yield Attempt(at, hit.kind, call.host, call.port, call.service, hit, fact, (call,))


def servers(state: State, service: Object) -> list[Object]:
    """The living pods a Service selects."""
    pods = state.all("Pod", service.ref.namespace)
    selector = service.spec.get("selector")
    return [pod for pod in pods if equals(selector, pod.labels) and not is_finished(pod) and pod.deleting is None]


def service_port(service: Object, port: int | None) -> Mapping[str, Any] | None:
    """The entry of a Service for a port that a client uses; the only one where the client's is not known."""
    ports = service.spec.get("ports") or []
    if port is None:
        return ports[0] if len(ports) == 1 else None
    return next((each for each in ports if each.get("port") == port), None)


def target_port(pod: Object, entry: Mapping[str, Any]) -> int | None:
    """The number of the pod's port that a Service port leads to; named ones are looked up in the pod."""
    target = entry.get("targetPort", entry.get("port"))
    if isinstance(target, int):
        return target
    for each in containers(pod):
        for port in each.ports():
            if port.get("name") == target and (port.get("protocol") or "TCP") == (entry.get("protocol") or "TCP"):
                return port.get("containerPort")
    return None


__all__ = ["Attempt", "attempts", "servers", "service_port", "target_port"]
