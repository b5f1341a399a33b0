"""Who calls whom: the addresses a container is configured with, and the ones its log says it failed to reach."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Object, dig
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import declared_containers, pod_spec

_URL = re.compile(r"\b([a-z][a-z0-9+.-]{1,20})://(?:[^\s/@\"']*@)?(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?")
_HOST_PORT = re.compile(
    r"(?<![\w./@-])([A-Za-z][A-Za-z0-9-]*(?:\.[A-Za-z0-9-]+)*|\d{1,3}(?:\.\d{1,3}){3}):(\d{2,5})(?![\w.])"
)
_KEYED = re.compile(
    r"(?i)(?:^|;)\s*(?:server|data source|host|address|addr)\s*=\s*(?:tcp:)?([a-z][a-z0-9.-]*)(?:[,:](\d{2,5}))?\s*(?=;|$)"
)
"""A connection string of keys: `Server=db,1433;Database=…`."""
_KEYED_PORT = re.compile(r"(?i);\s*port\s*=\s*(\d{2,5})")
_NAME = re.compile(r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$")
_HOSTS = re.compile(
    r"(?i)(?:^|_|\.|-|(?<=pg)|(?<=db)|(?<=sql)|(?<=redis)|(?<=mongo)|(?<=mq)|(?<=kafka)|(?<=smtp))(HOST|HOSTNAME|ADDR|ADDRESS|SERVER|ENDPOINT|SERVICE|URL|URI)S?$"
)
_DEFAULTS = {
    "http": 80, "https": 443, "postgres": 5432, "postgresql": 5432, "jdbc:postgresql": 5432, "mysql": 3306,
    "redis": 6379, "rediss": 6379, "mongodb": 27017, "amqp": 5672, "amqps": 5671, "nats": 4222, "kafka": 9092,
    "grpc": None, "memcached": 11211, "ldap": 389, "smtp": 25,
}  # fmt: skip
_ASKED = re.compile(
    r"\b(?:nc|ncat|netcat|telnet)\b(?:\s+-\w+(?:\s+\d+)?)*\s+(?P<a>[a-z][a-z0-9.-]*)\s+(?P<ap>\d{2,5})\b"
    r"|\b(?:nslookup|dig(?:\s+\+\w+)*|getent\s+\w+|ping(?:\s+-\w+(?:\s+\d+)?)*)\s+(?P<b>[a-z][a-z0-9.-]*)"
    r"|\b(?:pg_isready|psql|mysql|mysqladmin|redis-cli|mongosh?)\b[^;&|\n]*?\s(?:-h|--host)[= ]?\s*(?P<c>[a-z][a-z0-9.-]*)"
    r"(?:[^;&|\n]*?\s(?:-p|-P|--port)[= ]?\s*(?P<cp>\d{2,5})\b)?"
)
"""How shells wait for a peer: `until nc -z db 5432`, `nslookup db`, `pg_isready -h db`."""
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
LOCAL = frozenset({"localhost", "127.0.0.1", "0.0.0.0", "::1", "[::1]", "::", "*"})


@dataclass(frozen=True, slots=True)
class Call:
    """One address a container uses; `origin` says where it is written ("env DB_HOST", "log", …)."""

    caller: Ref
    host: str
    port: int | None
    scheme: str
    origin: str
    service: Ref | None
    failing: str = ""  # the kind of the log hit that says so
    line: str = ""
    path: tuple[Any, ...] = ()  # for configuration: ("env", NAME) | ("args", index) | ("configmap", name, key)


def called(state: State, at: Ref) -> list[Call]:
    """All calls of a container, of every container of a pod, or of those a workload declares."""
    key = ("calls", at)
    if key not in state.memo:
        state.memo[key] = _called(state, at)
    return state.memo[key]


def _called(state: State, at: Ref) -> list[Call]:
    found = state.find(at)
    if found is None:
        return []
    calls: list[Call] = []
    for spec in declared_containers(found):
        if at.part and spec.get("name") != at.part:
            continue
        caller = at.at(spec.get("name", ""))
        for host, port, scheme, origin, path in configured(state, found, spec):
            calls.append(Call(caller, host, port, scheme, origin, service_of(state, host, at.namespace), path=path))
        calls.extend(_logged(state, caller))
    return calls


def _logged(state: State, caller: Ref) -> Iterator[Call]:
    if caller.kind != "Pod":
        return
    for digest in state.logs(caller):
        for hit in digest.hits:
            host = hit.peer.host if hit.peer else hit.name if hit.kind == "dns-failure" else ""
            if not host:
                continue
            service = service_of(state, host, caller.namespace)
            port, scheme = (hit.peer.port, hit.peer.scheme) if hit.peer else (None, "")
            yield Call(caller, host, port, scheme, "log", service, hit.kind, hit.line)


def service_of(state: State, host: str, namespace: str) -> Ref | None:
    """The Service a host name or address means inside a pod of this namespace, if such a one was read."""
    target = service_named(host, namespace)
    if target is not None and state.find(target) is not None:
        return target
    host = host.strip("[]")
    for service in state.all("Service"):
        if host in (service.spec.get("clusterIPs") or [service.spec.get("clusterIP")]):
            return service.ref
    for pod in state.all("Pod"):
        if pod.status.get("podIP") == host:
            from kubectl_ai_intellect.state.relations import selecting_services

            services = selecting_services(state, pod.labels, pod.ref.namespace)
            return services[0].ref if services else None
    if target is not None and target.name and "." in host:  # pod-0.headless[.namespace…]
        parts = host.split(".")
        behind = ref("Service", parts[2] if len(parts) > 2 and parts[2] != "svc" else namespace, parts[1])
        return behind if state.find(behind) is not None else None
    return None


def service_named(host: str, namespace: str) -> Ref | None:
    """The Service that a host name would name, whether or not it exists; nothing for outside names and addresses."""
    if host in LOCAL or not _NAME.match(host) or re.fullmatch(r"[\d.]+", host):
        return None
    parts = host.rstrip(".").split(".")
    if len(parts) == 1:
        return ref("Service", namespace, parts[0])
    if len(parts) == 2 or (len(parts) >= 3 and parts[2] == "svc"):
        return ref("Service", parts[1], parts[0])
    return ref("Service", parts[2], parts[1]) if len(parts) >= 4 and parts[3] == "svc" else None


def in_cluster(host: str) -> bool:
    """Whether a name can only mean a Service of this cluster: one label, or …svc…"""
    parts = host.rstrip(".").split(".")
    return bool(_NAME.match(host)) and (len(parts) == 1 or "svc" in parts[1:] or host.endswith(".cluster.local"))


Configured = tuple[str, int | None, str, str, tuple[Any, ...]]


def configured(state: State, owner: Object, spec: Mapping[str, Any]) -> Iterator[Configured]:
    """Addresses in a container's environment, arguments and mounted ConfigMaps: host, port, scheme, origin, path."""
    values = dict(environment(state, owner, spec))
    for name, (value, path) in values.items():
        found = list(addresses(value))
        for host, port, scheme in found:
            yield host, port, scheme, f"env {name}", path
        if not found and _HOSTS.search(name) and _NAME.match(value) and not value.isdigit():
            yield value, _port_beside(name, values), _scheme_of(name), f"env {name}", path
    for field in ("command", "args"):
        for index, argument in enumerate(spec.get(field) or ()):
            for host, port, scheme in addresses(str(argument)):
                yield host, port, scheme, field, (field, index)
    known = {name: value for name, (value, _) in values.items()}
    yield from _waited_for(spec, known)
    yield from _probed(spec, known)
    for name, key, text in mounted_files(state, owner, spec):
        for host, port, scheme in addresses(text):
            yield host, port, scheme, f"ConfigMap {name} key {key}", ("configmap", name, key)


