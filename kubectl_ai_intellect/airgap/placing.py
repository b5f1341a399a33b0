"""Putting staged files in place so that all of them come, or none: what was moved is moved back when one fails."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from kubectl_ai_intellect.airgap.listing import BundleError
from kubectl_ai_intellect.errors import IntellectError


class Journal:
    """What was done so far, and how to undo it."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], object]] = []
        self._after: list[Callable[[], object]] = []
        self._old: list[Path] = []

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for undo in reversed(self._undo):
            with contextlib.suppress(OSError):
                undo()
        if isinstance(error, OSError):
            raise IntellectError(f"cannot install ({error.strerror}: {error.filename}); nothing was changed") from error

    def keep(self) -> None:
        """Everything is in place: register it, and forget how to undo it."""
        for act in self._after:
            act()
        self._undo.clear()
        for path in self._old:
            shutil.rmtree(path, ignore_errors=True)

    def after(self, act: Callable[[], object]) -> None:
        """What is done once everything is in place."""
        self._after.append(act)

    def file(self, staged: Path, target: Path, digest: str) -> bool:
        """A file; one with the same content stays, another one of the name is never overwritten."""
        if target.is_symlink() or target.exists():
            if digest and target.is_file() and _digest(target) == digest:
                return False
            raise BundleError(f"{target} is there already, with other content; move it away first, nothing was changed")
        _made(target.parent)
        staged.replace(target)
        self._undo.append(lambda: target.unlink(missing_ok=True))
        return True

    def directory(self, staged: Path, target: Path) -> bool:
        """A directory that is named after its content: one that is there already is the same."""
        if target.is_dir():
            return False
        _made(target.parent)
        staged.replace(target)
        self._undo.append(lambda: shutil.rmtree(target, ignore_errors=True))
        return True

    def tree(self, staged: Path, target: Path) -> bool:
        """A directory of ours whose content may have changed since: the new one takes the old one's place."""
        if target.is_dir() and _same(staged, target):
            return False
        _made(target.parent)
        old = target.with_name(f".{target.name}.old-{os.getpid()}")
        if target.exists():
            target.replace(old)
            self._old.append(old)
            self._undo.append(lambda: old.replace(target))
        staged.replace(target)
        self._undo.append(lambda: shutil.rmtree(target, ignore_errors=True))
        return True

    def link(self, link: Path, target: Path, ours: Path) -> bool:
        """A link; an older one into `ours` is turned, anything else is left alone."""
        before = os.readlink(link) if link.is_symlink() else ""
        if before == str(target):
            return False
        if (before and not Path(before).is_relative_to(ours)) or (link.exists() and not before):
            raise BundleError(f"{link} is there already and is not ours; choose another directory with --bin")
        link.parent.mkdir(parents=True, exist_ok=True)
        _linked(link, str(target))
        self._undo.append(lambda: _linked(link, before) if before else link.unlink(missing_ok=True))
        return True


def _linked(link: Path, target: str) -> None:
    part = link.with_name(f".{link.name}.{os.getpid()}")
    part.unlink(missing_ok=True)
    part.symlink_to(target)
    part.replace(link)


def _made(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _same(one: Path, other: Path) -> bool:
    files = [
        {path.relative_to(root): _digest(path) for path in root.rglob("*") if path.is_file()} for root in (one, other)
    ]
    return files[0] == files[1]


__all__ = ["Journal"]
