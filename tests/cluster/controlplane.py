"""The control plane: etcd, API server, controller manager, scheduler, and kwok for simulated nodes."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.build import Binaries
from tests.cluster.processes import Failed, Programs, free_ports, wait_until
from tests.cluster.tls import Authority, Pair, signing_key, write_kubeconfig

MANIFESTS = Path(__file__).with_name("manifests")
SERVICE_RANGE = "10.96.0.0/16"
SERVICE_ADDRESS = "10.96.0.1"
# User name to (groups, namespace of its context); admin is the cluster's owner.
USERS: dict[str, tuple[tuple[str, ...], str]] = {
    "admin": (("system:masters",), "default"),
    "reader": ((), "default"),
    "namespaced": ((), "team"),
    "nobody": ((), "team"),
}
KWOK_NODE_LABEL = "type=kwok"
# In the order in which they are started.
COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the parts listen."""

    api: int
    etcd: int
    etcd_peer: int
    controllers: int
    scheduler: int
    kwok: int

    @classmethod
    def free(cls) -> Ports:
        """Loopback ports that are free right now."""
        return cls(*free_ports(6))


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is decided before anything starts."""

    directory: Path
    binaries: Binaries
    ports: Ports
    # None: reachable on loopback only. An address: pods reach the API server there.
    node_address: str | None = None
    # Where the users of the kubeconfigs reach the API server, if not at its own port.
    public_port: int | None = None

    @property
    def pki(self) -> Path:
        return self.directory / "pki"

    @property
    def internal_url(self) -> str:
        return f"https://127.0.0.1:{self.ports.api}"

    @property
    def public_url(self) -> str:
        return f"https://127.0.0.1:{self.public_port or self.ports.api}"

    @property
    def audit_log(self) -> Path:
        return self.directory / "audit.log"

    def kubeconfig(self, user: str) -> Path:
        """The kubeconfig of a user of the cluster."""
        return self.directory / ("kubeconfig" if user == "admin" else f"kubeconfig-{user}")

    def component(self, name: str) -> Path:
        """The kubeconfig of one of the cluster's own parts."""
        return self.pki / f"{name}.kubeconfig"


@dataclass(frozen=True, slots=True)
class Credentials:
    """The certificates that programs are told about by path."""

    authority: Authority
    front: Authority
    api: Pair
    kubelet_client: Pair
    front_client: Pair
    service_accounts: Path


