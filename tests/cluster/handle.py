"""A cluster as its users see it: start one, run kubectl against it, stop its parts, take it down."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tests.cluster.build import CONTROL_PLANE_GROUPS, NODE_GROUPS, Binaries, ensure_binaries
from tests.cluster.cache import Lacking, say
from tests.cluster.keeper import FAILED, READY, SOCKET
from tests.cluster.processes import short_path
from tests.cluster.warden import REPOSITORY, sweep

Kind = Literal["controlplane", "node"]
PATIENCE = {"controlplane": 90, "node": 240}


class StartFailed(RuntimeError):
    """The cluster did not come up; the message quotes the log of what failed."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running cluster."""

    kind: str
    dir: Path
    kubeconfig: Path
    kubeconfigs: Mapping[str, Path]
    kubectl_path: Path
    binaries: Binaries | None = None
    audit_log: Path | None = None
    seconds: float = 0.0
    warden: int = 0
    # The other end of the warden's lifeline; closing it takes the cluster down.
    lifeline: list[int] = field(default_factory=list[int], repr=False)

    def kubectl(
        self,
        *words: str,
        user: str = "admin",
        stdin: str | None = None,
        check: bool = True,
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Run the real kubectl as one of the users; with `check`, a failure raises with kubectl's words."""
        done = subprocess.run(
            [str(self.kubectl_path), *words],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            env=self.environment(user),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(words)}: {done.stderr.strip()}")
        return done

    def environment(self, user: str = "admin") -> dict[str, str]:
        """An environment in which kubectl and its plugins talk to this cluster as that user."""
        # Ports are used again by later clusters: what kubectl remembers of one must not serve another.
        cache = {"KUBECACHEDIR": str(self.dir / "kubectl-cache")}
        return {**os.environ, "KUBECONFIG": str(self.kubeconfigs[user]), **cache}

    def apply(self, manifest: str) -> None:
        """Apply YAML, server-side."""
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=manifest)

    def json(self, *words: str, user: str = "admin") -> dict[str, Any]:
        """`kubectl … -o json`, parsed."""
        return json.loads(self.kubectl(*words, "-o", "json", user=user).stdout)

    def stop(self, program: str) -> None:
        """Stop one of the cluster's programs (kubelet, kube-scheduler, …); it stays stopped."""
        self._order(do="stop", name=program)

    def start(self, program: str) -> None:
        """Start it again."""
        self._order(do="start", name=program)

    def signal(self, program: str, number: signal.Signals) -> None:
        """Send a signal to a program (SIGSTOP lets it hang)."""
        self._order(do="signal", name=program, number=int(number))

    def programs(self) -> dict[str, int]:
        """The running programs and their process ids, as the cluster itself sees them."""
        return self._order(do="programs")

    def inside(self, *words: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a program in the node's namespaces (`ctr`, `nft`, `ip` are on PATH there)."""
        first = _first_process_inside(self.warden)
        assert self.binaries is not None
        tools = json.loads((self.dir / "warden.json").read_text())["tools"]
        path = f"{tools}:{self.binaries.path()}:/usr/sbin:/usr/bin:/sbin:/bin"
        command = [
            "nsenter",
            f"--target={first}",
            "--mount",
            "--net",
            "--pid",
            "--uts",
            "--ipc",
            "--",
            *words,
        ]
        environment = {**os.environ, "PATH": path, "CONTAINERD_ADDRESS": "/run/containerd/containerd.sock"}
        environment["CONTAINERD_NAMESPACE"] = "k8s.io"
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout, check=False)

    def down(self) -> None:
        """Take it down and wait until nothing of it is left."""
        while self.lifeline:
            os.close(self.lifeline.pop())
        if self.warden:
            _end(self.warden)

    def _order(self, **order: Any) -> Any:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(30)
            with short_path(self.dir / SOCKET) as path:
                client.connect(path)
            client.sendall((json.dumps(order) + "\n").encode())
            reply = json.loads(client.makefile().readline())
        if not reply["ok"]:
            raise RuntimeError(reply["problem"])
        return reply["result"]


def launch(kind: Kind, directory: Path | None = None, *, stays: bool = False) -> Cluster:
    """Start a cluster. It ends with this process, unless it `stays`: then it ends by `down`."""
    arguments = prepare(kind)
    sweep()
    if directory is None:
        directory = Path(tempfile.mkdtemp(prefix="intellect-cluster-"))
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    if (directory / "warden.json").exists():
        raise StartFailed(f"{directory} is in use by another cluster; take that down or use another directory")
    command = [sys.executable, "-m", "tests.cluster.warden", "--dir", str(directory), *arguments]
    lifeline: list[int] = []
    passed: tuple[int, ...] = ()
    read = -1
    if not stays:
        read, write = os.pipe()
        lifeline.append(write)
        passed = (read,)
        command += ["--lifeline", str(read)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=passed,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        start_new_session=True,
    )
    # The kernel reports its end to us; nobody waits for it, which Python would warn about.
    process.returncode = 0
    if read >= 0:
        os.close(read)
    try:
        _await_ready(directory, process.pid, PATIENCE[kind])
    except BaseException:
        for end in lifeline:
            os.close(end)
        _end(process.pid)
        raise
    return attach(directory, lifeline)


