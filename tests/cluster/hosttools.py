"""What a node needs of its machine: runc, nft, conntrack, ip; from Debian's packages, installed nowhere.

The packages are unpacked into the cache, and each program gets a small script there that finds its libraries.
Where there is no apt, the machine's own programs are used.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.cluster.cache import Lacking, cache_root, digest, entry, say
from tests.cluster.images.debian import AptFailed, Packages, missing_tools

PROGRAMS = {"runc": "runc", "nft": "nftables", "conntrack": "conntrack", "ip": "iproute2"}
# The C library and what comes with it must be the machine's own: its loader starts the program.
OF_THE_MACHINE = ("libc6", "libgcc-s1", "gcc-*-base", "libcrypt1", "debconf*", "adduser", "perl*", "libdb5*")


def ensure_host_tools() -> Path:
    """A directory with the programs, to be put first on PATH."""
    if missing_tools():
        return _from_machine("there is no apt here")
    release = Path("/etc/os-release")
    known = release.read_bytes() if release.exists() else b""
    name = f"hosttools-{digest([known, *PROGRAMS.values(), Path(__file__).read_bytes()])}"
    try:
        return entry(name, lambda work: _unpack(work, cache_root() / name)) / "bin"
    except AptFailed as problem:
        return _from_machine(str(problem))


def _unpack(work: Path, final: Path) -> None:
    say(f"fetching {', '.join(PROGRAMS.values())} from Debian (once)")
    with tempfile.TemporaryDirectory() as scratch:
        for package in Packages(Path(scratch)).fetch(PROGRAMS.values(), OF_THE_MACHINE):
            subprocess.run(["dpkg-deb", "-x", str(package), str(work / "root")], check=True)
    root = work / "root"
    libraries = sorted({file.parent for file in root.rglob("*.so.*")})
    search = ":".join(str(final / each.relative_to(work)) for each in libraries)
    scripts = work / "bin"
    scripts.mkdir()
    for program, package in PROGRAMS.items():
        found = [root / place / program for place in ("usr/sbin", "usr/bin", "sbin", "bin")]
        binary = next((each for each in found if each.is_file()), None)
        if binary is None:
            raise AptFailed(f"the package {package} holds no {program}")
        script = scripts / program
        real = final / binary.relative_to(work)
        script.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH="{search}" exec "{real}" "$@"\n')
        script.chmod(0o755)


def _from_machine(reason: str) -> Path:
    lacking = [program for program in PROGRAMS if not shutil.which(program)]
    if lacking:
        raise Lacking(f"the real node needs {', '.join(lacking)}: install {_packages(lacking)} ({reason})")
    found = {program: str(shutil.which(program)) for program in PROGRAMS}

    def link(work: Path) -> None:
        (work / "bin").mkdir()
        for program, path in found.items():
            (work / "bin" / program).symlink_to(path)

    return entry(f"hosttools-{digest(found.values())}", link) / "bin"


def _packages(programs: list[str]) -> str:
    return " ".join(PROGRAMS[program] for program in programs)
