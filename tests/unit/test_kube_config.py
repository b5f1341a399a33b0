"""kubeconfig and global flags: the connection that kubectl would use, or a line that says what to mend."""

from __future__ import annotations

import base64
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubectl_ai_intellect.errors import ClusterError, UsageError
from kubectl_ai_intellect.kube import config
from kubectl_ai_intellect.kube.config import Connection, Flags, load, seconds
from kubectl_ai_intellect.kube.session import connect
from kubectl_ai_intellect.kube.source import list_of
from tests.cluster.tls import Authority
from tests.unit.loopback_api import Api, listing, serving, status


def kubeconfig(path: Path, *names: str, current: str = "", user: dict[str, Any] | None = None, **cluster: Any) -> Path:
    """A kubeconfig with a context, cluster and user for each name."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": n, "cluster": {"server": f"https://{n}.test:6443", **cluster}} for n in names],
        "users": [{"name": n, "user": user or {"token": f"token-{n}"}} for n in names],
        "contexts": [{"name": n, "context": {"cluster": n, "user": n, "namespace": f"ns-{n}"}} for n in names],
    }
    if current:
        document["current-context"] = current
    path.write_text(yaml.safe_dump(document))
    return path


def env(*paths: Path, **more: str) -> dict[str, str]:
    return {"KUBECONFIG": os.pathsep.join(map(str, paths)), "HOME": "/nonexistent", **more}


def token(connection: Connection) -> str:
    return connection.client.api_key["BearerToken"]


def test_the_current_context(tmp_path: Path) -> None:
    found = load(Flags(), env(kubeconfig(tmp_path / "c", "dev", "prod", current="prod")))
    assert (found.context, found.server, found.namespace) == ("prod", "https://prod.test:6443", "ns-prod")
    assert token(found) == "Bearer token-prod"
    assert "token-prod" not in repr(found)


def test_flags_win(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "c", "dev", "prod", current="prod")
    flags = Flags(context="dev", namespace="shop", user="prod", server="https://other:1", token="mine")
    found = load(flags, env(path))
    assert (found.context, found.server, found.namespace) == ("dev", "https://other:1", "shop")
    assert token(found) == "Bearer mine"
    assert "mine" not in repr(flags)
    assert load(Flags(cluster="dev"), env(path)).server == "https://dev.test:6443"


def test_lists_of_files_merge_as_kubectl_does(tmp_path: Path) -> None:
    first = kubeconfig(tmp_path / "1", "dev")
    second = kubeconfig(tmp_path / "2", "dev", "prod", current="prod", **{"tls-server-name": "second"})
    third = kubeconfig(tmp_path / "3", "other", current="other")
    found = load(Flags(), env(first, tmp_path / "missing", second, third))
    assert found.context == "prod"  # the first file that names one
    assert load(Flags(context="dev"), env(first, second)).client.tls_server_name is None  # the first file's cluster
    assert load(Flags(kubeconfig=str(third)), env(first, second)).context == "other"  # the flag alone counts


def test_relative_paths_belong_to_their_file(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki", "ca")
    path = kubeconfig(tmp_path / "c", "dev", current="dev", **{"certificate-authority": "pki/ca.crt"})
    assert load(Flags(), env(path)).client.ssl_ca_cert == str(authority.pair.cert)


def failure(flags: Flags, environ: dict[str, str]) -> str:
    with pytest.raises(ClusterError) as raised:
        load(flags, environ)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_what_is_wrong_is_said_in_one_line(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "c", "staging", "production", current="staging")
    assert "did you mean production?" in failure(Flags(context="prodution"), env(path))
    assert "there are production, staging" in failure(Flags(context="zzz"), env(path))
    assert 'no cluster "prodction"; did you mean production?' in failure(Flags(cluster="prodction"), env(path))
    assert 'no user "zzz"' in failure(Flags(user="zzz"), env(path))
    assert "there is no file" in failure(Flags(kubeconfig=str(tmp_path / "no")), env(path))
    assert "--kubeconfig" in failure(Flags(), env(tmp_path / "no"))
    assert "there is no kubeconfig" in failure(Flags(context="x"), env(tmp_path / "no"))
    none = kubeconfig(tmp_path / "n", "dev")
    assert "use-context" in failure(Flags(), env(none))
    gone = kubeconfig(tmp_path / "g", "dev", current="gone")
    assert 'current-context: no context "gone"' in failure(Flags(), env(gone))
    (tmp_path / "empty").write_text("")
    assert "missing or empty" in failure(Flags(), env(tmp_path / "empty"))
    for text in ("a: [", "just words", "clusters: 5", "clusters: [1]", "\x00"):
        (tmp_path / "bad").write_text(text)
        assert str(tmp_path / "bad") in failure(Flags(), env(tmp_path / "bad"))
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8" in failure(Flags(), env(tmp_path / "binary"))
    noca = kubeconfig(tmp_path / "ca", "dev", current="dev", **{"certificate-authority": "gone.crt"})
    assert "gone.crt" in failure(Flags(), env(noca))


def test_a_server_needs_no_kubeconfig(tmp_path: Path) -> None:
    found = load(Flags(server="127.0.0.1:8080"), env(tmp_path / "no"))
    assert (found.server, found.namespace) == ("http://127.0.0.1:8080", "default")
    assert load(Flags(server="h:1", insecure_skip_tls_verify=True), env(tmp_path / "no")).server == "https://h:1"


def test_in_a_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kubernetes.config import incluster_config

    account = tmp_path / "sa"
    account.mkdir()
    (account / "token").write_text("pod-token")
    (account / "namespace").write_text("shop\n")
    (account / "ca.crt").write_text(Authority(tmp_path / "pki", "ca").pair.cert.read_text())
    monkeypatch.setattr(config, "SERVICE_ACCOUNT", account)
    inside = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    for name, value in inside.items():
        monkeypatch.setenv(name, value)
    loader = incluster_config.InClusterConfigLoader
    monkeypatch.setattr(loader.__init__, "__defaults__", (True, inside))
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(account / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(account / "ca.crt"))
    found = load(Flags(), env(tmp_path / "no", **inside))
    assert (found.server, found.context, found.namespace) == ("https://10.0.0.1:443", "in-cluster", "shop")
    assert token(found) == "bearer pod-token"


def plugin(path: Path, body: str) -> dict[str, Any]:
    path.write_text(f"#!{sys.executable}\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": f"./{path.name}", "args": ["get"]}}


def credential(**status_: str) -> str:
    document = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status_}
    return f"print({json.dumps(document)!r})"


def test_credential_plugins(tmp_path: Path) -> None:
    user = plugin(tmp_path / "login", credential(token="from-plugin"))
    path = kubeconfig(tmp_path / "c", "dev", current="dev", user=user)
    assert token(load(Flags(), env(path))) == "Bearer from-plugin"
    assert token(load(Flags(token="flag"), env(path))) == "Bearer flag"
    pair = Authority(tmp_path / "pki", "ca").issue("jane", "jane")
    both = credential(clientCertificateData=pair.cert.read_text(), clientKeyData=pair.key.read_text())
    plugin(tmp_path / "login", both)
    assert Path(load(Flags(), env(path)).client.cert_file).read_text() == pair.cert.read_text()


def test_credential_plugins_that_fail(tmp_path: Path) -> None:
    user = plugin(tmp_path / "login", "import sys; sys.exit('session\\nexpired')")
    path = kubeconfig(tmp_path / "c", "dev", current="dev", user=user)
    assert "session expired" in failure(Flags(), env(path))
    plugin(tmp_path / "login", "print('hello')")
    assert "log in again" in failure(Flags(), env(path))
    plugin(tmp_path / "login", credential())
    assert "gave no token or certificate" in failure(Flags(), env(path))
    user["exec"]["command"] = "no-such-plugin-here"
    user["exec"]["installHint"] = "brew install it"
    path = kubeconfig(tmp_path / "c", "dev", current="dev", user=user)
    assert failure(Flags(), env(path)).endswith("no-such-plugin-here is not installed: brew install it")


def test_an_expired_token_is_renewed_once(tmp_path: Path) -> None:
    counter = tmp_path / "count"
    body = f"import pathlib; p = pathlib.Path({str(counter)!r}); n = p.read_text() + 'x' if p.exists() else 'x'\n"
    body += "p.write_text(n)\nimport json\nprint(json.dumps({'apiVersion': 'client.authentication.k8s.io/v1',"
    body += "'kind': 'ExecCredential', 'status': {'token': n}}))"
    api = Api()
    api.on("/api/v1/nodes", status(401, "expired"), listing())
    with serving(api) as server:
        user = plugin(tmp_path / "login", body)
        path = kubeconfig(tmp_path / "c", "dev", current="dev", user=user, server=server)
        with connect(Flags(kubeconfig=str(path))) as cluster:
            assert cluster.fetch([list_of("Node")])[0].complete
    sent = [dict(seen.headers)["authorization"] for seen in api.seen]
    assert sent == ["Bearer x", "Bearer xx"]


def test_basic_and_file_credentials(tmp_path: Path) -> None:
    basic = kubeconfig(tmp_path / "b", "dev", current="dev", user={"username": "u", "password": "p"})
    assert token(load(Flags(), env(basic))) == "Basic " + base64.b64encode(b"u:p").decode()
    (tmp_path / "tok").write_text("from-file")
    file = kubeconfig(tmp_path / "f", "dev", current="dev", user={"tokenFile": "tok", "token": "stale"})
    assert token(load(Flags(), env(file))) == "Bearer from-file"


def test_impersonation(tmp_path: Path) -> None:
    user = {"token": "t", "as": "bob", "as-groups": ["g"], "as-user-extra": {"reason": ["x"]}}
    path = kubeconfig(tmp_path / "c", "dev", current="dev", user=user)
    assert load(Flags(), env(path)).impersonate == (
        ("Impersonate-User", "bob"),
        ("Impersonate-Group", "g"),
        ("Impersonate-Extra-reason", "x"),
    )
    assert load(Flags(as_user="jane"), env(path)).impersonate == (("Impersonate-User", "jane"),)
    with pytest.raises(UsageError, match="--as"):
        load(Flags(as_groups=("g",)), env(path))
    with pytest.raises(UsageError, match="printable"):
        load(Flags(as_user="a\r\nX: y"), env(path))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("", config.REQUEST_TIMEOUT), ("0", config.REQUEST_TIMEOUT), ("5", 5), ("5s", 5), ("1m30s", 90), ("500ms", 0.5)],
)
def test_request_timeouts(text: str, wanted: float) -> None:
    assert seconds(text) == wanted


@pytest.mark.parametrize("text", ["soon", "5x", "-1", "1s2", "s"])
def test_request_timeouts_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="--request-timeout"):
        seconds(text)
