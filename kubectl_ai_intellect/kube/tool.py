"""The user's own kubectl: where it is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def user_kubectl() -> str:
    """KUBECTL_PATH, else the kubectl on PATH, else the one that started us (as a plugin); empty where there is none."""
    named = os.environ.get("KUBECTL_PATH", "")
    if named:
        return named if os.access(named, os.X_OK) and os.path.isabs(named) else ""
    return shutil.which("kubectl") or _parent()


def _parent() -> str:
    try:
        path = os.readlink(f"/proc/{os.getppid()}/exe")
    except OSError:
        return ""
    return path if Path(path).name == "kubectl" and os.access(path, os.X_OK) else ""


__all__ = ["user_kubectl"]
