"""A small broken shop in the test cluster, and a user's home on this machine."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

from tests.cluster.handle import Cluster

NAMESPACE = "offline-shop"
CAUSE = "scheduling/node-selector-mismatch"
MANIFEST = f"""\
apiVersion: v1
kind: Namespace
metadata: {{name: {NAMESPACE}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: cart, namespace: {NAMESPACE}}}
spec:
  selector: {{matchLabels: {{app: cart}}}}
  template:
    metadata: {{labels: {{app: cart}}}}
    spec:
      nodeSelector: {{disk: ssd-of-the-old-racks}}
      containers: [{{name: cart, image: docker.io/intellect/shell:1}}]
"""


def opened(cluster: Cluster) -> None:
    """Stage it, and wait until the scheduler has said no."""
    cluster.apply(MANIFEST)
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        pods = cluster.json("get", "pods", "-n", NAMESPACE)["items"]
        conditions = [each for pod in pods for each in pod.get("status", {}).get("conditions") or ()]
        if any(each.get("reason") == "Unschedulable" for each in conditions):
            return
        time.sleep(0.3)
    raise AssertionError("the scheduler did not look at the pod within a minute")


def closed(cluster: Cluster) -> None:
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=true", "--ignore-not-found", timeout=120)


def home(directory: Path, cluster: Cluster, kubeconfig: Path | None = None) -> dict[str, str]:
    """The environment of a user who has kubectl, the plugin and a kubeconfig, and whose home is empty."""
    commands = directory / "commands"
    commands.mkdir(parents=True)
    (commands / "kubectl").symlink_to(cluster.kubectl_path)
    for name, words in (("kubectl-intellect", ""), ("kubectl_complete-intellect", "__complete ")):
        (commands / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" -m kubectl_ai_intellect {words}"$@"\n')
        (commands / name).chmod(0o755)
    kept = {name: os.environ[name] for name in ("LANG", "LC_ALL", "TERM") if name in os.environ}
    keygen = Path(shutil.which("ssh-keygen") or "/usr/bin/ssh-keygen").parent
    return {
        **kept,
        "HOME": str(directory),
        "PATH": os.pathsep.join([str(commands), str(keygen), "/usr/bin", "/bin"]),
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "KUBECONFIG": str(kubeconfig or cluster.kubeconfigs["admin"]),
        "KUBECACHEDIR": str(directory / "kube-cache"),
        "NO_COLOR": "1",
    }


__all__ = ["CAUSE", "MANIFEST", "NAMESPACE", "closed", "home", "opened"]
