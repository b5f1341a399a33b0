"""`kubectl intellect runbook …` as a person and as a script meet it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kubectl_ai_intellect import knowledge
from kubectl_ai_intellect.cli.runbook import app
from kubectl_ai_intellect.errors import IntellectError, UsageError
from kubectl_ai_intellect.knowledge import library
from tests.unit.test_knowledge_index import SHIPPED, write_runbook


@pytest.fixture(autouse=True)
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("DATA", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"XDG_{variable}_HOME", str(tmp_path / variable.lower()))
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    shipped = tmp_path / "shipped"
    for name, (title, symptoms, expect) in SHIPPED.items():
        write_runbook(shipped, name, title, symptoms, expect)
    monkeypatch.setattr(library, "shipped_directory", lambda: shipped)
    monkeypatch.setattr(library, "shipped_index", lambda: tmp_path / "no-index")
    library._shipped_sources.cache_clear()
    knowledge._searcher.cache_clear()
    return shipped


def call(*words: str) -> Any:
    """The result of a command that must succeed."""
    result = CliRunner().invoke(app, list(words))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def test_search_prints_what_where_and_why() -> None:
    text = call("search", "manifest unknown ImagePullBackOff").stdout
    assert text.startswith("1. image/not-found  The image or its tag does not exist\n   score 1.00: ")
    assert "manifest" in text


def test_search_for_programs() -> None:
    answer = json.loads(call("search", "OOMKilled", "137", "-o", "json").stdout)
    assert (answer["apiVersion"], answer["kind"], answer["query"]) == (
        "intellect/v1",
        "RunbookSearch",
        "OOMKilled 137",
    )
    assert answer["hits"][0]["runbook"] == "container/oom-killed"
    assert set(answer["hits"][0]) == {
        "runbook", "title", "section", "passage", "score", "why", "origin", "path",
    }  # fmt: skip


def test_nothing_fits_is_an_answer() -> None:
    assert call("search", "recipe for a cheese cake").stdout == "No runbook fits.\n"
    assert json.loads(call("search", "recipe for a cheese cake", "-o", "json").stdout)["hits"] == []


def test_words_alone_are_announced_on_stderr_only() -> None:
    result = call("search", "OOMKilled")
    assert "note: searching by words alone" in result.stderr
    assert "note" not in result.stdout


def test_add_list_show_remove(tmp_path: Path) -> None:
    team = tmp_path / "team"
    write_runbook(team, "image/not-found", "Ask the registry team", "a, b", "x", "Call 4711.")
    (team / "vault.md").write_text("# The vault\nTwo people unseal it.\n")
    (team / "bad.md").write_bytes(b"\xff")
    result = call("add", str(team), "--embedder", "lexical")
    assert result.stdout == "5 indexed, 0 unchanged, 0 removed, 1 skipped\n"
    assert f"skipped {team}/bad.md: not UTF-8" in result.stderr

    listed = call("list").stdout
    assert "yours  image/not-found" in listed
    assert "ours   container/oom-killed" in listed
    assert "The image or its tag does not exist" not in listed
    items = json.loads(call("list", "-o", "json").stdout)["items"]
    assert {item["id"] for item in items if item["origin"] == "yours"} == {"image/not-found", "doc/vault"}

    assert "Call 4711." in call("show", "image/not-found").stdout
    assert "Two people unseal it." in call("show", "doc/vault").stdout

    assert "removed" in call("remove", str(team)).stdout
    assert "The image or its tag does not exist" in call("show", "image/not-found").stdout


def test_index_says_what_it_did() -> None:
    assert call("index", "--embedder", "lexical").stdout == "3 indexed, 0 unchanged, 0 removed\n"
    assert call("index", "--embedder", "lexical").stdout == "0 indexed, 3 unchanged, 0 removed\n"
    assert call("index", "--rebuild", "--embedder", "lexical").stdout == "3 indexed, 0 unchanged, 0 removed\n"


def test_check_names_file_and_line(tmp_path: Path, shelf: Path) -> None:
    assert "3 files checked, all usable" in call("check", str(shelf)).stdout
    bad = tmp_path / "bad.md"
    bad.write_text("---\nid: team/x\ntitel: X\n---\n")
    result = CliRunner().invoke(app, ["check", str(bad)])
    assert isinstance(result.exception, IntellectError)
    assert f"{bad}:3: unknown key 'titel'" in result.stdout


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        (["show", "image/not-fuond"], IntellectError, "did you mean image/not-found"),
        (["show", "../../etc/passwd"], IntellectError, "no such runbook"),
        (["add", "/no/such/place"], IntellectError, "no such file"),
        (["remove", "/no/such/place"], IntellectError, "was not added"),
        (["check", "/no/such/place"], IntellectError, "no such file"),
        (["search", " "], UsageError, "nothing to search for"),
        (["search", "x", "-o", "xml"], UsageError, "choose text, json or yaml"),
    ],
)
def test_errors_name_the_mend(words: list[str], kind: type[Exception], message: str) -> None:
    result = CliRunner().invoke(app, words)
    assert isinstance(result.exception, kind)
    assert message in str(result.exception)


def test_an_empty_directory_is_not_added(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = CliRunner().invoke(app, ["add", str(tmp_path / "empty")])
    assert "known kinds" in str(result.exception)
    assert library.registry().paths == ()


def test_the_public_functions() -> None:
    hits = knowledge.search("OOMKilled exit code 137", k=1)
    assert [hit.runbook_id for hit in hits] == ["container/oom-killed"]
    assert knowledge.search("recipe for a cheese cake") == []
    found = knowledge.runbook_for("container/oom-killed")
    assert found is not None
    assert found.title == SHIPPED["container/oom-killed"][0]
