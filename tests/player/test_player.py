"""The player is an API server as far as its clients can tell: asked with the official client's own transport."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import urllib3

from kubectl_ai_intellect.kube.case.model import Access, Case, Reason, RecordedList, RecordedLog
from kubectl_ai_intellect.kube.refs import Ref, Resource
from tests.player import (
    Fault,
    Player,
    World,
    broken_log,
    expired_token,
    failing,
    forbidden,
    reset,
    slow,
    throttled,
    truncated,
    unauthorized,
)
from tests.player.recorded import world_of

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def thing(api_version: str, kind: str, name: str, namespace: str = "shop", **more: Any) -> dict[str, Any]:
    labels = more.pop("labels", {})
    meta = {"name": name, "labels": labels} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": api_version, "kind": kind, "metadata": meta, **more}


def pod(name: str, *, node: str = "n1", phase: str = "Running", containers: tuple[str, ...] = ("c",)) -> Any:
    spec = {"nodeName": node, "containers": [{"name": each} for each in containers]}
    statuses = [{"name": each, "state": {"waiting": {"reason": "PodInitializing"}}} for each in containers]
    status = {"phase": phase, "containerStatuses": statuses}
    return thing("v1", "Pod", name, labels={"app": name.partition("-")[0]}, spec=spec, status=status)


WORLD = World.of(
    [
        *(pod(f"web-{n}", node=f"n{n % 2}") for n in range(5)),
        pod("db-0", phase="Pending", containers=("db", "backup")),
        thing("v1", "Namespace", "shop", ""),
        thing("apps/v1", "Deployment", "web", spec={"replicas": 5}),
        thing("example.com/v1alpha1", "Widget", "w", spec={}),
        thing("metrics.k8s.io/v1beta1", "PodMetrics", "web-0", containers=[]),
    ],
    logs={("shop", "web-0", "c"): "one\ntwo\nthree\n"},
    previous={("shop", "web-0", "c"): "panic\n"},
    now=NOW,
)

Ask = Callable[..., tuple[int, Any]]


@pytest.fixture
def player(tmp_path: Path) -> Iterator[Player]:
    with Player(WORLD, tmp_path) as running:
        yield running


def pooled(player: Player) -> urllib3.PoolManager:
    trust = ssl.create_default_context(cafile=player.authority)
    return urllib3.PoolManager(ssl_context=trust, retries=False)


def asker(player: Player) -> Ask:
    """GET a path of the player; the status and the body, parsed where it is JSON."""
    pool = pooled(player)

    def ask(path: str, accept: str = "application/json", method: str = "GET", body: Any = None) -> tuple[int, Any]:
        answer = pool.request(method, player.url + path, headers={"Accept": accept}, json=body)
        if answer.headers["Content-Type"].startswith("application/json"):
            return answer.status, json.loads(answer.data)
        return answer.status, answer.data.decode()

    return ask


def names(body: Any) -> list[str]:
    return [each["metadata"]["name"] for each in body["items"]]


WEBS = [f"web-{n}" for n in range(5)]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["db-0", *WEBS]),
        ("?labelSelector=app%3Dweb", WEBS),
        ("?labelSelector=app!%3Dweb", ["db-0"]),
        ("?labelSelector=app%20in%20(web,db),app%20notin%20(web)", ["db-0"]),
        ("?labelSelector=app,!missing", ["db-0", *WEBS]),
        ("?labelSelector=!app", []),
        ("?fieldSelector=metadata.name%3Dweb-3", ["web-3"]),
        ("?fieldSelector=spec.nodeName%3Dn1,status.phase!%3DPending", ["web-1", "web-3"]),
    ],
)
def test_lists_and_their_selectors(player: Player, query: str, found: list[str]) -> None:
    ask = asker(player)
    assert names(ask(f"/api/v1/namespaces/shop/pods{query}")[1]) == found
    assert names(ask(f"/api/v1/pods{query}")[1]) == found
    assert names(ask(f"/api/v1/namespaces/other/pods{query}")[1]) == []


def test_a_bad_selector_is_the_clients_fault(player: Player) -> None:
    status, body = asker(player)("/api/v1/pods?labelSelector=a%20b%20c")
    assert (status, body["reason"]) == (400, "BadRequest")


def test_lists_come_in_pages(player: Player) -> None:
    ask, path, seen = asker(player), "/api/v1/pods?limit=4", []
    first = ask(path)[1]
    assert first["metadata"]["remainingItemCount"] == 2
    token = first["metadata"]["continue"]
    rest = ask(f"{path}&continue={token}")[1]
    assert "continue" not in rest["metadata"]
    seen = names(first) + names(rest)
    assert seen == ["db-0", *WEBS]


def test_one_object_and_none(player: Player) -> None:
    ask = asker(player)
    assert ask("/apis/apps/v1/namespaces/shop/deployments/web")[1]["kind"] == "Deployment"
    assert ask("/api/v1/namespaces/shop")[1]["kind"] == "Namespace"
    status, body = ask("/apis/apps/v1/namespaces/shop/deployments/api")
    assert (status, body["message"]) == (404, 'deployments.apps "api" not found')
    assert ask("/api/v1/namespaces/shop/gadgets")[0] == 404


def test_metadata_alone(player: Player) -> None:
    ask = asker(player)
    accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    body = ask("/api/v1/namespaces/shop/pods", accept)[1]
    assert body["kind"] == "PartialObjectMetadataList"
    assert all(set(each) == {"kind", "apiVersion", "metadata"} for each in body["items"])
    one = ask("/api/v1/namespaces/shop/pods/db-0", accept.replace("List", ""))[1]
    assert set(one) == {"kind", "apiVersion", "metadata"}


def test_discovery_old_and_aggregated(player: Player) -> None:
    ask = asker(player)
    assert "example.com" in {each["name"] for each in ask("/apis")[1]["groups"]}
    rows = ask("/apis/example.com/v1alpha1")[1]["resources"]
    assert [(each["name"], each["kind"], each["namespaced"]) for each in rows] == [("widgets", "Widget", True)]
    assert ask("/api")[1]["versions"] == ["v1"]
    assert {"pods", "pods/log"} <= {each["name"] for each in ask("/api/v1")[1]["resources"]}
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    body = ask("/apis", accept)[1]
    assert body["kind"] == "APIGroupDiscoveryList"
    assert "metrics.k8s.io" in {each["metadata"]["name"] for each in body["items"]}
    assert ask("/apis/nobody.io/v1")[0] == 404


def test_no_metrics_api(tmp_path: Path) -> None:
    with Player(WORLD.without("metrics.k8s.io"), tmp_path) as player:
        ask = asker(player)
        assert ask("/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods")[0] == 404
        assert "metrics.k8s.io" not in {each["name"] for each in ask("/apis")[1]["groups"]}


def test_logs(player: Player) -> None:
    ask, path = asker(player), "/api/v1/namespaces/shop/pods/web-0/log"
    assert ask(path) == (200, "one\ntwo\nthree\n")
    assert ask(f"{path}?tailLines=1&container=c") == (200, "three\n")
    assert ask(f"{path}?tailLines=0") == (200, "")
    assert ask(f"{path}?limitBytes=5") == (200, "one\nt")
    assert ask(f"{path}?previous=true") == (200, "panic\n")
    status, body = ask("/api/v1/namespaces/shop/pods/web-1/log?previous=true")
    assert (status, body["message"]) == (400, 'previous terminated container "c" in pod "web-1" not found')
    status, body = ask("/api/v1/namespaces/shop/pods/db-0/log")
    assert status == 400
    assert "choose one of: [db backup]" in body["message"]
    assert "waiting to start: PodInitializing" in ask("/api/v1/namespaces/shop/pods/web-1/log")[1]["message"]
    assert ask("/api/v1/namespaces/shop/pods/gone/log")[0] == 404


def test_recorded_times_of_lines_are_shown_on_demand(tmp_path: Path) -> None:
    text = "2026-03-01T11:58:00.123456789Z old\n2026-03-01T11:59:50.5Z new\n"
    world = World.of([pod("web-0")], logs={("shop", "web-0", "c"): text}, now=NOW, stamped=True)
    with Player(world, tmp_path) as player:
        ask, path = asker(player), "/api/v1/namespaces/shop/pods/web-0/log"
        assert ask(path) == (200, "old\nnew\n")
        assert ask(f"{path}?timestamps=true") == (200, text)
        assert ask(f"{path}?sinceSeconds=30") == (200, "new\n")


def review(resource: str, verb: str = "list", **more: str) -> dict[str, Any]:
    attributes = {"resource": resource, "verb": verb, "namespace": "shop", **more}
    return {"kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}}


def test_reads_only(tmp_path: Path) -> None:
    with Player(WORLD, tmp_path, [forbidden("secrets"), forbidden("pods/log")]) as player:
        ask, path = asker(player), "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        allowed = [
            ask(path, method="POST", body=review(*words))[1]["status"]["allowed"]
            for words in [("pods",), ("secrets",), ("pods", "delete")]
        ]
        assert allowed == [True, False, False]
        log = ask(path, method="POST", body=review("pods", "get", subresource="log"))
        assert log[1]["status"]["allowed"] is False
        assert not player.writes()
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert ask("/api/v1/namespaces/shop/pods/web-0", method=method, body={})[0] == 405
        assert [each.method for each in player.writes()] == ["POST", "PUT", "PATCH", "DELETE"]


PODS = "/api/v1/namespaces/shop/pods"


@pytest.mark.parametrize(
    ("fault", "path", "code", "words"),
    [
        (unauthorized(), PODS, 401, "Unauthorized"),
        (forbidden("pods"), PODS, 403, 'pods is forbidden: User "recorded" cannot list resource "pods"'),
        (forbidden("pods", verb="get"), f"{PODS}/web-0", 403, 'cannot get resource "pods" in API group ""'),
        (failing(503, "deployments"), "/apis/apps/v1/deployments", 503, "unable to handle"),
        (failing(503, group="metrics.k8s.io"), "/apis/metrics.k8s.io/v1beta1/pods", 503, "unable to handle"),
        (throttled("pods"), PODS, 429, "try again later"),
        (expired_token("pods"), f"{PODS}?limit=2&continue=eyJmaXJzdCI6MX0=", 410, "continue parameter is too old"),
        (broken_log(), f"{PODS}/web-0/log", 500, "no such host"),
    ],
)
def test_faults_that_are_answers(tmp_path: Path, fault: Fault, path: str, code: int, words: str) -> None:
    with Player(WORLD, tmp_path, [fault]) as player:
        status, body = asker(player)(path)
        assert (status, body["kind"], body["code"]) == (code, "Status", code)
        assert words in body["message"]


@pytest.mark.parametrize("fault", [forbidden("secrets"), forbidden("pods", verb="get"), broken_log(), expired_token()])
def test_faults_strike_only_what_they_name(tmp_path: Path, fault: Fault) -> None:
    with Player(WORLD, tmp_path, [fault]) as player:
        assert asker(player)(f"{PODS}?limit=2")[0] == 200


def test_a_counted_fault_is_used_up_and_says_when_to_come_again(tmp_path: Path) -> None:
    with Player(WORLD, tmp_path, [throttled(retry_after=3, times=2)]) as player:
        pool = pooled(player)
        answers = [pool.request("GET", player.url + PODS) for _ in range(3)]
        assert [each.status for each in answers] == [429, 429, 200]
        assert answers[0].headers["Retry-After"] == "3"


def test_a_reset_breaks_the_connection(tmp_path: Path) -> None:
    with Player(WORLD, tmp_path, [reset("pods", times=1)]) as player:
        ask = asker(player)
        with pytest.raises(urllib3.exceptions.HTTPError):
            ask(PODS)
        assert ask(PODS)[0] == 200


def test_a_truncated_body_is_no_json(tmp_path: Path) -> None:
    with Player(WORLD, tmp_path, [truncated(40, "pods")]) as player, pytest.raises(json.JSONDecodeError):
        asker(player)(PODS)


def test_a_slow_body_takes_its_time_and_holds_up_nobody_else(tmp_path: Path) -> None:
    with Player(WORLD, tmp_path, [slow(0.6, "pods")]) as player:
        ask = asker(player)
        begin = time.monotonic()
        assert ask("/apis/apps/v1/deployments")[0] == 200
        assert time.monotonic() - begin < 0.5
        begin = time.monotonic()
        assert names(ask(PODS)[1]) == ["db-0", *WEBS]
        assert time.monotonic() - begin >= 0.5


def test_the_clock_is_the_recordings(player: Player) -> None:
    pool = pooled(player)
    assert pool.request("GET", f"{player.url}/version").headers["Date"] == "Sun, 01 Mar 2026 12:00:00 GMT"


CASE = Case(
    recorded_at=NOW,
    server_version="v1.34.1",
    resources=(Resource("example.com", "v1alpha1", "Widget", "widgets", True),),
    lists=(
        RecordedList("", "Pod", "shop", items=(pod("web-0"),)),
        RecordedList("", "Secret", "shop", unread=Reason("forbidden", "secrets is forbidden"), complete=False),
        RecordedList("", "ConfigMap", "shop", fields="metadata.name=settings", items=(thing("v1", "ConfigMap", "settings"),)),
        RecordedList("", "Event", "shop", labels="a=b", items=()),
        RecordedList("example.com", "Widget", "", items=(thing("example.com/v1alpha1", "Widget", "w"),)),
    ),
    absent=(Ref("", "ConfigMap", "shop", "gone"),),
    logs=(
        RecordedLog("shop", "web-0", "c", text="hello\n"),
        RecordedLog("shop", "web-0", "c", previous=True, unread=Reason("failed", "no such host")),
    ),
    access=(Access("get", "", "Pod", "shop", allowed=True),),
)  # fmt: skip


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (PODS, 200),
        (f"{PODS}/web-0", 200),
        (f"{PODS}/gone", 404),
        (f"{PODS}/web-0/log", 200),
        (f"{PODS}/web-0/log?previous=true", 500),
        ("/api/v1/pods", 503),
        ("/api/v1/namespaces/other/pods", 503),
        ("/api/v1/namespaces/shop/secrets", 403),
        ("/api/v1/namespaces/shop/configmaps", 503),
        ("/api/v1/namespaces/shop/configmaps/settings", 200),
        ("/api/v1/namespaces/shop/configmaps/gone", 404),
        ("/api/v1/namespaces/shop/configmaps/other", 503),
        ("/api/v1/namespaces/shop/events", 503),
        ("/apis/example.com/v1alpha1/namespaces/shop/widgets/w", 200),
        ("/apis/metrics.k8s.io/v1beta1/nodes", 404),
    ],
)
def test_a_case_never_claims_more_than_was_recorded(tmp_path: Path, path: str, code: int) -> None:
    with Player(*_played(CASE, tmp_path)) as player:
        assert asker(player)(path)[0] == code


def _played(case: Case, directory: Path) -> tuple[World, Path, list[Fault]]:
    world, faults = world_of(case)
    return world, directory, faults
