"""A small HTTP server on loopback that speaks just enough of the Kubernetes API, with faults on demand."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: list[tuple[str, str]]
    body: Any = None


@dataclass
class Reply:
    """What to answer: JSON or bytes, after a wait; `reset` breaks the connection instead."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    reset: bool = False
    slow: float = 0.0


Route = Callable[[Seen], Reply]


def status(code: int, message: str, reason: str = "", **details: str) -> Reply:
    """A failure in the API's own words."""
    body = {"kind": "Status", "status": "Failure", "message": message, "reason": reason, "code": code}
    return Reply({**body, "details": details}, code)


def listing(*items: dict[str, Any], token: str = "") -> Reply:
    return Reply({"kind": "List", "metadata": {"continue": token} if token else {}, "items": list(items)})


def named(name: str, namespace: str = "shop", **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace}, **more}


class Api:
    """Answers each path by its route, or by its replies one after the other, the last for ever."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.routes: dict[str, Route] = {}
        self.date: str | None = None
        self._lock = threading.Lock()
        self._count: dict[str, int] = defaultdict(int)

    def on(self, path: str, *replies: Reply | Route) -> None:
        def route(seen: Seen) -> Reply:
            with self._lock:
                turn = min(self._count[path], len(replies) - 1)
                self._count[path] += 1
            reply = replies[turn]
            return reply if isinstance(reply, Reply) else reply(seen)

        self.routes[path] = route

    def paths(self) -> list[str]:
        return [seen.path for seen in self.seen]

    def answer(self, seen: Seen) -> Reply:
        with self._lock:
            self.seen.append(seen)
        route = self.routes.get(seen.path)
        return route(seen) if route else Reply(b"404 page not found\n", 404)


def _handler(api: Api) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

        def date_time_string(self, timestamp: float | None = None) -> str:
            return api.date or super().date_time_string(timestamp)

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            reply = api.answer(Seen(self.command, parts.path, query, self.headers.items(), body))
            if reply.slow:
                time.sleep(reply.slow)
            if reply.reset:
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            sent = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            headers = {"Content-Length": str(len(sent)), **reply.headers}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(sent)
            if int(headers["Content-Length"]) != len(sent):
                self.close_connection = True

        do_GET = do_POST = _serve

    return Handler


@contextmanager
def serving(api: Api, tls: Any = None) -> Iterator[str]:
    """The API on a free port; its address, for as long as the block lasts."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that hangs up is what some tests are about."""

    server = Server(("127.0.0.1", 0), _handler(api))
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
