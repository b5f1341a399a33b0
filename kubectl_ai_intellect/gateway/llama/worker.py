"""The model's process: reads requests from a pipe, answers on another, and is allowed to die.

A second thread reads the pipe, so that a cancellation arrives while llama.cpp computes, and so that the
process ends with the one that started it.
"""

from __future__ import annotations

import os
import queue
import resource
import sys
import threading
import time
from pathlib import Path
from typing import Any, BinaryIO

from kubectl_ai_intellect.gateway.llama import wire
from kubectl_ai_intellect.gateway.llama.decode import Writer
from kubectl_ai_intellect.gateway.llama.engine import Aborted, Engine, EngineError, Load
from kubectl_ai_intellect.gateway.llama.expression import from_wire
from kubectl_ai_intellect.gateway.llama.prefix import PrefixStore, tokens_digest

SAVING_SECONDS = 10.0  # how long a save may outlive the client
WORTH_KEEPING = 32  # tokens of prefix below which a file is not worth its bytes


class Worker:
    """Serves one model to one client."""

    def __init__(self, requests: BinaryIO, answers: BinaryIO):
        self._requests = requests
        self._answers = answers
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._cancelled: set[int] = set()
        self._current = -1
        self._engine: Engine | None = None
        self._digest = ""
        self._store: PrefixStore | None = None
        self._saving: threading.Thread | None = None
        self._tokenised: dict[tuple[str, bool], list[int]] = {}

    def run(self) -> None:
        threading.Thread(target=self._listen, daemon=True).start()
        while (request := self._queue.get()) is not None:
            self._answer(request)

    def _listen(self) -> None:
        try:
            while True:
                message = wire.read(self._requests)
                if message.get("op") == "cancel":
                    self._cancel(int(message["id"]))
                else:
                    self._queue.put(message)
        except (wire.Closed, OSError, ValueError):
            if self._saving is not None:
                self._saving.join(SAVING_SECONDS)
            os._exit(0)  # the client has gone: nobody is left to answer

    def _cancel(self, number: int) -> None:
        self._cancelled.add(number)
        if number == self._current and self._engine is not None:
            self._engine.abort()

    def _answer(self, request: dict[str, Any]) -> None:
        number = int(request["id"])
        if self._engine is not None:
            self._engine.ready()
        self._current = number
        try:
            if number in self._cancelled:
                raise Aborted
            result = self._perform(request)
        except Aborted:
            result = {"error": "cancelled", "kind": "cancelled"}
        except (EngineError, ValueError, KeyError, TypeError, MemoryError) as error:
            result = {"error": str(error) or type(error).__name__, "kind": "engine"}
        finally:
            self._current = -1
            self._cancelled.discard(number)
        saving = self._saving is not None and self._saving.is_alive()
        self._send({"id": number, "done": True, "saving": saving, **result})

    def _send(self, message: dict[str, Any]) -> None:
        self._answers.write(wire.pack(message))
        self._answers.flush()

    def _perform(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["op"] == "open":
            return self._open(request)
        engine = self._engine
        if engine is None:
            raise EngineError("no model is open")
        match request["op"]:
            case "complete":
                return self._complete(engine, request)
            case "score":
                return self._score(engine, request)
            case "count":
                prefix, rest = self._tokens(engine, request)
                return {"prefix": len(prefix), "tokens": len(prefix) + len(rest)}
            case "tokens":
                return {"tokens": [token for part in self._tokens(engine, request) for token in part]}
            case "check":
                engine.grammar(request["grammar"]).close()
                return {}
            case "control":
                return {"control": self._single_control(engine, request["text"])}
            case other:
                raise EngineError(f"unknown request {other}")

    def _open(self, request: dict[str, Any]) -> dict[str, Any]:
        load = Load(**request["load"])
        self._engine = Engine(load)
        self._digest = request["digest"]
        if request.get("store"):
            self._store = PrefixStore(Path(request["store"]), int(request["cap"]))
        return self._engine.describe()

    def _single_control(self, engine: Engine, text: str) -> bool:
        tokens = engine.tokenise(text, special=True)
        return len(tokens) == 1 and engine.is_control(tokens[0])

    def _tokens(self, engine: Engine, request: dict[str, Any]) -> tuple[list[int], list[int]]:
        bos = engine.bos() if request.get("bos") else []
        prefix = [token for text, special in request["prefix"] for token in self._piece(engine, text, special)]
        rest = [token for text, special in request["rest"] for token in self._piece(engine, text, special)]
        return bos + prefix, rest

    def _piece(self, engine: Engine, text: str, special: bool) -> list[int]:
        """Tokens of one piece; a conversation repeats its pieces."""
        known = self._tokenised.get((text, special))
        if known is None:
            if len(self._tokenised) > 512:
                self._tokenised.clear()
            known = self._tokenised[(text, special)] = engine.tokenise(text, special)
        return known

    def _read(self, engine: Engine, request: dict[str, Any]) -> dict[str, int]:
        """Read the prompt, the prefix from memory or disk where possible."""
        prefix, rest = self._tokens(engine, request)
        tokens = prefix + rest
        if len(tokens) > engine.context:
            raise EngineError(
                f"the prompt has {len(tokens)} tokens, the context holds {engine.context}; ask about less at once"
            )
        restored = fresh = 0
        if engine.held[: len(prefix)] != prefix:
            restored, fresh = self._read_prefix(engine, prefix)
        fresh += engine.read(tokens)
        return {"prompt": len(tokens), "evaluated": fresh, "restored": restored, "prefix": len(prefix)}

    def _read_prefix(self, engine: Engine, prefix: list[int]) -> tuple[int, int]:
        """Tokens restored from disk, and tokens evaluated."""
        if self._store is None or len(prefix) < WORTH_KEEPING:
            return 0, engine.read(prefix) if prefix else 0
        header = {
            "model": self._digest,
            "tokens": len(prefix),
            "prompt": tokens_digest(prefix),
            **engine.state_identity(),
        }
        saved = self._store.load(header)
        if saved is not None and engine.restore(saved, prefix):
            return len(prefix), 0
        fresh = engine.read(prefix)
        store, payload = self._store, engine.save()
        # Written while the model goes on: the copy is ours, and llama.cpp computes without the interpreter.
        self._saving = threading.Thread(target=store.save, args=(header, payload))
        self._saving.start()
        return 0, fresh

    def _complete(self, engine: Engine, request: dict[str, Any]) -> dict[str, Any]:
        began = time.perf_counter()
        text = request.get("grammar")
        grammar = engine.grammar(text) if text else None
        try:
            counts = self._read(engine, request)
            read = time.perf_counter()
            number = int(request["id"])
            stream = bool(request.get("stream"))
            writer = Writer(
                engine,
                counts["prompt"],
                int(request["most"]),
                lambda piece: self._send({"id": number, "text": piece}) if stream else None,
                grammar,
                from_wire(request["ahead"]) if grammar is not None else None,
            )
            out = writer.run()
        finally:
            if grammar is not None:
                grammar.close()
        return {
            "text": out.text,
            "finish": out.finish,
            "shortened": out.shortened,
            "written": out.tokens,
            "sampled": out.sampled,
            "read_ms": (read - began) * 1000,
            "write_ms": (time.perf_counter() - read) * 1000,
            **counts,
        }

    def _score(self, engine: Engine, request: dict[str, Any]) -> dict[str, Any]:
        """The logits of the first tokens of some texts."""
        counts = self._read(engine, request)
        logits = engine.logits()
        firsts = [engine.tokenise(label, special=False) for label in request["labels"]]
        if any(len(tokens) != 1 for tokens in firsts):
            raise EngineError("the model has no single token for each number")
        return {"logits": [float(logits[tokens[0]]) for tokens in firsts], **counts}


def main() -> None:
    """Take the pipes, keep everybody else off them, and serve."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold cluster data
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the client decides what Ctrl-C means
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)  # whatever prints goes to the error file, never into the protocol
    sys.stdout = sys.stderr
    try:
        Worker(requests, answers).run()
    except BrokenPipeError:
        os._exit(0)


__all__ = ["Worker", "main"]
