"""JSON schemas as remote services accept them: an object at the root, and no keyword that strict modes refuse."""

from __future__ import annotations

import json
from typing import Any

from kubectl_ai_intellect.gateway.grammar import Grammar

_REFUSED = ("minLength", "maxLength", "minItems", "maxItems", "minimum", "maximum")
WRAPPER = "answer"
MOST_ENUM = 50


def strict(grammar: Grammar) -> dict[str, Any]:
    """The grammar's schema; bounds become words, and small ranges become lists of values."""
    schema = _loosened(grammar.schema())
    if schema.get("type") == "object":
        return schema
    return {
        "type": "object",
        "properties": {WRAPPER: schema},
        "required": [WRAPPER],
        "additionalProperties": False,
    }


def unwrapped(grammar: Grammar, text: str) -> str:
    """The answer without the object that `strict` had to put around it."""
    if grammar.schema().get("type") == "object":
        return text
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if isinstance(value, dict) and set(value) == {WRAPPER}:
        return json.dumps(value[WRAPPER], separators=(",", ":"))
    return text


def in_words(grammar: Grammar) -> str:
    """The instruction for services without structured output."""
    schema = json.dumps(strict(grammar), separators=(",", ":"))
    return f"Answer with one JSON object and nothing else. It must fit this JSON schema: {schema}"


def _loosened(schema: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in schema.items() if name not in _REFUSED}
    if schema.get("type") == "integer" and schema["maximum"] - schema["minimum"] < MOST_ENUM:
        kept["enum"] = list(range(schema["minimum"], schema["maximum"] + 1))
    elif bounds := _bounds(schema):
        kept["description"] = bounds
    if "properties" in kept:
        kept["properties"] = {name: _loosened(part) for name, part in kept["properties"].items()}
    if "items" in kept:
        kept["items"] = _loosened(kept["items"])
    if "anyOf" in kept:
        kept["anyOf"] = [_loosened(part) for part in kept["anyOf"]]
    return kept


def _bounds(schema: dict[str, Any]) -> str:
    match schema.get("type"):
        case "string" if "maxLength" in schema:
            return f"{schema['minLength']} to {schema['maxLength']} characters, on one line"
        case "array":
            return f"{schema['minItems']} to {schema['maxItems']} items"
        case "integer":
            return f"{schema['minimum']} to {schema['maximum']}"
        case _:
            return ""


__all__ = ["in_words", "strict", "unwrapped"]
