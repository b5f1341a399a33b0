"""Ask the product with a model of the test's own, as `--model` would."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubectl_ai_intellect.cli.ask import ask_source
from kubectl_ai_intellect.cli.flags import Options
from kubectl_ai_intellect.cli.thinking import Helper
from kubectl_ai_intellect.gateway.protocol import Model
from kubectl_ai_intellect.kube.case import Case, CaseSource
from kubectl_ai_intellect.kube.config import Flags

Report = dict[str, Any]


def ask_with(
    model: Model | None,
    case: Case,
    question: str = "",
    *,
    explain: bool = True,
    timeout: str = "",
    say: Callable[[str], None] = lambda text: None,
) -> Report:
    """What `-o json` prints of a recording. No session is kept, as of any case."""
    options = Options(flags=Flags(namespace=case.namespace or None), words=tuple((question or case.question).split()),
                      forced=True, source="here", timeout=timeout)  # fmt: skip
    helper = Helper(model, explain)
    return ask_source(options, CaseSource(case), lambda text: None, None, helper=helper, say=say).model_dump(
        mode="json"
    )


__all__ = ["Report", "ask_with"]
