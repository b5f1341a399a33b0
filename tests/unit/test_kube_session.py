"""Reading a live API: paging, faults, retries, secrets, limits; against a server on loopback."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kubectl_ai_intellect.errors import Unauthorized, Unreachable
from kubectl_ai_intellect.kube import transport
from kubectl_ai_intellect.kube.config import Flags
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.session import Cluster, connect
from kubectl_ai_intellect.kube.source import Fetched, Read, get_of, list_of, logs_of
from tests.cluster.tls import Authority
from tests.unit.loopback_api import Api, Reply, Seen, listing, named, serving, status

PODS = "/api/v1/namespaces/shop/pods"


@pytest.fixture(autouse=True)
def no_kubeconfig(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setattr(transport, "BACKOFF", 0.01)


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def cluster(api: Api) -> Iterator[Cluster]:
    with serving(api) as server, connect(Flags(server=server, token="secret-token")) as cluster:
        yield cluster


def one(cluster: Cluster, read: Read) -> Fetched:
    return cluster.fetch([read])[0]


def test_a_list_is_read_with_its_selectors(api: Api, cluster: Cluster) -> None:
    api.on(PODS, listing(named("web", managed=1)))
    answer = one(cluster, list_of("Pod", "shop", labels="app in (a,b)", fields="spec.nodeName=n1"))
    assert [item["metadata"]["name"] for item in answer.items] == ["web"]
    assert (answer.items[0]["apiVersion"], answer.items[0]["kind"]) == ("v1", "Pod")
    assert answer.complete
    assert answer.unread is None
    query = {"labelSelector": "app in (a,b)", "fieldSelector": "spec.nodeName=n1", "limit": "500"}
    assert api.seen[0].query == query
    assert ("authorization", "Bearer secret-token") in api.seen[0].headers
    assert cluster.usage.requests == 1
    assert cluster.usage.bytes == answer.size > 0


def test_many_reads_go_at_once_and_come_back_in_order(api: Api, cluster: Cluster) -> None:
    names = [f"ns{n}" for n in range(12)]
    for name in names:
        slow = listing(named("pod", name))
        slow.slow = 0.1
        api.on(f"/api/v1/namespaces/{name}/pods", slow)
    before = time.monotonic()
    answers = cluster.fetch([list_of("Pod", name) for name in names])
    assert time.monotonic() - before < 0.8
    assert [answer.items[0]["metadata"]["namespace"] for answer in answers] == names


def test_the_same_read_is_sent_once(api: Api, cluster: Cluster) -> None:
    api.on(PODS, listing())
    answers = cluster.fetch([list_of("Pod", "shop")] * 3)
    assert len(answers) == 3
    assert len(api.seen) == 1


def test_pages_are_followed(api: Api, cluster: Cluster) -> None:
    api.on(PODS, listing(named("a"), token="t1"), listing(named("b"), token="t2"), listing(named("c")))
    answer = one(cluster, list_of("Pod", "shop"))
    assert [item["metadata"]["name"] for item in answer.items] == ["a", "b", "c"]
    assert answer.complete
    assert [seen.query.get("continue") for seen in api.seen] == [None, "t1", "t2"]


def test_a_limit_is_kept_and_said(api: Api, cluster: Cluster) -> None:
    api.on(PODS, listing(named("a"), named("b"), token="more"))
    answer = one(cluster, list_of("Pod", "shop", limit="2"))
    assert len(answer.items) == 2
    assert not answer.complete
    assert len(api.seen) == 1
    assert api.seen[0].query["limit"] == "2"


def test_a_limit_that_suffices_is_complete(api: Api, cluster: Cluster) -> None:
    api.on(PODS, listing(named("a")))
    assert one(cluster, list_of("Pod", "shop", limit="2")).complete


def test_an_expired_page_begins_again_once(api: Api, cluster: Cluster) -> None:
    gone = status(410, "The provided continue parameter is too old", "Expired")
    api.on(PODS, listing(named("a"), token="t"), gone, listing(named("a"), named("b")))
    answer = one(cluster, list_of("Pod", "shop"))
    assert len(answer.items) == 2
    assert answer.complete
    assert answer.requests == 3


def test_pages_that_always_expire_give_an_incomplete_list(api: Api, cluster: Cluster) -> None:
    def expiring(seen: Seen) -> Reply:
        gone = status(410, "too old", "Expired")
        return gone if "continue" in seen.query else listing(named("a"), token="t")

    api.on(PODS, expiring)
    answer = one(cluster, list_of("Pod", "shop"))
    assert len(answer.items) == 1
    assert not answer.complete
    assert len(api.seen) == 4


def test_forbidden_is_one_reads_matter(api: Api, cluster: Cluster) -> None:
    words = 'pods is forbidden: User "jane" cannot list resource "pods"\x1b[31m'
    api.on(PODS, status(403, words, "Forbidden"))
    api.on("/api/v1/nodes", listing(named("n1", "")))
    pods, nodes = cluster.fetch([list_of("Pod", "shop"), list_of("Node")])
    assert pods.unread is not None
    assert pods.unread.why == "forbidden"
    assert pods.unread.message == 'pods is forbidden: User "jane" cannot list resource "pods" [31m'
    assert not pods.complete
    assert len(nodes.items) == 1


def test_absent_is_not_unread(api: Api, cluster: Cluster) -> None:
    api.on(f"{PODS}/web", status(404, 'pods "web" not found', "NotFound", name="web", kind="pods"))
    answer = one(cluster, get_of(ref("Pod", "shop", "web")))
    assert answer.items == ()
    assert answer.complete
    assert answer.unread is None


def test_a_kind_that_is_not_served_is_unread(api: Api, cluster: Cluster) -> None:
    for read in (list_of("Gateway", "shop"), get_of(ref("Gateway", "shop", "main"))):
        answer = one(cluster, read)
        assert answer.unread is not None
        assert answer.unread.why == "not-served"


def test_a_kind_forbidden_only_for_not_being_there(api: Api, cluster: Cluster) -> None:
    api.on("/apis/gateway.networking.k8s.io/v1/namespaces/shop/gateways", status(403, "forbidden", "Forbidden"))
    resources = [{"resource": "pods", "responseKind": {"kind": "Pod"}, "scope": "Namespaced"}]
    core = {"metadata": {"name": ""}, "versions": [{"version": "v1", "resources": resources}]}
    api.on("/api", Reply({"kind": "APIGroupDiscoveryList", "items": [core]}))
    answer = one(cluster, list_of("Gateway", "shop"))
    assert answer.unread is not None
    assert answer.unread.why == "not-served"


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_passing_trouble_is_retried(api: Api, cluster: Cluster, code: int) -> None:
    api.on(PODS, status(code, "busy"), status(code, "busy"), listing(named("web")))
    assert len(one(cluster, list_of("Pod", "shop")).items) == 1
    assert len(api.seen) == 3


def test_lasting_trouble_is_told_in_the_apis_words(api: Api, cluster: Cluster) -> None:
    api.on(PODS, status(500, "etcdserver: request timed out"))
    answer = one(cluster, list_of("Pod", "shop"))
    assert answer.unread is not None
    assert (answer.unread.why, answer.unread.message) == ("failed", "etcdserver: request timed out")
    assert len(api.seen) == transport.TRIES


def test_retry_after_is_kept(api: Api, cluster: Cluster) -> None:
    busy = status(429, "too many requests")
    busy.headers["Retry-After"] = "1"
    api.on(PODS, busy, listing())
    before = time.monotonic()
    assert one(cluster, list_of("Pod", "shop")).complete
    assert time.monotonic() - before >= 1.0


def test_nobody_waits_an_hour(api: Api, cluster: Cluster) -> None:
    busy = status(429, "too many requests")
    busy.headers["Retry-After"] = "3600"
    api.on(PODS, busy)
    answer = one(cluster, list_of("Pod", "shop"))
    assert answer.unread is not None
    assert answer.unread.message == "too many requests"
    assert len(api.seen) == 1


def test_a_reset_is_retried(api: Api, cluster: Cluster) -> None:
    api.on(PODS, Reply(reset=True), listing(named("web")))
    assert len(one(cluster, list_of("Pod", "shop")).items) == 1


def test_one_path_that_always_resets_spoils_no_other(api: Api, cluster: Cluster) -> None:
    api.on(PODS, Reply(reset=True))
    api.on("/api/v1/nodes", listing(named("n1", "")))
    pods, nodes = cluster.fetch([list_of("Pod", "shop"), list_of("Node")])
    assert pods.unread is not None
    assert "broke off" in pods.unread.message
    assert len(nodes.items) == 1


def test_json_cut_short_is_asked_for_again(api: Api, cluster: Cluster) -> None:
    api.on(PODS, Reply(b'{"kind": "PodList", "metadata": {}, "items": [{"met'), listing(named("web")))
    assert len(one(cluster, list_of("Pod", "shop")).items) == 1


def test_json_always_cut_short_is_unread(api: Api, cluster: Cluster) -> None:
    api.on(PODS, Reply(b'{"kind": "PodLi'))
    api.on("/api/v1/nodes", Reply(b'{"kind": "NodeList"', headers={"Content-Length": "9999"}))
    for answer in cluster.fetch([list_of("Pod", "shop"), list_of("Node")]):
        assert answer.unread is not None
        assert answer.unread.why == "failed"


def test_unknown_identity_ends_everything(api: Api, cluster: Cluster) -> None:
    api.on(PODS, status(401, "Unauthorized"))
    with pytest.raises(Unauthorized, match="log in again") as raised:
        cluster.fetch([list_of("Pod", "shop"), list_of("Node")])
    assert "\n" not in str(raised.value)
    assert "secret-token" not in str(raised.value)


def test_impersonation_headers_are_sent(api: Api) -> None:
    api.on(PODS, listing())
    with (
        serving(api) as server,
        connect(Flags(server=server, as_user="jane", as_groups=("a", "b"), as_uid="7")) as cluster,
    ):
        cluster.fetch([list_of("Pod", "shop")])
    sent = [pair for pair in api.seen[0].headers if pair[0].startswith("Impersonate")]
    assert sent == [
        ("Impersonate-User", "jane"),
        ("Impersonate-Group", "a"),
        ("Impersonate-Group", "b"),
        ("Impersonate-Uid", "7"),
    ]


SECRET = {
    "type": "kubernetes.io/tls",
    "data": {"tls.crt": "Q0VSVA==", "tls.key": "Q0FOQVJZ"},
    "stringData": {"x": "CANARY"},
    "metadata": {
        "name": "db",
        "namespace": "shop",
        "annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": '{"data":{"tls.key":"Q0FOQVJZ"}}',
            "openshift.io/token-secret.value": "CANARY",
            "meta.helm.sh/release-name": "shop",
        },
        "managedFields": [{"fieldsV1": {"f:data": {"f:tls.key": {}}}}],
    },
}


def test_secrets_are_asked_for_without_values_and_lose_them_anyway(api: Api, cluster: Cluster) -> None:
    path = "/api/v1/namespaces/shop/secrets"
    api.on(path, listing(json.loads(json.dumps(SECRET))))
    api.on(f"{path}/db", Reply(SECRET))
    answers = cluster.fetch([list_of("Secret", "shop"), get_of(ref("Secret", "shop", "db"))])
    for answer in answers:
        assert "CANARY" not in str(answer)
        assert "Q0FOQVJZ" not in str(answer)
        assert "data" not in answer.items[0]
        assert answer.items[0]["metadata"]["annotations"] == {"meta.helm.sh/release-name": "shop"}
        assert answer.items[0]["metadata"]["managedFields"]
    for seen in api.seen:
        accept = dict(seen.headers)["Accept"]
        assert "PartialObjectMetadata" in accept
        assert not accept.endswith(",application/json")


def test_a_certificate_that_decides_comes_alone(api: Api, cluster: Cluster) -> None:
    api.on("/api/v1/namespaces/shop/secrets/db", Reply(SECRET))
    answer = one(cluster, Read("get", ref("Secret", "shop", "db"), (("tls", "true"),)))
    assert answer.items[0]["data"] == {"tls.crt": "Q0VSVA==", "tls.key": None}
    assert answer.items[0]["type"] == "kubernetes.io/tls"
    assert "Q0FOQVJZ" not in str(answer)
    assert "CANARY" not in str(answer)


def test_bookkeeping_is_kept_only_where_it_says_something(api: Api, cluster: Cluster) -> None:
    for path in (PODS, "/api/v1/namespaces/shop/configmaps"):
        item = named("x")
        item["metadata"]["managedFields"] = [{"manager": "kubectl"}]
        api.on(path, listing(item))
    pods, maps = cluster.fetch([list_of("Pod", "shop"), list_of("ConfigMap", "shop")])
    assert "managedFields" not in pods.items[0]["metadata"]
    assert "managedFields" in maps.items[0]["metadata"]


def test_metadata_only_is_asked_for(api: Api, cluster: Cluster) -> None:
    api.on(PODS, listing(named("a")))
    one(cluster, list_of("Pod", "shop", metadata="true"))
    assert dict(api.seen[0].headers)["Accept"].startswith("application/json;as=PartialObjectMetadataList")


def test_logs_end_where_the_container_did(api: Api, cluster: Cluster) -> None:
    api.on(f"{PODS}/web/log", Reply(b"one\ntwo\n"))
    answer = one(cluster, logs_of(ref("Pod", "shop", "web", "app"), previous=True))
    assert answer.data == b"one\ntwo\n"
    assert answer.complete
    assert api.seen[0].query == {
        "container": "app",
        "previous": "true",
        "tailLines": "2000",
        "limitBytes": str(4 << 20),
    }


def test_logs_with_endless_lines_keep_their_end(api: Api, cluster: Cluster) -> None:
    def log(seen: Seen) -> Reply:
        lines = [b"x" * 3000 + b"\n"] * 1990 + [b"the end\n"] * 10
        return Reply(b"".join(lines[-int(seen.query["tailLines"]) :]))  # ours to cut, whatever the server sends

    api.on(f"{PODS}/web/log", log)
    answer = one(cluster, logs_of(ref("Pod", "shop", "web", "app")))
    assert answer.data.endswith(b"the end\n")
    assert len(answer.data) <= 4 << 20


def test_logs_that_cannot_be_had_say_why(api: Api, cluster: Cluster) -> None:
    api.on(f"{PODS}/web/log", status(400, 'previous terminated container "app" in pod "web" not found'))
    api.on(f"{PODS}/api/log", status(500, "Get https://node:10250: dial tcp: no such host"))
    api.on(f"{PODS}/db/log", status(403, "pods/log is forbidden"))
    reads = [logs_of(ref("Pod", "shop", name, "app")) for name in ("web", "api", "db", "gone")]
    web, backend, db, gone = cluster.fetch(reads)
    assert web.unread is not None
    assert "previous terminated" in web.unread.message
    assert backend.unread is not None
    assert (backend.unread.why, backend.requests) == ("failed", 1)
    assert db.unread is not None
    assert db.unread.why == "forbidden"
    assert gone.unread is not None
    assert gone.unread.why == "failed"


def test_can_i(api: Api, cluster: Cluster) -> None:
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    api.on(path, Reply({"status": {"allowed": False}}, 201))
    read = Read("can-i", ref("Deployment", "shop", ""), (("subresource", "scale"), ("verb", "patch")))
    assert one(cluster, read).allowed is False
    assert api.seen[0].body["spec"]["resourceAttributes"] == {
        "verb": "patch",
        "group": "apps",
        "resource": "deployments",
        "subresource": "scale",
        "namespace": "shop",
    }


def aggregated(group: str, version: str, plural: str, kind: str) -> dict[str, object]:
    row = {"resource": plural, "responseKind": {"kind": kind}, "scope": "Namespaced", "verbs": ["get", "list"]}
    return {"metadata": {"name": group}, "versions": [{"version": version, "resources": [row]}]}


def test_unknown_kinds_are_found_once(api: Api, cluster: Cluster) -> None:
    api.on("/api", Reply({"kind": "APIGroupDiscoveryList", "items": []}))
    certificates = aggregated("cert-manager.io", "v1", "certificates", "Certificate")
    api.on("/apis", Reply({"kind": "APIGroupDiscoveryList", "items": [certificates]}))
    api.on("/apis/cert-manager.io/v1/namespaces/shop/certificates", listing(named("tls")))
    read = list_of("Certificate", "shop", group="cert-manager.io")
    for _ in range(2):
        answer = one(cluster, read)
        assert answer.items[0]["apiVersion"] == "cert-manager.io/v1"
    unknown = one(cluster, Read("list", Ref("nobody.example", "Thing", "shop", "")))
    assert unknown.unread is not None
    assert unknown.unread.why == "not-served"
    assert api.paths().count("/apis") == 1


def test_discovery_of_an_older_server(api: Api, cluster: Cluster) -> None:
    api.on("/api", Reply({"kind": "APIVersions", "versions": ["v1"]}))
    group = {"name": "example.com", "preferredVersion": {"version": "v1beta1"}}
    api.on("/apis", Reply({"kind": "APIGroupList", "groups": [group]}))
    rows = [{"name": "things", "kind": "Thing", "namespaced": True, "verbs": ["list"]}, {"name": "things/status"}]
    api.on("/apis/example.com/v1beta1", Reply({"kind": "APIResourceList", "resources": rows}))
    assert [(r.api_version, r.plural) for r in cluster.resources()] == [("example.com/v1beta1", "things")]


def test_names_cannot_leave_their_path(api: Api, cluster: Cluster) -> None:
    one(cluster, get_of(ref("Pod", "shop", "../../secrets?x=/y")))
    assert api.seen[0].path == f"{PODS}/..%2F..%2Fsecrets%3Fx%3D%2Fy"
    assert one(cluster, get_of(ref("Pod", "shop", ".."))).items == ()
    assert len(api.seen) == 1


def test_the_servers_clock_counts(api: Api, cluster: Cluster) -> None:
    api.date = "Wed, 01 Jan 2025 12:00:00 GMT"
    api.on(PODS, listing())
    one(cluster, list_of("Pod", "shop"))
    assert abs(cluster.now() - datetime(2025, 1, 1, 12, tzinfo=UTC)) < timedelta(seconds=5)


def test_the_version_is_asked_for_when_wanted(api: Api, cluster: Cluster) -> None:
    api.on("/version", Reply({"gitVersion": "v1.36.3"}))
    assert not api.seen
    assert cluster.server_version == cluster.server_version == "v1.36.3"
    assert len(api.seen) == 1


def test_time_runs_out(api: Api, cluster: Cluster) -> None:
    api.on("/version", Reply({"gitVersion": "v1"}))
    slow = listing()
    slow.slow = 3.0
    api.on(PODS, slow)
    assert cluster.server_version
    cluster.expires(0.3)
    before = time.monotonic()
    answer = one(cluster, list_of("Pod", "shop"))
    assert time.monotonic() - before < 1.0
    assert answer.unread is not None
    assert answer.unread.why == "failed"
    cluster.expires(0)
    late = one(cluster, list_of("Node"))
    assert late.unread is not None
    assert "--timeout" in late.unread.message


def raised(flags: Flags) -> str:
    with connect(flags) as cluster, pytest.raises(Unreachable) as caught:
        cluster.fetch([list_of("Pod", "shop"), list_of("Node")])
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server = f"http://127.0.0.1:{free.getsockname()[1]}"
    assert raised(Flags(server=server)).startswith(f"nothing listens at {server} (connection refused)")


def test_a_name_that_does_not_resolve() -> None:
    assert "does not resolve" in raised(Flags(server="https://api.nowhere.invalid:6443"))


def test_a_server_that_is_silent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert "did not answer within 1 s" in raised(Flags(server=server, request_timeout="1"))


def test_a_server_that_trickles() -> None:
    def trickle(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            for _ in range(40):
                try:
                    connection.sendall(b" ")
                except OSError:
                    return
                time.sleep(0.1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=trickle, args=(listener,), daemon=True)
        thread.start()
        flags = Flags(server=f"http://127.0.0.1:{listener.getsockname()[1]}", request_timeout="1s")
        before = time.monotonic()
        with connect(flags) as cluster, pytest.raises(Unreachable, match="did not answer within 1 s"):
            cluster.fetch([list_of("Pod", "shop")])
        assert time.monotonic() - before < 3
        thread.join()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki", "ca")


def server_tls(authority: Authority, *addresses: str) -> ssl.SSLContext:
    pair = authority.issue("server", "kube-apiserver", addresses=addresses)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    return context


def test_tls_with_its_ca(api: Api, authority: Authority) -> None:
    api.on(PODS, listing(named("web")))
    ca = str(authority.pair.cert)
    with (
        serving(api, server_tls(authority, "127.0.0.1")) as server,
        connect(Flags(server=server, certificate_authority=ca)) as cluster,
    ):
        assert len(one(cluster, list_of("Pod", "shop")).items) == 1


def test_tls_unverified_only_when_asked(api: Api, authority: Authority) -> None:
    api.on(PODS, listing(named("web")))
    with serving(api, server_tls(authority, "127.0.0.1")) as server:
        assert "not signed by our CA (x509)" in raised(Flags(server=server))
        with connect(Flags(server=server, insecure_skip_tls_verify=True)) as cluster:
            assert len(one(cluster, list_of("Pod", "shop")).items) == 1


def test_tls_for_another_name(api: Api, authority: Authority) -> None:
    api.on(PODS, listing(named("web")))
    ca = str(authority.pair.cert)
    with serving(api, server_tls(authority, "kubernetes.default")) as server:
        assert "for another name" in raised(Flags(server=server, certificate_authority=ca))
        flags = Flags(server=server, certificate_authority=ca, tls_server_name="kubernetes.default")
        with connect(flags) as cluster:
            assert len(one(cluster, list_of("Pod", "shop")).items) == 1


def test_plain_http_where_tls_is_expected(api: Api) -> None:
    with serving(api) as server:
        assert "does not speak TLS" in raised(Flags(server=server.replace("http:", "https:")))
