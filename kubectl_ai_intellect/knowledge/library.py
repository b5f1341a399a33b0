"""Which runbooks and documents there are: ours, and what the user has registered; the user's win by id.

Registered paths are kept by reference in `documents.json`, so a team's checkout stays the one place to edit.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from kubectl_ai_intellect import places
from kubectl_ai_intellect.errors import IntellectError
from kubectl_ai_intellect.knowledge.documents import files_in
from kubectl_ai_intellect.knowledge.runbook import Runbook, load


class Source(NamedTuple):
    """One file to index; the stamp changes when its content does."""

    key: str
    path: Path
    origin: Literal["ours", "yours"]
    stamp: str


@dataclass(frozen=True, slots=True)
class Registry:
    """What the user has added: files and directories, and the runbook ids last seen in them."""

    paths: tuple[Path, ...] = ()
    ids: dict[str, Path] = field(default_factory=dict[str, Path])


def shipped_directory() -> Path:
    """Our runbooks: inside the installed package, else in the checkout beside it."""
    package = Path(__file__).parents[1]
    installed = package / "_data" / "runbooks"
    return installed if installed.is_dir() else package.parent / "runbooks"


def shipped_index() -> Path:
    """The index that a bundle brings ready-built; need not exist."""
    return Path(__file__).parents[1] / "_data" / "index"


def registry_file() -> Path:
    return places.data_dir() / "documents.json"


def registry() -> Registry:
    path = registry_file()
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        ids = {str(key): Path(value) for key, value in raw["ids"].items()}
        return Registry(tuple(Path(item) for item in raw["paths"]), ids)
    except FileNotFoundError:
        return Registry()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntellectError(f"{path}: damaged; delete it and add your documents again") from error


def keep(new: Registry) -> None:
    """Write the registry in one step."""
    path = registry_file()
    places.private(path.parent)
    raw: dict[str, Any] = {
        "paths": [str(item) for item in new.paths],
        "ids": {key: str(value) for key, value in sorted(new.ids.items())},
    }
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_text(json.dumps(raw, indent=1), encoding="utf-8")
    part.chmod(0o600)
    part.replace(path)


def add(path: Path) -> Registry:
    """Register a file or directory; what already lies beneath a registered one is not added twice."""
    path = path.expanduser().resolve()
    if not path.exists():
        raise IntellectError(f"{path}: no such file or directory")
    if not os.access(path, os.R_OK):
        raise IntellectError(f"{path}: permission denied; make it readable for you")
    known = registry()
    if any(path == item or item in path.parents for item in known.paths):
        return known
    kept = tuple(item for item in known.paths if path not in item.parents)
    new = Registry((*kept, path), known.ids)
    keep(new)
    return new


def remove(wish: str) -> tuple[Path, ...]:
    """Forget a path, or the file of a runbook id; the files themselves are never touched."""
    known = registry()
    path = known.ids.get(wish, Path(wish).expanduser().resolve())
    gone = tuple(item for item in known.paths if item == path)
    if not gone:
        inside = next((item for item in known.paths if item in path.parents), None)
        if inside and path.exists():
            raise IntellectError(f"{wish}: is part of {inside}; remove that directory, or move the file out of it")
        raise IntellectError(f"{wish}: was not added; 'kubectl intellect runbook list' shows what was")
    kept = tuple(item for item in known.paths if item not in gone)
    ids = {key: value for key, value in known.ids.items() if not _within(value, gone)}
    keep(Registry(kept, ids))
    return gone


def _within(path: Path, places_: tuple[Path, ...]) -> bool:
    return any(path == item or item in path.parents for item in places_)


@lru_cache(maxsize=1)
def _shipped_sources(directory: Path) -> tuple[Source, ...]:
    found: list[Source] = []
    for path in sorted(directory.glob("*/*.md")) + sorted(directory.glob("*.md")):
        if path.name != "README.md":
            stamp = hashlib.sha256(path.read_bytes()).hexdigest()[:32]
            found.append(Source(f"ours:{path.relative_to(directory).as_posix()}", path, "ours", stamp))
    return tuple(found)


def shipped_sources() -> tuple[Source, ...]:
    """Our runbooks, stamped by content: a wheel's files have any time."""
    return _shipped_sources(shipped_directory())


def user_sources() -> Iterator[Source]:
    """The user's files, stamped by size and time; registered paths that are gone are passed over."""
    for root in registry().paths:
        if not root.exists():
            continue
        for path in files_in(root):
            status = path.stat()
            yield Source(str(path), path, "yours", f"{status.st_size}:{status.st_mtime_ns}")


def sources() -> list[Source]:
    return [*shipped_sources(), *user_sources()]


def runbook_for(cause_id: str) -> Runbook | None:
    """The runbook of an id: the user's own, else ours; by its file, without any index."""
    known = registry()
    candidates = [known.ids[cause_id]] if cause_id in known.ids else []
    candidates += [path / f"{cause_id}.md" for path in known.paths if path.is_dir()]
    for path in candidates:
        found = readable(path, ours=False)
        if found and found.id == cause_id:
            return found
    if ".." in cause_id or cause_id.startswith("/"):
        return None
    return readable(shipped_directory() / f"{cause_id}.md", ours=True)


def readable(path: Path, *, ours: bool) -> Runbook | None:
    if not path.is_file():
        return None
    try:
        return load(path, ours=ours)
    except IntellectError:  # a broken runbook of the user's must not take ours away
        return None


__all__ = [
    "Registry",
    "Source",
    "add",
    "keep",
    "readable",
    "registry",
    "remove",
    "runbook_for",
    "shipped_directory",
    "shipped_index",
    "shipped_sources",
    "sources",
    "user_sources",
]
