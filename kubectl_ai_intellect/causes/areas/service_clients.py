"""Clients that ask for what is not there: addresses that name no Service, and pods that cannot resolve cluster names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from kubectl_ai_intellect.causes.areas.identity import PROXIES
from kubectl_ai_intellect.causes.areas.service import likeness, makers
from kubectl_ai_intellect.causes.attempts import attempts, service_port
from kubectl_ai_intellect.causes.base import Fact, Finding, Mend, Strength, Symptom, cause
from kubectl_ai_intellect.causes.facts import field, logs, not_there
from kubectl_ai_intellect.causes.lastwords import PEERS, decisive_line
from kubectl_ai_intellect.causes.near import nearest
from kubectl_ai_intellect.causes.needs import cluster_dns, owners, together
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Object, Read, dig, get_of, list_of
from kubectl_ai_intellect.state.calls import Call, called, in_cluster, service_named
from kubectl_ai_intellect.state.edits import REMOVE, By, Edit, Patch, set_field
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import container, declared, declared_containers, pod_labels, pod_spec, spec_path
from kubectl_ai_intellect.state.relations import workload_of

WAKES = ("name-failing", "client-failing", "init-waiting")
PROXY = re.compile(
    r"(?im)proxy_pass|^\s*upstream\s+\S+\s*\{|reverse_proxy|ProxyPass|^\s*backend\s+\S+\s*$|socket_address|"
    r"^\s*server\s+\S+\s+\S+:\d+|load_?balancers?:|backendRefs|fastcgi_pass|grpc_pass|uwsgi_pass|spring\.cloud\.gateway"
)


# -- what is asked for ------------------------------------------------------------------------------------------------


def wanted(state: State, symptom: Symptom) -> Iterator[tuple[str, int | None, tuple[Call, ...], Fact | None]]:
    """The hosts that the container failed to reach, or (an init container that waits) that it is told to wait for."""
    if symptom.kind != "init-waiting":
        for each in attempts(state, symptom):
            yield each.host, each.port, each.calls, each.fact
        return
    found = state.find(symptom.at)
    one = container(found, symptom.at.part) if found else None
    if one is not None and one.death.get("exitCode") and _says_why(state, symptom.at):
        return
    for call in called(state, symptom.at) if one is not None and one.status.get("containerID") else ():
        if call.caller == symptom.at and call.origin != "log":
            yield call.host, call.port, (call,), None


def _says_why(state: State, at: Ref) -> bool:
    """Whether a log was read that tells of an error, and of none in reaching anybody."""
    digests = [digest for digest, _ in logs(state, at)]
    peers = any(hit.kind in PEERS and not hit.recovered for digest in digests for hit in digest.hits)
    return bool(digests) and not peers and bool(decisive_line(state, at))


def nowhere(state: State, host: str, namespace: str) -> Ref | None:
    """The Service that a host can only mean and that does not exist."""
    target = service_named(host, namespace)
    if target is None:
        return None
    inside = in_cluster(host) or (
        host.count(".") == 1 and state.find(ref("Namespace", "", target.namespace)) is not None
    )
    return target if inside and state.absent(target) else None


def _needs(state: State, symptom: Symptom) -> Iterable[Read]:
    for host, _, _, _ in wanted(state, symptom):
        target = service_named(host, symptom.at.namespace)
        if target is None:
            continue
        if target.namespace != symptom.at.namespace:
            yield get_of(ref("Namespace", "", target.namespace))
            yield list_of("Service", target.namespace)
        if state.find(target) is None and (in_cluster(host) or host.count(".") == 1):
            yield list_of("Service", "")


# -- which one is meant -----------------------------------------------------------------------------------------------


def intended(state: State, target: Ref, port: int | None) -> Ref | None:
    """The Service that was most likely meant: a near name, the same name elsewhere, the only one with that port."""
    here = [each for each in state.all("Service", target.namespace) if each.ref != target]
    fitting = [each for each in here if port is None or service_port(each, port)]
    for offers in (fitting, here):
        near = nearest(target.name, [each.ref.name for each in offers])
        if near:
            return target._replace(name=near)
    away = [each for each in state.all("Service") if each.ref.namespace != target.namespace]
    same = sorted(each.ref for each in away if each.ref.name == target.name)
    if same:
        return min(same, key=lambda each: (not nearest(target.namespace, [each.namespace]), each.namespace))
    theirs = sorted(each.ref for each in away if nearest(target.name, [each.ref.name]) and service_port(each, port))
    only = [each.ref for each in fitting if port is not None and each.ref.name != "kubernetes"]
    return only[0] if len(only) == 1 else theirs[0] if theirs else None


def said_as(host: str, meant: Ref, namespace: str) -> str:
    """The meant Service in the style in which the host was written."""
    parts = host.split(".")
    if "svc" in parts:
        return ".".join([meant.name, meant.namespace, *parts[parts.index("svc") :]])
    if len(parts) > 1 or meant.namespace != namespace:
        return f"{meant.name}.{meant.namespace}"
    return meant.name


# -- where it is written ----------------------------------------------------------------------------------------------


def text_at(state: State, owner: Object, name: str, path: tuple[Any, ...]) -> str:
    """The configured text that holds an address."""
    found = declared(owner, name)
    if path[:1] == ("configmap",):
        held = state.find(ref("ConfigMap", owner.ref.namespace, path[1]))
        return str(dig(held.raw, "data", path[2], otherwise="")) if held else ""
    if found is None:
        return ""
    spec, _ = found
    if path[0] == "env":
        return next((str(each.get("value") or "") for each in spec.get("env") or () if each.get("name") == path[1]), "")
    values = spec.get(path[0]) or []
    return str(values[path[1]]) if path[1] < len(values) else ""


def replaced(text: str, old: str, new: str) -> str:
    """The text with a host exchanged, never a part of a longer name."""
    return re.sub(rf"(?<![\w.-]){re.escape(old)}(?![\w-]|\.[\w])", new, text)


def rewritten(
    state: State, workload: Ref, call: Call, new: str, port: tuple[int, int] | None = None
) -> tuple[Patch, ...]:
    """The patches that exchange the host of a configured address (and its port), where it is written."""
    owner = state.find(workload)
    text = text_at(state, owner, call.caller.part, call.path) if owner else ""
    value = replaced(text, call.host, new)
    if port is not None:
        value = value.replace(f"{new}:{port[0]}", f"{new}:{port[1]}")
    if owner is None or value == text:
        return ()
    if call.path[0] == "configmap":
        edit = set_field(ref("ConfigMap", workload.namespace, call.path[1]), "data", call.path[2], value=value)
        return (edit, Patch(workload, action="restart")) if workload.kind in RESTARTABLE else (edit,)
    found = declared(owner, call.caller.part)
    if found is None:
        return ()
    rest = ("env", By(call.path[1]), "value") if call.path[0] == "env" else call.path
    return (set_field(workload, *found[1], *rest, value=value),)


RESTARTABLE = ("Deployment", "StatefulSet", "DaemonSet")


def is_proxy(state: State, workload: Ref, call: Call) -> bool:
    """Whether an address stands in the configuration of a proxy: it is a route, not a setting of an app."""
    owner = state.find(workload)
    if owner is None or call.path[:1] != ("configmap",):
        return False
    return bool(PROXY.search(text_at(state, owner, call.caller.part, call.path)))


# -- the causes -------------------------------------------------------------------------------------------------------


def _mends(
    state: State, workload: Ref, target: Ref, host: str, calls: Iterable[Call], meant: Ref | None
) -> tuple[Mend, ...]:
    if meant is not None:
        new = said_as(host, meant, workload.namespace)
        for call in calls:
            patches = rewritten(state, workload, call, new)
            if patches:
                return (Mend(f"Call {new}, which exists", patches),)
        served = state.find(meant)
        if served is not None and meant.namespace == target.namespace and served.spec.get("selector"):
            return (
                _created(
                    target, served.spec["selector"], served.spec.get("ports") or [], f"what {meant.name} leads to"
                ),
            )
        return ()
    return _exposed(state, target, calls)


def _created(target: Ref, selector: Any, ports: Iterable[Any], what: str) -> Mend:
    kept = [{key: value for key, value in port.items() if key not in ("nodePort",)} for port in ports]
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": target.name, "namespace": target.namespace},
            "spec": {"selector": dict(selector), "ports": kept}}  # fmt: skip
    return Mend(f"Create the Service {target.name}, for {what}", (Patch(target, action="create", body=body),))


def _exposed(state: State, target: Ref, calls: Iterable[Call]) -> tuple[Mend, ...]:
    """The Service that a workload of that name lacks."""
    fake = Object(target, {"spec": {"selector": {"app": target.name}}})
    scored = [(likeness(fake, at, labels), at, labels) for at, labels in makers(state, target.namespace).items()]
    score, at, labels = max(scored, key=lambda each: (each[0], each[1]), default=(0.0, target, {}))
    owner = state.find(at)
    if score < 0.6 or owner is None:
        return ()
    numbers = [port["containerPort"] for each in declared_containers(owner) for port in each.get("ports") or ()]
    asked = next((call.port for call in calls if call.port), None)
    port = asked or (numbers[0] if numbers else None)
    if port is None:
        return ()
    leads = port if port in numbers or not numbers else numbers[0]
    chosen = dict(dig(owner.spec, "selector", "matchLabels", otherwise={}) or pod_labels(owner) or labels)
    return (_created(target, chosen, [{"port": port, "targetPort": leads}], at.short),)


def _misaddressed(state: State, symptom: Symptom, id: str, *, proxies: bool) -> Iterator[Finding]:
    workload = workload_of(state, symptom.at)
    for host, port, calls, fact in wanted(state, symptom):
        target = nowhere(state, host, symptom.at.namespace)
        if target is None or any(is_proxy(state, workload, call) for call in calls) is not proxies:
            continue
        meant = intended(state, target, port)
        where = f" ({calls[0].origin} of container {calls[0].caller.part})" if calls else ""
        hint = f"; {'Service ' + meant.name + ' in namespace ' + meant.namespace} exists" if meant else ""
        strength: Strength = "proved" if symptom.kind == "name-failing" else "likely"
        yield Finding(
            id,
            workload,
            strength,
            f"{workload.short} calls {host}{where}, which names no Service: there is no {target.name} in namespace "
            f"{target.namespace}{hint}",
            supports=(*((fact,) if fact else ()), not_there(target),
                      *(field(workload, f"{call.origin} of container {call.caller.part} names {host}") for call in calls[:1])),
            mends=_mends(state, workload, target, host, calls, meant),
            weight=0.3,
        )  # fmt: skip
        return


def _still(state: State, at: Ref) -> bool:
    """Whether a declared address of this workload names no Service."""
    calls = [call for call in called(state, at) if call.origin != "log"]
    return any(nowhere(state, call.host, at.namespace) for call in calls)


@cause("service/env-address-mismatch", *WAKES, needs=together(_needs, owners), holds=_still)
def env_address_mismatch(state: State, symptom: Symptom) -> Iterable[Finding]:
    if symptom.at.part not in PROXIES:  # a sidecar's addresses are its mesh's
        yield from _misaddressed(state, symptom, "service/env-address-mismatch", proxies=False)


@cause("gateway/misroute", *WAKES, needs=together(_needs, owners),
       holds=lambda state, at: _still(state, at) or bool(_portless(state, at)))  # fmt: skip
def misroute(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _misaddressed(state, symptom, "gateway/misroute", proxies=True)
    workload = workload_of(state, symptom.at)
    for call, service in _portless(state, workload) if symptom.kind == "client-failing" else ():
        ports = [each.get("port") for each in service.spec.get("ports") or ()]
        new = ports[0] if len(ports) == 1 and ports[0] else None
        patches = rewritten(state, workload, call, f"{call.host}", (call.port or 0, new)) if new else ()
        yield Finding(
            "gateway/misroute",
            workload,
            "proved",
            f"the proxy configuration of {workload.short} ({call.origin}) routes to {call.host}:{call.port}, but Service "
            f"{service.ref.name} has port {', '.join(map(str, ports))}",
            supports=(field(workload, f"{call.origin} routes to {call.host}:{call.port}"),
                      field(service, f"spec.ports: {', '.join(map(str, ports))}")),
            mends=(Mend(f"Route to port {new}", patches),) if patches else (),
            weight=0.5,
        )  # fmt: skip


def _portless(state: State, at: Ref) -> list[tuple[Call, Object]]:
    """Routes in a proxy's configuration to a port that the Service does not have."""
    found: list[tuple[Call, Object]] = []
    for call in called(state, at):
        service = state.find(call.service) if call.service and is_proxy(state, at, call) else None
        if (
            service is not None
            and call.port
            and service.spec.get("clusterIP") != "None"
            and not service_port(service, call.port)
        ):
            found.append((call, service))
    return found


