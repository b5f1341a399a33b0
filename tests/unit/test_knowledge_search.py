"""Words, BM25, fusion, embedders and the gate, each by what it must do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kubectl_ai_intellect.knowledge import bm25
from kubectl_ai_intellect.knowledge.background import BACKGROUND
from kubectl_ai_intellect.knowledge.embedders import EmbedderError
from kubectl_ai_intellect.knowledge.embedders.lexical import LexicalEmbedder
from kubectl_ai_intellect.knowledge.embedders.weights import DEFAULT_SHA256, default_file, digest, named_file
from kubectl_ai_intellect.knowledge.passages import LIMIT, Passage, of_text, pieces, spoken
from kubectl_ai_intellect.knowledge.words import stem, without_noise, words
from plugin.embedder.convert import converted


def test_identifiers_are_split_and_kept() -> None:
    assert set(words("ImagePullBackOff")) >= {stem("imagepullbackoff"), "imag", "pull", "back", "off"}
    assert words("pvc") == words("PersistentVolumeClaim")[: len(words("pvc"))]
    assert set(words("exit code 137")) == {"exit", "cod", "137"} or "137" in words("exit code 137")


def test_forms_of_a_word_meet() -> None:
    for one, other in (
        ("evicted", "evict"),
        ("probes", "probe"),
        ("policies", "policy"),
        ("tainted", "taint"),
    ):
        assert stem(one) == stem(other), (one, other)
    assert stem("address") == "address"


def test_what_names_one_instance_is_dropped() -> None:
    uid, hash_ = "3f2c1d3e-77aa-4b7e-9d40-0e1c7c6f8f51", "sha256:0a1b2c3d4e"
    line = f"2025-03-01T10:00:00Z dial tcp 10.96.14.3:5432 pod {uid} {hash_}"
    assert without_noise(line) == "dial tcp pod"
    assert "10" not in words(line)


def test_bm25_prefers_the_rare_word(tmp_path: Path) -> None:
    texts = ["pod pod pod fails", "pod with multi attach error", "pod has a probe", "pod"]
    bm25.write(tmp_path, [bm25.counts([Passage("s", text)]) for text in texts])
    lexicon = bm25.Lexicon(tmp_path)
    match = lexicon.match("pod multi attach")
    assert int(match.scores.argmax()) == 1
    assert match.coverage[1] == pytest.approx(1.0)
    assert lexicon.match("zebra").scores.max() == 0
    assert lexicon.match("pod zebra").coverage.max() < 0.2


def test_where_a_word_stands_counts(tmp_path: Path) -> None:
    passages = [Passage("t", "quota", "title"), Passage("b", "quota")]
    bm25.write(tmp_path, [bm25.counts([passage, Passage("b", "x y z")]) for passage in reversed(passages)])
    assert int(bm25.Lexicon(tmp_path).match("quota").scores.argmax()) == 1


def test_an_empty_lexicon_answers() -> None:
    assert words("") == []


def test_passages_are_short_and_lose_nothing() -> None:
    text = "\n\n".join(f"Paragraph {number} " + "word " * number for number in range(60))
    cut = pieces(text + "\n" + "x" * 2000)
    assert max(map(len, cut)) <= LIMIT
    assert "".join("".join(cut).split()) == "".join((text + "x" * 2000).split())


def test_any_text_becomes_a_document() -> None:
    document = of_text("# Failover\nIntro\n## By hand\nCall \x1b[1mus.\n", Path("/x/our-db.md"))
    assert (document.id, document.title) == ("doc/our-db", "Failover")
    assert [passage.section for passage in document.passages] == ["Title", "Failover", "By hand"]
    assert "\x1b" not in document.passages[2].text


def test_a_pattern_is_read_as_its_text() -> None:
    assert spoken(r"TargetPort:\s+\S+/(TCP|UDP)") == "TargetPort: / TCP UDP"
    assert spoken(r"Error from server \(NotFound\)") == "Error from server NotFound"
    assert spoken("plain text.") == "plain text."


def test_the_lexical_embedder_forgives_spelling() -> None:
    rows = LexicalEmbedder().embed(["image pull backoff", "ImagePullBackof", "volume is full", ""])
    assert rows.shape == (4, 512)
    assert np.allclose(np.linalg.norm(rows[:3], axis=1), 1, atol=1e-5)
    assert rows[0] @ rows[1] > rows[0] @ rows[2] + 0.2
    assert not rows[3].any()
    assert (LexicalEmbedder().embed(["image pull backoff"])[0] == rows[0]).all()


def test_the_background_is_not_the_benchmark() -> None:
    import yaml

    queries = yaml.safe_load((Path(__file__).parents[1] / "knowledge" / "queries.yaml").read_text())
    texts = {row["text"].lower() for row in (*queries["on_topic"], *queries["off_topic"])}
    assert not texts & {sentence.lower() for sentence in BACKGROUND}


class TestModelFile:
    """The default is used only when its content is what it should be."""

    @pytest.fixture(autouse=True)
    def home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        for variable in ("DATA", "CACHE"):
            monkeypatch.setenv(f"XDG_{variable}_HOME", str(tmp_path))
        monkeypatch.setattr("sys.prefix", str(tmp_path))
        monkeypatch.delenv("KUBECTL_INTELLECT_BUNDLE", raising=False)
        return tmp_path

    def test_absent(self) -> None:
        with pytest.raises(EmbedderError, match="no embedding model; put "):
            default_file()

    def test_tampered_with(self, home: Path) -> None:
        path = home / "kubectl-intellect" / "models" / "all-minilm-l6-v2-q8_0.gguf"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"GGUF but another")
        with pytest.raises(EmbedderError, match="not the expected file"):
            default_file()

    def test_a_remembered_digest_is_dropped_when_the_file_changes(self, home: Path) -> None:
        path = home / "x.gguf"
        path.write_bytes(b"GGUF one")
        first = digest(path)
        assert digest(path) == first
        path.write_bytes(b"GGUF two")
        assert digest(path) != first
        assert named_file(str(path)).sha256 == digest(path)
        (home / "kubectl-intellect" / "digests.json").write_text("[broken")
        assert digest(path) != first


@pytest.mark.model
class TestDefaultEmbedder:
    """The real model, converted for it (plugin/embedder/convert.py)."""

    def test_it_knows_meaning_and_is_silent(self, capfd: pytest.CaptureFixture[str]) -> None:
        pytest.importorskip("llama_cpp")
        from kubectl_ai_intellect.knowledge.embedders.llama import LlamaEmbedder

        file = named_file(str(converted()))
        assert file.sha256 == DEFAULT_SHA256
        embedder = LlamaEmbedder(file)
        texts = [
            "the container was killed since it used too much memory",
            "OOMKilled",
            "a recipe for cake",
            "",
        ]
        rows = embedder.embed([*texts, "word " * 2000])
        captured = capfd.readouterr()
        assert (captured.out, captured.err) == ("", "")
        assert rows.shape == (5, 384)
        assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-4)
        assert rows[0] @ rows[1] > rows[0] @ rows[2] + 0.2
