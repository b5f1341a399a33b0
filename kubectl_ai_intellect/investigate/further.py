"""What is read beyond a scope's first look when the question speaks of it, or when nothing else explains the trouble."""

from __future__ import annotations

import re

from kubectl_ai_intellect.investigate.scope import Scope
from kubectl_ai_intellect.kube.source import Read, list_of

GATEWAYS = "gateway.networking.k8s.io"
RELEASES = re.compile(
    r"\b(?:helm|releases?|upgrad\w*|roll(?:ed|ing)? ?back|chart|install\w*|deploy\w* (?:fail|hang|stuck|does|won't)\w*)\b"
)
APIS = re.compile(
    r"\b(?:namespaces?|ns|terminating|delet\w+|remov\w+|metrics?|hpa|autoscal\w*|scal\w+|top|apis?|apiservices?|kubectl|discovery)\b"
)
ROUTES = re.compile(
    r"\b(?:gateways?|routes?|routing|https?|ingress|outside|reach\w*|unreachable|browser|domain|url|site|404|50\d|traffic)\b"
)


def further(question: str, scope: Scope, unexplained: bool) -> list[Read]:
    """Gateways and routes, Helm's records, aggregated APIs: each where the words ask for it, all where nothing explains."""
    words = question.lower()
    reads: list[Read] = []
    if unexplained or ROUTES.search(words):
        reads += [list_of(kind, scope.namespace, group=GATEWAYS) for kind in ("Gateway", "HTTPRoute")]
    if unexplained or RELEASES.search(words):
        reads.append(list_of("Secret", scope.namespace, labels="owner=helm"))
    if unexplained or APIS.search(words):
        reads.append(list_of("APIService"))
    return reads


__all__ = ["further"]
