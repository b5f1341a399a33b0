"""krew's rules, one by one: the manifest obeys each, and each notices when it is broken."""

from __future__ import annotations

import copy
import io
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubectl_ai_intellect.version import __version__
from plugin.bundle import pack
from plugin.krew import manifest as filling
from plugin.krew import rules

ROOT = Path(__file__).parents[2]
OURS = ROOT / "krew-manifest.yaml"
Manifest = dict[str, Any]


def every_platform(release: filling.Release = filling.Release(__version__)) -> str:
    return filling.filled(release, dict.fromkeys(filling.PLATFORMS, "ab" * 32))


def spoilt(path: str, value: Any) -> Manifest:
    """A good manifest with one thing changed; `spec.platforms.0.sha256` names it, None takes it away."""
    made: Any = copy.deepcopy(yaml.safe_load(every_platform()))
    *way, last = [int(each) if each.isdigit() else each for each in path.split(".")]
    place = made
    for step in way:
        place = place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return made


BROKEN: list[tuple[Callable[[Manifest], Any], str, Any]] = [
    (rules.kind, "apiVersion", "krew.googlecontainertools.github.com/v1alpha1"),
    (rules.kind, "kind", "plugin"),
    (rules.fields, "spec.shortdescription", "x"),
    (rules.fields, "spec.platforms.0.binary", "x"),
    (rules.name, "metadata.name", "Intellect"),
    (rules.name, "metadata.name", "kubectl-intellect"),
    (rules.version, "spec.version", "0.1.0"),
    (rules.version, "spec.version", "v1"),
    (rules.homepage, "spec.homepage", None),
    (rules.short_description, "spec.shortDescription", "x" * 51),
    (rules.short_description, "spec.shortDescription", "Diagnose Kubernetes workloads"),
    (rules.short_description, "spec.shortDescription", None),
    (rules.description, "spec.description", "x" * 81),
    (rules.description, "spec.description", "Ask it:\n\n    kubectl intellect why\n"),
    (rules.description, "spec.description", None),
    (rules.caveats, "spec.caveats", "x" * 81),
    (rules.selectors, "spec.platforms.0.selector", {"matchExpressions": []}),
    (rules.selectors, "spec.platforms.0.selector.matchLabels.libc", "glibc"),
    (rules.selectors, "spec.platforms.0.selector.matchLabels.arch", "x86_64"),
    (rules.selectors, "spec.platforms.0.selector.matchLabels.arch", "arm64"),
    (rules.selectors, "spec.platforms", []),
    (rules.digests, "spec.platforms.0.sha256", "AB" * 32),
    (rules.digests, "spec.platforms.0.sha256", "ab" * 31),
    (rules.uris, "spec.platforms.0.uri", "https://example.org/latest/intellect.tar.gz"),
    (rules.uris, "spec.platforms.0.uri", f"http://example.org/v{__version__}/intellect.tar.gz"),
    (rules.files, "spec.platforms.0.files", []),
    (rules.files, "spec.platforms.0.files.0", None),
    (rules.files, "spec.platforms.0.files.2", None),
    (rules.files, "spec.platforms.0.files.1.to", "../elsewhere"),
    (rules.files, "spec.platforms.0.files.1.to", "./_internal/"),
    (rules.binary, "spec.platforms.0.bin", "../kubectl-intellect"),
    (rules.binary, "spec.platforms.4.bin", "kubectl-intellect"),
]


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_our_manifest_obeys(rule: Callable[[Manifest], Any]) -> None:
    for text in (OURS.read_text(), every_platform()):
        assert list(rule(yaml.safe_load(text))) == []


@pytest.mark.parametrize(("rule", "path", "value"), BROKEN, ids=lambda each: getattr(each, "__name__", str(each)[:40]))
def test_a_rule_notices_when_it_is_broken(rule: Callable[[Manifest], Any], path: str, value: Any) -> None:
    assert list(rule(spoilt(path, value)))


def test_every_rule_is_tried_broken() -> None:
    assert {rule for rule, _, _ in BROKEN} == set(rules.RULES)


def test_the_manifest_serves_all_platforms() -> None:
    served = [tuple(each["selector"]["matchLabels"].values()) for each in rules.platforms(rules.read(OURS))]
    assert served == list(filling.PLATFORMS)


def test_the_repositorys_manifest_is_the_filled_template() -> None:
    text = filling.filled(filling.Release(__version__), dict.fromkeys(filling.PLATFORMS, filling.UNRELEASED))
    assert OURS.read_text().endswith(text)


def test_a_digest_of_digits_alone_stays_text() -> None:
    text = filling.filled(filling.Release(__version__), {("linux", "amd64"): "1" * 64})
    assert rules.problems(text) == []


