"""A team's own runbook, added by its user, has its say in a verdict on a real cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tests.cluster.handle import Cluster

RUNBOOK = """\
---
id: service/selector-mismatch
title: How we wire our Services
symptoms: [our service answers nothing, the web shop is dark]
checks:
  - command: kubectl get service {service} -n {namespace} -o wide
    expect: 'app=wbe'
  - command: kubectl delete service {service} -n {namespace}
    expect: 'deleted'
fixes:
  - title: Ask the platform team
    command: kubectl get service {service} -n {namespace}
---
## What happens
The selector was typed by hand.
## Confirm it
Look at it.
## Fix it
Use the chart.
## Prevent it
Use the chart.
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: wbe}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {containers: [{name: web, image: nginx}]}
"""


@pytest.mark.controlplane
def test_its_reads_are_run_and_cited_and_its_writes_are_not(control_plane: Cluster, tmp_path: Path) -> None:
    namespace = f"t-{uuid.uuid4().hex[:8]}"
    control_plane.kubectl("create", "namespace", namespace)
    control_plane.kubectl("apply", "-n", namespace, "-f", "-", stdin=SERVICE)
    file = tmp_path / "service.md"
    file.write_text(RUNBOOK)
    home = {name: str(tmp_path / name) for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")}
    environment = {**os.environ, **home, "KUBECTL_PATH": str(control_plane.binaries["kubectl"]),
}  # fmt: skip

    def intellect(*words: str) -> str:
        command = [sys.executable, "-m", "kubectl_ai_intellect", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment,
                              stdin=subprocess.DEVNULL, check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    intellect("runbook", "add", str(file))
    where = ("--kubeconfig", str(control_plane.kubeconfigs["admin"]), "-n", namespace)
    report = json.loads(intellect("service/web", *where, "-o", "json"))
    assert report["verdict"]["cause"] == "service/selector-mismatch"
    steps = [each for each in report["steps"] if "How we wire our Services" in each["hypothesis"]]
    assert [each["command"] for each in steps] == [f"kubectl get service web -n {namespace} --output=wide"]
    assert any("your runbook expects this" in each["text"] and "app=wbe" in each["text"] for each in report["evidence"])
    assert "web" in control_plane.kubectl("get", "services", "-n", namespace, "-o", "name").stdout
    control_plane.kubectl("delete", "namespace", namespace, "--wait=false")
