"""`kubectl intellect bundle`: everything in one directory, for machines without a network."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kubectl_ai_intellect.airgap.listing import Progress

app = typer.Typer(
    help="Carry everything to a machine without a network: `bundle create DIR` here, `bundle install DIR` there.",
    no_args_is_help=True,
    add_completion=False,
    epilog="Examples: kubectl intellect bundle create /media/stick --model qwen3-4b --sign-key ~/.ssh/id_ed25519 · "
    "kubectl intellect bundle install /media/stick --verify-key id_ed25519.pub",
)


@app.command()
def create(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="An empty directory, or an earlier bundle.")],
    model: Annotated[
        list[str] | None, typer.Option("--model", help="A model to take; may be repeated; none for none.")
    ] = None,
    archive: Annotated[
        list[Path] | None, typer.Option("--archive", help="The plugin's archive; may be repeated.")
    ] = None,
    manifest: Annotated[Path | None, typer.Option("--manifest", help="The krew manifest.")] = None,
    sign_key: Annotated[Path | None, typer.Option("--sign-key", help="An SSH key that signs the list.")] = None,
    no_plugin: Annotated[bool, typer.Option("--no-plugin", help="Without the plugin itself.")] = False,
) -> None:
    """Collect plugin, krew manifest, model, embedder, runbooks, index and checksums in DIR.

    Example: kubectl intellect bundle create /media/stick --model qwen3-4b --sign-key ~/.ssh/id_ed25519
    """
    from kubectl_ai_intellect.airgap.collect import Wish, create

    wish = Wish(tuple(model or ()), tuple(archive or ()), manifest, not no_plugin, sign_key)
    with _bar("collecting") as progress:
        made = create(directory.expanduser(), wish, lambda text: None, progress)
    size = sum(each.size for each in made.contents.files)
    typer.echo(
        f"{directory}: {len(made.contents.files)} files, {size / 1e6:.0f} MB, {'signed' if made.signed else 'not signed'}"
    )
    for role in ("plugin", "manifest", "model", "embedder"):
        for entry in made.contents.of(role):
            typer.echo(f"  {role:<10} {entry.path} ({entry.size / 1e6:.1f} MB)")
    for role in ("runbook", "document", "index"):
        if parts := made.contents.of(role):
            typer.echo(f"  {role:<10} {len(parts)} files")
    for note in made.notes:
        typer.echo(f"note: {note}", err=True)
    typer.echo("There: kubectl intellect bundle install DIR (README.txt in it says how to begin with nothing)")


@app.command()
def install(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A bundle.")],
    verify_key: Annotated[
        Path | None, typer.Option("--verify-key", help="The public key that must have signed the list.")
    ] = None,
    place: Annotated[Path, typer.Option("--bin", help="Where kubectl finds the plugin.")] = Path("~/.local/bin"),
) -> None:
    """Verify every file of DIR, then install what is not there yet; nothing is fetched.

    Example: kubectl intellect bundle install /media/stick --verify-key id_ed25519.pub
    """
    from kubectl_ai_intellect.airgap.installing import install, verified

    bundle = verified(directory.expanduser(), verify_key)
    with _bar("verifying") as progress:
        done = install(bundle, place.expanduser().absolute(), progress=progress)
    state = (
        "signed by that key"
        if verify_key
        else "signed, but not checked (--verify-key)"
        if bundle.signed
        else "not signed"
    )
    typer.echo(f"{len(bundle.digests)} files are as listed; the list is {state}")
    for what, names in (("installed", done.installed), ("already there", done.kept)):
        for name in names:
            typer.echo(f"  {what:<14} {name}")
    for note in done.notes:
        typer.echo(f"note: {note}", err=True)


@contextmanager
def _bar(title: str) -> Generator[Progress | None]:
    """A progress bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn(title), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)

        def advance(count: int, total: int) -> None:
            bar.update(task, advance=count, total=total or None)

        yield advance


__all__ = ["app"]
