"""A model behind HTTP: what every service has in common. A dialect says how one of them spells it."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from kubectl_ai_intellect.evidence.redact import clean, redact
from kubectl_ai_intellect.gateway.egress import Audit, Outgoing, Show, sanitised
from kubectl_ai_intellect.gateway.grammar import Fields, Grammar, Whole
from kubectl_ai_intellect.gateway.policy import RETRIED, Again, Gate, retry_after
from kubectl_ai_intellect.gateway.protocol import (
    Choice,
    Completion,
    Identity,
    Meter,
    ModelCancelled,
    ModelError,
    NotSent,
    OnToken,
    Part,
    Prompt,
    Turn,
    Usage,
)
from kubectl_ai_intellect.gateway.providers.sse import Event, events

if TYPE_CHECKING:
    import httpx

MOST_BYTES = 8 * 1024 * 1024
MOST_CONCESSIONS = 6
OFTEN_REFUSED = ("response_format", "stream_options", "max_completion_tokens", "temperature", "tool_choice")
CHOICE_TOKENS = 64
CHARACTERS_PER_TOKEN = 3.2


class Tokens(Protocol):
    """Prices per million tokens."""

    @property
    def input(self) -> float: ...
    @property
    def cached(self) -> float: ...
    @property
    def output(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Reply:
    """What a dialect read out of an answer."""

    text: str = ""
    finish: str = ""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0


class Refused(ModelError):
    """The service understood and said no."""


class Dialect(Protocol):
    """One service's wire format."""

    provider: str
    name: str
    url: str

    def outgoing(self, prompt: Prompt, grammar: Grammar | None, most: int, stream: bool) -> Outgoing: ...

    def reply(self, body: Any, grammar: Grammar | None) -> Reply: ...

    def stream(self, found: Iterator[Event], grammar: Grammar | None, on_token: OnToken) -> Reply: ...

    def concede(self, reason: str) -> bool:
        """After a 400: ask for less of what the reason names; false when there is nothing left to drop."""
        ...


