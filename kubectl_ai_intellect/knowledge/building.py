"""Making and extending the index: what has not changed is carried over, what has is embedded anew.

Two processes may do this at once: one waits for the other's lock. A reader never waits.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubectl_ai_intellect import places
from kubectl_ai_intellect.errors import IntellectError
from kubectl_ai_intellect.knowledge import bm25, library
from kubectl_ai_intellect.knowledge.background import BACKGROUND
from kubectl_ai_intellect.knowledge.documents import read_document
from kubectl_ai_intellect.knowledge.embedders import Embedder
from kubectl_ai_intellect.knowledge.index import (
    CURRENT,
    DOCUMENTS,
    FORMAT,
    PASSAGES,
    ROWS,
    TERMS,
    VECTORS,
    Header,
    Index,
    IndexUnusable,
    Record,
    current,
    write_header,
)
from kubectl_ai_intellect.knowledge.library import Source
from kubectl_ai_intellect.knowledge.passages import Document, Passage
from kubectl_ai_intellect.knowledge.words import without_noise
from kubectl_ai_intellect.locks import try_lock

if TYPE_CHECKING:
    from kubectl_ai_intellect.knowledge.embedders import Vectors

LOCK_SECONDS = 300.0
Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Report:
    """What an update did."""

    embedded: int = 0
    kept: int = 0
    removed: int = 0
    skipped: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class _Entry:
    """A document on its way into a generation."""

    document: Document
    source: Source
    vectors: Vectors
    terms: dict[str, float]


def root_for(embedder: Embedder) -> Path:
    """Where the index of an embedder lives: each has its own, so that switching costs nothing."""
    return places.data_dir() / "index" / re.sub(r"[^A-Za-z0-9.-]+", "-", embedder.identity)[:80]


def usable(embedder: Embedder) -> Index:
    """The newest index of this embedder: the user's, else the one that came ready-built."""
    for attempt in range(3):
        for root in (root_for(embedder), library.shipped_index()):
            try:
                index = Index(current(root))
            except IndexUnusable:
                continue
            header = index.header
            if (header.identity, header.dimensions) == (embedder.identity, embedder.dimensions):
                return index
        if attempt < 2 and (root_for(embedder) / CURRENT).exists():
            time.sleep(0.02)  # a generation was replaced while it was being opened
    raise IndexUnusable(f"no index for the embedder {embedder.name}; run 'kubectl intellect runbook index'")


def changes(index: Index | None, wanted: Iterable[Source]) -> tuple[list[Source], int]:
    """The sources that must be read anew, and how many indexed documents are gone."""
    known = {record.key: record.stamp for record in index.records} if index else {}
    wanted = list(wanted)
    gone = set(known) - {source.key for source in wanted}
    return [source for source in wanted if known.get(source.key) != source.stamp], len(gone)


def update(embedder: Embedder, *, rebuild: bool = False, progress: Progress | None = None) -> tuple[Index, Report]:
    """Bring the user's index up to date with all sources and open it."""
    places.private(places.data_dir())
    root = places.private(root_for(embedder))
    with _locked(root / ".lock"):
        before: Index | None = None
        if not rebuild:
            with contextlib.suppress(IndexUnusable):
                before = usable(embedder)
        wanted = library.sources()
        fresh, gone = changes(before, wanted)
        if before and not fresh and not gone:
            return before, Report(kept=len(before.records))
        report = Report(removed=gone)
        entries = _gather(embedder, before, wanted, {source.key for source in fresh}, report, progress)
        generation = write(root, embedder, entries)
        _publish(root, generation)
        _note_ids(entries)
        return Index(generation), report


