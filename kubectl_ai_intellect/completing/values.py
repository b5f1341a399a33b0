"""What may stand in each slot, read from where it is kept, without anything heavy."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from kubectl_ai_intellect import places
from kubectl_ai_intellect.completing.asked import Kubectl
from kubectl_ai_intellect.completing.grammar import SETTINGS

PACKAGE = Path(__file__).parents[1]


def values(slot: str, kubectl: Kubectl) -> Iterable[str]:
    """The choices for a slot; what cannot be read offers nothing."""
    if slot.startswith("="):
        return slot[1:].split(",")
    of_cluster: dict[str, tuple[str, ...]] = {
        "namespace": ("get", "--namespace"),
        "context": ("get", "--context"),
        "cluster": ("get", "--cluster"),
        "user": ("get", "--user"),
    }
    if slot in of_cluster:
        return kubectl.complete(*of_cluster[slot])
    here: dict[str, Callable[[], Iterable[str]]] = {
        "runbook": _runbooks,
        "document": _documents,
        "model": _models,
        "known-model": _catalogue,
        "wish": _wishes,
        "demo": _demos,
        "setting": lambda: SETTINGS,
    }
    try:
        return here[slot]() if slot in here else ()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ()


def _data(*parts: str) -> Path:
    """A file of ours: inside the installed package, else in the checkout beside it."""
    installed = PACKAGE.joinpath("_data", *parts)
    return installed if installed.exists() else PACKAGE.parent.joinpath(*parts)


def _runbooks() -> Iterable[str]:
    """The ids: ours are the files' places, the user's were noted when they were indexed."""
    root = _data("runbooks")
    ours = (path.relative_to(root).with_suffix("").as_posix() for path in root.glob("*/*.md"))
    return sorted({*ours, *_registry().get("ids", {})})


def _documents() -> Iterable[str]:
    known = _registry()
    return [*known.get("paths", []), *known.get("ids", {})]


def _registry() -> dict[str, dict[str, str]]:
    try:
        return json.loads((places.data_dir() / "documents.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}


def _models() -> Iterable[str]:
    """The installed ones, as the list beside them names them."""
    rows = json.loads((places.data_dir() / "models" / "models.json").read_text(encoding="utf-8"))
    return [f"{row['name']}\t{row['file']}" for row in rows]


def _catalogue() -> Iterable[str]:
    import tomllib

    rows = tomllib.loads(_data("models", "catalogue.toml").read_text(encoding="utf-8"))["model"]
    return [f"{row['name']}\t{row['title']}, {row['size'] / 1e9:.1f} GB" for row in rows]


def _wishes() -> Iterable[str]:
    try:
        mine = list(_models())
    except (OSError, ValueError, KeyError, TypeError):
        mine = []
    return [
        *mine,
        "none\tno model: the rules answer",
        "auto\ta local one, if any is installed",
        "llamacpp:",
        "openai:",
        "anthropic:",
    ]


def _demos() -> Iterable[str]:
    return sorted(path.name.removesuffix(".json.gz") for path in (PACKAGE / "demos").glob("*.json.gz"))


__all__ = ["values"]
