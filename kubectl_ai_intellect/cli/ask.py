"""`kubectl intellect QUESTION` and `scan`: from parsed flags to a report."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from kubectl_ai_intellect.cli.flags import Options
from kubectl_ai_intellect.cli.thinking import Helper
from kubectl_ai_intellect.errors import UsageError
from kubectl_ai_intellect.kube.refs import Ref, named
from kubectl_ai_intellect.kube.source import Source
from kubectl_ai_intellect.report import Diagnosis, Report

if TYPE_CHECKING:
    from kubectl_ai_intellect.investigate.answering import Answering
    from kubectl_ai_intellect.investigate.sessions import Past

NOBODY = Helper()


def open_source(options: Options) -> Source:
    """The cluster, or the case file of --from."""
    if options.source:
        from kubectl_ai_intellect.kube.case import CaseSource

        return CaseSource(options.source)
    from kubectl_ai_intellect.kube.session import connect

    return connect(options.flags, options.seconds)


def target_of(words: tuple[str, ...], namespace: str, source: Source) -> Ref | None:
    """KIND/NAME, or KIND NAME, as the only words."""
    if len(words) == 1 and words[0].count("/") == 1:
        kind, name = words[0].split("/")
    elif len(words) == 2 and named(words[0]) and words[1].replace("-", "").replace(".", "").isalnum():
        kind, name = words
    else:
        return None
    if not kind or not name or any(each.isspace() for each in words[0]):
        return None
    known = named(kind)
    if known is None:
        known = next(
            (each for each in source.resources() if kind.lower() in (each.plural, each.kind.lower(), *each.short,
                                                                   f"{each.plural}.{each.group}")), None)  # fmt: skip
    if known is None:
        raise UsageError(f'the server has no kind "{kind}"; `kubectl api-resources` lists what there is')
    return Ref(known.group, known.kind, namespace if known.namespaced else "", name)


def ask(
    options: Options,
    *,
    progress: Callable[[str], None],
    choose: Callable[[list[str]], int | None] | None,
    piped: Callable[[], str] = lambda: "",
    helper: Helper = NOBODY,
    reveal: Callable[[Report], None] = lambda report: None,
    say: Callable[[str], None] = lambda text: None,
) -> Report:
    """Answer one question; `piped` gives what came through standard input.

    `reveal` is given the report when it stands, before a model explains it; `say` each sentence of the explanation.
    """
    source = open_source(options)
    if options.record:
        from kubectl_ai_intellect.evidence.redact import redact
        from kubectl_ai_intellect.kube.case import Recorder

        recorder = Recorder(source, redact)
        report = ask_source(options, recorder, progress, choose, piped, helper, reveal, say)
        recorder.write(options.record, question=" ".join(options.words))
        return report
    return ask_source(options, source, progress, choose, piped, helper, reveal, say)


def ask_source(
    options: Options,
    source: Source,
    progress: Callable[[str], None],
    choose: Any,
    piped: Callable[[], str] = lambda: "",
    helper: Helper = NOBODY,
    reveal: Callable[[Report], None] = lambda report: None,
    say: Callable[[str], None] = lambda text: None,
) -> Report:
    """Answer one question from a source that stands already: a cluster's, a recording's, a changed recording's."""
    answering = _prepared(options, source, piped(), helper, interactive=choose is not None)
    from kubectl_ai_intellect.investigate.graph import investigate
    from kubectl_ai_intellect.investigate.sessions import Sessions

    sessions = Sessions()
    past = sessions.last() if options.resume else None
    if options.resume and past is None:
        raise UsageError("there is no earlier investigation to continue; ask a question first")
    resumed = past is not None and past.waiting and not options.words
    if past is not None:
        _take_up(answering, past, resumed, options)
    progress(f"reading {answering.where()}")
    keep = not options.source  # a case is its own record
    try:
        return investigate(
            answering,
            thread=past.thread if past and resumed else f"{time.time_ns()}",
            checkpointer=sessions.saver() if keep else None,
            progress=progress,
            choose=choose or (lambda options: None),
            resume=resumed,
            reveal=reveal,
            say=say,
        )
    finally:
        sessions.close()


def _prepared(options: Options, source: Source, text: str, helper: Helper, *, interactive: bool) -> Answering:
    """What is to be asked, of what scope, by when and with whose help. `text` came through standard input."""
    from kubectl_ai_intellect.investigate.answering import Answering
    from kubectl_ai_intellect.investigate.desk import Desk
    from kubectl_ai_intellect.investigate.reading import Reader
    from kubectl_ai_intellect.investigate.scope import Scope

    namespace = options.flags.namespace or source.namespace or "default"
    target = None if options.forced else target_of(options.words, namespace, source)
    everywhere = options.flags.all_namespaces and target is None
    scope = Scope("" if everywhere else namespace, target, options.selector, options.container)
    deadline = time.monotonic() + options.seconds if options.seconds else None
    desk = Desk(Reader(source, since=options.lookback), scope, _question(options, target, text), deadline=deadline)
    answering = Answering(desk, source.context, namespace, interactive=interactive, whole=everywhere)
    if text.strip():
        from kubectl_ai_intellect.question import read_pasted

        answering.pasted = read_pasted(text)
    if helper.model is not None:
        from kubectl_ai_intellect.investigate.thinking.thinker import Thinker

        answering.thinker = Thinker(helper.model, helper.explain, deadline, note=desk.note)
    answering.without = helper.problem
    if not options.source:
        answering.confirming = partial(_confirm, options, namespace)
    return answering


def _question(options: Options, target: Ref | None, text: str) -> str:
    """The words as typed, or what an object, a selector or piped evidence alone asks."""
    if target is not None:
        return f"what is wrong with {target.short}"
    question = " ".join(options.words)
    if not question and options.selector:
        return f"what is wrong with the pods {options.selector}"
    return question or ("what is wrong here" if text.strip() else "")


def _confirm(options: Options, namespace: str, report: Diagnosis) -> None:
    """Let the user's own runbook look for itself, where there is one for this verdict."""
    from kubectl_ai_intellect.investigate.confirming import confirm, yours

    found = yours(report)
    if found is not None:
        from kubectl_ai_intellect.kube.running import run

        checks, title = found
        confirm(report, checks, title, lambda command: run(command, options.flags, namespace))


def _take_up(answering: Answering, past: Past, resumed: bool, options: Options) -> None:
    """Go on where the last investigation was: its question if it still waits, else its object."""
    desk, values = answering.desk, past.values
    desk.question = desk.question or values.get("question") or ""
    elsewhere = options.flags.namespace or options.flags.all_namespaces or desk.scope.target is not None
    if not elsewhere:
        desk.scope = replace(desk.scope, namespace=values.get("namespace", desk.scope.namespace))
    if resumed:
        answering.interactive = True
        return
    answering.earlier = past.earlier
    target = values.get("target") or []
    answering.fallback = Ref(*target) if target and not elsewhere else None


def ask_number(options: list[str]) -> int | None:
    """A numbered list on the terminal; nothing chosen means the worst."""
    print("Which one do you mean?", file=sys.stderr)
    for number, text in enumerate(options, 1):
        print(f"  {number}. {text}", file=sys.stderr)
    print(f"Number (1-{len(options)}, Enter for 1): ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline().strip()
    return int(answer) - 1 if answer.isdigit() and 1 <= int(answer) <= len(options) else 0


__all__ = ["ask", "ask_number", "ask_source", "open_source", "target_of"]