class RemoteModel:
    """A Model over a dialect. Nothing is sent that has not been through `sanitised` and the audit."""

    def __init__(
        self,
        dialect: Dialect,
        gate: Gate,
        audit: Audit,
        price: Tokens | None = None,
        show: Show | None = None,
    ):
        self._dialect = dialect
        self._gate = gate
        self._audit = audit
        self._price = price
        self._show = show
        self._meter = Meter()
        self._client: httpx.Client | None = None
        self._stopped = threading.Event()

    @property
    def identity(self) -> Identity:
        # The address is part of who answers: the same name elsewhere is another model.
        return Identity(self._dialect.provider, self._dialect.name, self._dialect.url, local=False)

    @property
    def usage(self) -> Usage:
        return self._meter.total

    def complete(
        self, prompt: Prompt, grammar: Grammar | None, max_tokens: int, on_token: OnToken | None = None
    ) -> Completion:
        self._stopped.clear()
        safe = sanitised(prompt)
        began = time.perf_counter()
        reply = self._conceding(safe, grammar, max_tokens, on_token)
        usage = self._usage(reply, (time.perf_counter() - began) * 1000)
        self._meter.add(usage)
        finish = "length" if reply.finish == "length" else "stop"
        value = grammar.value(reply.text, finish) if grammar is not None else None
        return Completion(reply.text, value, finish, usage)

    def _conceding(self, prompt: Prompt, grammar: Grammar | None, most: int, on_token: OnToken | None) -> Reply:
        """Services differ in what they support: drop what one refuses and ask again."""
        for _ in range(MOST_CONCESSIONS):
            outgoing = self._dialect.outgoing(prompt, grammar, most, on_token is not None)
            if self._show is not None:
                self._show(outgoing.shown())
                raise NotSent("shown and not sent; leave out --show-egress to ask the model")
            try:
                return self._gate.call(lambda left, o=outgoing: self._attempt(o, grammar, on_token, left))
            except Refused as refused:
                if not self._dialect.concede(str(refused)):
                    raise
        raise ModelError(f"{self.identity} refuses every form of the request")

    def _attempt(self, outgoing: Outgoing, grammar: Grammar | None, on_token: OnToken | None, left: float) -> Reply:
        reply, outcome = Reply(), "failed"
        self._audit.record(self._dialect.provider, self._dialect.name, outgoing, "sending", Usage())
        try:
            reply = self._sent(outgoing, grammar, on_token, left)
            outcome = "answered"
        finally:
            usage = self._usage(reply, 0.0)
            self._audit.record(self._dialect.provider, self._dialect.name, outgoing, outcome, usage)
        return reply

    def _sent(self, outgoing: Outgoing, grammar: Grammar | None, on_token: OnToken | None, left: float) -> Reply:
        import httpx

        deadline = time.monotonic() + left
        shown = False

        def tell(text: str) -> None:
            nonlocal shown
            shown = True
            if on_token is not None:
                on_token(text)

        try:
            with self._open().stream(
                outgoing.method,
                outgoing.url,
                headers=outgoing.headers,
                content=outgoing.body,
                timeout=httpx.Timeout(left, connect=min(left, 10.0)),
            ) as response:
                self._check(response, deadline)
                if on_token is None:
                    body = self._json(self._whole(response, deadline))
                    return self._read(lambda: self._dialect.reply(body, grammar))
                found = events(self._lines(response, deadline))
                return self._read(lambda: self._dialect.stream(found, grammar, tell))
        except httpx.TimeoutException:
            raise ModelError(f"{self.identity} did not answer in time; set model.timeout") from None
        except httpx.TransportError as error:
            reason = f"{self.identity}: {_plain(error)}"
            if shown:  # half an answer is on the screen already
                raise ModelError(reason) from None
            raise Again(reason) from None
        except httpx.InvalidURL as error:
            raise ModelError(f"model.base_url is no address: {error}") from None

    def _open(self) -> httpx.Client:
        if self._client is None:
            import httpx

            self._client = httpx.Client(follow_redirects=False)
        return self._client

    def _check(self, response: httpx.Response, deadline: float) -> None:
        """Raise for anything but success: what may pass is tried again, what the service means is final."""
        if response.is_success:
            return
        if response.is_redirect:
            raise ModelError(f"{self.identity} redirects to another address; set model.base_url to that one")
        reason = _error_text(self._whole(response, deadline))
        said = f"{self.identity} answered {response.status_code}{': ' + reason if reason else ''}"
        if response.status_code in (500, 501) and any(name in reason for name in OFTEN_REFUSED):
            raise Refused(said)  # some servers fail on what they do not know instead of refusing it
        if response.status_code in RETRIED:
            raise Again(said, retry_after(response.headers.get("retry-after")))
        if response.status_code in (400, 422):
            raise Refused(said)
        if response.status_code in (401, 403):
            raise ModelError(f"{said}; check the API key")
        raise ModelError(said)

    def _chunks(self, response: httpx.Response, deadline: float) -> Iterator[bytes]:
        size = 0
        for chunk in response.iter_bytes():
            size += len(chunk)
            if self._stopped.is_set():
                raise ModelCancelled("the model was stopped")
            if time.monotonic() > deadline:
                raise ModelError(f"{self.identity} did not finish in time; set model.timeout")
            if size > MOST_BYTES:
                raise ModelError(f"{self.identity} answered more than {MOST_BYTES} bytes")
            yield chunk

    def _whole(self, response: httpx.Response, deadline: float) -> bytes:
        return b"".join(self._chunks(response, deadline))

    def _lines(self, response: httpx.Response, deadline: float) -> Iterator[str]:
        rest = b""
        for chunk in self._chunks(response, deadline):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield line.removesuffix(b"\r").decode("utf-8", "replace")

    def _json(self, body: bytes) -> Any:
        try:
            return json.loads(body)
        except ValueError:
            raise ModelError(f"{self.identity} did not answer in JSON; is model.base_url right?") from None

    def _read(self, read: Any) -> Reply:
        """A reply in a shape we do not know is the service's fault, and said so."""
        try:
            return read()
        except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
            raise ModelError(
                f"{self.identity} answered in an unknown form ({type(error).__name__}); is model.base_url right?"
            ) from None

    def _usage(self, reply: Reply, ms: float) -> Usage:
        cost: float | None = None
        if self._price is not None and (self._price.input or self._price.output):
            fresh = reply.prompt_tokens - reply.cached_tokens
            cached = self._price.cached or self._price.input
            cost = (fresh * self._price.input + reply.cached_tokens * cached) / 1e6
            cost += reply.completion_tokens * self._price.output / 1e6
        return Usage(reply.prompt_tokens, reply.cached_tokens, reply.completion_tokens, ms, cost)

    def choose(self, prompt: Prompt, labels: Sequence[str]) -> Choice:
        """By number, as structured output: services rarely show probabilities."""
        from kubectl_ai_intellect.gateway.llama.choice import options_text

        if len(labels) == 1:
            return Choice(labels[0], 0, 1.0, measured=False)
        grammar = Grammar("choice", Fields((("option", Whole(1, len(labels))),)))
        asked = _with_part(prompt, Part(options_text(labels), evidence=True))
        done = self.complete(asked, grammar, CHOICE_TOKENS)
        if done.value is None:
            raise ModelError(f"{self.identity} chose none of the options")
        index = int(done.value["option"]) - 1
        return Choice(labels[index], index, 1.0, measured=False, usage=done.usage)

    def count(self, prompt: Prompt) -> int:
        """An estimate: these services count for themselves."""
        size = len(prompt.prefix) + sum(len(turn.text) + 8 for turn in prompt.turns)
        return math.ceil(size / CHARACTERS_PER_TOKEN)

    def cancel(self) -> None:
        self._stopped.set()

    def close(self) -> None:
        self._stopped.set()
        if self._client is not None:
            self._client.close()
            self._client = None


def _with_part(prompt: Prompt, part: Part) -> Prompt:
    if prompt.turns and prompt.turns[-1].role == "user":
        last = prompt.turns[-1]
        return replace(prompt, turns=(*prompt.turns[:-1], Turn("user", (*last.parts, part))))
    return prompt.ask(part)


def _error_text(body: bytes) -> str:
    """The service's own words, wherever it puts them; one line, nothing secret."""
    text = body[:2000].decode("utf-8", "replace")
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if isinstance(found, dict):
        error = found.get("error", found)
        message = error.get("message", error.get("detail")) if isinstance(error, dict) else error
        text = message if isinstance(message, str) else json.dumps(error)
        param = error.get("param") if isinstance(error, dict) else None
        text = f"{text} ({param})" if isinstance(param, str) and param not in text else text
    elif "<html" in text.lower():
        text = ""
    return clean(redact(" ".join(text.split())))[:300]


def _plain(error: Exception) -> str:
    words = clean(" ".join(str(error).split()))
    return words[:200] or type(error).__name__


__all__ = ["Dialect", "Refused", "RemoteModel", "Reply"]