def build_shipped(
    target: Path, embedder: Embedder, progress: Progress | None = None, earlier: Path | None = None
) -> Report:
    """The index of our runbooks alone, for a bundle to bring along, readable for all; replaces what is there.

    What an earlier one of the same embedder knows already, and has not changed, is carried over.
    """
    wanted = list(library.shipped_sources())
    before = Index(earlier) if earlier else None
    fresh, gone = changes(before, wanted)
    report = Report(removed=gone)
    entries = _gather(embedder, before, wanted, {source.key for source in fresh}, report, progress)
    if report.skipped:
        raise IntellectError(report.skipped[0])
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        generation = write(Path(scratch), embedder, entries)
        for path in generation.iterdir():
            path.chmod(0o644)
        generation.chmod(0o755)
        shutil.rmtree(target, ignore_errors=True)
        generation.rename(target)
    return report


def _gather(
    embedder: Embedder,
    before: Index | None,
    wanted: list[Source],
    fresh: set[str],
    report: Report,
    progress: Progress | None,
) -> list[_Entry]:
    """All documents: unchanged ones from the index before, others read and embedded."""
    old = {record.key: record for record in before.records} if before else {}
    terms = dict(zip(old, before.terms(), strict=True)) if before else {}
    entries: list[_Entry] = []
    for number, source in enumerate(wanted):
        if progress:
            progress(number, len(wanted))
        if before and source.key not in fresh:
            record = old[source.key]
            entries.append(_carried(before, record, source, terms[source.key]))
            report.kept += 1
            continue
        try:
            document = read_document(source.path, ours=source.origin == "ours")
        except (IntellectError, OSError) as error:
            report.skipped.append(str(error))
            continue
        vectors = embedder.embed([embedded_text(document, passage) for passage in document.passages])
        entries.append(_Entry(document, source, vectors, bm25.counts(document.passages)))
        report.embedded += 1
    if progress:
        progress(len(wanted), len(wanted))
    return _one_per_id(entries)


def _carried(before: Index, record: Record, source: Source, terms: dict[str, float]) -> _Entry:
    passages = tuple(before.passages(record))
    origin = source.origin
    document = Document(record.id, record.title, passages, str(source.path), origin, record.runbook)
    return _Entry(document, source, before.vectors_of(record), terms)


def _one_per_id(entries: list[_Entry]) -> list[_Entry]:
    """The user's runbook replaces ours of the same id; other files of one name are told apart by number."""
    yours = [entry.document for entry in entries if entry.source.origin == "yours"]
    theirs = {document.id for document in yours if document.runbook}
    found: list[_Entry] = []
    taken: set[str] = set()
    for entry in entries:
        document = entry.document
        if entry.source.origin == "ours" and document.id in theirs:
            # Kept under its key with no passages: it is known, so it is not read again at every update.
            found.append(_silent(entry))
            continue
        name, number = document.id, 2
        while name in taken:
            name = f"{document.id}-{number}"
            number += 1
        taken.add(name)
        renamed = Document(name, document.title, document.passages, document.path, document.origin, document.runbook)
        found.append(_Entry(renamed, entry.source, entry.vectors, entry.terms))
    return found


def _silent(entry: _Entry) -> _Entry:
    document = entry.document
    bare = Document(document.id, document.title, (), document.path, document.origin, document.runbook)
    source = entry.source._replace(stamp="replaced")
    return _Entry(bare, source, entry.vectors[:0], {})


def embedded_text(document: Document, passage: Passage) -> str:
    """What is embedded for a passage: prose is read under its title, a symptom stands for itself."""
    text = without_noise(passage.text)
    return text if passage.kind in ("title", "symptom") else f"{document.title}. {text}"


