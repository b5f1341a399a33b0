"""Probes: asking a port, a path or a protocol that the container does not serve, too early, or rightly in vain."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from kubectl_ai_intellect.causes.areas.identity import PROXIES
from kubectl_ai_intellect.causes.base import Fact, Finding, Mend, Symptom, cause
from kubectl_ai_intellect.causes.facts import field, hits, logged, told
from kubectl_ai_intellect.causes.needs import container_logs, owners, together
from kubectl_ai_intellect.causes.symptoms.pods import UNREACHED
from kubectl_ai_intellect.kube.refs import Ref
from kubectl_ai_intellect.kube.source import when
from kubectl_ai_intellect.state.calls import asked_by_probe
from kubectl_ai_intellect.state.edits import Edit, Patch
from kubectl_ai_intellect.state.events import Event
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.listening import told_by_log
from kubectl_ai_intellect.state.pods import Container, container, declared, pod_spec, spec_path
from kubectl_ai_intellect.state.relations import workload_of

READS = together(owners, container_logs)
FIELD = {"Liveness": "livenessProbe", "Readiness": "readinessProbe", "Startup": "startupProbe"}
REFUSED = re.compile(
    r"(?i)connection refused|connect: no route|connection reset by peer|error during connect|timeout: failed to connect service"
)
STATUS = re.compile(r"(?i)statuscode: (\d{3})")
PROTOCOL = re.compile(
    r"(?i)malformed HTTP|server gave HTTP response to HTTPS client|first record does not look like a TLS|http2?: |"
    r"HTTP/1\.[01] transport connection broken|unexpected EOF|\bEOF\b|error reading server preface|not a grpc|unimplemented"
)
TIMEOUT = re.compile(r"(?i)deadline exceeded|timeout|timed out")
SLOW = re.compile(r"(?i)Client\.Timeout|deadline exceeded|timed out|timeout: failed to connect")


LOCAL_PORT = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])[: ](\d{2,5})\b")
"""How a probe's command names a port of its own container."""
ONE_MOMENT = timedelta(seconds=2)
"""Events are stamped to the second, and a container's first probes follow each other closely."""


@dataclass(frozen=True, slots=True)
class Failing:
    """One probe of a container that fails: what it asks and what the kubelet said."""

    kind: str  # Liveness, Readiness, Startup
    probe: Mapping[str, Any]
    each: Container
    event: Event | None
    words: str

    @property
    def field(self) -> str:
        return FIELD[self.kind]

    @property
    def port(self) -> int | None:
        """The port it asks, a named one looked up."""
        asked = next(
            (self.probe[how].get("port") for how in ("httpGet", "tcpSocket", "grpc") if self.probe.get(how)), None
        )
        if self.how == "exec":
            return next((int(match[1]) for match in LOCAL_PORT.finditer(self.command)), None)
        if isinstance(asked, str) and not asked.isdigit():
            return next((one.get("containerPort") for one in self.each.ports() if one.get("name") == asked), None)
        return int(asked) if asked is not None else None

    @property
    def command(self) -> str:
        return " ".join(str(word) for word in (self.probe.get("exec") or {}).get("command") or ())

    @property
    def asked(self) -> Any:
        if self.how == "exec":
            return self.port
        return next(
            (self.probe[how].get("port") for how in ("httpGet", "tcpSocket", "grpc") if self.probe.get(how)), None
        )

    @property
    def how(self) -> str:
        return next((how for how in ("httpGet", "tcpSocket", "grpc", "exec") if self.probe.get(how)), "")

    @property
    def latest(self) -> str:
        """What the kubelet said last: while a container starts it says other things than later on."""
        return self.event.message if self.event else ""

    @property
    def patience(self) -> int:
        """Seconds from the container's start until this probe has failed for good."""
        period, failures = int(self.probe.get("periodSeconds") or 10), int(self.probe.get("failureThreshold") or 3)
        return int(self.probe.get("initialDelaySeconds") or 0) + period * failures


