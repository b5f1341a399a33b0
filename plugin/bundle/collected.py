"""What went into the bundle and whose it is: Python distributions, the system's libraries, the rest.

Read from PyInstaller's list of collected files, so that nothing is named that is not inside and nothing is
forgotten that is.
"""

from __future__ import annotations

import json
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import Distribution, distributions
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Component:
    """Something in the archive that others wrote."""

    name: str
    version: str
    licence: str
    kind: str  # pypi, deb, rpm, or generic
    texts: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    sha256: str = ""
    source: str = ""


def from_report(report: Path, extra_site: Path) -> list[Component]:
    """The components behind a list of collected files: [name in the bundle, source file, kind]."""
    rows: list[tuple[str, str, str]] = json.loads(report.read_text())
    sources = {Path(source).resolve(): kind for _, source, kind in rows if source and Path(source).is_absolute()}
    owners = _owners([*sys.path, str(extra_site)])
    found: dict[str, Component] = {}
    rest: list[Path] = []
    for source, kind in sorted(sources.items()):
        owner = owners.get(source)
        if owner is not None:
            component = _python(owner)
            found.setdefault(component.name, component)
        elif kind == "BINARY" and not _standard_library(source):
            rest.append(source)
    for component in [_interpreter(), *_system(rest)]:
        found.setdefault(component.name, component)
    found.pop("kubectl-ai-intellect", None)
    return sorted(found.values(), key=lambda each: each.name.lower())


def _owners(path: list[str]) -> dict[Path, Distribution]:
    """File to distribution, by what each distribution recorded at installation."""
    owners: dict[Path, Distribution] = {}
    for distribution in distributions(path=path):
        for file in distribution.files or ():
            if not file.name.endswith(".pyc"):
                owners[Path(str(distribution.locate_file(file))).resolve()] = distribution
    return owners


@cache
def _texts(distribution: Distribution) -> tuple[tuple[str, str], ...]:
    """Licence files of a distribution, by name."""
    found: dict[str, str] = {}
    for file in distribution.files or ():
        if ".dist-info/" in str(file) and re.match(r"(licen[cs]e|copying|notice|authors)", file.name, re.IGNORECASE):
            path = Path(str(distribution.locate_file(file)))
            if path.is_file():
                found[str(file).partition(".dist-info/")[2]] = path.read_text(encoding="utf-8", errors="replace")
    return tuple(sorted(found.items()))


def _python(distribution: Distribution) -> Component:
    name = re.sub(r"[-_.]+", "-", distribution.name).lower()
    return Component(name, distribution.version, licence_of(distribution), "pypi", _texts(distribution))


def licence_of(distribution: Distribution) -> str:
    """The licence as its metadata tells it: an expression, a classifier, or a short field."""
    metadata = distribution.metadata
    if expression := metadata.get("License-Expression"):
        return expression
    classified = [
        value.rpartition(":: ")[2] for value in metadata.get_all("Classifier") or () if value.startswith("License ::")
    ]
    if classified:
        return " OR ".join(classified)
    first = (metadata.get("License") or "").strip().splitlines()
    return first[0].strip() if first and len(first[0]) < 80 else "see its text"


def _standard_library(path: Path) -> bool:
    home = Path(sysconfig.get_path("stdlib")).resolve()
    return (path.is_relative_to(home) and "site-packages" not in path.parts) or path.name.startswith("libpython")


def _interpreter() -> Component:
    folder = Path(sys.base_prefix) / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    candidates = [folder / "LICENSE.txt", Path(sys.base_prefix) / "LICENSE.txt"]
    texts = tuple((path.name, path.read_text(errors="replace")) for path in candidates if path.is_file())[:1]
    return Component("cpython", platform.python_version(), "PSF-2.0", "generic", texts)


def _system(paths: Iterable[Path]) -> list[Component]:
    """Libraries of the system's packages; what belongs to no package is left to the caller's own list."""
    found: dict[str, Component] = {}
    for path in paths:
        component = _debian(path) if shutil.which("dpkg-query") else _redhat(path) if shutil.which("rpm") else None
        if component is not None:
            found.setdefault(component.name, component)
    return list(found.values())


def _output(*command: str) -> str:
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    return ran.stdout.strip() if ran.returncode == 0 else ""


def _debian(path: Path) -> Component | None:
    owner = ""
    for spelling in {str(path), str(path).removeprefix("/usr")}:
        owner = owner or _output("dpkg-query", "--search", spelling).partition(": ")[0].split(",")[0]
    if not owner:
        return None
    name = owner.partition(":")[0]
    version = _output("dpkg-query", "--show", "--showformat=${Version}", owner)
    copyright_file = Path("/usr/share/doc") / name / "copyright"
    text = copyright_file.read_text(errors="replace") if copyright_file.is_file() else ""
    named = re.findall(r"^License: *(\S.*)$", text, re.MULTILINE)
    licence = ", ".join(dict.fromkeys(named)) or "see its text"
    return Component(name, version, licence, "deb", (("copyright", text),) if text else ())


def _redhat(path: Path) -> Component | None:
    form = "%{NAME}\t%{VERSION}-%{RELEASE}\t%{LICENSE}"
    fields = _output("rpm", "--query", "--file", "--queryformat", form, str(path)).split("\t")
    if len(fields) != 3:
        return None
    name, version, licence = fields
    folder = Path("/usr/share/licenses") / name
    files = sorted(each for each in folder.glob("*") if each.is_file()) if folder.is_dir() else []
    texts = tuple((each.name, each.read_text(errors="replace")) for each in files)
    return Component(name, version, licence, "rpm", texts)


__all__ = ["Component", "from_report", "licence_of"]
