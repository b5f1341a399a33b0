"""The main job of a machine without a network: install from a bundle, look around, diagnose, search, complete."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from kubectl_ai_intellect.knowledge.embedders import EmbedderError
from kubectl_ai_intellect.knowledge.embedders.weights import default_file
from tests.models.smollm import smollm
from tests.offline.isolated import Session, alone
from tests.offline.shop import NAMESPACE

MODEL = "smollm2-135m"
QUESTION = "why is cart not starting"


def local() -> bool:
    """Whether llama.cpp is installed, without which there are neither models nor the dense embedder."""
    return importlib.util.find_spec("llama_cpp") is not None


def embedder() -> Path | None:
    """The default embedder's file, where this machine has it and can run it."""
    try:
        return default_file().path if local() else None
    except EmbedderError:
        return None


def bundled(directory: Path, environment: Mapping[str, str]) -> Path:
    """A signed bundle, made on the connected side; the model is imported there first."""
    key, bundle = directory / "key", directory / "bundle"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    models = ["none"]
    if local():
        _done(environment, "model", "import", str(smollm()), "--name", MODEL)
        models = [MODEL]
    if file := embedder():
        shutil.copy(file, Path(environment["HOME"]) / ".local" / "share" / "kubectl-intellect" / "models")
    _done(environment, "bundle", "create", str(bundle), "--no-plugin", "--model", *models, "--sign-key", str(key))
    return bundle


def _done(environment: Mapping[str, str], *words: str) -> None:
    ran = subprocess.run(
        ["kubectl-intellect", *words], env=dict(environment), capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr


def done(kubeconfig: Path, environment: Mapping[str, str], bundle: Path) -> Session:
    """The job, in a namespace whose only way leads to the API server."""
    ours = ["kubectl", "intellect"]
    commands = [
        [*ours, "bundle", "install", str(bundle), "--verify-key", f"{bundle.parent / 'key'}.pub"],
        [*ours, "doctor"],
        [*ours, "-n", NAMESPACE, "--model", "none", *QUESTION.split()],
        [*ours, "-n", NAMESPACE, "--model", "none", "deployment/cart", "-o", "json"],
        [*ours, "scan", "-A", "--model", "none", "-o", "json"],
        [*ours, "-n", NAMESPACE, "how", "many", "pods", "are", "not", "ready"],
        [*ours, "runbook", "search", "didn't match Pod's node affinity/selector", "-o", "json"],
        [*ours, "runbook", "show", "scheduling/node-selector-mismatch"],
        [*ours, "demo", "crash"],
        ["kubectl", "__complete", "intellect", "-n", NAMESPACE, "deployment/"],
    ]
    if local():
        commands.append([*ours, "-n", NAMESPACE, "--model", MODEL, "--explain", "on", "-o", "json", *QUESTION.split()])
    return alone(kubeconfig, environment, commands)


__all__ = ["MODEL", "QUESTION", "bundled", "done", "embedder", "local"]
