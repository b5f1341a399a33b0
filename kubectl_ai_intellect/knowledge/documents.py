"""Reading the user's own files: runbooks and Markdown natively, other kinds through an optional extra.

A file that cannot be read is reported by its name and skipped, never fatal.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kubectl_ai_intellect.errors import IntellectError
from kubectl_ai_intellect.knowledge.passages import Document, of_runbook, of_text
from kubectl_ai_intellect.knowledge.runbook import looks_like_runbook, parse, read_text

TEXT = frozenset({".md", ".markdown", ".txt", ".rst", ".adoc"})
# Suffix → the loader of langchain-community that reads it.
LOADERS = {
    ".pdf": "PyPDFLoader",
    ".html": "BSHTMLLoader",
    ".htm": "BSHTMLLoader",
    ".docx": "Docx2txtLoader",
    ".csv": "CSVLoader",
}
SKIPPED_DIRECTORIES = frozenset({"node_modules", "__pycache__"})


def read_document(path: Path, *, ours: bool = False) -> Document:
    """The document of a file; IntellectError says why there is none."""
    suffix = path.suffix.lower()
    if suffix in LOADERS:
        return of_text(_loaded(path, LOADERS[suffix]), path)
    if suffix not in TEXT:
        raise IntellectError(f"{path}: cannot read {suffix or 'files without a suffix'}; {known_kinds()}")
    text = read_text(path)
    if suffix in (".md", ".markdown") and looks_like_runbook(text):
        return of_runbook(parse(text, path, ours=ours), str(path))
    document = of_text(text, path)
    if len(document.passages) < 2:
        raise IntellectError(f"{path}: has no text")
    return document


def known_kinds() -> str:
    return f"known kinds: {' '.join(sorted(TEXT | set(LOADERS)))}"


def files_in(path: Path) -> Iterator[Path]:
    """The file itself, or the readable files beneath a directory, in a stable order, without hidden ones."""
    if path.is_file():
        yield path
        return
    for entry in sorted(path.iterdir()):
        if entry.name.startswith(".") or entry.name in SKIPPED_DIRECTORIES or entry.is_symlink():
            continue
        if entry.is_dir():
            yield from files_in(entry)
        elif entry.suffix.lower() in TEXT or entry.suffix.lower() in LOADERS:
            yield entry


def _loaded(path: Path, loader: str) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the package announces its own retirement at every import
            from langchain_community import document_loaders  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise IntellectError(
            f"{path}: reading {path.suffix} needs the loaders; pip install 'kubectl-ai-intellect[loaders]'"
        ) from error
    kind: Any = getattr(document_loaders, loader)
    settings: dict[str, Any] = {"bs_kwargs": {"features": "html.parser"}} if loader == "BSHTMLLoader" else {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pages = kind(str(path), **settings).load()
    except ImportError as error:
        missing = error.name or "a package"
        raise IntellectError(f"{path}: reading {path.suffix} needs {missing}; pip install it") from error
    except Exception as error:  # third-party parsers raise anything on a broken file
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise IntellectError(f"{path}: broken {path.suffix} file ({reason})") from error
    text = "\n\n".join(str(page.page_content) for page in pages)
    if not text.strip():
        raise IntellectError(f"{path}: has no text (a scan without recognised text?)")
    return text


__all__ = ["LOADERS", "TEXT", "files_in", "known_kinds", "read_document"]
