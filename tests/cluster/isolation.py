"""The node's own world, made from inside fresh namespaces: mounts, network, host name.

Everything here ends with the namespaces. What the kernel does not keep per namespace is covered by plain
files, so that the kubelet's settings stay with the node.
"""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

from tests.cluster.processes import Failed

NODE_NAME = "node-1"
NODE_ADDRESS = "172.30.0.10"
POD_RANGE = "10.244.0.0/22"
BRIDGE = "cni0"
BRIDGE_CALLS = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
REGISTRY_HOST = "registry.test"
# Settings of the whole machine that a kubelet writes.
_MACHINE_WIDE = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)


def enter(directory: Path, tools: Path, service_range: str) -> None:
    """Set up mounts, host name and network; the caller already lives in namespaces of its own."""
    socket.sethostname(NODE_NAME)
    _network(tools, service_range)
    _mounts(directory / "world")


def _mounts(world: Path) -> None:
    world.mkdir()
    _cover_settings(world)
    for place in ("/var/log", "/run"):
        own = world / place.strip("/").replace("/", "-")
        own.mkdir()
        _mount("--bind", str(own), place)
    _shadow(world, Path("/var/lib"))
    _cover_file(world, Path("/etc/resolv.conf"), f"nameserver {NODE_ADDRESS}\n")
    hosts = f"127.0.0.1 localhost\n{NODE_ADDRESS} {NODE_NAME}\n{NODE_ADDRESS} {REGISTRY_HOST}\n"
    _cover_file(world, Path("/etc/hosts"), hosts)
    # Volumes mounted by the kubelet must show up in running containers.
    _mount("--make-rshared", "/")


def _cover_settings(world: Path) -> None:
    for setting in _MACHINE_WIDE:
        real = Path("/proc/sys") / setting
        if real.exists():
            own = world / setting.replace("/", "-")
            own.write_text(real.read_text())
            _mount("--bind", str(own), str(real))


def _cover_file(world: Path, target: Path, content: str) -> None:
    own = world / target.name
    own.write_text(content)
    real = target.resolve()
    if not real.exists():
        real.parent.mkdir(parents=True, exist_ok=True)
        real.touch()
    _mount("--bind", str(own), str(real))


def _shadow(world: Path, target: Path) -> None:
    """Let the node write below a directory of the machine without the machine seeing it."""
    layer = world / "layer"
    layer.mkdir()
    _mount("-t", "tmpfs", "-o", "size=64m", "tmpfs", str(layer))
    for part in ("upper", "work"):
        (layer / part).mkdir()
    options = f"lowerdir={target},upperdir={layer / 'upper'},workdir={layer / 'work'}"
    _mount("-t", "overlay", "-o", options, "overlay", str(target))


def _network(tools: Path, service_range: str) -> None:
    if not BRIDGE_CALLS.exists():
        subprocess.run(["modprobe", "-q", "br_netfilter"], check=False)
    for setting, value in (("ipv4/ip_forward", "1"), ("bridge/bridge-nf-call-iptables", "1")):
        file = Path("/proc/sys/net") / setting
        if file.exists():
            file.write_text(value)
    steps = [
        "link set lo up",
        # A veth pair with both ends here carries the node's address: there need not be a dummy device.
        "link add node0 type veth peer name node0-peer",
        f"addr add {NODE_ADDRESS}/24 dev node0",
        "link set node0 up",
        "link set node0-peer up",
        # Without a route, programs on the node could not even try a Service address.
        f"route add {service_range} dev node0",
    ]
    for step in steps:
        _run([str(tools / "ip"), *step.split()])


def _mount(*words: str) -> None:
    _run(["mount", *words])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)}: {done.stderr.strip()}")
