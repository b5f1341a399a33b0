"""`kubectl intellect model`: list, pull, import, verify, use, remove and bench local models."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kubectl_ai_intellect.errors import UsageError

if TYPE_CHECKING:
    from kubectl_ai_intellect.gateway.llama.gguf import Header
    from kubectl_ai_intellect.gateway.models.installed import Progress

app = typer.Typer(
    help="Local models: small ones that run beside kubectl, without a service.",
    no_args_is_help=True,
    add_completion=False,
)

Name = Annotated[str, typer.Argument(help="A model's name, as `model list` prints it.")]


@app.command("list")
def list_models(output: Annotated[str, typer.Option("--output", "-o", help="text or json.")] = "text") -> None:
    """List the models of the catalogue and those installed, and which one suits this machine."""
    from kubectl_ai_intellect.gateway import machine
    from kubectl_ai_intellect.gateway.models import catalogue, installed

    have = installed.installed()
    suited = catalogue.suited(machine.memory())
    rows = [
        {
            "name": entry.name,
            "title": entry.title,
            "size": entry.size,
            "ramGiB": entry.ram,
            "licence": entry.licence,
            "installed": entry.name in have,
            "suggested": suited is not None and entry.name == suited.name,
        }
        for entry in catalogue.entries()
    ]
    listed = {entry.name for entry in catalogue.entries()}
    rows += [
        {"name": m.name, "title": m.file, "size": m.size, "ramGiB": None, "licence": "", "installed": True,
         "suggested": False}
        for m in have.values()
        if m.name not in listed
    ]  # fmt: skip
    if output == "json":
        import json

        typer.echo(json.dumps(rows, indent=2))
        return
    if output != "text":
        raise UsageError(f"unknown output {output}; text or json")
    typer.echo(f"{'NAME':<18}{'SIZE':>8}  {'RAM':>7}  {'STATE':<11}{'LICENCE':<29}")
    for row in rows:
        state = "installed" if row["installed"] else "suggested" if row["suggested"] else ""
        ram = f"{row['ramGiB']:.1f}GiB" if row["ramGiB"] else ""
        size = f"{int(str(row['size'])) / 1e9:.1f}GB"
        typer.echo(f"{row['name']:<18}{size:>8}  {ram:>7}  {state:<11}{row['licence']}".rstrip())


@app.command()
def pull(
    name: Annotated[str, typer.Argument(help="A name from `model list`; none for the one suggested.")] = "",
    mirror: Annotated[str, typer.Option("--mirror", help="Base URL of a mirror of the hub.")] = "",
) -> None:
    """Fetch a model; goes on where an earlier try was cut."""
    from kubectl_ai_intellect import settings
    from kubectl_ai_intellect.gateway import machine
    from kubectl_ai_intellect.gateway.models import catalogue
    from kubectl_ai_intellect.gateway.models import pull as pulling
    from kubectl_ai_intellect.gateway.protocol import ModelError

    entry = catalogue.find(name) if name else catalogue.suited(machine.memory())
    if entry is None:
        raise ModelError(f"no model fits into {machine.memory() >> 20} MiB of free memory")
    free = machine.memory()
    if entry.ram * catalogue.GIB > free:
        smaller = catalogue.smaller(entry.size, free)
        hint = f"; {smaller.name} would fit" if smaller else ""
        typer.echo(f"{entry.name} needs {entry.ram} GiB of memory, {free / catalogue.GIB:.1f} are free{hint}", err=True)
    with _bar(f"pulling {entry.name}") as progress:
        model = pulling.pull(entry, mirror or settings.load().model.mirror, progress)
    typer.echo(f"{model.name} is installed (sha256 {model.sha256[:16]}…, licence {entry.licence})")


@app.command("import")
def import_model(
    file: Annotated[Path, typer.Argument(help="A GGUF file.")],
    name: Annotated[str, typer.Option("--name", help="What to call it; else after its file.")] = "",
    sha256: Annotated[str, typer.Option("--sha256", help="The digest it must have.")] = "",
) -> None:
    """Take over a model file, for machines without a way to the hub."""
    from kubectl_ai_intellect.gateway.llama.gguf import read_header
    from kubectl_ai_intellect.gateway.models import installed

    with _bar(f"checking {file.name}") as progress:
        model = installed.bring(file, name, sha256, progress)
    typer.echo(f"{model.name} is installed (sha256 {model.sha256})")
    _print_header(read_header(model.path))


@app.command()
def verify(name: Name) -> None:
    """Read an installed model again and compare its digest."""
    from kubectl_ai_intellect.gateway.models import installed

    model = installed.find(name)
    with _bar(f"verifying {model.name}") as progress:
        header = installed.verify(model, progress)
    typer.echo(f"{model.name} is whole (sha256 {model.sha256})")
    _print_header(header)


@app.command()
def use(
    wish: Annotated[str, typer.Argument(help="PROVIDER[:NAME], or the name of an installed model.")],
) -> None:
    """Make a model the one that is asked: none, llamacpp:NAME, openai:NAME, anthropic:NAME, or auto."""
    from kubectl_ai_intellect import settings
    from kubectl_ai_intellect.gateway import opening
    from kubectl_ai_intellect.gateway.models import installed

    provider, name = opening.parse(wish)
    if provider == "llamacpp" and name and not name.endswith(".gguf"):
        name = installed.find(name).name
    if provider in ("openai", "anthropic") and not name:
        raise UsageError(f"which model of {provider}? kubectl intellect model use {provider}:NAME")
    if name.endswith(".gguf"):
        name = str(Path(name).expanduser().resolve())
    settings.change("model.provider", provider)
    settings.change("model.name", name)
    typer.echo(f"using {provider}{':' + name if name else ''}")
    if provider in ("openai", "anthropic"):
        typer.echo("Evidence from your cluster will go to that service, secret values masked; see --show-egress.")


@app.command()
def remove(name: Name) -> None:
    """Delete an installed model's file."""
    from kubectl_ai_intellect.gateway.models import installed

    model = installed.remove(name)
    typer.echo(f"removed {model.name} ({model.size >> 20} MiB)")