_VARIABLE = re.compile(r"\$(?:\((\w+)\)|\{(\w+)(?::?-([^}]*))?\}|(\w+))")


def expanded(text: str, values: Mapping[str, str]) -> str:
    """A command line as a shell or the kubelet would fill in its variables; those that are not known stay."""

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2] or match[4]
        return values.get(name, match[3] or match[0])

    return _VARIABLE.sub(value, text) if "$" in text else text


def _waited_for(spec: Mapping[str, Any], known: Mapping[str, str]) -> Iterator[Configured]:
    """The peers that a command line probes by name."""
    words = [
        (field, index, str(one)) for field in ("command", "args") for index, one in enumerate(spec.get(field) or ())
    ]
    for match in _ASKED.finditer(expanded(" ".join(text for _, _, text in words), known)):
        found = match.groupdict()
        host = found["a"] or found["b"] or found["c"] or ""
        port = found["ap"] or found["cp"]
        place = next(((field, index) for field, index, text in words if host in text), ("command", 0))
        if host not in LOCAL:
            yield host, int(port) if port else None, "", place[0], place


def _probed(spec: Mapping[str, Any], known: Mapping[str, str]) -> Iterator[Configured]:
    """The peers that a probe's own command asks for: where they fail, the probe does."""
    for name in PROBES:
        text = expanded(" ".join(str(word) for word in dig(spec, name, "exec", "command", otherwise=())), known)
        asked = [match.groupdict() for match in _ASKED.finditer(text)]
        found = [(one["a"] or one["b"] or one["c"] or "", one["ap"] or one["cp"], "") for one in asked]
        for host, port, scheme in (*found, *addresses(text)):
            if host not in LOCAL:
                yield host, int(port) if port else None, scheme, name, ()


