"""The package as it is handed out: our code with runbooks, model list, embedder and ready index inside.

Made beside the checkout and not in it, so that what is built never mixes with what is edited.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from plugin.bundle.pack import sha256
from plugin.embedder.convert import cache_dir, converted

ROOT = Path(__file__).parents[2]
PACKAGE = "kubectl_ai_intellect"
COPIED = ("pyproject.toml", "README.md", "LICENSE", "runbooks", "models", PACKAGE)
KEY = 16  # digits of a cache entry's name
LEFT = shutil.ignore_patterns("__pycache__", "*.pyc", "_data")


def staged(tree: Path) -> Path:
    """A fresh copy of what the wheel is made of, with its data."""
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=LEFT)
        else:
            shutil.copyfile(source, tree / name)
    data = tree / PACKAGE / "_data"
    (data / "models").mkdir(parents=True)
    embedder = data / "models" / converted().name
    shutil.copyfile(converted(), embedder)
    build_index(embedder, data / "index")
    return tree


def build_index(embedder: Path, target: Path) -> None:
    """The ready index, kept in the cache; where only runbooks have changed, the others are carried over.

    Built in a process of its own: llama.cpp is loaded for it.
    """
    code, content = index_keys(embedder)
    home = cache_dir() / "index" / code
    kept = home / content
    if not kept.is_dir():
        home.mkdir(parents=True, exist_ok=True)
        earlier = max((path for path in home.iterdir() if len(path.name) == KEY), key=_age, default=None)
        with tempfile.TemporaryDirectory(dir=home) as scratch:
            made = Path(scratch) / "index"
            command = [sys.executable, str(ROOT / "plugin/embedder/index.py"), "--model", str(embedder)]
            more = ["--earlier", str(earlier)] if earlier else []
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            subprocess.run([*command, *more, "--out", str(made)], check=True, env=environment)
            made.replace(kept)
    shutil.copytree(kept, target)


def index_keys(embedder: Path) -> tuple[str, str]:
    """The hashes of what turns runbooks into an index, and of the runbooks."""
    code = [f"{path.name} {sha256(path)}" for path in sorted((ROOT / PACKAGE / "knowledge").rglob("*.py"))]
    code += [sha256(embedder), *(f"{name} {version(name)}" for name in ("faiss-cpu", "numpy", "llama-cpp-python"))]
    content = [f"{path.relative_to(ROOT)} {sha256(path)}" for path in sorted((ROOT / "runbooks").rglob("*.md"))]
    first, second = (hashlib.sha256("\n".join(parts).encode()).hexdigest()[:KEY] for parts in (code, content))
    return first, second


def _age(path: Path) -> float:
    return path.stat().st_mtime


def build_wheel(tree: Path, dist: Path) -> Path:
    """The wheel of the staged package; hatchling adds runbooks and the model list by pyproject's rules."""
    dist.mkdir(parents=True, exist_ok=True)
    for old in dist.glob("kubectl_ai_intellect-*.whl"):
        old.unlink()
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(dist)]
    subprocess.run(command, check=True, cwd=tree, stdout=subprocess.DEVNULL)
    return next(dist.glob("kubectl_ai_intellect-*.whl"))


def complete(tree: Path) -> None:
    """Put the data where the wheel puts it, for the package that is frozen from the tree."""
    data = tree / PACKAGE / "_data"
    shutil.copytree(tree / "runbooks", data / "runbooks")
    shutil.copyfile(tree / "models" / "catalogue.toml", data / "models" / "catalogue.toml")


__all__ = ["ROOT", "build_wheel", "complete", "staged"]