@app.command()
def bench(name: Annotated[str, typer.Argument(help="An installed model or a GGUF file.")] = "") -> None:
    """Measure a model on this machine: tokens read and written per second, seconds per diagnosis."""
    from kubectl_ai_intellect import settings
    from kubectl_ai_intellect.gateway.models import bench as measuring
    from kubectl_ai_intellect.gateway.models.running import prepared

    spec = prepared(name, settings.load().model)
    typer.echo(f"measuring {spec.name} ({spec.threads} threads, {spec.context} tokens of context) …", err=True)
    speed = measuring.measure(spec)
    typer.echo(f"load               {speed.load_seconds:8.1f} s")
    typer.echo(f"read (prefill)     {speed.read_per_second:8.1f} tokens/s")
    typer.echo(f"written (decode)   {speed.written_per_second:8.1f} tokens/s")
    typer.echo(f"one diagnosis      {speed.diagnosis_seconds:8.1f} s  (the first ever {speed.first_seconds:.1f} s)")


def _print_header(header: Header) -> None:
    from kubectl_ai_intellect.evidence.redact import clean
    from kubectl_ai_intellect.gateway.llama import tokens

    rows = {
        "architecture": header.architecture,
        "name": header.name,
        "quantisation": header.quantisation,
        "context": f"{header.context} tokens",
        "chat template": tokens.detect(header.chat_template).name,
        "licence": header.licence or "not stated",
    }
    for key, value in rows.items():
        typer.echo(f"  {key:<14} {clean(value)}")


@contextmanager
def _bar(title: str) -> Generator[Progress | None]:
    """A progress bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn(title), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)


__all__ = ["app"]
