"""How objects stand to each other: owns, selects, routes, mounts, runs on, calls, binds, scales, backs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any

from kubectl_ai_intellect.kube.refs import Ref, group_of, ref
from kubectl_ai_intellect.kube.source import Object, dig
from kubectl_ai_intellect.state.calls import called
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import pod_labels, pod_spec
from kubectl_ai_intellect.state.selectors import equals, matches


class Relation(StrEnum):
    """Each reads forward: owner OWNS dependent, Service SELECTS pod, Ingress ROUTES to Service, …"""

    OWNS = "owns"
    PART = "part"  # pod → its containers
    SELECTS = "selects"
    ROUTES = "routes"
    MOUNTS = "mounts"  # pod → claim, ConfigMap, Secret
    RUNS_ON = "runs-on"
    CALLS = "calls"  # container → Service
    BINDS = "binds"  # claim → volume, claim → class
    SCALES = "scales"
    MANAGES = "manages"  # workload → its pods, over however many owners
    SERVES = "serves"  # pod → the containers that call a Service which selects it
    BESIDE = "beside"  # container → the other containers of its pod
    SAME = "same"  # the same object, or a part of it
    BACKS = "backs"  # Service → webhook or APIService that it serves
    USES = "uses"  # pod → ServiceAccount
    EVERYWHERE = "everywhere"  # a component of the cluster → anything


def near(state: State, at: Ref, relation: Relation, back: bool = False) -> tuple[Ref, ...]:
    """The neighbours of an object over one relation (backwards: who stands so to it)."""
    key = ("near", at, relation, back)
    if key not in state.memo:
        finder = (_BACK if back else _FORWARD).get(relation)
        state.memo[key] = tuple(dict.fromkeys(finder(state, at))) if finder else ()
    return state.memo[key]


def owner_refs(state: State, at: Ref) -> Iterator[Ref]:
    """The owners an object names, the managing controller first, whether or not they were read."""
    found = state.find(at)
    owners = list((found.meta if found else {}).get("ownerReferences") or ())
    for owner in sorted(owners, key=lambda each: not each.get("controller")):
        kind = owner.get("kind", "")
        namespace = "" if kind == "Node" else at.namespace
        yield Ref(group_of(owner.get("apiVersion", "")), kind, namespace, owner.get("name", ""))


WORKLOADS = frozenset(
    {"Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicationController"}
)


def workload_of(state: State, at: Ref) -> Ref:
    """What a person would edit to change this pod: the topmost built-in owner; a bare pod is its own."""
    at = at.whole()
    key = ("workload", at)
    if key not in state.memo:
        state.memo[key] = _topmost(state, at)
    return state.memo[key]


def _topmost(state: State, at: Ref) -> Ref:
    for _ in range(6):
        owner = next((each for each in owner_refs(state, at) if each.kind in WORKLOADS), None)
        if owner is None:
            return _deployment_by_hash(state, at)
        at = owner
    return at


def _deployment_by_hash(state: State, at: Ref) -> Ref:
    """A ReplicaSet that could not be read still carries its Deployment in its name."""
    if at.kind == "ReplicaSet" and state.find(at) is None:
        name = at.name.rpartition("-")[0]
        guess = ref("Deployment", at.namespace, name)
        if name and state.find(guess) is not None:
            return guess
    return at


def pods_of(state: State, workload: Ref) -> list[Object]:
    """The pods of a workload that are now: through owners, not labels."""
    if workload.kind == "Pod":
        found = state.find(workload)
        return [found] if found else []
    if "pods" not in state.memo:
        groups: dict[Ref, list[Object]] = {}
        for pod in state.all("Pod"):
            groups.setdefault(workload_of(state, pod.ref), []).append(pod)
        state.memo["pods"] = groups
    return list(state.memo["pods"].get(workload, ()))


def replica_sets(state: State, deployment: Ref) -> list[Object]:
    """A Deployment's ReplicaSets, newest revision first."""
    owned = [
        each for each in state.all("ReplicaSet", deployment.namespace) if deployment in owner_refs(state, each.ref)
    ]
    return sorted(owned, key=lambda each: revision(each), reverse=True)


