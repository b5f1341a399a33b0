"""Secret values are planted wherever clusters hold them; then nothing that we write or say may hold one.

Every place has a canary of its own, so that a leak tells where it came from.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubectl_ai_intellect.cli import app
from tests.player import Player, World
from tests.unit import scripted_service as service

NAMESPACE = "shop"
MARK = "c4nary"


def canary(place: str) -> str:
    return f"{MARK}{place}7Q2z"


def base64_of(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def meta(name: str, **more: Any) -> dict[str, Any]:
    made = {"creationTimestamp": "2026-03-01T08:00:00Z", "uid": f"uid-{name}", "generation": 1}
    return {"name": name, "namespace": NAMESPACE, **made, **more}


def secret(name: str, kind: str, data: dict[str, str], **more: Any) -> dict[str, Any]:
    applied = {"data": {"password": base64_of(canary("Applied"))}, "stringData": {"password": canary("AppliedPlain")}}
    notes = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(applied), "rotation-note": canary("Note")}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": kind,
        "metadata": meta(name, annotations={**notes, **more}),
        "data": {key: base64_of(value) for key, value in data.items()},
    }


def secrets() -> Iterator[dict[str, Any]]:
    release = json.dumps({"name": "shop", "config": {"db": {"password": canary("Helm")}}}).encode()
    docker = json.dumps({"auths": {"registry.example": {"auth": base64_of(f"u:{canary('Docker')}")}}})
    yield secret("db", "Opaque", {"password": canary("Data")})
    yield secret("tls", "kubernetes.io/tls", {"tls.crt": "no certificate", "tls.key": pem(canary("TlsKey"))})
    yield secret("token", "kubernetes.io/service-account-token", {"token": canary("Token")})
    yield secret("pull", "kubernetes.io/dockerconfigjson", {".dockerconfigjson": docker})
    yield secret(
        "sh.helm.release.v1.shop.v1", "helm.sh/release.v1", {"release": base64_of(str(zlib.compress(release)))}
    )


def pem(inside: str) -> str:
    body = f"MIIEvQIBADANBgkqhkiG9w0{inside}BAQEFAASCBKcwggSj"
    return f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"


def template(version: str) -> dict[str, Any]:
    header = {"name": "Authorization", "value": f"Bearer {canary(f'ProbeHeader{version}')}"}
    return {
        "containers": [
            {
                "name": "web",
                "image": f"registry.example/web:{version}",
                "command": ["sh", "-c", f"export PGPASSWORD={canary(f'Command{version}')}; exec web"],
                "args": [f"--password={canary(f'Flag{version}')}", "--api-key", canary(f"NextWord{version}")],
                "env": [
                    {"name": "DB_PASSWORD", "value": canary(f"Env{version}")},
                    {"name": "DATABASE_URL", "value": f"postgres://shop:{canary(f'Url{version}')}@db:5432/shop"},
                    {"name": "FROM_SECRET", "valueFrom": {"secretKeyRef": {"name": "db", "key": "passwrod"}}},
                ],
                "livenessProbe": {"httpGet": {"path": "/", "port": 8080, "httpHeaders": [header]}},
                "volumeMounts": [{"name": "tls", "mountPath": "/tls"}],
            }
        ],
        "imagePullSecrets": [{"name": "pull"}],
        "volumes": [{"name": "tls", "secret": {"secretName": "tls"}}],
    }


def workload() -> Iterator[dict[str, Any]]:
    labels = {"app": "web"}
    applied = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"spec": template("2")})}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}}
    made = {"metadata": {"labels": labels}, "spec": template("2")}
    yield {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta("web", labels=labels, annotations=applied),
        "spec": {**spec, "template": made},
        "status": {"replicas": 1, "unavailableReplicas": 1, "observedGeneration": 1},
    }
    for revision in ("1", "2"):
        owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "uid-web", "controller": True}
        revised = {"deployment.kubernetes.io/revision": revision, **applied}
        yield {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": meta(f"web-{revision}", labels=labels, annotations=revised, ownerReferences=[owner]),
            "spec": {**spec, "replicas": int(revision) - 1, "template": {**made, "spec": template(revision)}},
            "status": {"replicas": int(revision) - 1, "observedGeneration": 1},
        }
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-2", "uid": "uid-web-2", "controller": True}
    died = {"exitCode": 1, "reason": "Error", "message": f"password={canary('Termination')}"}
    died |= {"startedAt": "2026-03-02T09:20:00Z", "finishedAt": "2026-03-02T09:20:05Z"}
    container = {"name": "web", "image": "registry.example/web:2", "ready": False, "restartCount": 9}
    container["state"] = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off restarting"}}
    container["lastState"] = {"terminated": died}
    yield {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta("web-2-x", labels=labels, annotations=applied, ownerReferences=[owner]),
        "spec": {**template("2"), "nodeName": "node-1"},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady"}],
            "containerStatuses": [container],
        },
    }


def beside() -> Iterator[dict[str, Any]]:
    """What stands beside the workload: configuration, an event, a resource of some operator."""
    settings = {"db_password": canary("ConfigMap"), "app.properties": f"a=1\ndb.password={canary('Properties')}\n"}
    yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta("settings"), "data": settings}
    yield {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": meta("web-2-x.1"),
        "involvedObject": {"kind": "Pod", "namespace": NAMESPACE, "name": "web-2-x", "uid": "uid-web-2-x"},
        "reason": "Unhealthy",
        "type": "Warning",
        "message": f"Liveness probe failed: Get http://probe:{canary('Event')}@10.1.1.1/: password={canary('EventPair')}",
        "count": 5,
        "lastTimestamp": "2026-03-02T09:29:00Z",
    }
    yield {
        "apiVersion": "db.example.com/v1",
        "kind": "Postgres",
        "metadata": meta("orders"),
        "spec": {"password": canary("Custom")},
        "status": {
            "conditions": [
                {"type": "Ready", "status": "False", "reason": "Auth", "message": f"password={canary('CustomStatus')}"}
            ]
        },
    }
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "uid": "uid-ns"}}
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    yield {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1", "uid": "uid-n"}, "status": ready}


LOG = f"""starting web
config: password={canary("Log")} user=shop
connecting to postgres://shop:{canary("LogUrl")}@db:5432/shop
{{"level":"info","msg":"login","password":"{canary("LogJson")}"}}
request with Authorization: Bearer {canary("LogBearer")}
AWS_SECRET_ACCESS_KEY={canary("LogAws")}
{pem(canary("LogPem"))}FATAL: password authentication failed for user "shop" (password: {canary("LogFatal")})
"""

PASTED = f"""Name: web-2-x
Namespace: shop
    Environment:
      DB_PASSWORD:  {canary("Pasted")}
      DATABASE_URL:  postgres://shop:{canary("PastedUrl")}@db:5432/shop
    State: Waiting
      Reason: CrashLoopBackOff
