"""The user's settings: config.toml, checked in full, with the environment above it.

`KUBECTL_INTELLECT_MODEL__NAME=…` overrides `name` of `[model]`. Keys for cloud providers are never settings:
they come from the environment or from a file that only the user can read.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from kubectl_ai_intellect import places
from kubectl_ai_intellect.errors import IntellectError

PROVIDERS = ("auto", "none", "llamacpp", "openai", "anthropic")


class SettingsError(IntellectError):
    """The configuration says something we do not understand."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Price(_Section):
    """US dollars per million tokens, for the cost in reports."""

    input: float = Field(default=0.0, ge=0)
    cached: float = Field(default=0.0, ge=0)
    output: float = Field(default=0.0, ge=0)


class ModelSettings(_Section):
    provider: Literal["auto", "none", "llamacpp", "openai", "anthropic"] = "auto"
    """auto: a local model if one is installed. A cloud provider is only used when named here or by --model."""
    name: str = ""
    """The model's name in the catalogue, at the provider, or a GGUF file."""
    base_url: str = ""
    """Where an OpenAI-compatible or Anthropic service answers; empty for the provider's own."""
    key_file: str = ""
    """A file with the API key, readable by nobody else; empty for the environment."""
    explain: bool = True
    """Whether the model writes an explanation below the verdict."""
    timeout: float = Field(default=120.0, gt=0, le=3600)
    """Seconds for one answer."""
    retries: int = Field(default=3, ge=0, le=10)
    requests_per_minute: int = Field(default=60, ge=1)
    concurrency: int = Field(default=2, ge=1, le=32)
    context: int = Field(default=0, ge=0)
    """Tokens of context of a local model; 0 for the catalogue's, reduced to what fits into memory."""
    threads: int = Field(default=0, ge=0, le=512)
    """Threads of a local model; 0 for the physical cores we may use."""
    mirror: str = ""
    """Base URL of a mirror of the model hub for `model pull`."""
    cache_days: float = Field(default=7.0, ge=0)
    """How long answers are kept; 0 keeps none."""
    price: Price = Price()


class OutputSettings(_Section):
    color: Literal["auto", "always", "never"] = "auto"


class KnowledgeSettings(_Section):
    embedder: str = ""
    """lexical, sentence-transformers[:MODEL], a GGUF file, or empty for the default."""


class ClusterSettings(_Section):
    timeout: float = Field(default=30.0, gt=0, le=3600)
    """Seconds for one request to the API server."""


class Settings(BaseSettings):
    """Everything a user can set."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix="KUBECTL_INTELLECT_", env_nested_delimiter="__"
    )

    model: ModelSettings = ModelSettings()
    output: OutputSettings = OutputSettings()
    knowledge: KnowledgeSettings = KnowledgeSettings()
    cluster: ClusterSettings = ClusterSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings


def path() -> Path:
    return places.config_dir() / "config.toml"


def load(file: Path | None = None) -> Settings:
    """The settings of the file (none is fine) and the environment."""
    return _checked(_read(file or path()), file or path())


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingsError(f"cannot read {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} is not valid TOML: {error}; mend or remove it") from error


def _checked(values: dict[str, Any], file: Path) -> Settings:
    try:
        return Settings(**values)
    except ValidationError as error:
        raise SettingsError(f"{file}: {_reason(error)}") from None
    except ValueError as error:  # pydantic-settings: an environment variable that does not parse
        raise SettingsError(f"a KUBECTL_INTELLECT_ variable does not parse: {error}") from None


def _reason(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown setting {key}{_suggestion(key)}"
    return f"{key}: {first['msg'].lower()}"


def _suggestion(key: str) -> str:
    near = difflib.get_close_matches(key, keys(), 1, 0.5)
    if not near:  # the right name in the wrong section
        last = key.rpartition(".")[2]
        near = [known for known in keys() if known.rpartition(".")[2] == last]
    return f"; did you mean {near[0]}?" if near else f"; known are {', '.join(keys())}"


def keys() -> list[str]:
    """Every setting's dotted name."""
    return list(flat(Settings.model_construct()))


def flat(settings: Settings) -> dict[str, Any]:
    """Dotted names to values, in order."""
    return dict(_flat(settings.model_dump(), ""))


def _flat(values: dict[str, Any], before: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        found += _flat(value, f"{before}{name}.") if isinstance(value, dict) else [(before + name, value)]
    return found


def change(key: str, value: str, file: Path | None = None) -> Settings:
    """Set one key in the file, keeping the rest of it as it is; the result must be valid as a whole."""
    file = file or path()
    if key not in keys():
        raise SettingsError(f"unknown setting {key}{_suggestion(key)}")
    try:
        text = file.read_text(encoding="utf-8") if file.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read {file}: {error}") from error
    section, _, name = key.rpartition(".")
    changed = _with_line(text, section, name, _literal(key, value))
    try:
        values = tomllib.loads(changed)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file} cannot be changed line by line ({error}); edit it by hand") from error
    settings = _checked(values, file)
    write_private(file, changed)
    return settings


def _literal(key: str, value: str) -> str:
    """The value as TOML: numbers and booleans where the setting is one."""
    current = flat(Settings.model_construct())[key]
    if isinstance(current, bool):
        words = {"true": "true", "on": "true", "yes": "true", "false": "false", "off": "false", "no": "false"}
        return words.get(value.lower(), json.dumps(value))
    if isinstance(current, int | float):
        try:
            return repr(int(value)) if isinstance(current, int) else repr(float(value))
        except ValueError:
            return json.dumps(value)
    return json.dumps(value, ensure_ascii=False)


def _with_line(text: str, section: str, name: str, literal: str) -> str:
    """The text with `name = literal` in its section: replaced, or added at the section's end."""
    lines = text.splitlines()
    inside, end = False, -1
    for number, line in enumerate(lines):
        bare = line.strip()
        if bare.startswith("["):
            inside = bare.split("#")[0].strip() == f"[{section}]"
            end = number + 1 if inside else end
        elif inside:
            if bare.partition("=")[0].strip() == name:
                lines[number] = f"{name} = {literal}"
                return "\n".join(lines) + "\n"
            end = number + 1 if bare else end
    if end < 0:
        lines += [*([""] if lines else []), f"[{section}]", f"{name} = {literal}"]
    else:
        lines.insert(end, f"{name} = {literal}")
    return "\n".join(lines) + "\n"


def write_private(file: Path, text: str) -> None:
    """Write a file of the user's, whole or not at all, readable by nobody else."""
    places.private(file.parent)
    part = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        part.replace(file)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise SettingsError(f"cannot write {file}: {error.strerror}") from error


__all__ = ["Settings", "SettingsError", "change", "flat", "keys", "load", "path", "write_private"]
