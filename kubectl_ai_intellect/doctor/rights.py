"""What a diagnosis reads, as rights: which kinds, with which verbs, and what is lost without each.

Nothing here is wished for: a test holds the table against what the recorded incidents read and what the mechanisms
ask for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from kubectl_ai_intellect.kube.refs import KNOWN, Ref, Resource
from kubectl_ai_intellect.kube.source import Read, Source

READ = ("get", "list")
Reach = Literal["everywhere", "namespace", "nowhere"]


class Right(NamedTuple):
    """One kind that is read (or a part of it), and what is lost where it is not."""

    group: str
    kind: str
    verbs: tuple[str, ...]
    costs: str
    part: str = ""

    @property
    def resource(self) -> Resource:
        return KNOWN[self.group, self.kind]

    @property
    def plural(self) -> str:
        """As a role names it."""
        return f"{self.resource.plural}/{self.part}" if self.part else self.resource.plural

    @property
    def namespaced(self) -> bool:
        return self.resource.namespaced

    @property
    def shown(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


class Reached(NamedTuple):
    """A right, and how far it goes for the present user; `verb` is the first that is refused."""

    right: Right
    reach: Reach
    verb: str = ""


_ROWS: Sequence[tuple[str, str, str]] = (
    ("", "Pod", "no diagnosis at all: everything begins at pods"),
    ("", "Event", "much of the why: pull errors, failed mounts, refused scheduling"),
    ("apps", "Deployment ReplicaSet StatefulSet DaemonSet", "rollouts, what changed, and where a mend belongs"),
    ("apps", "ControllerRevision", "what changed in StatefulSets and DaemonSets"),
    ("", "ReplicationController", "pods that a ReplicationController owns"),
    ("batch", "Job CronJob", "failed and missed jobs"),
    ("", "Service", "traffic: selectors, ports, endpoints"),
    ("discovery.k8s.io", "EndpointSlice", "which pods a Service really reaches"),
    ("networking.k8s.io", "Ingress NetworkPolicy", "routes and blocked traffic"),
    ("", "ConfigMap", "missing or changed configuration"),
    ("", "Secret", "missing Secrets and keys, and expired certificates (only names, keys and tls.crt are read)"),
    ("", "PersistentVolumeClaim", "storage: pending and full claims"),
    ("", "ResourceQuota LimitRange", "pods refused by a quota or limit range"),
    ("", "ServiceAccount", "identity: missing accounts and pull secrets"),
    ("autoscaling", "HorizontalPodAutoscaler", "why something does not scale"),
    ("policy", "PodDisruptionBudget", "blocked evictions and drains"),
    ("rbac.authorization.k8s.io", "Role RoleBinding ClusterRole ClusterRoleBinding", "why a workload is forbidden to do something"),
    ("coordination.k8s.io", "Lease", "dead control-plane parts and silent nodes"),
    ("", "Namespace", "namespaces that hang or do not exist"),
    ("", "Node", "scheduling, node pressure, NotReady nodes"),
    ("", "PersistentVolume", "storage: volumes bound elsewhere or lost"),
    ("storage.k8s.io", "StorageClass CSIDriver", "storage: missing classes and drivers"),
    ("scheduling.k8s.io", "PriorityClass", "pods refused for a missing priority class"),
    ("node.k8s.io", "RuntimeClass", "pods refused for a missing runtime class"),
    ("networking.k8s.io", "IngressClass", "Ingresses that no controller serves"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration MutatingWebhookConfiguration", "webhooks that refuse or block"),
    ("apiextensions.k8s.io", "CustomResourceDefinition", "custom kinds that are missing or not served"),
    ("apiregistration.k8s.io", "APIService", "extension APIs that are down"),
    ("metrics.k8s.io", "PodMetrics NodeMetrics", "use of CPU and memory"),
    ("gateway.networking.k8s.io", "Gateway HTTPRoute GatewayClass", "routes of the Gateway API"),
)  # fmt: skip

RIGHTS: tuple[Right, ...] = (
    *(
        Right(group, kind, READ, costs)
        for group, kinds, costs in _ROWS
        for kind in kinds.split()
        if (group, kind) in KNOWN
    ),
    Right("", "Pod", ("get",), "why containers crash: their last words", "log"),
)
"""Everything that full service reads."""

OPTIONAL_GROUPS = frozenset({"metrics.k8s.io", "gateway.networking.k8s.io"})
"""Kinds that a cluster may well not serve."""


def served(source: Source) -> tuple[list[Right], list[Resource]]:
    """The rights that matter on this cluster, and the custom kinds it serves whose conditions are read."""
    resources = source.resources()
    known = {(each.group, each.kind) for each in resources}
    rights = [each for each in RIGHTS if each.group not in OPTIONAL_GROUPS or (each.group, each.kind) in known]
    custom = [
        each
        for each in resources
        if each.namespaced and "list" in each.verbs and "." in each.group and not each.group.endswith(".k8s.io")
    ]
    return rights, list({(each.group, each.plural): each for each in custom}.values())


def reached(source: Source, rights: Sequence[Right], namespace: str, *, only: bool) -> list[Reached]:
    """How far each right goes: asked for the whole cluster (not where `only` the namespace counts), else there."""
    wide = {} if only else _asked(source, rights, "")
    rest = [each for each in rights if wide.get(each, "x") and each.namespaced]
    near = _asked(source, rest, namespace) if namespace else {}
    if only:
        near.update(_asked(source, [each for each in rights if not each.namespaced], ""))
    found: list[Reached] = []
    for each in rights:
        refused = wide.get(each, "-")
        if not refused or (only and not near.get(each, "-")):
            found.append(Reached(each, "everywhere"))
        elif not near.get(each, "-"):
            found.append(Reached(each, "namespace", refused))
        else:
            found.append(Reached(each, "nowhere", near.get(each) or refused))
    return found


def _asked(source: Source, rights: Iterable[Right], namespace: str) -> dict[Right, str]:
    """For each right the verbs that are refused there, joined; empty where all are allowed."""
    rights = list(rights)
    reads = [_review(right, verb, namespace) for right in rights for verb in right.verbs]
    answers = iter(source.fetch(reads))
    return {right: ", ".join(verb for verb in right.verbs if next(answers).allowed is not True) for right in rights}


def _review(right: Right, verb: str, namespace: str) -> Read:
    options = [("verb", verb), *([("subresource", right.part)] if right.part else [])]
    place = namespace if right.namespaced else ""
    return Read("can-i", Ref(right.group, right.kind, place, ""), tuple(sorted(options)))


__all__ = ["OPTIONAL_GROUPS", "READ", "RIGHTS", "Reach", "Reached", "Right", "reached", "served"]
