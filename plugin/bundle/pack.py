"""Packing a directory so that krew unpacks it: only directories and regular files, the same bytes every time.

krew reads the archive into memory and refuses links, devices, absolute names and any name with two dots in a row.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path


class Unpackable(Exception):
    """A file that krew would refuse."""


def entries(folder: Path) -> Iterator[tuple[str, Path]]:
    """Names in the archive and what is read for them, sorted; links are followed if they stay inside."""
    inside = folder.resolve()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if ".." in name:
            raise Unpackable(f"{name}: krew refuses names with two dots in a row")
        if not path.resolve().is_relative_to(inside):
            raise Unpackable(f"{name}: a link that leads out of the archive")
        if path.is_symlink() and path.is_dir():
            raise Unpackable(f"{name}: a link to a directory")
        if not (path.is_dir() or path.is_file()):
            raise Unpackable(f"{name}: neither a directory nor a file")
        yield name, path


def tar_gz(folder: Path, archive: Path, when: int) -> None:
    """A reproducible tar.gz: fixed owner, time, order and modes."""
    with (
        archive.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=6, mtime=when) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT, bufsize=1 << 20) as tar,
    ):
        for name, path in entries(folder):
            entry = tarfile.TarInfo(name)
            entry.mtime = when
            entry.mode = mode(path)
            if path.is_dir():
                entry.type = tarfile.DIRTYPE
                tar.addfile(entry)
                continue
            data = path.read_bytes()
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


def zipped(folder: Path, archive: Path, when: int) -> None:
    """The same as a zip file, which Windows opens by itself."""
    stamp = datetime.fromtimestamp(max(when, 315532800), UTC).timetuple()[:6]
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as packed:
        for name, path in entries(folder):
            info = zipfile.ZipInfo(name + "/" if path.is_dir() else name, stamp)
            info.external_attr = (mode(path) | (0o040000 if path.is_dir() else 0o100000)) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(info, b"" if path.is_dir() else path.read_bytes())


def mode(path: Path) -> int:
    """Programs stay programs; nothing is writable by others or unreadable by them."""
    return 0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


__all__ = ["Unpackable", "entries", "sha256", "tar_gz", "zipped"]