def revision(owned: Object) -> int:
    value = owned.annotations.get("deployment.kubernetes.io/revision") or ""
    return int(value) if value.isdigit() else 0


def selecting_services(state: State, labels: Mapping[str, str], namespace: str) -> list[Object]:
    return [each for each in state.all("Service", namespace) if equals(each.spec.get("selector"), labels)]


def _owns(state: State, at: Ref) -> Iterator[Ref]:
    found = state.find(at)
    for other in state.objects:
        for owner in other.meta.get("ownerReferences") or ():
            if (found and owner.get("uid") == found.uid) or (not found and owner.get("name") == at.name):
                yield other.ref


def _parts(state: State, at: Ref) -> Iterator[Ref]:
    found = state.find(at)
    for group in ("initContainers", "containers"):
        for each in (found.spec.get(group) or ()) if found else ():
            yield at.at(each["name"])


def _beside(state: State, at: Ref) -> Iterator[Ref]:
    yield from (each for each in _parts(state, at.whole()) if each != at)


def _whole(state: State, at: Ref) -> Iterator[Ref]:
    yield at.whole()


def _manages(state: State, at: Ref) -> Iterator[Ref]:
    for pod in pods_of(state, at):
        yield pod.ref


def _managed_by(state: State, at: Ref) -> Iterator[Ref]:
    yield from owner_refs(state, at.whole())
    yield workload_of(state, at)


def _serves(state: State, at: Ref) -> Iterator[Ref]:
    for service in _selected_by(state, at.whole()):
        if service.kind == "Service":
            yield from _called_by(state, service)


def _served_by(state: State, at: Ref) -> Iterator[Ref]:
    for service in _calls(state, at):
        yield from _selects(state, service)


def _selects(state: State, at: Ref) -> Iterator[Ref]:
    found = state.find(at)
    if found is None:
        return
    if at.kind == "Service":
        yield from (pod.ref for pod in state.labelled("Pod", at.namespace, found.spec.get("selector")))
    else:
        selector = found.spec.get("podSelector" if at.kind == "NetworkPolicy" else "selector")
        yield from (pod.ref for pod in state.all("Pod", at.namespace) if matches(selector, pod.labels))
    if at.kind == "Service":
        for kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController"):
            for each in state.all(kind, at.namespace):
                if equals(found.spec.get("selector"), pod_labels(each)):
                    yield each.ref


def _selected_by(state: State, at: Ref) -> Iterator[Ref]:
    """Services and policies over a pod, or over the pods a workload would make."""
    found = state.find(at)
    labels = pod_labels(found) if found else {}
    for service in selecting_services(state, labels, at.namespace):
        yield service.ref
    for policy in state.all("NetworkPolicy", at.namespace):
        if matches(policy.spec.get("podSelector"), labels):
            yield policy.ref
    for budget in state.all("PodDisruptionBudget", at.namespace):
        if matches(budget.spec.get("selector"), labels):
            yield budget.ref


def routed(ingress: Object) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    """Each backend of an Ingress: the Service's name, its port and where it is written."""
    default = dig(ingress.spec, "defaultBackend", "service")
    if default:
        yield default.get("name", ""), default.get("port") or {}, "default backend"
    for rule in ingress.spec.get("rules") or ():
        for path in dig(rule, "http", "paths", otherwise=[]):
            service = dig(path, "backend", "service")
            if service:
                where = f"{rule.get('host') or '*'}{path.get('path') or '/'}"
                yield service.get("name", ""), service.get("port") or {}, where


def _routes(state: State, at: Ref) -> Iterator[Ref]:
    found = state.find(at)
    if found is None:
        return
    if at.kind == "Ingress":
        for name, _, _ in routed(found):
            yield ref("Service", at.namespace, name)
    if at.kind == "HTTPRoute":
        for rule in found.spec.get("rules") or ():
            for backend in rule.get("backendRefs") or ():
                yield ref("Service", backend.get("namespace") or at.namespace, backend.get("name", ""))