def test_the_fallback_name_is_as_good() -> None:
    text = every_platform(filling.Release(__version__, filling.FALLBACK))
    assert rules.problems(text) == []
    assert f"kubectl {filling.FALLBACK} demo crash" in text


def fill(dist: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "plugin.krew", "--dist", str(dist), *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def test_filling_takes_version_and_digest_from_what_was_built(tmp_path: Path) -> None:
    archive = tmp_path / filling.archive_name(__version__, "linux", "amd64")
    archive.write_bytes(b"an archive")
    assert fill(tmp_path).returncode == 0
    (platform,) = rules.platforms(rules.read(tmp_path / "krew-manifest.yaml"))
    assert platform["sha256"] == pack.sha256(archive)
    assert platform["uri"].endswith(f"/v{__version__}/{archive.name}")


def test_a_release_needs_every_platform(tmp_path: Path) -> None:
    (tmp_path / filling.archive_name(__version__, "linux", "amd64")).write_bytes(b"an archive")
    refused = fill(tmp_path, "--all")
    assert refused.returncode == 1
    assert "windows-amd64.zip" in refused.stderr
    assert not (tmp_path / "krew-manifest.yaml").exists()


def packed(*entries: tarfile.TarInfo) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for entry in entries:
            tar.addfile(entry, io.BytesIO(b"x" * entry.size) if entry.size else None)
    return raw.getvalue()


def entry(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made


GOOD = (entry("program"), entry("LICENSE"), entry("lib", tarfile.DIRTYPE), entry("lib/a"))
PLATFORM = {
    "bin": "program",
    "files": [{"from": "program", "to": "."}, {"from": "LICENSE", "to": "."}, {"from": "lib/*", "to": "lib"}],
}


def test_a_plain_archive_is_taken() -> None:
    assert rules.archive_problems(packed(*GOOD), PLATFORM) == []


@pytest.mark.parametrize(
    "bad",
    [
        entry("lib/link", tarfile.SYMTYPE, "a"),
        entry("lib/hard", tarfile.LNKTYPE, "program"),
        entry("lib/device", tarfile.CHRTYPE),
        entry("../outside"),
        entry("lib/a..b"),
        entry("/absolute"),
    ],
    ids=lambda each: each.name,
)
def test_an_entry_that_krew_refuses_is_noticed(bad: tarfile.TarInfo) -> None:
    assert rules.archive_problems(packed(*GOOD, bad), PLATFORM)


@pytest.mark.parametrize("lacking", range(2))
def test_a_file_of_the_list_that_is_not_there_is_noticed(lacking: int) -> None:
    assert rules.archive_problems(packed(*(each for at, each in enumerate(GOOD) if at != lacking)), PLATFORM)


def test_what_is_no_archive_is_noticed() -> None:
    assert rules.archive_problems(b"<html>not found</html>", PLATFORM)


def folder(place: Path) -> Path:
    made = place / "folder"
    (made / "lib").mkdir(parents=True)
    (made / "lib" / "program").write_text("#!/bin/sh\n")
    (made / "lib" / "program").chmod(0o700)
    (made / "a.txt").write_text("text")
    return made


def test_packing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    made = folder(tmp_path)
    pack.tar_gz(made, tmp_path / "one.tar.gz", 1_700_000_000)
    pack.zipped(made, tmp_path / "one.zip", 1_700_000_000)
    (made / "a.txt").write_text("text")
    (made / "a.txt").chmod(0o666)
    pack.tar_gz(made, tmp_path / "two.tar.gz", 1_700_000_000)
    pack.zipped(made, tmp_path / "two.zip", 1_700_000_000)
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_packing_keeps_programs_programs_and_closes_files(tmp_path: Path) -> None:
    made = folder(tmp_path)
    (made / "lib" / "link").symlink_to("program")
    pack.tar_gz(made, tmp_path / "one.tar.gz", 0)
    with tarfile.open(tmp_path / "one.tar.gz") as tar:
        modes = {each.name: (each.type, each.mode) for each in tar}
    assert modes == {
        "a.txt": (tarfile.REGTYPE, 0o644),
        "lib": (tarfile.DIRTYPE, 0o755),
        "lib/link": (tarfile.REGTYPE, 0o755),
        "lib/program": (tarfile.REGTYPE, 0o755),
    }


def test_packing_refuses_what_krew_would(tmp_path: Path) -> None:
    made = folder(tmp_path)
    (made / "out").symlink_to("/etc/hosts")
    with pytest.raises(pack.Unpackable, match="leads out"):
        pack.tar_gz(made, tmp_path / "x.tar.gz", 0)
    (made / "out").unlink()
    (made / "a..b").write_text("")
    with pytest.raises(pack.Unpackable, match="two dots"):
        pack.tar_gz(made, tmp_path / "x.tar.gz", 0)
