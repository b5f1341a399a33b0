"""The package as it is handed out: our code with runbooks, model list, embedder and ready index inside.

Made beside the checkout and not in it, so that what is built never mixes with what is edited.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from plugin.embedder.convert import converted

ROOT = Path(__file__).parents[2]
PACKAGE = "kubectl_ai_intellect"
COPIED = ("pyproject.toml", "README.md", "LICENSE", "runbooks", "models", PACKAGE)
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
    """In a process of its own: llama.cpp is loaded, and its threads must not outlive the building."""
    script = ROOT / "plugin" / "embedder" / "index.py"
    command = [sys.executable, str(script), "--model", str(embedder), "--out", str(target)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


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
