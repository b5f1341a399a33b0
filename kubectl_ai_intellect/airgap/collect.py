"""Making a bundle: everything the plugin needs, copied, listed and, with a key, signed."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from kubectl_ai_intellect.airgap import archive as plugin_archive
from kubectl_ai_intellect.airgap import signature
from kubectl_ai_intellect.airgap.contents import Contents, Entry, Role
from kubectl_ai_intellect.airgap.listing import DESCRIPTION, README, SIGNATURE, SUMS, Progress, written
from kubectl_ai_intellect.errors import IntellectError
from kubectl_ai_intellect.version import __version__

CHUNK = 1 << 20
MANIFEST = "krew-manifest.yaml"
NO_ARCHIVE = (
    "there is no plugin archive here; give it with --archive FILE (a release has it, `make dist` builds it), "
    "or leave the plugin out with --no-plugin"
)
_README = """\
kubectl intellect {version}, for a machine without a network.

1. Nothing was lost or changed on the way:

       sha256sum -c SHA256SUMS
{signed}
2. Unpack the plugin for this machine and let it install everything, itself included:

       mkdir /tmp/intellect && tar -xzf {archive} -C /tmp/intellect
       $(find /tmp/intellect -type f -name kubectl-intellect | head -n 1) bundle install .{key}

3. kubectl intellect doctor
"""
_SIGNED = """\
   and the list is signed by the key you know (KEY.pub; a file `signers` with the line `bundle KEY`):

       ssh-keygen -Y verify -f signers -I bundle -n kubectl-intellect -s SHA256SUMS.sig < SHA256SUMS
