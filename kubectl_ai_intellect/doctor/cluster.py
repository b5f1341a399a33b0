"""The cluster's side: kubeconfig, context, API server, rights, metrics, clock, versions."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from kubectl_ai_intellect.doctor.check import Check, degraded, failed, ok, unknown
from kubectl_ai_intellect.doctor.rights import Reached, reached, served
from kubectl_ai_intellect.errors import ClusterError, IntellectError, UsageError
from kubectl_ai_intellect.kube import config
from kubectl_ai_intellect.kube.config import Connection, Flags
from kubectl_ai_intellect.kube.refs import ref
from kubectl_ai_intellect.kube.session import Cluster
from kubectl_ai_intellect.kube.source import get_of
from kubectl_ai_intellect.kube.tool import user_kubectl

PATIENCE = 10.0
"""Seconds for all that is asked of the API server, where the user gives no other time."""
NO_CLUSTER = "no question about a live cluster can be answered (demo, case, --from and runbook still work)"
UNREACHED = "the API server was not reached"
REMOTE = ("api", "rights", "metrics", "clock", "versions")
SKEW_SEEN, SKEW_HARMFUL = 5.0, 120.0
OLDEST = (1, 23)
"""The first minor version that serves autoscaling/v2, the youngest API we read."""
TESTED = (1, 36)


class Found:
    """What the checks learn on their way: the connection."""

    def __init__(self) -> None:
        self.connection: Connection | None = None


def checks(flags: Flags, seconds: float | None, found: Found) -> Iterator[Check]:
    """Every check on the cluster's side; each one that cannot be made says so."""
    files = _kubeconfig(flags)
    yield files
    if files.status == "failed" and not flags.server:
        yield from (unknown(name, "there is no kubeconfig") for name in ("context", *REMOTE))
        return
    try:
        connection = config.load(flags)
    except UsageError:
        raise
    except IntellectError as error:
        yield failed("context", str(error), NO_CLUSTER, "choose a context with --context, or log in again")
        yield from (unknown(name, "there is no context") for name in REMOTE)
        return
    found.connection = connection
    cluster = Cluster(connection, time.monotonic() + (seconds or PATIENCE))
    with cluster:
        user = f", user {connection.user}" if connection.user else ""
        acting = dict(connection.impersonate).get("Impersonate-User", "")
        user += f", acting as {acting}" if acting else ""
        yield ok("context", f"{connection.context}: {connection.server}, namespace {connection.namespace}{user}")
        api = _api(cluster)
        yield api
        if api.status == "failed":
            yield from (unknown(name, UNREACHED) for name in REMOTE[1:])
            return
        yield from _asked(cluster, flags)


def _asked(cluster: Cluster, flags: Flags) -> Iterator[Check]:
    """The checks that need answers of the API server."""
    try:
        only = bool(flags.namespace) and not flags.all_namespaces
        yield _rights(reached(cluster, served(cluster)[0], cluster.namespace, only=only), cluster.namespace, only)
        yield _metrics(cluster)
    except ClusterError as error:
        yield failed("rights", str(error), "what may be read is not known", "try again, or raise --timeout")
    yield _clock((cluster.now() - datetime.now(UTC)).total_seconds())
    yield _versions(cluster.server_version, _kubectl_version())


def _kubeconfig(flags: Flags) -> Check:
    """The files that kubectl would read; others may not read what holds credentials."""
    try:
        paths = config.kubeconfig_paths(flags, os.environ)
    except ClusterError as error:
        return failed("kubeconfig", str(error), NO_CLUSTER, "give the path of your cluster's file")
    there = [path for path in paths if path.is_file()]
    inside = bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and (config.SERVICE_ACCOUNT / "token").is_file()
    if not there and inside:
        return ok("kubeconfig", "none; the pod's service account is used")
    shown = ", ".join(str(path) for path in there or paths)
    if not there:
        return failed("kubeconfig", f"there is no file {shown}", NO_CLUSTER,
                      "set KUBECONFIG or --kubeconfig to the file of your cluster")  # fmt: skip
    open_to_others = [path for path in there if os.name == "posix" and path.stat().st_mode & 0o077]
    if open_to_others:
        names = " ".join(str(path) for path in open_to_others)
        return degraded("kubeconfig", f"{shown} (others on this machine can read it)",
                        "whoever reads it can act as you", f"chmod 600 {names}")  # fmt: skip
    return ok("kubeconfig", shown)


def _api(cluster: Cluster) -> Check:
    began = time.monotonic()
    try:
        answers = cluster.fetch([get_of(ref("Namespace", "", cluster.namespace))])
    except ClusterError as error:
        said, _, mend = str(error).rpartition(": ")
        return failed("api", said or mend, NO_CLUSTER, mend if said else "check the network or log in again")
    took = f"answers in {(time.monotonic() - began) * 1000:.0f} ms"
    answer = answers[0]
    if answer.unread is not None and answer.unread.why == "failed":
        return failed("api", f"{cluster.server}: {answer.unread.message}", NO_CLUSTER,
                      "look at the API server's health: kubectl get --raw /readyz?verbose")  # fmt: skip
    if answer.unread is None and not answer.items:
        return degraded("api", f"{took}, but there is no namespace {cluster.namespace}",
                        "questions without -n find nothing",
                        "kubectl config set-context --current --namespace=NAME")  # fmt: skip
    return ok("api", f"{took} (TLS and credentials are accepted)" if cluster.server.startswith("https") else took)


