"""The configuration files of the node's programs, as data."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.isolation import BRIDGE, NODE_ADDRESS, POD_RANGE, REGISTRY_HOST

CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
PAUSE_IMAGE = "docker.io/intellect/pause:1"
DNS_ADDRESS = "10.96.0.10"
OPEN_REGISTRY_PORT = 5000
PRIVATE_REGISTRY_PORT = 5001
# The longest pause before a crashed container is started again: a crash loop shows in seconds.
RESTART_PAUSE = "5s"
MAX_PODS = 250


@dataclass(frozen=True, slots=True)
class Places:
    """Where the node's programs and files are."""

    directory: Path
    plugins: Path
    runc: Path

    @property
    def root(self) -> Path:
        return self.directory / "node"


def containerd(places: Places, snapshotter: str) -> str:
    """containerd's TOML, in its version 3."""
    quoted = {key: json.dumps(str(value)) for key, value in _containerd_values(places).items()}
    return f"""version = 3
root = {quoted["root"]}
state = "/run/containerd"
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins.'io.containerd.internal.v1.opt']
  path = {quoted["opt"]}
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  [plugins.'io.containerd.cri.v1.runtime'.containerd]
    default_runtime_name = "runc"
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
        BinaryName = {quoted["runc"]}
        SystemdCgroup = false
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = [{quoted["plugins"]}]
    conf_dir = {quoted["cni"]}
[plugins.'io.containerd.cri.v1.images']
  snapshotter = "{snapshotter}"
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = "{PAUSE_IMAGE}"
  [plugins.'io.containerd.cri.v1.images'.registry]
    config_path = {quoted["registries"]}
"""


def _containerd_values(places: Places) -> dict[str, Path]:
    return {
        "root": places.root / "containerd",
        "opt": places.root / "opt",
        "runc": places.runc,
        "plugins": places.plugins,
        "cni": places.root / "cni",
        "registries": places.root / "registries",
    }


def registry_hosts(port: int) -> str:
    """How containerd speaks to one of the test registries: plain HTTP."""
    server = f"http://{REGISTRY_HOST}:{port}"
    return f'server = "{server}"\n[host."{server}"]\n  capabilities = ["pull", "resolve"]\n'


def cni(places: Places) -> dict[str, Any]:
    """The pod network: a bridge that is the pods' gateway."""
    bridge: dict[str, Any] = {
        "type": "bridge",
        "bridge": BRIDGE,
        "isGateway": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": str(places.root / "cni-leases"),
            "ranges": [[{"subnet": POD_RANGE}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}, "backend": "nftables"}
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge, ports]}


def kubelet(places: Places, authority: Path, cert: Path, key: Path, cgroup: str) -> dict[str, Any]:
    """The kubelet's configuration."""
    little = {"nodefs.available": "1%", "nodefs.inodesFree": "1%", "imagefs.available": "1%"}
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "0.0.0.0",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(authority)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(cert),
        "tlsPrivateKeyFile": str(key),
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": "cluster.local",
        "resolvConf": "/etc/resolv.conf",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        "featureGates": {"KubeletCrashLoopBackOffMax": True},
        "crashLoopBackOff": {"maxContainerRestartPeriod": RESTART_PAUSE},
        "syncFrequency": "3s",
        "nodeStatusUpdateFrequency": "5s",
        "maxPods": MAX_PODS,
        "serializeImagePulls": False,
        # A deleted image could not be had again.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "100Mi", **little},
        "volumePluginDir": str(places.root / "volume-plugins"),
        "enableProfilingHandler": False,
    }


def kube_proxy(kubeconfig: Path, *, hide_clients: bool) -> dict[str, Any]:
    """kube-proxy's configuration; limits of the whole machine are left alone."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clusterCIDR": POD_RANGE,
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "nftables": {"masqueradeAll": hide_clients, "minSyncPeriod": "0.5s"},
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
        "bindAddress": NODE_ADDRESS,
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
    }


def registry(storage: Path, port: int, passwords: Path | None) -> dict[str, Any]:
    """A registry that keeps its blobs in a directory, with or without passwords."""
    config: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(storage)}, "delete": {"enabled": True}},
        "http": {"addr": f"0.0.0.0:{port}"},
    }
    if passwords is not None:
        config["auth"] = {"htpasswd": {"realm": "test registry", "path": str(passwords)}}
    return config


def upstream_dns() -> str:
    """The name server outside the cluster: it knows the registry, and that nothing else exists."""
    return f""".:53 {{
    bind {NODE_ADDRESS}
    hosts {{
        {NODE_ADDRESS} {REGISTRY_HOST}
        fallthrough
    }}
    template ANY ANY . {{
        rcode NXDOMAIN
        authority ". 60 IN SOA ns.test. hostmaster.test. 1 60 60 60 60"
    }}
}}
"""
