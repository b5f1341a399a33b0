"""Documents that are no Markdown: read through the optional loaders, or refused with the way to get them."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest

from kubectl_ai_intellect.errors import IntellectError
from kubectl_ai_intellect.knowledge.documents import files_in, read_document


def pdf(text: str) -> bytes:
    """A PDF of one page, written out by hand."""
    stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode()
    bodies = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    data = b"%PDF-1.4\n"
    offsets: list[int] = []
    for number, body in enumerate(bodies, start=1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    start = len(data)
    count = len(bodies) + 1
    data += b"xref\n0 %d\n0000000000 65535 f \n%s" % (count, table)
    return data + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (count, start)


@pytest.mark.parametrize("suffix", [".pdf", ".html"])
def test_other_kinds_are_read_by_the_loaders(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("langchain_community")
    path = tmp_path / f"vault-guide{suffix}"
    text = "Two people unseal the vault"
    html = f"<html><script>x()</script><body><h1>Vault</h1><p>{text}.</p></body></html>"
    path.write_bytes(pdf(text) if suffix == ".pdf" else html.encode())
    document = read_document(path)
    assert document.id == "doc/vault-guide"
    joined = " ".join(passage.text for passage in document.passages)
    assert text in joined
    assert "x()" not in joined


def test_a_broken_pdf_is_an_ordinary_error(tmp_path: Path) -> None:
    pytest.importorskip("langchain_community")
    path = tmp_path / "broken.pdf"
    path.write_bytes(b"%PDF-1.4 and then nothing")
    with pytest.raises(IntellectError, match=r"broken\.pdf: "):
        read_document(path)


def test_without_the_extra_the_error_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any, **named: Any) -> Any:
        if name.startswith("langchain_community"):
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", refuse)
    path = tmp_path / "x.pdf"
    path.write_bytes(pdf("x"))
    with pytest.raises(IntellectError, match=r"\[loaders\]"):
        read_document(path)


def test_unknown_kinds_name_the_known_ones(tmp_path: Path) -> None:
    path = tmp_path / "x.exe"
    path.write_bytes(b"MZ")
    with pytest.raises(IntellectError, match=r"known kinds: .*\.md"):
        read_document(path)


def test_hidden_linked_and_foreign_files_are_left_out(tmp_path: Path) -> None:
    for name in ("b.md", "a.txt", ".git/x.md", "sub/c.md", "node_modules/d.md", "e.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    (tmp_path / "link.md").symlink_to("/etc/passwd")
    assert [path.relative_to(tmp_path).as_posix() for path in files_in(tmp_path)] == ["a.txt", "b.md", "sub/c.md"]
