"""A network namespace with one way out: the API server's port, through a socket in the file system."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from tests.cluster.cache import Lacking
from tests.offline.relay import Relay, on_path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Ran:
    """One step's outcome; `unrouted`: how often anything in it asked for a way that there is not."""

    words: tuple[str, ...]
    code: int
    out: str
    err: str
    seconds: float
    unrouted: int


@dataclass(frozen=True, slots=True)
class Session:
    """What happened in the namespace."""

    interfaces: tuple[str, ...]
    connections: int
    steps: tuple[Ran, ...]


def server_port(kubeconfig: Path) -> int:
    document = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    parts = urlsplit(document["clusters"][0]["cluster"]["server"])
    assert parts.hostname == "127.0.0.1", "the test cluster listens on loopback"
    assert parts.port
    return parts.port


def alone(kubeconfig: Path, environment: Mapping[str, str], commands: Sequence[Sequence[str]]) -> Session:
    """Run commands where nothing but the API server of this kubeconfig can be reached."""
    port = server_port(kubeconfig)
    steps = [{"words": list(each), "environment": dict(environment)} for each in commands]
    with tempfile.TemporaryDirectory(prefix="way-") as scratch:
        path = f"{scratch}/api"
        relay = Relay(on_path(path), lambda: socket.create_connection(("127.0.0.1", port)))
        try:
            found = _inside({"port": port, "socket": path, "steps": steps})
        finally:
            relay.close()
    ran = [Ran(tuple(words), each["rc"], each["out"], each["err"], each["seconds"], each["unrouted"])
           for words, each in zip(commands, found["results"], strict=True)]  # fmt: skip
    return Session(tuple(found["interfaces"]), found["connections"], tuple(ran))


def _inside(task: dict[str, Any]) -> dict[str, Any]:
    unshare = shutil.which("unshare")
    if not unshare:
        raise Lacking("unshare (util-linux) makes the network namespace; it is not on PATH")
    rights = [] if os.geteuid() == 0 else ["--map-root-user"]
    if subprocess.run([unshare, "--net", *rights, "true"], capture_output=True, check=False).returncode:
        raise Lacking("this user may make no network namespace (root, or user namespaces, on Linux)")
    command = [unshare, "--net", *rights, sys.executable, "-m", "tests.offline.inside"]
    ran = subprocess.run(
        command, input=json.dumps(task), capture_output=True, text=True, cwd=ROOT, timeout=900, check=False
    )
    if ran.returncode:
        raise AssertionError(f"the namespace's process failed: {ran.stderr[-2000:]}")
    return json.loads(ran.stdout)


__all__ = ["ROOT", "Ran", "Session", "alone", "server_port"]
