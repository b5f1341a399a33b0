"""`-f FILE` against a real API server: what it would refuse and what would not come up, and that nothing is kept."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.handle import Cluster

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: REPLICAS
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeSelector: {NODE}
      containers:
      - name: web
        image: nginx
        envFrom: [{configMapRef: {name: SETTINGS}}]
        resources: {requests: {cpu: 10m}, limits: {cpu: 20m}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: SELECTED}
  ports: [{port: 80, targetPort: 8080}]
"""
RIGHT = {"REPLICAS": "1", "NODE": "kubernetes.io/os: linux", "SETTINGS": "kube-root-ca.crt", "SELECTED": "web"}


@pytest.fixture
def namespace(control_plane: Cluster) -> Iterator[str]:
    name = f"t-{uuid.uuid4().hex[:8]}"
    control_plane.kubectl("create", "namespace", name)
    yield name
    control_plane.kubectl("delete", "namespace", name, "--wait=false")


def rehearsed(cluster: Cluster, namespace: str, file: Path, user: str = "admin", **changed: str) -> dict[str, Any]:
    text = WEB
    for name, value in (RIGHT | changed).items():
        text = text.replace(name, value)
    file.write_text(text)
    command = [sys.executable, "-m", "kubectl_ai_intellect", "-f", str(file), "-n", namespace, "-o", "json",
               "--kubeconfig", str(cluster.kubeconfigs[user])]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def causes(report: dict[str, Any]) -> set[str]:
    return {each["cause"] for each in (report["verdict"], *report["findings"])}


@pytest.mark.controlplane
def test_what_would_work_is_called_so_and_nothing_is_kept(
    control_plane: Cluster, namespace: str, tmp_path: Path
) -> None:
    report = rehearsed(control_plane, namespace, tmp_path / "web.yaml")
    assert report["verdict"]["status"] == "healthy", report["verdict"]
    kept = control_plane.kubectl("get", "deployments,services,pods", "-n", namespace, "-o", "name").stdout
    assert "web" not in kept


@pytest.mark.controlplane
@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"NODE": "disk: ssd"}, "scheduling/node-selector-mismatch"),
        ({"SETTINGS": "web-settings"}, "config/configmap-missing"),
        ({"SELECTED": "wbe"}, "service/selector-mismatch"),
    ],
)
def test_each_fault_is_foreseen(
    control_plane: Cluster, namespace: str, tmp_path: Path, changed: dict[str, str], cause: str
) -> None:
    report = rehearsed(control_plane, namespace, tmp_path / "web.yaml", **changed)
    assert causes(report) == {cause}
    assert all(not fix["commands"] for fix in report["verdict"]["fix"]), "what is not there cannot be patched"


@pytest.mark.controlplane
def test_the_server_refuses_what_admission_refuses(control_plane: Cluster, namespace: str, tmp_path: Path) -> None:
    control_plane.kubectl("create", "quota", "tight", "--hard=requests.cpu=5m", "-n", namespace)
    control_plane.kubectl("wait", "quota/tight", "-n", namespace, "--for=jsonpath={.status.hard}", "--timeout=30s")
    assert causes(rehearsed(control_plane, namespace, tmp_path / "web.yaml")) == {"quota/cpu-exceeded"}
    words = rehearsed(control_plane, namespace, tmp_path / "web.yaml", REPLICAS="two")["verdict"]["title"]
    assert ".spec.replicas" in words


@pytest.mark.controlplane
def test_without_the_right_to_write_the_rest_is_still_foreseen(
    control_plane: Cluster, namespace: str, tmp_path: Path
) -> None:
    report = rehearsed(control_plane, namespace, tmp_path / "web.yaml", "reader", SELECTED="wbe")
    assert causes(report) == {"service/selector-mismatch"}
    assert any("was not asked" in each for each in report["verdict"]["missing"])


@pytest.mark.parametrize(
    ("text", "words"),
    [(None, "cannot read"), (": [", "is not YAML at line 1"), ("", "holds no object"), ("kind: Pod\n", "document 1")],
)
def test_a_bad_file_is_one_line(tmp_path: Path, text: str | None, words: str) -> None:
    from kubectl_ai_intellect.errors import IntellectError
    from kubectl_ai_intellect.investigate.rehearsal import manifests

    file = tmp_path / "web.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(IntellectError, match=words):
        manifests(str(file), "shop")
