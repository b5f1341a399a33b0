"""Names that only kubectl knows (namespaces, contexts, objects), within a fraction of a second.

kubectl completes its own commands with `kubectl __complete`; we ask that. Its answer goes to a file. When it comes
in time it is used; when not, what was known before is used, kubectl goes on by itself, and the next press of the
key finds what it wrote. Its own time limit ends it.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from kubectl_ai_intellect import places
from kubectl_ai_intellect.kube.config import Flags, kubeconfig_paths
from kubectl_ai_intellect.kube.tool import user_kubectl

FRESH = 5.0
"""Seconds for which an answer is used as it is."""
STALE = 3600.0
"""Seconds after which an answer is no longer better than none."""
WAIT = 0.18
"""Seconds that kubectl may take where an older answer is at hand, or where it has been asked already."""
FIRST_WAIT = 1.5
"""Seconds that it may take where nothing is known yet: a cluster near by answers in a tenth of one."""
LIMIT = 10
MOST_FILES = 100


class Kubectl:
    """The user's kubectl, on the cluster that the words of the command line name."""

    def __init__(self, scope: Sequence[str] = (), kubeconfig: str = "") -> None:
        self._scope = list(scope)
        self._kubeconfig = kubeconfig

    def complete(self, *words: str) -> list[str]:
        """What kubectl would offer for the last word, were it still empty."""
        arguments = ["__complete", f"--request-timeout={LIMIT}s", *self._scope, *words, ""]
        try:
            folder = places.private(places.cache_dir() / "completion")
            return self._choices(folder, arguments)
        except OSError:  # no home to write to: the Tab key is no place for an error
            return []

    def _choices(self, folder: Path, arguments: list[str]) -> list[str]:
        key = hashlib.sha256("\0".join([*self._place(), *arguments]).encode()).hexdigest()[:24]
        kept = folder / key
        _adopt(folder, key)
        if _age(kept) < FRESH:
            return _read(kept)
        known = _age(kept) < STALE
        kubectl = user_kubectl()
        if _running(folder, key):
            _awaited(folder, key, WAIT)
        elif kubectl:
            _start([kubectl, *arguments], folder / f"{key}.{os.getpid()}")
            _awaited(folder, key, WAIT if known else FIRST_WAIT)
            _tidied(folder)
        return _read(kept) if _age(kept) < STALE else []

    def _place(self) -> list[str]:
        """The kubeconfig files as they are now: another current context is another cluster."""
        try:
            paths = kubeconfig_paths(Flags(kubeconfig=self._kubeconfig), os.environ)
            return [f"{path}:{path.stat().st_mtime_ns}:{path.stat().st_size}" for path in paths if path.exists()]
        except Exception:  # a wrong --kubeconfig is kubectl's to complain of
            return []


def _start(command: list[str], part: Path) -> None:
    """kubectl, writing into a file of its own, in a session of its own: it may outlive us."""
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as output:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.DEVNULL,
                                       start_new_session=True)  # fmt: skip
        process.returncode = 0  # nobody waits for it, and nobody is to warn of that
    except OSError:
        part.unlink(missing_ok=True)


def _running(folder: Path, key: str) -> bool:
    return any(_age(part) < LIMIT for part in folder.glob(f"{key}.*"))


def _awaited(folder: Path, key: str, seconds: float) -> None:
    """Wait until no answer is outstanding, or until the time is up."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        _adopt(folder, key)
        if not _running(folder, key):
            return
        time.sleep(0.005)


def _adopt(folder: Path, key: str) -> None:
    """Take over what a kubectl has written whole; its last line is the directive."""
    for part in folder.glob(f"{key}.*"):
        lines = _lines(part)
        if lines and lines[-1].startswith(":"):
            if lines[-1] in (":0", ":1"):  # it failed, and would offer files instead
                part.unlink(missing_ok=True)
            else:
                os.replace(part, folder / key)
        elif _age(part) > 6 * LIMIT:
            part.unlink(missing_ok=True)


def _read(kept: Path) -> list[str]:
    return [line.partition("\t")[0] for line in _lines(kept) if line and not line.startswith((":", "_activeHelp_"))]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _age(path: Path) -> float:
    try:
        return max(0.0, time.time() - path.stat().st_mtime)
    except OSError:
        return float("inf")


def _tidied(folder: Path) -> None:
    """Keep the newest files only."""
    files = sorted(folder.iterdir(), key=_age)
    for path in files[MOST_FILES:]:
        path.unlink(missing_ok=True)


__all__ = ["FIRST_WAIT", "FRESH", "STALE", "WAIT", "Kubectl"]
