"""The index on disk: FAISS vectors and plain text beside them, read as a whole or not at all.

One directory per generation:

    header.json       format, the embedder's identity and dimensions, counts, the gate's background
    documents.jsonl   one document a line: id, title, source, stamp, where its passages begin
    passages.jsonl    one passage a line: section, kind, text
    terms.jsonl       one document a line: its weighted word counts (read only when the index is extended)
    vectors.faiss     one vector per passage, in the same order
    *.npy, *.tsv      derived arrays: passage offsets and owners, the inverted file

Nothing is pickled. A generation is never changed: a new one is written beside it and `current` is replaced.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubectl_ai_intellect.errors import IntellectError
from kubectl_ai_intellect.knowledge.bm25 import Lexicon
from kubectl_ai_intellect.knowledge.passages import Passage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kubectl_ai_intellect.knowledge.embedders import Vectors

FORMAT = 1
HEADER, DOCUMENTS, PASSAGES, TERMS = "header.json", "documents.jsonl", "passages.jsonl", "terms.jsonl"
VECTORS, ROWS, CURRENT = "vectors.faiss", "rows.npy", "current"


class IndexUnusable(IntellectError):
    """An index that is absent, damaged or of another embedder: build it anew."""


@dataclass(frozen=True, slots=True)
class Header:
    format: int
    identity: str
    embedder: str
    dimensions: int
    documents: int
    passages: int
    background_mean: float
    background_spread: float


@dataclass(frozen=True, slots=True)
class Record:
    """One indexed document and where its passages are."""

    id: str
    title: str
    path: str
    origin: str
    runbook: bool
    key: str
    stamp: str
    first: int
    count: int


def write_header(directory: Path, header: Header) -> None:
    (directory / HEADER).write_text(json.dumps(asdict(header), indent=1), encoding="utf-8")


def current(root: Path) -> Path:
    """The generation that readers use: named by `current`, or the directory itself if shipped."""
    if (root / HEADER).is_file():
        return root
    try:
        name = (root / CURRENT).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise IndexUnusable(f"no index in {root}; run 'kubectl intellect runbook index'") from error
    if not name or "/" in name:
        raise IndexUnusable(f"{root / CURRENT}: damaged; run 'kubectl intellect runbook index --rebuild'")
    return root / name


class Index:
    """An open generation."""

    def __init__(self, directory: Path):
        import faiss
        import numpy as np

        try:
            raw = json.loads((directory / HEADER).read_text(encoding="utf-8"))
            if raw.get("format") != FORMAT:
                raise IndexUnusable(f"{directory}: written by another version; rebuild it")
            self.header = Header(**raw)
            with (directory / DOCUMENTS).open(encoding="utf-8") as file:
                self.records = tuple(Record(**json.loads(line)) for line in file)
            rows = np.load(directory / ROWS, allow_pickle=False)
            text = directory / PASSAGES
            empty = not text.stat().st_size
            self._text: Any = b"" if empty else np.memmap(text, dtype=np.uint8, mode="r")
            # By its bytes: FAISS reports a damaged file on stderr as well when it opens one itself.
            data = np.fromfile(directory / VECTORS, dtype=np.uint8)
            self.vectors: Any = faiss.deserialize_index(data)
            self.lexicon = Lexicon(directory)
        except (OSError, ValueError, TypeError, KeyError, RuntimeError, AttributeError) as error:
            raise IndexUnusable(
                f"{directory}: damaged ({type(error).__name__}); run 'kubectl intellect runbook index --rebuild'"
            ) from error
        self.directory = directory
        self.owners: NDArray[np.uint32] = rows["document"]
        self._offsets: NDArray[np.uint64] = rows["offset"]
        self._check()

    def _check(self) -> None:
        sizes = (self.header.passages, len(self.owners), int(self.vectors.ntotal))
        shape = (self.header.dimensions, self.header.documents)
        if len(set(sizes)) != 1 or shape != (int(self.vectors.d), len(self.records)):
            raise IndexUnusable(f"{self.directory}: its parts disagree; rebuild it")

    def passages(self, record: Record) -> list[Passage]:
        """All passages of a document. Its bytes stay mapped, so a newer generation takes nothing away."""
        if not record.count:
            return []
        last = record.first + record.count
        end = int(self._offsets[last]) if last < len(self._offsets) else len(self._text)
        lines = bytes(self._text[int(self._offsets[record.first]) : end]).splitlines()
        return [Passage(**json.loads(line)) for line in lines]

    def vectors_of(self, record: Record) -> Vectors:
        return self.vectors.reconstruct_n(record.first, record.count)

    def terms(self) -> list[dict[str, float]]:
        with (self.directory / TERMS).open(encoding="utf-8") as file:
            return [json.loads(line) for line in file]


__all__ = [
    "CURRENT",
    "DOCUMENTS",
    "FORMAT",
    "PASSAGES",
    "ROWS",
    "TERMS",
    "VECTORS",
    "Header",
    "Index",
    "IndexUnusable",
    "Record",
    "current",
    "write_header",
]
