"""The real node: containerd, kubelet, kube-proxy, cluster DNS, metrics, registries, policies.

Runs inside namespaces of its own (`isolation`), beside a control plane in the same namespaces.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster import cgroups, controlplane, node_config, registry_content
from tests.cluster.controlplane import MANIFESTS, Credentials, Plan
from tests.cluster.isolation import BRIDGE_CALLS, NODE_ADDRESS, NODE_NAME
from tests.cluster.processes import Failed, Programs, wait_until

PROXY_USER = "system:kube-proxy"


@dataclass(frozen=True, slots=True)
class NodePlan:
    """All that is decided before the node starts."""

    control: Plan
    tools: Path
    images: tuple[Path, ...]
    cgroup: str

    @property
    def places(self) -> node_config.Places:
        plugins = self.control.binaries["bridge"].parent
        return node_config.Places(self.control.directory, plugins, self.tools / "runc")


class Node:
    """Starts the node's programs step by step; all of them end with the namespaces."""

    def __init__(self, plan: NodePlan, credentials: Credentials, programs: Programs) -> None:
        self._plan = plan
        self._credentials = credentials
        self._programs = programs
        self._root = plan.places.root
        self._importing: list[Future[None]] = []
        self._background = ThreadPoolExecutor(max_workers=2)

    def start_runtime(self) -> None:
        """containerd, and the images on their way into it; needs no control plane yet."""
        self._root.mkdir(exist_ok=True)
        for each in ("cni", "volume-plugins", "opt"):
            (self._root / each).mkdir()
        self._write_json("cni/10-pods.conflist", node_config.cni(self._plan.places))
        for port in (node_config.OPEN_REGISTRY_PORT, node_config.PRIVATE_REGISTRY_PORT):
            hosts = self._root / "registries" / f"{node_config.REGISTRY_HOST}:{port}" / "hosts.toml"
            hosts.parent.mkdir(parents=True)
            hosts.write_text(node_config.registry_hosts(port))
        config = self._root / "containerd.toml"
        config.write_text(node_config.containerd(self._plan.places, _snapshotter(self._root)))
        self._run("containerd", f"--config={config}", "--log-level=warn")
        wait_until("containerd", self._containerd_answers, 30, self._programs.check)
        # The pause image first: without it no pod starts.
        first, *others = sorted(self._plan.images, key=lambda archive: archive.stat().st_size)
        self._import(first)
        self._importing = [self._background.submit(self._import, archive) for archive in others]

    def join(self) -> None:
        """The kubelet and what serves pods, once the API server answers."""
        plan = self._plan.control
        proxy = controlplane.issue_component(plan, self._credentials, "kube-proxy", PROXY_USER)
        self._start_kubelet()
        hide = not BRIDGE_CALLS.exists()
        config = self._write_json("kube-proxy.json", node_config.kube_proxy(proxy, hide_clients=hide))
        self._run("kube-proxy", f"--config={config}", f"--hostname-override={NODE_NAME}")
        corefile = self._root / "upstream.corefile"
        corefile.write_text(node_config.upstream_dns())
        self._run("coredns", f"-conf={corefile}", name="upstream-dns")
        self._start_registries()
        enforcer = [
            sys.executable,
            "-m",
            "tests.cluster.netpol",
            f"--kubeconfig={plan.component('bootstrap')}",
        ]
        self._programs.run("netpol", [*enforcer, f"--nft={self._plan.tools / 'nft'}"], PATH=self._path())
        controlplane.install(plan, [MANIFESTS / "cluster-dns.yaml", MANIFESTS / "metrics-server.yaml"])

    def wait_ready(self, seconds: float = 90) -> None:
        """Until the node takes pods, names resolve, metrics are served and all images are there."""
        wait_until("the node", lambda: _true(self._get("/api/v1/nodes/node-1"), "Ready"), seconds, self._check)
        self._importing.append(self._background.submit(self._fill_registries))
        self._background.shutdown(wait=False)
        for name in ("coredns", "metrics-server"):
            path = f"/apis/apps/v1/namespaces/kube-system/deployments/{name}"
            wait_until(name, lambda path=path: _true(self._get(path), "Available"), seconds, self._check)
        service = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io"
        wait_until("the metrics API", lambda: _true(self._get(service), "Available"), seconds, self._check)
        for importing in self._importing:
            importing.result()

    def _start_kubelet(self) -> None:
        plan, credentials, user = self._plan.control, self._credentials, f"system:node:{NODE_NAME}"
        kubeconfig = controlplane.issue_component(plan, credentials, "kubelet", user, ["system:nodes"])
        serving = credentials.authority.issue(
            "kubelet-serving", user, ["system:nodes"], [NODE_ADDRESS, NODE_NAME, "127.0.0.1"]
        )
        authority = credentials.authority.pair.cert
        config = node_config.kubelet(self._plan.places, authority, serving.cert, serving.key, self._plan.cgroup)
        cgroups.make(self._plan.cgroup)
        labels = "topology.kubernetes.io/zone=test-a,topology.kubernetes.io/region=test"
        self._run(
            "kubelet",
            f"--config={self._write_json('kubelet.json', config)}",
            f"--kubeconfig={kubeconfig}",
            "--root-dir=/var/lib/kubelet",
            f"--cert-dir={self._root / 'kubelet-pki'}",
            f"--hostname-override={NODE_NAME}",
            f"--node-ip={NODE_ADDRESS}",
            f"--node-labels={labels}",
        )

    def _start_registries(self) -> None:
        passwords = MANIFESTS / "registry.htpasswd"
        for name, port, guard in (
            ("registry-open", node_config.OPEN_REGISTRY_PORT, None),
            ("registry-private", node_config.PRIVATE_REGISTRY_PORT, passwords),
        ):
            config = node_config.registry(self._root / name, port, guard)
            file = self._write_json(f"{name}.json", config)
            binary = str(self._plan.control.binaries["registry"])
            self._programs.run(name, [binary, "serve", str(file)], OTEL_TRACES_EXPORTER="none")

    def _fill_registries(self) -> None:
        """Push the smallest image under a few names, so that there is something to pull."""
        open_, private = node_config.OPEN_REGISTRY_PORT, node_config.PRIVATE_REGISTRY_PORT
        archive = next(image for image in self._plan.images if image.name == "shell.tar")
        for name, tag in registry_content.REPOSITORIES:
            registry_content.push(archive, f"127.0.0.1:{open_}", name, tag)
            login = registry_content.LOGIN
            registry_content.push(archive, f"127.0.0.1:{private}", name, tag, login)

    def _run(self, program: str, *words: str, name: str | None = None) -> None:
        binary = str(self._plan.control.binaries[program])
        self._programs.run(name or program, [binary, *words], PATH=self._path())

    def _path(self) -> str:
        parts = [str(self._plan.tools), self._plan.control.binaries.path(), "/usr/sbin:/usr/bin:/sbin:/bin"]
        return ":".join(parts)

    def _ctr(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [
            str(self._plan.control.binaries["ctr"]),
            "-a",
            node_config.CONTAINERD_SOCKET,
            "-n",
            "k8s.io",
        ]
        return subprocess.run([*command, *words], capture_output=True, text=True, check=False)

    def _containerd_answers(self) -> bool:
        return self._ctr("version").returncode == 0

    def _import(self, archive: Path) -> None:
        done = self._ctr("images", "import", "--local=false", str(archive))
        if done.returncode != 0:
            raise Failed(f"importing {archive.name}: {done.stderr.strip()}")

    def _write_json(self, name: str, content: dict[str, Any]) -> Path:
        path = self._root / name
        path.write_text(json.dumps(content, indent=1))
        return path

    def _get(self, path: str) -> dict[str, Any] | None:
        return controlplane.get(self._plan.control, self._credentials, path)

    def _check(self) -> None:
        self._programs.check()
        for importing in self._importing:
            if importing.done():
                importing.result()


def _true(found: dict[str, Any] | None, condition: str) -> bool:
    conditions: Sequence[dict[str, Any]] = ((found or {}).get("status") or {}).get("conditions") or []
    return any(each["type"] == condition and each["status"] == "True" for each in conditions)


def _snapshotter(root: Path) -> str:
    """overlayfs where the file system allows it (it does not lie upon another overlay)."""
    parts = {name: root / "overlay-try" / name for name in ("lower", "upper", "work", "merged")}
    for part in parts.values():
        part.mkdir(parents=True)
    options = f"lowerdir={parts['lower']},upperdir={parts['upper']},workdir={parts['work']}"
    command = ["mount", "-t", "overlay", "-o", options, "overlay", str(parts["merged"])]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        return "native"
    subprocess.run(["umount", str(parts["merged"])], check=True)
    return "overlayfs"
