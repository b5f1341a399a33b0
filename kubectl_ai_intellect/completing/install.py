"""The shim on PATH that kubectl looks for, and what a shell needs besides: kubectl's own completion."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from kubectl_ai_intellect.errors import IntellectError
from kubectl_ai_intellect.kube.tool import user_kubectl

NAME = "kubectl_complete-intellect"
SHIM = """\
#!/bin/sh
# kubectl runs this for the Tab key after `kubectl intellect`; it stands on PATH beside kubectl-intellect.
exec kubectl-intellect __complete "$@"
"""

_SCRIPTS = {
    "bash": """\
# The Tab key after `kubectl intellect`, through kubectl's own completion. In ~/.bashrc:
#   source <(kubectl intellect completion bash)
{path}declare -F __start_kubectl >/dev/null || source <({kubectl} completion bash)
""",
    "zsh": """\
# The Tab key after `kubectl intellect`, through kubectl's own completion. In ~/.zshrc:
#   source <(kubectl intellect completion zsh)
{path}(( $+functions[compdef] )) || {{ autoload -Uz compinit && compinit; }}
(( $+functions[_kubectl] )) || source <({kubectl} completion zsh)
""",
    "fish": """\
# The Tab key after `kubectl intellect`, through kubectl's own completion. In ~/.config/fish/config.fish:
#   kubectl intellect completion fish | source
{path}functions -q __kubectl_perform_completion; or {kubectl} completion fish | source
""",
}
_PATHS = {
    "bash": 'case ":$PATH:" in *:{directory}:*) ;; *) PATH="$PATH":{directory} ;; esac\n',
    "zsh": "path+=({directory})\n",
    "fish": "fish_add_path --path --append {directory}\n",
}
SHELLS = tuple(_SCRIPTS)


class Installed(NamedTuple):
    """Where the shim is, whether it was written just now, and whether its directory is on PATH."""

    path: Path
    fresh: bool
    on_path: bool


def script(shell: str) -> str:
    """What to source in a shell; the shim's directory joins PATH where it is not on it."""
    kubectl = user_kubectl()
    if not kubectl:
        raise IntellectError(
            "there is no kubectl on PATH, whose completion ours is a part of; put it there or set KUBECTL_PATH"
        )
    path = ""
    if not shutil.which(NAME):
        home = next(iter(_homes()), None)
        if home is None:
            raise IntellectError(f"{NAME} is not on PATH; run `kubectl intellect completion install` first")
        path = _PATHS[shell].format(directory=shlex.quote(str(home)))
    command = "kubectl" if shutil.which("kubectl") == kubectl else shlex.quote(kubectl)
    return _SCRIPTS[shell].format(path=path, kubectl=command)


def _homes() -> Iterator[Path]:
    """Directories that hold the shim: beside our own program, as archives and wheels bring it."""
    for program in (sys.argv[0], sys.executable):
        for directory in (Path(program).absolute().parent, Path(program).resolve().parent):
            if os.access(directory / NAME, os.X_OK):
                yield directory


def install(wish: Path | None = None) -> Installed:
    """Write the shim where kubectl finds it: beside kubectl-intellect, or in ~/.local/bin."""
    there = shutil.which(NAME)
    if there and wish is None:
        return Installed(Path(there), fresh=False, on_path=True)
    directory = _directory() if wish is None else wish.expanduser().absolute()
    target = directory / NAME
    if target.is_file() and target.read_bytes() == SHIM.encode():
        return Installed(target, fresh=False, on_path=_on_path(directory))
    if target.exists() or target.is_symlink():
        raise IntellectError(
            f"{target} is there already and is not ours; remove it, or choose another place with --bin"
        )
    part = directory / f".{NAME}.{os.getpid()}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        part.write_text(SHIM, encoding="utf-8")
        part.chmod(0o755)
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise IntellectError(f"cannot write {target}: {error.strerror}; choose another place with --bin") from error
    return Installed(target, fresh=True, on_path=_on_path(directory))


def _directory() -> Path:
    program = shutil.which("kubectl-intellect")
    if program and os.access(Path(program).parent, os.W_OK):
        return Path(program).parent.absolute()
    return Path.home() / ".local" / "bin"


def _on_path(directory: Path) -> bool:
    return str(directory) in os.environ.get("PATH", "").split(os.pathsep)


__all__ = ["NAME", "SHELLS", "SHIM", "Installed", "install", "script"]
