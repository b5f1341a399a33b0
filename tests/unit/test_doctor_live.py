"""The role that doctor prints gives full service, on a real API server with real RBAC; and nothing of it is idle."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.handle import Cluster
from tests.offline import shop

pytestmark = pytest.mark.controlplane
USER = "doctors-patient"


@pytest.fixture(scope="module")
def environment(control_plane: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    shop.opened(control_plane)
    yield {**shop.home(tmp_path_factory.mktemp("doctor"), control_plane), "KUBECTL_INTELLECT_MODEL__PROVIDER": "none"}
    for kind in ("clusterrole", "clusterrolebinding"):
        control_plane.kubectl("delete", kind, "kubectl-intellect", "--ignore-not-found")
    shop.closed(control_plane)


def asked(environment: dict[str, str], *words: str, code: int = 0) -> str:
    ran = subprocess.run(["kubectl", "intellect", *words], env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == code, ran.stderr
    return ran.stdout


def checks(environment: dict[str, str], *words: str, code: int = 0) -> dict[str, dict[str, Any]]:
    return {
        each["name"]: each
        for each in json.loads(asked(environment, "doctor", "-o", "json", *words, code=code))["checks"]
    }


def test_the_administrator_lacks_nothing(environment: dict[str, str]) -> None:
    found = checks(environment)
    assert {found[name]["status"] for name in ("kubeconfig", "context", "api", "rights", "clock", "versions")} == {"ok"}


def test_the_cluster_role_gives_full_service(
    control_plane: Cluster, environment: dict[str, str], tmp_path: Path
) -> None:
    assert checks(environment, "--as", USER, code=1)["rights"]["status"] == "failed"
    control_plane.apply(asked(environment, "doctor", "--role"))
    binding = ["create", "clusterrolebinding", "kubectl-intellect", "--clusterrole=kubectl-intellect", f"--user={USER}"]
    control_plane.kubectl(*binding)
    assert checks(environment, "--as", USER)["rights"]["status"] == "ok"
    report = json.loads(asked(environment, "--as", USER, "-n", shop.NAMESPACE, "-o", "json", "deployment/cart"))
    assert (report["verdict"]["cause"], report["verdict"].get("missing") or []) == (shop.CAUSE, [])
    scan = json.loads(asked(environment, "--as", USER, "scan", "-A", "-o", "json"))
    assert (scan.get("missing") or []) == []


def test_the_role_of_a_namespace_is_enough_there(control_plane: Cluster, environment: dict[str, str]) -> None:
    control_plane.apply(asked(environment, "doctor", "--role", "-n", shop.NAMESPACE))
    user = "namespaces-patient"
    control_plane.kubectl(
        "create", "rolebinding", "patient", "-n", shop.NAMESPACE, "--role=kubectl-intellect", f"--user={user}"
    )
    found = checks(environment, "--as", user, "-n", shop.NAMESPACE)["rights"]
    assert found["status"] == "degraded"
    assert "nodes" in found["says"]
    assert "pods" not in found["says"].replace("pods.metrics", "")
    assert found["mend"].startswith("kubectl intellect doctor --role prints")


def test_a_lesser_user_is_told_the_price(control_plane: Cluster, environment: dict[str, str]) -> None:
    reader = {**environment, "KUBECONFIG": str(control_plane.kubeconfigs["reader"])}
    found = checks(reader)["rights"]
    assert (found["status"], "cannot read secrets" in found["says"]) == ("degraded", True)
    nobody = {**environment, "KUBECONFIG": str(control_plane.kubeconfigs["nobody"])}
    assert checks(nobody, "-n", "default", code=1)["rights"]["status"] == "failed"
