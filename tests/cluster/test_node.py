"""The real node runs real containers: crashes, kills, logs, Services, names, metrics, pulls, policies."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cluster.handle import Cluster
from tests.cluster.registry_content import LOGIN

pytestmark = pytest.mark.realnode

SHELL = "docker.io/intellect/shell:1"
PYTHON = "docker.io/intellect/python:1"
NGINX = "docker.io/intellect/nginx:1"
OPEN, PRIVATE = "registry.test:5000", "registry.test:5001"


def until(seen: Callable[[], bool], seconds: float = 60) -> None:
    """Poll until it is seen twice."""
    end, times = time.monotonic() + seconds, 0
    while times < 2:
        times = times + 1 if seen() else 0
        assert time.monotonic() < end, f"not seen within {seconds} s"
        time.sleep(0.3)


class Space:
    """A namespace and what is run in it."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster, self.name = cluster, name

    def pod(self, name: str, image: str, *command: str, **spec: Any) -> None:
        labels = {"app": name}
        container: dict[str, Any] = {"name": "main", "image": image, **spec.pop("container", {})}
        if command:
            container["command"] = list(command)
        self.apply(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "labels": labels},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 1, **spec},
            }
        )

    def service(self, name: str, port: int, target: int) -> None:
        spec = {"selector": {"app": name}, "ports": [{"port": port, "targetPort": target}]}
        self.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec})

    def apply(self, manifest: dict[str, Any]) -> None:
        manifest["metadata"]["namespace"] = self.name
        self.cluster.apply(json.dumps(manifest))

    def status(self, pod: str) -> dict[str, Any]:
        return self.cluster.json("get", "pod", pod, "-n", self.name)["status"]

    def container(self, pod: str) -> dict[str, Any]:
        return (self.status(pod).get("containerStatuses") or [{}])[0]

    def waits_for(self, pod: str) -> str:
        return self.container(pod).get("state", {}).get("waiting", {}).get("reason", "")

    def ready(self, pod: str) -> bool:
        return bool(self.container(pod).get("ready"))

    def events(self, pod: str) -> str:
        found = self.cluster.json("get", "events", "-n", self.name, f"--field-selector=involvedObject.name={pod}")
        return "\n".join(each["message"] for each in found["items"])

    def kubectl(self, *words: str) -> str:
        return self.cluster.kubectl(*words, "-n", self.name).stdout

    def fetch(self, pod: str, url: str) -> str:
        """What a pod gets from a URL, or the error it sees."""
        program = (
            "import sys, urllib.request as r\n"
            "try: print(r.urlopen(sys.argv[1], timeout=3).read().decode())\n"
            "except Exception as e: print('failed:', e)\n"
        )
        return self.cluster.kubectl(
            "exec", "-n", self.name, pod, "--", "python3", "-c", program, url, timeout=30
        ).stdout


@pytest.fixture
def space(real_node: Cluster) -> Iterator[Space]:
    name = f"t-{uuid.uuid4().hex[:8]}"
    real_node.kubectl("create", "namespace", name)
    yield Space(real_node, name)
    real_node.kubectl("delete", "namespace", name, "--wait=false")


def test_a_crash_loop_shows_in_seconds_and_keeps_its_last_words(space: Space) -> None:
    space.pod("crash", SHELL, "sh", "-c", "echo the disk is on fire; exit 3")
    until(lambda: space.waits_for("crash") == "CrashLoopBackOff", 30)
    assert space.container("crash")["lastState"]["terminated"]["exitCode"] == 3
    # between two restarts the kubelet may just have removed the one before the last: ask again
    until(lambda: space.kubectl("logs", "crash", "--previous").strip() == "the disk is on fire", 30)


def test_the_kernel_kills_what_outgrows_its_limit(space: Space) -> None:
    limits = {"resources": {"limits": {"memory": "32Mi"}}}
    space.pod("greedy", PYTHON, "python3", "-c", "x = bytearray(200 << 20)", container=limits)
    until(lambda: space.container("greedy").get("lastState", {}).get("terminated", {}).get("reason") == "OOMKilled")


def test_a_service_reaches_its_pods_by_name(space: Space) -> None:
    probe = {"readinessProbe": {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 1}}
    space.pod("web", NGINX, container=probe)
    space.service("web", 8080, 80)
    space.pod("client", PYTHON, "sleep", "600")
    until(lambda: space.ready("web") and space.ready("client"))
    until(lambda: "<h1>nginx</h1>" in space.fetch("client", "http://web:8080"), 30)
    assert "Name or service not known" in space.fetch("client", "http://nothing-there:8080")
    assert "kube-probe" in space.kubectl("logs", "web")


