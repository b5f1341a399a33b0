"""Fetching a model: resumed where it was cut, checked by digest, never half in place.

The bytes go into a `.part` file beside the target, which survives a cut connection, a full disk and Ctrl-C;
the next try goes on from there if the server still has the same file.
"""

from __future__ import annotations

import contextlib
import errno
import json
import re
import shutil
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from kubectl_ai_intellect import places
from kubectl_ai_intellect.gateway.llama.gguf import NotAModel, read_header
from kubectl_ai_intellect.gateway.models import installed
from kubectl_ai_intellect.gateway.models.catalogue import Entry
from kubectl_ai_intellect.gateway.models.installed import Installed, Progress
from kubectl_ai_intellect.gateway.protocol import ModelError
from kubectl_ai_intellect.locks import try_lock

if TYPE_CHECKING:
    import httpx

ATTEMPTS = 6
_DIGEST = re.compile(r'^(?:W/)?"?(?P<sha256>[0-9a-f]{64})"?$')


@dataclass(frozen=True, slots=True)
class Fetch:
    """One file to fetch."""

    url: str
    target: Path
    sha256: str = ""
    progress: Progress | None = None
    pause: Callable[[float], None] = time.sleep

    @property
    def part(self) -> Path:
        return self.target.with_name(self.target.name + ".part")

    @property
    def note(self) -> Path:
        """Which file the part is a part of."""
        return self.target.with_name(self.target.name + ".part.json")


class _Cut(Exception):
    """The connection ended too early; the part grows with every try."""


def pull(entry: Entry, mirror: str = "", progress: Progress | None = None) -> Installed:
    """Fetch a catalogue entry and register it; one that is there and whole is left alone."""
    have = installed.installed().get(entry.name)
    if have is not None and have.unchanged and entry.sha256 in ("", have.sha256):
        return have
    target = places.private(installed.directory()) / entry.file
    url = entry.url(mirror)
    digest = fetch(Fetch(url, target, entry.sha256, progress))
    return installed.register(entry.name, target, digest, url)


def fetch(wanted: Fetch) -> str:
    """Fetch, check and put in place; the digest."""
    with _alone(wanted.part):
        named = _download(wanted)
        expected = wanted.sha256 or named
        digest = installed.hash_file(wanted.part)
        if expected and digest != expected:
            _forget(wanted)
            raise ModelError(f"{wanted.target.name} has sha256 {digest}, expected {expected}; deleted, pull it again")
        try:
            installed.refuse_unfit(read_header(wanted.part), wanted.target.name)
        except NotAModel:
            _forget(wanted)
            raise
        wanted.part.replace(wanted.target)
        wanted.note.unlink(missing_ok=True)
        return digest


@contextmanager
def _alone(part: Path) -> Generator[None]:
    """One fetch of a file at a time."""
    try:
        lock = part.with_suffix(".lock").open("w")
    except OSError as error:
        raise ModelError(f"cannot write to {part.parent}: {error.strerror}") from error
    with lock:
        if not try_lock(lock):
            raise ModelError(f"{part.stem} is being fetched by another process; wait for it")
        try:
            yield
        finally:
            Path(lock.name).unlink(missing_ok=True)


def _download(wanted: Fetch) -> str:
    """Bring the part to its full length; the digest the server names, if it names one."""
    import httpx

    stuck = 0
    with httpx.Client(follow_redirects=True, timeout=httpx.Timeout(60, connect=15)) as client:
        while True:
            before = _size(wanted.part)
            try:
                return _attempt(client, wanted, before)
            except (httpx.TransportError, _Cut) as error:
                stuck = 0 if _size(wanted.part) > before else stuck + 1
                if stuck >= ATTEMPTS or (isinstance(error, httpx.ConnectError) and stuck >= 2):
                    raise ModelError(
                        f"cannot fetch {wanted.url}: {str(error) or type(error).__name__}; "
                        f"{_size(wanted.part)} bytes are kept, pull again to go on"
                    ) from None
                wanted.pause(min(0.2 * 2**stuck, 5))
            except httpx.InvalidURL as error:
                raise ModelError(f"{wanted.url} is no address: {error}") from None


