"""What is dropped from objects the moment they arrive: secret values, and bookkeeping nobody reads."""

from __future__ import annotations

import gc
import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from kubectl_ai_intellect.kube.refs import Resource

Json = Any

TRACKED = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ConfigMap", "Secret", "Service", "NetworkPolicy"})
"""Kinds whose managedFields say something worth knowing: who changed it last, and which keys it has."""

PUBLIC_DOMAINS = (
    "meta.helm.sh",
    "helm.sh",
    "argocd.argoproj.io",
    "cert-manager.io",
    "kustomize.toolkit.fluxcd.io",
    "helm.toolkit.fluxcd.io",
)
PUBLIC_ANNOTATIONS = frozenset({"kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"})
"""The only annotations of a Secret whose values are kept: others are known to hold copies of the secret."""

BIG = 1 << 20

_parsing = threading.Lock()
_parsers = 0


def parsed(body: bytes) -> Json:
    """JSON, without the garbage collector walking a big payload again and again while it grows."""
    if len(body) < BIG:
        return json.loads(body)
    with _collector_paused():
        return json.loads(body)


@contextmanager
def _collector_paused() -> Generator[None]:
    global _parsers
    with _parsing:
        _parsers += 1
        gc.disable()
    try:
        yield
    finally:
        with _parsing:
            _parsers -= 1
            if not _parsers:
                gc.freeze()
                gc.enable()


def received(item: dict[str, Json], resource: Resource, *, certificate: bool = False) -> dict[str, Json]:
    """The object as we keep it: named by its kind, without secret values and idle bookkeeping."""
    item["apiVersion"] = resource.api_version
    item["kind"] = resource.kind
    metadata = item.get("metadata")
    if not isinstance(metadata, dict):
        item["metadata"] = metadata = {}
    if not resource.group and resource.kind == "Secret":
        _without_values(item, metadata, certificate)
    if resource.kind not in TRACKED:
        metadata.pop("managedFields", None)
    return item


def _without_values(item: dict[str, Json], metadata: dict[str, Json], certificate: bool) -> None:
    """A Secret's names and keys; of its values at most the public certificate of a TLS pair."""
    item.pop("stringData", None)
    data = item.pop("data", None)
    if certificate and isinstance(data, dict):
        item["data"] = {key: value if key == "tls.crt" else None for key, value in data.items()}
    annotations = metadata.get("annotations")
    if isinstance(annotations, dict):
        metadata["annotations"] = {key: value for key, value in annotations.items() if _is_public(key)}


def _is_public(annotation: str) -> bool:
    return annotation in PUBLIC_ANNOTATIONS or annotation.partition("/")[0].endswith(PUBLIC_DOMAINS)


__all__ = ["parsed", "received"]
