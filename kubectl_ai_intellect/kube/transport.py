"""HTTP to the API server through the official client: retries, time limits, and errors in plain words."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from kubectl_ai_intellect.errors import Unauthorized, Unreachable
from kubectl_ai_intellect.kube.config import Connection

TRIES = 3
BACKOFF = 0.15
CONNECT_TIMEOUT = 10.0
RETRIED = frozenset({429, 500, 502, 503, 504})
LONGEST_WAIT = 10.0

Query = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: any status but 401."""

    status: int
    body: bytes
    cut: bool = False

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


@dataclass(slots=True)
class Usage:
    """What talking to the API server has cost so far."""

    requests: int = 0
    bytes: int = 0


class _Again(Exception):
    """A try that failed in a way that another may not."""

    def __init__(self, outcome: Answer | Unreachable, wait: float | None = None) -> None:
        super().__init__()
        self.outcome = outcome
        self.wait = wait


class Transport:
    """Sends requests, from several threads at once; `deadline` is in time.monotonic()."""

    def __init__(self, connection: Connection, deadline: float | None = None) -> None:
        self.connection = connection
        self.deadline = deadline
        self.usage = Usage()
        self.answered = False
        self._lock = threading.Lock()
        self._api: Any = None
        self._clock: tuple[datetime, float] | None = None

    def get(
        self, path: str, query: Query = (), accept: str = "application/json", limit: int = 0, tries: int = TRIES
    ) -> Answer:
        """GET, retried; at most `limit` bytes of the answer are read where one is given."""
        return self._persistently("GET", path, query, accept, None, limit, tries)

    def post(self, path: str, body: Mapping[str, Any]) -> Answer:
        """POST of a review; the API keeps nothing of it, so that it may be sent again."""
        return self._persistently("POST", path, (), "application/json", body, 0, TRIES)

    def rehearse(self, path: str, body: str) -> Answer:
        """A server-side apply that is never kept: whatever the caller gives, dryRun=All goes with it."""
        query = (("dryRun", "All"), ("fieldManager", "kubectl-intellect"), ("force", "true"))
        return self._persistently("PATCH", path, query, "application/json", body, 0, 1)

    def now(self) -> datetime:
        """The API server's time, so that a skewed local clock ages nothing."""
        with self._lock:
            clock = self._clock
        if clock is None:
            return datetime.now(UTC)
        return clock[0] + timedelta(seconds=time.monotonic() - clock[1])

    def close(self) -> None:
        with self._lock:
            if self._api is not None:
                self._api.close()
                self._api = None

    def remaining(self) -> float:
        """Seconds that one request may still take."""
        allowed = self.connection.request_timeout
        return allowed if self.deadline is None else min(allowed, self.deadline - time.monotonic())

    def _persistently(
        self, method: str, path: str, query: Query, accept: str, body: Any, limit: int, tries: int
    ) -> Answer:
        renewed = False
        for attempt in range(1, tries + 1):
            try:
                answer = self._once(method, path, query, accept, body, limit)
            except _Again as again:
                wait = again.wait if again.wait is not None else BACKOFF * 2**attempt * (0.5 + random.random())
                if attempt == tries or wait > min(self.remaining(), LONGEST_WAIT):
                    if isinstance(again.outcome, Answer):
                        return again.outcome
                    raise again.outcome from None
                time.sleep(wait)
                continue
            if answer.status != 401:
                return answer
            if renewed or self.connection.again is None:
                break
            renewed = True
            self._renew(self.connection.again())
        who = f" as {self.connection.user}" if self.connection.user else ""
        raise Unauthorized(
            f"{self.connection.server} does not accept our credentials{who} (401): log in again, "
            f'or choose another context than "{self.connection.context}"'
        )

    def _renew(self, connection: Connection) -> None:
        with self._lock:
            self.connection = connection
            self._api = None

    def _client(self) -> Any:
        with self._lock:
            if self._api is None:
                import urllib3
                from kubernetes.client.api_client import ApiClient

                if not self.connection.client.verify_ssl:  # the user said so; a warning on each request helps nobody
                    urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
                self._api = ApiClient(self.connection.client)
                self._api.user_agent = "kubectl-intellect"
            return self._api

    def _once(self, method: str, path: str, query: Query, accept: str, body: Any, limit: int) -> Answer:
        """One request; raises _Again for what may pass, Unreachable for what will not."""
        import urllib3
        from kubernetes.client.exceptions import ApiException

        allowed = self.remaining()
        if allowed <= 0:
            raise Unreachable("out of time before everything was read: raise --timeout")
        ends = time.monotonic() + allowed
        try:
            response = self._send(method, path, query, accept, body, allowed)
            return self._received(response, limit, ends)
        except (urllib3.exceptions.HTTPError, ApiException, OSError) as error:
            raise self._worded(error, allowed) from None

    def _send(self, method: str, path: str, query: Query, accept: str, body: Any, allowed: float) -> Any:
        from urllib3 import HTTPHeaderDict

        client = self._client()
        asked: dict[str, str] = {"Accept": accept}
        if not self._local:
            asked["Accept-Encoding"] = "gzip"
        if body is not None:
            asked["Content-Type"] = "application/apply-patch+yaml" if method == "PATCH" else "application/json"
        verb, url, headers, sent, _ = client.param_serialize(
            method, path, query_params=list(query), header_params=asked, body=body, auth_settings=["BearerToken"]
        )
        every = HTTPHeaderDict(headers)
        for name, value in self.connection.impersonate:
            every.add(name, value)
        with self._lock:
            self.usage.requests += 1
        timeout = (min(CONNECT_TIMEOUT, allowed), allowed)
        return client.call_api(verb, url, every, sent, _request_timeout=timeout).response

    @property
    def _local(self) -> bool:
        """On this machine's loopback, compressing would only cost time."""
        host = urlsplit(self.connection.server).hostname or ""
        return host in ("localhost", "::1") or host.startswith("127.")

    def _received(self, response: Any, limit: int, ends: float) -> Answer:
        """Read the body, within the time and the size that are allowed."""
        chunks: list[bytes] = []
        size, cut = 0, False
        for chunk in _chunks(response):
            chunks.append(chunk)
            size += len(chunk)
            if limit and size >= limit:
                cut = size > limit
                response.close()
                break
            if time.monotonic() > ends:
                response.close()
                raise TimeoutError
        else:
            response.release_conn()
        self._note(response.headers.get("Date"), size)
        body = b"".join(chunks)
        answer = Answer(response.status, body[:limit] if limit else body, cut)
        if answer.status in RETRIED:
            raise _Again(answer, _retry_after(response.headers.get("Retry-After")))
        return answer

    def _note(self, date: str | None, size: int) -> None:
        with self._lock:
            self.answered = True
            self.usage.bytes += size
            if self._clock is None and date:
                try:
                    self._clock = (parsedate_to_datetime(date).astimezone(UTC), time.monotonic())
                except (TypeError, ValueError):
                    return

    def _worded(self, error: Exception, allowed: float) -> Exception:
        """What a failed try means, in a line that says what to check."""
        from urllib3 import exceptions as http

        server, context = self.connection.server, self.connection.context
        text = " ".join(str(error).split())
        reason = _root(error)
        if isinstance(reason, socket.gaierror) or isinstance(error, http.NameResolutionError):
            host = urlsplit(server).hostname
            return Unreachable(
                f'the name {host} of context "{context}" does not resolve: check the network or VPN, '
                "or the server address in the kubeconfig"
            )
        if isinstance(error, http.SSLError) or "SSLError" in text or "CERTIFICATE" in text.upper():
            return Unreachable(_tls_words(server, text))
        if isinstance(error, http.ProxyError):
            return Unreachable(f"the proxy on the way to {server} does not answer: check HTTPS_PROXY and proxy-url")
        if isinstance(reason, ConnectionRefusedError):
            return _Again(
                Unreachable(
                    f'nothing listens at {server} (connection refused): is the cluster of context "{context}" running?'
                )
            )
        if isinstance(error, http.NewConnectionError):
            return Unreachable(f"no way to {server} ({reason}): check the network, VPN or firewall")
        if isinstance(error, http.TimeoutError | TimeoutError):
            return Unreachable(
                f"{server} did not answer within {min(allowed, self.connection.request_timeout):.0f} s: "
                "check the network or VPN, or raise --request-timeout"
            )
        return _Again(Unreachable(f"{server} broke off the connection: check the server, or a proxy on the way to it"))