def _attempt(client: httpx.Client, wanted: Fetch, have: int) -> str:
    tag = _noted_tag(wanted) if have else ""
    if have and not tag:
        _forget(wanted)
        have = 0
    headers = {"accept-encoding": "identity"}
    if have:
        headers |= {"range": f"bytes={have}-", "if-range": tag}
    with client.stream("GET", wanted.url, headers=headers) as response:
        if response.status_code == 416:  # the part is whole, or longer than the file now is
            total = _total(response)
            if total == have:
                return _named_digest(response)
            _forget(wanted)
            raise _Cut("the file has changed on the server")
        if response.status_code not in (200, 206):
            if response.status_code >= 500 or response.status_code == 429:
                raise _Cut(f"status {response.status_code}")
            raise ModelError(_refusal(wanted, response.status_code))
        start = have if response.status_code == 206 else 0
        total = _total(response)
        _check_room(wanted, total - start)
        _note(wanted, response)
        _receive(response, wanted, start, total)
        return _named_digest(response)


def _receive(response: httpx.Response, wanted: Fetch, start: int, total: int) -> None:
    try:
        with wanted.part.open("r+b" if start else "wb") as file:
            file.seek(start)
            file.truncate()
            done = start
            for chunk in response.iter_raw():  # as they arrive: a cut loses nothing that had come
                _write(file, chunk)
                done += len(chunk)
                if wanted.progress is not None:
                    wanted.progress(done, total)
    except OSError as error:
        raise ModelError(_disk_trouble(error, wanted)) from error
    if total and done < total:
        raise _Cut(f"the connection ended after {done} of {total} bytes")


def _write(file: BinaryIO, chunk: bytes) -> None:
    file.write(chunk)


def _disk_trouble(error: OSError, wanted: Fetch) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        free = shutil.disk_usage(wanted.part.parent).free
        return (
            f"no room for {wanted.target.name} in {wanted.part.parent} ({free >> 20} MiB free); "
            f"{_size(wanted.part)} bytes are kept, make room and pull again to go on"
        )
    return f"cannot write {wanted.part}: {error.strerror}"


def _check_room(wanted: Fetch, needed: int) -> None:
    """Say so before gigabytes have come over the wire."""
    free = shutil.disk_usage(wanted.part.parent).free
    if needed > free:
        raise ModelError(
            f"{wanted.target.name} needs {needed >> 20} MiB more, {wanted.part.parent} has {free >> 20} MiB free"
        )


def _total(response: httpx.Response) -> int:
    """The whole file's length; 0 if the server does not say."""
    whole = response.headers.get("content-range", "").rpartition("/")[2]
    if whole.isdigit():
        return int(whole)
    length = response.headers.get("content-length", "")
    return int(length) if length.isdigit() and response.status_code == 200 else 0


def _named_digest(response: httpx.Response) -> str:
    """The hub names a large file's sha256 in a header of the answer or of the redirect to it."""
    for one in (*response.history, response):
        for header in ("x-linked-etag", "x-checksum-sha256"):
            if found := _DIGEST.match(one.headers.get(header, "")):
                return found["sha256"]
    return ""


def _note(wanted: Fetch, response: httpx.Response) -> None:
    tag = response.headers.get("etag", "") or response.headers.get("last-modified", "")
    tag = "" if tag.startswith("W/") else tag  # a weak tag does not promise the same bytes
    with contextlib.suppress(OSError):
        wanted.note.write_text(json.dumps({"url": wanted.url, "tag": tag}), encoding="utf-8")


def _noted_tag(wanted: Fetch) -> str:
    try:
        noted = json.loads(wanted.note.read_text(encoding="utf-8"))
        return str(noted["tag"]) if noted["url"] == wanted.url else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _refusal(wanted: Fetch, status: int) -> str:
    if status in (401, 403):
        return f"{wanted.url} wants a login ({status}); fetch the file yourself and `model import` it"
    if status == 404:
        return f"{wanted.url} is not there (404); check --mirror, or fetch the file yourself and `model import` it"
    return f"{wanted.url} answered {status}"


def _forget(wanted: Fetch) -> None:
    wanted.part.unlink(missing_ok=True)
    wanted.note.unlink(missing_ok=True)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


__all__ = ["Fetch", "fetch", "pull"]
