"""The archive that `make dist` built, installed once, and commands run with nothing of this machine in sight."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kubectl_ai_intellect.version import __version__
from tests.bundle import krewlike
from tests.cluster.fixtures import lacking

ROOT = Path(__file__).parents[2]
DIST = ROOT / "dist"


@dataclass(frozen=True)
class Installed:
    """The plugin on a PATH, and a home of its own."""

    folder: Path
    home: Path

    @property
    def link(self) -> Path:
        return self.folder / "kubectl-intellect"

    @property
    def store(self) -> Path:
        return self.link.resolve().parent

    def environment(self, **more: str) -> dict[str, str]:
        """As good as nothing: no Python, no compiler's paths, no cluster."""
        return {"PATH": f"{self.folder}:/usr/bin:/bin", "HOME": str(self.home), "LC_ALL": "C.UTF-8", **more}

    def run(self, *words: str, code: int = 0, timeout: float = 300, **more: str) -> subprocess.CompletedProcess[str]:
        """Run the plugin by the name that kubectl finds it by."""
        ran = subprocess.run(
            ["kubectl-intellect", *words],
            capture_output=True,
            text=True,
            timeout=timeout,
            env=self.environment(**more),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            check=False,
            executable=str(self.link),
        )
        assert ran.returncode == code, f"exit {ran.returncode}: {ran.stdout[-2000:]}{ran.stderr[-2000:]}"
        return ran

    def json(self, *words: str, timeout: float = 300, **more: str) -> Any:
        return json.loads(self.run(*words, "-o", "json", timeout=timeout, **more).stdout)


@pytest.fixture(scope="session")
def dist() -> Path:
    """Where `make dist` left its work."""
    if not (DIST / "krew-manifest.yaml").is_file():
        lacking("there is no dist/krew-manifest.yaml; make dist builds it")
    return DIST


@pytest.fixture(scope="session")
def archive(dist: Path) -> Path:
    """This platform's archive."""
    chosen = krewlike.here(krewlike.rules.read(dist / "krew-manifest.yaml"))
    path = dist / chosen["uri"].rpartition("/")[2]
    assert __version__ in path.name
    return path


@pytest.fixture(scope="session")
def installed(dist: Path, archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Installed as krew does it, under a path with a space in it, reached through the link alone."""
    base = tmp_path_factory.mktemp("a home")
    folder = krewlike.install(dist / "krew-manifest.yaml", archive, base / ".krew")
    home = base / "user"
    home.mkdir()
    return Installed(folder, home)


@pytest.fixture(scope="session")
def krew() -> Callable[..., subprocess.CompletedProcess[str]]:
    """A real krew, where one is."""
    program = os.environ.get("KREW") or shutil.which("kubectl-krew") or shutil.which("krew")
    if not program:
        pytest.skip("no krew: put its path into KREW")

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        given = {**os.environ, **environment}
        return subprocess.run([program, *words], capture_output=True, text=True, env=given, timeout=300, check=False)

    return run


__all__ = ["Installed"]
