"""The chat-completions format: OpenAI, Azure, vLLM, TGI, Ollama, llama-server, LM Studio and others.

Structured output is asked for as a JSON schema; a server that refuses gets `json_object`, then plain words.
What a server has refused once is not asked of it again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from kubectl_ai_intellect.gateway.egress import Outgoing
from kubectl_ai_intellect.gateway.grammar import Grammar
from kubectl_ai_intellect.gateway.protocol import ModelError, OnToken, Prompt
from kubectl_ai_intellect.gateway.providers import keys, schema
from kubectl_ai_intellect.gateway.providers.remote import Reply
from kubectl_ai_intellect.gateway.providers.sse import Event

HOME = "https://api.openai.com/v1"
AZURE = ".openai.azure.com"


class OpenAIDialect:
    """One endpoint, and what it has shown to support."""

    provider = "openai"

    def __init__(self, name: str, base_url: str = "", key_file: str = ""):
        self.name = name
        base = base_url or HOME
        self.url = _endpoint(base)
        self._azure = (urlsplit(base).hostname or "").endswith(AZURE)
        self._key = keys.find("OPENAI_API_KEY", ("api.openai.com", AZURE[1:]), base, key_file)
        self._formats = ["json_schema", "json_object", ""]
        self._limit = "max_tokens"
        self._temperature = True
        self._stream_usage = True

    def outgoing(self, prompt: Prompt, grammar: Grammar | None, most: int, stream: bool) -> Outgoing:
        form = self._formats[0] if grammar is not None else ""
        body: dict[str, Any] = {
            "model": self.name,
            "messages": self._messages(prompt, grammar if form != "json_schema" else None),
            self._limit: most,
        }
        if self._temperature:
            body["temperature"] = 0
        if grammar is not None and form == "json_schema":
            described = {"name": grammar.name, "strict": True, "schema": schema.strict(grammar)}
            body["response_format"] = {"type": "json_schema", "json_schema": described}
        elif form == "json_object":
            body["response_format"] = {"type": "json_object"}
        if stream:
            body["stream"] = True
            if self._stream_usage:
                body["stream_options"] = {"include_usage": True}
        return Outgoing("POST", self.url, self._headers(stream), json.dumps(body).encode())

    def _messages(self, prompt: Prompt, in_words: Grammar | None) -> list[dict[str, str]]:
        system = prompt.prefix
        if in_words is not None:
            system = f"{system.rstrip()}\n\n{schema.in_words(in_words)}"
        turns = [{"role": turn.role, "content": turn.text} for turn in prompt.turns]
        return [{"role": "system", "content": system}, *turns]

    def _headers(self, stream: bool) -> dict[str, str]:
        headers = {
            "content-type": "application/json",
            "accept": "text/event-stream" if stream else "application/json",
            "user-agent": "kubectl-intellect",
        }
        if self._key is not None:
            name, value = ("api-key", "") if self._azure else ("authorization", "Bearer ")
            headers[name] = value + self._key.value
        return headers

    def reply(self, body: Any, grammar: Grammar | None) -> Reply:
        choice = body["choices"][0]
        message = choice["message"]
        if message.get("refusal"):
            raise ModelError("the model refused to answer")
        text = message.get("content") or ""
        if not isinstance(text, str):
            raise TypeError("content")
        text = schema.unwrapped(grammar, text) if grammar is not None else text
        return _with_usage(Reply(text, choice.get("finish_reason") or ""), body.get("usage"))

    def stream(self, found: Iterator[Event], grammar: Grammar | None, on_token: OnToken) -> Reply:
        text, finish, usage, ended = "", "", None, False
        for event in found:
            if event.data.strip() == "[DONE]":
                ended = True
                break
            chunk = json.loads(event.data)
            if "error" in chunk:
                raise ModelError(f"the model broke off: {str(chunk['error'])[:200]}")
            usage = chunk.get("usage") or usage
            for choice in chunk.get("choices") or []:
                piece = (choice.get("delta") or {}).get("content") or ""
                finish = choice.get("finish_reason") or finish
                if piece:
                    text += piece
                    on_token(piece)
        if not (ended or finish):
            raise ModelError("the model's answer was cut off by the connection")
        text = schema.unwrapped(grammar, text) if grammar is not None else text
        return _with_usage(Reply(text, finish), usage)

    def concede(self, reason: str) -> bool:
        words = reason.lower()
        if "max_completion_tokens" in words and self._limit == "max_tokens":
            self._limit = "max_completion_tokens"
        elif "temperature" in words and self._temperature:
            self._temperature = False
        elif "stream_options" in words and self._stream_usage:
            self._stream_usage = False
        elif any(word in words for word in ("response_format", "json_schema", "json_object", "schema", "grammar")):
            if len(self._formats) == 1:
                return False
            self._formats.pop(0)
        else:
            return False
        return True


def _endpoint(base: str) -> str:
    """The chat-completions address below a base that may carry a query, as Azure's does."""
    parts = urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ModelError(f"model.base_url {base} is no http address; try {HOME}")
    if parts.username or parts.password:
        raise ModelError("model.base_url carries a password; put the key into a file and name it in model.key_file")
    path = parts.path.rstrip("/")
    path = path if path.endswith("/chat/completions") else path + "/chat/completions"
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def _with_usage(reply: Reply, usage: Any) -> Reply:
    if not isinstance(usage, dict):
        return reply
    details = usage.get("prompt_tokens_details") or {}
    return Reply(
        reply.text,
        reply.finish,
        int(usage.get("prompt_tokens") or 0),
        int(details.get("cached_tokens") or 0),
        int(usage.get("completion_tokens") or 0),
    )


__all__ = ["HOME", "OpenAIDialect"]
