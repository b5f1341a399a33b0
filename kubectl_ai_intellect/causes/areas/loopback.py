"""Servers that listen on the loopback address of their pod, where nobody else reaches them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from kubectl_ai_intellect.causes.attempts import attempts, servers, service_port, target_port
from kubectl_ai_intellect.causes.base import Fact, Finding, Mend, Symptom, cause
from kubectl_ai_intellect.causes.facts import field, told
from kubectl_ai_intellect.causes.needs import container_logs, owners, together
from kubectl_ai_intellect.causes.origins import rewritten, settings
from kubectl_ai_intellect.kube.refs import Ref
from kubectl_ai_intellect.kube.source import Object, Read, logs_of
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.listening import proved_by_probe
from kubectl_ai_intellect.state.pods import Container, containers
from kubectl_ai_intellect.state.relations import workload_of

LOOPBACK = re.compile(
    r"(?i)\b(?:listen\w*|serv\w*|start\w*|running|bound|bind\w*|ready|accept\w*|local:)(?<=[\w:])[^\n]{0,80}?"
    r"(?P<host>127\.0\.0\.1|localhost|\[?::1\]?):(?P<port>\d{2,5})\b"
)
EVERYWHERE = re.compile(
    r"(?i)0\.0\.0\.0|\[::\]|:::\d|\*:\d|all (?:addresses|interfaces)|(?:on|at)[: ]+:\d{2,5}\b|network:\s+http"
)
ASIDE = re.compile(r"(?i)connect|upstream|metric|admin|pprof|debug|waiting for|failed|error")
ADDRESS = re.compile(r"(?<![\w.])(?:127\.0\.0\.1|localhost)(?![\w.])")
BINDS = re.compile(r"(?i)host|bind|listen|addr|interface|^(?:command|args)$")
REFUSED = re.compile(r"(?i)connection refused")


def bound(state: State, each: Container) -> Iterator[tuple[int, str, str]]:
    """Ports that a container's log says it serves on its loopback address alone: port, address and line."""
    lines = [
        line
        for digest in state.logs(each.ref)
        for line in (*digest.last_lines, *(one.text for one in digest.templates))
    ]
    if any(EVERYWHERE.search(line) for line in lines) or proved_by_probe(each):
        return
    for line in dict.fromkeys(lines):
        match = LOOPBACK.search(line)
        if match and not ASIDE.search(line):
            yield int(match["port"]), match["host"], line


def _asked(state: State, symptom: Symptom) -> Iterator[tuple[Object, int | None, Fact]]:
    """The pods that were asked in vain, the port of theirs, and what shows it."""
    if symptom.kind == "client-failing":
        if symptom.note.startswith("connection-refused"):
            for each in attempts(state, symptom):
                service = state.find(each.service) if each.service else None
                entry = service_port(service, each.port) if service else None
                for pod in servers(state, service)[:2] if service and entry else ():
                    yield pod, target_port(pod, entry or {}), each.fact
        return
    pod = state.find(symptom.at)
    for one in state.events(symptom.at) if pod else ():
        if pod and one.reason == "Unhealthy" and REFUSED.search(one.message):
            port = re.search(r":(\d{2,5})[/:\"]", one.message)
            yield pod, int(port.group(1)) if port else None, told(one)
            return


def _reads(state: State, symptom: Symptom) -> Iterable[Read]:
    for pod, _, _ in _asked(state, symptom):
        yield from (logs_of(each.ref) for each in containers(pod) if each.role != "init" and each.running is not None)


def _written(state: State, workload: Ref, name: str) -> Iterator[Mend]:
    """The address, changed where it is written."""
    for one in settings(state, workload, name):
        if BINDS.search(one.name) and ADDRESS.search(one.value):
            patches = rewritten(state, workload, name, one.path, lambda text: ADDRESS.sub("0.0.0.0", text))
            if patches:
                yield Mend("Let it listen on all addresses of the pod", patches)
                return
    yield Mend("Let the program listen on 0.0.0.0 instead of its loopback address",
               unknown=("by which option or variable the program is told its address: its documentation tells",))  # fmt: skip


@cause("app/listens-on-localhost", "client-failing", "container-unready", "probe-killing",
       needs=together(owners, container_logs, _reads))  # fmt: skip
def listens_on_localhost(state: State, symptom: Symptom) -> Iterable[Finding]:
    for pod, port, fact in _asked(state, symptom):
        for each in containers(pod):
            for number, host, line in bound(state, each) if each.role != "init" else ():
                if port not in (None, number):
                    continue
                workload = workload_of(state, pod.ref)
                yield Finding(
                    "app/listens-on-localhost", workload, "proved" if host == "127.0.0.1" else "likely",
                    f"container {each.name} of {workload.short} listens on {host}:{number}, the pod's own loopback address: "
                    "connections from outside the pod are refused",
                    supports=(Fact(f"log of {each.name}: {line}", each.ref), fact,
                              field(pod, f"{pod.ref.short} is asked on port {port or number}")),
                    mends=tuple(_written(state, workload, each.name)), weight=0.9,
                )  # fmt: skip
                return
