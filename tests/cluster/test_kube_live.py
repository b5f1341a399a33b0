"""Our own reading of a real API server: rights, secrets, pages, discovery, recording."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubectl_ai_intellect.evidence.redact import redact
from kubectl_ai_intellect.kube import session
from kubectl_ai_intellect.kube.case import CaseSource, load, record_settled, save
from kubectl_ai_intellect.kube.config import Flags
from kubectl_ai_intellect.kube.refs import ref
from kubectl_ai_intellect.kube.session import connect
from kubectl_ai_intellect.kube.source import Fetched, Read, get_of, list_of
from tests.cluster.handle import Cluster

pytestmark = pytest.mark.controlplane

CANARY = "hunter2-CANARY"
CANARY_BASE64 = "aHVudGVyMi1DQU5BUlk="


@pytest.fixture
def namespace(control_plane: Cluster) -> Iterator[str]:
    name = f"t-{uuid.uuid4().hex[:8]}"
    control_plane.kubectl("create", "namespace", name)
    yield name
    control_plane.kubectl("delete", "namespace", name, "--wait=false")


def reading(cluster: Cluster, user: str = "admin", **flags: str) -> session.Cluster:
    return connect(Flags(kubeconfig=str(cluster.kubeconfigs[user]), **flags))


def one(source: session.Cluster | CaseSource, read: Read) -> Fetched:
    return source.fetch([read])[0]


SECRET = f"""
apiVersion: v1
kind: Secret
metadata: {{name: db}}
stringData: {{password: {CANARY}}}
"""


def test_secrets_come_without_values(control_plane: Cluster, namespace: str) -> None:
    control_plane.kubectl("apply", "-n", namespace, "-f", "-", stdin=SECRET)
    with reading(control_plane) as cluster:
        answers = cluster.fetch([list_of("Secret", namespace), get_of(ref("Secret", namespace, "db"))])
    for answer in answers:
        (secret,) = answer.items
        assert CANARY not in str(secret)
        assert CANARY_BASE64 not in str(secret)
        fields = secret["metadata"]["managedFields"][0]["fieldsV1"]
        assert "f:password" in fields["f:data"]


def test_rights_are_per_read(control_plane: Cluster, namespace: str) -> None:
    with reading(control_plane, "reader") as cluster:
        pods, secrets, absent = cluster.fetch(
            [list_of("Pod", namespace), list_of("Secret", namespace), get_of(ref("Pod", namespace, "gone"))]
        )
        assert one(cluster, Read("can-i", ref("Pod", namespace, ""), (("verb", "delete"),))).allowed is False
        assert one(cluster, Read("can-i", ref("Pod", namespace, ""), (("verb", "list"),))).allowed is True
    assert pods.unread is None
    assert secrets.unread is not None
    assert secrets.unread.why == "forbidden"
    assert "secrets is forbidden" in secrets.unread.message
    assert (absent.items, absent.complete, absent.unread) == ((), True, None)


def test_impersonation_is_real(control_plane: Cluster, namespace: str) -> None:
    with reading(control_plane, as_user="somebody") as cluster:
        answer = one(cluster, list_of("Pod", namespace))
    assert answer.unread is not None
    assert 'User "somebody"' in answer.unread.message


def test_pages_and_limits(control_plane: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    documents = (f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c{n}}}\n" for n in range(7))
    control_plane.kubectl("apply", "-n", namespace, "-f", "-", stdin="---\n".join(documents))
    monkeypatch.setattr(session, "PAGE", 3)
    with reading(control_plane) as cluster:
        every = one(cluster, list_of("ConfigMap", namespace))
        some = one(cluster, list_of("ConfigMap", namespace, limit="2"))
        chosen = one(cluster, list_of("ConfigMap", namespace, fields="metadata.name=c3"))
        names = one(cluster, list_of("ConfigMap", namespace, metadata="true", fields="metadata.name=c3"))
    assert len({item["metadata"]["name"] for item in every.items} & {f"c{n}" for n in range(7)}) == 7
    assert every.complete
    assert every.requests >= 3
    assert (len(some.items), some.complete) == (2, False)
    assert [item["metadata"]["name"] for item in chosen.items] == ["c3"]
    assert names.items[0]["kind"] == "ConfigMap"


def test_discovery_and_kinds_that_are_not_served(control_plane: Cluster) -> None:
    with reading(control_plane, "nobody") as cluster:
        served = {(resource.group, resource.kind) for resource in cluster.resources()}
        gateway, strange = cluster.fetch([list_of("Gateway"), list_of("Thing", group="nobody.example")])
    assert {("", "Pod"), ("apps", "Deployment"), ("flowcontrol.apiserver.k8s.io", "FlowSchema")} <= served
    for answer in (gateway, strange):
        assert answer.unread is not None
        assert answer.unread.why == "not-served"


def test_a_recorded_namespace_answers_like_the_cluster(control_plane: Cluster, namespace: str, tmp_path: Path) -> None:
    control_plane.kubectl("apply", "-n", namespace, "-f", "-", stdin=SECRET)
    control_plane.kubectl("create", "configmap", "settings", "-n", namespace, f"--from-literal=token={CANARY}")
    control_plane.kubectl("create", "deployment", "web", "-n", namespace, "--image=web:1")
    path = tmp_path / "case.json.gz"
    with reading(control_plane) as cluster:
        save(record_settled(cluster, [namespace], redact), path)
        reads = [list_of(kind, namespace) for kind in ("Deployment", "ConfigMap", "Secret", "ServiceAccount")]
        reads += [list_of("Node"), get_of(ref("Deployment", namespace, "web")), get_of(ref("Pod", namespace, "no"))]
        live, recorded = cluster.fetch(reads), CaseSource(path).fetch(reads)
    for before, after in zip(live, recorded, strict=True):
        assert [i["metadata"]["uid"] for i in before.items] == [i["metadata"]["uid"] for i in after.items]
        assert before.complete == after.complete
    text = str(load(path))
    assert CANARY not in text
    assert CANARY_BASE64 not in text
    assert path.stat().st_size < 300_000
