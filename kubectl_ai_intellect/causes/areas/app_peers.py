"""Clients whose log says that a peer refuses, is not reached or does not resolve: what of it lies with the client."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from kubectl_ai_intellect.causes.base import Fact, Finding, Mend, Symptom, cause
from kubectl_ai_intellect.causes.facts import field, hits, logged
from kubectl_ai_intellect.causes.needs import container_logs, lists, owners, together
from kubectl_ai_intellect.causes.origins import rewritten, settings, with_variable
from kubectl_ai_intellect.causes.symptoms.pods import UNREACHED
from kubectl_ai_intellect.evidence.logs import LogHit
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Object, dig
from kubectl_ai_intellect.state.calls import Call, called, in_cluster, service_of
from kubectl_ai_intellect.state.edits import Patch, set_field
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import containers, declared, declared_containers
from kubectl_ai_intellect.state.relations import Relation, near, workload_of

READS = together(owners, container_logs, lists("Service", "ConfigMap"))
UNREACHABLE = ("connection-refused", "connection-timeout", "connection-reset", "no-route", "dependency-missing",
               "http-upstream", "grpc-unavailable", "rate-limited")  # fmt: skip
PASSWORD = re.compile(r"(?i)pass(?:word|wd|phrase)?|pwd|secret|token|credential|api_?key|auth")
USER = re.compile(r"(?i)(?:^|_)(?:user(?:name)?|login)$")


def told(state: State, symptom: Symptom, *kinds: str) -> Iterator[tuple[LogHit, Fact]]:
    """The standing failures of the kind that this very symptom is about."""
    about = symptom.note.split(" ")[0]
    for hit, previous in hits(state, symptom.at, *kinds):
        if hit.recovered or (symptom.kind == "client-failing" and hit.kind != about):
            continue
        yield hit, logged(symptom.at, hit, previous=previous)


def peer_of(hit: LogHit) -> str:
    if hit.peer is None or not hit.peer.host:
        return "its peer"
    return f"{hit.peer.host}:{hit.peer.port}" if hit.peer.port else hit.peer.host


# -- wrong port --------------------------------------------------------------------------------------------------------


def offers(state: State, service: Object) -> list[Mapping[str, Any]]:
    """The ports a client may ask of a Service: its own, or of a headless one those of its backends."""
    ports: list[Mapping[str, Any]] = list(service.spec.get("ports") or ())
    if service.spec.get("clusterIP") != "None":
        return ports
    backends = [state.find(each) for each in near(state, service.ref, Relation.SELECTS) if each.kind == "Pod"]
    own = [port for pod in backends if pod for each in containers(pod) for port in each.ports()]
    behind: list[Mapping[str, Any]] = [{"port": one.get("containerPort"), "name": one.get("name")} for one in own]
    return behind or ports


def wrong_ports(state: State, at: Ref) -> list[tuple[Call, list[Mapping[str, Any]]]]:
    """Calls to a Service that exists, on a port that it does not have."""
    found: list[tuple[Call, list[Mapping[str, Any]]]] = []
    for call in called(state, at):
        service = state.find(call.service) if call.service else None
        if service is None or call.port is None or service.spec.get("type") == "ExternalName":
            continue
        ports = offers(state, service)
        if ports and call.port not in {one.get("port") for one in ports}:
            found.append((call, ports))
    return found


@cause("app/dependency-wrong-port", "client-failing", needs=READS,
       holds=lambda state, at: any(call.path for call, _ in wrong_ports(state, at)))  # fmt: skip
def wrong_port(state: State, symptom: Symptom) -> Iterable[Finding]:
    if not symptom.note.startswith(
        ("connection-", "no-route", "dependency-missing", "grpc-unavailable", "http-upstream")
    ):
        return
    wrong = wrong_ports(state, symptom.at)
    said = list(told(state, symptom, *UNREACHED))
    workload = workload_of(state, symptom.at)
    for hit, fact in said:
        named = [one for one in wrong if hit.peer and hit.peer.port == one[0].port]
        # A log that names no end at all may mean any of them; one that names another port means that one.
        fits = named or ([] if hit.peer and hit.peer.port else wrong)
        for call, ports in fits[:1]:
            assert call.service is not None
            same = [one for one, _ in wrong if one.service == call.service and one.port == call.port and one.path]
            origin = same[0] if same else None
            right = _right_port(call, ports)
            have = ", ".join(str(one.get("port")) for one in ports)
            facts = [
                fact,
                field(call.service, f"Service {call.service.name} has port{'s' if len(ports) > 1 else ''} {have}"),
            ]
            if origin:
                facts.append(
                    field(workload, f"{origin.origin} of container {symptom.at.part} leads to {call.host}:{call.port}")
                )
            mends = tuple(_port_mends(state, workload, symptom.at.part, origin or call, right))
            yield Finding(
                "app/dependency-wrong-port", workload, "proved" if named else "likely",
                f"container {symptom.at.part} calls {call.host} on port {call.port}"
                + (f" ({origin.origin})" if origin else "") + f", but Service {call.service.name} has only port {have}",
                supports=tuple(facts), mends=mends, weight=0.5,
            )  # fmt: skip
            return


def _right_port(call: Call, ports: list[Mapping[str, Any]]) -> int:
    """The port that was most likely meant: the only one, else the one named like the scheme, else the nearest in digits."""
    numbers = [int(one["port"]) for one in ports if one.get("port")]
    if len(numbers) == 1:
        return numbers[0]
    for one in ports:
        if call.scheme and call.scheme in (one.get("name") or "", one.get("appProtocol") or ""):
            return int(one["port"])
    close = difflib.get_close_matches(str(call.port), [str(each) for each in numbers], n=1, cutoff=0.0)
    return int(close[0]) if close else numbers[0]


def _port_mends(state: State, workload: Ref, name: str, call: Call, right: int) -> Iterator[Mend]:
    """The port, changed where it is written: in the address itself, or in a setting beside it."""
    old = str(call.port)
    title = f"Let {name} call {call.host} on port {right}"
    bare = re.compile(rf"(?<![\w.]){re.escape(call.host)}:{old}(?!\d)")
    known = list(settings(state, workload, name))
    for one in known:
        if bare.search(one.value):
            patches = rewritten(state, workload, name, one.path, lambda text: bare.sub(f"{call.host}:{right}", text))
            if patches:
                yield Mend(title, patches)
                return
    implied = re.compile(rf"(//(?:[^\s/@]*@)?){re.escape(call.host)}(?=[/?\s\"']|$)")
    for one in known:
        if implied.search(one.value):  # an address with no port means the scheme's own
            patches = rewritten(
                state, workload, name, one.path, lambda text: implied.sub(rf"\g<1>{call.host}:{right}", text)
            )
            if patches:
                yield Mend(title, patches)
                return
    beside = [
        one for one in known if one.value == old and ("PORT" in one.name.upper() or one.path[0] in ("command", "args"))
    ]
    stem = next((one.name for one in known if one.value == call.host), "")
    beside.sort(key=lambda one: -len(_shared(one.name.upper(), stem.upper())))
    for one in beside:
        patches = rewritten(state, workload, name, one.path, lambda _: str(right))
        if patches:
            yield Mend(title, patches)
            return
    worded = re.compile(rf"(?<!\d){old}(?!\d)")
    for one in known:
        if call.host in one.value and worded.search(one.value):
            patches = rewritten(state, workload, name, one.path, lambda text: worded.sub(str(right), text))
            if patches:
                yield Mend(title, patches, risk="medium")
                return


def _shared(one: str, other: str) -> str:
    end = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return one[:end]


# -- refused by the peer itself ----------------------------------------------------------------------------------------


class Credential(NamedTuple):
    """A variable that carries a password (or a user), by where its value comes from: never the value of a password."""

    name: str
    source: str  # "Secret NAME key KEY", or "" for one written in place
    entry: Mapping[str, Any]


def credentials(spec: Mapping[str, Any]) -> list[Credential]:
    found: list[Credential] = []
    for each in spec.get("env") or ():
        if PASSWORD.search(each.get("name", "")):
            origin = dig(each, "valueFrom", "secretKeyRef")
            found.append(
                Credential(each["name"], f"Secret {origin.get('name')} key {origin.get('key')}" if origin else "", each)
            )
    return found


def _server(state: State, symptom: Symptom, hit: LogHit) -> Object | None:
    """A pod of the Service that refuses: the one the log names, else the only one that is called with such a scheme."""
    service = service_of(state, hit.peer.host, symptom.at.namespace) if hit.peer and hit.peer.host else None
    if service is None:
        candidates = list(dict.fromkeys(call.service for call in called(state, symptom.at) if call.service))
        named = [each for each in candidates if any(_demands(pod) for pod in _pods(state, each))]
        service = named[0] if len(named) == 1 else candidates[0] if len(candidates) == 1 else None
    return next(iter(_pods(state, service)), None) if service else None


def _pods(state: State, service: Ref) -> list[Object]:
    found = (state.find(each) for each in near(state, service, Relation.SELECTS) if each.kind == "Pod")
    return [pod for pod in found if pod is not None]


def _demands(pod: Object) -> bool:
    return any(credentials(spec) for spec in declared_containers(pod))


@cause("app/auth-failed", "client-failing", needs=READS)
def auth_failed(state: State, symptom: Symptom) -> Iterable[Finding]:
    workload = workload_of(state, symptom.at)
    for hit, fact in told(state, symptom, "auth-failed"):
        server = _server(state, symptom, hit)
        owner = state.find(workload)
        place = declared(owner, symptom.at.part) if owner else None
        mine = credentials(place[0]) if place else []
        theirs = [one for spec in declared_containers(server) for one in credentials(spec)] if server else []
        facts, says = [fact], f"{peer_of(hit)} answers container {symptom.at.part} and rejects its credentials"
        if hit.name:
            says += f" (user {hit.name})"
        user = _other_user(server, hit.name) if server else ""
        pairs = [(m, t) for m in mine for t in theirs if _alike(m, t) and t.source and m.source != t.source]
        if pairs and server:
            one, other = pairs[0]
            says += f": it takes its password from {one.source or 'a value written in place'}, the server from {other.source}"
            facts.append(field(workload, f"variable {one.name} comes from {one.source or 'a value written in place'}"))
            facts.append(field(server, f"variable {other.name} of the server comes from {other.source}"))
        elif user:
            says += f": the server is set up with the user {user}"
            facts.append(field(server or symptom.at.whole(), f"the server's user is {user}"))
        mends = tuple(_auth_mends(state, workload, symptom.at.part, mine, pairs, server, user))
        yield Finding("app/auth-failed", workload, "proved", says, supports=tuple(facts), mends=mends, weight=0.4)
        return


def _alike(mine: Credential, theirs: Credential) -> bool:
    """Whether two variables may carry the same password: not a root's password against a user's."""
    return ("ROOT" in theirs.name.upper()) <= ("ROOT" in mine.name.upper()) and "FILE" not in theirs.name.upper()


def _other_user(server: Object, user: str) -> str:
    """The user a server was set up with, if it is another than the one that was refused."""
    for spec in declared_containers(server):
        for each in spec.get("env") or ():
            if USER.search(each.get("name", "")) and each.get("value") and user and each["value"] != user:
                return each["value"]
    return ""


def _auth_mends(state: State, workload: Ref, name: str, mine: list[Credential], pairs: list[tuple[Credential, Credential]],
                server: Object | None, user: str) -> Iterator[Mend]:  # fmt: skip
    if pairs and server is not None and server.ref.namespace == workload.namespace:
        one, other = pairs[0]
        patch = with_variable(state, workload, name, {"name": one.name, "valueFrom": other.entry["valueFrom"]})
        if patch:
            yield Mend(f"Take {one.name} from {other.source}, as the server does", (patch,))
            return
    if user:
        for one in settings(state, workload, name):
            if USER.search(one.name) and one.path[0] in ("env", "configmap"):
                patches = rewritten(state, workload, name, one.path, lambda _: user)
                if patches:
                    yield Mend(f"Log in as {user}", patches)
                    return
    for one in mine[:1]:
        key = dig(one.entry, "valueFrom", "secretKeyRef")
        if key:
            target = ref("Secret", workload.namespace, key.get("name", ""))
            patch: Patch | None = set_field(target, "stringData", key.get("key", ""), value="<PASSWORD>")
        else:
            patch = with_variable(state, workload, name, {"name": one.name, "value": "<PASSWORD>"})
        if patch:
            yield Mend("Give it the password that the server accepts", (patch,),
                       unknown=("<PASSWORD>: what the server accepts; secret values are not read",))  # fmt: skip


@cause("app/db-read-only", "client-failing", needs=READS)
def db_read_only(state: State, symptom: Symptom) -> Iterable[Finding]:
    workload = workload_of(state, symptom.at)
    for _, fact in told(state, symptom, "db-read-only"):
        calls = [call for call in called(state, symptom.at) if call.service and call.path]
        facts, mends, says = (
            [fact],
            list[Mend](),
            f"container {symptom.at.part} writes to a database that takes only reads",
        )
        for call in calls:
            primary = _primary(state, call)
            if primary:
                says += f": it is configured with {call.host} ({call.origin}), a replica beside {primary.name}"
                facts.append(field(workload, f"{call.origin} of container {symptom.at.part} is {call.host}"))
                wrong = re.compile(rf"(?<![\w.-]){re.escape(call.host)}(?![\w-])")
                right = call.host.replace(call.service.name if call.service else "", primary.name, 1)
                patches = rewritten(
                    state, workload, symptom.at.part, call.path, lambda text, p=wrong, r=right: p.sub(r, text)
                )
                if patches:
                    mends.append(Mend(f"Write to {right}", patches))
                break
        yield Finding(
            "app/db-read-only", workload, "proved", says, supports=tuple(facts), mends=tuple(mends), weight=0.4
        )
        return


READER = re.compile(r"(?i)[-.]?(?:read-?only|replicas?|readers?|secondary|standby|slaves?|followers?|ro|r)$")


def _primary(state: State, call: Call) -> Ref | None:
    """The Service for writes beside one that by its name is for reads."""
    if call.service is None or not READER.search(call.service.name):
        return None
    stem = READER.sub("", call.service.name)
    names = {stem, *(f"{stem}-{end}" for end in ("primary", "rw", "master", "leader", "writer"))}
    others = [each.ref for each in state.all("Service", call.service.namespace) if each.ref.name in names]
    return others[0] if others else None


@cause("app/connections-exhausted", "client-failing", needs=READS)
def connections_exhausted(state: State, symptom: Symptom) -> Iterable[Finding]:
    workload = workload_of(state, symptom.at)
    for hit, fact in told(state, symptom, "connections-exhausted"):
        facts, mends = [fact], list[Mend]()
        pools = [one for one in settings(state, workload, symptom.at.part)
                 if one.path[0] in ("env", "configmap") and re.search(r"(?i)pool|max_?conn", one.name) and one.value.isdigit()]  # fmt: skip
        found = state.find(workload)
        replicas = (found.spec.get("replicas") or 1) if found else 1
        says = f"container {symptom.at.part} gets no connection from {peer_of(hit)}: all are taken"
        if pools:
            one = pools[0]
            says += f" ({replicas} replica(s) with up to {one.value} connections each)"
            facts.append(field(workload, f"{one.where} is {one.value}, and there are {replicas} replica(s)"))
            slot = "<POOL_SIZE>"
            patches = rewritten(state, workload, symptom.at.part, one.path, lambda _, slot=slot: slot)
            mends.append(Mend("Give each replica a pool that all of them together can have", patches,
                              unknown=(f"{slot}: the server's limit divided by the {replicas} replica(s); now {one.value}",)))  # fmt: skip
        yield Finding(
            "app/connections-exhausted", workload, "proved", says, supports=tuple(facts), mends=tuple(mends), weight=0.3
        )
        return


@cause("app/tls-failed", "client-failing", needs=READS)
def tls_failed(state: State, symptom: Symptom) -> Iterable[Finding]:
    workload = workload_of(state, symptom.at)
    whys = {"expired": "its certificate has expired or is not valid yet", "unknown-authority": "its certificate is signed by an authority "
            "that the client does not trust", "wrong-host": "its certificate is for another name than the one that is called",
            "plain-to-tls": "it speaks TLS and is called without", "tls-to-plain": "it speaks plain and is called with TLS"}  # fmt: skip
    for hit, fact in told(state, symptom, "tls-failed", "protocol-mismatch"):
        if hit.kind == "protocol-mismatch" and hit.name not in whys:
            continue
        mends = tuple(_scheme_mends(state, workload, symptom, hit))
        yield Finding(
            "app/tls-failed", workload, "proved" if hit.name in whys else "likely",
            f"container {symptom.at.part} and {peer_of(hit)} do not agree on TLS: {whys.get(hit.name, hit.line)}",
            supports=(fact,), mends=mends, weight=0.3,
        )  # fmt: skip
        return


def _scheme_mends(state: State, workload: Ref, symptom: Symptom, hit: LogHit) -> Iterator[Mend]:
    change = {"plain-to-tls": ("http://", "https://"), "tls-to-plain": ("https://", "http://")}.get(hit.name)
    host = hit.peer.host if hit.peer else ""
    for one in settings(state, workload, symptom.at.part) if change else ():
        if change and change[0] in one.value and (not host or host in one.value):
            patches = rewritten(state, workload, symptom.at.part, one.path, lambda text, c=change: text.replace(*c))
            if patches:
                yield Mend(f"Call it with {change[1]}", patches)
                return


# -- not reached -------------------------------------------------------------------------------------------------------


@cause("app/dependency-dns", "name-failing", needs=READS)
def dependency_dns(state: State, symptom: Symptom) -> Iterable[Finding]:
    for hit, fact in told(state, symptom, "dns-failure"):
        host = hit.name or (hit.peer.host if hit.peer else "")
        if host != symptom.note:
            continue
        host = host or _only_outside(state, symptom.at)
        if not host or in_cluster(host) or service_of(state, host, symptom.at.namespace):
            continue
        if re.fullmatch(r"[^.]+\.[^.]+", host) and _is_namespace(state, host.split(".")[1]):
            continue  # a Service of another namespace
        workload = workload_of(state, symptom.at)
        mends: list[Mend] = []
        for one in settings(state, workload, symptom.at.part):
            if host in one.value:
                patches = rewritten(
                    state, workload, symptom.at.part, one.path, lambda text, host=host: text.replace(host, "<HOST>")
                )
                if patches:
                    unknown = f"<HOST>: a name that resolves; {host} ({one.where}) does not"
                    mends.append(Mend("Name a host that exists", patches, unknown=(unknown,)))
                    break
        yield Finding(
            "app/dependency-dns", workload, "likely",
            f"container {symptom.at.part} calls {host}, a name outside the cluster that does not resolve",
            supports=(fact,), mends=tuple(mends), weight=0.2,
        )  # fmt: skip
        return


def _only_outside(state: State, at: Ref) -> str:
    """The one host outside the cluster that a container is configured with, where the log does not name the host."""
    calls = [call for call in called(state, at) if call.path and not re.fullmatch(r"[\d.:\[\]a-f]+", call.host)]
    outside = {call.host for call in calls if call.service is None}
    return outside.pop() if len(outside) == 1 else ""


def _is_namespace(state: State, name: str) -> bool:
    return state.find(ref("Namespace", "", name)) is not None or any(
        each.ref.namespace == name for each in state.all("Service")
    )


@cause("app/dependency-unreachable", "client-failing", needs=READS)
def dependency_unreachable(state: State, symptom: Symptom) -> Iterable[Finding]:
    for hit, fact in told(state, symptom, *UNREACHABLE):
        yield Finding(
            "app/dependency-unreachable", workload_of(state, symptom.at), "proved",
            f"container {symptom.at.part} cannot reach {peer_of(hit)}: {hit.line}", supports=(fact,), weight=1.0,
        )  # fmt: skip
        return
