"""The index on disk: built, extended, replaced as a whole, shared by processes, refused when unfit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from kubectl_ai_intellect import places
from kubectl_ai_intellect.errors import IntellectError
from kubectl_ai_intellect.knowledge import building, library
from kubectl_ai_intellect.knowledge.embedders import choose
from kubectl_ai_intellect.knowledge.embedders.lexical import LexicalEmbedder
from kubectl_ai_intellect.knowledge.index import Index, IndexUnusable, current
from kubectl_ai_intellect.knowledge.retrieval import Searcher, open_searcher

RUNBOOK = """---
id: {id}
title: {title}
symptoms: [{symptoms}]
checks:
  - {{command: "kubectl get pods", expect: "{expect}"}}
fixes:
  - {{title: Mend it, command: kubectl apply -f x.yaml}}
---
## What happens
{what}
## Confirm it
Look.
## Fix it
Mend.
## Prevent it
Care.
"""
SHIPPED = {
    "image/not-found": (
        "The image or its tag does not exist",
        "ImagePullBackOff, manifest unknown",
        "not found",
    ),
    "container/oom-killed": (
        "The container used more memory than its limit",
        "OOMKilled, exit code 137",
        "137",
    ),
    "storage/volume-full": (
        "A persistent volume has no space left",
        "no space left on device, disk full",
        "100%",
    ),
}


def write_runbook(home: Path, name: str, title: str, symptoms: str, expect: str, what: str = "Text.") -> Path:
    path = home / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(RUNBOOK.format(id=name, title=title, symptoms=symptoms, expect=expect, what=what))
    return path


@pytest.fixture(autouse=True)
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small set of shipped runbooks and an empty home."""
    for variable in ("DATA", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"XDG_{variable}_HOME", str(tmp_path / variable.lower()))
    shipped = tmp_path / "shipped"
    for name, (title, symptoms, expect) in SHIPPED.items():
        write_runbook(shipped, name, title, symptoms, expect)
    monkeypatch.setattr(library, "shipped_directory", lambda: shipped)
    monkeypatch.setattr(library, "shipped_index", lambda: tmp_path / "no-index")
    library._shipped_sources.cache_clear()
    return shipped


