"""A root file system held in memory, and the layer archive it becomes.

Packages are read straight from their archives, so that nothing needs root, and the same packages always give
the same bytes: names sorted, times fixed, owners as numbers.
"""

from __future__ import annotations

import fnmatch
import hashlib
import io
import posixpath
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

EPOCH = 1577836800
"""2020-01-01: every file's time."""

MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
"""Directories that are links into /usr on Debian since its packages stopped carrying them apart."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, directory or link."""

    kind: Literal["file", "dir", "link", "hardlink"]
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    data: bytes = b""
    target: str = ""


def merged(path: str) -> str:
    """The path within the root, without a leading slash and with /bin, /lib … led to /usr."""
    clean = posixpath.normpath(path.lstrip("/")).removeprefix("./")
    first = clean.partition("/")[0]
    return f"usr/{clean}" if first in MERGED else clean


class Tree:
    """What will be one layer: a path to an entry each, links to hard data checked when it is written."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}

    def file(self, path: str, data: bytes | str, mode: int = 0o644, owner: int = 0) -> None:
        content = data.encode() if isinstance(data, str) else data
        self.entries[merged(path)] = Entry("file", mode, owner, owner, content)

    def directory(self, path: str, mode: int = 0o755, owner: int = 0) -> None:
        self.entries[merged(path)] = Entry("dir", mode, owner, owner)

    def link(self, path: str, target: str) -> None:
        self.entries[merged(path)] = Entry("link", 0o777, target=target)

    def merge_usr(self) -> None:
        """The links that make /bin and its like one with /usr."""
        for name in (*MERGED[:3], "lib64"):
            self.directory(f"usr/{name}")
            self.entries[name] = Entry("link", 0o777, target=f"usr/{name}")

    def unpack(self, archive: IO[bytes], dropped: Iterable[str] = ()) -> None:
        """A package's files, but for those that match a dropped pattern."""
        patterns = tuple(dropped)
        with tarfile.open(fileobj=archive, mode="r|*") as members:
            for member in members:
                path = merged(member.name)
                if path in (".", *MERGED) or any(fnmatch.fnmatchcase(path, each) for each in patterns):
                    continue
                entry = _entry(member, members)
                if entry and not (entry.kind == "dir" and path in self.entries):
                    self.entries[path] = entry

    def matching(self, pattern: str) -> list[str]:
        return sorted(path for path in self.entries if fnmatch.fnmatchcase(path, pattern))

    def _with_parents(self) -> dict[str, Entry]:
        whole = dict(self.entries)
        for path in self.entries:
            parent = posixpath.dirname(path)
            while parent and parent not in whole:
                whole[parent] = Entry("dir", 0o755)
                parent = posixpath.dirname(parent)
        return whole

    def write(self, into: Path) -> str:
        """Write the layer; its sha256, which names it."""
        whole = self._with_parents()
        # Hard links must follow what they are linked to.
        order = sorted(whole, key=lambda path: (whole[path].kind == "hardlink", path))
        with tarfile.open(into, "w", format=tarfile.PAX_FORMAT) as layer:
            for path in order:
                layer.addfile(*_member(path, whole[path]))
        with into.open("rb") as written:
            return hashlib.file_digest(written, "sha256").hexdigest()


def _entry(member: tarfile.TarInfo, members: tarfile.TarFile) -> Entry | None:
    mode, uid, gid = member.mode & 0o7777, member.uid, member.gid
    if member.isdir():
        return Entry("dir", mode, uid, gid)
    if member.issym():
        return Entry("link", 0o777, target=member.linkname)
    if member.islnk():
        return Entry("hardlink", mode, uid, gid, target=merged(member.linkname))
    content = members.extractfile(member) if member.isfile() else None
    return Entry("file", mode, uid, gid, content.read()) if content else None


_TYPES = {
    "file": tarfile.REGTYPE,
    "dir": tarfile.DIRTYPE,
    "link": tarfile.SYMTYPE,
    "hardlink": tarfile.LNKTYPE,
}


def _member(path: str, entry: Entry) -> tuple[tarfile.TarInfo, IO[bytes] | None]:
    info = tarfile.TarInfo(path)
    info.type, info.mode, info.uid, info.gid = _TYPES[entry.kind], entry.mode, entry.uid, entry.gid
    info.mtime, info.linkname, info.size = EPOCH, entry.target, len(entry.data)
    return info, io.BytesIO(entry.data) if entry.kind == "file" else None


__all__ = ["EPOCH", "Entry", "Tree", "merged"]
