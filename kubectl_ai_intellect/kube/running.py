"""A read of our grammar, run by the user's own kubectl: for what only kubectl itself can print."""

from __future__ import annotations

import os
import subprocess

from kubectl_ai_intellect.kube.command import Command, scrubbed
from kubectl_ai_intellect.kube.config import Flags
from kubectl_ai_intellect.kube.tool import user_kubectl

LARGEST = 256 << 10
"""Characters of output that are looked at."""
_NAMES = ("kubeconfig", "context", "cluster", "user", "server", "token", "certificate_authority", "client_certificate",
          "client_key", "tls_server_name", "as_uid")  # fmt: skip


def same_cluster(flags: Flags) -> list[str]:
    """The flags that make kubectl speak to the same cluster, as the same person."""
    words = [f"--{name.replace('_', '-')}={value}" for name in _NAMES if (value := getattr(flags, name))]
    words += [f"--as={flags.as_user}"] if flags.as_user else []
    words += [f"--as-group={each}" for each in flags.as_groups]
    return words + (["--insecure-skip-tls-verify"] if flags.insecure_skip_tls_verify else [])


def run(command: Command, flags: Flags, namespace: str, timeout: float = 10.0) -> str | None:
    """What the command prints, its errors too; None where there is no kubectl or it does not answer in time."""
    kubectl = user_kubectl()
    if not kubectl:
        return None
    words = [kubectl, *command.argv, *same_cluster(flags), f"--request-timeout={max(1, int(timeout) - 1)}s"]
    if not command.namespace and not command.flag("all-namespaces") and namespace:
        words += ["-n", namespace]
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout,
            env=scrubbed(os.environ), check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout[:LARGEST].decode(errors="replace")


__all__ = ["run", "same_cluster"]