def failing(state: State, symptom: Symptom, *kinds: str) -> list[Failing]:
    """The probes of the symptom's container that the kubelet says fail; with no events, those that could."""
    pod = state.find(symptom.at)
    each = container(pod, symptom.at.part) if pod else None
    if each is None or each.name in PROXIES:
        return []  # a mesh's own sidecar brings its own probes: mesh/proxy-failure's
    found: list[Failing] = []
    for kind in kinds:
        probe = each.spec.get(FIELD[kind])
        if not probe:
            continue
        said = [
            one
            for one in state.events(symptom.at)
            if one.reason in ("Unhealthy", "ProbeWarning") and one.message.startswith(kind)
        ]
        latest = [
            one for one in said if each.started is None or one.last is None or one.last >= each.started or each.restarts
        ]
        if latest:
            found.append(Failing(kind, probe, each, _telling(latest), " ".join(one.message for one in said[:5])))
        elif not said and not state.events_known(symptom.at.namespace):
            found.append(Failing(kind, probe, each, None, ""))
    return found


def _telling(latest: list[Event]) -> Event:
    """The newest event; of those of one moment, one that says more than that nobody listened yet."""
    newest = latest[0].last
    together = [one for one in latest if newest is None or one.last is None or newest - one.last <= ONE_MOMENT]
    return next((one for one in together if not REFUSED.search(one.message)), latest[0])


def serves(state: State, each: Container) -> set[int]:
    """Ports the container says it serves: declared, or told by its own log."""
    ports = {int(one["containerPort"]) for one in each.ports() if one.get("containerPort")}
    return ports | told_ports(state, each)


def told_ports(state: State, each: Container) -> set[int]:
    return set(told_by_log(state, each, aside=True))


def _facts(state: State, workload: Ref, one: Failing, *more: Fact) -> tuple[Fact, ...]:
    spec = one.probe.get(one.how) or {}
    said = [told(one.event)] if one.event else []
    asks = ", ".join(f"{key} {value}" for key, value in spec.items() if key in ("path", "port", "scheme", "service"))
    return (*said, field(workload, f"{one.field} of container {one.each.name}: {one.how} {asks}".strip()), *more)


def _edit(state: State, workload: Ref, one: Failing, *path: Any, value: Any) -> Patch | None:
    owner = state.find(workload)
    place = declared(owner, one.each.name) if owner else None
    return Patch(workload, (Edit((*place[1], one.field, *path), value),)) if place else None


def _wrong_port(state: State, symptom: Symptom, id: str, kind: str) -> Iterator[Finding]:
    for one in failing(state, symptom, kind):
        if one.port is None and one.how == "exec":
            continue
        workload = workload_of(state, symptom.at)
        named = isinstance(one.asked, str) and not str(one.asked).isdigit() and one.port is None
        refused = bool(REFUSED.search(one.latest)) or not one.words
        heard, declared_ports = told_ports(state, one.each), {int(p["containerPort"]) for p in one.each.ports()}
        fits = sorted((heard or declared_ports) - {one.port or 0})
        contradicted = one.port in heard or (not heard and one.port in declared_ports)
        if not named and (not refused or contradicted or not fits):
            continue
        says = f"the {kind.lower()} probe of container {one.each.name} asks port {one.asked}, which the container does not serve"
        says += f"; it serves {', '.join(map(str, fits))}" if fits else ""
        facts = [field(workload, f"container {one.each.name} declares ports {sorted(declared_ports) or 'none'}")]
        if heard:
            facts.append(
                Fact(f"log of {one.each.name} says it listens on {', '.join(map(str, sorted(heard)))}", symptom.at)
            )
        patch = _other_port(state, workload, one, fits[0]) if fits else None
        mends = (Mend(f"Let the probe ask port {fits[0]}", (patch,)),) if patch else ()
        strength = "proved" if named or (one.event and (heard or declared_ports)) else "likely"
        yield Finding(
            id, workload, strength, says, supports=_facts(state, workload, one, *facts), mends=mends, weight=0.3
        )  # type: ignore[arg-type]


