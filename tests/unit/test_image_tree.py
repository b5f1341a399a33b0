"""Layers are built from package files the same way every time, with /bin and its like led to /usr."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from tests.cluster.images.tree import EPOCH, Tree, merged


def package(*members: tuple[str, str, str]) -> io.BytesIO:
    """A package's tar, its members given as (type, name, content or target)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for kind, name, content in members:
            info = tarfile.TarInfo(name)
            info.mtime = 12345
            if kind == "dir":
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(info)
            elif kind == "link":
                info.type, info.linkname = tarfile.SYMTYPE, content
                archive.addfile(info)
            elif kind == "hard":
                info.type, info.linkname = tarfile.LNKTYPE, content
                archive.addfile(info)
            else:
                info.size, info.mode = len(content), 0o755
                archive.addfile(info, io.BytesIO(content.encode()))
    buffer.seek(0)
    return buffer


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("./bin/sh", "usr/bin/sh"),
        ("/lib/x/y.so", "usr/lib/x/y.so"),
        ("./usr/bin/sh", "usr/bin/sh"),
        ("etc", "etc"),
    ],
)
def test_paths_are_led_to_usr(given: str, found: str) -> None:
    assert merged(given) == found


def test_a_package_is_taken_in_but_for_what_is_dropped() -> None:
    tree = Tree()
    tree.unpack(
        package(
            ("dir", "./bin", ""),
            ("file", "./bin/tool", "x"),
            ("hard", "./bin/other", "./bin/tool"),
            ("link", "./usr/bin/third", "tool"),
            ("file", "./usr/share/doc/tool/copyright", "words"),
        ),
        ["usr/share/doc/*"],
    )
    assert tree.entries["usr/bin/tool"].data == b"x"
    assert tree.entries["usr/bin/tool"].mode == 0o755
    assert tree.entries["usr/bin/other"].target == "usr/bin/tool"
    assert tree.entries["usr/bin/third"].target == "tool"
    assert not tree.matching("usr/share/*")
    assert "bin" not in tree.entries


def test_the_same_files_give_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    def tree(*paths: str) -> Tree:
        made = Tree()
        made.merge_usr()
        for path in paths:
            made.file(path, path.rpartition("/")[2])
        return made

    one = tree("etc/a", "bin/b").write(tmp_path / "one")
    two = tree("bin/b", "etc/a").write(tmp_path / "two")
    assert one == two
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    with tarfile.open(tmp_path / "one") as layer:
        assert {member.mtime for member in layer} == {EPOCH}
        assert layer.getmember("bin").linkname == "usr/bin"


def test_a_hard_link_follows_its_file(tmp_path: Path) -> None:
    tree = Tree()
    tree.unpack(package(("file", "./usr/z", "x"), ("hard", "./usr/a", "./usr/z")))
    tree.write(tmp_path / "layer")
    with tarfile.open(tmp_path / "layer") as layer:
        assert layer.getnames().index("usr/a") > layer.getnames().index("usr/z")
