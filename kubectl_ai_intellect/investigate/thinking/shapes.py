"""The shapes of a model's answers, made from what is on the board: it cannot name what was not shown."""

from __future__ import annotations

from kubectl_ai_intellect.gateway.grammar import Either, Fields, Flag, Grammar, Items, OneOf, Text
from kubectl_ai_intellect.investigate.thinking.board import Board

THOUGHT = 140
OTHER = 120
SENTENCE = 220
CITES = 4
RANKED = 3
SENTENCES = 4


def decision(board: Board, reads: bool = True) -> Grammar:
    """One step: candidates in order, a cause of the model's own, a read, or nothing."""
    cites = Items(OneOf(tuple(board.facts)), CITES, 1)
    options: list[Fields] = []
    if board.live:
        options.append(Fields((("ranked", Items(OneOf(tuple(board.live)), RANKED, 1)), ("cites", cites))))
    options.append(Fields((("other", Text(OTHER, 12)), ("cites", cites))))
    if reads and board.open_probes:
        options.append(Fields((("probe", OneOf(tuple(board.open_probes))),)))
    options.append(Fields((("undecided", Flag()),)))
    return Grammar("decision", Fields((("thought", Text(THOUGHT)), ("do", Either(tuple(options))))))


def explanation(citable: tuple[str, ...]) -> Grammar:
    """A few sentences, each with the facts that it stands on."""
    sentence = Fields((("says", Text(SENTENCE, 10)), ("cites", Items(OneOf(citable), 3, 1))))
    return Grammar("explanation", Fields((("sentences", Items(sentence, SENTENCES, 1)),)))


__all__ = ["CITES", "OTHER", "RANKED", "SENTENCE", "SENTENCES", "THOUGHT", "decision", "explanation"]
