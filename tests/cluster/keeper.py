"""Starts a cluster's programs and keeps them running; the process that all of them die with.

For the real node it runs inside fresh namespaces, under a process 1 that only collects orphans. It tells that
the cluster is ready by a file, and takes orders (stop a program, start it again) over a socket.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.cluster import controlplane
from tests.cluster.build import CONTROL_PLANE_GROUPS, NODE_GROUPS, ensure_binaries
from tests.cluster.controlplane import MANIFESTS, SERVICE_RANGE, Plan, Ports
from tests.cluster.processes import Failed, Programs, short_path, wait_until

READY, FAILED, SOCKET = "ready.json", "failed.txt", "control.sock"
# Inside namespaces of its own nobody else listens.
_FIXED_PORTS = Ports(api=6443, etcd=2379, etcd_peer=2380, controllers=10257, scheduler=10259, kwok=10247)


def main() -> int:
    """Run until killed."""
    options = _options()
    if os.getpid() == 1:
        _become_reaper()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    directory: Path = options.dir
    programs = Programs(directory / "logs")
    try:
        begun = time.monotonic()
        plan = _start_node(options, programs) if options.node else _start_control_plane(directory, programs)
        _announce(plan, programs, time.monotonic() - begun)
        _serve(directory, programs)
    except Exception as problem:
        text = str(problem) if isinstance(problem, Failed) else traceback.format_exc()
        (directory / f"{FAILED}.part").write_text(text)
        (directory / f"{FAILED}.part").rename(directory / FAILED)
        return 1
    finally:
        programs.kill_all()
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--node", action="store_true")
    parser.add_argument("--public-port", type=int)
    parser.add_argument("--listener", type=int)
    parser.add_argument("--cgroup")
    parser.add_argument("--tools", type=Path)
    parser.add_argument("--image", type=Path, action="append", default=[])
    return parser.parse_args()


def _become_reaper() -> None:
    """Go on in a child; stay behind as process 1, which inherits orphans and must collect them."""
    child = os.fork()
    if child == 0:
        return
    while True:
        with suppress(InterruptedError, ChildProcessError):
            ended, status = os.wait()
            if ended == child:
                os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _start_control_plane(directory: Path, programs: Programs) -> Plan:
    plan = Plan(directory, ensure_binaries(CONTROL_PLANE_GROUPS), Ports.free())
    credentials = controlplane.prepare(plan)
    controlplane.start(plan, credentials, programs)
    controlplane.install(plan, [MANIFESTS / "kwok-nodes.yaml"])

    def ready() -> bool:
        return controlplane.settled(plan, credentials) and controlplane.nodes_ready(plan, credentials, 3)

    wait_until("the control plane", ready, 60, programs.check)
    return plan


def _start_node(options: argparse.Namespace, programs: Programs) -> Plan:
    from tests.cluster import isolation
    from tests.cluster.node import Node, NodePlan

    directory: Path = options.dir
    binaries = ensure_binaries(NODE_GROUPS)
    isolation.enter(directory, options.tools, SERVICE_RANGE)
    plan = Plan(directory, binaries, _FIXED_PORTS, isolation.NODE_ADDRESS, options.public_port)
    _forward(options.listener, plan, programs)
    credentials = controlplane.prepare(plan)
    node = Node(NodePlan(plan, options.tools, tuple(options.image), options.cgroup), credentials, programs)
    node.start_runtime()
    controlplane.start(plan, credentials, programs)
    node.join()
    wait_until("the control plane", lambda: controlplane.settled(plan, credentials), 60, programs.check)
    node.wait_ready()
    return plan


def _forward(listener: int, plan: Plan, programs: Programs) -> None:
    """Hand the socket that was opened in the machine's network to the program that serves it."""
    command = [str(plan.binaries["forward"]), str(listener), f"127.0.0.1:{plan.ports.api}"]
    programs.run("forward", command, pass_fds=(listener,))


def _announce(plan: Plan, programs: Programs, seconds: float) -> None:
    users = {user: str(plan.kubeconfig(user)) for user in controlplane.USERS}
    facts = {
        "kubeconfigs": users,
        "audit_log": str(plan.audit_log),
        "binaries": [str(group) for group in plan.binaries.groups],
        "programs": programs.names(),
        "seconds": round(seconds, 2),
    }
    kubectl = plan.directory / "kubectl"
    kubectl.unlink(missing_ok=True)  # an earlier cluster in this directory, gone without its teardown
    kubectl.symlink_to(plan.binaries["kubectl"])
    part = plan.directory / f"{READY}.part"
    part.write_text(json.dumps(facts, indent=1))
    part.rename(plan.directory / READY)


def _serve(directory: Path, programs: Programs) -> None:
    """Take orders; start again what ended by itself, as a node's supervisor would."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        with short_path(directory / SOCKET) as path:
            listening.bind(path)
        (directory / SOCKET).chmod(0o600)
        listening.listen()
        while True:
            ready, _, _ = select.select([listening], [], [], 0.5)
            if ready:
                client, _ = listening.accept()
                with client, suppress(OSError):
                    _answer(client, programs)
            for name in programs.ended():
                print(f"{name} ended by itself, starting it again", file=sys.stderr, flush=True)
                programs.resume(name)


def _answer(client: socket.socket, programs: Programs) -> None:
    client.settimeout(5)
    order: dict[str, Any] = json.loads(client.makefile().readline())
    try:
        reply: dict[str, Any] = {"ok": True, "result": _obey(order, programs)}
    except (Failed, KeyError, OSError) as problem:
        reply = {"ok": False, "problem": f"{type(problem).__name__}: {problem}"}
    client.sendall((json.dumps(reply) + "\n").encode())


def _obey(order: dict[str, Any], programs: Programs) -> Any:
    match order["do"]:
        case "stop":
            programs.stop(order["name"])
        case "start":
            programs.resume(order["name"])
        case "signal":
            programs.send(order["name"], int(order["number"]))
        case "programs":
            return programs.pids()
        case unknown:
            raise KeyError(f"unknown order {unknown}")
    return None


if __name__ == "__main__":
    raise SystemExit(main())
