"""The catalogue of local models, read from models/catalogue.toml."""

from __future__ import annotations

import difflib
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kubectl_ai_intellect.gateway.llama.tokens import TEMPLATES
from kubectl_ai_intellect.gateway.protocol import ModelError

GIB = 1024**3
HUB = "https://huggingface.co"


class Entry(BaseModel):
    """One model that can be pulled."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.\-]*$")
    title: str
    repo: str = Field(pattern=r"^[\w.\-]+/[\w.\-]+$")
    file: str = Field(pattern=r"^[\w.\-]+\.gguf$")
    revision: str = "main"
    size: int = Field(gt=0)
    ram: float = Field(gt=0)
    context: int = Field(ge=2048)
    template: str
    licence: str
    sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    default: bool = False

    def url(self, mirror: str = "") -> str:
        base = (mirror or HUB).rstrip("/")
        return f"{base}/{self.repo}/resolve/{self.revision}/{self.file}"


@cache
def entries() -> tuple[Entry, ...]:
    """All entries, in the catalogue's order."""
    return read(_file())


def read(file: Path) -> tuple[Entry, ...]:
    try:
        data: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
        found = tuple(Entry(**one) for one in data["model"])
    except (OSError, KeyError, TypeError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise ModelError(f"the model catalogue {file} cannot be read: {str(error).splitlines()[0]}") from error
    unknown = [entry.name for entry in found if entry.template not in TEMPLATES]
    if unknown:
        raise ModelError(f"the model catalogue names an unknown template for {', '.join(unknown)}")
    return found


def _file() -> Path:
    """Inside the installed package, else in the checkout beside it."""
    package = Path(__file__).parents[2]
    installed = package / "_data" / "models" / "catalogue.toml"
    return installed if installed.is_file() else package.parent / "models" / "catalogue.toml"


def find(name: str) -> Entry:
    for entry in entries():
        if name.lower() in (entry.name, entry.file.lower(), entry.title.lower()):
            return entry
    names = [entry.name for entry in entries()]
    near = difflib.get_close_matches(name.lower(), names, 1, 0.4)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(names)}"
    raise ModelError(f"no model {name} in the catalogue; {hint}")


def by_file(file: str) -> Entry | None:
    return next((entry for entry in entries() if entry.file == file), None)


def suited(memory: int) -> Entry | None:
    """The default if it fits into this much memory, else the largest smaller one that does."""
    fitting = [entry for entry in entries() if entry.ram * GIB <= memory]
    for entry in fitting:
        if entry.default:
            return entry
    return max(fitting, key=lambda entry: entry.ram, default=None)


def smaller(than: int, memory: int) -> Entry | None:
    """The largest model below a size that fits into memory."""
    fitting = [entry for entry in entries() if entry.ram * GIB <= memory and entry.size < than]
    return max(fitting, key=lambda entry: entry.size, default=None)


__all__ = ["GIB", "HUB", "Entry", "by_file", "entries", "find", "read", "smaller", "suited"]