def test_a_failing_probe_is_the_kubelets_own(space: Space) -> None:
    probe = {"readinessProbe": {"httpGet": {"path": "/healthz", "port": 80}, "periodSeconds": 1}}
    space.pod("web", NGINX, container=probe)
    until(lambda: "HTTP probe failed with statuscode: 404" in space.events("web"), 40)


def test_a_network_policy_cuts_a_connection_that_worked(space: Space) -> None:
    space.pod("web", NGINX)
    space.service("web", 80, 80)
    space.pod("client", PYTHON, "sleep", "600")
    until(lambda: space.ready("web") and space.ready("client"))
    until(lambda: "nginx" in space.fetch("client", "http://web"), 30)
    spec = {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"]}
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "shut"}}
    space.apply({**policy, "spec": spec})
    until(lambda: "timed out" in space.fetch("client", "http://web"), 40)
    space.kubectl("delete", "networkpolicy", "shut")
    until(lambda: "nginx" in space.fetch("client", "http://web"), 30)


def test_pulls_fail_as_a_registry_says(space: Space) -> None:
    space.pod("absent", f"{OPEN}/team/app:9.9")
    space.pod("secret", f"{PRIVATE}/team/app:1.0")
    space.pod("lost", "registry.nowhere.example/team/app:1.0")
    space.pod("closed", "registry.test:5999/team/app:1.0")
    said = {
        "absent": "not found",
        "secret": "no basic auth credentials",
        "lost": "no such host",
        "closed": "connection refused",
    }
    for pod, words in said.items():
        until(lambda pod=pod, words=words: words in space.events(pod), 90)
        # the event is told before the status that goes with it
        until(lambda pod=pod: space.waits_for(pod) in ("ErrImagePull", "ImagePullBackOff"), 30)


def test_pulls_succeed_with_the_right_name_and_credentials(space: Space) -> None:
    space.pod("open", f"{OPEN}/team/app:1.0", "sleep", "600")
    user, password = LOGIN
    space.kubectl(
        *("create", "secret", "docker-registry", "login", f"--docker-server={PRIVATE}"),
        *(f"--docker-username={user}", f"--docker-password={password}"),
    )
    space.pod("private", f"{PRIVATE}/team/worker:2.4", "sleep", "600", imagePullSecrets=[{"name": "login"}])
    until(lambda: space.ready("open") and space.ready("private"))


def test_usage_is_measured(space: Space) -> None:
    space.pod("busy", SHELL, "sh", "-c", "while :; do :; done")
    said = ""

    def measured() -> bool:
        nonlocal said
        top = space.cluster.kubectl("top", "pod", "busy", "--no-headers", "-n", space.name, check=False)
        said = top.stdout + top.stderr
        return top.returncode == 0 and int(top.stdout.split()[1].removesuffix("m")) > 100

    try:
        until(measured, 60)
    except AssertionError:
        pytest.fail(f"kubectl top says: {said}")
    space.kubectl("delete", "pod", "busy", "--now")


def test_pods_reach_the_api_server_with_their_own_account(space: Space) -> None:
    program = (
        "import ssl, urllib.request as r\n"
        "d = '/var/run/secrets/kubernetes.io/serviceaccount/'\n"
        "q = r.Request('https://kubernetes.default.svc/api/v1/namespaces/default/pods',"
        " headers={'Authorization': 'Bearer ' + open(d + 'token').read()})\n"
        "try: r.urlopen(q, context=ssl.create_default_context(cafile=d + 'ca.crt'))\n"
        "except Exception as e: print(e, flush=True)\n"
    )
    space.pod("caller", PYTHON, "python3", "-c", program, restartPolicy="Never")
    until(lambda: space.status("caller").get("phase") == "Succeeded")
    assert "HTTP Error 403: Forbidden" in space.kubectl("logs", "caller")


def test_the_machine_does_not_see_the_nodes_network(real_node: Cluster) -> None:
    inside = real_node.inside("ip", "-brief", "link").stdout
    outside = real_node.inside("nsenter", "--target=1", "--net", "ip", "-brief", "link").stdout
    assert "cni0" in inside
    assert "cni0" in outside  # process 1 in there is the cluster's own
    from pathlib import Path

    assert "cni0" not in Path("/proc/net/dev").read_text()
