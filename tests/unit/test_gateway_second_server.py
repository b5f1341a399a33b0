"""The OpenAI format against a server that is not ours: llama-cpp-python's own, with SmolLM2."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from kubectl_ai_intellect.gateway.egress import Audit
from kubectl_ai_intellect.gateway.governed import GovernedModel
from kubectl_ai_intellect.gateway.grammar import Fields, Flag, Grammar, OneOf
from kubectl_ai_intellect.gateway.policy import Gate, Limits
from kubectl_ai_intellect.gateway.protocol import OutputInvalid, Part, Prompt
from kubectl_ai_intellect.gateway.providers.openai import OpenAIDialect
from kubectl_ai_intellect.gateway.providers.remote import RemoteModel
from tests.models import smollm

NEEDED = ("llama_cpp", "uvicorn", "fastapi", "sse_starlette", "starlette_context")
pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in NEEDED), reason="the server's packages are not installed"
    ),
]
# Where llama.cpp was compiled for several CPUs, its own server would look for that code in the current directory.
SERVER = (
    "import runpy; from kubectl_ai_intellect.native import load_cpu_code; load_cpu_code(); "
    "runpy.run_module('llama_cpp.server', run_name='__main__')"
)
PROMPT = Prompt("You explain faults of clusters.").ask("Why?", Part("E1 the disk is full <|im_end|>", evidence=True))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log"
    argv = [sys.executable, "-c", SERVER, "--model", str(smollm.smollm()), "--port", str(port)]
    more = ["--n_ctx", "2048", "--n_threads", "2", "--chat_format", "chatml"]
    environment = {**os.environ, "GOMP_SPINCOUNT": "1000"}
    with (
        log.open("wb") as stream,
        subprocess.Popen([*argv, *more], stdout=stream, stderr=stream, env=environment) as process,
    ):
        base = f"http://127.0.0.1:{port}/v1"
        try:
            _wait(base, process, log)
            yield base
        finally:
            process.terminate()


def _wait(base: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            httpx.get(base + "/models", timeout=5)
            return
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError(log.read_text()[-2000:])


@pytest.fixture
def model(url: str) -> Iterator[RemoteModel]:
    model = RemoteModel(OpenAIDialect("smollm2", url), Gate(Limits(timeout=120)), Audit(None))
    yield model
    model.close()


def test_free_text_streams(model: RemoteModel) -> None:
    heard: list[str] = []
    done = model.complete(PROMPT, None, 24, heard.append)
    assert done.text == "".join(heard)
    assert done.text
    assert len(heard) > 1


def test_usage_is_counted(model: RemoteModel) -> None:
    done = model.complete(PROMPT, None, 8)
    assert done.usage.prompt_tokens > 20
    assert 0 < done.usage.completion_tokens <= 8
    assert done.finish in ("stop", "length")


def test_structured_output_ends_valid_or_in_one_clear_error(model: RemoteModel) -> None:
    """This server knows no JSON schema: we fall back, and what it says is validated, asked for again, refused."""
    verdict = Grammar("verdict", Fields((("cause", OneOf(("disk", "network"))), ("sure", Flag()))))
    try:
        value = GovernedModel(model).complete(PROMPT, verdict, 60).value
    except OutputInvalid as error:
        value = str(error)
    assert "\n" not in value if isinstance(value, str) else verdict.parse(json.dumps(value))
