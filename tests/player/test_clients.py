"""Real kubectl and our own client take the player for an API server."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from kubectl_ai_intellect.kube.config import Flags
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.session import connect
from kubectl_ai_intellect.kube.source import Fetched, Read, get_of, list_of, logs_of
from tests.cluster.build import ensure_binaries
from tests.cluster.cache import Lacking
from tests.cluster.fixtures import lacking
from tests.player import (
    Fault,
    Player,
    broken_log,
    expired_token,
    failing,
    forbidden,
    reset,
    throttled,
    truncated,
    unauthorized,
)
from tests.player.test_player import WEBS, WORLD

Kubectl = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def player(tmp_path: Path) -> Iterator[Player]:
    with Player(WORLD, tmp_path, namespace="shop") as running:
        yield running


@pytest.fixture(scope="session")
def kubectl_path() -> Path:
    try:
        return ensure_binaries(["kubernetes"])["kubectl"]
    except Lacking as reason:
        lacking(str(reason))
        raise


@pytest.fixture
def kubectl(kubectl_path: Path, player: Player, tmp_path: Path) -> Kubectl:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        flags = [f"--kubeconfig={player.kubeconfig}", f"--cache-dir={tmp_path}/cache"]
        return subprocess.run([kubectl_path, *flags, *words], capture_output=True, text=True, timeout=60)

    return run


@pytest.mark.controlplane
@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["get", "pods", "-o", "name"], [f"pod/{name}" for name in ("db-0", *WEBS)]),
        (["get", "po", "-A", "-l", "app=db", "-o", "name"], ["pod/db-0"]),
        (["get", "pods", "--chunk-size=2", "-o", "name"], [f"pod/{name}" for name in ("db-0", *WEBS)]),
        (["get", "deploy/web", "-o", "jsonpath={.spec.replicas}"], ["5"]),
        (["get", "widgets", "-o", "name"], ["widget.example.com/w"]),
        (["logs", "web-0", "--tail=2"], ["two", "three"]),
        (["logs", "web-0", "--previous"], ["panic"]),
        (["auth", "can-i", "list", "pods"], ["yes"]),
        (["auth", "can-i", "get", "pods/log", "-n", "other"], ["yes"]),
        (["auth", "can-i", "delete", "pods"], ["no"]),
        (["api-resources", "--api-group=example.com", "-o", "name"], ["widgets.example.com"]),
    ],
)
def test_kubectl_reads(kubectl: Kubectl, player: Player, words: list[str], shown: list[str]) -> None:
    done = kubectl(*words)
    assert done.stdout.split() == shown, done.stderr
    assert not player.writes()


@pytest.mark.controlplane
def test_kubectl_describes(kubectl: Kubectl) -> None:
    done = kubectl("describe", "pod", "web-0")
    assert re.search(r"^Node: +n0/", done.stdout, re.MULTILINE), done.stderr


@pytest.mark.controlplane
@pytest.mark.parametrize(
    ("fault", "words", "said"),
    [
        (forbidden("pods"), ["get", "pods"], 'pods is forbidden: User "recorded" cannot list resource "pods"'),
        (broken_log(), ["logs", "web-0"], "no such host"),
        (failing(503, "pods"), ["get", "pods"], "unable to handle the request"),
        (unauthorized(), ["get", "pods"], "must be logged in"),
        (None, ["get", "pod", "gone"], 'pods "gone" not found'),
        (None, ["delete", "pod", "web-0"], "a recording is read-only"),
    ],
)
def test_kubectl_tells_of_faults(
    kubectl: Kubectl, player: Player, fault: Fault | None, words: list[str], said: str
) -> None:
    player.faults += [fault] if fault else []
    done = kubectl(*words)
    assert done.returncode == 1
    assert said in done.stderr


def fetched(player: Player, *reads: Read) -> Sequence[Fetched]:
    with connect(Flags(kubeconfig=str(player.kubeconfig))) as cluster:
        return cluster.fetch(reads)


def test_our_client_reads(player: Player) -> None:
    gone = Ref("", "Pod", "shop", "gone")
    pods, one, none, log, before, allowed, partial = fetched(
        player,
        list_of("Pod", "shop", labels="app=web"),
        get_of(ref("Deployment", "shop", "web")),
        get_of(gone),
        logs_of(ref("Pod", "shop", "web-0", "c")),
        logs_of(ref("Pod", "shop", "web-0", "c"), previous=True),
        Read("can-i", ref("Pod", "shop", ""), (("verb", "list"),)),
        list_of("Pod", "shop", metadata="true"),
    )
    assert [each["metadata"]["name"] for each in pods.items] == WEBS
    assert pods.complete
    assert one.items[0]["spec"] == {"replicas": 5}
    assert (none.items, none.unread) == ((), None)
    assert (log.data, before.data) == (b"one\ntwo\nthree\n", b"panic\n")
    assert allowed.allowed is True
    assert len(partial.items) == 6
    assert all("spec" not in each for each in partial.items)
    assert not player.writes()


@pytest.mark.parametrize(
    ("fault", "read", "why"),
    [
        (forbidden("pods"), list_of("Pod", "shop"), "forbidden"),
        (broken_log(), logs_of(ref("Pod", "shop", "web-0", "c")), "failed"),
        (failing(503, group="metrics.k8s.io"), list_of("PodMetrics", "shop"), "failed"),
        (truncated(50, "pods"), list_of("Pod", "shop"), "failed"),
    ],
)
def test_our_client_says_why_it_could_not_read(player: Player, fault: Fault, read: Read, why: str) -> None:
    player.faults.append(fault)
    (answer,) = fetched(player, read)
    assert answer.unread is not None
    assert answer.unread.why == why
    assert not answer.complete


@pytest.mark.parametrize(
    "fault",
    [throttled("pods", retry_after=0.1), reset("pods", times=1), failing(503, "pods", times=1), expired_token()],
)
def test_our_client_gets_over_what_passes(player: Player, fault: Fault) -> None:
    player.faults.append(fault)
    (answer,) = fetched(player, list_of("Pod", "shop"))
    assert len(answer.items) == 6
    assert answer.complete
