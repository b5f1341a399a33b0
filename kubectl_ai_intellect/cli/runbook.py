"""`kubectl intellect runbook`: add, list, show, search, index, check and remove runbooks and documents."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kubectl_ai_intellect.errors import IntellectError, UsageError

if TYPE_CHECKING:
    from kubectl_ai_intellect.knowledge.building import Progress, Report
    from kubectl_ai_intellect.knowledge.retrieval import Hit, Searcher

app = typer.Typer(
    help="Runbooks: ours for every known cause, and your own documents beside them.",
    no_args_is_help=True,
    add_completion=False,
)

Output = Annotated[str, typer.Option("--output", "-o", help="text, json or yaml.")]
EmbedderWish = Annotated[
    str, typer.Option("--embedder", help="lexical, sentence-transformers[:MODEL], or a GGUF file.")
]


@app.command()
def add(path: Annotated[Path, typer.Argument(help="A file or a directory.")], embedder: EmbedderWish = "") -> None:
    """Add a document, or all in a directory, and index them."""
    from kubectl_ai_intellect.knowledge import library
    from kubectl_ai_intellect.knowledge.documents import files_in

    resolved = path.expanduser().resolve()
    if resolved.exists() and not any(files_in(resolved)):
        from kubectl_ai_intellect.knowledge.documents import known_kinds

        raise IntellectError(f"{path}: has no document in it; {known_kinds()}")
    library.add(path)
    _print_report(_update(embedder, rebuild=False))


@app.command()
def remove(name: Annotated[str, typer.Argument(help="The path that was added, or a runbook's id.")]) -> None:
    """Forget a document or directory of yours; the files stay where they are."""
    from kubectl_ai_intellect.knowledge import library

    for path in library.remove(name):
        typer.echo(f"removed {path}")
    _print_report(_update("", rebuild=False))


@app.command("list")
def list_runbooks(output: Output = "text") -> None:
    """List your documents and our runbooks."""
    entries = _entries()
    if _structured(output, {"apiVersion": "intellect/v1", "kind": "RunbookList", "items": entries}):
        return
    width = max((len(entry["id"]) for entry in entries), default=0)
    for entry in entries:
        mark = "yours" if entry["origin"] == "yours" else "ours "
        typer.echo(f"{mark}  {entry['id']:<{width}}  {entry['title']}")


@app.command()
def show(name: Annotated[str, typer.Argument(metavar="ID", help="A runbook's id.")]) -> None:
    """Show a runbook."""
    from kubectl_ai_intellect.knowledge.library import runbook_for

    runbook = runbook_for(name)
    if runbook:
        _print_markdown(_as_markdown(runbook))
        return
    _print_markdown(_document_text(name))


@app.command()
def search(
    text: Annotated[list[str], typer.Argument(help="What you see: words, an event, a log line.")],
    output: Output = "text",
    limit: Annotated[int, typer.Option("--limit", "-k", min=1, max=20, help="How many to show.")] = 3,
    embedder: EmbedderWish = "",
) -> None:
    """Find the runbooks that fit a text."""
    query = " ".join(text)
    if query == "-":
        query = sys.stdin.read(64 * 1024)
    if not query.strip():
        raise UsageError('nothing to search for; say what you see: kubectl intellect runbook search "…"')
    _known_output(output)
    searcher = _searcher(embedder)
    hits = searcher.search(query, limit)
    answer = {
        "apiVersion": "intellect/v1",
        "kind": "RunbookSearch",
        "query": query,
        "embedder": searcher.embedder.name,
        "note": searcher.note,
        "hits": [_hit_fields(hit) for hit in hits],
    }
    if _structured(output, answer):
        return
    if searcher.note:
        typer.echo(f"note: {searcher.note}", err=True)
    if not hits:
        typer.echo("No runbook fits.")
    for number, hit in enumerate(hits, start=1):
        _print_hit(number, hit)


@app.command()
def index(
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Embed everything anew.")] = False,
    embedder: EmbedderWish = "",
) -> None:
    """Bring the search index up to date."""
    _print_report(_update(embedder, rebuild=rebuild))


@app.command()
def check(path: Annotated[Path, typer.Argument(help="A runbook or a directory of them.")]) -> None:
    """Check runbooks; each fault is printed with its file and line."""
    from kubectl_ai_intellect.knowledge.documents import files_in
    from kubectl_ai_intellect.knowledge.runbook import examine, read_text

    if not path.exists():
        raise IntellectError(f"{path}: no such file or directory")
    markdown = [file for file in files_in(path) if file.suffix.lower() in (".md", ".markdown")]
    files = [file for file in markdown if file.name != "README.md" or file == path]
    if not files:
        raise IntellectError(f"{path}: has no Markdown file to check")
    bad = 0
    for file in files:
        try:
            runbook, faults = examine(read_text(file), file, ours=False)
            lines = [f"{file}:{fault.line}: {fault.message}" for fault in faults]
            bad += runbook is None
        except IntellectError as error:
            lines = [str(error)]
            bad += 1
        for line in lines:
            typer.echo(line)
    if bad:
        raise IntellectError(f"{bad} of {len(files)} files need mending; the lines above say where")
    typer.echo(f"{len(files)} {'file' if len(files) == 1 else 'files'} checked, all usable")


def _searcher(embedder: str) -> Searcher:
    from kubectl_ai_intellect.knowledge import wished
    from kubectl_ai_intellect.knowledge.retrieval import open_searcher

    with _progress("indexing") as progress:
        return open_searcher(embedder or wished(), progress)


def _update(wish: str, *, rebuild: bool) -> Report:
    from kubectl_ai_intellect.knowledge import wished
    from kubectl_ai_intellect.knowledge.building import update
    from kubectl_ai_intellect.knowledge.embedders import choose

    embedder, note = choose(wish or wished())
    if note:
        typer.echo(f"note: {note}", err=True)
    with _progress("indexing") as progress:
        return update(embedder, rebuild=rebuild, progress=progress)[1]


@contextmanager
def _progress(what: str) -> Generator[Progress | None]:
    """A bar on the terminal's stderr while documents are embedded; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None, visible=False)

        def advance(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, visible=True)

        yield advance