class Counting(LexicalEmbedder):
    """Counts what is embedded, to see what an update really does."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def embed(self, texts: Sequence[str]) -> Any:
        self.texts += texts
        return super().embed(texts)


def test_an_index_finds_what_it_holds() -> None:
    searcher = open_searcher("lexical")
    hits = searcher.search("Failed to pull image: manifest unknown")
    assert hits[0].runbook_id == "image/not-found"
    assert 0 < hits[0].score <= 1
    assert "manifest" in hits[0].why
    assert len(hits[0].passage) <= 600


def test_the_gate_shuts_on_other_matters() -> None:
    searcher = open_searcher("lexical")
    assert searcher.search("how do I bake a cheese cake") == []
    assert searcher.search("   ") == []


def test_only_what_changed_is_embedded_again(tmp_path: Path) -> None:
    team = tmp_path / "team"
    first = write_runbook(team, "team/redis", "Redis is slow", "redis slow, latency", "x")
    write_runbook(team, "team/kafka", "Kafka lags", "consumer lag, kafka behind", "x")
    library.add(team)
    embedder = Counting()
    _, report = building.update(embedder)
    assert (report.embedded, report.kept) == (5, 0)

    embedder.texts.clear()
    _, report = building.update(embedder)
    assert (report.embedded, report.kept, embedder.texts) == (0, 5, [])

    write_runbook(team, "team/redis", "Redis is very slow indeed", "redis slow, latency", "x")
    os.utime(first, ns=(1, 1))
    index, report = building.update(embedder)
    assert (report.embedded, report.kept) == (1, 4)
    assert "Redis is very slow indeed" in embedder.texts
    assert not any("Kafka" in text for text in embedder.texts)
    assert "Redis is very slow indeed" in {record.title for record in index.records}

    first.unlink()
    index, report = building.update(embedder)
    assert (report.embedded, report.kept, report.removed) == (0, 4, 1)
    assert "team/redis" not in {record.id for record in index.records}


def test_carried_passages_are_found_as_before(tmp_path: Path) -> None:
    embedder = LexicalEmbedder()
    before = Searcher(building.update(embedder)[0], embedder).search("OOMKilled 137")
    note = tmp_path / "note.md"
    note.write_text("# Our postgres\nFailover is done by hand with patronictl.\n")
    library.add(note)
    index, report = building.update(embedder)
    assert report.embedded == 1
    after = Searcher(index, embedder).search("OOMKilled 137")
    assert (before[0].runbook_id, before[0].passage) == (after[0].runbook_id, after[0].passage)
    hits = Searcher(index, embedder).search("patronictl failover postgres")
    assert (hits[0].runbook_id, hits[0].origin, hits[0].path) == ("doc/note", "yours", str(note))


def test_an_index_of_nothing_finds_nothing(shelf: Path) -> None:
    for path in shelf.rglob("*.md"):
        path.unlink()
    library._shipped_sources.cache_clear()
    assert open_searcher("lexical").search("anything at all") == []


def test_an_open_index_outlives_its_successors(tmp_path: Path) -> None:
    embedder = LexicalEmbedder()
    searcher = open_searcher("lexical")
    for number in range(3):
        note = tmp_path / f"note-{number}.txt"
        note.write_text("The vault is unsealed by two people.")
        library.add(note)
        building.update(embedder)
    assert not searcher.index.directory.exists()
    assert searcher.search("manifest unknown ImagePullBackOff")[0].runbook_id == "image/not-found"


def test_a_users_runbook_replaces_ours(tmp_path: Path) -> None:
    team = tmp_path / "team"
    write_runbook(team, "image/not-found", "Ask the registry team", "ImagePullBackOff, x", "x", "Call 4711.")
    library.add(team)
    index, _ = building.update(LexicalEmbedder())
    hits = Searcher(index, LexicalEmbedder()).search("ImagePullBackOff manifest unknown")
    assert [hit.title for hit in hits if hit.runbook_id == "image/not-found"] == ["Ask the registry team"]
    found = library.runbook_for("image/not-found")
    assert found is not None
    assert not found.ours
    library.remove(str(team))
    found = library.runbook_for("image/not-found")
    assert found is not None
    assert found.ours
    index, report = building.update(LexicalEmbedder())
    assert report.embedded == 1, "ours is read again once theirs is gone"
    hits = Searcher(index, LexicalEmbedder()).search("ImagePullBackOff manifest unknown")
    assert hits[0].title == SHIPPED["image/not-found"][0]


def test_an_override_is_found_by_id_wherever_its_file_lies(tmp_path: Path) -> None:
    path = write_runbook(tmp_path / "elsewhere", "storage/volume-full", "Call the storage team", "a, b", "x")
    odd = path.rename(tmp_path / "elsewhere" / "odd-name.md")
    library.add(odd)
    building.update(LexicalEmbedder())
    found = library.runbook_for("storage/volume-full")
    assert found is not None
    assert found.title == "Call the storage team"
    odd.write_text("broken")
    found = library.runbook_for("storage/volume-full")
    assert found is not None
    assert found.ours, "a broken override must not take ours away"


def test_unknown_and_hostile_ids_find_nothing() -> None:
    assert library.runbook_for("no/such") is None
    assert library.runbook_for("../../etc/passwd") is None
    assert library.runbook_for("/etc/passwd") is None


def test_broken_files_are_reported_and_skipped(tmp_path: Path) -> None:
    team = tmp_path / "team"
    team.mkdir()
    (team / "binary.md").write_bytes(b"\xff\xfe\x00\x01")
    (team / "broken.md").write_text("---\nid: team/x\nsymptoms: [a\n---\n")
    (team / "empty.txt").write_text("")
    (team / "good.txt").write_text("The vault is unsealed by two people.")
    (team / "loop").symlink_to(team)
    library.add(team)
    index, report = building.update(LexicalEmbedder())
    assert len(report.skipped) == 3
    assert all(str(team) in line for line in report.skipped)
    assert "doc/good" in {record.id for record in index.records}


@pytest.mark.parametrize("victim", ["vectors.faiss", "documents.jsonl", "header.json", "rows.npy", "vocabulary.tsv"])
def test_a_damaged_index_is_rebuilt(victim: str, capfd: pytest.CaptureFixture[str]) -> None:
    embedder = LexicalEmbedder()
    building.update(embedder)
    directory = current(building.root_for(embedder))
    data = (directory / victim).read_bytes()
    (directory / victim).write_bytes(data[: len(data) // 3])
    with pytest.raises(IndexUnusable):
        Index(directory)
    _, report = building.update(embedder)
    assert report.embedded == 3
    assert capfd.readouterr().err == ""


def test_an_index_of_another_embedder_is_not_used() -> None:
    embedder = LexicalEmbedder()
    building.update(embedder)
    header = current(building.root_for(embedder)) / "header.json"
    values = json.loads(header.read_text())
    assert (values["identity"], values["dimensions"]) == (embedder.identity, embedder.dimensions)
    header.write_text(json.dumps({**values, "identity": "lexical/0"}))
    with pytest.raises(IndexUnusable):
        building.usable(embedder)
    _, report = building.update(embedder)
    assert report.embedded == 3


def test_nothing_is_pickled_and_all_is_private() -> None:
    embedder = LexicalEmbedder()
    building.update(embedder)
    directory = current(building.root_for(embedder))
    for path in directory.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
        assert not path.read_bytes().startswith(b"\x80"), path
    assert directory.stat().st_mode & 0o077 == 0
    assert places.data_dir().stat().st_mode & 0o077 == 0


INDEXER = """
import sys
from pathlib import Path
from kubectl_ai_intellect.knowledge import building, library
from kubectl_ai_intellect.knowledge.embedders.lexical import LexicalEmbedder
library.shipped_directory = lambda: Path(sys.argv[1])
building.update(LexicalEmbedder())
"""


def test_processes_may_index_at_once(tmp_path: Path, shelf: Path) -> None:
    team = tmp_path / "team"
    team.mkdir()
    library.add(team)
    workers: list[subprocess.Popen[bytes]] = []
    for number in range(3):
        write_runbook(team, f"team/r{number}", f"Number {number}", "a thing, b thing", "x")
        workers.append(subprocess.Popen([sys.executable, "-c", INDEXER, str(shelf)]))
    assert [worker.wait(60) for worker in workers] == [0, 0, 0]
    index, report = building.update(LexicalEmbedder())
    assert report.embedded == 0
    assert {f"team/r{number}" for number in range(3)} <= {record.id for record in index.records}
    assert len(list(building.root_for(LexicalEmbedder()).glob("g-*"))) <= 2


def test_what_is_missing_costs_only_the_meaning(tmp_path: Path) -> None:
    embedder, note = choose(str(tmp_path / "no.gguf"))
    assert embedder.identity == LexicalEmbedder.identity
    assert "no.gguf" in note
    (tmp_path / "fake.gguf").write_bytes(b"not a model")
    _, note = choose(str(tmp_path / "fake.gguf"))
    assert "not a GGUF file" in note


def test_registering_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(IntellectError, match="no such file"):
        library.add(tmp_path / "nowhere")
    with pytest.raises(IntellectError, match="was not added"):
        library.remove("nothing")
    library.registry_file().parent.mkdir(parents=True, exist_ok=True)
    library.registry_file().write_text("{")
    with pytest.raises(IntellectError, match="damaged"):
        library.registry()


def test_files_beneath_a_registered_directory_are_not_added_twice(tmp_path: Path) -> None:
    team = tmp_path / "team"
    path = write_runbook(team, "team/x", "X", "a, b", "x")
    library.add(path)
    library.add(team)
    assert library.registry().paths == (team.resolve(),)
    library.add(path)
    assert library.registry().paths == (team.resolve(),)
    with pytest.raises(IntellectError, match="is part of"):
        library.remove(str(path))


def test_a_ready_built_index_is_used_and_extended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "bundle" / "index"
    embedder = Counting()
    assert building.build_shipped(target, embedder).embedded == 3
    assert building.build_shipped(target, embedder).embedded == 3, "an older one is replaced"
    assert target.stat().st_mode & 0o777 == 0o755
    assert [path.name for path in target.parent.iterdir()] == ["index"]
    monkeypatch.setattr(library, "shipped_index", lambda: target)
    embedder.texts.clear()
    index, report = building.update(embedder)
    assert (index.directory, report.embedded, embedder.texts) == (target, 0, [])
    note = tmp_path / "note.txt"
    note.write_text("The vault is unsealed by two people.")
    library.add(note)
    index, report = building.update(embedder)
    assert (report.embedded, report.kept) == (1, 3)
    assert index.directory.parent == building.root_for(embedder)
    assert (target / "header.json").exists()
