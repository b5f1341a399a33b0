"""`kubectl intellect completion`: what the Tab key completes, through kubectl's own completion of plugins."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="What the Tab key completes after `kubectl intellect`, through kubectl's own completion: namespaces, kinds, "
    "names, contexts, models, runbooks, flags. `source <(kubectl intellect completion bash)` switches it on.",
    no_args_is_help=True,
    add_completion=False,
)


@app.command()
def bash() -> None:
    """Print what bash needs: source <(kubectl intellect completion bash)."""
    _print("bash")


@app.command()
def zsh() -> None:
    """Print what zsh needs: source <(kubectl intellect completion zsh)."""
    _print("zsh")


@app.command()
def fish() -> None:
    """Print what fish needs: kubectl intellect completion fish | source."""
    _print("fish")


@app.command()
def install(
    place: Annotated[
        Path | None, typer.Option("--bin", help="The directory; else beside kubectl-intellect, or ~/.local/bin.")
    ] = None,
) -> None:
    """Put kubectl_complete-intellect on PATH, where kubectl looks for it."""
    from kubectl_ai_intellect.completing import install as installing

    done = installing.install(place)
    typer.echo(f"{done.path} {'is written' if done.fresh else 'is there already'}")
    if not done.on_path:
        typer.echo(f"{done.path.parent} is not on PATH; add it there, or kubectl does not find it", err=True)
    shell = Path(os.environ.get("SHELL", "bash")).name
    shell = shell if shell in installing.SHELLS else "bash"
    how = "kubectl completion fish | source" if shell == "fish" else f"source <(kubectl completion {shell})"
    typer.echo(f"Where kubectl completes nothing in your shell yet: {how}")


def _print(shell: str) -> None:
    from kubectl_ai_intellect.completing.install import script

    typer.echo(script(shell), nl=False)


__all__ = ["app"]
