"""What the finished binaries ask of the machine: the C library's version, other libraries, CPU instructions.

Read from the files themselves. A library that picks its code when it runs (OpenBLAS, NumPy, OpenSSL) holds newer
instructions than it needs; llama.cpp's own are checked to hold none outside the files it chooses among.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

# What every Linux with glibc brings; all else must be in the archive.
SYSTEM = re.compile(r"^(libc|libm|libdl|librt|libpthread|libutil|libresolv|ld-linux[\w-]*)\.so\.\d+$")
# Instructions by x86-64 level, by what only they are called or use.
LEVELS = (
    (4, re.compile(rb"%zmm\d|\{%k[1-7]\}")),
    (3, re.compile(rb"\tv[a-z]+\w* [^\n]*%[xy]mm|\t(?:mulx|pdep|pext|shlx|sarx|shrx|rorx|andn|bzhi) ")),
    (2, re.compile(rb"\t(?:pshufb|popcnt|ptest|pmulld|pminsd|pextrd|pinsrd|roundsd|crc32\w|pcmpgtq|blendvps) ")),
)


@dataclass(frozen=True, slots=True)
class Binary:
    """One ELF file of the bundle."""

    name: str
    glibc: tuple[int, ...]
    needed: tuple[str, ...]
    search: tuple[str, ...]


def read(folder: Path) -> list[Binary]:
    """Every ELF file below the folder."""
    found: list[Binary] = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                if file.read(4) == b"\x7fELF":
                    found.append(_binary(path.relative_to(folder).as_posix(), ELFFile(file)))
    return found


def _binary(name: str, elf: ELFFile) -> Binary:
    glibc: tuple[int, ...] = ()
    needed: list[str] = []
    search: list[str] = []
    for section in elf.iter_sections():
        if isinstance(section, GNUVerNeedSection):
            names = [each.name for _, versions in section.iter_versions() for each in versions]
            wanted = [tuple(map(int, each[6:].split("."))) for each in names if re.fullmatch(r"GLIBC_[\d.]+", each)]
            glibc = max([glibc, *wanted])
        elif isinstance(section, DynamicSection):
            for tag in section.iter_tags():
                if tag.entry.d_tag == "DT_NEEDED":
                    needed.append(tag.needed)
                elif tag.entry.d_tag in ("DT_RPATH", "DT_RUNPATH"):
                    search += getattr(tag, "rpath", getattr(tag, "runpath", "")).split(":")
    return Binary(name, glibc, tuple(needed), tuple(search))


def glibc_floor(binaries: Iterable[Binary]) -> tuple[tuple[int, ...], list[str]]:
    """The C library's least version, and the files that ask for it."""
    binaries = list(binaries)
    floor = max((binary.glibc for binary in binaries), default=())
    return floor, [binary.name for binary in binaries if binary.glibc == floor]


def missing(folder: Path, binaries: Iterable[Binary], inside: str = "_internal") -> list[str]:
    """Libraries that are neither in the archive where they are looked for nor part of every system."""
    binaries = list(binaries)
    loaded_by_name = {Path(binary.name).name for binary in binaries if Path(binary.name).parent.as_posix() == inside}
    lacking: list[str] = []
    for binary in binaries:
        home = folder / Path(binary.name).parent
        places = [Path(str(home) if not entry else entry.replace("$ORIGIN", str(home))) for entry in binary.search]
        # llama.cpp's variants are loaded when the libraries beside them are in the process already.
        places.append(home)
        for name in binary.needed:
            if SYSTEM.match(name) or name in loaded_by_name or any((place / name).is_file() for place in places):
                continue
            lacking.append(f"{binary.name} needs {name}")
    return lacking


def instruction_level(path: Path) -> int | None:
    """The highest x86-64 level among the instructions in a file (1 to 4); None where no disassembler is."""
    objdump = shutil.which("objdump")
    if objdump is None:
        return None
    command = [objdump, "--disassemble", "--no-show-raw-insn", "--no-addresses", str(path)]
    level = 1
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        rest = b""
        while chunk := process.stdout.read(1 << 22):
            text, _, rest = (rest + chunk).rpartition(b"\n")
            level = max(level, next((number for number, known in LEVELS if number > level and known.search(text)), 1))
            if level == LEVELS[0][0]:
                process.kill()
                break
    return level


__all__ = ["Binary", "glibc_floor", "instruction_level", "missing", "read"]
