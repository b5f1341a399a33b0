"""`kubectl intellect -f FILE`: would these manifests work here."""

from __future__ import annotations

from collections.abc import Callable

from kubectl_ai_intellect.cli.ask import open_source
from kubectl_ai_intellect.cli.flags import Options
from kubectl_ai_intellect.report import Diagnosis


def rehearse(options: Options, progress: Callable[[str], None]) -> Diagnosis:
    """Rehearse a file's manifests against the cluster, which keeps nothing of it."""
    from kubectl_ai_intellect.investigate.reading import Reader
    from kubectl_ai_intellect.investigate.rehearsal import Rehearsal, manifests
    from kubectl_ai_intellect.kube.session import Cluster

    source = open_source(options)
    namespace = options.flags.namespace or source.namespace or "default"
    objects = manifests(options.manifest, namespace)
    spaces = [each["metadata"].get("namespace") or namespace for each in objects]
    where = max(spaces, key=spaces.count)
    progress(f"rehearsing {len(objects)} objects in namespace {where}")
    attempt = source.rehearse if isinstance(source, Cluster) else None
    rehearsal = Rehearsal(Reader(source), source.context, where, objects, attempt)
    return rehearsal.diagnose(" ".join(options.words) or f"would {options.manifest} work")


__all__ = ["rehearse"]
