"""What can go wrong between a client and an API server, told as values."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["status", "reset", "slow", "truncated", "expired"]

REASONS = {
    401: ("Unauthorized", "Unauthorized"),
    403: ("Forbidden", "is forbidden"),
    404: ("NotFound", "the server could not find the requested resource"),
    410: ("Expired", "The provided continue parameter is too old to display a consistent list result."),
    429: ("TooManyRequests", "Too many requests, please try again later."),
    500: ("InternalError", "an error on the server has prevented the request from succeeding"),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: ("Timeout", "the server was unable to return a response in the time allotted"),
}


@dataclass
class Fault:
    """One thing that goes wrong for the requests it matches, a number of times or always."""

    kind: Kind
    resource: str = "*"
    """A plural, `pods/log`, or everything."""
    group: str | None = None
    namespace: str | None = None
    verb: str = "*"
    code: int = 0
    message: str = ""
    retry_after: float | None = None
    seconds: float = 0.0
    bytes: int = 0
    times: int | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def strikes(self, verb: str, group: str, resource: str, namespace: str) -> bool:
        """Whether it strikes this request; a fault with a number is used up by striking."""
        matches = (
            self.resource in ("*", resource)
            and self.group in (None, group)
            and self.namespace in (None, namespace)
            and self.verb in ("*", verb)
        )
        if not matches:
            return False
        with self._lock:
            if self.times is None:
                return True
            self.times -= 1
            return self.times >= 0


def unauthorized(*, times: int | None = None) -> Fault:
    """Nobody is known to the server."""
    return Fault("status", code=401, times=times)


def forbidden(resource: str, *, verb: str = "*", namespace: str | None = None) -> Fault:
    """Reading this kind is not allowed; access reviews say so too."""
    return Fault("status", resource, verb=verb, namespace=namespace, code=403)


def throttled(resource: str = "*", *, retry_after: float = 1, times: int | None = 1) -> Fault:
    return Fault("status", resource, code=429, retry_after=retry_after, times=times)


def failing(code: int = 503, resource: str = "*", *, times: int | None = None, group: str | None = None) -> Fault:
    return Fault("status", resource, group=group, code=code, times=times)


def reset(resource: str = "*", *, times: int | None = None) -> Fault:
    """The connection breaks before an answer."""
    return Fault("reset", resource, times=times)


def slow(seconds: float, resource: str = "*", *, times: int | None = None) -> Fault:
    """The body takes this long, in pieces."""
    return Fault("slow", resource, seconds=seconds, times=times)


def truncated(length: int, resource: str = "*", *, times: int | None = None) -> Fault:
    """The body ends early, and says that it is whole."""
    return Fault("truncated", resource, bytes=length, times=times)


def expired_token(resource: str = "*", *, times: int | None = 1) -> Fault:
    """A list's continue token is too old: 410."""
    return Fault("expired", resource, code=410, times=times)


def broken_log(message: str = "", *, times: int | None = None) -> Fault:
    """The API server cannot reach the kubelet for a log: 500."""
    said = message or 'Get "https://node-7:10250/containerLogs": dial tcp: lookup node-7: no such host'
    return Fault("status", "pods/log", code=500, message=said, times=times)


__all__ = [
    "REASONS",
    "Fault",
    "broken_log",
    "expired_token",
    "failing",
    "forbidden",
    "reset",
    "slow",
    "throttled",
    "truncated",
    "unauthorized",
]
