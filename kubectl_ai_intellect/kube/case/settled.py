"""Recording whole namespaces: everything a question about them could want to read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kubectl_ai_intellect.kube.case.compact import Redact, worth_keeping
from kubectl_ai_intellect.kube.case.model import Case
from kubectl_ai_intellect.kube.case.recorder import Recorder
from kubectl_ai_intellect.kube.refs import BUILTIN, KNOWN, Ref, Resource, ref
from kubectl_ai_intellect.kube.source import Fetched, Read, Source, dig, list_of

SYSTEM = "kube-system"
SYSTEM_KINDS = ("Pod", "Service", "EndpointSlice", "Lease", "Deployment", "DaemonSet", "Event")
LOG_TAIL = "500"

CLUSTER_WIDE = (
    "Node",
    "Namespace",
    "PersistentVolume",
    "StorageClass",
    "IngressClass",
    "CSIDriver",
    "CSINode",
    "VolumeAttachment",
    "PriorityClass",
    "ClusterRoleBinding",
    "ValidatingWebhookConfiguration",
    "MutatingWebhookConfiguration",
    "ValidatingAdmissionPolicy",
    "CustomResourceDefinition",
    "APIService",
    "GatewayClass",
)


def record_settled(
    source: Source, namespaces: Sequence[str], redact: Redact, question: str = "", title: str = ""
) -> Case:
    """Read the namespaces, what they stand on, and every container's logs, as one case."""
    recorder = Recorder(source, redact)
    reads = [list_of(kind) for kind in CLUSTER_WIDE]
    reads.append(list_of("Lease", "kube-node-lease"))
    if SYSTEM not in namespaces:
        reads += [list_of(kind, SYSTEM) for kind in SYSTEM_KINDS]
        reads.append(Read("get", ref("ConfigMap", SYSTEM, "coredns")))
    if "default" not in namespaces:
        reads.append(list_of("Event", "default"))  # where events about nodes are kept
    for resource in _namespaced(source.resources()):
        reads += [Read("list", Ref(resource.group, resource.kind, namespace, "")) for namespace in namespaces]
    answers = recorder.fetch(reads)
    recorder.fetch([*_metrics(namespaces), *_custom(source.resources()), *_roles(answers)])
    pods = [a for a in answers if a.read.of.kind == "Pod" and a.read.of.namespace in namespaces]
    recorder.fetch([*_log_reads(pods), *_certificates(answers)])
    return recorder.case(question, title, namespace=namespaces[0] if namespaces else "")


def _namespaced(resources: Iterable[Resource]) -> list[Resource]:
    """Kinds that live in namespaces: those we know, and custom ones."""
    served = {(r.group, r.kind): r for r in resources if r.namespaced and worth_keeping(r)}
    built_in = {key for key in BUILTIN if KNOWN[key].namespaced}
    custom = {key for key in served if key in KNOWN or ("." in key[0] and not key[0].endswith(".k8s.io"))}
    return [served.get(key) or KNOWN[key] for key in sorted(built_in | custom)]


def _custom(resources: Iterable[Resource]) -> list[Read]:
    """Cluster-scoped custom resources: issuers, classes and the like."""
    return [
        Read("list", Ref(r.group, r.kind, "", ""))
        for r in resources
        if not r.namespaced and "." in r.group and not r.group.endswith(".k8s.io") and worth_keeping(r)
    ]


def _metrics(namespaces: Sequence[str]) -> list[Read]:
    usage = [list_of("PodMetrics", namespace, group="metrics.k8s.io") for namespace in namespaces]
    return [*usage, list_of("NodeMetrics", group="metrics.k8s.io")]


def _roles(answers: Sequence[Fetched]) -> list[Read]:
    """The ClusterRoles that the namespaces' bindings and the cluster's own bindings name."""
    named = {
        str(dig(item, "roleRef", "name"))
        for answer in answers
        if answer.read.of.kind in ("RoleBinding", "ClusterRoleBinding")
        for item in answer.items
        if dig(item, "roleRef", "kind") == "ClusterRole" and not _is_controllers(item)
    }
    return [Read("get", ref("ClusterRole", "", name)) for name in sorted(named)]


def _certificates(answers: Sequence[Fetched]) -> list[Read]:
    """The public half of the certificates that Ingresses serve."""
    named = {
        (str(dig(item, "metadata", "namespace")), str(each.get("secretName")))
        for answer in answers
        if answer.read.of.kind == "Ingress"
        for item in answer.items
        for each in dig(item, "spec", "tls", otherwise=[])
        if each.get("secretName")
    }
    return [Read("get", ref("Secret", namespace, name), (("tls", "true"),)) for namespace, name in sorted(named)]


def _is_controllers(binding: object) -> bool:
    """The control plane's own bindings, the same on every cluster."""
    return str(dig(binding, "metadata", "name", otherwise="")).startswith("system:")


def _log_reads(answers: Iterable[Fetched]) -> Iterable[Read]:
    """Current and previous logs of every container that has run."""
    for answer in answers:
        for pod in answer.items:
            namespace, name = dig(pod, "metadata", "namespace"), dig(pod, "metadata", "name")
            for key in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"):
                for status in dig(pod, "status", key, otherwise=[]):
                    container = ref("Pod", namespace, name, str(status.get("name", "")))
                    yield Read("logs", container, (("tail", LOG_TAIL),))
                    if status.get("restartCount") or status.get("lastState"):
                        yield Read("logs", container, (("previous", "true"), ("tail", LOG_TAIL)))


__all__ = ["record_settled"]
