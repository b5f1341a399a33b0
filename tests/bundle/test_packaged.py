"""The packaged plugin at work: real commands through the link, with nothing of this machine's Python in sight."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubectl_ai_intellect.version import __version__
from tests.bundle.conftest import ROOT, Installed
from tests.cluster.handle import Cluster as Running
from tests.models.smollm import smollm
from tests.scenarios.cluster import Cluster
from tests.scenarios.judge import judge
from tests.scenarios.runner import Settled, staged
from tests.scenarios.scenario import find

pytestmark = pytest.mark.bundle

RECORDING = ROOT / "tests/scenarios/recordings/config-secret-key-missing.json.gz"


def test_it_tells_its_version(installed: Installed) -> None:
    assert installed.run("--version").stdout == f"kubectl intellect {__version__}\n"


def test_it_helps(installed: Installed) -> None:
    assert "kubectl intellect QUESTION" in installed.run("--help").stdout
    for group in ("runbook", "model", "config", "scan"):
        assert f"kubectl intellect {group}" in installed.run(group, "--help").stdout


def test_it_shows_a_recorded_incident(installed: Installed) -> None:
    told = installed.run("demo", "crash").stdout
    assert "Evidence" in told
    assert "kubectl" in told


def test_it_writes_to_a_terminal_that_knows_ascii_alone(installed: Installed) -> None:
    assert "Evidence" in installed.run("demo", "config", LC_ALL="C").stdout
    assert "Evidence" in installed.run("demo", "config", LC_ALL="POSIX", PYTHONIOENCODING="ascii").stdout


def test_it_answers_from_a_recording(installed: Installed) -> None:
    report = installed.json("--from", str(RECORDING), "why is it failing")
    assert report["kind"] == "Diagnosis"
    assert report["verdict"]["cause"] == "config/secret-key-missing"
    assert report["verdict"]["fix"][0]["commands"]
    assert report["verdict"]["runbook"] == "config/secret-key-missing"


def test_every_cause_came_along(installed: Installed) -> None:
    """The causes are found by listing a package, which a frozen program does in its own way."""
    from kubectl_ai_intellect.causes.base import causes

    named = {each["id"] for each in installed.json("runbook", "list")["items"]}
    assert set(causes()) <= named


def test_runbooks_are_searched_by_meaning(installed: Installed) -> None:
    found = installed.json("runbook", "search", "the app cannot resolve host names")
    assert found["embedder"] == "all-minilm-l6-v2-q8_0"
    assert found["hits"]
    assert found["note"] == ""
    assert installed.run("runbook", "search", "the app cannot resolve host names").stderr == ""
    assert not (installed.home / ".local/share/kubectl-intellect/index").exists(), "the ready index was not used"


def test_an_error_is_one_line(installed: Installed) -> None:
    ran = installed.run("why is it down", KUBECONFIG="/nowhere/config", code=1)
    assert ran.stderr.startswith("error: ")
    assert ran.stderr.count("\n") == 1


def test_programs_it_starts_do_not_get_its_libraries(installed: Installed, tmp_path: Path) -> None:
    """An exec credential plugin is a program of its own: it must not load what was packed for us."""
    seen = tmp_path / "seen"
    plugin = tmp_path / "credentials"
    plugin.write_text(f'#!/bin/sh\nenv > "{seen}"\necho not a credential\nexit 1\n')
    plugin.chmod(0o755)
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [
            {
                "name": "u",
                "user": {
                    "exec": {
                        "apiVersion": "client.authentication.k8s.io/v1",
                        "command": str(plugin),
                        "interactiveMode": "Never",
                    }
                },
            }
        ],
    }
    file = tmp_path / "config"
    file.write_text(json.dumps(config))
    file.chmod(0o600)
    installed.run("why is it down", KUBECONFIG=str(file), LD_LIBRARY_PATH="/opt/theirs", code=1)
    given = dict(line.split("=", 1) for line in seen.read_text().splitlines() if "=" in line)
    assert given["LD_LIBRARY_PATH"] == "/opt/theirs"
    assert not [name for name, value in given.items() if str(installed.store) in value and name.startswith("LD_")]


@pytest.mark.timeout(900)
def test_a_model_imported_from_a_file_is_asked(installed: Installed, tmp_path: Path) -> None:
    """SmolLM2 writes nonsense, but it runs: in its worker, which is the packaged program once more."""
    model = tmp_path / "SmolLM2-135M-Instruct.Q4_1.gguf"
    shutil.copyfile(smollm(), model)
    installed.run("model", "import", str(model), "--name", "smol")
    assert "smol" in {each["name"] for each in installed.json("model", "list") if each["installed"]}
    words = ("--from", str(RECORDING), "--model", "llamacpp:smol", "--explain", "on", "why is it failing")
    report = installed.json(*words, timeout=600)
    assert report["verdict"]["cause"] == "config/secret-key-missing", "a model must not break what is proved"
    assert "smol" in report["usage"]["model"].lower()
    assert report["usage"]["promptTokens"] > 100
    assert report["usage"]["completionTokens"] > 0


@pytest.fixture
def unschedulable(control_plane: Running) -> Iterator[Settled]:
    (scenario,) = (each for each in find() if each.name == "scheduling/node-selector-mismatch")
    with staged(Cluster(control_plane.kubeconfig, str(control_plane.kubectl_path), control_plane), scenario) as settled:
        yield settled


@pytest.mark.controlplane
def test_it_diagnoses_a_real_cluster_through_kubectl(installed: Installed, unschedulable: Settled) -> None:
    cluster = unschedulable.cluster
    words = ["intellect", "-n", unschedulable.namespace, "-o", "json", "--", unschedulable.question]
    ran = subprocess.run(
        [cluster.kubectl, *words],
        capture_output=True,
        text=True,
        timeout=180,
        env=installed.environment(KUBECONFIG=str(cluster.kubeconfig)),
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert judge(json.loads(ran.stdout), unschedulable.expect) == []