def prepare(plan: Plan) -> Credentials:
    """Make the certificates and all kubeconfigs."""
    authority, front = Authority(plan.pki, "ca"), Authority(plan.pki, "front-proxy-ca")
    names = ["127.0.0.1", "localhost", SERVICE_ADDRESS, "kubernetes", "kubernetes.default"]
    names += ["kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
    names += [plan.node_address] if plan.node_address else []
    credentials = Credentials(
        authority=authority,
        front=front,
        api=authority.issue("apiserver", "kube-apiserver", addresses=names),
        kubelet_client=authority.issue("apiserver-kubelet", "apiserver-kubelet-client", ["system:masters"]),
        front_client=front.issue("front-proxy-client", "front-proxy-client"),
        service_accounts=signing_key(plan.pki / "service-accounts.key"),
    )
    for user, (groups, namespace) in USERS.items():
        client = authority.issue(f"user-{user}", user, groups)
        write_kubeconfig(plan.kubeconfig(user), plan.public_url, authority.pair, user, client, namespace)
    for name, groups in (
        ("system:kube-controller-manager", []),
        ("system:kube-scheduler", []),
        ("kwok", ["system:masters"]),
        ("bootstrap", ["system:masters"]),
    ):
        issue_component(plan, credentials, name.removeprefix("system:"), name, groups)
    return credentials


def issue_component(
    plan: Plan, credentials: Credentials, name: str, user: str, groups: list[str] | None = None
) -> Path:
    """A kubeconfig for one of the cluster's own parts."""
    client = credentials.authority.issue(name, user, groups or [])
    return write_kubeconfig(plan.component(name), plan.internal_url, credentials.authority.pair, user, client)


def start(plan: Plan, credentials: Credentials, programs: Programs) -> None:
    """Start all parts and return when the control plane does its work."""
    programs.run("etcd", _etcd(plan))
    programs.run("kube-apiserver", _api_server(plan, credentials))
    wait_until("the API server", lambda: _answers(plan, credentials, "/readyz"), 60, programs.check)
    programs.run("kube-controller-manager", _controller_manager(plan, credentials))
    programs.run("kube-scheduler", _scheduler(plan))
    definitions = [file for file in plan.binaries.shared() if file.name.startswith("kwok.x-k8s.io_")]
    install(plan, [MANIFESTS / "users.yaml", *definitions])
    kubectl(plan, "wait", "--for=condition=Established", "crd/stages.kwok.x-k8s.io", "--timeout=20s")
    install(plan, [file for file in plan.binaries.shared() if file not in definitions])
    programs.run("kwok", _kwok(plan))


def settled(plan: Plan, credentials: Credentials) -> bool:
    """Whether leaders are elected, default roles hold their rules, and service accounts are made."""
    for role in ("view", "edit"):
        # Put together by a controller from other roles.
        found = get(plan, credentials, f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{role}")
        if found is None or not found.get("rules"):
            return False
    for lease in ("kube-controller-manager", "kube-scheduler"):
        found = get(plan, credentials, f"/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/{lease}")
        if found is None or not found["spec"].get("holderIdentity"):
            return False
    return get(plan, credentials, "/api/v1/namespaces/default/serviceaccounts/default") is not None


def nodes_ready(plan: Plan, credentials: Credentials, count: int) -> bool:
    """Whether that many nodes are Ready and keep their leases."""
    nodes = get(plan, credentials, "/api/v1/nodes") or {"items": []}
    leases = get(plan, credentials, "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases")
    leased = {lease["metadata"]["name"] for lease in (leases or {"items": []})["items"]}
    ready = [
        node["metadata"]["name"]
        for node in nodes["items"]
        for condition in node.get("status", {}).get("conditions", ())
        if condition["type"] == "Ready" and condition["status"] == "True"
    ]
    return len(ready) >= count and leased.issuperset(ready)


def kubectl(plan: Plan, *words: str) -> str:
    """kubectl with the cluster's own admin rights, from inside."""
    done = subprocess.run(
        [str(plan.binaries["kubectl"]), f"--kubeconfig={plan.component('bootstrap')}", *words],
        env={**os.environ, "KUBECACHEDIR": str(plan.directory / "kubectl-cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Failed(f"kubectl {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def get(plan: Plan, credentials: Credentials, path: str) -> dict[str, Any] | None:
    """An object of the API server, or None if there is none yet."""
    status, body = _request(plan, credentials, path)
    return json.loads(body) if status == 200 else None


def install(plan: Plan, files: list[Path]) -> None:
    """Apply manifests as the cluster's owner."""
    words = [word for file in files for word in ("-f", str(file))]
    kubectl(plan, "apply", "--server-side", *words)


def _answers(plan: Plan, credentials: Credentials, path: str) -> bool:
    try:
        return _request(plan, credentials, path)[0] == 200
    except OSError:
        return False


def _request(plan: Plan, credentials: Credentials, path: str) -> tuple[int, bytes]:
    trust = ssl.create_default_context(cafile=str(credentials.authority.pair.cert))
    trust.load_cert_chain(credentials.kubelet_client.cert, credentials.kubelet_client.key)
    connection = http.client.HTTPSConnection("127.0.0.1", plan.ports.api, context=trust, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _etcd(plan: Plan) -> list[str]:
    client, peer = (f"http://127.0.0.1:{port}" for port in (plan.ports.etcd, plan.ports.etcd_peer))
    return [
        str(plan.binaries["etcd"]),
        f"--data-dir={plan.directory / 'etcd'}",
        "--unsafe-no-fsync",
        "--log-level=warn",
        "--name=test",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=test={peer}",
    ]


def _api_server(plan: Plan, credentials: Credentials) -> list[str]:
    authority, front = credentials.authority.pair, credentials.front.pair
    if plan.node_address:
        address = [f"--advertise-address={plan.node_address}", "--bind-address=0.0.0.0"]
    else:
        # Loopback cannot be an endpoint of the kubernetes Service, and nobody here would use it.
        address = [
            "--advertise-address=127.0.0.1",
            "--bind-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
        ]
    return [
        str(plan.binaries["kube-apiserver"]),
        *address,
        f"--secure-port={plan.ports.api}",
        f"--etcd-servers=http://127.0.0.1:{plan.ports.etcd}",
        f"--cert-dir={plan.pki}",
        f"--tls-cert-file={credentials.api.cert}",
        f"--tls-private-key-file={credentials.api.key}",
        f"--client-ca-file={authority.cert}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={credentials.service_accounts}",
        f"--service-account-signing-key-file={credentials.service_accounts}",
        f"--kubelet-certificate-authority={authority.cert}",
        f"--kubelet-client-certificate={credentials.kubelet_client.cert}",
        f"--kubelet-client-key={credentials.kubelet_client.key}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--requestheader-client-ca-file={front.cert}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={credentials.front_client.cert}",
        f"--proxy-client-key-file={credentials.front_client.key}",
        "--enable-aggregator-routing",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged",
        f"--audit-policy-file={MANIFESTS / 'audit-policy.yaml'}",
        f"--audit-log-path={plan.audit_log}",
        # One file, whatever happens: who reads it must not miss what was rotated away.
        "--audit-log-maxsize=8192",
        "--profiling=false",
    ]


def _controller_manager(plan: Plan, credentials: Credentials) -> list[str]:
    authority = credentials.authority.pair
    return [
        str(plan.binaries["kube-controller-manager"]),
        *_client_flags(plan, "kube-controller-manager", plan.ports.controllers),
        "--use-service-account-credentials",
        f"--service-account-private-key-file={credentials.service_accounts}",
        f"--root-ca-file={authority.cert}",
        f"--cluster-signing-cert-file={authority.cert}",
        f"--cluster-signing-key-file={authority.key}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        f"--flex-volume-plugin-dir={plan.directory / 'volume-plugins'}",
        "--horizontal-pod-autoscaler-sync-period=5s",
    ]


def _scheduler(plan: Plan) -> list[str]:
    return [
        str(plan.binaries["kube-scheduler"]),
        *_client_flags(plan, "kube-scheduler", plan.ports.scheduler),
    ]


def _client_flags(plan: Plan, name: str, port: int) -> list[str]:
    kubeconfig = plan.component(name)
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--leader-elect=true",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={plan.pki / name}",
        "--profiling=false",
    ]


def _kwok(plan: Plan) -> list[str]:
    return [
        str(plan.binaries["kwok"]),
        f"--kubeconfig={plan.component('kwok')}",
        f"--manage-nodes-with-label-selector={KWOK_NODE_LABEL}",
        "--node-lease-duration-seconds=40",
        "--enable-crds=Stage",
        "--cidr=10.200.0.0/16",
        "--node-ip=10.201.0.1",
        f"--server-address=127.0.0.1:{plan.ports.kwok}",
    ]
