"""No command opens a socket to anything but the API server, unless the user configured it.

Every interpreter of a command is watched by an audit hook that it cannot take off; what native code does is seen in
the namespace of `test_alone`. The API server's own name and the user's credential plugin are looked at apart.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubectl_ai_intellect.cli.app import GROUPS
from kubectl_ai_intellect.completing.grammar import COMMANDS
from tests.cluster.fixtures import lacking
from tests.cluster.handle import Cluster
from tests.models.random_weights import write
from tests.models.smollm import smollm
from tests.offline import job, shop
from tests.offline.isolated import ROOT, server_port
from tests.offline.watched import Seen, watched

pytestmark = pytest.mark.controlplane

ASKING: dict[str, list[str]] = {
    "a question": ["-n", shop.NAMESPACE, *job.QUESTION.split()],
    "a question in text": ["-n", shop.NAMESPACE, "--model", "none", "-v", *job.QUESTION.split()],
    "an object": ["-n", shop.NAMESPACE, "deployment/cart", "-o", "json"],
    "information": ["how", "many", "pods", "are", "not", "ready", "-A"],
    "use": ["which", "pods", "use", "the", "most", "memory", "-A"],
    "scan": ["scan", "-A"],
    "doctor": ["doctor", "-o", "json"],
    "doctor --role": ["doctor", "--role"],
    "--record": ["-n", shop.NAMESPACE, "--record", "{home}/case.json.gz", *job.QUESTION.split()],
}
"""Commands that ask the API server, and nobody else."""
SILENT: dict[str, list[str]] = {
    "help": ["--help"],
    "version": ["version"],
    "demo": ["demo", "crash"],
    "--from": ["--from", "{home}/case.json.gz", *job.QUESTION.split()],
    "case show": ["case", "show", "{home}/case.json.gz"],
    "case ask": ["case", "ask", "{home}/case.json.gz", *job.QUESTION.split()],
    "case replay": ["case", "replay", "{home}/case.json.gz"],
    "case share": ["case", "share", "{home}/case.json.gz"],
    "runbook search": ["runbook", "search", "image cannot be pulled"],
    "runbook list": ["runbook", "list"],
    "runbook show": ["runbook", "show", "image/not-found"],
    "runbook index": ["runbook", "index"],
    "runbook add": ["runbook", "add", "{home}/notes"],
    "runbook check": ["runbook", "check", str(ROOT / "runbooks" / "image" / "not-found.md")],
    "runbook remove": ["runbook", "remove", "{home}/notes"],
    "model list": ["model", "list"],
    "model import": ["model", "import", "{home}/tiny.gguf"],
    "model verify": ["model", "verify", "tiny"],
    "model use": ["model", "use", "none"],
    "model remove": ["model", "remove", "tiny"],
    "config show": ["config", "show"],
    "config set": ["config", "set", "model.timeout", "60"],
    "bundle create": ["bundle", "create", "{home}/bundle", "--no-plugin", "--model", "none"],
    "bundle install": ["bundle", "install", "{home}/bundle"],
    "completion bash": ["completion", "bash"],
    "completion zsh": ["completion", "zsh"],
    "completion fish": ["completion", "fish"],
    "completion install": ["completion", "install", "--bin", "{home}/shims"],
    "the Tab key": ["__complete", "runbook", "show", ""],
}
"""Commands that ask nobody, in an order in which each finds what it needs."""
APART = {
    "model pull": "asks the hub: that is what it is for, and only when it is typed",
    "model bench": "needs a model that is worth measuring; its worker is the one of a question with a model",
}
PROGRAMS = {"kubectl", Path(sys.executable).name, "ssh-keygen"}
"""What may be started: the user's kubectl, ourselves (the model's worker), and what checks signatures."""


@pytest.fixture(scope="module")
def environment(control_plane: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    home = tmp_path_factory.mktemp("sockets")
    shop.opened(control_plane)
    found = shop.home(home, control_plane)
    (home / "notes").mkdir()
    (home / "notes" / "queue.md").write_text("# The queue\n\nWhen it is full, call Ada.\n")
    write(home / "tiny.gguf")
    asked = ["-n", shop.NAMESPACE, "--record", f"{home}/case.json.gz", "--", *job.QUESTION.split()]
    subprocess.run(["kubectl-intellect", *asked], env=found, check=True, capture_output=True)
    yield found
    shop.closed(control_plane)


def ran(environment: dict[str, str], words: list[str]) -> Seen:
    home = Path(environment["HOME"])
    filled = [each.replace("{home}", str(home)) for each in words]
    return watched(["kubectl-intellect", *filled], environment, home / "watch.log")


def test_every_command_is_looked_at() -> None:
    looked = {*ASKING, *SILENT, *APART}
    assert {f"{group} {action}" for group, actions in GROUPS.items() for action in actions} <= looked
    assert set(COMMANDS) <= looked


@pytest.mark.parametrize("name", ASKING)
def test_only_the_api_server_is_asked(environment: dict[str, str], name: str) -> None:
    seen = ran(environment, ASKING[name])
    assert seen.code == 0, seen.err
    assert seen.connected() == {("127.0.0.1", server_port(Path(environment["KUBECONFIG"])))}
    assert seen.resolved() <= {"127.0.0.1"}
    assert (seen.local(), seen.started() - PROGRAMS) == (set(), set())


@pytest.mark.parametrize("name", SILENT)
def test_nobody_is_asked(environment: dict[str, str], name: str) -> None:
    seen = ran(environment, SILENT[name])
    assert seen.code == 0, seen.err
    assert (seen.connected(), seen.resolved(), seen.local()) == (set(), set(), set())
    assert seen.started() - PROGRAMS == set()


def test_the_names_that_the_tab_key_offers_come_through_kubectl_alone(environment: dict[str, str]) -> None:
    seen = ran(environment, ["__complete", "-n", shop.NAMESPACE, "deployment/"])
    assert seen.out.splitlines() == ["deployment/cart", ":4"]
    assert (seen.connected(), seen.resolved(), seen.started()) == (set(), set(), {"kubectl"})


def test_a_question_with_a_local_model(environment: dict[str, str]) -> None:
    if not job.local():
        lacking("llama-cpp-python is not installed; make setup-local")
    assert ran(environment, ["model", "import", str(smollm()), "--name", job.MODEL]).code == 0
    seen = ran(environment, ["--model", job.MODEL, "--explain", "on", "-o", "json", *ASKING["a question"]])
    assert seen.code == 0, seen.err
    assert json.loads(seen.out)["usage"]["completionTokens"] > 0, "the model was asked"
    assert seen.connected() == {("127.0.0.1", server_port(Path(environment["KUBECONFIG"])))}
    assert seen.resolved() <= {"127.0.0.1"}
    assert (seen.local(), seen.started() - PROGRAMS) == (set(), set())


def named(environment: dict[str, str], directory: Path) -> dict[str, str]:
    """The same cluster by name, its user's certificate from a credential plugin."""
    document: dict[str, Any] = yaml.safe_load(Path(environment["KUBECONFIG"]).read_text())
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    cluster["server"] = cluster["server"].replace("127.0.0.1", "localhost")

    def pem(entry: str) -> str:
        data = user.get(f"{entry}-data")
        return base64.b64decode(data).decode() if data else Path(user[entry]).read_text()

    status = {"clientCertificateData": pem("client-certificate"), "clientKeyData": pem("client-key")}
    credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    (directory / "credential.json").write_text(json.dumps(credential))
    plugin = directory / "login-helper"
    plugin.write_text(f'#!/bin/sh\nexec cat "{directory}/credential.json"\n')
    plugin.chmod(0o755)
    document["users"][0]["user"] = {"exec": {"apiVersion": credential["apiVersion"], "command": str(plugin), "interactiveMode": "Never"}}  # fmt: skip
    (directory / "kubeconfig").write_text(yaml.safe_dump(document))
    (directory / "kubeconfig").chmod(0o600)
    return {**environment, "KUBECONFIG": str(directory / "kubeconfig")}


