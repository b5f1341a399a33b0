"""`kubectl intellect scan`: every root cause in scope, worst first; symptoms folded in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from kubectl_ai_intellect.cli.ask import ask
from kubectl_ai_intellect.cli.flags import Options
from kubectl_ai_intellect.errors import UsageError
from kubectl_ai_intellect.report import SEVERITIES, Answer, Diagnosis, Scan

HELP = """Find every root cause in a namespace (or, with -A, in the cluster): one finding each, worst first.

Usage:
  kubectl intellect scan [-A | -n NAMESPACE] [--fail-on SEVERITY] [--ignore FILE] [-o FORM]

Options:
  --fail-on SEVERITY   exit with 3 when a finding is this severe or worse (critical, high, medium, low)
  --ignore FILE        YAML list of accepted findings: {cause, object, namespace, reason, until}
  -o FORM              text, wide, json, yaml, markdown, html

Examples:
  kubectl intellect scan -A
  kubectl intellect scan -n payments --fail-on high
"""


def scan(options: Options, progress: Callable[[str], None]) -> tuple[Scan, int]:
    """The scan, and the exit code that --fail-on makes of it."""
    from kubectl_ai_intellect.investigate import suppress

    if len(options.words) > 1:
        raise UsageError(
            f"scan takes no names ({' '.join(options.words[1:])}); ask about one object with `kubectl intellect KIND/NAME`"
        )
    rows = suppress.load(options.ignore) if options.ignore else []
    report = ask(replace(options, words=("what", "is", "wrong")), progress=progress, choose=None)
    if isinstance(report, Answer):
        raise UsageError(report.answer.text)
    assert isinstance(report, Diagnosis), "a question about a scope ends in a diagnosis"
    found = [each for each in (report.verdict, *report.findings) if each.status == "root_cause"]
    from datetime import UTC, datetime

    standing, suppressed = suppress.apart(found, rows, datetime.now(UTC))
    standing.sort(key=lambda each: (SEVERITIES.index(each.severity), -each.confidence))
    result = Scan(context=report.context, namespace=report.namespace, findings=standing, suppressed=suppressed,
                  missing=report.verdict.missing, evidence=report.evidence, steps=report.steps, usage=report.usage)  # fmt: skip
    worst = min((SEVERITIES.index(each.severity) for each in standing), default=len(SEVERITIES))
    severe = bool(options.fail_on) and worst <= [*map(str, SEVERITIES)].index(options.fail_on)
    return result, 3 if severe else 0


__all__ = ["HELP", "scan"]