# -- pods that cannot resolve -----------------------------------------------------------------------------------------


def _policy_trouble(state: State, owner: Object, host: str = "") -> tuple[str, str]:
    """Why the declared DNS settings of a pod cannot resolve cluster names, and the policy that would."""
    spec = pod_spec(owner)
    policy, host_network = spec.get("dnsPolicy") or "ClusterFirst", bool(spec.get("hostNetwork"))
    right = "ClusterFirstWithHostNet" if host_network else "ClusterFirst"
    if policy == "Default":
        return "dnsPolicy is Default: the pod asks the node's name servers, which know no cluster names", right
    if policy == "ClusterFirst" and host_network:
        return (
            "the pod uses the host's network under dnsPolicy ClusterFirst, which then means the node's name servers",
            right,
        )
    if policy == "None":
        servers, searches = (
            dig(spec, "dnsConfig", "nameservers", otherwise=[]),
            dig(spec, "dnsConfig", "searches", otherwise=[]),
        )
        dns = state.find(ref("Service", "kube-system", "kube-dns"))
        addresses = (dns.spec.get("clusterIPs") or [dns.spec.get("clusterIP")]) if dns else []
        if addresses and not set(servers) & set(addresses):
            return f"dnsPolicy is None with nameservers {', '.join(servers)}, none of which is the cluster's DNS", right
        if not host.endswith("cluster.local") and not any(
            ".svc" in each or each.startswith("svc.") for each in searches
        ):
            return (
                "dnsPolicy is None and dnsConfig.searches lacks the cluster's domains, so that short names do not resolve",
                right,
            )
    return "", ""


