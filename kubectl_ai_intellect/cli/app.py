"""First word: subcommand or question.

The first word is a subcommand only if what follows are arguments of it: `scan`, `case show FILE`, `runbook search "…"`.
Anything else is a question, so that `kubectl intellect scan my pods please` asks and `--` is seldom needed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from kubectl_ai_intellect.cli.doctor import doctor, is_doctor
from kubectl_ai_intellect.cli.flags import Options, colored, parse
from kubectl_ai_intellect.errors import UsageError

HELP = """Ask your cluster what is wrong: root cause, proof and fix, on the current kubeconfig context.

Usage:
  kubectl intellect QUESTION...       answer a question; quotes are not needed
  kubectl intellect KIND/NAME         what is wrong with this object
  kubectl intellect COMMAND ...

Examples:
  kubectl intellect "why is my pod crashing"
  kubectl intellect why is checkout down -n payments
  kubectl intellect deployment/cart -o json
  kubectl intellect how many pods are not ready -A
  kubectl describe pod cart-0 | kubectl intellect what is wrong
  kubectl intellect -f deployment.yaml
  kubectl intellect scan -A --fail-on high
  kubectl intellect demo
  kubectl intellect doctor

Commands:
  scan         every root cause in a namespace or the cluster, worst first
  demo         diagnose a recorded incident, with no cluster at hand
  case         show, ask, replay or share a recorded incident
  runbook      search and manage runbooks and your own documents
  model        list, pull, import, verify, use or remove local models
  config       show or set the configuration
  doctor       check what answers need, say what each fault costs, and print the role to ask for
  bundle       carry plugin, model, runbooks and index to a machine without a network
  completion   what the Tab key completes, through kubectl's own completion
  version      print the version

Options:
  -n, --namespace NAME    the namespace (default: the context's)
  -A, --all-namespaces    the whole cluster
  -l, --selector LABELS   only what these labels pick: app=web, tier in (a,b)
  -c, --container NAME    only this container
      --since DURATION    leave out events and log lines older than this
  -f, --filename FILE     would these manifests work here, and why not (nothing is kept)
  -o, --output FORM       text, wide, json, yaml, markdown, html
  -v                      how it was found: hypotheses, commands, times
      --timeout DURATION  the best answer within this time (30s, 2m)
      --record FILE       keep what was read as a case file
      --from FILE         answer from a case file instead of a cluster
      --continue          go on from the last investigation: choose where it waited, or ask on about its object
      --model WHICH       the model that looks further and explains: PROVIDER[:NAME], a GGUF file, or none
      --explain WHEN      on, off or auto: whether the model explains the verdict below it
      --show-egress       print what would be sent to a model that is not on this machine, and send nothing
      --color WHEN        auto, always or never (NO_COLOR is heard)
  -                       wait for what is piped in, however long it takes
      --                  what follows is a question, whatever its words

kubectl's global flags (--context, --kubeconfig, --as, --request-timeout, ...) mean what they mean to kubectl.
Nothing is ever changed in a cluster: fixes are printed for you to run.
"""

GROUPS: dict[str, frozenset[str]] = {
    "runbook": frozenset({"add", "list", "show", "search", "index", "check", "remove"}),
    "model": frozenset({"list", "pull", "import", "verify", "use", "remove", "bench"}),
    "config": frozenset({"show", "set"}),
    "case": frozenset({"show", "ask", "replay", "share"}),
    "bundle": frozenset({"create", "install"}),
    "completion": frozenset({"bash", "zsh", "fish", "install"}),
}
"""Commands that take an action as their second word."""


def run(arguments: Sequence[str]) -> int:
    """Run one command line; the exit code is returned, errors are raised."""
    words = [each for each in arguments if not each.startswith("-")]
    first = words[0] if words else ""
    if arguments and arguments[0] == first and first in GROUPS and _takes_action(first, arguments[1:]):
        return _group(first, arguments[1:])
    if first == "doctor" and is_doctor(arguments):
        return doctor(arguments[1:])
    options = parse(arguments)
    if not options.words and not options.resume and not options.selector and not options.piped and not options.manifest:
        print(HELP)
        return 0
    if not options.forced and first == "scan" and len(options.words) == 1:
        return _scan(options)
    if not options.forced and first == "demo" and len(options.words) <= 2 and not options.flags.namespace:
        return _demo(options)
    if options.help:
        print(HELP)
        return 0
    return _rehearse(options) if options.manifest else _answer(options)


def _takes_action(name: str, rest: Sequence[str]) -> bool:
    words = [each for each in rest if not each.startswith("-")]
    return (not words and len(rest) <= 1) or (bool(words) and rest[0] == words[0] and words[0] in GROUPS[name])


def _group(name: str, rest: Sequence[str]) -> int:
    """A command group of its own, parsed by typer."""
    import importlib

    import click

    os.environ.setdefault("TYPER_USE_RICH", "0")
    module = importlib.import_module(f"kubectl_ai_intellect.cli.{name}")
    import typer

    command = typer.main.get_command(module.app)
    try:
        code = command.main(list(rest), prog_name=f"kubectl intellect {name}", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as problem:
        print(problem.format_message())
        return 0
    except click.ClickException as problem:
        raise UsageError(f"{problem.format_message()} See `kubectl intellect {name} --help`") from problem
    except click.exceptions.Abort as problem:
        raise KeyboardInterrupt from problem
    return code if isinstance(code, int) else 0


def shown(report: Any, options: Options) -> None:
    """Render a report to standard output."""
    from kubectl_ai_intellect.render import render

    render(report, options.output, width=None, color=colored(options), verbose=options.verbose, stream=sys.stdout)


def telling(options: Options) -> tuple[Callable[[str], None], Callable[[], None]]:
    """Progress on standard error, and how to end it."""
    from kubectl_ai_intellect.render import Progress

    progress = Progress(sys.stderr)
    return progress.step, progress.done


def _answer(options: Options) -> int:
    from kubectl_ai_intellect.cli.stdin import Piped

    piped = Piped(options.piped)
    from kubectl_ai_intellect.cli.ask import ask, ask_number

    terminal = sys.stdin.isatty() and sys.stdout.isatty() and options.output in ("text", "wide")
    step, done = telling(options)

    def choose(options: list[str]) -> int | None:
        done()
        return ask_number(options)

    from kubectl_ai_intellect.cli.thinking import Screen, helper

    found = helper(options)
    screen = Screen(options, found, shown, colored, done)
    try:
        report = ask(options, progress=step, choose=choose if terminal else None, piped=piped.text, helper=found,
                     reveal=screen.reveal, say=screen.say)  # fmt: skip
        screen.end(report)
    finally:
        done()
        found.close()
    return 0


def _rehearse(options: Options) -> int:
    from kubectl_ai_intellect.cli.rehearse import rehearse

    step, done = telling(options)
    try:
        report = rehearse(options, step)
    finally:
        done()
    shown(report, options)
    return 0


def _scan(options: Options) -> int:
    from kubectl_ai_intellect.cli import scan

    if options.help:
        print(scan.HELP)
        return 0
    step, done = telling(options)
    try:
        report, code = scan.scan(options, step)
    finally:
        done()
    shown(report, options)
    return code


def _demo(options: Options) -> int:
    from kubectl_ai_intellect.cli import demo

    if options.help:
        print(demo.HELP)
        return 0
    report = demo.demo(options)
    if report is not None:
        shown(report, options)
    return 0


__all__ = ["GROUPS", "HELP", "run", "shown"]
