"""Which ports a pod's processes really listen on, as far as anything tells: its log's own words, and probes that pass."""

from __future__ import annotations

import re

from kubectl_ai_intellect.kube.source import Object, dig
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import Container, containers

_SAYS = re.compile(
    r"(?:listen(?:ing|s)?|serving|started|running|bound|ready|available|accept\w*|server)\b[^\n]{0,60}?"
    r"(?:\bport[ =:\"']{1,4}(?:\(s\):? ?)?|https?://[\w.\-\[\]*]*:|(?:0\.0\.0\.0|127\.0\.0\.1|localhost|\[::\]|::|\*):|"
    r"(?:listening|listen)(?: on)?:? :?|\bon :|address[=:]\"?[\w.\[\]]*:)(\d{2,5})\b",
    re.IGNORECASE,
)
_NEVER = re.compile(
    r"(?i)connect(?!ions\b)|failed|refused|error|could not|cannot|unable|already in use|waiting for (?!connections)|upstream|^\s*at "
)
_ASIDE = re.compile(r"(?i)metric|admin|pprof|debug|health")
"""Ports that are not there for clients."""


def told_by_log(state: State, each: Container, *, aside: bool = False) -> dict[int, str]:
    """Ports that a container's log says it listens on, each with the line; `aside`: those for metrics and health too."""
    said: dict[int, str] = {}
    for digest in state.logs(each.ref):
        for line in (*digest.last_lines, *(template.text for template in digest.templates)):
            found = _SAYS.search(line)
            if found and _ASIDE.search(line) and not aside:
                continue
            if found and not _NEVER.search(line) and 0 < int(found.group(1)) < 65536:
                said.setdefault(int(found.group(1)), line)
    return said


def proved_by_probe(each: Container) -> set[int]:
    """Ports that a passing readiness or startup probe reaches."""
    if not each.ready:
        return set()
    numbers: set[int] = set()
    for name in ("readinessProbe", "startupProbe"):
        for how in ("httpGet", "tcpSocket", "grpc"):
            port = dig(each.spec, name, how, "port")
            if isinstance(port, str):
                port = next((one.get("containerPort") for one in each.ports() if one.get("name") == port), None)
            if isinstance(port, int):
                numbers.add(port)
    return numbers


def listening(state: State, pod: Object) -> dict[int, str]:
    """Every port that something shows to be served, and what shows it."""
    found: dict[int, str] = {}
    for each in containers(pod):
        if each.role == "init":
            continue
        for port in proved_by_probe(each):
            found.setdefault(port, f"container {each.name} passes its probe on port {port}")
        for port, line in told_by_log(state, each).items():
            found.setdefault(port, f"log of {each.name}: {line}")
    return found


def outspoken(state: State, pod: Object) -> bool:
    """Whether every container of a pod tells of some port: a silent one may serve any other."""
    mains = [each for each in containers(pod) if each.role != "init"]
    return all(proved_by_probe(each) or told_by_log(state, each) for each in mains)


__all__ = ["listening", "outspoken", "proved_by_probe", "told_by_log"]