def _print_report(report: Report) -> None:
    for line in report.skipped:
        typer.echo(f"skipped {line}", err=True)
    parts = [f"{report.embedded} indexed", f"{report.kept} unchanged", f"{report.removed} removed"]
    if report.skipped:
        parts.append(f"{len(report.skipped)} skipped")
    typer.echo(", ".join(parts))


def _entries() -> list[dict[str, str]]:
    """All documents, the user's first; ours that one of theirs replaces are left out."""
    from kubectl_ai_intellect.knowledge import library
    from kubectl_ai_intellect.knowledge.documents import read_document

    found: dict[str, dict[str, str]] = {}
    for source in [*library.user_sources(), *library.shipped_sources()]:
        try:
            document = read_document(source.path, ours=source.origin == "ours")
        except IntellectError as error:
            typer.echo(f"skipped {error}", err=True)
            continue
        fields = {
            "id": document.id,
            "title": document.title,
            "origin": source.origin,
            "path": str(source.path),
        }
        if source.origin == "ours":
            found.setdefault(document.id, fields)
        else:
            found[document.id if document.id not in found else str(source.path)] = fields
    return list(found.values())


def _as_markdown(runbook: Any) -> str:
    head = [
        f"# {runbook.title}",
        "",
        f"`{runbook.id}`" + ("" if runbook.ours else f" (yours: {runbook.path})"),
        "",
    ]
    return "\n".join(head) + "\n" + runbook.body


def _document_text(name: str) -> str:
    """The text of a document of the user's that is no runbook."""
    import difflib

    from kubectl_ai_intellect.knowledge import library
    from kubectl_ai_intellect.knowledge.documents import read_document
    from kubectl_ai_intellect.knowledge.passages import slug

    for source in library.user_sources():
        if name in (slug(source.path), str(source.path)):
            document = read_document(source.path)
            return "\n\n".join(passage.text for passage in document.passages)
    ids = [source.key.removeprefix("ours:").removesuffix(".md") for source in library.shipped_sources()]
    near = difflib.get_close_matches(name, ids, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else "'kubectl intellect runbook list' shows all"
    raise IntellectError(f"{name}: no such runbook; {hint}")


def _print_markdown(text: str) -> None:
    if not sys.stdout.isatty():
        typer.echo(text)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(text, hyperlinks=False))


def _print_hit(number: int, hit: Hit) -> None:
    where = f" ({hit.path})" if hit.path else ""
    typer.echo(f"{number}. {hit.runbook_id}  {hit.title}{where}")
    typer.echo(f"   score {hit.score:.2f}: {hit.why}")
    typer.echo(f"   {hit.section}:")
    for line in hit.passage.splitlines():
        typer.echo(f"     {line}")


def _hit_fields(hit: Hit) -> dict[str, Any]:
    return {
        "runbook": hit.runbook_id,
        "title": hit.title,
        "section": hit.section,
        "passage": hit.passage,
        "score": hit.score,
        "why": hit.why,
        "origin": hit.origin,
        "path": hit.path,
    }


def _known_output(output: str) -> None:
    if output not in ("text", "json", "yaml"):
        raise UsageError(f"--output {output}: choose text, json or yaml")


def _structured(output: str, value: dict[str, Any]) -> bool:
    """Print for a program, when asked to."""
    _known_output(output)
    if output == "json":
        typer.echo(json.dumps(value, ensure_ascii=False, indent=2))
    elif output == "yaml":
        import yaml

        typer.echo(yaml.safe_dump(value, sort_keys=False, allow_unicode=True).rstrip())
    return output != "text"


__all__ = ["app"]