"""


@dataclass(frozen=True, slots=True)
class Wish:
    """What to take along, beyond what is always taken."""

    models: tuple[str, ...] = ()
    archives: tuple[Path, ...] = ()
    manifest: Path | None = None
    plugin: bool = True
    sign_key: Path | None = None


@dataclass(frozen=True, slots=True)
class _Source:
    """A file to take, and where it goes."""

    file: Path
    path: str
    role: Role
    name: str = ""


@dataclass(slots=True)
class Made:
    """What the bundle holds now, and what was left out and why."""

    contents: Contents
    signed: bool
    notes: list[str] = field(default_factory=list[str])


def create(target: Path, wish: Wish, say: Callable[[str], None], progress: Progress | None = None) -> Made:
    """Make the bundle in a directory that is empty, or that holds an earlier one, which it replaces."""
    _fit(target)
    notes: list[str] = []
    sources = [*_plugin(wish, notes), *_models(wish, notes), *_embedder_and_index(notes, say), *_texts()]
    if wish.sign_key is not None and not wish.sign_key.is_file():
        raise IntellectError(f"--sign-key: there is no file {wish.sign_key}")
    try:
        target.mkdir(parents=True, exist_ok=True)
        # Within the target, which may be the mount point of a stick; the list comes last, so that a bundle that
        # was broken off is none.
        with tempfile.TemporaryDirectory(dir=target, prefix=".making-") as scratch:
            made = _made(Path(scratch), sources, wish, progress)
            _moved(Path(scratch), target)
    except OSError as error:
        raise IntellectError(f"cannot write the bundle to {target}: {error.strerror}") from error
    made.notes = notes
    return made


def _fit(target: Path) -> None:
    if target.exists() and not target.is_dir():
        raise IntellectError(f"{target} is a file; name a directory for the bundle")
    if target.is_dir():
        there = [
            path.name for path in target.iterdir() if not path.name.startswith((".", "System Volume", "lost+found"))
        ]
        if there and DESCRIPTION not in there:
            raise IntellectError(f"{target} holds other files ({there[0]}, …); name an empty directory")


def _made(scratch: Path, sources: Sequence[_Source], wish: Wish, progress: Progress | None) -> Made:
    digests: dict[str, str] = {}
    entries: list[Entry] = []
    total = sum(each.file.stat().st_size for each in sources)
    for each in sources:
        digests[each.path], size = _copied(each.file, scratch / each.path, total, progress)
        entries.append(Entry(path=each.path, role=each.role, size=size, name=each.name))
    readme = _readme(entries, wish.sign_key is not None).encode()
    entries.append(Entry(path=README, role="readme", size=len(readme)))
    contents = Contents(version=__version__, created=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", files=tuple(entries))
    described = (contents.model_dump_json(indent=1) + "\n").encode()
    for name, data in ((README, readme), (DESCRIPTION, described)):
        (scratch / name).write_bytes(data)
        digests[name] = hashlib.sha256(data).hexdigest()
    sums = written(digests).encode()
    (scratch / SUMS).write_bytes(sums)
    if wish.sign_key is not None:
        (scratch / SIGNATURE).write_bytes(signature.sign(sums, wish.sign_key))
    return Made(contents, wish.sign_key is not None)


def _copied(file: Path, into: Path, total: int, progress: Progress | None) -> tuple[str, int]:
    """Copy a file; the digest and size of what was copied."""
    into.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with file.open("rb") as source, into.open("xb") as output:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            output.write(chunk)
            size += len(chunk)
            if progress is not None:
                progress(len(chunk), total)
    return digest.hexdigest(), size


def _moved(scratch: Path, target: Path) -> None:
    """Everything into its place; the list goes first of the old bundle and comes last of the new one."""
    for name in (SUMS, SIGNATURE):
        (target / name).unlink(missing_ok=True)
    last = (SUMS, SIGNATURE)
    for path in sorted(scratch.iterdir(), key=lambda each: each.name in last):
        old = target / path.name
        if old.is_dir() and not old.is_symlink():
            shutil.rmtree(old)
        path.replace(old)
    for name in ("plugin", "models", "runbooks", "documents", "index"):
        if not (scratch / name).exists() and (target / name).is_dir() and not _listed(target, name):
            shutil.rmtree(target / name)


def _listed(target: Path, directory: str) -> bool:
    return f"  {directory}/" in (target / SUMS).read_text(encoding="utf-8")


def _plugin(wish: Wish, notes: list[str]) -> Iterator[_Source]:
    if not wish.plugin:
        return
    archives = wish.archives or tuple(_built())
    if not archives:
        raise IntellectError(NO_ARCHIVE)
    for file in archives:
        if not file.is_file():
            raise IntellectError(f"--archive: there is no file {file}")
        with tempfile.TemporaryDirectory() as scratch:
            plugin_archive.unpack(file, Path(scratch))  # better found out here than there
        yield _Source(file, f"plugin/{file.name}", "plugin", plugin_archive.platform_of(file.name))
    manifest = wish.manifest or next((path for path in _manifests(archives[0].parent) if path.is_file()), None)
    if manifest is None:
        notes.append(
            "no krew manifest beside the archive: `kubectl krew install --manifest` will not work from this bundle"
        )
    elif not manifest.is_file():
        raise IntellectError(f"--manifest: there is no file {manifest}")
    else:
        yield _Source(manifest, f"plugin/{MANIFEST}", "manifest")


def _built() -> list[Path]:
    """What `make dist` left in the checkout that we run from."""
    return sorted((_checkout() / "dist").glob("kubectl-intellect*.tar.gz"))


def _checkout() -> Path:
    return Path(__file__).parents[2]


def _manifests(beside: Path) -> Iterable[Path]:
    return (beside / MANIFEST, beside / "intellect.yaml", *sorted(beside.glob("*krew*.yaml")))


def _models(wish: Wish, notes: list[str]) -> Iterator[_Source]:
    """The models named; without a name, the one that would be asked."""
    from kubectl_ai_intellect import settings
    from kubectl_ai_intellect.gateway.models import installed
    from kubectl_ai_intellect.gateway.opening import wished

    names = list(dict.fromkeys(wish.models))
    if names == ["none"]:
        return
    if not names:
        provider, name = wished(settings.load(), None)
        best = installed.best_installed() if provider == "auto" and not name else None
        chosen = name if provider in ("auto", "llamacpp") and not name.endswith(".gguf") else ""
        names = [best.name] if best else [chosen] if chosen else []
        if not names:
            notes.append("no language model: --model NAME takes one along (`kubectl intellect model list`)")
    for name in names:
        model = installed.find(name)
        installed.verify(model)
        yield _Source(model.path, f"models/{model.file}", "model", model.name)


def _embedder_and_index(notes: list[str], say: Callable[[str], None]) -> Iterator[_Source]:
    from kubectl_ai_intellect.knowledge import wished
    from kubectl_ai_intellect.knowledge.building import update
    from kubectl_ai_intellect.knowledge.embedders import EmbedderError, choose
    from kubectl_ai_intellect.knowledge.embedders.weights import default_file, named_file

    wish = wished()
    if wish != "lexical" and not wish.startswith("sentence-transformers"):
        try:
            file = named_file(wish).path if wish else default_file().path
            yield _Source(file.resolve(), f"models/{file.name}", "embedder")
        except EmbedderError as error:
            notes.append(f"no embedder: {error}")
    embedder, note = choose(wish)
    if note:
        notes.append(note)
    say("indexing")
    index, _ = update(embedder)
    for path in sorted(index.directory.iterdir()):
        if path.is_file():
            yield _Source(path, f"index/{path.name}", "index", embedder.identity)


def _texts() -> Iterator[_Source]:
    """Our runbooks, and the user's own documents."""
    from kubectl_ai_intellect.knowledge import library
    from kubectl_ai_intellect.knowledge.documents import files_in

    for source in library.shipped_sources():
        yield _Source(source.path, f"runbooks/{source.key.removeprefix('ours:')}", "runbook")
    for number, root in enumerate(library.registry().paths, start=1):
        if not root.exists():
            continue
        for path in files_in(root):
            inside = path.relative_to(root).as_posix() if root.is_dir() else path.name
            home = f"{number}-{root.name}" if root.is_dir() else f"{number}-file"
            yield _Source(path, f"documents/{home}/{inside}", "document")


def _readme(entries: Sequence[Entry], signed: bool) -> str:
    archives = [each.path for each in entries if each.role == "plugin"]
    mine = archives[0] if len(archives) == 1 else "plugin/ARCHIVE"
    key = " --verify-key KEY.pub" if signed else ""
    return _README.format(version=__version__, signed=_SIGNED if signed else "", archive=mine, key=key)


__all__ = ["NO_ARCHIVE", "Made", "Wish", "create"]
