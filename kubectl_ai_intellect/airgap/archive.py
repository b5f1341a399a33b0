"""The plugin's archive: for which machine it is, and unpacking it without trusting a name in it."""

from __future__ import annotations

import platform
import re
import tarfile
from pathlib import Path, PurePosixPath

from kubectl_ai_intellect.airgap.listing import BundleError

PROGRAM, SHIM = "kubectl-intellect", "kubectl_complete-intellect"
LARGEST = 8 << 30
_PLATFORM = re.compile(r"(linux|darwin|windows)[-_.](amd64|arm64|x86_64|aarch64)", re.IGNORECASE)
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def here() -> str:
    """This machine as krew names it: linux/amd64."""
    machine = platform.machine().lower()
    return f"{platform.system().lower()}/{_MACHINES.get(machine, machine)}"


def platform_of(name: str) -> str:
    """The machine that an archive is for, by its name; this one's kind where the name does not tell."""
    found = _PLATFORM.search(name)
    if found is None:
        return here()
    machine = found[2].lower()
    return f"{found[1].lower()}/{_MACHINES.get(machine, machine)}"


def unpack(archive: Path, into: Path) -> Path:
    """Unpack the plugin; the path of its program. Only directories and regular files inside it are taken."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            members = tar.getmembers()
            if sum(member.size for member in members) > LARGEST:
                raise BundleError(
                    f"{archive.name} unpacks to more than {LARGEST >> 30} GiB; it is not the plugin's archive"
                )
            for member in members:
                _take(tar, member, into)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BundleError(f"{archive.name} cannot be unpacked: {error}; make the bundle again") from error
    programs = sorted(into.rglob(PROGRAM), key=lambda path: len(path.parts))
    found = next((path for path in programs if path.is_file()), None)
    if found is None:
        raise BundleError(f"{archive.name} holds no {PROGRAM}; give the plugin's archive with --archive")
    return found


def _take(tar: tarfile.TarFile, member: tarfile.TarInfo, into: Path) -> None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\\" in member.name or not member.name.isprintable():
        raise BundleError("the plugin's archive names a file outside of it; make the bundle again")
    target = into.joinpath(*path.parts)
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    source = tar.extractfile(member) if member.isreg() else None
    if source is None:
        raise BundleError(f"{member.name} in the plugin's archive is neither file nor directory; make the bundle again")
    target.parent.mkdir(parents=True, exist_ok=True)
    with source, target.open("xb") as output:
        while chunk := source.read(1 << 20):
            output.write(chunk)
    target.chmod(0o755 if member.mode & 0o100 else 0o644)


__all__ = ["PROGRAM", "SHIM", "here", "platform_of", "unpack"]
