"""Waiting for a model, but not longer than there is time, and never so that Ctrl-C has to wait too.

The model is asked in a thread of its own; who asked waits for what comes out of it. Whoever gives up cancels the
model and does not look back.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from kubectl_ai_intellect.gateway.protocol import Model, ModelError, OnToken

T = TypeVar("T")


class OutOfTime(ModelError):
    """The investigation's own time is up."""


class Patience:
    """Asks one model, one question at a time, until a deadline (of time.monotonic)."""

    def __init__(self, model: Model, deadline: float | None = None) -> None:
        self._model = model
        self._deadline = deadline

    def ask(self, call: Callable[[OnToken | None], T], on_token: OnToken | None = None) -> T:
        """What the call returns; its tokens are handed on in the thread that asks."""
        heard: queue.Queue[tuple[str, Any]] = queue.Queue()

        def tell(text: str) -> None:
            heard.put(("token", text))

        def run() -> None:
            try:
                heard.put(("done", call(None if on_token is None else tell)))
            except BaseException as problem:  # handed over to whoever waits
                heard.put(("failed", problem))

        try:
            threading.Thread(target=run, daemon=True, name="model").start()
            while True:
                what, value = heard.get(timeout=self._left())
                if what == "token" and on_token is not None:
                    on_token(value)
                elif what == "done":
                    return value
                elif what == "failed":
                    raise value
        except queue.Empty:
            self._model.cancel()
            raise OutOfTime("the time given with --timeout ran out") from None
        except BaseException:
            self._model.cancel()
            raise

    def _left(self) -> float | None:
        return None if self._deadline is None else max(self._deadline - time.monotonic(), 0.001)


__all__ = ["OutOfTime", "Patience"]