def _chunks(response: Any) -> Iterator[bytes]:
    """The body as it comes in, so that the clock is looked at even when it only trickles."""
    read = getattr(response, "read1", None)
    if read is None:  # urllib3 before 2.1
        yield from response.stream(1 << 16, decode_content=True)
        return
    while chunk := read(1 << 18, decode_content=True):
        yield chunk


def _root(error: BaseException) -> BaseException:
    """The socket's own error under what the HTTP library wraps around it."""
    seen = error
    while (below := seen.__cause__ or seen.__context__) is not None and not isinstance(seen, OSError):
        seen = below
    while isinstance(below := seen.__cause__ or seen.__context__, OSError):
        seen = below
    return seen


def _tls_words(server: str, text: str) -> str:
    upper = text.upper()
    if "WRONG_VERSION" in upper or "RECORD_LAYER" in upper or "HTTP_REQUEST" in upper:
        return f"{server} does not speak TLS: check the scheme and port of the server address"
    if "MISMATCH" in upper or "DOESN'T MATCH" in upper or "NOT VALID FOR" in upper:
        return f"the certificate of {server} is for another name: check the server address, or --tls-server-name"
    if "EXPIRED" in upper:
        return f"the certificate of {server} has expired: renew the cluster's certificates"
    if "CERTIFICATE_VERIFY_FAILED" in upper or "SELF" in upper:
        return (
            f"the certificate of {server} is not signed by our CA (x509): check certificate-authority in the kubeconfig"
        )
    return f"TLS with {server} failed: check certificates in the kubeconfig ({text[-120:]})"


def _retry_after(value: str | None) -> float | None:
    try:
        return max(0.0, float(value)) if value else None
    except ValueError:
        return None


__all__ = ["TRIES", "Answer", "Query", "Transport", "Usage"]