"""


@pytest.fixture
def player(tmp_path: Path) -> Iterator[Player]:
    logs = {(NAMESPACE, "web-2-x", "web"): LOG}
    world = World.of([*secrets(), *workload(), *beside()], logs=logs, previous=logs)
    (tmp_path / "player").mkdir()
    with Player(world, tmp_path / "player", [], NAMESPACE) as player:
        yield player


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "home"
    for name in ("CONFIG", "DATA", "CACHE", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(place / name.lower()))
    monkeypatch.setenv("HOME", str(place))
    place.mkdir()
    monkeypatch.chdir(place)
    return place


def leaks(data: bytes) -> set[str]:
    """The canaries in some bytes: as they stand, in base64 at any offset, or compressed."""
    text = data.decode("latin-1")
    found = set(re.findall(rf"{MARK}\w+", text))
    for offset in range(3):
        coded = base64.b64encode(b"x" * offset + MARK.encode()).decode()[(4 if offset else 0) : -4]
        found |= {f"base64: {each}" for each in re.findall(rf"{re.escape(coded)}[\w+/=]*", text)}
    if data.startswith(b"\x1f\x8b"):
        found |= leaks(gzip.decompress(data))
    return found


def kept(home: Path) -> dict[str, set[str]]:
    """The files that hold a canary."""
    files = [each for each in home.rglob("*") if each.is_file()]
    return {each.name: hits for each in files if (hits := leaks(each.read_bytes()))}


QUESTIONS = [
    "why is web crashing",
    "what changed in web",
    "which image does web run",
    "list all pods and identify those with errors",
    "what is wrong with orders",
    "which secrets does web use",
    "show the events",
]


def test_the_sweep_finds_what_it_looks_for(tmp_path: Path) -> None:
    for offset in range(3):
        assert leaks(base64.b64encode(b"y" * offset + canary("Here").encode())), offset
    (tmp_path / "one.json.gz").write_bytes(gzip.compress(LOG.encode()))
    assert canary("LogFatal") in kept(tmp_path)["one.json.gz"]


def test_no_secret_value_reaches_output_or_files(
    player: Player, home: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = [f"--kubeconfig={player.kubeconfig}", "-n", NAMESPACE]
    runs = [[*at, "-v", *question.split()] for question in QUESTIONS]
    runs += [[*at, "-o", form, "deployment/web"] for form in ("json", "yaml", "markdown", "html", "wide")]
    runs += [[*at, "scan", "-o", "json"], [*at, "-A", "scan", "-v"], [*at, "secret/db"], [*at, "postgres/orders"]]
    runs += [[*at, "--record", "case.json.gz", "why is web crashing"], ["case", "show", "case.json.gz"]]
    runs += [[*at, "--record", "orders.json.gz", "postgres/orders"], ["case", "ask", "orders.json.gz", "scan"]]
    runs += [["case", "replay", "case.json.gz", "-o", "json"], ["case", "share", "case.json.gz"]]
    runs += [["case", "ask", "case.json.gz", "what changed in web", "-o", "html"]]
    runs += [[*at, "--record", "all.json.gz", "-A", "scan"], ["--from", "all.json.gz", "scan", "-o", "yaml"]]
    for words in runs:
        assert app.run(words) == 0, words
        out, err = capfd.readouterr()
        assert out or "share" in words, words
        assert not leaks(f"{out}{err}".encode()), words
    (home / "pasted").write_text(PASTED)
    with (home / "pasted").open() as pasted:
        monkeypatch.setattr(sys, "stdin", pasted)
        assert app.run([*at, "what is wrong here"]) == 0
    (home / "pasted").unlink()
    out, err = capfd.readouterr()
    assert not leaks(f"{out}{err}".encode())
    assert {"case.json.gz", "all.json.gz", "sessions.db"} <= {each.name for each in home.rglob("*")}
    assert not kept(home)


def test_the_verdict_still_stands_on_what_is_masked(player: Player, home: Path, capfd: Any) -> None:
    app.run([f"--kubeconfig={player.kubeconfig}", "-n", NAMESPACE, "-o", "json", "why is web crashing"])
    told = json.loads(capfd.readouterr().out)
    assert told["verdict"]["status"] == "root_cause"
    assert told["verdict"]["object"]["name"] in ("web", "db")
    asked = [each for each in player.requests if "/secrets" in each.path]
    assert asked, "the test is worth nothing if nobody looks at Secrets"


@pytest.mark.parametrize("show", [True, False], ids=["shown", "sent"])
def test_no_secret_value_reaches_a_model(
    player: Player, home: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, show: bool
) -> None:
    words = [f"--kubeconfig={player.kubeconfig}", "-n", NAMESPACE, "--model=openai:test", "why is web crashing"]
    reply = {"choices": [{"message": {"content": "The password is wrong [E1]."}, "finish_reason": "stop"}]}
    with service.served(service.as_json(reply)) as model:
        monkeypatch.setenv("KUBECTL_INTELLECT_MODEL__PROVIDER", "openai")
        monkeypatch.setenv("KUBECTL_INTELLECT_MODEL__BASE_URL", model.url + "/v1")
        monkeypatch.setenv("KUBECTL_INTELLECT_API_KEY", canary("ApiKey"))
        assert app.run(["--show-egress", *words] if show else words) == 0
        out, err = capfd.readouterr()
        prompts = json.dumps(model.bodies)
    assert ("messages" in err) if show else model.bodies, "the model was not asked"
    assert bool(model.bodies) != show
    assert not leaks(f"{out}{err}{prompts}".encode())
    assert not kept(home)
    assert "authentication failed" in (err if show else prompts), "the evidence must still reach the model"


def test_what_the_user_types_is_not_kept(player: Player, home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = f"why does web say password={canary('Typed')} is refused"
    app.run([f"--kubeconfig={player.kubeconfig}", "-n", NAMESPACE, "--record", "typed.json.gz", words])
    capfd.readouterr()
    assert not kept(home)
    assert os.listdir(home)
