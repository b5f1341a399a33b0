"""Where built and fetched things are kept between runs, and how two runs share that place.

Every entry is a directory named by a hash of what went into it. It is filled under another name and renamed
when it is whole, under a lock: a reader sees all of it or nothing, and two runs never build the same thing.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path


class Lacking(RuntimeError):
    """This machine lacks something the cluster needs; the message says what, and how to get it."""


def cache_root() -> Path:
    """The directory of all cached entries, created on first use."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    root = Path(base) / "kubectl-intellect" / "cluster"
    root.mkdir(parents=True, exist_ok=True)
    return root


def digest(parts: Iterable[bytes | str]) -> str:
    """A short content hash over the parts, in their order."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "big") + data)
    return total.hexdigest()[:16]


def say(line: str) -> None:
    """One line of progress, on stderr, so that stdout stays free for results."""
    print(f"[cluster] {line}", file=sys.stderr, flush=True)


@contextmanager
def locked(path: Path) -> Generator[None]:
    """Hold an exclusive lock; the kernel releases it when the holder dies, however it dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another run that prepares {path.stem}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def entry(name: str, fill: Callable[[Path], None]) -> Path:
    """The cached directory `name`; `fill` makes its content the first time it is wanted."""
    final = cache_root() / name
    if final.is_dir():
        return final
    with locked(cache_root() / ".locks" / f"{name}.lock"):
        if final.is_dir():
            return final
        _sweep(name)
        work = Path(tempfile.mkdtemp(prefix=f".part-{name}-", dir=cache_root()))
        try:
            work.chmod(0o755)
            fill(work)
            work.rename(final)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return final


def prune(kept: Iterable[str]) -> list[str]:
    """Remove all entries but these; entries of another name than ours are not looked at."""
    keep = set(kept)
    prefixes = {name.rpartition("-")[0] for name in keep}
    gone: list[str] = []
    for path in sorted(cache_root().iterdir()):
        if path.name not in keep and path.name.rpartition("-")[0] in prefixes:
            shutil.rmtree(path, ignore_errors=True)
            gone.append(path.name)
    return gone


def _sweep(name: str) -> None:
    """Remove what an interrupted run left half made; its lock is ours now, so nobody works there."""
    for stale in cache_root().glob(f".part-{name}-*"):
        shutil.rmtree(stale, ignore_errors=True)


def clock() -> Callable[[], str]:
    """A stopwatch that reads itself out as text."""
    start = time.monotonic()
    return lambda: f"{time.monotonic() - start:.0f} s"