def _other_port(state: State, workload: Ref, one: Failing, port: int) -> Patch | None:
    if one.how != "exec":
        return _edit(state, workload, one, one.how, "port", value=port)
    words = [re.sub(rf"(?<=[: ]){one.port}\b", str(port), str(word)) for word in one.probe["exec"]["command"]]
    words = [str(port) if word == str(one.port) else word for word in words]
    return _edit(state, workload, one, "exec", "command", value=words)


def _wrong_path(state: State, symptom: Symptom, id: str, kind: str) -> Iterator[Finding]:
    for one in failing(state, symptom, kind):
        status = STATUS.search(one.latest)
        if one.how != "httpGet" or status is None or status.group(1) not in ("404", "405", "410"):
            continue
        workload = workload_of(state, symptom.at)
        path = one.probe["httpGet"].get("path") or "/"
        better = _other_path(one, path)
        patch = _edit(state, workload, one, "httpGet", "path", value=better or "<PATH>")
        unknown = (
            () if better else (f"<PATH>: a path that the container answers with 200; {path} gives {status.group(1)}",)
        )
        yield Finding(
            id, workload, "proved",
            f"the {kind.lower()} probe of container {one.each.name} asks {path} on port {one.asked}, which answers {status.group(1)}: "
            "the server is up, and has no such path",
            supports=_facts(state, workload, one),
            mends=(Mend(f"Let the probe ask {better or 'a path that exists'}", (patch,), unknown=unknown),) if patch else (),
            weight=0.3,
        )  # fmt: skip


def _other_path(one: Failing, path: str) -> str:
    """A path that a sibling probe of the same container asks, on the same port, without failing."""
    for name in FIELD.values():
        other = (one.each.spec.get(name) or {}).get("httpGet") or {}
        if other.get("path") and other["path"] != path and other.get("port") == one.probe["httpGet"].get("port"):
            if f"{name.removesuffix('Probe').capitalize()} probe failed" not in one.words:
                return other["path"]
    return ""


def _wrong_protocol(state: State, symptom: Symptom, id: str, kind: str) -> Iterator[Finding]:
    for one in failing(state, symptom, kind):
        over_http = one.how == "grpc" and "failed to connect service" in one.latest and _answers_http(one)
        if not over_http and (
            not PROTOCOL.search(one.latest) or REFUSED.search(one.latest) or STATUS.search(one.latest)
        ):
            continue
        workload = workload_of(state, symptom.at)
        scheme = (one.probe.get("httpGet") or {}).get("scheme") or "HTTP"
        speaks = (
            "plain HTTP"
            if over_http or "HTTP response to HTTPS" in one.latest
            else "TLS"
            if "HTTPS server" in one.latest
            else "another protocol"
        )
        if over_http:
            patch = _to_tcp(state, workload, one)
        elif speaks == "plain HTTP" or scheme == "HTTPS":
            patch = _edit(state, workload, one, "httpGet", "scheme", value="HTTP")
        elif speaks == "TLS":
            patch = _edit(state, workload, one, "httpGet", "scheme", value="HTTPS")
        else:
            patch = _to_tcp(state, workload, one)
        yield Finding(
            id, workload, "proved",
            f"the {kind.lower()} probe of container {one.each.name} speaks {scheme if one.how == 'httpGet' else one.how} to port {one.asked}, "
            f"which speaks {speaks}",
            supports=_facts(state, workload, one),
            mends=(Mend("Probe in the protocol that the port speaks", (patch,)),) if patch else (),
            weight=0.4,
        )  # fmt: skip


def _answers_http(one: Failing) -> bool:
    """Whether an HTTP probe of the same container passes on the port that this one asks in vain."""
    for name in FIELD.values():
        spec = one.each.spec.get(name) or {}
        asked = (spec.get("httpGet") or {}).get("port")
        number = next((port.get("containerPort") for port in one.each.ports() if port.get("name") == asked), asked)
        if (
            asked
            and name != one.field
            and number == one.port
            and f"{name.removesuffix('Probe').capitalize()} probe failed" not in one.words
        ):
            return True
    return False


