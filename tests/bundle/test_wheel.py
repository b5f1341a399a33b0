"""The wheel in an environment of its own: the ready index, with the default embedder and without llama.cpp."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.bundle.conftest import ROOT

pytestmark = pytest.mark.bundle


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (found,) = dist.glob("kubectl_ai_intellect-*.whl")
    return found


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment: the wheel installed, its dependencies lent by this one."""
    place = tmp_path_factory.mktemp("wheel") / "venv"
    uv = str(Path(sys.executable).parent / "uv")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(place)], check=True, cwd=place.parent)
    python = place / "bin" / "python"
    install = [uv, "pip", "install", "--quiet", "--offline", "--no-deps", "--python", str(python)]
    subprocess.run([*install, str(wheel)], check=True, cwd=place.parent)
    (site,) = place.glob("lib/python*/site-packages")
    lent = next(Path(each) for each in sys.path if each.endswith("site-packages"))
    lend(lent, site)
    return place


def lend(source: Path, target: Path) -> None:
    """The dependencies without the checkout, which is installed there too, and without llama.cpp."""
    for path in source.iterdir():
        ours = path.name.startswith(("kubectl_ai_intellect", "_editable", "_kubectl", "llama_cpp", "__editable"))
        if not ours and path.suffix != ".pth" and not (target / path.name).exists():
            (target / path.name).symlink_to(path)


def search(place: Path, home: Path) -> dict[str, Any]:
    ran = subprocess.run(
        [place / "bin" / "kubectl-intellect", "runbook", "search", "the app cannot resolve host names", "-o", "json"],
        capture_output=True,
        text=True,
        cwd=home,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_what_is_in_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    data = "kubectl_ai_intellect/_data"
    assert {f"{data}/index/header.json", f"{data}/models/catalogue.toml"} <= names
    assert f"{data}/models/all-minilm-l6-v2-q8_0.gguf" in names
    runbooks = {path.relative_to(ROOT).as_posix() for path in (ROOT / "runbooks").rglob("*.md")}
    assert {f"{data}/{each}" for each in runbooks} <= names
    assert not [name for name in names if name.endswith((".pyc", ".pickle", ".pkl"))]


def test_without_llama_words_are_searched_and_said_so(environment: Path, tmp_path: Path) -> None:
    found = search(environment, tmp_path)
    assert found["embedder"] == "lexical"
    assert "by words alone" in found["note"]
    assert "llama-cpp-python" in found["note"]
    assert found["hits"]


def test_with_llama_the_ready_index_is_used(environment: Path, tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp")
    (site,) = environment.glob("lib/python*/site-packages")
    lent = next(Path(each) for each in sys.path if each.endswith("site-packages"))
    for path in lent.glob("llama_cpp*"):
        (site / path.name).symlink_to(path)
    found = search(environment, tmp_path)
    assert found["embedder"] == "all-minilm-l6-v2-q8_0"
    assert found["note"] == ""
    assert found["hits"]
    assert not (tmp_path / ".local/share/kubectl-intellect/index").exists(), "the ready index was not used"