def _routed_by(state: State, at: Ref) -> Iterator[Ref]:
    for kind in ("Ingress", "HTTPRoute"):
        for each in state.all(kind):
            if at in tuple(_routes(state, each.ref)):
                yield each.ref


def references(spec: Mapping[str, Any], namespace: str) -> Iterator[Ref]:
    """Claims, ConfigMaps, Secrets that a pod spec names (with the key as part where one is named)."""
    for volume in spec.get("volumes") or ():
        yield from _volume_references(volume, namespace)
    for each in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        for source in each.get("envFrom") or ():
            for kind, field in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
                if source.get(field):
                    yield ref(kind, namespace, source[field].get("name", ""))
        for variable in each.get("env") or ():
            origin = variable.get("valueFrom") or {}
            for kind, field in (("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")):
                if origin.get(field):
                    yield ref(kind, namespace, origin[field].get("name", ""), origin[field].get("key", ""))
    for secret in spec.get("imagePullSecrets") or ():
        yield ref("Secret", namespace, secret.get("name", ""))


def lacking(state: State, at: Ref) -> list[Ref]:
    """What a pod or workload names and is known not to be there."""
    found = state.find(at)
    named = {each.whole() for each in references(pod_spec(found), at.namespace)} if found else set[Ref]()
    return sorted(each for each in named if state.absent(each))


def _volume_references(volume: Mapping[str, Any], namespace: str) -> Iterator[Ref]:
    if volume.get("persistentVolumeClaim"):
        yield ref("PersistentVolumeClaim", namespace, volume["persistentVolumeClaim"].get("claimName", ""))
    for source in (volume, *dig(volume, "projected", "sources", otherwise=[])):
        if source.get("configMap"):
            yield ref("ConfigMap", namespace, source["configMap"].get("name", ""))
        if source.get("secret"):
            yield ref("Secret", namespace, source["secret"].get("secretName") or source["secret"].get("name", ""))


def _mounts(state: State, at: Ref) -> Iterator[Ref]:
    found = state.find(at)
    if found is not None:
        for target in references(pod_spec(found), at.namespace):
            yield target.whole()
        if at.kind == "Pod":
            yield from _ephemeral(found)


def _ephemeral(pod: Object) -> Iterator[Ref]:
    """The claims that are made for a pod's generic ephemeral volumes."""
    for volume in pod.spec.get("volumes") or ():
        if volume.get("ephemeral"):
            yield ref("PersistentVolumeClaim", pod.ref.namespace, f"{pod.ref.name}-{volume.get('name', '')}")


def _mounted_by(state: State, at: Ref) -> Iterator[Ref]:
    for pod in state.all("Pod", at.namespace):
        if at.whole() in {target.whole() for target in (*references(pod.spec, at.namespace), *_ephemeral(pod))}:
            yield pod.ref


def _runs_on(state: State, at: Ref) -> Iterator[Ref]:
    found = state.find(at)
    if found is not None and found.spec.get("nodeName"):
        yield ref("Node", "", found.spec["nodeName"])


def _hosts(state: State, at: Ref) -> Iterator[Ref]:
    for pod in state.all("Pod"):
        if pod.spec.get("nodeName") == at.name:
            yield pod.ref


def _calls(state: State, at: Ref) -> Iterator[Ref]:
    for call in called(state, at):
        if call.service is not None:
            yield call.service


def _called_by(state: State, at: Ref) -> Iterator[Ref]:
    if "callers" not in state.memo:
        callers: dict[Ref, list[Ref]] = {}
        for pod in state.all("Pod"):
            for call in called(state, pod.ref):
                if call.service is not None:
                    callers.setdefault(call.service, []).append(call.caller)
        state.memo["callers"] = callers
    yield from state.memo["callers"].get(at, ())


