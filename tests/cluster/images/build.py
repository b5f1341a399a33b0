"""Build the archives that are missing, one process at a time, each put in its place whole."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tests.cluster.cache import Lacking, locked, say
from tests.cluster.images import debian
from tests.cluster.images.oci import write_archive
from tests.cluster.images.recipes import INSTALLERS, PAPERS, RECIPES, RUNTIME, Recipe, foundation, reference
from tests.cluster.images.tree import Tree


class ImagesUnavailable(Lacking):
    """This machine can neither find nor build the images; the message says what it lacks."""


def default_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "kubectl-intellect"


def why_unavailable() -> str | None:
    """Why images cannot be built here, or nothing if they can."""
    missing = debian.missing_tools()
    return f"test images are made from Debian's packages: this machine lacks {', '.join(missing)}" if missing else None


def content_hash() -> str:
    """What the archives depend on: this package's own source, the distribution and the architecture."""
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.name.encode() + source.read_bytes())
    release = Path("/etc/os-release")
    digest.update(release.read_bytes() if release.exists() else b"")
    digest.update(os.uname().machine.encode())
    return digest.hexdigest()[:16]


def ensure_images(cache_root: Path, only: Iterable[str] | None = None) -> dict[str, Path]:
    """One archive for each name (all of them by default), built if it is not in the cache yet."""
    names = list(RECIPES) if only is None else list(only)
    home = cache_root / "images" / content_hash()
    archives = {name: home / f"{name}.tar" for name in names}
    if all(archive.exists() for archive in archives.values()):
        return archives
    if reason := why_unavailable():
        raise ImagesUnavailable(reason)
    home.mkdir(parents=True, exist_ok=True)
    with locked(home / "images.lock"):
        missing = [name for name in names if not archives[name].exists()]
        if missing:
            with tempfile.TemporaryDirectory(prefix="building-", dir=home) as scratch:
                try:
                    _Builder(Path(scratch), home).build(missing)
                except debian.AptFailed as reason:
                    raise ImagesUnavailable(f"test images cannot be built: {reason}") from reason
    return archives


class _Builder:
    """One round of building: the shared layers once, then an archive per name."""

    def __init__(self, scratch: Path, home: Path) -> None:
        self._scratch, self._home = scratch, home
        self._packages = debian.Packages(scratch / "apt")
        self._architecture = debian.architecture()
        self._shell = self._shell_layer()
        self._runtime: Path | None = None
        self._shared: set[str] = set()

    def build(self, names: Iterable[str]) -> None:
        for name in names:
            say(f"building the test image {name}")
            layers = self._layers(name, RECIPES[name])
            whole = self._scratch / f"{name}.tar"
            write_archive(whole, reference(name), self._architecture, layers, RECIPES[name].run)
            os.replace(whole, self._home / whole.name)

    def _layers(self, name: str, recipe: Recipe) -> list[Path]:
        if not recipe.packages:
            return [self._shell]
        if not self._runtime:
            self._runtime = self._runtime_layer()
        tree = Tree()
        skipped = (*INSTALLERS, *recipe.skipped, *self._shared)
        self._unpack(tree, recipe.packages, skipped, (*PAPERS, *recipe.dropped))
        if recipe.finish:
            recipe.finish(tree)
        return [self._shell, self._runtime, self._written(tree, name)]

    def _shell_layer(self) -> Path:
        tree = Tree()
        self._unpack(tree, ("busybox-static",), INSTALLERS, PAPERS)
        binary = self._scratch / "busybox"
        binary.write_bytes(tree.entries["usr/bin/busybox"].data)
        binary.chmod(0o755)
        listed = subprocess.run([binary, "--list"], check=True, capture_output=True, text=True).stdout
        foundation(tree, listed.split())
        return self._written(tree, "shell-layer")

    def _runtime_layer(self) -> Path:
        tree = Tree()
        self._shared = set(self._packages.closure(RUNTIME))
        self._unpack(tree, RUNTIME, INSTALLERS, PAPERS)
        return self._written(tree, "runtime-layer")

    def _unpack(self, tree: Tree, names: Iterable[str], skipped: Iterable[str], dropped: Iterable[str]) -> None:
        patterns = tuple(dropped)
        for package in self._packages.fetch(names, skipped):
            with debian.contents(package) as archive:
                tree.unpack(archive, patterns)

    def _written(self, tree: Tree, name: str) -> Path:
        layer = self._scratch / f"{name}.layer"
        tree.write(layer)
        return layer


def clean_old(cache_root: Path) -> None:
    """Throw away the archives of earlier recipes."""
    for home in (cache_root / "images").glob("*"):
        if home.name != content_hash():
            shutil.rmtree(home, ignore_errors=True)


__all__ = [
    "ImagesUnavailable",
    "clean_old",
    "content_hash",
    "default_cache",
    "ensure_images",
    "why_unavailable",
]
