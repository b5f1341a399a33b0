"""`kubectl intellect case`: recorded incidents as files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from kubectl_ai_intellect.errors import IntellectError

app = typer.Typer(help="Recorded incidents: what was read, in a file to keep, ask again or hand on.",
                  no_args_is_help=True, add_completion=False)  # fmt: skip
File = Annotated[Path, typer.Argument(help="A case file, as --record writes it.")]
Form = Annotated[str, typer.Option("--output", "-o", help="text, wide, json, yaml, markdown or html.")]


@app.command()
def show(file: File) -> None:
    """What is in a case: when and where it was recorded, which kinds, how many, which logs."""
    from kubectl_ai_intellect.evidence.redact import clean
    from kubectl_ai_intellect.kube.case import load

    case = load(file)
    print(
        f"recorded   {case.recorded_at.isoformat()} from context {clean(case.context)}, namespace {clean(case.namespace)}"
    )
    if case.question:
        print(f"question   {clean(case.question)}")
    for each in case.lists:
        state = "" if each.unread is None else f" ({each.unread.why})"
        where = each.namespace or "all namespaces"
        print(f"list       {each.kind} in {where}: {len(each.items)}{state}")
    for log in case.logs:
        print(f"log        {log.namespace}/{log.pod} {log.container}{' previous' if log.previous else ''}")


@app.command()
def ask(
    file: File, question: Annotated[list[str], typer.Argument(help="The question.")], output: Form = "text"
) -> None:
    """Ask a case a question, exactly as a cluster would be asked."""
    _answer(file, tuple(question), output)


@app.command()
def replay(file: File, output: Form = "text") -> None:
    """Ask a case the question that it was recorded with."""
    from kubectl_ai_intellect.kube.case import load

    question = load(file).question
    if not question:
        raise IntellectError(
            f"{file} was recorded without a question; give one with `kubectl intellect case ask {file} …`"
        )
    _answer(file, tuple(question.split()), output)


@app.command()
def share(
    file: File,
    into: Annotated[
        Path, typer.Option("--into", help="Where to write; default: FILE with .shared in its name.")
    ] = Path(),
) -> None:
    """Replace names, hosts and images by made-up ones, the same everywhere, before the file leaves the house."""
    from kubectl_ai_intellect.kube.case import load, save
    from kubectl_ai_intellect.kube.case import share as shared

    name = file.name
    for ending in (".json.gz", ".json", ".yaml"):
        if name.endswith(ending):
            name = f"{name.removesuffix(ending)}.shared{ending}"
            break
    target = into if str(into) != "." else file.with_name(name)
    save(shared(load(file)), target)
    print(f"wrote {target}", file=sys.stderr)


def _answer(file: Path, words: tuple[str, ...], output: str) -> None:
    from kubectl_ai_intellect.cli.app import shown
    from kubectl_ai_intellect.cli.ask import ask as answer
    from kubectl_ai_intellect.cli.flags import Options

    options = Options(source=str(file), words=words, output=output, forced=True)
    shown(answer(options, progress=lambda text: None, choose=None), options)


__all__ = ["app"]
