"""Cases: what is recorded answers as the cluster did; secrets stay out; what leaves the house names nobody."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kubectl_ai_intellect.errors import CaseError
from kubectl_ai_intellect.evidence.redact import redact
from kubectl_ai_intellect.kube.case import (
    Access,
    Case,
    CaseSource,
    RecordedList,
    RecordedLog,
    Recorder,
    load,
    record_settled,
    save,
    share,
)
from kubectl_ai_intellect.kube.case.model import Reason, dumped
from kubectl_ai_intellect.kube.case.selection import fielded, labelled
from kubectl_ai_intellect.kube.refs import KNOWN, Ref, Resource, ref
from kubectl_ai_intellect.kube.source import Fetched, Read, Unread, get_of, list_of, logs_of


def why(answer: Fetched) -> str:
    return "" if answer.unread is None else answer.unread.why


NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
CANARY = "hunter2-CANARY"


def pod(name: str, namespace: str = "shop", node: str = "n1", **labels: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"nodeName": node, "containers": [{"name": "app", "image": "cart:1"}]},
        "status": {"phase": "Running", "containerStatuses": [{"name": "app", "restartCount": 1}]},
    }


class Scripted:
    """A cluster of a few objects, for a recorder to read."""

    context = "ctx"
    namespace = "shop"
    server_version = "v1.36.3"

    def __init__(self, objects: dict[tuple[str, str], list[dict[str, Any]]], custom: Sequence[Resource] = ()) -> None:
        self.objects = objects
        self.custom = list(custom)
        self.logs: dict[tuple[str, bool], bytes] = {}
        self.refused: dict[str, str] = {}

    def now(self) -> datetime:
        return NOW

    def resources(self) -> list[Resource]:
        return [*KNOWN.values(), *self.custom]

    def fetch(self, reads: Sequence[Read]) -> list[Fetched]:
        return [self._answer(read) for read in reads]

    def _answer(self, read: Read) -> Fetched:
        of = read.of
        if of.kind in self.refused:
            unread = Unread(of, "forbidden", self.refused[of.kind])
            return Fetched(read, complete=False, unread=unread)
        if read.what == "can-i":
            return Fetched(read, allowed=True)
        if read.what == "logs":
            text = self.logs.get((of.name, read.option("previous") == "true"))
            if text is None:
                return Fetched(read, complete=False, unread=Unread(of, "failed", "not found"))
            return Fetched(read, data=text)
        found = [
            item
            for item in self.objects.get((of.group, of.kind), [])
            if of.namespace in ("", item["metadata"].get("namespace", "")) and of.name in ("", item["metadata"]["name"])
        ]
        return Fetched(read, tuple(found))


def names(answer: Fetched) -> list[str]:
    return [item["metadata"]["name"] for item in answer.items]


def replay(*lists: RecordedList, **more: Any) -> CaseSource:
    return CaseSource(Case(NOW, lists=lists, **more))


PODS = RecordedList("", "Pod", "shop", items=(pod("a", app="x"), pod("b", node="n2", app="y")))


def ask(source: CaseSource, read: Read) -> Fetched:
    return source.fetch([read])[0]


# -- answering


def test_a_list_answers_itself_and_everything_narrower() -> None:
    source = replay(PODS)
    assert names(ask(source, list_of("Pod", "shop"))) == ["a", "b"]
    assert names(ask(source, list_of("Pod", "shop", labels="app=x"))) == ["a"]
    assert names(ask(source, list_of("Pod", "shop", fields="spec.nodeName=n2"))) == ["b"]
    assert ask(source, list_of("Pod", "shop", labels="app=none")).complete
    limited = ask(source, list_of("Pod", "shop", limit="1"))
    assert (names(limited), limited.complete) == (["a"], False)


def test_a_cluster_wide_list_answers_for_a_namespace() -> None:
    source = replay(RecordedList("", "Pod", items=(pod("a"), pod("c", "other"))))
    assert names(ask(source, list_of("Pod", "other"))) == ["c"]
    assert ask(source, list_of("Pod", "empty")).complete


def test_what_was_recorded_of_one_namespace_is_not_the_cluster() -> None:
    answer = ask(replay(PODS), list_of("Pod"))
    assert (names(answer), answer.complete) == (["a", "b"], False)


def test_a_narrow_list_is_not_the_wide_one() -> None:
    source = replay(RecordedList("", "Pod", "shop", labels="app=x", items=(pod("a", app="x"),)))
    assert ask(source, list_of("Pod", "shop", labels="app=x")).complete
    assert ask(source, list_of("Pod", "shop", labels="app==x", fields="spec.nodeName=n1")).complete
    assert not ask(source, list_of("Pod", "shop")).complete
    other = ask(source, list_of("Pod", "shop", labels="app=z"))
    assert not other.complete


def test_what_nobody_looked_for_is_unread() -> None:
    for read in (list_of("Node"), get_of(ref("Node", "", "n1")), logs_of(ref("Pod", "shop", "a", "app"))):
        answer = ask(replay(PODS), read)
        assert answer.unread is not None
        assert answer.unread.why == "unread"
    other = ask(replay(PODS), get_of(ref("Pod", "elsewhere", "a")))
    assert other.unread is not None


def test_absent_only_out_of_a_complete_list() -> None:
    absent = ask(replay(PODS), get_of(ref("Pod", "shop", "zzz")))
    assert absent.items == ()
    assert absent.complete
    assert absent.unread is None
    cut = replay(RecordedList("", "Pod", "shop", complete=False, items=(pod("a"),)))
    assert names(ask(cut, get_of(ref("Pod", "shop", "a")))) == ["a"]
    unknown = ask(cut, get_of(ref("Pod", "shop", "zzz")))
    assert unknown.unread is not None
    narrow = replay(RecordedList("", "Pod", "shop", labels="app=x"))
    assert ask(narrow, get_of(ref("Pod", "shop", "a"))).unread is not None
    said = replay(absent=(ref("ConfigMap", "shop", "cfg"),))
    assert ask(said, get_of(ref("ConfigMap", "shop", "cfg"))).complete


def test_refusals_are_answered_as_refusals() -> None:
    forbidden = RecordedList("", "Event", "shop", complete=False, unread=Reason("forbidden", "events is forbidden"))
    for read in (list_of("Event", "shop"), list_of("Event", "shop", fields="involvedObject.name=a")):
        answer = ask(replay(forbidden), read)
        assert answer.unread is not None
        assert (answer.unread.why, answer.unread.message) == ("forbidden", "events is forbidden")


def test_names_alone_do_not_answer_for_whole_objects() -> None:
    partial = RecordedList("", "Pod", "shop", partial=True, items=({"metadata": {"name": "a", "namespace": "shop"}},))
    source = replay(partial)
    assert names(ask(source, list_of("Pod", "shop", metadata="true"))) == ["a"]
    assert ask(source, get_of(ref("Pod", "shop", "a"))).unread is not None
    both = replay(partial, RecordedList("", "Pod", "shop", fields="metadata.name=a", items=(pod("a"),)))
    assert ask(both, get_of(ref("Pod", "shop", "a"))).items[0]["spec"]["nodeName"] == "n1"


def test_logs_and_access() -> None:
    source = replay(
        logs=(
            RecordedLog("shop", "a", "app", text="1\n2\n3\n"),
            RecordedLog("shop", "a", "app", previous=True, unread=Reason("failed", "no previous")),
        ),
        access=(Access("delete", "", "Pod", "shop", allowed=True),),
    )
    assert ask(source, logs_of(ref("Pod", "shop", "a", "app"))).data == b"1\n2\n3\n"
    assert ask(source, logs_of(ref("Pod", "shop", "a"))).data == b"1\n2\n3\n"
    assert ask(source, Read("logs", ref("Pod", "shop", "a", "app"), (("tail", "1"),))).data == b"3\n"
    previous = ask(source, logs_of(ref("Pod", "shop", "a", "app"), previous=True))
    assert previous.unread is not None
    assert previous.unread.message == "no previous"
    assert ask(source, Read("can-i", ref("Pod", "shop", ""), (("verb", "delete"),))).allowed is True
    assert ask(source, Read("can-i", ref("Pod", "shop", ""), (("verb", "create"),))).allowed is None


@pytest.mark.parametrize(
    ("selector", "matching"),
    [
        ("app=x", "a"),
        ("app==x", "a"),
        ("app = x", "a"),
        ("app!=x", "bc"),
        ("app", "ab"),
        ("!app", "c"),
        ("app in (x, y)", "ab"),
        ("app notin (x)", "bc"),
        ("app in (x,y),app!=y", "a"),
        ("", "abc"),
    ],
)
def test_label_selectors(selector: str, matching: str) -> None:
    pods = [pod("a", app="x"), pod("b", app="y"), pod("c")]
    assert "".join(p["metadata"]["name"] for p in pods if labelled(selector)(p)) == matching


def test_field_selectors() -> None:
    assert fielded("metadata.name=a,status.phase=Running,spec.nodeName!=n2")(pod("a"))
    assert not fielded("status.phase!=Running")(pod("a"))
    assert fielded("spec.missing=")(pod("a"))


# -- recording


def everything() -> Scripted:
    web = pod("web", app="web")
    web["spec"]["containers"][0]["env"] = [
        {"name": "DB_PASSWORD", "value": CANARY},
        {"name": "DB_HOST", "value": "db"},
        {"name": "URL", "value": f"postgres://u:{CANARY}@db/x"},
    ]
    web["spec"]["containers"][0]["args"] = [f"--password={CANARY}"]
    web["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/last-applied-configuration": CANARY,
        "api-token": CANARY,
        "team": "shop",
    }
    secret = {
        "metadata": {
            "name": "db",
            "namespace": "shop",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": CANARY, "note": CANARY},
            "managedFields": [
                {"manager": "kubectl", "fieldsV1": {"f:data": {"f:password": {}}, "f:type": {}}, "time": "t"}
            ],
        },
        "type": "Opaque",
        "data": {"password": CANARY},
    }
    config = {
        "metadata": {"name": "cfg", "namespace": "shop"},
        "data": {"api_token": CANARY, "mode": "fast", "app.properties": f"a=1\ndb.password={CANARY}\n"},
        "binaryData": {"blob": CANARY},
    }
    node = {"metadata": {"name": "n1"}}
    source = Scripted(
        {
            ("", "Pod"): [web],
            ("", "Secret"): [secret],
            ("", "ConfigMap"): [config],
            ("", "Node"): [node],
            ("cert-manager.io", "Certificate"): [{"metadata": {"name": "tls", "namespace": "shop"}}],
        },
        [Resource("cert-manager.io", "v1", "Certificate", "certificates", True)],
    )
    source.logs["web", False] = f"starting\npassword={CANARY}\n".encode()
    source.logs["web", True] = b"boom\n"
    source.refused["Event"] = "events is forbidden"
    return source


def test_whole_namespaces_are_recorded_without_secrets(tmp_path: Path) -> None:
    source = everything()
    case = record_settled(source, ["shop"], redact, f"why? password={CANARY}")
    path = tmp_path / "shop.json.gz"
    save(case, path)
    text = gzip.decompress(path.read_bytes()).decode()
    assert "CANARY" not in text
    assert path.stat().st_mode & 0o777 == 0o600
    replayed = CaseSource(path)
    web = ask(replayed, get_of(ref("Pod", "shop", "web"))).items[0]
    assert web["spec"]["containers"][0]["env"][1] == {"name": "DB_HOST", "value": "db"}
    assert web["metadata"]["annotations"]["team"] == "shop"
    assert web["apiVersion"] == "v1"
    secret = ask(replayed, get_of(ref("Secret", "shop", "db"))).items[0]
    assert secret["metadata"]["managedFields"][0]["fieldsV1"] == {"f:data": {"f:password": {}}}
    config = ask(replayed, get_of(ref("ConfigMap", "shop", "cfg"))).items[0]
    assert config["data"]["mode"] == "fast"
    assert config["data"]["app.properties"].startswith("a=1\n")
    assert config["binaryData"] == {"blob": ""}
    assert ask(replayed, get_of(ref("Secret", "shop", "nope"))).complete
    assert names(ask(replayed, list_of("Certificate", "shop", group="cert-manager.io"))) == ["tls"]
    assert ask(replayed, logs_of(ref("Pod", "shop", "web", "app"))).data.startswith(b"starting\n")
    assert ask(replayed, logs_of(ref("Pod", "shop", "web", "app"), previous=True)).data == b"boom\n"
    events = ask(replayed, list_of("Event", "shop"))
    assert events.unread is not None
    assert events.unread.why == "forbidden"
    assert names(ask(replayed, list_of("Node"))) == ["n1"]
    assert replayed.now() == NOW
    # what the cluster served is as it was: recording changes nothing under the reader's hands
    assert source.objects["", "ConfigMap"][0]["data"]["api_token"] == CANARY


def test_the_recorder_keeps_exactly_what_was_read(tmp_path: Path) -> None:
    recorder = Recorder(everything(), redact)
    asked = [
        list_of("Pod", "shop", labels="app=web"),
        get_of(ref("Node", "", "n1")),
        get_of(ref("ConfigMap", "shop", "gone")),
        get_of(ref("Event", "shop", "e")),
        Read("can-i", ref("Pod", "shop", ""), (("verb", "delete"),)),
    ]
    live = recorder.fetch(asked)
    recorder.write(tmp_path / "q.json", question="why")
    answers = CaseSource(tmp_path / "q.json").fetch(asked)
    for before, after in zip(live, answers, strict=True):
        assert names(before) == names(after)
        assert before.complete == after.complete
        assert before.allowed == after.allowed
        assert why(before) == why(after)


def test_the_same_case_makes_the_same_bytes_in_every_format(tmp_path: Path) -> None:
    case = record_settled(everything(), ["shop"], redact)
    for name in ("a.json.gz", "a.json", "a.yaml"):
        save(case, tmp_path / name)
        assert dumped(load(tmp_path / name)) == dumped(case)
    assert dumped(case) == dumped(record_settled(everything(), ["shop"], redact))


# -- files that are not cases


def broken(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(CaseError) as raised:
        load(path)
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)
    return str(raised.value)


def test_files_that_are_no_cases_say_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "x"
    good = dumped(record_settled(everything(), ["shop"], redact))
    assert "cut short" in broken(path, good[: len(good) // 2])
    assert "damaged" in broken(path, good[:10] + b"\xff" * 100)
    assert "empty" in broken(path, b"")
    assert "neither JSON nor YAML" in broken(path, b"hello")
    assert "neither JSON nor YAML" in broken(path, b'{"apiVersion": "intell')
    assert "neither JSON nor YAML" in broken(path, b"\x89PNG")
    assert "not a case" in broken(path, b'{"kind": "Pod"}')
    assert "apiVersion intellect/v9" in broken(path, b'{"kind": "Case", "apiVersion": "intellect/v9"}')
    head = '{"kind": "Case", "apiVersion": "intellect/v1", '
    assert "recordedAt" in broken(path, (head + '"lists": []}').encode())
    for lists in (
        '{"a": 1}',
        "[1]",
        '[{"items": []}]',
        '[{"kind": "Pod", "items": [{}]}]',
        '[{"kind":"Pod","unread":{}}]',
    ):
        assert "well-formed" in broken(
            path, (head + f'"recordedAt": "2025-01-01T00:00:00Z", "lists": {lists}}}').encode()
        )
    with pytest.raises(CaseError, match="there is no case"):
        load(tmp_path / "missing")
    with pytest.raises(CaseError, match="cannot write"):
        save(load_minimal(), tmp_path / "none" / "x.json")


def load_minimal() -> Case:
    return Case(NOW)


def test_a_case_written_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "hand.yaml"
    path.write_text(
        """
