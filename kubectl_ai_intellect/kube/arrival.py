"""What is dropped from objects the moment they arrive: secret values, and bookkeeping nobody reads."""

from __future__ import annotations

import gc
import json
import threading
from collections.abc import Generator, Mapping
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
        item = without_secret_values(item, certificate=certificate)
        metadata = item["metadata"]
    if resource.kind not in TRACKED:
        metadata.pop("managedFields", None)
    return item


def without_secret_values(item: Mapping[str, Json], *, certificate: bool = False) -> dict[str, Json]:
    """A Secret's names and keys; of its values at most the public certificate of a TLS pair."""
    kept = {key: value for key, value in item.items() if key not in ("data", "stringData")}
    data = item.get("data")
    if certificate and isinstance(data, Mapping):
        kept["data"] = {key: value if key == "tls.crt" else None for key, value in data.items()}
    metadata = dict(item.get("metadata") or {})
    annotations = metadata.get("annotations")
    if isinstance(annotations, Mapping):
        metadata["annotations"] = {key: value for key, value in annotations.items() if _is_public(key)}
    kept["metadata"] = metadata
    return kept


def _is_public(annotation: str) -> bool:
    return annotation in PUBLIC_ANNOTATIONS or annotation.partition("/")[0].endswith(PUBLIC_DOMAINS)


__all__ = ["parsed", "received", "without_secret_values"]
