"""Which model answers beside the evidence, if any: --model, the settings, what is installed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from kubectl_ai_intellect import places
from kubectl_ai_intellect.cli.flags import Options

if TYPE_CHECKING:
    from kubectl_ai_intellect.gateway.protocol import Model
    from kubectl_ai_intellect.render.story import Story
    from kubectl_ai_intellect.render.terminal import Paper
    from kubectl_ai_intellect.report import Diagnosis, Report

HINT = "from evidence alone; `kubectl intellect model list` shows local models that can explain and look further"


class Helper(NamedTuple):
    """The model to ask, whether it explains, and why there is none."""

    model: Model | None = None
    explain: bool = True
    hint: str = ""  # how to get one: for a terminal only
    problem: str = ""  # the one that was meant cannot be used

    def close(self) -> None:
        if self.model is not None:
            self.model.close()


class Screen:
    """What a question shows, in order: the report, the sentences that explain it, a last line in passing.

    For people the report comes at once and is explained below; a document is written when all is known.
    """

    def __init__(
        self,
        options: Options,
        helper: Helper,
        shown: Callable[[Report, Options], None],
        colored: Callable[[Options], bool],
        quiet: Callable[[], None],
    ) -> None:
        self._options, self._helper = options, helper
        self._shown, self._colored, self._quiet = shown, colored, quiet
        self._live = options.output in ("text", "wide")
        self._revealed: Report | None = None
        self._story: Story | None = None

    def reveal(self, report: Report) -> None:
        if self._live:
            self._quiet()
            self._shown(report, self._options)
            sys.stdout.flush()
            self._revealed = report

    def say(self, sentence: str) -> None:
        if self._live:
            if self._story is None:
                from kubectl_ai_intellect.render.story import Story

                self._quiet()
                self._story = Story(self._paper(), sys.stdout)
            self._story.sentence(sentence)

    def _paper(self) -> Paper:
        from kubectl_ai_intellect.render import paper_of

        return paper_of(sys.stdout, self._colored(self._options))

    def end(self, report: Report) -> None:
        if self._story is not None:
            self._story.end()
        if self._revealed is None:
            self._shown(report, self._options)
        if self._live and sys.stdout.isatty() and report.kind == "Diagnosis":
            from kubectl_ai_intellect.render.story import aside

            for line in self._last_lines(report):
                aside(self._paper(), sys.stdout, line)

    def _last_lines(self, report: Diagnosis) -> Iterator[str]:
        """What is said in passing below a report: how to get a model, how one failed, what it cost."""
        from kubectl_ai_intellect.report import Diagnosis

        usage = report.usage
        if self._helper.model is None and report.verdict.status != "healthy" and self._helper.hint:
            yield self._helper.hint
        if self._helper.model is None:
            return
        before = self._revealed.verdict.missing if isinstance(self._revealed, Diagnosis) else []
        yield from (each for each in report.verdict.missing if each not in before)
        if self._options.verbose:
            yield (f"{usage.model}: {usage.promptTokens} tokens read ({usage.cachedTokens} of them known already), "
                   f"{usage.completionTokens} written")  # fmt: skip


def helper(options: Options) -> Helper:
    """Open the model that is to be asked. A local one loads in its own process while the cluster is read."""
    if _nothing_said(options):
        return Helper(hint=HINT)
    from kubectl_ai_intellect import settings
    from kubectl_ai_intellect.gateway.opening import open_model, wished
    from kubectl_ai_intellect.gateway.protocol import ModelError

    loaded = settings.load()
    wish = wished(loaded, options.model or None)
    try:
        model = open_model(loaded, options.model or None, _showing(options))
    except ModelError as problem:
        if options.model:
            raise
        return Helper(problem=f"the configured model cannot be used: {problem}")
    if model is None:
        return Helper(hint=HINT if wish.provider == "auto" else "")
    if options.show_egress and model.identity.local:
        _tell(f"nothing leaves this machine: {model.identity} is a local model")
    return Helper(model, explain=options.explain == "on" or (options.explain == "auto" and loaded.model.explain))


def _nothing_said(options: Options) -> bool:
    """Whether nobody ever named or installed a model, seen without loading the settings."""
    named = options.model or any(name.startswith("KUBECTL_INTELLECT_MODEL") for name in os.environ)
    files = (places.config_dir() / "config.toml", places.data_dir() / "models" / "models.json")
    return not named and not any(file.exists() for file in files)


def _showing(options: Options) -> Callable[[str], None] | None:
    return _tell if options.show_egress else None


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


__all__ = ["HINT", "Helper", "Screen", "helper"]