apiVersion: intellect/v1
kind: Case
recordedAt: 2025-03-01T12:00:00Z
lists:
  - kind: Pod
    namespace: shop
    items:
      - metadata: {name: web, namespace: shop}
"""
    )
    source = CaseSource(path)
    assert source.now() == NOW
    assert names(ask(source, list_of("Pod", "shop"))) == ["web"]


def test_secret_values_in_a_file_are_dropped_on_reading() -> None:
    tls = {"metadata": {"name": "db", "namespace": "shop"}, "data": {"tls.crt": "x", "tls.key": CANARY}}
    answer = ask(replay(RecordedList("", "Secret", "shop", items=(tls,))), get_of(ref("Secret", "shop", "db")))
    assert "CANARY" not in str(answer)


# -- sharing

THEIRS = ("acme", "zebra", "payroll", "falcon", "bigcorp", "mallory", "gazelle", "10.20.30.40", "jane.doe")


def theirs() -> Case:
    owner = {"kind": "ReplicaSet", "apiVersion": "apps/v1", "name": "payroll-redis-7d9f8b6c5", "uid": "u1"}
    web = {
        "metadata": {
            "name": "payroll-redis-7d9f8b6c5-x2k4p",
            "namespace": "acme-prod",
            "labels": {"app": "payroll-redis", "acme.io/team": "falcon", "app.kubernetes.io/managed-by": "Helm"},
            "annotations": {"acme.io/contact": "Jane of Mallory", "meta.helm.sh/release-name": "payroll"},
            "ownerReferences": [owner],
        },
        "spec": {
            "nodeName": "gazelle-node-1",
            "containers": [
                {
                    "name": "payroll",
                    "image": "registry.bigcorp.io/falcon/payroll:1.2.3",
                    "env": [{"name": "PAYROLL_DB_HOST", "value": "zebra-db.acme-prod.svc.cluster.local"}],
                }
            ],
        },
        "status": {
            "phase": "Running",
            "podIP": "10.20.30.40",
            "containerStatuses": [
                {
                    "name": "payroll",
                    "state": {
                        "waiting": {
                            "reason": "ErrImagePull",
                            "message": 'failed to pull "registry.bigcorp.io/falcon/payroll:1.2.3": not found',
                        }
                    },
                }
            ],
        },
    }
    service = {
        "metadata": {"name": "zebra-db", "namespace": "acme-prod"},
        "spec": {"selector": {"app": "payroll-redis"}, "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]},
    }
    coredns = {
        "metadata": {"name": "coredns-75494684b8-jhj7f", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}}
    }
    node = {"metadata": {"name": "gazelle-node-1", "labels": {"kubernetes.io/hostname": "gazelle-node-1"}}}
    replica_set = {"metadata": {"name": "payroll-redis-7d9f8b6c5", "namespace": "acme-prod"}}
    log = (
        "connect to zebra-db.acme-prod.svc.cluster.local:5432 (10.20.30.40) failed: connection refused\n"
        "  at com.bigcorp.payroll.PayrollService.start(PayrollService.java:12)\n"
        "  at java.lang.Thread.run(Thread.java:833)\n"
        "FATAL: permission denied for jane.doe@bigcorp.com, neighbour 10.20.30.41\n"
    )
    return Case(
        NOW,
        context="mallory@acme",
        namespace="acme-prod",
        question="why is payroll-redis crashing",
        lists=(
            RecordedList("", "Pod", "acme-prod", items=(web,)),
            RecordedList("", "Pod", "kube-system", items=(coredns,)),
            RecordedList("", "Service", "acme-prod", labels="app=payroll-redis", items=(service,)),
            RecordedList("apps", "ReplicaSet", "acme-prod", items=(replica_set,)),
            RecordedList("", "Node", items=(node,)),
            RecordedList(
                "", "Event", "acme-prod", complete=False, unread=Reason("forbidden", 'User "mallory" cannot list')
            ),
        ),
        absent=(Ref("", "ConfigMap", "acme-prod", "payroll-config"),),
        logs=(RecordedLog("acme-prod", "payroll-redis-7d9f8b6c5-x2k4p", "payroll", text=log),),
    )


def test_nobody_is_named_in_a_shared_case() -> None:
    text = gzip.decompress(dumped(share(theirs()))).decode().lower()
    for name in THEIRS:
        assert name not in text, name


def test_what_is_wrong_survives_sharing() -> None:
    shared = CaseSource(share(theirs()))
    namespace = shared.namespace
    (web,) = ask(shared, list_of("Pod", namespace)).items
    (service,) = [item for entry in shared.case.lists if entry.kind == "Service" for item in entry.items]
    selector = ",".join(f"{key}={value}" for key, value in service["spec"]["selector"].items())
    assert names(ask(shared, list_of("Pod", namespace, labels=selector))) == [web["metadata"]["name"]]
    owner = web["metadata"]["ownerReferences"][0]
    assert owner["uid"] == "u1"
    assert ask(shared, get_of(ref("ReplicaSet", namespace, owner["name"]))).items
    assert names(ask(shared, list_of("Node"))) == [web["spec"]["nodeName"]]
    assert web["metadata"]["name"].startswith(service["spec"]["selector"]["app"])
    assert web["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ErrImagePull"
    container = web["spec"]["containers"][0]
    assert container["image"] in web["status"]["containerStatuses"][0]["state"]["waiting"]["message"]
    assert container["image"].endswith(":1.2.3")
    host = container["env"][0]["value"]
    assert host == f"{service['metadata']['name']}.{namespace}.svc.cluster.local"
    log = ask(shared, logs_of(ref("Pod", namespace, web["metadata"]["name"], container["name"]))).data.decode()
    assert f"connect to {host}:5432 ({web['status']['podIP']}) failed: connection refused" in log
    assert "at java.lang.Thread.run(Thread.java:833)" in log
    first, second = web["status"]["podIP"].rsplit(".", 1)[0], log.split("neighbour ")[1].rsplit(".", 1)[0]
    assert first == second
    assert names(ask(shared, list_of("Pod", "kube-system"))) == ["coredns-75494684b8-jhj7f"]
    assert web["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm"
    assert shared.case.question.endswith("crashing")
    assert shared.case.question != "why is payroll-redis crashing"


def test_sharing_is_repeatable_and_harmless_to_the_original() -> None:
    case = theirs()
    before = json.dumps([dict(item) for entry in case.lists for item in entry.items])
    assert dumped(share(case)) == dumped(share(case))
    assert json.dumps([dict(item) for entry in case.lists for item in entry.items]) == before
