"""Who manages an object, and what changed when."""

from __future__ import annotations

from kubectl_ai_intellect.kube.source import Object


def managed_by(found: Object) -> tuple[str, str] | None:
    """The tool that would put a hand-made change back, and where its source is."""
    labels, annotations = found.labels, found.annotations
    if "argocd.argoproj.io/tracking-id" in annotations:
        return "argocd", f"Argo CD application {annotations['argocd.argoproj.io/tracking-id'].split(':')[0]}"
    if "kustomize.toolkit.fluxcd.io/name" in labels:
        return "flux", f"Flux Kustomization {labels['kustomize.toolkit.fluxcd.io/name']}"
    if labels.get("app.kubernetes.io/managed-by") == "Helm" and "meta.helm.sh/release-name" in annotations:
        return "helm", f"Helm release {annotations['meta.helm.sh/release-name']}"
    return None


__all__ = ["managed_by"]
