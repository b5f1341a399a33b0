"""How services are asked: within a deadline, not too often, and again when it makes sense.

Retries wait with full jitter and honour Retry-After. A wait that would pass the deadline is not begun.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from kubectl_ai_intellect.gateway.protocol import ModelError

RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
FIRST_WAIT = 0.5
LONGEST_WAIT = 20.0

T = TypeVar("T")


class Again(Exception):
    """This attempt failed in a way that a later one may not; `after` is what the service asked to wait."""

    def __init__(self, reason: str, after: float | None = None):
        super().__init__(reason)
        self.after = after


@dataclass(frozen=True, slots=True)
class Limits:
    timeout: float = 120.0
    retries: int = 3
    per_minute: int = 60
    concurrency: int = 2


@dataclass(slots=True)
class Gate:
    """Lets requests through: so many at once, so many a minute."""

    limits: Limits
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _times: deque[float] = field(default_factory=deque[float])
    _slots: threading.BoundedSemaphore = field(init=False)

    def __post_init__(self) -> None:
        self._slots = threading.BoundedSemaphore(self.limits.concurrency)

    def call(self, attempt: Callable[[float], T]) -> T:
        """Run the attempt, again where it asks for it; it is told how many seconds are left."""
        deadline = self.clock() + self.limits.timeout
        for number in range(self.limits.retries + 1):
            try:
                with self._slot(deadline):
                    return attempt(max(deadline - self.clock(), 0.001))
            except Again as again:
                self._wait(again, number, deadline)
        raise AssertionError("unreachable: the last attempt raises")

    def _wait(self, again: Again, number: int, deadline: float) -> None:
        if number >= self.limits.retries:
            raise ModelError(f"{again} (after {number + 1} attempts)") from None
        backoff = min(FIRST_WAIT * 2**number, LONGEST_WAIT)
        pause = again.after if again.after is not None else self.jitter() * backoff
        if self.clock() + pause >= deadline:
            raise ModelError(
                f"{again}; the next attempt would come after model.timeout ({self.limits.timeout:g} s)"
            ) from None
        self.sleep(pause)

    @contextmanager
    def _slot(self, deadline: float) -> Generator[None]:
        if not self._slots.acquire(timeout=max(deadline - self.clock(), 0)):
            raise ModelError("too many questions to the model at once")
        try:
            self._pace(deadline)
            yield
        finally:
            self._slots.release()

    def _pace(self, deadline: float) -> None:
        """Wait until a request fits into the last minute."""
        while True:
            with self._lock:
                now = self.clock()
                while self._times and self._times[0] <= now - 60:
                    self._times.popleft()
                if len(self._times) < self.limits.per_minute:
                    self._times.append(now)
                    return
                pause = self._times[0] + 60 - now
            if now + pause >= deadline:
                raise ModelError(f"more than {self.limits.per_minute} requests a minute; see requests_per_minute")
            self.sleep(pause)


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds to wait, from either form of the header."""
    if not value:
        return None
    try:
        return max(float(value), 0.0)
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max((until - (now or datetime.now(UTC))).total_seconds(), 0.0)


__all__ = ["RETRIED", "Again", "Gate", "Limits", "retry_after"]
