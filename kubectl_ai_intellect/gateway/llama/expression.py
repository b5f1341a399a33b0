"""Regular expressions over characters, as values: their grammar text, and what may follow a text so far.

llama.cpp's own grammar decides what a token may be. These expressions know besides what *must* come next, so
that fixed text is read in one batch instead of being sampled token by token, and how an answer can be ended
in the fewest characters when the budget runs out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

from kubectl_ai_intellect.gateway.grammar import Either, Fields, Flag, Items, OneOf, Shape, Text, Whole

MOST_NUMBERS = 1000
LETTER_RULE = r'letter ::= [^"\\\x00-\x1F\x7F-\x9F] | "\\" ["\\]'


@dataclass(frozen=True, slots=True)
class Literal:
    text: str


@dataclass(frozen=True, slots=True)
class Letter:
    """One character that may stand in a JSON string as itself."""


@dataclass(frozen=True, slots=True)
class Chain:
    of: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Any1:
    """One of several."""

    of: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    of: Expression
    least: int
    most: int


Expression = Literal | Letter | Chain | Any1 | Repeat

EMPTY = Literal("")
CHARACTER = Any1((Letter(), Chain((Literal("\\"), Any1((Literal('"'), Literal("\\")))))))


class First(NamedTuple):
    """Which characters may come next; `letters` says that nearly all may."""

    characters: frozenset[str]
    letters: bool


class Ending(NamedTuple):
    """The shortest end; `decides` when it would pick for the model among alternatives."""

    text: str
    decides: bool


def of_shape(shape: Shape) -> Expression:
    """The JSON spellings of a shape."""
    match shape:
        case Text(most, least):
            return Chain((Literal('"'), Repeat(CHARACTER, least, most), Literal('"')))
        case OneOf(labels):
            return Any1(tuple(Literal(json.dumps(label, ensure_ascii=False)) for label in labels))
        case Whole(low, high):
            if high - low >= MOST_NUMBERS:
                raise ValueError(f"more than {MOST_NUMBERS} numbers to choose from")
            return Any1(tuple(Literal(str(number)) for number in range(low, high + 1)))
        case Flag():
            return Any1((Literal("true"), Literal("false")))
        case Items(of, most, least):
            return _items(of_shape(of), least, most)
        case Fields(of):
            return _fields(of)
        case Either(of):
            return Any1(tuple(of_shape(option) for option in of))


def _items(item: Expression, least: int, most: int) -> Expression:
    if most == 0:
        return Literal("[]")
    more = Repeat(Chain((Literal(","), item)), max(least - 1, 0), most - 1)
    some = Chain((item, more))
    return Chain((Literal("["), some if least else Repeat(some, 0, 1), Literal("]")))


def _fields(of: tuple[tuple[str, Shape], ...]) -> Expression:
    parts: list[Expression] = []
    for number, (name, shape) in enumerate(of):
        parts += [Literal(("," if number else "{") + json.dumps(name) + ":"), of_shape(shape)]
    return Chain((*parts, Literal("}")))


def after(expression: Expression, character: str) -> Expression | None:
    """What must follow once this character was written; None when it may not be."""
    match expression:
        case Literal(text):
            return Literal(text[1:]) if text[:1] == character and text else None
        case Letter():
            return EMPTY if _is_letter(character) else None
        case Any1(of):
            return _one_of([rest for option in of if (rest := after(option, character)) is not None])
        case Repeat(of, least, most):
            rest = after(of, character) if most else None
            return None if rest is None else _chain(rest, Repeat(of, max(least - 1, 0), most - 1))
        case Chain(of):
            return _after_chain(of, character)


def _after_chain(of: tuple[Expression, ...], character: str) -> Expression | None:
    found: list[Expression] = []
    for number, part in enumerate(of):
        rest = after(part, character)
        if rest is not None:
            found.append(_chain(rest, *of[number + 1 :]))
        if not can_end(part):
            break
    return _one_of(found)


def _one_of(options: list[Expression]) -> Expression | None:
    if not options:
        return None
    unique = tuple(dict.fromkeys(options))
    return unique[0] if len(unique) == 1 else Any1(unique)


def _chain(*parts: Expression) -> Expression:
    kept: list[Expression] = []
    for part in parts:
        if part == EMPTY or (isinstance(part, Repeat) and part.most == 0):
            continue
        kept += part.of if isinstance(part, Chain) else (part,)
    if not kept:
        return EMPTY
    return kept[0] if len(kept) == 1 else Chain(tuple(kept))


def can_end(expression: Expression) -> bool:
    match expression:
        case Literal(text):
            return not text
        case Letter():
            return False
        case Any1(of):
            return any(can_end(option) for option in of)
        case Repeat(of, least, _):
            return least == 0 or can_end(of)
        case Chain(of):
            return all(can_end(part) for part in of)


def first(expression: Expression) -> First:
    match expression:
        case Literal(text):
            return First(frozenset(text[:1]), False)
        case Letter():
            return First(frozenset(), True)
        case Any1(of):
            return _union([first(option) for option in of])
        case Repeat(of, _, most):
            return first(of) if most else First(frozenset(), False)
        case Chain(of):
            found: list[First] = []
            for part in of:
                found.append(first(part))
                if not can_end(part):
                    break
            return _union(found)


def _union(parts: list[First]) -> First:
    characters = frozenset[str]().union(*(part.characters for part in parts))
    return First(characters, any(part.letters for part in parts))


def forced(expression: Expression) -> tuple[str, Expression]:
    """The text that must come next, and what may follow it."""
    written: list[str] = []
    while not can_end(expression):
        characters, letters = first(expression)
        if letters or len(characters) != 1:
            break
        (character,) = characters
        following = after(expression, character)
        if following is None:
            break
        written.append(character)
        expression = following
    return "".join(written), expression


def ending(expression: Expression) -> Ending:
    """The shortest way to end from here."""
    match expression:
        case Literal(text):
            return Ending(text, False)
        case Letter():
            return Ending("-", True)
        case Any1(of):
            shortest = min((ending(option) for option in of), key=lambda end: len(end.text))
            return Ending(shortest.text, shortest.decides or (bool(shortest.text) and len(of) > 1))
        case Repeat(of, least, _):
            once = ending(of)
            return Ending(once.text * least, least > 0 and once.decides)
        case Chain(of):
            parts = [ending(part) for part in of]
            return Ending("".join(part.text for part in parts), any(part.decides for part in parts))


def follow(expression: Expression, text: str) -> Expression | None:
    """What may follow a whole text."""
    current: Expression | None = expression
    for character in text:
        if current is None:
            return None
        current = after(current, character)
    return current


def accepts(expression: Expression, text: str) -> bool:
    rest = follow(expression, text)
    return rest is not None and can_end(rest)


def _is_letter(character: str) -> bool:
    code = ord(character)
    return code >= 0x20 and not 0x7F <= code <= 0x9F and character not in '"\\'


def to_wire(expression: Expression) -> list[Any]:
    """The expression as JSON, for the pipe to the worker."""
    match expression:
        case Literal(text):
            return ["literal", text]
        case Letter():
            return ["letter"]
        case Any1(of):
            return ["any", *map(to_wire, of)]
        case Chain(of):
            return ["chain", *map(to_wire, of)]
        case Repeat(of, least, most):
            return ["repeat", to_wire(of), least, most]


def from_wire(wire: list[Any]) -> Expression:
    match wire:
        case ["literal", str(text)]:
            return Literal(text)
        case ["letter"]:
            return Letter()
        case ["any", *parts]:
            return Any1(tuple(from_wire(part) for part in parts))
        case ["chain", *parts]:
            return Chain(tuple(from_wire(part) for part in parts))
        case ["repeat", part, int(least), int(most)]:
            return Repeat(from_wire(part), least, most)
        case _:
            raise ValueError("not an expression")


__all__ = [
    "CHARACTER",
    "EMPTY",
    "LETTER_RULE",
    "Any1",
    "Chain",
    "Ending",
    "Expression",
    "First",
    "Letter",
    "Literal",
    "Repeat",
    "accepts",
    "after",
    "can_end",
    "ending",
    "first",
    "follow",
    "forced",
    "from_wire",
    "of_shape",
    "to_wire",
]