def prepare(kind: Kind) -> list[str]:
    """Build and fetch what the cluster is made of; what the warden must be told about it."""
    if kind == "controlplane":
        ensure_binaries(CONTROL_PLANE_GROUPS)
        return []
    if reason := why_no_node():
        raise Lacking(reason)
    from tests.cluster.hosttools import ensure_host_tools
    from tests.cluster.images import ensure_images
    from tests.cluster.images.build import default_cache
    from tests.cluster.system_images import ensure_system_images

    binaries = ensure_binaries(NODE_GROUPS)
    tools = ensure_host_tools()
    images = [*ensure_images(default_cache()).values(), *ensure_system_images(binaries)]
    words = ["--node", "--tools", str(tools)]
    return [*words, *(word for image in images for word in ("--image", str(image)))]


def why_no_node() -> str | None:
    """What this machine lacks for a real node, if anything."""
    if sys.platform != "linux":
        return "a real node needs Linux; on another system run the tests in a Linux VM"
    if os.geteuid() != 0:
        return "a real node needs root: run the tests with sudo"
    lacking = [tool for tool in ("unshare", "nsenter", "mount") if not shutil.which(tool)]
    if lacking:
        return f"a real node needs {', '.join(lacking)}: install util-linux and mount"
    if not Path("/sys/fs/cgroup").is_dir() or not os.access("/sys/fs/cgroup", os.W_OK):
        return "a real node needs a writable /sys/fs/cgroup: run in a VM or a privileged container"
    tried = subprocess.run(
        ["unshare", "--pid", "--fork", "--mount", "--net", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode != 0:
        return f"a real node needs namespaces: run in a VM or a privileged container ({tried.stderr.strip()})"
    return None


def attach(directory: Path, lifeline: list[int] | None = None) -> Cluster:
    """The handle of a cluster that runs in a directory."""
    try:
        facts = json.loads((directory / READY).read_text())
        owner = json.loads((directory / "warden.json").read_text())
    except FileNotFoundError:
        raise StartFailed(f"no cluster runs in {directory}; start one with `python -m tests.cluster up`") from None
    binaries = Binaries(tuple(Path(group) for group in facts["binaries"]))
    users = {user: Path(path) for user, path in facts["kubeconfigs"].items()}
    return Cluster(
        kind="node" if owner["node"] else "controlplane",
        dir=directory,
        kubeconfig=users["admin"],
        kubeconfigs=users,
        kubectl_path=binaries["kubectl"],
        binaries=binaries,
        audit_log=Path(facts["audit_log"]),
        seconds=facts["seconds"],
        warden=owner["pid"],
        lifeline=lifeline or [],
    )


def _await_ready(directory: Path, warden: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not (directory / READY).exists():
        if (directory / FAILED).exists():
            reason = (directory / FAILED).read_text()
            (directory / FAILED).unlink(missing_ok=True)
            raise StartFailed(reason)
        if not _alive(warden):
            raise StartFailed("the cluster's owner ended before the cluster was ready")
        if time.monotonic() > end:
            raise StartFailed(f"the cluster was not ready within {seconds:.0f} s; its logs: {directory / 'logs'}")
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    except ChildProcessError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _end(warden: int, seconds: float = 40) -> None:
    """Ask the warden to clear away, and see that it did."""
    try:
        os.kill(warden, signal.SIGTERM)
    except ProcessLookupError:
        return
    end = time.monotonic() + seconds
    while _alive(warden):
        if time.monotonic() > end:
            say(f"the owner of a cluster (process {warden}) does not end; killing it")
            os.kill(warden, signal.SIGKILL)
            return
        time.sleep(0.05)


def _first_process_inside(warden: int) -> int:
    """Process 1 of the node's namespaces, as this machine numbers it."""
    found = warden
    for _ in range(2):  # warden → unshare → process 1
        children = Path(f"/proc/{found}/task/{found}/children").read_text().split()
        found = int(children[0])
    return found


__all__: Sequence[str] = ("Cluster", "Kind", "StartFailed", "attach", "launch", "prepare", "why_no_node")
