"""Where the user's files live: configuration, data and caches, private to the user."""

from __future__ import annotations

import os
from pathlib import Path

NAME = "kubectl-intellect"


def _base(variable: str, fallback: str) -> Path:
    """One XDG base directory; relative values are ignored, as the specification asks."""
    value = os.environ.get(variable, "")
    return Path(value) if value.startswith("/") else Path.home() / fallback


def config_dir() -> Path:
    return _base("XDG_CONFIG_HOME", ".config") / NAME


def data_dir() -> Path:
    return _base("XDG_DATA_HOME", ".local/share") / NAME


def cache_dir() -> Path:
    return _base("XDG_CACHE_HOME", ".cache") / NAME


def private(directory: Path) -> Path:
    """The directory, made if need be and closed to others."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    if directory.stat().st_mode & 0o077:
        directory.chmod(0o700)
    return directory


__all__ = ["NAME", "cache_dir", "config_dir", "data_dir", "private"]
