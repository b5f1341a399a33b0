"""This machine's side: settings, model, embedder, index, disk, memory, and how the plugin is installed."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

from kubectl_ai_intellect import places, settings
from kubectl_ai_intellect.doctor.check import Check, degraded, failed, ok, unknown
from kubectl_ai_intellect.errors import IntellectError
from kubectl_ai_intellect.version import __version__

MIB = 1 << 20
LEAST_DISK, GOOD_DISK = 50 * MIB, 500 * MIB
LEAST_MEMORY, GOOD_MEMORY = 150 * MIB, 600 * MIB
"""A diagnosis without a model takes about 110 MiB; one of five thousand pods, some 500."""
RULES = "answers come from the rules alone, without a model's help where they leave a question open"


def checks() -> Iterator[Check]:
    """Every check on this machine's side."""
    yield _plugin()
    try:
        chosen = settings.load()
        yield ok("settings", str(settings.path()) if settings.path().is_file() else "all as they come")
    except IntellectError as error:
        yield failed("settings", str(error), "no command that needs settings works", "mend the line that is named")
        yield from (unknown(name, "the settings cannot be read") for name in ("model", "embedder", "index"))
        chosen = None
    if chosen is not None:
        yield _model(chosen)
        yield from _search(chosen.knowledge.embedder)
    yield _disk()
    yield _memory()


