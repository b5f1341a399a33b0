"""Debian packages as files: what a package needs, fetched and checked by apt, installed nowhere.

apt gets a state directory of its own with an empty list of installed packages: so the closure it finds is the
whole one, whatever this machine has installed, and it needs no root and touches no list of the machine's own.
"""

from __future__ import annotations

import fnmatch
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

TOOLS = ("apt-get", "dpkg-deb", "dpkg")


class AptFailed(Exception):
    """apt could not find or fetch what a recipe asks for."""


def missing_tools() -> list[str]:
    return [tool for tool in TOOLS if not shutil.which(tool)]


def architecture() -> str:
    """This machine's architecture, in the word that Debian and OCI share."""
    return subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True).stdout.strip()


class Packages:
    """A package source with its own state in a directory that the caller throws away."""

    def __init__(self, home: Path) -> None:
        # Not apt's own archive directory: what lies there is left out of what apt says it would fetch.
        self._home, self._files = home, home / "packages"
        for part in ("lists/partial", "archives/partial", "packages"):
            (home / part).mkdir(parents=True, exist_ok=True)
        (home / "status").touch()
        settings = {
            "Dir::State": home,
            "Dir::State::status": home / "status",
            "Dir::State::lists": home / "lists",
            "Dir::Cache": home,
            "Dir::Cache::archives": home / "archives",
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "root",
            "Acquire::Retries": "5",
            "Acquire::Languages": "none",
            "Debug::NoLocking": "true",
        }
        hooks = ("APT::Update::Pre-Invoke", "APT::Update::Post-Invoke", "APT::Update::Post-Invoke-Success")
        lines = [f'{name} "{value}";' for name, value in settings.items()] + [f"#clear {each};" for each in hooks]
        (home / "apt.conf").write_text("\n".join(lines) + "\n")
        self._updated = False

    def closure(self, names: Iterable[str]) -> dict[str, str]:
        """Package name to file name, for these packages and all they depend on."""
        printed = self._apt("install", "--print-uris", "-y", "-qq", *names)
        files = [line.split()[1] for line in printed.splitlines() if line.startswith("'")]
        return {file.partition("_")[0]: file for file in files}

    def fetch(self, names: Iterable[str], skipped: Iterable[str]) -> list[Path]:
        """The archives of the closure, but for packages that match a skipped pattern."""
        patterns = tuple(skipped)
        wanted = {
            name: file
            for name, file in self.closure(names).items()
            if not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
        }
        absent = [name for name, file in wanted.items() if not (self._files / file).exists()]
        if absent:
            # `download` takes exactly what it is told, so that what a recipe skips is never fetched.
            self._apt("download", *absent, cwd=self._files)
        files = [self._files / file for _, file in sorted(wanted.items())]
        lost = [file.name for file in files if not file.exists()]
        if lost:
            raise AptFailed(f"apt-get download did not bring {', '.join(lost)}")
        return files

    def _apt(self, *words: str, cwd: Path | None = None) -> str:
        if not self._updated:
            self._updated = True
            self._apt("update", "-qq")
        done = subprocess.run(
            ["apt-get", "-c", str(self._home / "apt.conf"), *words],
            capture_output=True,
            text=True,
            cwd=cwd,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
        )
        if done.returncode:
            raise AptFailed(f"apt-get {words[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout


@contextmanager
def contents(package: Path) -> Iterator[IO[bytes]]:
    """A package's files as a tar stream."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE) as reader:
        assert reader.stdout
        yield reader.stdout
        while reader.stdout.read(1 << 16):
            pass
    if reader.returncode:
        raise AptFailed(f"dpkg-deb cannot read {package.name}")


__all__ = ["AptFailed", "Packages", "architecture", "contents", "missing_tools"]
