"""Our own GBNF: the grammar text llama.cpp enforces, written from the same expression that foresees it."""

from __future__ import annotations

from kubectl_ai_intellect.gateway.grammar import Grammar
from kubectl_ai_intellect.gateway.llama.expression import (
    CHARACTER,
    LETTER_RULE,
    Any1,
    Chain,
    Expression,
    Letter,
    Literal,
    Repeat,
    of_shape,
)

MOST_BYTES = 64_000  # far above what nine candidates need; live names as alternatives would pass it


def gbnf(grammar: Grammar) -> str:
    """The grammar text; the caller still has llama.cpp parse it before use."""
    text = f"root ::= {_gbnf(of_shape(grammar.shape))}\n{LETTER_RULE}\n"
    if len(text.encode()) > MOST_BYTES:
        raise ValueError(f"grammar {grammar.name} is larger than {MOST_BYTES} bytes")
    return text


def _gbnf(expression: Expression) -> str:
    if expression == CHARACTER:
        return "letter"
    match expression:
        case Literal(text):
            return _quoted(text)
        case Letter():
            return "letter"
        case Any1(of):
            return "(" + " | ".join(_gbnf(option) for option in of) + ")"
        case Chain(of):
            return " ".join(_gbnf(part) for part in of)
        case Repeat(of, least, most):
            inner = _gbnf(of)
            inner = inner if inner == "letter" else f"({inner})"
            return f"{inner}{{{least},{most}}}" if most else '""'


def _quoted(text: str) -> str:
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    code = ord(character)
    if character in '"\\':
        return "\\" + character
    if 0x20 <= code < 0x7F:
        return character
    if code <= 0xFF:
        return f"\\x{code:02X}"
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"


__all__ = ["gbnf"]