def test_the_servers_own_name_and_the_users_credential_plugin(environment: dict[str, str], tmp_path: Path) -> None:
    seen = ran(named(environment, tmp_path), ["--model", "none", *ASKING["a question"]])
    assert seen.code == 0, seen.err
    port = server_port(Path(environment["KUBECONFIG"]))
    assert seen.connected() <= {("127.0.0.1", port), ("::1", port)}
    assert seen.resolved() == {"localhost"}
    assert "login-helper" in seen.started()
    assert seen.started() - PROGRAMS == {"login-helper"}


@pytest.mark.parametrize(
    ("words", "port"),
    [
        (["model", "pull", "qwen3-0.6b", "--mirror", "http://127.0.0.1:9"], 9),
        (["--model", "openai:gpt-x", "--explain", "on", "-n", shop.NAMESPACE, *job.QUESTION.split()], 10),
    ],
)
def test_what_the_user_configured_is_asked_and_seen(environment: dict[str, str], words: list[str], port: int) -> None:
    """The watch sees what there is to see: else the tests above would hold for nothing."""
    address = {"KUBECTL_INTELLECT_MODEL__PROVIDER": "openai", "KUBECTL_INTELLECT_MODEL__NAME": "gpt-x",
               "KUBECTL_INTELLECT_MODEL__BASE_URL": "http://127.0.0.1:10/v1", "KUBECTL_INTELLECT_MODEL__RETRIES": "0",
               "KUBECTL_INTELLECT_API_KEY": "sk-x"}  # fmt: skip
    seen = ran({**environment, **address}, words)
    assert ("127.0.0.1", port) in seen.connected()
