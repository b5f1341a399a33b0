"""API keys: from the environment or from a file that nobody else can read; never a setting, never shown.

A key of a well-known service goes to that service only, never to another address the user has configured.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from kubectl_ai_intellect.gateway.protocol import ModelError

OWN_VARIABLE = "KUBECTL_INTELLECT_API_KEY"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Key:
    """A key that does not print itself."""

    value: str = field(repr=False)

    def __str__(self) -> str:
        return "<API key>"


def find(variable: str, homes: tuple[str, ...], base_url: str, key_file: str) -> Key | None:
    """The key for a service: a file if one is named, else our own variable, else the service's at its home."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if key_file:
        key = _from_file(Path(key_file).expanduser())
    elif value := os.environ.get(OWN_VARIABLE, "").strip():
        key = Key(value)
    elif any(host == home or host.endswith("." + home) for home in homes):
        value = os.environ.get(variable, "").strip()
        key = Key(value) if value else None
    else:
        key = None
    if key is not None and parts.scheme == "http" and host not in LOOPBACK:
        raise ModelError(f"not sending an API key to {host} over plain http; use https in model.base_url")
    if key is not None and not (key.value.isascii() and key.value.isprintable()):
        raise ModelError("the API key has characters that no key has; check its file or variable")
    return key


def _from_file(path: Path) -> Key:
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & 0o077:
                raise ModelError(f"{path} can be read by others; chmod 600 {path}")
            value = file.read(4096).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise ModelError(f"cannot read the API key from {path}: {reason}") from error
    if not value:
        raise ModelError(f"{path} holds no API key")
    return Key(value)


__all__ = ["LOOPBACK", "OWN_VARIABLE", "Key", "find"]