def _dns_still(state: State, at: Ref) -> bool:
    owner = state.find(at)
    if owner is None:
        return False
    return bool(_policy_trouble(state, owner)[0]) or any(
        _suffixed(state, call.host, at.namespace) for call in called(state, at)
    )


def _suffixed(state: State, host: str, namespace: str) -> str:
    """The right full name for one whose suffix is wrong though its Service exists; nothing where it is right."""
    parts = host.rstrip(".").split(".")
    if len(parts) < 3:
        return ""
    if parts[1] == "svc" and state.find(ref("Service", namespace, parts[0])) is not None:
        return f"{parts[0]}.{namespace}.svc.cluster.local"
    for away in (parts[1], namespace):
        if state.find(ref("Service", away, parts[0])) is not None:
            tail = ".".join(parts[2:])
            wrong = tail not in ("svc", "svc.cluster.local") and (
                nearest(tail, ["svc.cluster.local"]) or tail.startswith("svc.")
            )
            return f"{parts[0]}.{away}.svc.cluster.local" if wrong and away == parts[1] else ""
    return ""


def _dns_needs(state: State, symptom: Symptom) -> Iterable[Read]:
    yield from cluster_dns()


@cause("service/dns-failure", "name-failing", needs=together(_dns_needs, owners), holds=_dns_still)
def dns_failure(state: State, symptom: Symptom) -> Iterable[Finding]:
    workload = workload_of(state, symptom.at)
    owner = state.find(workload) or state.find(symptom.at)
    for attempt in attempts(state, symptom) if owner else ():
        assert owner is not None
        why, right = _policy_trouble(state, owner, attempt.host)
        cluster_name = attempt.service is not None or in_cluster(attempt.host)
        if why and cluster_name and nowhere(state, attempt.host, symptom.at.namespace) is None:
            path = (*spec_path(workload.kind), "dnsPolicy")
            yield Finding(
                "service/dns-failure",
                workload,
                "proved",
                f"{workload.short} cannot resolve {attempt.host}: {why}",
                supports=(attempt.fact, field(workload, why)),
                mends=(
                    Mend(
                        f"Resolve through the cluster's DNS: dnsPolicy {right}",
                        _dns_edits(workload, owner, path, right),
                    ),
                ),
                weight=0.5,
            )
            return
        full = _suffixed(state, attempt.host, symptom.at.namespace)
        if full:
            yield _wrong_suffix(state, workload, attempt.host, full, attempt.fact, attempt.calls)
            return


def _dns_edits(workload: Ref, owner: Object, path: tuple[Any, ...], right: str) -> tuple[Patch, ...]:
    edits = [Edit(path, right)]
    if (pod_spec(owner).get("dnsPolicy") or "") == "None":
        edits.append(Edit((*path[:-1], "dnsConfig"), REMOVE))
    return (Patch(workload, tuple(edits)),)


def _wrong_suffix(state: State, workload: Ref, host: str, full: str, fact: Fact, calls: Iterable[Call]) -> Finding:
    patches = next((each for call in calls if (each := rewritten(state, workload, call, full))), ())
    return Finding(
        "service/dns-failure",
        workload,
        "proved",
        f"{workload.short} asks for {host}, whose suffix is wrong: the Service's full name is {full}",
        supports=(fact, field(workload, f"the address {host} is not of the form SERVICE.NAMESPACE.svc.cluster.local")),
        mends=(Mend(f"Call {full}", patches),) if patches else (),
        weight=0.4,
    )
