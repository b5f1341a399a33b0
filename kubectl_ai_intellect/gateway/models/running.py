"""How a model is run on this machine: context, threads, and whether it fits at all."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from kubectl_ai_intellect import places
from kubectl_ai_intellect.gateway import machine
from kubectl_ai_intellect.gateway.llama.client import LocalModel
from kubectl_ai_intellect.gateway.llama.gguf import Header, read_header
from kubectl_ai_intellect.gateway.models import catalogue, installed
from kubectl_ai_intellect.gateway.models.catalogue import GIB
from kubectl_ai_intellect.gateway.protocol import ModelError

if TYPE_CHECKING:
    from kubectl_ai_intellect.settings import ModelSettings

DEFAULT_CONTEXT = 8192
LEAST_CONTEXT = 3072  # the first prompt, three steps and an explanation
OVERHEAD = 350 * 1024 * 1024  # the interpreter, llama.cpp and its buffers


def prepared(name: str, settings: ModelSettings) -> LocalModel:
    """What to start for a name or a file; raises if it cannot run here, saying what can."""
    if importlib.util.find_spec("llama_cpp") is None:
        raise ModelError(
            "local models need llama-cpp-python, which is not installed; pip install 'kubectl-ai-intellect[local]'"
        )
    title, path, digest = _located(name)
    header = read_header(path)
    installed.refuse_unfit(header, path.name)
    entry = catalogue.by_file(path.name)
    wanted = settings.context or (entry.context if entry else DEFAULT_CONTEXT)
    return LocalModel(
        name=title,
        path=path,
        digest=digest or installed.remembered_digest(path),
        context=fitting_context(header, wanted, machine.memory(), title),
        threads=settings.threads or machine.cores(),
        template=entry.template if entry else "",
        timeout=settings.timeout,
        store=places.cache_dir() / "prefix",
    )


def _located(name: str) -> tuple[str, Path, str]:
    """Name, file and digest (empty if not known)."""
    if not name:
        best = installed.best_installed()
        if best is None:
            raise ModelError("no local model is installed that fits; kubectl intellect model list shows some")
        name = best.name
    if name.endswith(".gguf") and ("/" in name or Path(name).is_file()):
        path = Path(name).expanduser()
        if not path.is_file():
            raise ModelError(f"no model file {name}")
        return path.stem, path.resolve(), ""
    model = installed.find(name)
    return model.name, model.path, model.sha256 if model.unchanged else ""


def fitting_context(header: Header, wanted: int, memory: int, name: str) -> int:
    """As much context as wanted, trained for and affordable."""
    most = min(wanted, header.context or wanted)
    room = memory - needed_memory(header, 0)
    affordable = room // header.kv_bytes_per_token if header.kv_bytes_per_token else most
    context = min(most, max(int(affordable), 0) // 256 * 256)
    if context >= min(LEAST_CONTEXT, most):
        return context
    need = needed_memory(header, min(LEAST_CONTEXT, most))
    smaller = catalogue.smaller(header.size, memory)
    hint = f"; {smaller.name} would fit" if smaller else ""
    raise ModelError(f"{name} needs {need / GIB:.1f} GiB of memory, {memory / GIB:.1f} GiB are free{hint}")


def needed_memory(header: Header, context: int) -> int:
    return header.size + OVERHEAD + context * header.kv_bytes_per_token


__all__ = ["fitting_context", "needed_memory", "prepared"]
