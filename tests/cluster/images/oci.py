"""An OCI image archive: layers and a configuration in, one tar out that any runtime can import."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster.images.tree import EPOCH

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass(frozen=True, slots=True)
class Run:
    """How the image starts when the pod says nothing else."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    workdir: str = "/"
    env: tuple[tuple[str, str], ...] = ()
    ports: tuple[int, ...] = field(default=())

    def config(self) -> dict[str, Any]:
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        settings: dict[str, Any] = {
            "Env": [f"{name}={value}" for name, value in (("PATH", path), *self.env)],
            "WorkingDir": self.workdir,
        }
        if self.entrypoint:
            settings["Entrypoint"] = list(self.entrypoint)
        if self.command:
            settings["Cmd"] = list(self.command)
        if self.user:
            settings["User"] = self.user
        if self.ports:
            settings["ExposedPorts"] = {f"{port}/tcp": {} for port in self.ports}
        return settings


def write_archive(into: Path, reference: str, architecture: str, layers: Sequence[Path], run: Run) -> None:
    """The archive, with the layers in the order in which they lie upon each other."""
    digests = [_digest(layer) for layer in layers]
    config = _json(
        {
            "architecture": architecture,
            "os": "linux",
            "created": "2020-01-01T00:00:00Z",
            "config": run.config(),
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": _descriptor(CONFIG, config),
            "layers": [
                {"mediaType": LAYER, "digest": f"sha256:{digest}", "size": layer.stat().st_size}
                for digest, layer in zip(digests, layers, strict=True)
            ],
        }
    )
    naming = {
        "io.containerd.image.name": reference,
        "org.opencontainers.image.ref.name": reference.rpartition(":")[2],
    }
    platform = {"architecture": architecture, "os": "linux"}
    entry = {**_descriptor(MANIFEST, manifest), "platform": platform, "annotations": naming}
    index = _json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]})
    with tarfile.open(into, "w") as archive:
        _put(archive, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        _put(archive, "index.json", index)
        for blob in (config, manifest):
            _put(archive, f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}", blob)
        for digest, layer in dict(zip(digests, layers, strict=True)).items():
            with layer.open("rb") as content:
                archive.addfile(_info(f"blobs/sha256/{digest}", layer.stat().st_size), content)


def _digest(layer: Path) -> str:
    with layer.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _descriptor(media: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": media, "digest": f"sha256:{hashlib.sha256(blob).hexdigest()}", "size": len(blob)}


def _info(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o644, EPOCH
    return info


def _put(archive: tarfile.TarFile, name: str, blob: bytes) -> None:
    archive.addfile(_info(name, len(blob)), io.BytesIO(blob))


__all__ = ["Run", "write_archive"]
