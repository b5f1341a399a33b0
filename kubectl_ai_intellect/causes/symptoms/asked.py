"""Symptoms that only the words of a question show: an address that no Ingress of the scope answers to."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

from kubectl_ai_intellect.causes.base import Symptom
from kubectl_ai_intellect.causes.symptoms.pods import closed_gates
from kubectl_ai_intellect.kube.source import Object, dig
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import containers, is_finished

ADDRESS = re.compile(
    r"(?<![\w@.-])(?:https?://)?((?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,})(?::\d+)?(/[^\s\"'`?,;]*)?", re.I
)
IMMUTABLE = re.compile(
    r"(?i)field is immutable|is invalid: spec\.selector: invalid value|`?selector`? does not match template `?labels`?|updates to statefulset spec for fields other than"
)
"""How the API server refuses a change of what a workload keeps for life."""
INVALID = re.compile(
    r"(?i)\b(deployment|statefulset|daemonset|replicaset|job)(?:\.[a-z0-9.]+)? [\"'\\]*([a-z0-9][a-z0-9.-]*)[\"'\\]* is invalid"
)
DELETION = re.compile(
    r"(?i)\b(?:delet\w*|remov\w*|terminat\w*|uninstall\w*|recreat\w*)\b.*\b(?:hang\w*|stuck|never|forever|still|not|does ?n.t|can.?not|won.t|blocks?)\b"
    r"|\b(?:hang\w*|stuck|can.?not|can.t|won.t|never|unable to|still|not|does ?n.t)\b.*\b(?:delet\w*|remov\w*|terminat\w*|uninstall\w*|go away)\b|finali[sz]er"
)
NEARLY = 0.8
"""How alike two host names are of which one is a slip of the other."""


def addresses(text: str) -> list[tuple[str, str]]:
    """Host and path of each address in a text; names within the cluster are none."""
    found = [(host.lower(), path.rstrip(".") if path else "") for host, path in ADDRESS.findall(text)]
    return [
        (host, path)
        for host, path in found
        if not re.search(r"\.(?:svc|local|internal|ya?ml|json|sh|io)$|\.svc\.", host)
    ]


def hosts(ingress: Object) -> list[str]:
    return [str(rule.get("host") or "") for rule in ingress.spec.get("rules") or ()]


def covers(pattern: str, host: str) -> bool:
    """Whether a rule's host (empty: any; `*.x`: one label before x) is meant by this name."""
    if not pattern or pattern == host:
        return True
    return pattern.startswith("*.") and host.partition(".")[2] == pattern[2:]


def leads(path: dict[str, str], asked: str) -> bool:
    """Whether a path of a rule takes what was asked for; patterns of a controller's own are believed to."""
    declared = path.get("path") or "/"
    if path.get("pathType") == "Exact":
        return asked == declared
    if re.search(r"[*()\[\]^$\\|]", declared):
        return True
    base = declared.rstrip("/")
    return asked == base or asked.startswith(f"{base}/")


def alike(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()


def unmatched(state: State, text: str) -> Iterator[Symptom]:
    """Addresses in the question that no Ingress that was read answers to, at the one that nearly does."""
    ingresses = list(state.all("Ingress"))
    if not ingresses or state.all("HTTPRoute", group="gateway.networking.k8s.io"):
        return
    for host, path in addresses(text):
        serving = [each for each in ingresses if any(covers(one, host) for one in hosts(each))]
        if not serving and not any(each.spec.get("defaultBackend") for each in ingresses):
            nearest = max(ingresses, key=lambda each: max((alike(one, host) for one in hosts(each)), default=0.0))
            yield Symptom("route-unmatched", nearest.ref, nearest.created, f"host {host}")
        elif serving and path not in ("", "/") and not any(_serves(each, host, path) for each in serving):
            yield Symptom("route-unmatched", serving[0].ref, serving[0].created, f"path {host} {path}")


def refused(state: State, text: str) -> Iterator[Symptom]:
    """A workload whose change, as the question or what was piped in tells, the API server refused as immutable."""
    if IMMUTABLE.search(text) is None:
        return
    for kind, name in dict.fromkeys(INVALID.findall(text)):
        for found in state.objects:
            if (
                found.ref.kind.lower() == kind.lower()
                and found.ref.name == name
                and found.ref.group in ("apps", "batch")
            ):
                yield Symptom("create-refused", found.ref, None, "immutable")


def refusals_logged(state: State) -> str:
    """What deploying jobs and pipelines wrote of changes that the API server refused."""
    digests = (digest for pod in state.all("Pod") for each in containers(pod) for digest in state.logs(each.ref))
    return " ".join(line for digest in digests for line in digest.last_lines if IMMUTABLE.search(line))


def missed(state: State) -> Iterator[Symptom]:
    """Pods that only a readiness gate keeps back, however young: somebody misses them already."""
    for pod in state.all("Pod"):
        for gate in closed_gates(pod)[:1]:
            yield Symptom("gate-closed", pod.ref, pod.created, gate)


def hanging(state: State, text: str) -> Iterator[Symptom]:
    """Objects on their way out that still have finalizers, where the words say that it takes too long."""
    if DELETION.search(text) is None:
        return
    for each in state.objects:
        if not each.deleting:
            continue
        if each.ref.kind == "Pod" and is_finished(each) and each.meta.get("finalizers"):
            yield Symptom("pod-stuck-terminating", each.ref, each.deleting)
        elif (
            each.ref.kind == "Namespace"
            and any(
                (each.condition(kind) or {}).get("status") == "True"
                for kind in ("NamespaceContentRemaining", "NamespaceFinalizersRemaining")
            )
        ) or (each.ref.kind not in ("Pod", "Namespace") and each.meta.get("finalizers")):
            yield Symptom("deletion-stuck", each.ref, each.deleting)


def _serves(ingress: Object, host: str, path: str) -> bool:
    if ingress.spec.get("defaultBackend"):
        return True
    rules = [rule for rule in ingress.spec.get("rules") or () if covers(str(rule.get("host") or ""), host)]
    return any(leads(one, path) for rule in rules for one in dig(rule, "http", "paths", otherwise=[]))


def uncovered(ingress: Object) -> tuple[str, str] | None:
    """A host of the certificate that no rule serves, and the rule's host, without a certificate, that is nearly it."""
    ruled = [one for one in hosts(ingress) if one]
    secured = [str(one) for each in ingress.spec.get("tls") or () for one in each.get("hosts") or ()]
    bare = [one for one in ruled if not any(covers(each, one) for each in secured)]
    for host in secured:
        if host.startswith("*.") or any(covers(one, host) for one in ruled):
            continue
        slip = max(bare, key=lambda one: alike(one, host), default="")
        if slip and alike(slip, host) >= NEARLY:
            return host, slip
    return None


__all__ = [
    "IMMUTABLE",
    "NEARLY",
    "addresses",
    "alike",
    "covers",
    "hanging",
    "hosts",
    "leads",
    "missed",
    "refused",
    "uncovered",
    "unmatched",
]
