"""What `krew install --manifest FILE --archive FILE` does, step by step, for machines that have no krew.

The manifest's platform for this machine, the digest, the archive unpacked from memory, the moves of the file list
into the store, and a link on PATH that is all kubectl sees.
"""

from __future__ import annotations

import glob
import hashlib
import io
import platform
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

from plugin.krew import rules

OSES = {"linux": "linux", "darwin": "darwin", "win32": "windows"}
ARCHES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


class Refused(Exception):
    """krew would stop here."""


def here(manifest: dict[str, Any]) -> dict[str, Any]:
    """The platform entry for this machine."""
    labels = {"os": OSES[sys.platform], "arch": ARCHES[platform.machine().lower()]}
    for each in rules.platforms(manifest):
        if each["selector"]["matchLabels"] == labels:
            return each
    raise Refused(f"plugin is not available for {labels}")


def install(manifest_file: Path, archive: Path, krew_root: Path) -> Path:
    """Install; the directory to put on PATH."""
    manifest = rules.read(manifest_file)
    if problems := rules.problems(manifest_file.read_text()):
        raise Refused("; ".join(problems))
    chosen = here(manifest)
    data = archive.read_bytes()
    if hashlib.sha256(data).hexdigest() != chosen["sha256"]:
        raise Refused("checksum does not match")
    if problems := rules.archive_problems(data, chosen):
        raise Refused("; ".join(problems))
    downloads = krew_root / "download"
    unpack(data, downloads)
    store = krew_root / "store" / manifest["metadata"]["name"] / manifest["spec"]["version"]
    store.mkdir(parents=True)
    for move in chosen["files"]:
        moved(downloads, store, move)
    shutil.rmtree(downloads)
    return linked(store / chosen["bin"], manifest["metadata"]["name"], krew_root / "bin")


def unpack(data: bytes, target: Path) -> None:
    """Directories and regular files with the modes they were packed with, as the umask lets through."""
    target.mkdir(parents=True)
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            packed.extractall(target)
        return
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
        for entry in tar:
            path = target / entry.name
            if entry.isdir():
                path.mkdir(parents=True, exist_ok=True)
                continue
            content = tar.extractfile(entry)
            assert content is not None
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.read())
            path.chmod(entry.mode & 0o755)


def moved(source: Path, store: Path, move: dict[str, str]) -> None:
    """One entry of the file list: a path, or a pattern whose matches keep their names."""
    direct = source / move["from"]
    found = [direct] if direct.exists() else [Path(each) for each in sorted(glob.glob(str(direct)))]
    if not found:
        raise Refused(f"no files in the plugin archive match {move['from']}")
    for path in found:
        target = store / move["to"] / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, target)


def linked(binary: Path, name: str, folder: Path) -> Path:
    folder.mkdir(parents=True)
    link = folder / f"kubectl-{name.replace('-', '_')}"
    link.symlink_to(binary)
    return folder


__all__ = ["Refused", "here", "install"]