def _rights(found: Sequence[Reached], namespace: str, only: bool) -> Check:
    """One check for all rights: what is out of reach, and what that costs."""
    nowhere = [each for each in found if each.reach == "nowhere"]
    near = [each for each in found if each.reach == "namespace"]
    scope = f"namespace {namespace}" if only else "the whole cluster"
    if any(each.right.kind == "Pod" and not each.right.part for each in nowhere):
        return failed("rights", f"pods cannot be read in {scope if only else f'namespace {namespace}, nor elsewhere'}",
                      "no diagnosis at all: everything begins at pods", _role_mend(only, namespace, nowhere))  # fmt: skip
    if not nowhere and (not near or only):
        return ok("rights", f"everything that a diagnosis reads, in {scope}")
    lost = "; ".join(f"without {what}: {costs}" for costs, what in _losses(nowhere))
    says = [f"cannot read {_names(nowhere)}"] if nowhere else []
    if near and not only:
        says.append(f"{len(near)} kinds can be read in namespace {namespace} only")
        lost = "; ".join([*([lost] if lost else []), "the rest of the cluster is not seen"])
    return degraded("rights", "; ".join(says), lost, _role_mend(only, namespace, [*nowhere, *near]))


def _losses(found: Sequence[Reached]) -> list[tuple[str, str]]:
    """What is lost, and for want of which kinds."""
    grouped: dict[str, list[str]] = {}
    for each in found:
        grouped.setdefault(each.right.costs, []).append(each.right.plural)
    return [(costs, ", ".join(names)) for costs, names in grouped.items()]


def _names(found: Sequence[Reached]) -> str:
    whole = [each.right.shown for each in found if each.verb == ", ".join(each.right.verbs)]
    partly = [f"{each.right.shown} (no {each.verb})" for each in found if each.verb != ", ".join(each.right.verbs)]
    return ", ".join([*whole, *partly])


def _role_mend(only: bool, namespace: str, lacking: Sequence[Reached]) -> str:
    """Which role to ask for; one of a namespace grants nothing outside it."""
    scope = f" -n {namespace}" if only and any(each.right.namespaced for each in lacking) else ""
    return f"kubectl intellect doctor --role{scope} prints a role to ask your administrator for"


def _metrics(cluster: Cluster) -> Check:
    kinds = {(each.group, each.kind) for each in cluster.resources()}
    if ("metrics.k8s.io", "PodMetrics") in kinds:
        return ok("metrics", "metrics.k8s.io is served")
    return degraded("metrics", "metrics.k8s.io is not served", "questions about use of CPU and memory are declined",
                    "install metrics-server, if you want them")  # fmt: skip


def _clock(ahead: float) -> Check:
    """`ahead`: seconds by which the server's clock is before ours. Its Date header has whole seconds."""
    if abs(ahead) < SKEW_SEEN:
        return ok("clock", "agrees with the API server's to the second or so")
    says = f"this machine is {abs(ahead):.0f} s {'behind' if ahead > 0 else 'ahead of'} the API server"
    costs = "ages are told by the server's clock and stay right; tokens and certificates may be refused as not yet or no longer valid"
    make = failed if abs(ahead) >= SKEW_HARMFUL else degraded
    return make("clock", says, costs, "set this machine's clock (timedatectl set-ntp true)")


def _versions(server: str, kubectl: str) -> Check:
    """The server's version against what we read, and kubectl's against the server's (one minor apart at most)."""
    theirs, ours = _minor(server), _minor(kubectl)
    says = f"API server {server or 'does not say'}, kubectl {kubectl or 'not found'}"
    if theirs is None:
        return degraded("versions", says, "what the server serves is not known", "kubectl version shows what it says")
    if theirs < OLDEST:
        return degraded("versions", says, f"APIs we read are younger than this server: {OLDEST[0]}.{OLDEST[1]} serves all",
                        "upgrade the cluster")  # fmt: skip
    if ours and (ours[0] != theirs[0] or abs(ours[1] - theirs[1]) > 1):
        return degraded("versions", says, "kubectl supports servers one minor version apart; commands we print may differ",
                        f"install kubectl {theirs[0]}.{theirs[1]}")  # fmt: skip
    return ok(
        "versions", says + (f" (newer than {TESTED[0]}.{TESTED[1]}, the last we tested)" if theirs > TESTED else "")
    )


def _minor(version: str) -> tuple[int, int] | None:
    found = re.match(r"v?(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else None


def _kubectl_version() -> str:
    """The user's kubectl, asked for its own version; it talks to nobody for that."""
    kubectl = user_kubectl()
    if not kubectl:
        return ""
    try:
        ran = subprocess.run([kubectl, "version", "--client", "-o", "json"], capture_output=True, timeout=5, check=False,
                             stdin=subprocess.DEVNULL)  # fmt: skip
        return str(json.loads(ran.stdout)["clientVersion"]["gitVersion"])
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
        return ""


__all__ = ["NO_CLUSTER", "Found", "checks"]