def _plugin() -> Check:
    """Whether kubectl finds us, and finds our completions."""
    says = (
        f"kubectl intellect {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    )
    if not shutil.which("kubectl-intellect"):
        return degraded("plugin", f"{says}; kubectl-intellect is not on PATH", "kubectl does not know `kubectl intellect`",
                        "put the directory of kubectl-intellect on PATH")  # fmt: skip
    if not shutil.which("kubectl_complete-intellect"):
        return degraded("plugin", f"{says}; kubectl_complete-intellect is not on PATH", "the Tab key completes nothing after `kubectl intellect`",
                        "kubectl intellect completion install")  # fmt: skip
    return ok("plugin", says)


def _model(chosen: settings.Settings) -> Check:
    from kubectl_ai_intellect.gateway.opening import wished

    wish = wished(chosen, None)
    if wish.provider == "none":
        return ok("model", "none, as the settings say; the rules answer")
    if wish.provider in ("openai", "anthropic"):
        return _remote_model(wish.provider, wish.name, chosen)
    from kubectl_ai_intellect.gateway.models.installed import best_installed, installed

    if wish.provider == "auto" and not wish.name and best_installed() is None:
        if installed():
            return degraded(
                "model",
                "none of the installed ones fits into free memory",
                RULES,
                "kubectl intellect model list shows smaller ones",
            )
        return degraded(
            "model", "none is installed", RULES, "kubectl intellect model pull (offline: model import FILE)"
        )
    return _local_model(wish.name, chosen)


def _local_model(name: str, chosen: settings.Settings) -> Check:
    from kubectl_ai_intellect.gateway.models.installed import installed
    from kubectl_ai_intellect.gateway.models.running import prepared

    try:
        model = prepared(name, chosen.model)
    except (IntellectError, OSError) as error:
        said, _, mend = str(error).rpartition("; ")
        return degraded("model", said or mend, RULES, mend if said else "kubectl intellect model list")
    kept = installed().get(model.name)
    if kept is not None and not kept.unchanged:
        return degraded("model", f"{kept.name}: its file is not as it was when it was installed", "it may be damaged",
                        f"kubectl intellect model verify {kept.name}")  # fmt: skip
    size = model.path.stat().st_size / MIB
    return ok("model", f"{model.name} ({size:.0f} MiB, {model.threads} threads, {model.context} tokens of context)")


def _remote_model(provider: str, name: str, chosen: settings.Settings) -> Check:
    """A provider's model: whether there is a key; the provider itself is not asked."""
    from kubectl_ai_intellect.gateway.opening import open_model

    try:
        open_model(chosen)
    except IntellectError as error:
        return degraded("model", str(error), RULES, "kubectl intellect model use none, or mend what is named")
    return ok("model", f"{provider}:{name} (not contacted: only a question sends anything)")


def _search(wish: str) -> Iterator[Check]:
    """The embedder, really loaded, and the index that was made with it."""
    from kubectl_ai_intellect.knowledge.embedders import choose

    for needed in ("faiss", "numpy"):
        if importlib.util.find_spec(needed) is None:
            says = f"{needed} is not installed"
            yield degraded("embedder", says, "runbooks cannot be searched by words", "install the plugin again")
            yield unknown("index", says)
            return
    try:
        embedder, note = choose(wish)
        embedder.embed(["the pod is crashing"])
    except IntellectError as error:
        yield degraded(
            "embedder",
            str(error),
            "runbooks cannot be searched",
            "kubectl intellect config set knowledge.embedder lexical",
        )
        yield unknown("index", "there is no embedder")
        return
    if note:
        said = note.removeprefix("searching by words alone: ")
        what, _, mend = said.rpartition("; ")
        yield degraded(
            "embedder",
            f"by words alone: {what or said}",
            "runbooks are found by their words, not by meaning",
            mend or "see docs",
        )
    else:
        yield ok("embedder", f"{embedder.name}, {embedder.dimensions} dimensions")
    yield _index(embedder)


def _index(embedder: object) -> Check:
    from kubectl_ai_intellect.knowledge import library
    from kubectl_ai_intellect.knowledge.building import changes, usable
    from kubectl_ai_intellect.knowledge.index import IndexUnusable

    mend = "kubectl intellect runbook index"
    try:
        index = usable(embedder)  # type: ignore[arg-type]
        fresh, gone = changes(index, library.sources())
    except IndexUnusable:
        return degraded(
            "index", "not built yet for this embedder", "the first search builds it and takes some seconds", mend
        )
    except IntellectError as error:
        return degraded("index", str(error), "your own documents are not found", mend)
    missing = [path for path in library.registry().paths if not path.exists()]
    says = f"{index.header.documents} documents, {index.header.passages} passages"
    if missing:
        return degraded("index", f"{says}; {missing[0]} is gone", "your documents there are not found",
                        f"kubectl intellect runbook remove {missing[0]}, or bring it back")  # fmt: skip
    if fresh or gone:
        return degraded(
            "index",
            f"{says}; {len(fresh)} changed, {gone} gone since",
            "the next search brings it up to date first",
            mend,
        )
    return ok("index", says)


def _disk() -> Check:
    """Room for the files of the user's that we write, and leave to write them."""
    homes = {"data": places.data_dir(), "cache": places.cache_dir(), "configuration": places.config_dir()}
    for what, directory in homes.items():
        there = _existing(directory)
        if not os.access(there, os.W_OK | os.X_OK):
            return failed("disk", f"the {what} directory {directory} cannot be written",
                          "nothing is kept: no index, models, sessions or settings", f"make {there} writable for you")  # fmt: skip
    free = min((shutil.disk_usage(_existing(directory)).free, str(directory)) for directory in homes.values())
    says = f"{_size(free[0])} free at {free[1]}"
    if free[0] < LEAST_DISK:
        return failed(
            "disk", says, "indexes, models and sessions cannot be written", "make room, or move XDG_DATA_HOME"
        )
    if free[0] < GOOD_DISK:
        return degraded("disk", says, "a model does not fit", "make room, or move XDG_DATA_HOME")
    return ok("disk", says)


def _memory() -> Check:
    from kubectl_ai_intellect.gateway import machine

    free = machine.memory()
    says = f"{_size(free)} of memory free, {machine.cores()} cores"
    if free < LEAST_MEMORY:
        return failed("memory", says, "even a small diagnosis may be killed", "free some memory")
    if free < GOOD_MEMORY:
        return degraded(
            "memory", says, "large clusters and local models may not fit", "free some memory, or model use none"
        )
    return ok("memory", says)


def _existing(directory: Path) -> Path:
    return next((each for each in (directory, *directory.parents) if each.is_dir()), Path("/"))


def _size(size: int) -> str:
    return f"{size / (1 << 30):.1f} GiB" if size >= 1 << 30 else f"{size // MIB} MiB"


__all__ = ["checks"]
