"""Signing the list of digests with an SSH key, and checking it: by ssh-keygen, which is on every machine already.

`ssh-keygen -Y verify` checks the same signature by hand.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from kubectl_ai_intellect.airgap.listing import BundleError
from kubectl_ai_intellect.errors import IntellectError
from kubectl_ai_intellect.evidence.redact import clean

NAMESPACE = "kubectl-intellect"
"""What the signature is for: one made for something else is not taken."""
IDENTITY = "bundle"
_KEYS = ("ssh-ed25519", "sk-ssh-ed25519@openssh.com", "ssh-rsa", "ecdsa-sha2-", "sk-ecdsa-sha2-")


def sign(data: bytes, key: Path) -> bytes:
    """The signature of these bytes with a private key; a passphrase is asked for on the terminal."""
    if not key.is_file():
        raise IntellectError(f"--sign-key: there is no file {key}; ssh-keygen -t ed25519 -f {key} makes a key")
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "list"
        file.write_bytes(data)
        ran = _ssh_keygen(["-Y", "sign", "-f", str(key), "-n", NAMESPACE, str(file)], ask=sys.stdin.isatty())
        signature = Path(f"{file}.sig")
        if ran.returncode or not signature.is_file():
            raise IntellectError(f"--sign-key: {key} cannot sign: {_last(ran.stderr)}")
        return signature.read_bytes()


def verify(data: bytes, signature: bytes, key: Path) -> None:
    """Raise unless the bytes were signed by a key of this file (one or more public keys)."""
    with tempfile.TemporaryDirectory() as scratch:
        signers, file = Path(scratch) / "signers", Path(scratch) / "signature"
        signers.write_text(
            "".join(f'{IDENTITY} namespaces="{NAMESPACE}" {each}\n' for each in _public(key)), encoding="utf-8"
        )
        file.write_bytes(signature)
        words = ["-Y", "verify", "-f", str(signers), "-I", IDENTITY, "-n", NAMESPACE, "-s", str(file)]
        if _ssh_keygen(words, data).returncode:
            raise BundleError(f"the signature is not by a key of {key}, or the list was altered; nothing was installed")


def _public(path: Path) -> list[str]:
    """The public keys of a file, their comments left out."""
    try:
        rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise IntellectError(f"--verify-key: cannot read {path}: {reason}") from error
    keys = [" ".join(row[:2]) for row in rows if len(row) > 1 and row[0].startswith(_KEYS)]
    if not keys:
        raise IntellectError(f"--verify-key: {path} holds no public key; it is the .pub file of the key that signed")
    return keys


def _ssh_keygen(words: list[str], data: bytes = b"", *, ask: bool = False) -> subprocess.CompletedProcess[bytes]:
    program = shutil.which("ssh-keygen")
    if not program:
        raise IntellectError("signatures need ssh-keygen, which is not on PATH; install OpenSSH's client")
    environment = {
        name: os.environ[name] for name in ("PATH", "HOME", "LANG", "SSH_AUTH_SOCK", "TERM") if name in os.environ
    }
    try:
        if ask:
            return subprocess.run([program, *words], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment,
                                  check=False)  # fmt: skip
        return subprocess.run([program, *words], input=data, capture_output=True, env={**environment, "SSH_ASKPASS_REQUIRE": "never"},
                              timeout=30, start_new_session=True, check=False)  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise IntellectError(f"{program} does not run: {clean(str(error))[:100]}") from error


def _last(text: bytes) -> str:
    lines = text.decode("utf-8", "replace").strip().splitlines()
    return clean(lines[-1])[:150] if lines else "ssh-keygen does not say why"


__all__ = ["IDENTITY", "NAMESPACE", "sign", "verify"]
