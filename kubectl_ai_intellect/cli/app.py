"""First word: subcommand or question."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from kubectl_ai_intellect.cli.flags import Options, parse

HELP = """Ask your cluster what is wrong: root cause, proof and fix, on the current kubeconfig context.

Usage:
  kubectl intellect QUESTION...            answer a question (quotes are not needed)
  kubectl intellect KIND/NAME              what is wrong with this object
  kubectl intellect COMMAND ...            see below

Examples:
  kubectl intellect "why is my pod crashing"
  kubectl intellect why is checkout down -n payments
  kubectl intellect deployment/cart -o json
  kubectl intellect how many pods are not ready -A
"""


def run(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    if options.help or not options.words:
        print(HELP)
        return 0
    return _answer(options)


def _answer(options: Options) -> int:
    from kubectl_ai_intellect.cli.ask import ask, ask_number
    from kubectl_ai_intellect.render import render

    terminal = sys.stdin.isatty() and sys.stdout.isatty() and options.output == "text"
    report = ask(options, progress=lambda text: None, choose=ask_number if terminal else None)
    color = options.color == "always" or (options.color == "auto" and sys.stdout.isatty() and not os.environ.get("NO_COLOR"))
    render(report, options.output, width=None, color=color, verbose=options.verbose, stream=sys.stdout)
    return 0


__all__ = ["run"]
