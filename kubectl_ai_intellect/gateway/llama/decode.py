"""Generation under a grammar: greedy, with fixed text read in one batch and a soft landing before the limit.

The model's favourite token is tried against the grammar first; only if it is refused are the others looked
at. Text that the grammar leaves no choice about is never sampled: it is tokenised and read at once.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kubectl_ai_intellect.gateway.llama.engine import Engine, EngineError, GrammarSampler
from kubectl_ai_intellect.gateway.llama.expression import Expression, can_end, ending, first, follow, forced

FAVOURITES = 64
LANDING_WITHIN = 40  # tokens left when the way to a legal end is first measured


@dataclass(slots=True)
class Written:
    """What a generation has produced."""

    text: str = ""
    tokens: int = 0
    sampled: int = 0
    finish: str = "length"
    shortened: bool = False


class Writer:
    """One generation after `read` tokens of prompt, which the engine has just read."""

    def __init__(
        self,
        engine: Engine,
        read: int,
        most: int,
        on_text: Callable[[str], None],
        grammar: GrammarSampler | None = None,
        ahead: Expression | None = None,
    ):
        room = engine.context - read
        if room <= 0:
            raise EngineError(f"no room to answer: the prompt fills the context of {engine.context} tokens")
        self.engine = engine
        self.most = min(most, room)
        self.on_text = on_text
        self.grammar = grammar
        self.ahead = ahead
        self.out = Written()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def run(self) -> Written:
        pending: list[int] = []  # written, not yet read by the model
        while self.out.finish != "stop":
            if self._landed():
                break
            pending += self._jump()
            if self._complete():
                self.out.finish = "stop"
                break
            if self.out.tokens >= self.most:
                break
            if pending:
                self.engine.extend(pending)
                pending = []
            token = self._sample()
            if self.engine.ends(token):
                self.out.finish = "stop"
                break
            self._take(token)
            self.out.sampled += 1
            pending.append(token)
        self._say(self._decoder.decode(b"", final=True))
        return self.out

    def _sample(self) -> int:
        """The likeliest token that the grammar allows."""
        logits = self.engine.logits()
        favourite = int(logits.argmax())
        if self.grammar is None or self.grammar.allows(favourite):
            return favourite
        return self._likeliest_allowed(logits)

    def _likeliest_allowed(self, logits: Any) -> int:
        import numpy as np

        assert self.grammar is not None
        count = min(FAVOURITES, len(logits))
        for tokens in (np.argpartition(logits, -count)[-count:], np.arange(len(logits))):
            scores = self.grammar.allowed(tokens, logits[tokens])
            best = int(scores.argmax())
            if scores[best] > float("-inf"):
                return int(tokens[best])
        raise EngineError("the model's vocabulary cannot spell what the grammar asks for")

    def _take(self, token: int) -> None:
        if self.grammar is not None:
            self.grammar.accept(token)
        self.out.tokens += 1
        text = self._decoder.decode(self.engine.piece(token))
        if self.ahead is not None and text:
            self.ahead = follow(self.ahead, text)
        self._say(text)

    def _say(self, text: str) -> None:
        if text:
            self.out.text += text
            self.on_text(text)

    def _between_characters(self) -> bool:
        return not self._decoder.getstate()[0]

    def _jump(self) -> list[int]:
        """Take over the text that must come next, if any."""
        if self.ahead is None or not self._between_characters():
            return []
        text, _ = forced(self.ahead)
        return self._take_text(text) if text else []

    def _take_text(self, text: str) -> list[int]:
        """Write given text in the model's own tokens, as far as the grammar agrees token by token."""
        tokens = self.engine.tokenise(text, special=False)
        if b"".join(map(self.engine.piece, tokens)) != text.encode():
            return []  # a vocabulary that adds spaces: leave it to sampling
        taken: list[int] = []
        for token in tokens:
            if self.out.tokens >= self.most or (self.grammar is not None and not self.grammar.allows(token)):
                break
            self._take(token)
            taken.append(token)
        return taken

    def _complete(self) -> bool:
        """Nothing may follow any more."""
        if self.ahead is None or not self._between_characters():
            return False
        characters, letters = first(self.ahead)
        return can_end(self.ahead) and not characters and not letters

    def _landed(self) -> bool:
        """Close a free text in time. An end that would choose for the model is left open, and so invalid."""
        left = self.most - self.out.tokens
        if self.ahead is None or left > LANDING_WITHIN or not self._between_characters():
            return False
        end = ending(self.ahead)
        if end.decides or len(self.engine.tokenise(end.text, special=False)) < left - 1:
            return False
        self._take_text(end.text)
        if self._may_end():
            self.out.finish = "stop"
            self.out.shortened = True
        return True

    def _may_end(self) -> bool:
        return self.ahead is not None and can_end(self.ahead)


__all__ = ["Writer", "Written"]
