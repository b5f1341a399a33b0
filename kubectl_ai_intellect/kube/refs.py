"""Names of things in a cluster: which object, of which kind, served where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Ref(NamedTuple):
    """One object, or a part of it (a container, a port, a key)."""

    group: str
    kind: str
    namespace: str
    name: str
    part: str = ""

    def whole(self) -> Ref:
        return self._replace(part="") if self.part else self

    def at(self, part: str) -> Ref:
        return self._replace(part=part)

    def __str__(self) -> str:
        where = f" in {self.namespace}" if self.namespace else ""
        part = f" [{self.part}]" if self.part else ""
        return f"{self.kind}/{self.name}{part}{where}"

    @property
    def short(self) -> str:
        """Kind and name alone, for places where the namespace is clear."""
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind as the API serves it."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    short: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ("get", "list")

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def base(self) -> str:
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    @property
    def argument(self) -> str:
        """How kubectl is told of it: the plural, with the group where the plural is not a built-in's."""
        plain = not self.group or (self.group, self.kind) in BUILTIN
        return self.plural if plain else f"{self.plural}.{self.group}"

    def path(self, namespace: str | None = None, name: str = "") -> str:
        scope = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{self.base}{scope}/{self.plural}" + (f"/{name}" if name else "")


def _table() -> dict[tuple[str, str], Resource]:
    rows = """
    |v1|Pod|pods|1|po
    |v1|Service|services|1|svc
    |v1|Node|nodes|0|no
    |v1|Namespace|namespaces|0|ns
    |v1|Event|events|1|ev
    |v1|ConfigMap|configmaps|1|cm
    |v1|Secret|secrets|1|
    |v1|ServiceAccount|serviceaccounts|1|sa
    |v1|PersistentVolumeClaim|persistentvolumeclaims|1|pvc
    |v1|PersistentVolume|persistentvolumes|0|pv
    |v1|ResourceQuota|resourcequotas|1|quota
    |v1|LimitRange|limitranges|1|limits
    |v1|ReplicationController|replicationcontrollers|1|rc
    |v1|Endpoints|endpoints|1|ep
    apps|v1|Deployment|deployments|1|deploy
    apps|v1|ReplicaSet|replicasets|1|rs
    apps|v1|StatefulSet|statefulsets|1|sts
    apps|v1|DaemonSet|daemonsets|1|ds
    apps|v1|ControllerRevision|controllerrevisions|1|
    batch|v1|Job|jobs|1|
    batch|v1|CronJob|cronjobs|1|cj
    autoscaling|v2|HorizontalPodAutoscaler|horizontalpodautoscalers|1|hpa
    policy|v1|PodDisruptionBudget|poddisruptionbudgets|1|pdb
    networking.k8s.io|v1|Ingress|ingresses|1|ing
    networking.k8s.io|v1|IngressClass|ingressclasses|0|
    networking.k8s.io|v1|NetworkPolicy|networkpolicies|1|netpol
    discovery.k8s.io|v1|EndpointSlice|endpointslices|1|
    storage.k8s.io|v1|StorageClass|storageclasses|0|sc
    storage.k8s.io|v1|CSIDriver|csidrivers|0|
    storage.k8s.io|v1|CSINode|csinodes|0|
    storage.k8s.io|v1|VolumeAttachment|volumeattachments|0|
    rbac.authorization.k8s.io|v1|Role|roles|1|
    rbac.authorization.k8s.io|v1|RoleBinding|rolebindings|1|
    rbac.authorization.k8s.io|v1|ClusterRole|clusterroles|0|
    rbac.authorization.k8s.io|v1|ClusterRoleBinding|clusterrolebindings|0|
    coordination.k8s.io|v1|Lease|leases|1|
    scheduling.k8s.io|v1|PriorityClass|priorityclasses|0|pc
    node.k8s.io|v1|RuntimeClass|runtimeclasses|0|
    admissionregistration.k8s.io|v1|ValidatingWebhookConfiguration|validatingwebhookconfigurations|0|
    admissionregistration.k8s.io|v1|MutatingWebhookConfiguration|mutatingwebhookconfigurations|0|
    admissionregistration.k8s.io|v1|ValidatingAdmissionPolicy|validatingadmissionpolicies|0|
    apiextensions.k8s.io|v1|CustomResourceDefinition|customresourcedefinitions|0|crd,crds
    apiregistration.k8s.io|v1|APIService|apiservices|0|
    metrics.k8s.io|v1beta1|PodMetrics|pods|1|
    metrics.k8s.io|v1beta1|NodeMetrics|nodes|0|
    gateway.networking.k8s.io|v1|Gateway|gateways|1|gtw
    gateway.networking.k8s.io|v1|HTTPRoute|httproutes|1|
    gateway.networking.k8s.io|v1|GatewayClass|gatewayclasses|0|gc
    """
    table: dict[tuple[str, str], Resource] = {}
    for row in rows.split():
        group, version, kind, plural, namespaced, short = row.split("|")
        names = tuple(name for name in short.split(",") if name)
        table[group, kind] = Resource(group, version, kind, plural, namespaced == "1", names)
    return table


KNOWN: dict[tuple[str, str], Resource] = _table()
"""Every kind we know without asking the cluster's discovery."""

BUILTIN: frozenset[tuple[str, str]] = frozenset(key for key in KNOWN if not key[0].startswith(("metrics.", "gateway.")))

GROUP_OF: dict[str, str] = {kind: group for group, kind in reversed(KNOWN)}
"""The usual group of a kind: so that `ref("Deployment", …)` needs none."""


def ref(kind: str, namespace: str, name: str, part: str = "", *, group: str | None = None) -> Ref:
    """A Ref of a known kind, its group filled in."""
    return Ref(GROUP_OF.get(kind, "") if group is None else group, kind, namespace, name, part)


def group_of(api_version: str) -> str:
    return api_version.rpartition("/")[0]


def named(word: str) -> Resource | None:
    """The known kind that kubectl would understand by this word, if any."""
    wanted = word.lower().partition(".")[0]
    for resource in KNOWN.values():
        if resource.group == "metrics.k8s.io":
            continue
        kind = resource.kind.lower()
        if wanted in (kind, f"{kind}s", resource.plural, *resource.short):
            return resource
    return None


__all__ = ["BUILTIN", "GROUP_OF", "KNOWN", "Ref", "Resource", "group_of", "named", "ref"]