def asked_by_probe(state: State, at: Ref) -> set[Ref]:
    """The Services, other than its own, that the probes of a container ask for."""
    from kubectl_ai_intellect.state.relations import Relation, near

    own = near(state, at.whole(), Relation.SELECTS, back=True)
    asked = {call.service for call in called(state, at) if call.origin in PROBES and call.service}
    return asked - set(own)


def environment(
    state: State, owner: Object, spec: Mapping[str, Any]
) -> Iterator[tuple[str, tuple[str, tuple[Any, ...]]]]:
    """Variables whose value can be known (literals and ConfigMap keys, never Secrets), and where each is written."""
    namespace = owner.ref.namespace
    for source in spec.get("envFrom") or ():
        name = dig(source, "configMapRef", "name", otherwise="")
        found = state.find(ref("ConfigMap", namespace, name)) if name else None
        for key, value in ((found.raw.get("data") or {}) if found else {}).items():
            yield (source.get("prefix") or "") + key, (str(value), ("configmap", name, key))
    for variable in spec.get("env") or ():
        name = variable.get("name", "")
        if "value" in variable:
            yield name, (str(variable["value"] or ""), ("env", name))
        origin = dig(variable, "valueFrom", "configMapKeyRef")
        if origin:
            found = state.find(ref("ConfigMap", namespace, origin.get("name", "")))
            value = dig(found.raw, "data", origin.get("key", "")) if found else None
            if value is not None:
                yield name, (str(value), ("configmap", origin["name"], origin["key"]))


def mounted_files(state: State, owner: Object, spec: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """ConfigMap files that a container mounts: the ConfigMap's name, the key, the text."""
    mounts = {each.get("name") for each in spec.get("volumeMounts") or ()}
    for volume in pod_spec(owner).get("volumes") or ():
        if volume.get("name") not in mounts:
            continue
        for source in (volume, *dig(volume, "projected", "sources", otherwise=[])):
            name = dig(source, "configMap", "name", otherwise="")
            found = state.find(ref("ConfigMap", owner.ref.namespace, name)) if name else None
            for key, text in ((found.raw.get("data") or {}) if found else {}).items():
                yield name, key, str(text)


def addresses(text: str) -> Iterator[tuple[str, int | None, str]]:
    """host, port and scheme of what looks like an address in a text."""
    taken: list[tuple[int, int]] = []
    for match in _URL.finditer(text):
        scheme, host, port = match.group(1).lower(), match.group(2), match.group(3)
        taken.append(match.span())
        if host not in LOCAL:
            yield host, int(port) if port else _DEFAULTS.get(scheme), scheme
    yield from _keyed(text)
    for match in _HOST_PORT.finditer(text):
        inside = any(start <= match.start() < end for start, end in taken)
        if not inside and match.group(1) not in LOCAL and 0 < int(match.group(2)) < 65536:
            yield match.group(1), int(match.group(2)), ""


def _keyed(text: str) -> Iterator[tuple[str, int | None, str]]:
    for match in _KEYED.finditer(text) if "=" in text and ";" in text else ():
        beside = match.group(2) or (port.group(1) if (port := _KEYED_PORT.search(text)) else None)
        if match.group(1).lower() not in LOCAL:
            yield match.group(1), int(beside) if beside else None, ""


def _port_beside(name: str, values: Mapping[str, tuple[str, Any]]) -> int | None:
    """DB_PORT beside DB_HOST."""
    stem = _HOSTS.sub("", name)
    for candidate in (f"{stem}_PORT", f"{stem}PORT", f"{name}_PORT"):
        value = values.get(candidate, ("", None))[0]
        if value.isdigit():
            return int(value)
    return None


def _scheme_of(name: str) -> str:
    lowered = name.lower()
    return next(
        (scheme for scheme in ("postgres", "mysql", "redis", "mongo", "kafka", "amqp") if scheme in lowered), ""
    )


__all__ = ["LOCAL", "PROBES", "Call", "addresses", "asked_by_probe", "called", "configured", "environment", "in_cluster", "mounted_files",
           "service_named", "service_of"]  # fmt: skip
