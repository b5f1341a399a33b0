"""Which model answers: the one named on the command line, else the settings', else an installed local one.

A cloud provider is used only when it is named; a key in the environment names nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kubectl_ai_intellect import places
from kubectl_ai_intellect.errors import UsageError
from kubectl_ai_intellect.gateway.protocol import Model, ModelError

if TYPE_CHECKING:
    from kubectl_ai_intellect.gateway.egress import Show
    from kubectl_ai_intellect.settings import ModelSettings, Settings

PROVIDERS = ("none", "llamacpp", "openai", "anthropic")


class Wish(NamedTuple):
    """A provider and a model's name; either may be left open."""

    provider: str
    name: str


def parse(text: str) -> Wish:
    """`PROVIDER[:NAME]`, or the name or file of a local model."""
    provider, colon, name = text.partition(":")
    if provider in (*PROVIDERS, "auto"):
        return Wish(provider, name)
    if colon and "/" not in provider and "." not in provider:
        raise UsageError(f"unknown model provider {provider}; known are {', '.join(PROVIDERS)}")
    if not text:
        raise UsageError("no model named; PROVIDER[:NAME], such as llamacpp:qwen3-4b or none")
    return Wish("llamacpp", text)


def wished(settings: Settings, override: str | None) -> Wish:
    if override is not None:
        wish = parse(override)
        if not wish.name and wish.provider == settings.model.provider:
            return Wish(wish.provider, settings.model.name)
        return wish
    return Wish(settings.model.provider, settings.model.name)


def open_model(settings: Settings, override: str | None = None, show_egress: Show | None = None) -> Model | None:
    """The model to ask, or None for none. A local model loads in the background of this call."""
    wish = wished(settings, override)
    if wish.provider == "none":
        return None
    if wish.provider == "auto" and not wish.name:
        from kubectl_ai_intellect.gateway.models.installed import best_installed

        found = best_installed()
        return None if found is None else _local(found.name, settings.model)
    if wish.provider in ("auto", "llamacpp"):
        return _local(wish.name, settings.model)
    return _remote(wish, settings.model, show_egress)


def _local(name: str, settings: ModelSettings) -> Model:
    from kubectl_ai_intellect.gateway.governed import GovernedModel
    from kubectl_ai_intellect.gateway.llama.client import LlamaModel
    from kubectl_ai_intellect.gateway.models.running import prepared

    return GovernedModel(LlamaModel(prepared(name, settings)), _cache(settings))


def _remote(wish: Wish, settings: ModelSettings, show: Show | None) -> Model:
    from kubectl_ai_intellect.gateway.egress import Audit
    from kubectl_ai_intellect.gateway.governed import GovernedModel
    from kubectl_ai_intellect.gateway.policy import Gate, Limits
    from kubectl_ai_intellect.gateway.providers.anthropic import AnthropicDialect
    from kubectl_ai_intellect.gateway.providers.openai import OpenAIDialect
    from kubectl_ai_intellect.gateway.providers.remote import RemoteModel

    if not wish.name:
        raise ModelError(f"which model of {wish.provider}? say {wish.provider}:NAME")
    make = OpenAIDialect if wish.provider == "openai" else AnthropicDialect
    base_url = settings.base_url if wish.provider == settings.provider else ""
    key_file = settings.key_file if wish.provider == settings.provider else ""
    limits = Limits(settings.timeout, settings.retries, settings.requests_per_minute, settings.concurrency)
    audit = Audit(places.data_dir() / "audit.jsonl")
    model = RemoteModel(make(wish.name, base_url, key_file), Gate(limits), audit, settings.price, show)
    # What would be sent is shown even where the answer is known.
    return GovernedModel(model, None if show is not None else _cache(settings))


def _cache(settings: ModelSettings):
    from kubectl_ai_intellect.gateway.cache import AnswerCache

    return AnswerCache(places.cache_dir() / "answers.db", settings.cache_days) if settings.cache_days else None


__all__ = ["PROVIDERS", "Wish", "open_model", "parse", "wished"]
