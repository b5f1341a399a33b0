"""The player's HTTP server: TLS on loopback, faults before answers, and a note of all that was asked."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.cluster.tls import Authority, write_kubeconfig
from tests.player.answers import Answer, Asked, asked, refused, served, status
from tests.player.faults import Fault
from tests.player.wire import MAGIC, access_review
from tests.player.world import World

REVIEWS = "/apis/authorization.k8s.io/v1/"
HARMLESS = {f"{REVIEWS}selfsubjectaccessreviews", f"{REVIEWS}selfsubjectrulesreviews"}
"""What may be posted: questions about one's own rights."""


@dataclass(frozen=True)
class Request:
    """One request as it came in."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    code: int = 0


class Player:
    """A world, served until the context ends."""

    def __init__(self, world: World, directory: Path, faults: Sequence[Fault] = (), namespace: str = "default") -> None:
        self.world = world
        self.faults = list(faults)
        self.requests: list[Request] = []
        authority = Authority(directory, "player")
        own = authority.issue("player-server", "player", addresses=["127.0.0.1", "localhost"])
        self.authority = authority.pair.cert
        client = authority.issue("player-client", "recorded")
        trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        trust.load_cert_chain(own.cert, own.key)
        self._server = _Server(self, trust)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"
        self.kubeconfig = write_kubeconfig(
            directory / "player-kubeconfig", self.url, authority.pair, "recorded", client, namespace
        )

    def __enter__(self) -> Player:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def writes(self) -> list[Request]:
        """Requests that would have changed something. There should be none."""
        return [each for each in self.requests if each.method != "GET" and each.path not in HARMLESS]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # A burst of parallel reads must not be turned away.
    request_queue_size = 128

    def __init__(self, player: Player, trust: ssl.SSLContext) -> None:
        self.player, self._trust = player, trust
        super().__init__(("127.0.0.1", 0), _Handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        # In the connection's own thread: a client that is slow to greet holds up nobody else.
        try:
            secured = self._trust.wrap_socket(request, server_side=True)
        except OSError:
            return
        try:
            super().finish_request(secured, client_address)
        finally:
            secured.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news; anything else would show as a missing answer."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr; `Player.requests` holds more."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        now = self.server.player.world.now
        return format_datetime(now, usegmt=True) if now else super().date_time_string(timestamp)

    def handle_any(self) -> None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer, fault = self._decide(parts.path, query, body)
        code = answer.code if answer else 0
        request = Request(self.command, parts.path, query, dict(self.headers), code)
        self.server.player.requests.append(request)
        if answer is None:
            self._break()
        else:
            self._send(answer, fault)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_any

    def _decide(self, path: str, query: Mapping[str, str], body: bytes) -> tuple[Answer | None, Fault | None]:
        """The answer and what happens to it on its way; no answer is a broken connection."""
        world = self.server.player.world
        what = asked(world, path)
        fault = self._fault(what, query)
        if fault and fault.kind == "reset":
            return None, fault
        if fault and fault.kind in ("status", "expired"):
            return _failure(fault, what), None
        if self.command == "GET":
            if query.get("watch") in ("true", "1"):
                return status(405, "a recording cannot be watched", "MethodNotAllowed"), None
            return served(world, path, query, self.headers.get("Accept", "")), fault
        if path in HARMLESS and self.command == "POST":
            return self._review(access_review(body) if body.startswith(MAGIC) else json.loads(body)), fault
        return status(405, "a recording is read-only", "MethodNotAllowed"), None

    def _fault(self, what: Asked | None, query: Mapping[str, str]) -> Fault | None:
        verb, group = (what.verb, what.resource.group) if what else ("get", "")
        words, namespace = (what.words, what.namespace) if what else ("", "")
        for fault in self.server.player.faults:
            if fault.kind == "expired" and not query.get("continue"):
                continue
            if fault.strikes(verb, group, words, namespace):
                return fault
        return None

    def _review(self, review: dict[str, Any]) -> Answer:
        """A review of one's own rights: all reads are allowed but those that a fault forbids."""
        spec = review.get("spec") or {}
        if review.get("kind") == "SelfSubjectRulesReview":
            rules = [{"verbs": ["get", "list", "watch"], "apiGroups": ["*"], "resources": ["*"]}]
            outcome: dict[str, Any] = {"resourceRules": rules, "nonResourceRules": [], "incomplete": False}
        else:
            outcome = {"allowed": self._allowed(spec.get("resourceAttributes") or {})}
        return Answer(201, json.dumps({**review, "status": outcome}).encode())

    def _allowed(self, wanted: Mapping[str, str]) -> bool:
        verb = wanted.get("verb", "")
        words = "/".join(part for part in (wanted.get("resource"), wanted.get("subresource")) if part)
        if verb not in ("get", "list", "watch"):
            return False
        barred = [fault for fault in self.server.player.faults if fault.kind == "status" and fault.code == 403]
        return not any(
            fault.strikes(verb, wanted.get("group", ""), words, wanted.get("namespace", "")) for fault in barred
        )

    def _send(self, answer: Answer, fault: Fault | None) -> None:
        body = answer.body
        if fault and fault.kind == "truncated":
            body = body[: fault.bytes]
        self.send_response(answer.code)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if fault and fault.kind == "slow":
            self._trickle(body, fault.seconds)
        else:
            self.wfile.write(body)

    def _trickle(self, body: bytes, seconds: float) -> None:
        """The body in twenty pieces over the time given."""
        size = max(1, len(body) // 20)
        for first in range(0, len(body), size):
            time.sleep(seconds * size / len(body))
            self.wfile.write(body[first : first + size])
            self.wfile.flush()

    def _break(self) -> None:
        """RST instead of an orderly end."""
        self.close_connection = True
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()


def _failure(fault: Fault, what: Asked | None) -> Answer:
    if fault.code == 403 and what and not fault.message:
        return refused(what)
    answer = status(fault.code, fault.message)
    if fault.retry_after is not None:
        return Answer(answer.code, answer.body, headers={"Retry-After": f"{fault.retry_after:g}"})
    return answer


__all__ = ["Player", "Request"]
