"""The control plane tier is a real one: rights, admission, leases, audit, simulated nodes."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator

import pytest

from tests.cluster.handle import Cluster

pytestmark = pytest.mark.controlplane


def until(seen: Callable[[], bool], seconds: float = 30) -> None:
    """Poll until it is seen twice."""
    end, times = time.monotonic() + seconds, 0
    while times < 2:
        times = times + 1 if seen() else 0
        assert time.monotonic() < end, f"not seen within {seconds} s"
        time.sleep(0.2)


@pytest.fixture
def namespace(control_plane: Cluster) -> Iterator[str]:
    name = f"t-{uuid.uuid4().hex[:8]}"
    control_plane.kubectl("create", "namespace", name)
    yield name
    control_plane.kubectl("delete", "namespace", name, "--wait=false")


@pytest.mark.parametrize(
    ("user", "question", "allowed"),
    [
        ("reader", ["list", "pods", "-A"], True),
        ("reader", ["list", "nodes"], True),
        ("reader", ["get", "pods", "--subresource=log", "-n", "team"], True),
        ("reader", ["get", "secrets", "-n", "team"], False),
        ("reader", ["delete", "pods", "-n", "team"], False),
        ("namespaced", ["delete", "pods", "-n", "team"], True),
        ("namespaced", ["list", "pods", "-n", "default"], False),
        ("namespaced", ["list", "nodes"], False),
        ("nobody", ["list", "pods", "-n", "team"], True),
        ("nobody", ["get", "pods", "--subresource=log", "-n", "team"], False),
        ("nobody", ["list", "events", "-n", "team"], False),
    ],
)
def test_users_may_what_their_names_say(control_plane: Cluster, user: str, question: list[str], allowed: bool) -> None:
    answer = control_plane.kubectl("auth", "can-i", *question, user=user, check=False)
    assert answer.stdout.strip() == ("yes" if allowed else "no"), answer.stderr


def test_leaders_are_elected(control_plane: Cluster) -> None:
    for component in ("kube-controller-manager", "kube-scheduler"):
        lease = control_plane.json("get", "lease", component, "-n", "kube-system")
        assert lease["spec"]["holderIdentity"]


def test_simulated_nodes_are_ready_and_keep_their_leases(control_plane: Cluster) -> None:
    nodes = control_plane.json("get", "nodes", "-l", "type=kwok")["items"]
    assert len(nodes) == 3
    zones = {node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in nodes}
    assert len(zones) == 3
    for node in nodes:
        ready = {each["type"]: each["status"] for each in node["status"]["conditions"]}["Ready"]
        lease = control_plane.json("get", "lease", node["metadata"]["name"], "-n", "kube-node-lease")
        assert (ready, bool(lease["spec"]["renewTime"])) == ("True", True)


def test_a_deployment_runs_in_name(control_plane: Cluster, namespace: str) -> None:
    control_plane.kubectl("create", "deployment", "web", "--image=web:1", "--replicas=3", "-n", namespace)
    until(lambda: control_plane.json("get", "deployment", "web", "-n", namespace)["status"].get("readyReplicas") == 3)


def test_an_own_stage_wins_over_the_default(control_plane: Cluster, namespace: str) -> None:
    """What a simulated kubelet reports can be scripted for pods that carry a label."""
    stage = {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": f"never-pulled-{namespace}"},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
            "selector": {"matchLabels": {"scripted": namespace}},
            "weight": 1,
            "next": {
                "statusTemplate": "phase: Pending\ncontainerStatuses:\n- name: c\n  image: none\n  imageID: ''\n"
                "  ready: false\n  restartCount: 0\n  state: {waiting: {reason: ImagePullBackOff}}\n"
            },
        },
    }
    control_plane.apply(json.dumps(stage))
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "scripted", "namespace": namespace, "labels": {"scripted": namespace}},
        "spec": {"containers": [{"name": "c", "image": "none"}]},
    }
    control_plane.apply(json.dumps(pod))

    def waiting() -> bool:
        seen = control_plane.json("get", "pod", "scripted", "-n", namespace)["status"]
        states = [each["state"] for each in seen.get("containerStatuses", ())]
        return states == [{"waiting": {"reason": "ImagePullBackOff"}}]

    until(waiting)
    control_plane.kubectl("delete", "stage", f"never-pulled-{namespace}")


def test_a_node_may_not_give_itself_reserved_labels(control_plane: Cluster) -> None:
    """Only the NodeRestriction admission refuses this; a node's rights let it label itself."""
    label = ["label", "node", "sim-1", "--overwrite", "--as=system:node:sim-1", "--as-group=system:nodes"]
    plain = control_plane.kubectl(*label, "seen=1", check=False)
    reserved = control_plane.kubectl(*label, "node-restriction.kubernetes.io/seen=1", check=False)
    assert plain.returncode == 0, plain.stderr
    assert "is not allowed to modify labels: node-restriction.kubernetes.io/seen" in reserved.stderr


def test_the_audit_log_has_bodies_of_writes_and_names_of_reads(control_plane: Cluster, namespace: str) -> None:
    control_plane.kubectl("create", "configmap", "seen", "--from-literal=key=told", "-n", namespace)
    control_plane.kubectl("get", "configmap", "seen", "-n", namespace)
    assert control_plane.audit_log is not None
    entries = [json.loads(line) for line in control_plane.audit_log.read_text().splitlines()]
    ours = [
        entry
        for entry in entries
        if entry.get("objectRef", {}).get("namespace") == namespace
        and entry["objectRef"].get("resource") == "configmaps"
        and entry["user"]["username"] == "admin"
    ]
    by_verb = {entry["verb"]: entry for entry in ours}
    assert by_verb["create"]["requestObject"]["data"] == {"key": "told"}
    assert by_verb["get"]["level"] == "Metadata"
    assert "responseObject" not in by_verb["get"]


def test_a_part_can_be_stopped_and_started(control_plane: Cluster, namespace: str) -> None:
    control_plane.stop("kube-scheduler")
    try:
        control_plane.kubectl("run", "late", "--image=web:1", "-n", namespace)
        assert "kube-scheduler" not in control_plane.programs()
        time.sleep(1)
        pod = control_plane.json("get", "pod", "late", "-n", namespace)
        assert "nodeName" not in pod["spec"]
    finally:
        control_plane.start("kube-scheduler")
    until(lambda: "nodeName" in control_plane.json("get", "pod", "late", "-n", namespace)["spec"], 60)
