"""Filling the manifest's template from the archives that were built."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

NAME = "intellect"
FALLBACK = "ai-intellect"  # should `intellect` be judged too general for the index
REPOSITORY = "kubectl-ai-intellect/kubectl-ai-intellect"
GLIBC = "2.28"  # the release is built in manylinux_2_28
PLATFORMS = (
    ("linux", "amd64"),
    ("linux", "arm64"),
    ("darwin", "amd64"),
    ("darwin", "arm64"),
    ("windows", "amd64"),
)
UNRELEASED = "0" * 64  # matches no file: what an install of something never built must fail with
PLATFORM = Template("""\
    - selector:
        matchLabels:
          os: ${os}
          arch: ${arch}
      uri: https://github.com/${repository}/releases/download/v${version}/${archive}
      sha256: "${sha256}"
      files:
        - from: ${binary}
          to: .
        - from: _internal/*
          to: _internal
        - from: LICENSE
          to: .
        - from: THIRD_PARTY_NOTICES
          to: .
${more}      bin: ${binary}
""")


SHIM = """\
        - from: kubectl_complete-intellect
          to: .
"""


@dataclass(frozen=True, slots=True)
class Release:
    """What changes from one release to the next, or where the plugin is published."""

    version: str
    name: str = NAME
    repository: str = REPOSITORY
    glibc: str = GLIBC


def archive_name(version: str, os: str, arch: str) -> str:
    return f"kubectl-intellect-{version}-{os}-{arch}{'.zip' if os == 'windows' else '.tar.gz'}"


def built(version: str, dist: Path) -> dict[tuple[str, str], str]:
    """The sha256 of each archive of this version that is there."""
    found: dict[tuple[str, str], str] = {}
    for os, arch in PLATFORMS:
        archive = dist / archive_name(version, os, arch)
        if archive.is_file():
            with archive.open("rb") as file:
                found[os, arch] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def filled(release: Release, digests: Mapping[tuple[str, str], str]) -> str:
    """The manifest for these platforms."""
    platforms = "".join(
        _platform(release, os, arch, digests[os, arch]) for os, arch in PLATFORMS if (os, arch) in digests
    )
    template = Template((Path(__file__).with_name("template.yaml")).read_text(encoding="utf-8"))
    return template.substitute(
        name=release.name,
        version=release.version,
        repository=release.repository,
        glibc=release.glibc,
        platforms=platforms.rstrip("\n"),
    )


def _platform(release: Release, os: str, arch: str, sha256: str) -> str:
    return PLATFORM.substitute(
        os=os,
        arch=arch,
        repository=release.repository,
        version=release.version,
        archive=archive_name(release.version, os, arch),
        sha256=sha256,
        more="" if os == "windows" else SHIM,
        binary="kubectl-intellect.exe" if os == "windows" else "kubectl-intellect",
    )


__all__ = ["FALLBACK", "NAME", "PLATFORMS", "UNRELEASED", "Release", "archive_name", "built", "filled"]
