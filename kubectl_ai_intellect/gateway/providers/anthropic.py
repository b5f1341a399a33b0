"""The messages format of Anthropic. Structured output is a tool that the model must call."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from kubectl_ai_intellect.gateway.egress import Outgoing
from kubectl_ai_intellect.gateway.grammar import Grammar
from kubectl_ai_intellect.gateway.protocol import ModelError, OnToken, Prompt
from kubectl_ai_intellect.gateway.providers import keys, schema
from kubectl_ai_intellect.gateway.providers.remote import Reply
from kubectl_ai_intellect.gateway.providers.sse import Event

HOME = "https://api.anthropic.com"
VERSION = "2023-06-01"


class AnthropicDialect:
    """The service, or a gateway that speaks like it."""

    provider = "anthropic"

    def __init__(self, name: str, base_url: str = "", key_file: str = ""):
        self.name = name
        base = (base_url or HOME).rstrip("/")
        if not base.startswith(("https://", "http://")) or "@" in base:
            raise ModelError(f"model.base_url is no plain http address; try {HOME}")
        self.url = base.removesuffix("/v1") + "/v1/messages"
        self._key = keys.find("ANTHROPIC_API_KEY", ("api.anthropic.com",), base, key_file)
        self._tools = True
        self._temperature = True

    def outgoing(self, prompt: Prompt, grammar: Grammar | None, most: int, stream: bool) -> Outgoing:
        system = prompt.prefix
        if grammar is not None and not self._tools:
            system = f"{system.rstrip()}\n\n{schema.in_words(grammar)}"
        body: dict[str, Any] = {
            "model": self.name,
            "max_tokens": most,
            # The prefix never changes: the service may keep what it has read of it.
            "system": [{"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}],
            "messages": [{"role": turn.role, "content": turn.text} for turn in prompt.turns],
        }
        if self._temperature:
            body["temperature"] = 0
        if grammar is not None and self._tools:
            tool = {"name": grammar.name, "description": "Give the answer.", "input_schema": schema.strict(grammar)}
            body |= {"tools": [tool], "tool_choice": {"type": "tool", "name": grammar.name}}
        if stream:
            body["stream"] = True
        return Outgoing("POST", self.url, self._headers(), json.dumps(body).encode())

    def _headers(self) -> dict[str, str]:
        headers = {
            "content-type": "application/json",
            "anthropic-version": VERSION,
            "user-agent": "kubectl-intellect",
        }
        if self._key is not None:
            headers["x-api-key"] = self._key.value
        return headers

    def reply(self, body: Any, grammar: Grammar | None) -> Reply:
        text = ""
        for block in body["content"]:
            if block["type"] == "tool_use":
                text = json.dumps(block["input"], separators=(",", ":"), ensure_ascii=False)
                break
            if block["type"] == "text":
                text += block["text"]
        text = schema.unwrapped(grammar, text) if grammar is not None else text
        return _reply(text, body.get("stop_reason"), body.get("usage"))

    def stream(self, found: Iterator[Event], grammar: Grammar | None, on_token: OnToken) -> Reply:
        text, stop, usage, ended = "", None, dict[str, Any](), False
        for event in found:
            data = json.loads(event.data)
            match data["type"]:
                case "message_start":
                    usage |= data["message"].get("usage") or {}
                case "content_block_delta":
                    delta = data["delta"]
                    piece = delta.get("text") or delta.get("partial_json") or ""
                    text += piece
                    if piece:
                        on_token(piece)
                case "message_delta":
                    stop = data["delta"].get("stop_reason") or stop
                    usage |= data.get("usage") or {}
                case "message_stop":
                    ended = True
                case "error":
                    raise ModelError(f"the model broke off: {data['error'].get('message', 'no reason given')}")
                case _:
                    pass  # ping, and blocks that open and close
        if not ended:
            raise ModelError("the model's answer was cut off by the connection")
        text = schema.unwrapped(grammar, text) if grammar is not None else text
        return _reply(text, stop, usage)

    def concede(self, reason: str) -> bool:
        words = reason.lower()
        if "temperature" in words and self._temperature:
            self._temperature = False
        elif any(word in words for word in ("tool", "schema")) and self._tools:
            self._tools = False
        else:
            return False
        return True


def _reply(text: str, stop: Any, usage: Any) -> Reply:
    if stop == "refusal":
        raise ModelError("the model refused to answer")
    counts: dict[str, Any] = usage if isinstance(usage, dict) else {}
    cached = int(counts.get("cache_read_input_tokens") or 0)
    written = int(counts.get("cache_creation_input_tokens") or 0)
    return Reply(
        text,
        "length" if stop == "max_tokens" else "stop",
        int(counts.get("input_tokens") or 0) + cached + written,
        cached,
        int(counts.get("output_tokens") or 0),
    )


__all__ = ["HOME", "AnthropicDialect"]
