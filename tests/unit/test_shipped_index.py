"""The ready index that a bundle brings: carried over from an earlier one, it is the one made from scratch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import faiss
import numpy as np
import pytest

from kubectl_ai_intellect.knowledge import library
from kubectl_ai_intellect.knowledge.building import build_shipped
from kubectl_ai_intellect.knowledge.embedders.lexical import LexicalEmbedder

AREAS = ("config", "pdb")


@pytest.fixture
def runbooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Some of our runbooks, to change."""
    place = tmp_path / "runbooks"
    for area in AREAS:
        shutil.copytree(library.shipped_directory() / area, place / area)
    monkeypatch.setattr(library, "shipped_directory", lambda: place)
    library._shipped_sources.cache_clear()
    return place


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_did_not_change_is_carried_over(runbooks: Path, tmp_path: Path) -> None:
    earlier, carried, anew = tmp_path / "earlier", tmp_path / "carried", tmp_path / "anew"
    build_shipped(earlier, LexicalEmbedder())
    changed, gone, *_ = sorted(runbooks.glob("*/*.md"))
    changed.write_text(changed.read_text(encoding="utf-8") + "\nOne line more than before.\n", encoding="utf-8")
    gone.unlink()
    library._shipped_sources.cache_clear()
    report = build_shipped(carried, LexicalEmbedder(), earlier=earlier)
    build_shipped(anew, LexicalEmbedder())
    assert (report.embedded, report.removed) == (1, 1)
    assert report.kept > 5
    same, made = contents(carried), contents(anew)
    # Carried vectors were rounded to half precision once, which is also how they are searched.
    assert {name for name in made if same[name] != made[name]} <= {"vectors.faiss", "header.json"}
    told, told_anew = (json.loads(each["header.json"]) for each in (same, made))
    assert told == {
        key: pytest.approx(value, abs=1e-3) if "background" in key else value for key, value in told_anew.items()
    }
    vectors, vectors_anew = (
        faiss.deserialize_index(np.frombuffer(each["vectors.faiss"], "u1")) for each in (same, made)
    )
    assert np.allclose(
        vectors.reconstruct_n(0, vectors.ntotal), vectors_anew.reconstruct_n(0, vectors_anew.ntotal), atol=1e-3
    )
