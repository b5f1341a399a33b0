"""The official Kubernetes client, loaded without the parts of it that we never use.

Its package imports a log-in stack (OAuth for one kind of kubeconfig user), watches, informers and exec streams along
with the little that we take: configuration and HTTP. The log-in stack still loads when a kubeconfig needs it.
"""

from __future__ import annotations

import importlib
import threading

from kubectl_ai_intellect.deferred import deferring

UNUSED = ("oauthlib", "requests", "requests_oauthlib",
          *(f"kubernetes.{part}" for part in ("dynamic", "informer", "leaderelection", "stream", "watch")))  # fmt: skip
MODULES = ("kubernetes.client.api_client", "kubernetes.config.kube_config")

_lock = threading.Lock()
_loaded = False


def load() -> None:
    """Import what we take of the client; call it before any import of kubernetes."""
    global _loaded
    with _lock:
        if not _loaded:
            with deferring(*UNUSED):
                for name in MODULES:
                    importlib.import_module(name)
            _loaded = True


__all__ = ["load"]