def _to_tcp(state: State, workload: Ref, one: Failing) -> Patch | None:
    """Whatever it speaks, that it accepts connections can be asked."""
    owner = state.find(workload)
    place = declared(owner, one.each.name) if owner else None
    if place is None:
        return None
    kept = {key: value for key, value in one.probe.items() if key not in ("httpGet", "grpc", "tcpSocket", "exec")}
    return Patch(workload, (Edit((*place[1], one.field), {**kept, "tcpSocket": {"port": one.asked}}),))


@cause("probe/liveness-wrong-port", "probe-killing", needs=READS)
def liveness_wrong_port(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _wrong_port(state, symptom, "probe/liveness-wrong-port", "Liveness")


@cause("probe/readiness-wrong-port", "container-unready", needs=READS)
def readiness_wrong_port(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _wrong_port(state, symptom, "probe/readiness-wrong-port", "Readiness")


@cause("probe/liveness-wrong-path", "probe-killing", needs=READS)
def liveness_wrong_path(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _wrong_path(state, symptom, "probe/liveness-wrong-path", "Liveness")


@cause("probe/readiness-wrong-path", "container-unready", needs=READS)
def readiness_wrong_path(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _wrong_path(state, symptom, "probe/readiness-wrong-path", "Readiness")


@cause("probe/liveness-wrong-protocol", "probe-killing", needs=READS)
def liveness_wrong_protocol(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _wrong_protocol(state, symptom, "probe/liveness-wrong-protocol", "Liveness")


@cause("probe/readiness-wrong-protocol", "container-unready", needs=READS)
def readiness_wrong_protocol(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _wrong_protocol(state, symptom, "probe/readiness-wrong-protocol", "Readiness")


def _lived(each: Container) -> float | None:
    """Seconds the container lived before the kubelet killed it."""
    start, end = when(each.last.get("startedAt")), when(each.last.get("finishedAt"))
    return (end - start).total_seconds() if start and end else None


@cause("probe/liveness-too-aggressive", "probe-killing", needs=READS)
def liveness_too_aggressive(state: State, symptom: Symptom) -> Iterable[Finding]:
    """Killed within the probe's own patience after each start, while nothing in its log went wrong."""
    for one in failing(state, symptom, "Liveness"):
        lived = _lived(one.each)
        broken = hits(
            state, symptom.at, "panic", "bad-config", "missing-env", "out-of-memory", "port-in-use", "deadlock"
        )
        status = STATUS.search(one.words)
        pod = state.find(symptom.at)
        grace = min(int((pod.spec if pod else {}).get("terminationGracePeriodSeconds") or 30), 30)
        early = lived is not None and lived <= one.patience + grace + 5
        tight = int(one.probe.get("timeoutSeconds") or 1) <= 1 and bool(SLOW.search(one.words))
        wrong_port = (
            bool(told_ports(state, one.each)) and one.port not in told_ports(state, one.each) and one.port is not None
        )
        if broken or wrong_port or (status and status.group(1) in ("404", "405", "410")) or not (early or tight):
            continue
        if one.patience > 60 and not tight:
            continue
        workload = workload_of(state, symptom.at)
        # What cannot reach a peer, or whose probe asks for one, does not lack time.
        unmet = any(not hit.recovered for hit, _ in hits(state, symptom.at, *UNREACHED, "dns-failure"))
        waits = unmet or bool(asked_by_probe(state, symptom.at))
        starting = not told_ports(state, one.each) or bool(REFUSED.search(one.words))
        # A server that answers, however badly, is up: it is not the start that takes too long.
        strength = "likely" if one.event and (starting or tight) and status is None and not waits else "possible"
        yield Finding(
            "probe/liveness-too-aggressive", workload, strength,
            f"the liveness probe of container {one.each.name} gives up {one.patience} s after the start"
            + (f" with a timeout of {one.probe.get('timeoutSeconds') or 1} s" if tight else "")
            + f", and the container lived {lived:.0f} s before it was killed: it needs longer than that" * (lived is not None),
            supports=_facts(state, workload, one, field(workload,
                f"initialDelaySeconds {one.probe.get('initialDelaySeconds', 0)}, periodSeconds {one.probe.get('periodSeconds', 10)}, "
                f"failureThreshold {one.probe.get('failureThreshold', 3)}, timeoutSeconds {one.probe.get('timeoutSeconds', 1)}")),
            mends=tuple(_patient(state, workload, one)),
        )  # fmt: skip


def _patient(state: State, workload: Ref, one: Failing) -> Iterator[Mend]:
    """A startup probe guards the start, and the liveness probe keeps its sharpness afterwards."""
    owner = state.find(workload)
    place = declared(owner, one.each.name) if owner else None
    if place is None:
        return
    handler = {one.how: one.probe[one.how]}
    timeout = max(int(one.probe.get("timeoutSeconds") or 1), 5)
    startup = {**handler, "periodSeconds": 10, "failureThreshold": 30, "timeoutSeconds": timeout}
    edits = (Edit((*place[1], "startupProbe"), startup), Edit((*place[1], "livenessProbe", "timeoutSeconds"), timeout))
    yield Mend(
        "Let a startup probe wait up to 300 s for the start, and give each liveness probe more time",
        (Patch(workload, edits),),
    )


def _own_failure(state: State, symptom: Symptom, id: str, kind: str) -> Iterator[Finding]:
    for one in failing(state, symptom, kind):
        workload = workload_of(state, symptom.at)
        said_most = max(
            state.events(symptom.at), key=lambda each: (each.message.startswith(kind), each.count), default=None
        )
        # Refusals belong to the start; what it answers once it is up says more.
        words = said_most.message if one.event and said_most else f"the {kind.lower()} probe is not passed"
        said = hits(state, symptom.at, "panic", "connection-refused", "dns-failure", "auth-failed", "bad-config", "missing-env",
                    "file-not-found", "dependency-missing", "connection-timeout")[:1]  # fmt: skip
        facts = [logged(symptom.at, hit, previous=previous) for hit, previous in said]
        yield Finding(
            id, workload, "proved" if one.event else "likely",
            f"the {kind.lower()} probe of container {one.each.name} fails for the application's own reason: {words.split(chr(10))[0]}",
            supports=_facts(state, workload, one, *facts),
        )  # fmt: skip


@cause("probe/liveness-failing", "probe-killing", needs=READS)
def liveness_failing(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _own_failure(state, symptom, "probe/liveness-failing", "Liveness")


@cause("probe/readiness-failing", "container-unready", needs=READS)
def readiness_failing(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _own_failure(state, symptom, "probe/readiness-failing", "Readiness")


@cause("probe/startup-failing", "probe-killing", "container-unready", needs=READS)
def startup_failing(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _own_failure(state, symptom, "probe/startup-failing", "Startup")


def _gated(state: State, at: Ref) -> bool:
    owner = state.find(at)
    return owner is not None and bool(pod_spec(owner).get("readinessGates"))


@cause("probe/readiness-gate", "gate-closed", needs=owners, holds=_gated)
def readiness_gate(state: State, symptom: Symptom) -> Iterable[Finding]:
    pod = state.find(symptom.at)
    if pod is None:
        return
    workload = workload_of(state, symptom.at)
    told_of = pod.condition(symptom.note)
    why = f"{told_of.get('status')}, {told_of.get('reason') or told_of.get('message') or 'no reason given'}" if told_of else (
        "never set by anybody")  # fmt: skip
    path = (*spec_path(workload.kind), "readinessGates")
    yield Finding(
        "probe/readiness-gate", workload, "proved",
        f"all containers of {pod.ref.name} are ready, but its readiness gate {symptom.note} is not: the condition is {why}, so "
        "no Service sends it anything",
        supports=(field(pod, f"condition {symptom.note}: {why}"),
                  field(workload, f"spec.readinessGates of its pods names {symptom.note}")),
        mends=(Mend("See to the controller that sets this condition (a load balancer's, a mesh's, an operator's); without one, "
                    "take the gate away", (Patch(workload, (Edit(path),)),), risk="medium"),),
        weight=0.3,
    )  # fmt: skip
