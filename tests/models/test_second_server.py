"""The loop over the OpenAI format, against llama-cpp-python's own server with SmolLM2: another implementation, no harm."""

from __future__ import annotations

import importlib.util

import pytest

from kubectl_ai_intellect.gateway.governed import GovernedModel
from kubectl_ai_intellect.gateway.providers.remote import RemoteModel
from tests.models.asking import ask_with
from tests.models.cases import Told
from tests.models.harm import harms, uncited_sentences
from tests.scenarios.recorded import recordings
from tests.unit.test_gateway_second_server import model, url  # noqa: F401 - fixtures

pytestmark = [
    pytest.mark.model,
    pytest.mark.timeout(900),
    pytest.mark.skipif(importlib.util.find_spec("llama_cpp") is None, reason="llama-cpp-python is not installed"),
]


@pytest.mark.parametrize(
    ("name", "change"), [("app/auth-failed", "logs forbidden"), ("app/auth-failed", "as recorded")]
)
def test_a_remote_model_joins_in_and_does_no_harm(name: str, change: str, model: RemoteModel) -> None:  # noqa: F811
    told = Told(next(each for each in recordings() if each.name == name), change)
    before = ask_with(None, told.case, told.recording.question)
    after = ask_with(GovernedModel(model), told.case, told.recording.question)
    assert harms(before, after) == []
    assert uncited_sentences(before, after) == []
    assert after["usage"]["model"] == "openai:smollm2"
    assert after["usage"]["promptTokens"] > 0
