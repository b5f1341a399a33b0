"""The models on this machine: a directory of files, and a list that says what each is."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kubectl_ai_intellect import places
from kubectl_ai_intellect.gateway import machine
from kubectl_ai_intellect.gateway.llama.gguf import Header, read_header
from kubectl_ai_intellect.gateway.models import catalogue
from kubectl_ai_intellect.gateway.protocol import ModelError
from kubectl_ai_intellect.settings import write_private

# Files that turn text into vectors or speech: llama.cpp opens them, but they write nothing.
NOT_WRITERS = ("bert", "nomic-bert", "jina-bert-v2", "t5encoder", "clip", "wavtokenizer-dec", "gemma-embedding")
CHUNK = 1 << 20

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Installed:
    """One model file of ours."""

    name: str
    file: str
    sha256: str
    size: int
    mtime_ns: int
    source: str

    @property
    def path(self) -> Path:
        return directory() / self.file

    @property
    def unchanged(self) -> bool:
        """The file is as it was when its digest was taken, as far as its size and time tell."""
        try:
            status = self.path.stat()
        except OSError:
            return False
        return (status.st_size, status.st_mtime_ns) == (self.size, self.mtime_ns)


def directory() -> Path:
    return places.data_dir() / "models"


def _list() -> Path:
    return directory() / "models.json"


def installed() -> dict[str, Installed]:
    """What is registered and still there."""
    try:
        rows: Any = json.loads(_list().read_text(encoding="utf-8"))
        models = [Installed(**row) for row in rows]
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{_list()} is damaged; remove it and import the files beside it again") from error
    return {model.name: model for model in models if model.path.is_file()}


def find(name: str) -> Installed:
    models = installed()
    if name in models:
        return models[name]
    for model in models.values():
        if name in (model.file, model.path.stem):
            return model
    if any(entry.name == name for entry in catalogue.entries()):
        raise ModelError(f"model {name} is not installed; kubectl intellect model pull {name}")
    have = f"installed are {', '.join(models)}" if models else "none is installed; see kubectl intellect model list"
    raise ModelError(f"no model {name}; {have}")


def best_installed() -> Installed | None:
    """The largest that fits into memory; the catalogue's default before others."""
    models = list(installed().values())
    default = {entry.name for entry in catalogue.entries() if entry.default}
    free = machine.memory()
    fitting = [model for model in models if model.size * 1.2 < free]
    return max(fitting, key=lambda model: (model.name in default, model.size), default=None)


def register(name: str, path: Path, sha256: str, source: str) -> Installed:
    status = path.stat()
    model = Installed(name, path.name, sha256, status.st_size, status.st_mtime_ns, source)
    _write({**installed(), name: model})
    return model


def _write(models: dict[str, Installed]) -> None:
    rows = [asdict(model) for model in models.values()]
    write_private(_list(), json.dumps(rows, indent=1) + "\n")


def remove(name: str) -> Installed:
    model = find(name)
    try:
        model.path.unlink(missing_ok=True)
    except OSError as error:
        raise ModelError(f"cannot remove {model.path}: {error.strerror}") from error
    _write({key: other for key, other in installed().items() if other.name != model.name})
    return model


def bring(file: Path, name: str = "", sha256: str = "", progress: Progress | None = None) -> Installed:
    """Import a model file: checked, hashed, then linked (or copied) into our directory."""
    header = read_header(file)
    refuse_unfit(header, file.name)
    digest = hash_file(file, progress)
    if sha256 and digest != sha256.lower():
        raise ModelError(f"{file.name} has sha256 {digest}, not {sha256}; fetch it again")
    entry = catalogue.by_file(file.name)
    if entry is not None and entry.sha256 and entry.sha256 != digest:
        raise ModelError(f"{file.name} is not the catalogue's {entry.name} (sha256 {digest}); fetch it again")
    target = places.private(directory()) / file.name
    if target.exists() and not target.samefile(file):
        raise ModelError(f"{target.name} is there already; kubectl intellect model remove it first")
    if not target.exists():
        _link_or_copy(file, target)
    return register(name or (entry.name if entry else _slug(file.stem)), target, digest, f"import:{file.name}")


def _link_or_copy(file: Path, target: Path) -> None:
    part = target.with_name(target.name + ".import")
    part.unlink(missing_ok=True)
    try:
        try:
            os.link(file.resolve(), part)
        except OSError:
            shutil.copyfile(file, part)
        part.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise ModelError(f"cannot copy {file.name} to {target.parent}: {error.strerror}") from error


def refuse_unfit(header: Header, name: str) -> None:
    if header.architecture in NOT_WRITERS:
        raise ModelError(
            f"{name} is an embedding model ({header.architecture}), it cannot answer; "
            "for the search set knowledge.embedder"
        )


def verify(model: Installed, progress: Progress | None = None) -> Header:
    """Read the whole file again: header, length, digest."""
    header = read_header(model.path)
    digest = hash_file(model.path, progress)
    if digest != model.sha256:
        raise ModelError(
            f"{model.name} is damaged: sha256 {digest}, expected {model.sha256}; remove it and pull it again"
        )
    return header


def hash_file(path: Path, progress: Progress | None = None) -> str:
    digest, done = hashlib.sha256(), 0
    try:
        total = path.stat().st_size
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                done += len(chunk)
                if progress is not None:
                    progress(done, total)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error
    return digest.hexdigest()


def remembered_digest(path: Path) -> str:
    """A file's digest, kept for as long as the file looks the same: hashing gigabytes takes seconds."""
    status = path.stat()
    key = f"{path.resolve()}:{status.st_size}:{status.st_mtime_ns}:{status.st_ino}"
    memory = places.cache_dir() / "model-digests.json"
    try:
        known: dict[str, Any] = json.loads(memory.read_text(encoding="utf-8"))
        if isinstance(known[key], str):
            return known[key]
    except (OSError, ValueError, KeyError, TypeError):
        known = {}
    digest = hash_file(path)
    with contextlib.suppress(OSError, ModelError):
        write_private(memory, json.dumps({**known, key: digest}))
    return digest


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.") or "model"


__all__ = [
    "Installed",
    "Progress",
    "best_installed",
    "bring",
    "directory",
    "find",
    "hash_file",
    "installed",
    "refuse_unfit",
    "register",
    "remembered_digest",
    "remove",
    "verify",
]
