"""Installing a bundle: first everything is read and held against the list, then it is put in place, whole or not at all.

What was verified is what is installed: each file is copied while it is hashed, onto the disk where it will stay, and
then only renamed. Nothing is asked of a network.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from kubectl_ai_intellect import places
from kubectl_ai_intellect.airgap import archive, contents, signature
from kubectl_ai_intellect.airgap.contents import Contents, Entry
from kubectl_ai_intellect.airgap.listing import DESCRIPTION, SIGNATURE, SUMS, BundleError, checked, parsed, small
from kubectl_ai_intellect.airgap.placing import Journal
from kubectl_ai_intellect.errors import IntellectError

SPARE = 64 << 20
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Verified:
    """A bundle whose list is whole and, where a key was given, signed."""

    root: Path
    contents: Contents
    digests: dict[str, str]
    signed: bool


@dataclass(slots=True)
class Done:
    """What was installed, what was there already, and what is worth saying."""

    installed: list[str] = field(default_factory=list[str])
    kept: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])


def verified(root: Path, key: Path | None) -> Verified:
    """The lists of a bundle, checked against each other; its files are checked as they are read."""
    if not root.is_dir():
        raise BundleError(f"there is no directory {root}")
    try:
        sums = small(root, SUMS)
    except BundleError as error:
        raise BundleError(f"{root} is no bundle, or it was not copied whole ({error})") from None
    signed = (root / SIGNATURE).exists()
    if key is not None:
        if not signed:
            raise BundleError(
                f"the bundle is not signed ({SIGNATURE} is missing), and --verify-key asks for it; nothing was installed"
            )
        signature.verify(sums, small(root, SIGNATURE, 1 << 16), key)
    try:
        digests = parsed(sums.decode("utf-8"))
    except UnicodeDecodeError:
        raise BundleError(f"{SUMS} is not text; copy the bundle again") from None
    if DESCRIPTION not in digests:
        raise BundleError(f"{SUMS} does not list {DESCRIPTION}; it was cut short, copy the bundle again")
    data = small(root, DESCRIPTION)
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "x"
        checked(root, DESCRIPTION, digests[DESCRIPTION], len(data), copy)
        found = contents.read(copy.read_bytes())
    listed = {each.path for each in found.files}
    for name in sorted(listed ^ (set(digests) - {DESCRIPTION})):
        raise BundleError(
            f"{name} is on one list and not on the other; the bundle was cut short or altered, copy it again"
        )
    return Verified(root, found, digests, signed)


def install(bundle: Verified, bin_dir: Path, *, progress: Progress | None = None) -> Done:
    """Verify every file, then put in place what is not there yet."""
    _room(bundle)
    done = Done()
    data = places.private(places.data_dir())
    with tempfile.TemporaryDirectory(dir=data, prefix=".incoming-") as scratch:
        staged = Path(scratch)
        _stage(bundle, staged, progress)
        with Journal() as journal:
            _plugin(bundle, staged, bin_dir, journal, done)
            _models(bundle, staged, journal, done)
            _index(bundle, staged, journal, done)
            _documents(bundle, staged, journal, done)
            _runbooks(bundle, staged, journal, done)
            journal.keep()
    return done


def _room(bundle: Verified) -> None:
    """Twice the archives (packed and unpacked), once the rest."""
    data = places.private(places.data_dir())
    needed = sum(each.size * (4 if each.role == "plugin" else 1) for each in bundle.contents.files if _wanted(each))
    free = shutil.disk_usage(data).free
    if free < needed + SPARE:
        raise IntellectError(f"{data} has {free >> 20} MiB free, the bundle needs {(needed + SPARE) >> 20}; make room")


def _wanted(entry: Entry) -> bool:
    """What is installed; the rest is only verified."""
    if entry.role == "plugin":
        return entry.name == archive.here()
    return entry.role in ("model", "embedder", "index", "document", "runbook")


def _stage(bundle: Verified, staged: Path, progress: Progress | None) -> None:
    total = sum(each.size for each in bundle.contents.files)

    def advance(count: int, _: int) -> None:
        if progress is not None:
            progress(count, total)

    for each in bundle.contents.files:
        into = staged / each.path if _wanted(each) else None
        checked(bundle.root, each.path, bundle.digests[each.path], each.size, into, advance)


def _plugin(bundle: Verified, staged: Path, bin_dir: Path, journal: Journal, done: Done) -> None:
    """The plugin in a directory of its own version and digest, and links to it where kubectl looks."""
    mine = [each for each in bundle.contents.of("plugin") if _wanted(each)]
    if not mine:
        if others := sorted({each.name for each in bundle.contents.of("plugin")}):
            done.notes.append(
                f"the bundle's plugin is for {', '.join(others)}, this is {archive.here()}: it stays as it is"
            )
        return
    entry = mine[0]
    home = places.data_dir() / "plugin" / f"{bundle.contents.version}-{bundle.digests[entry.path][:12]}"
    unpacked = staged / "unpacked"
    program = archive.unpack(staged / entry.path, unpacked)
    shim = program.parent / archive.SHIM
    if not shim.exists():
        from kubectl_ai_intellect.completing.install import SHIM

        shim.write_text(SHIM, encoding="utf-8")
        shim.chmod(0o755)
    fresh = journal.directory(unpacked, home)
    for path in (program, shim):
        link = bin_dir / path.name
        fresh = journal.link(link, home / path.relative_to(unpacked), places.data_dir() / "plugin") or fresh
    (done.installed if fresh else done.kept).append(f"plugin {bundle.contents.version} at {bin_dir / archive.PROGRAM}")
    if str(bin_dir) not in os.environ.get("PATH", "").split(os.pathsep):
        done.notes.append(f"{bin_dir} is not on PATH; add it there, or kubectl does not find the plugin")


def _models(bundle: Verified, staged: Path, journal: Journal, done: Done) -> None:
    from kubectl_ai_intellect.gateway.llama.gguf import read_header
    from kubectl_ai_intellect.gateway.models import installed

    for entry in [*bundle.contents.of("embedder"), *bundle.contents.of("model")]:
        file = staged / entry.path
        header = read_header(file)
        if entry.role == "model":
            installed.refuse_unfit(header, file.name)
        target = installed.directory() / file.name
        fresh = journal.file(file, target, bundle.digests[entry.path])
        if entry.role == "model" and (fresh or entry.name not in installed.installed()):
            journal.after(
                lambda n=entry.name, t=target, d=bundle.digests[entry.path]: installed.register(n, t, d, "bundle")
            )
        (done.installed if fresh else done.kept).append(f"{entry.role} {entry.name or file.name}")


def _index(bundle: Verified, staged: Path, journal: Journal, done: Done) -> None:
    """The ready index as a generation of its own, used where there is none of this embedder yet."""
    import re

    parts = bundle.contents.of("index")
    if not parts:
        return
    slug = re.sub(r"[^A-Za-z0-9.-]+", "-", parts[0].name)[:80]
    root = places.data_dir() / "index" / slug
    if (root / "current").exists():
        done.kept.append("index (the one here is kept and brought up to date)")
        return
    name = f"g-{bundle.digests[parts[0].path][:12]}"
    journal.directory(staged / "index", root / name)
    pointer = staged / "current"
    pointer.write_text(name, encoding="utf-8")
    journal.file(pointer, root / "current", "")
    done.installed.append("index")


def _documents(bundle: Verified, staged: Path, journal: Journal, done: Done) -> None:
    """The user's own documents, registered as if they had been added here."""
    if not bundle.contents.of("document"):
        return
    from kubectl_ai_intellect.knowledge import library

    for directory in sorted((staged / "documents").iterdir()):
        target = places.data_dir() / "documents" / directory.name
        fresh = journal.tree(directory, target)
        journal.after(lambda path=target: library.add(path))
        (done.installed if fresh else done.kept).append(f"documents {directory.name.partition('-')[2]}")


def _runbooks(bundle: Verified, staged: Path, journal: Journal, done: Done) -> None:
    """Ours come with the plugin; those that the plugin here lacks, being older, are added like documents."""
    from kubectl_ai_intellect.knowledge import library

    ours = library.shipped_directory()
    lacking = [
        each.path for each in bundle.contents.of("runbook") if not (ours / each.path.partition("/")[2]).is_file()
    ]
    if not lacking or any(_wanted(each) for each in bundle.contents.of("plugin")):
        done.kept.append(f"{len(bundle.contents.of('runbook'))} runbooks, with the plugin")
        return
    chosen = staged / "lacking"
    for path in lacking:
        into = chosen / path.partition("/")[2]
        into.parent.mkdir(parents=True, exist_ok=True)
        (staged / path).replace(into)
    target = places.data_dir() / "documents" / f"runbooks-{bundle.contents.version}"
    fresh = journal.tree(chosen, target)
    journal.after(lambda: library.add(target))
    (done.installed if fresh else done.kept).append(f"{len(lacking)} runbooks that the plugin here lacks")


__all__ = ["Done", "Verified", "install", "verified"]
