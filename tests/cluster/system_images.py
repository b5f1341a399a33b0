"""Images of the cluster's own programs, each one static binary, in archives that `ctr` imports."""

from __future__ import annotations

import os
from pathlib import Path

from tests.cluster.build import Binaries, pinned_version
from tests.cluster.cache import digest, entry
from tests.cluster.images.oci import Run, write_archive
from tests.cluster.images.tree import Tree

# Program to (group, module whose version is the tag, repository).
_PROGRAMS = {
    "coredns": ("coredns", "github.com/coredns/coredns", "registry.k8s.io/coredns/coredns"),
    "metrics-server": (
        "metrics-server",
        "sigs.k8s.io/metrics-server",
        "registry.k8s.io/metrics-server/metrics-server",
    ),
}
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def references() -> dict[str, str]:
    """Program to the name of its image."""
    return {
        name: f"{repository}:{pinned_version(group, module)}" for name, (group, module, repository) in _PROGRAMS.items()
    }


def ensure_system_images(binaries: Binaries) -> list[Path]:
    """One archive per program."""
    archives: list[Path] = []
    for program, reference in references().items():
        binary = binaries[program]
        name = f"image-{program}-{digest([str(binary.parent.parent.name), reference])}"

        def fill(work: Path, binary: Path = binary, reference: str = reference) -> None:
            _write(work, binary, reference)

        archives.append(entry(name, fill) / "image.tar")
    return archives


def _write(work: Path, binary: Path, reference: str) -> None:
    tree = Tree()
    tree.file(binary.name, binary.read_bytes(), 0o755)
    tree.directory("tmp", 0o1777)
    tree.file("etc/passwd", "root:x:0:0::/root:/bin/false\n")
    layer = work / "layer"
    tree.write(layer)
    machine = os.uname().machine
    architecture = _ARCHITECTURES.get(machine, machine)
    run = Run(entrypoint=(f"/{binary.name}",))
    write_archive(work / "image.tar", reference, architecture, [layer], run)
    layer.unlink()
