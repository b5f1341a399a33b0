"""A cluster that scenarios are staged on: real kubectl for writes, the raw API for polling."""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

Json = dict[str, Any]


class CommandFailed(Exception):
    """kubectl ended with an error."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How the API serves a kind."""

    path: str
    plural: str
    namespaced: bool

    def url(self, namespace: str, name: str = "") -> str:
        scope = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{self.path}{scope}/{self.plural}" + (f"/{name}" if name else "")


class Reader(Protocol):
    """What predicates look through."""

    def objects(self, kind: str, namespace: str) -> list[Json]: ...

    def log(self, namespace: str, pod: str, container: str, previous: bool) -> str: ...


class Parts(Protocol):
    """Hands on the programs that a cluster consists of."""

    def stop(self, program: str) -> None: ...

    def start(self, program: str) -> None: ...


@dataclass
class Cluster:
    """An admin's view of a cluster."""

    kubeconfig: Path
    kubectl: str = "kubectl"
    parts: Parts | None = None

    def stop(self, program: str) -> None:
        """Stop a part of the cluster, for scenarios about its loss."""
        if self.parts is None:
            raise CommandFailed(f"{program} cannot be stopped: this cluster is not one of our own")
        self.parts.stop(program)

    def resume(self, programs: Iterable[str]) -> None:
        """Start again what a scenario stopped."""
        for program in programs:
            if self.parts is not None:
                self.parts.start(program)

    def run(self, *words: str, text: str | None = None, timeout: float = 60) -> str:
        """Real kubectl; what it printed."""
        done = subprocess.run(
            [self.kubectl, f"--kubeconfig={self.kubeconfig}", f"--cache-dir={self._cache}", *words],
            input=text,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        if done.returncode:
            raise CommandFailed(f"kubectl {' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    @cached_property
    def _cache(self) -> str:
        return tempfile.mkdtemp(prefix="kubectl-cache-")

    @cached_property
    def api(self) -> Api:
        return Api(self.kubeconfig)


class Api:
    """Reads through one pool of connections."""

    def __init__(self, kubeconfig: Path) -> None:
        from kubernetes.config import new_client_from_config

        self._client = new_client_from_config(str(kubeconfig))
        self._lock = threading.Lock()
        self._kinds: dict[str, Kind] = {}

    def get(self, path: str, accept: str = "application/json") -> tuple[int, bytes]:
        parameters = self._client.param_serialize(
            "GET", path, header_params={"Accept": accept}, auth_settings=["BearerToken"]
        )
        answer = self._client.call_api(*parameters, _request_timeout=(5, 30)).response
        return answer.status, answer.data

    def kind(self, name: str) -> Kind | None:
        """A kind by its name, or `Kind.group` where several groups have one."""
        with self._lock:
            if name not in self._kinds:
                self._kinds = self._discover()
            return self._kinds.get(name)

    def objects(self, kind: str, namespace: str) -> list[Json]:
        served = self.kind(kind)
        if served is None:
            return []
        status, body = self.get(served.url(namespace))
        return json.loads(body).get("items") or [] if status == 200 else []

    def log(self, namespace: str, pod: str, container: str, previous: bool) -> str:
        query = f"?container={container}" + ("&previous=true" if previous else "")
        status, body = self.get(f"/api/v1/namespaces/{namespace}/pods/{pod}/log{query}", "*/*")
        return body.decode(errors="replace") if status == 200 else ""

    def _discover(self) -> dict[str, Kind]:
        accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        kinds: dict[str, Kind] = {}
        for root in ("/api", "/apis"):
            status, body = self.get(root, accept)
            for group in json.loads(body)["items"] if status == 200 else ():
                name = group["metadata"].get("name", "")
                version = group["versions"][0]
                base = f"{root}/{name}/{version['version']}" if name else f"{root}/{version['version']}"
                for each in version.get("resources") or ():
                    kind = Kind(base, each["resource"], each["scope"] == "Namespaced")
                    label = (each.get("responseKind") or {}).get("kind") or each["resource"]
                    kinds.setdefault(label, kind)
                    kinds[f"{label}.{name}"] = kind
        return kinds


class Kubectl:
    """The same reads through real kubectl, as a person would see them, or as much as one user sees."""

    def __init__(self, cluster: Cluster, user: str = "") -> None:
        self._cluster = cluster
        self._who = [f"--as={user}"] if user else []

    def objects(self, kind: str, namespace: str) -> list[Json]:
        where = [f"--namespace={namespace}"] if namespace else ["--all-namespaces"]
        try:
            return json.loads(self._cluster.run("get", kind.lower(), *where, *self._who, "-o", "json"))["items"]
        except CommandFailed:
            return []

    def log(self, namespace: str, pod: str, container: str, previous: bool) -> str:
        more = ["--previous"] if previous else []
        try:
            words = ("logs", f"--namespace={namespace}", pod, f"--container={container}", *more, *self._who)
            return self._cluster.run(*words)
        except CommandFailed:
            return ""


__all__ = ["Api", "Cluster", "CommandFailed", "Kind", "Kubectl", "Reader"]