def write(root: Path, embedder: Embedder, entries: list[_Entry]) -> Path:
    """A new generation directory, complete and flushed to disk."""
    import numpy as np

    generation = root / f"g-{secrets.token_hex(6)}"
    places.private(generation)
    offsets: list[int] = []
    owners: list[int] = []
    with (
        (generation / DOCUMENTS).open("w", encoding="utf-8") as documents,
        (generation / PASSAGES).open("wb") as passages,
        (generation / TERMS).open("w", encoding="utf-8") as terms,
    ):
        for number, entry in enumerate(entries):
            documents.write(_line(asdict(_record(entry, len(owners)))))
            terms.write(_line(entry.terms))
            for passage in entry.document.passages:
                offsets.append(passages.tell())
                owners.append(number)
                passages.write(_line(asdict(passage)).encode())
    rows = np.zeros(len(owners), dtype=[("offset", "<u8"), ("document", "<u4")])
    rows["offset"], rows["document"] = offsets, owners
    np.save(generation / ROWS, rows, allow_pickle=False)
    bm25.write(generation, [entry.terms for entry in entries])
    vectors = _stack(embedder, entries)
    _write_vectors(generation / VECTORS, embedder.dimensions, vectors)
    mean, spread = background_of(embedder, vectors)
    header = Header(
        FORMAT, embedder.identity, embedder.name, embedder.dimensions, len(entries), len(owners), mean, spread
    )
    write_header(generation, header)
    _flush(generation)
    return generation


def background_of(embedder: Embedder, vectors: Vectors) -> tuple[float, float]:
    """How near the nearest passage is to a sentence that has nothing to do with it: mean and spread.

    Cosines of different embedders are not comparable; their distance from this background is, roughly.
    """
    if not len(vectors):
        return 0.0, 1.0
    nearest = (embedder.embed(BACKGROUND) @ vectors.T).max(axis=1)
    return round(float(nearest.mean()), 5), round(max(float(nearest.std()), 1e-3), 5)


def _stack(embedder: Embedder, entries: list[_Entry]) -> Vectors:
    import numpy as np

    parts = [entry.vectors for entry in entries if len(entry.vectors)]
    return np.vstack(parts) if parts else np.zeros((0, embedder.dimensions), dtype=np.float32)


def _write_vectors(path: Path, dimensions: int, vectors: Vectors) -> None:
    import faiss

    half = faiss.ScalarQuantizer.QT_fp16
    index: Any = faiss.IndexScalarQuantizer(dimensions, half, faiss.METRIC_INNER_PRODUCT)
    if len(vectors):
        index.add(vectors)
    faiss.serialize_index(index).tofile(path)


def _record(entry: _Entry, first: int) -> Record:
    document, source = entry.document, entry.source
    return Record(
        id=document.id,
        title=document.title,
        path=document.path if source.origin == "yours" else "",
        origin=source.origin,
        runbook=document.runbook,
        key=source.key,
        stamp=source.stamp,
        first=first,
        count=len(document.passages),
    )


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"


def _flush(generation: Path) -> None:
    for path in generation.iterdir():
        path.chmod(0o600)
        with path.open("rb") as file:
            os.fsync(file.fileno())


def _publish(root: Path, generation: Path) -> None:
    """Let readers see the generation; the one before stays for those who are just opening it."""
    pointer = root / CURRENT
    previous = pointer.read_text(encoding="utf-8").strip() if pointer.exists() else ""
    part = root / f".current.{os.getpid()}"
    part.write_text(generation.name, encoding="utf-8")
    part.replace(pointer)
    for path in root.glob("g-*"):
        if path.name not in (previous, generation.name):
            shutil.rmtree(path, ignore_errors=True)


def _note_ids(entries: list[_Entry]) -> None:
    """Remember which of the user's files has which runbook id, for finding one without the index."""
    ids = {
        entry.document.id: entry.source.path
        for entry in entries
        if entry.source.origin == "yours" and entry.document.runbook
    }
    known = library.registry()
    if known.ids != ids:
        library.keep(library.Registry(known.paths, ids))


@contextlib.contextmanager
def _locked(path: Path) -> Generator[None]:
    """One writer at a time; the lock goes when its process goes."""
    with path.open("w") as file:
        deadline = time.monotonic() + LOCK_SECONDS
        while not try_lock(file):
            if time.monotonic() > deadline:
                raise IntellectError(f"another process holds {path}; wait until it is done")
            time.sleep(0.1)
        yield


__all__ = [
    "Report",
    "background_of",
    "build_shipped",
    "changes",
    "embedded_text",
    "root_for",
    "update",
    "usable",
    "write",
]
