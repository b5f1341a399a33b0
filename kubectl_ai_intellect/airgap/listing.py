"""The list of a bundle's files and their digests, and reading a file only as the list says it is.

A bundle comes from a stick that others have held: names may lead elsewhere, files may be links, cut short or
changed. Each directory on the way to a file is opened without following links, and what was hashed is what is used.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import stat
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import BinaryIO

from kubectl_ai_intellect.errors import IntellectError
from kubectl_ai_intellect.evidence.redact import clean

SUMS, SIGNATURE, DESCRIPTION, README = "SHA256SUMS", "SHA256SUMS.sig", "bundle.json", "README.txt"
CHUNK = 1 << 20
MOST_FILES, LONGEST_LIST = 20_000, 8 << 20
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")

Progress = Callable[[int, int], None]


class BundleError(IntellectError):
    """A bundle that is not whole, or not what it says; nothing was installed."""


def safe(name: str) -> str:
    """The name, if it stays inside the bundle on every system."""
    parts = name.split("/")
    if (
        not name
        or len(name) > 500
        or any(part in ("", ".", "..") or part.endswith((" ", ".")) for part in parts)
        or any(each in name for each in "\\:")
        or not name.isprintable()
    ):
        raise BundleError(f"{SUMS} names a file that is none of a bundle's: {clean(name)[:80]}; make the bundle again")
    return name


def parsed(text: str) -> dict[str, str]:
    """Names and digests of a list as sha256sum writes it."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise BundleError(f"{SUMS}, line {number}: not a digest and a name; it was cut or altered, copy it again")
        name = safe(match[2])
        if name in found:
            raise BundleError(f"{SUMS}, line {number}: {name} is there twice; make the bundle again")
        found[name] = match[1]
    if not found or len(found) > MOST_FILES:
        raise BundleError(f"{SUMS} lists {len(found) or 'no'} files; copy it again")
    return found


def written(digests: Mapping[str, str]) -> str:
    return "".join(f"{digest}  {safe(name)}\n" for name, digest in sorted(digests.items()))


def small(root: Path, name: str, most: int = LONGEST_LIST) -> bytes:
    """A small file of the bundle as bytes."""
    with opened(root, name) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise BundleError(f"{name} is too large to be what it says; copy the bundle again")
    return data


@contextlib.contextmanager
def opened(root: Path, name: str) -> Generator[BinaryIO]:
    """A regular file of the bundle; neither it nor a directory on the way may be a link."""
    handle = -1
    try:
        handle = _opened(root, safe(name))
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise BundleError(f"{name} is not a regular file; make the bundle again")
        with os.fdopen(handle, "rb") as file:
            handle = -1
            yield file
    except FileNotFoundError:
        raise BundleError(f"{name} is missing in {root}; copy the bundle again") from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EMLINK):
            raise BundleError(f"{name} is a link, or lies behind one; make the bundle again") from None
        raise BundleError(f"cannot read {name}: {error.strerror}; copy the bundle again") from error
    finally:
        if handle >= 0:
            os.close(handle)


def _opened(root: Path, name: str) -> int:
    *directories, last = name.split("/")
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for each in directories:
            below = os.open(each, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = below
        # Not to hang on a pipe that stands there in the file's place.
        return os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=here)
    finally:
        os.close(here)


def checked(root: Path, name: str, digest: str, size: int, into: Path | None, progress: Progress | None = None) -> None:
    """Read a file and hold it against the list; what was read is what is kept, where it is kept."""
    read = hashlib.sha256()
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(opened(root, name))
        there = os.fstat(file.fileno()).st_size
        if there != size:
            how = "is cut short" if there < size else "is longer than it was"
            raise BundleError(f"{name} {how} ({there} of {size} bytes); nothing was installed, copy the bundle again")
        output = stack.enter_context(_made(into)) if into is not None else None
        while chunk := file.read(CHUNK):
            read.update(chunk)
            if output is not None:
                output.write(chunk)
            if progress is not None:
                progress(len(chunk), 0)
    if read.hexdigest() != digest:
        raise BundleError(
            f"{name} was altered (its sha256 is not the list's); nothing was installed, copy the bundle again"
        )


def _made(into: Path) -> BinaryIO:
    into.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return os.fdopen(os.open(into, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


__all__ = [
    "DESCRIPTION",
    "README",
    "SIGNATURE",
    "SUMS",
    "BundleError",
    "Progress",
    "checked",
    "opened",
    "parsed",
    "safe",
    "small",
    "written",
]
