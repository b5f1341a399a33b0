"""`kubectl intellect config`: show and set what config.toml holds."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from kubectl_ai_intellect.errors import UsageError

app = typer.Typer(help="Your settings.", no_args_is_help=True, add_completion=False)


@app.command()
def show(output: Annotated[str, typer.Option("--output", "-o", help="text or json.")] = "text") -> None:
    """Print every setting as it is in effect, and where the file is. API keys are not settings."""
    from kubectl_ai_intellect import settings

    values = settings.flat(settings.load())
    if output == "json":
        typer.echo(json.dumps(values, indent=2))
        return
    if output != "text":
        raise UsageError(f"unknown output {output}; text or json")
    typer.echo(f"# {settings.path()}")
    for key, value in values.items():
        typer.echo(f"{key} = {json.dumps(value, ensure_ascii=False)}")


@app.command("set")
def set_value(
    key: Annotated[str, typer.Argument(help="A dotted name, such as model.timeout.")],
    value: Annotated[str, typer.Argument(help="Its value.")],
) -> None:
    """Change one setting in config.toml; the rest of the file stays as it is."""
    from kubectl_ai_intellect import settings

    settings.change(key, value)
    typer.echo(f"{key} = {json.dumps(settings.flat(settings.load())[key], ensure_ascii=False)}")


__all__ = ["app"]
