"""A model service on loopback that plays a script and speaks the real wire formats, byte for byte."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Act = Callable[["Handler"], None]


@dataclass
class Service:
    """What was asked, and what is answered next; the last act repeats."""

    acts: list[Act]
    seen: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    url: str = ""

    @property
    def bodies(self) -> list[Any]:
        return [body for _, _, body in self.seen]


class Handler(BaseHTTPRequestHandler):
    """Takes a request down and plays the next act."""

    protocol_version = "HTTP/1.1"
    service: Service

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.service.seen.append((self.path, headers, json.loads(raw)))
        acts = self.service.acts
        (acts.pop(0) if len(acts) > 1 else acts[0])(self)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def give(self, status: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def cut(self) -> None:
        """End the connection without a word more."""
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True


@contextmanager
def served(*acts: Act) -> Iterator[Service]:
    service = Service(list(acts))
    handler = type("Bound", (Handler,), {"service": service})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def as_json(value: Any, status: int = 200, **headers: str) -> Act:
    return lambda handler: handler.give(status, json.dumps(value).encode(), **headers)


def error(status: int, message: str, **headers: str) -> Act:
    """An error as OpenAI and Anthropic both shape it."""
    return as_json({"error": {"type": "x", "message": message}}, status, **headers)


def garbage(handler: Handler) -> None:
    handler.give(200, b"\x00\xffnot json at all", "application/json")


def cut_at_once(handler: Handler) -> None:
    handler.cut()


def events(*frames: str, cut: bool = False) -> Act:
    """Server-sent events in chunked encoding; `cut` ends the connection in the middle."""

    def act(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream; charset=utf-8")
        handler.send_header("transfer-encoding", "chunked")
        handler.end_headers()
        for frame in frames:
            data = frame.encode()
            # Split inside the frame: bytes arrive as they please.
            for piece in (data[: len(data) // 2], data[len(data) // 2 :]):
                if piece:
                    handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                    handler.wfile.flush()
        if cut:
            handler.cut()
        else:
            handler.wfile.write(b"0\r\n\r\n")

    return act


# OpenAI's chat completions


def openai_answer(text: str | None, finish: str = "stop", **message: Any) -> Act:
    return as_json(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "served",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text, **message},
                    "logprobs": None,
                    "finish_reason": finish,
                }
            ],
            "usage": {
                "prompt_tokens": 100,
                "completion_tokens": 7,
                "total_tokens": 107,
                "prompt_tokens_details": {"cached_tokens": 64},
            },
        }
    )


def openai_chunks(*pieces: str, finish: str = "stop") -> list[str]:
    def chunk(delta: dict[str, Any], reason: str | None = None) -> str:
        body = {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
        }
        return f"data: {json.dumps(body, ensure_ascii=False)}\n\n"

    usage = {"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107}}
    return [
        ": keep-alive\n\n",
        chunk({"role": "assistant", "content": ""}),
        *(chunk({"content": piece}) for piece in pieces),
        chunk({}, finish),
        f"data: {json.dumps(usage)}\n\n",
        "data: [DONE]\n\n",
    ]


# Anthropic's messages


def anthropic_answer(*blocks: dict[str, Any], stop: str = "end_turn") -> Act:
    return as_json(
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "served",
            "content": list(blocks),
            "stop_reason": stop,
            "stop_sequence": None,
            "usage": {
                "input_tokens": 20,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 80,
                "output_tokens": 9,
            },
        }
    )


def anthropic_chunks(*pieces: str, tool: bool = False, stop: str = "end_turn") -> list[str]:
    def event(name: str, **data: Any) -> str:
        return f"event: {name}\ndata: {json.dumps({'type': name, **data}, ensure_ascii=False)}\n\n"

    kind, key = ("input_json_delta", "partial_json") if tool else ("text_delta", "text")
    start = {"type": "tool_use", "id": "t", "name": "n", "input": {}} if tool else {"type": "text", "text": ""}
    usage = {"input_tokens": 20, "cache_read_input_tokens": 80, "output_tokens": 1}
    return [
        event("message_start", message={"id": "m", "type": "message", "role": "assistant", "usage": usage}),
        event("content_block_start", index=0, content_block=start),
        event("ping"),
        *(event("content_block_delta", index=0, delta={"type": kind, key: piece}) for piece in pieces),
        event("content_block_stop", index=0),
        event("message_delta", delta={"stop_reason": stop, "stop_sequence": None}, usage={"output_tokens": 9}),
        event("message_stop"),
    ]
