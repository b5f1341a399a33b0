"""The shape of a model's answer, once: from it come the JSON schema, the grammar text and the validation.

Outputs are JSON in one canonical spelling (no spaces, keys in the order given). Every repetition is bounded,
so that an answer ends whatever the model does.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from kubectl_ai_intellect.gateway.protocol import OutputInvalid

MOST_CHARACTERS = 2000
MOST_ITEMS = 20


@dataclass(frozen=True, slots=True)
class Text:
    """A JSON string of bounded length, on one line."""

    most: int
    least: int = 0


@dataclass(frozen=True, slots=True)
class OneOf:
    """One string of a closed list."""

    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Whole:
    """An integer between two bounds, both allowed."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false."""


@dataclass(frozen=True, slots=True)
class Items:
    """A list of bounded length."""

    of: Shape
    most: int
    least: int = 0


@dataclass(frozen=True, slots=True)
class Fields:
    """An object with exactly these keys in this order."""

    of: tuple[tuple[str, Shape], ...]


@dataclass(frozen=True, slots=True)
class Either:
    """One of several objects, told apart by their first key."""

    of: tuple[Fields, ...]


Shape = Text | OneOf | Whole | Flag | Items | Fields | Either


@dataclass(frozen=True, slots=True)
class Grammar:
    """A named shape."""

    name: str
    shape: Shape

    def __post_init__(self) -> None:
        _bounded(self.shape)

    def schema(self) -> dict[str, Any]:
        return _schema(self.shape)

    def parse(self, text: str) -> Any:
        """The value in a model's answer, checked in full; spelling (spaces, code fences) is forgiven."""
        try:
            value = json.loads(_without_fence(text))
        except ValueError as error:
            raise OutputInvalid(f"the model's answer is not JSON: {error}") from error
        wrong = mismatch(self.shape, value)
        if wrong:
            raise OutputInvalid(f"the model's answer does not fit: {wrong}")
        return value

    def value(self, text: str, finish: str = "stop") -> Any:
        """The value, or None for an answer that was cut off or does not fit."""
        try:
            return self.parse(text) if finish == "stop" else None
        except OutputInvalid:
            return None

    def key(self) -> str:
        """One spelling per grammar, for cache keys."""
        return json.dumps(self.schema(), separators=(",", ":"))


def mismatch(shape: Shape, value: Any, at: str = "answer") -> str:
    """Why the value is not of the shape; empty when it is."""
    match shape:
        case Text(most, least):
            fits = isinstance(value, str) and least <= len(value) <= most
            return "" if fits else f"{at} is not a text of {least} to {most} characters"
        case OneOf(labels):
            return "" if value in labels else f"{at} is not one of {len(labels)} labels"
        case Whole(low, high):
            fits = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
            return "" if fits else f"{at} is not a number from {low} to {high}"
        case Flag():
            return "" if isinstance(value, bool) else f"{at} is not true or false"
        case Items():
            return _list_mismatch(shape, value, at)
        case Fields():
            return _object_mismatch(shape, value, at)
        case Either(of):
            meant = [option for option in of if isinstance(value, dict) and option.of[0][0] in value]
            firsts = ", ".join(option.of[0][0] for option in of)
            return mismatch(meant[0], value, at) if meant else f"{at} begins with none of the keys {firsts}"


def _list_mismatch(shape: Items, value: Any, at: str) -> str:
    if not isinstance(value, list) or not shape.least <= len(value) <= shape.most:
        return f"{at} is not a list of {shape.least} to {shape.most} items"
    reasons = (mismatch(shape.of, item, f"{at}[{number}]") for number, item in enumerate(value))
    return next((reason for reason in reasons if reason), "")


def _object_mismatch(shape: Fields, value: Any, at: str) -> str:
    if not isinstance(value, dict):
        return f"{at} is not an object"
    names = [name for name, _ in shape.of]
    if set(value) != set(names):
        return f"{at} does not have exactly the keys {', '.join(names)}"
    reasons = (mismatch(part, value[name], f"{at}.{name}") for name, part in shape.of)
    return next((reason for reason in reasons if reason), "")


def _bounded(shape: Shape, within: int = 1) -> None:
    """Refuse at the start what could not be generated or would not end.

    llama.cpp counts repetitions within repetitions as their product and refuses above 2000.
    """
    match shape:
        case Text(most, least):
            good = 0 <= least <= most and most * within <= MOST_CHARACTERS
        case OneOf(labels):
            good = bool(labels) and len(set(labels)) == len(labels)
        case Whole(low, high):
            good = low <= high
        case Flag():
            good = True
        case Items(of, most, least):
            good = 0 <= least <= most <= MOST_ITEMS and most * within <= MOST_CHARACTERS
            _bounded(of, within * max(most, 1))
        case Fields(of):
            good = bool(of)
            for _, part in of:
                _bounded(part, within)
        case Either(of):
            firsts = [option.of[0] for option in of]
            good = bool(of) and len({name for name, _ in firsts}) == len(of)
            for option in of:
                _bounded(option, within)
    if not good:
        raise ValueError(f"not a bounded shape: {shape}")


def _schema(shape: Shape) -> dict[str, Any]:
    match shape:
        case Text(most, least):
            return {"type": "string", "minLength": least, "maxLength": most}
        case OneOf(labels):
            return {"type": "string", "enum": list(labels)}
        case Whole(low, high):
            return {"type": "integer", "minimum": low, "maximum": high}
        case Flag():
            return {"type": "boolean"}
        case Items(of, most, least):
            return {"type": "array", "items": _schema(of), "minItems": least, "maxItems": most}
        case Fields(of):
            return {
                "type": "object",
                "properties": {name: _schema(part) for name, part in of},
                "required": [name for name, _ in of],
                "additionalProperties": False,
            }
        case Either(of):
            return {"anyOf": [_schema(option) for option in of]}


def _without_fence(text: str) -> str:
    """Models without structured output like to wrap JSON in a code fence or a sentence."""
    start, end = text.find("{"), text.rfind("}")
    first = text.lstrip()[:1]
    if first in {"{", "[", '"'} or start < 0 or end < start:
        return text
    return text[start : end + 1]


__all__ = ["Either", "Fields", "Flag", "Grammar", "Items", "OneOf", "Shape", "Text", "Whole", "mismatch"]
