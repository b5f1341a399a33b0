"""Reports as Markdown, for an incident ticket."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from kubectl_ai_intellect.evidence.redact import clean
from kubectl_ai_intellect.report import Answer, ObjectRef, Report, Scan, Verdict

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|!~])")


def markdown(report: Report) -> str:
    """The whole report."""
    return "\n".join(_lines(report))


def escaped(text: str) -> str:
    """Text of others as plain words: nothing in it is markup."""
    return _SPECIAL.sub(r"\\\1", clean(text).replace("\n", " "))


def fenced(text: str) -> Iterator[str]:
    """A code block whose fence is longer than any in the text."""
    runs = [len(run) for run in re.findall(r"`+", text)]
    fence = "`" * max(3, max(runs, default=0) + 1)
    yield fence + "sh"
    yield from (clean(line) for line in text.split("\n"))
    yield fence


def _lines(report: Report) -> Iterator[str]:
    if isinstance(report, Answer):
        yield f"**{escaped(report.answer.text)}**"
        if report.answer.columns:
            yield ""
            yield from _table(report.answer.columns, report.answer.rows)
        return
    if isinstance(report, Scan):
        yield f"# Scan of {escaped(report.namespace)} (context {escaped(report.context)})"
        for each in report.findings:
            yield ""
            yield from _verdict(each, "##")
    else:
        yield f"# {escaped(report.question)}"
        yield ""
        yield f"Context {escaped(report.context)}, namespace {escaped(report.namespace)}"
        yield ""
        yield from _verdict(report.verdict, "##")
        for each in report.findings:
            yield ""
            yield f"- also: {_name(each.object)}: {escaped(each.title)}"
    if report.evidence:
        yield ""
        yield "## Evidence"
        yield ""
        for fact in report.evidence:
            at = f" ({fact.at})" if fact.at else ""
            yield f"- **{fact.id}**{at} {escaped(fact.text)}"
            yield from (f"  {line}" for line in fenced(fact.command) if fact.command)


def _verdict(verdict: Verdict, level: str) -> Iterator[str]:
    yield f"{level} {escaped(verdict.title)}"
    yield ""
    if verdict.status == "root_cause":
        yield f"`{verdict.cause}` at {_name(verdict.object)}, {verdict.severity}, {verdict.confidence:.0%} sure."
        if verdict.affects:
            yield f"Suffers: {', '.join(_name(each) for each in verdict.affects)}."
    yield ""
    yield escaped(verdict.explanation)
    yield from _chain(verdict)
    for fix in verdict.fix:
        yield ""
        yield f"**{'Fix' if fix.kind == 'mend' else 'Until then'}:** {escaped(fix.title)} (risk: {fix.risk})"
        yield ""
        for command in fix.commands:
            yield from fenced(command)
        yield from (f"- {escaped(each)}" for each in fix.unknown)
    if verdict.managedBy:
        yield ""
        yield f"Managed by {escaped(verdict.managedBy.tool)} ({escaped(verdict.managedBy.where)}): change it there."
    for each in verdict.missing:
        yield f"- not read: {escaped(each)}"


def _chain(verdict: Verdict) -> Iterator[str]:
    for number, step in enumerate(verdict.chain, 1):
        if number == 1:
            yield ""
        cited = f" [{', '.join(step.evidence)}]" if step.evidence else ""
        yield f"{number}. {_name(step.object)}: {escaped(step.because)}{cited}"


def _name(each: ObjectRef | None) -> str:
    return f"{escaped(each.kind)}/{escaped(each.name)}" if each else ""


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    listed = [escaped(head) for head in heads]
    yield "| " + " | ".join(listed) + " |"
    yield "|" + " --- |" * len(listed)
    for row in rows:
        yield "| " + " | ".join(escaped(str(cell)) for cell in row) + " |"


__all__ = ["escaped", "fenced", "markdown"]
