"""An object as a case keeps it: redacted, and without what repeats or says nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kubectl_ai_intellect.kube.arrival import without_secret_values
from kubectl_ai_intellect.kube.refs import BUILTIN, Resource
from kubectl_ai_intellect.kube.source import dig

Json = Any
Redact = Callable[[str], str]

DROPPED_ANNOTATIONS = frozenset({"kubectl.kubernetes.io/last-applied-configuration"})
"""A second copy of the whole object, with its environment's literals."""

FREE_TEXT = frozenset({"message", "note", "reason", "description", "args", "command", "lastState"})
NAMED_VALUES = frozenset({"env", "httpHeaders"})
WORDS = frozenset({"args", "command"})
MASKED = "<redacted>"
LONGEST = 4096
"""No single value of a ConfigMap or an annotation is kept beyond this many characters."""


def compacted(item: Mapping[str, Json], kind: tuple[str, str], redact: Redact) -> dict[str, Json]:
    """A new object; the one at hand is left as it is."""
    kept = {key: value for key, value in item.items() if key not in ("apiVersion", "kind")}
    if kind == ("", "Secret"):
        kept = without_secret_values(kept, certificate=True)
    if kind == ("", "ConfigMap"):
        kept = _config_map(kept, redact)
    if kind[1] == "CustomResourceDefinition":
        kept = _without_schemas(kept)
    metadata = kept.pop("metadata", None) or {}
    masked = _redacted if kind in BUILTIN else _masked
    return {"metadata": _metadata(metadata, kind, redact)} | {
        key: value if key == "data" else masked(value, key, redact) for key, value in kept.items()
    }


def _config_map(item: dict[str, Json], redact: Redact) -> dict[str, Json]:
    data = item.get("data")
    if isinstance(data, Mapping):
        item = item | {"data": {key: _value(key, str(value), redact) for key, value in data.items()}}
    binary = item.get("binaryData")
    if isinstance(binary, Mapping):
        item = item | {"binaryData": dict.fromkeys(binary, "")}
    return item


def _without_schemas(item: dict[str, Json]) -> dict[str, Json]:
    """A CRD's schemas are most of its size; which versions it serves is what matters."""
    versions = [
        {key: value for key, value in version.items() if key not in ("schema", "additionalPrinterColumns")}
        for version in dig(item, "spec", "versions", otherwise=[])
    ]
    return item | {"spec": {**(item.get("spec") or {}), "versions": versions}}


def _value(name: str, value: str, redact: Redact) -> str:
    """A named value; its name tells the redactor what it may be."""
    head = f"{name}="
    masked = redact(head + value) if "\n" not in value else head + redact(value)
    return masked.removeprefix(head)[:LONGEST] if masked.startswith(head) else MASKED


def _metadata(metadata: Mapping[str, Json], kind: tuple[str, str], redact: Redact) -> dict[str, Json]:
    kept = {key: value for key, value in metadata.items() if key not in ("selfLink", "annotations")}
    if annotations := metadata.get("annotations"):
        kept["annotations"] = {
            key: _value(key, str(value), redact) for key, value in annotations.items() if key not in DROPPED_ANNOTATIONS
        }
    if fields := metadata.get("managedFields"):
        kept["managedFields"] = [_managed(entry, kind) for entry in fields]
    return kept


def _managed(entry: Mapping[str, Json], kind: tuple[str, str]) -> dict[str, Json]:
    """Who wrote when; of what, the keys of a Secret or ConfigMap and the declared fields of others."""
    names = ("manager", "operation", "time", "subresource")
    kept = {name: entry[name] for name in names if entry.get(name)}
    fields = entry.get("fieldsV1") or {}
    if kind in (("", "Secret"), ("", "ConfigMap")):
        fields = {key: fields[key] for key in ("f:data", "f:binaryData", "f:stringData") if key in fields}
    else:
        fields = {key: value for key, value in fields.items() if key == "f:spec"}
    return kept | ({"fieldsV1": fields} if fields else {})


def _redacted(value: Json, key: str, redact: Redact) -> Json:
    """The value with its environment literals and free text redacted."""
    if isinstance(value, Mapping):
        return {name: _redacted(below, name, redact) for name, below in value.items()}
    if isinstance(value, list):
        if key in NAMED_VALUES:
            return [_variable(entry, redact) for entry in value]
        if key in WORDS:
            return _words([str(entry) for entry in value], redact)
        return [_redacted(entry, key, redact) for entry in value]
    if isinstance(value, str) and (key in FREE_TEXT or "://" in value):
        return redact(value)
    return value


def _masked(value: Json, key: str, redact: Redact) -> Json:
    """The same for kinds that we do not know, whose every field may hold a secret: its name tells."""
    if isinstance(value, Mapping):
        return {name: _masked(below, name, redact) for name, below in value.items()}
    if isinstance(value, list):
        return [_masked(entry, key, redact) for entry in value]
    return _value(key, value, redact) if isinstance(value, str) else value


def _words(words: list[str], redact: Redact) -> list[str]:
    """The words of a command; one after a flag is that flag's value."""
    masked: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        together = redact(f"{before} {word}") if before.startswith("-") and not word.startswith("-") else ""
        masked.append(together.removeprefix(f"{before} ") if together.startswith(f"{before} ") else redact(word))
    return masked


def _variable(entry: Json, redact: Redact) -> Json:
    if isinstance(entry, Mapping) and isinstance(entry.get("value"), str):
        return {**entry, "value": _value(str(entry.get("name", "")), entry["value"], redact)}
    return entry


def worth_keeping(resource: Resource) -> bool:
    """Kinds that a recording of whole namespaces takes: what can be read, and is no mere view of others."""
    return "list" in resource.verbs and resource.group not in ("metrics.k8s.io", "events.k8s.io")


__all__ = ["Redact", "compacted", "worth_keeping"]