def _binds(state: State, at: Ref) -> Iterator[Ref]:
    found = state.find(at)
    if found is None:
        return
    if found.spec.get("volumeName"):
        yield ref("PersistentVolume", "", found.spec["volumeName"])
    if found.spec.get("storageClassName"):
        yield ref("StorageClass", "", found.spec["storageClassName"])


def _bound_by(state: State, at: Ref) -> Iterator[Ref]:
    for claim in state.all("PersistentVolumeClaim"):
        if at in tuple(_binds(state, claim.ref)):
            yield claim.ref


def _scales(state: State, at: Ref) -> Iterator[Ref]:
    found = state.find(at)
    target = found.spec.get("scaleTargetRef") if found else None
    if target:
        group, kind = group_of(target.get("apiVersion") or ""), target.get("kind", "")
        group = "apps" if group == "extensions" else group  # what moved is still what is meant
        yield Ref(group, kind, at.namespace, target.get("name", ""))


def _scaled_by(state: State, at: Ref) -> Iterator[Ref]:
    for each in state.all("HorizontalPodAutoscaler", at.namespace):
        if at in tuple(_scales(state, each.ref)):
            yield each.ref


_WEBHOOKS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")


def backing_service(found: Object) -> Iterator[Ref]:
    """The Services that webhooks or an APIService are served by."""
    clients: Iterable[Any] = (
        [found.spec]
        if found.ref.kind == "APIService"
        else [each.get("clientConfig") or {} for each in found.raw.get("webhooks") or ()]
    )
    for client in clients:
        service = client.get("service")
        if service:
            yield ref("Service", service.get("namespace", ""), service.get("name", ""))


def _backs(state: State, at: Ref) -> Iterator[Ref]:
    for kind in (*_WEBHOOKS, "APIService"):
        for each in state.all(kind):
            if at in tuple(backing_service(each)):
                yield each.ref


def _backed_by(state: State, at: Ref) -> Iterator[Ref]:
    found = state.find(at)
    if found is not None:
        yield from backing_service(found)


def _uses(state: State, at: Ref) -> Iterator[Ref]:
    found = state.find(at)
    if found is not None:
        yield ref("ServiceAccount", at.namespace, pod_spec(found).get("serviceAccountName") or "default")


def _used_by(state: State, at: Ref) -> Iterator[Ref]:
    for pod in state.all("Pod", at.namespace):
        if (pod.spec.get("serviceAccountName") or "default") == at.name:
            yield pod.ref


_FORWARD = {
    Relation.OWNS: _owns,
    Relation.PART: _parts,
    Relation.SELECTS: _selects,
    Relation.MANAGES: _manages,
    Relation.SERVES: _serves,
    Relation.BESIDE: _beside,
    Relation.SAME: _whole,
    Relation.ROUTES: _routes,
    Relation.MOUNTS: _mounts,
    Relation.RUNS_ON: _runs_on,
    Relation.CALLS: _calls,
    Relation.BINDS: _binds,
    Relation.SCALES: _scales,
    Relation.BACKS: _backs,
    Relation.USES: _uses,
}
_BACK = {
    Relation.OWNS: owner_refs,
    Relation.PART: _whole,
    Relation.SELECTS: _selected_by,
    Relation.MANAGES: _managed_by,
    Relation.SERVES: _served_by,
    Relation.BESIDE: _beside,
    Relation.SAME: _whole,
    Relation.ROUTES: _routed_by,
    Relation.MOUNTS: _mounted_by,
    Relation.RUNS_ON: _hosts,
    Relation.CALLS: _called_by,
    Relation.BINDS: _bound_by,
    Relation.SCALES: _scaled_by,
    Relation.BACKS: _backed_by,
    Relation.USES: _used_by,
}

__all__ = [
    "WORKLOADS",
    "Relation",
    "backing_service",
    "lacking",
    "near",
    "owner_refs",
    "pods_of",
    "references",
    "replica_sets",
    "revision",
    "routed",
    "selecting_services",
    "workload_of",
]
