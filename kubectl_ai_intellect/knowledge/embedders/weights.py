"""Where an embedder's model file is found, and that it is the file it should be.

The default's content is known and is verified before use. Hashing 25 MB at every start would cost more than
the search, so a digest is remembered for as long as the file's size, time and inode stay what they were.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from kubectl_ai_intellect import places
from kubectl_ai_intellect.knowledge.embedders import EmbedderError

DEFAULT_NAME = "all-minilm-l6-v2-q8_0.gguf"
DEFAULT_SHA256 = "354ae19c07940ca7dd08c31f3bf1e0e1d7af613aa9c5027ee9b1f442d7cf6e7d"


class ModelFile(NamedTuple):
    path: Path
    sha256: str


def default_file() -> ModelFile:
    """The default embedder's file: the user's models, the bundle, then the cache."""
    wrong = ""
    for path in _candidates():
        if not path.is_file():
            continue
        sha256 = digest(path)
        if sha256 == DEFAULT_SHA256:
            return ModelFile(path, sha256)
        wrong = f"{path} is not the expected file (sha256 {sha256[:12]}…); delete it"
    home = places.data_dir() / "models"
    raise EmbedderError(wrong or f"no embedding model; put {DEFAULT_NAME} into {home}")


def named_file(wish: str) -> ModelFile:
    """The GGUF file that the user names."""
    path = Path(wish).expanduser()
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise EmbedderError(f"embedding model {path}: {error.strerror}") from error
    if magic != b"GGUF":
        raise EmbedderError(f"embedding model {path} is not a GGUF file")
    return ModelFile(path, digest(path))


def _candidates() -> Iterator[Path]:
    yield places.data_dir() / "models" / DEFAULT_NAME
    if bundle := os.environ.get("KUBECTL_INTELLECT_BUNDLE"):
        yield Path(bundle) / "models" / DEFAULT_NAME
    yield Path(sys.prefix) / "share" / places.NAME / "models" / DEFAULT_NAME
    yield Path(__file__).parents[2] / "_data" / "models" / DEFAULT_NAME
    yield from sorted((places.cache_dir() / "models").glob(f"*/{DEFAULT_NAME}"))


def digest(path: Path) -> str:
    """The file's sha256, remembered while the file stays the same."""
    status = path.stat()
    key = f"{path.resolve()}:{status.st_size}:{status.st_mtime_ns}:{status.st_ino}"
    memory = places.cache_dir() / "digests.json"
    known = _remembered(memory)
    if key in known:
        return known[key]
    with path.open("rb") as file:
        value = hashlib.file_digest(file, "sha256").hexdigest()
    _remember(memory, {**dict(list(known.items())[-20:]), key: value})
    return value


def _remembered(memory: Path) -> dict[str, str]:
    try:
        known = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(known, dict):
        return {}
    return {str(key): str(value) for key, value in known.items()}


def _remember(memory: Path, known: dict[str, str]) -> None:
    """Keep the digests; a cache that cannot be written is only slower."""
    try:
        places.private(memory.parent)
        part = memory.with_name(f"{memory.name}.{os.getpid()}")
        part.write_text(json.dumps(known), encoding="utf-8")
        part.replace(memory)
    except OSError:
        return


__all__ = ["DEFAULT_NAME", "DEFAULT_SHA256", "ModelFile", "default_file", "digest", "named_file"]
