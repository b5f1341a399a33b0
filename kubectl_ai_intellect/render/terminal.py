"""Reports for a terminal: the verdict first, then why, the fix to copy, and the proof.

Commands are never wrapped or indented beyond a margin, so that copying works; meaning never hangs on colour alone.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from kubectl_ai_intellect.evidence.redact import clean
from kubectl_ai_intellect.report import Answer, Diagnosis, Evidence, Fix, ObjectRef, Report, Scan, Verdict

BOLD, DIM, BLUE, YELLOW = "1", "2", "34", "33"
MARKS = {"critical": "‼", "high": "!", "medium": "~", "low": "·"}
PLAIN = {"‼": "!!", "·": ".", "└─ ": "`- ", "→": "->", "…": "...", "✓": "ok", "–": "-", "▸": ">", "≠": "/="}
CERTAIN = ((0.9, "proved"), (0.65, "likely"), (0.0, "possible"))


@dataclass(frozen=True, slots=True)
class Paper:
    """What is written on: its width, whether it takes colour, and which characters it has."""

    width: int = 100
    color: bool = False
    unicode: bool = True

    def style(self, text: str, *codes: str) -> str:
        return f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if self.color and text else text

    def plain(self, text: str) -> str:
        """Text that came from elsewhere: control characters made visible, rare characters replaced where need be."""
        text = clean(text)
        if self.unicode:
            return text
        for rare, usual in PLAIN.items():
            text = text.replace(rare, usual)
        return text.encode("ascii", "backslashreplace").decode()

    def wrapped(self, text: str, indent: str = "", first: str | None = None) -> Iterator[str]:
        width = max(self.width, 40)
        yield from textwrap.wrap(self.plain(text), width, initial_indent=indent if first is None else first,
                                 subsequent_indent=indent, break_long_words=False, break_on_hyphens=False) or [""]  # fmt: skip


def lines(report: Report, paper: Paper, verbose: int = 0) -> Iterator[str]:
    """The report, line by line."""
    yield paper.style(paper.plain(f"context {report.context or '(none)'}, namespace {report.namespace}"), DIM)
    yield ""
    if isinstance(report, Answer):
        yield from _answer(report, paper)
    elif isinstance(report, Scan):
        yield from _scan(report, paper, verbose)
    else:
        yield from _diagnosis(report, paper, verbose)


def _diagnosis(report: Diagnosis, paper: Paper, verbose: int) -> Iterator[str]:
    verdict = report.verdict
    if report.after is not None:
        for line in paper.wrapped(f"after: {report.after.question} → {report.after.answer}"):
            yield paper.style(line, DIM)
        yield ""
    yield from _verdict(verdict, paper)
    for text in report.after.differences if report.after else ():
        yield from paper.wrapped(text, "    ", "  ≠ ")
    if verdict.status == "root_cause":
        yield from _why(verdict, paper)
        yield from _fixes(verdict, paper)
    for passage in report.passages:
        yield ""
        yield from paper.wrapped(f"{passage.runbook}, {passage.section}: {passage.text}", "  ", "  ")
    yield from _others(report.findings, paper)
    yield from _proof(report.evidence if verbose or not verdict.chain else _cited(report), paper)
    if verbose:
        yield from _steps(report, paper)
    yield from _missing(verdict.missing, paper, verdict.status)
    if verdict.status == "root_cause" and verdict.runbook:
        yield ""
        yield paper.style(paper.plain(f"more: kubectl intellect runbook show {verdict.runbook}"), DIM)


def _cited(report: Diagnosis) -> list[Evidence]:
    """What the verdict itself and a comparison stand on; the rest of the evidence is for -v."""
    wanted = {each for step in report.verdict.chain for each in step.evidence}
    wanted |= {
        each for text in (report.after.differences if report.after else ()) for each in re.findall(r"E\d+", text)
    }
    return [each for each in report.evidence if each.id in wanted]


def _verdict(verdict: Verdict, paper: Paper) -> Iterator[str]:
    if verdict.status != "root_cause":
        mark = {"healthy": "✓", "inconclusive": "~"}[verdict.status]
        yield paper.style(paper.plain(f"{mark} {verdict.title}"), BOLD)
        if verdict.explanation:
            yield from paper.wrapped(verdict.explanation, "  ")
        return
    mark = MARKS[verdict.severity]
    yield from (paper.style(line, BOLD) for line in paper.wrapped(verdict.title, "  ", paper.plain(f"{mark} ")))
    at = f"{_name(verdict.object)}" if verdict.object else ""
    sure = next(word for limit, word in CERTAIN if verdict.confidence >= limit)
    yield from paper.wrapped(
        f"{verdict.cause + ' ' if verdict.cause else ''}at {at}; {verdict.severity}; {sure} ({verdict.confidence:.0%})",
        "  ",
        "  ",
    )
    hurt = [_name(each) for each in verdict.affects if each != verdict.object]
    if hurt:
        more = f" and {len(hurt) - 5} more" if len(hurt) > 5 else ""
        yield from paper.wrapped(f"suffers: {', '.join(hurt[:5])}{more}", "           ", "  ")


def _name(each: ObjectRef | None) -> str:
    if each is None:
        return ""
    return f"{each.kind}/{each.name}" + (f" ({each.namespace})" if each.namespace else "")


def _heading(text: str, paper: Paper) -> Iterator[str]:
    yield ""
    yield paper.style(paper.plain(text), BOLD, BLUE)


def _why(verdict: Verdict, paper: Paper) -> Iterator[str]:
    yield from _heading("Why", paper)
    for depth, step in enumerate(verdict.chain):
        lead = "  " + "   " * max(depth - 1, 0) + ("└─ " if depth else "")
        cited = f" [{', '.join(step.evidence)}]" if step.evidence else ""
        text = f"{step.object.kind}/{step.object.name}: {step.because}{cited}"
        yield from paper.wrapped(text, " " * (len(lead) + 2), paper.plain(lead))


def _fixes(verdict: Verdict, paper: Paper) -> Iterator[str]:
    mends = [fix for fix in verdict.fix if fix.kind == "mend"]
    stopgaps = [fix for fix in verdict.fix if fix.kind == "stopgap"]
    yield from _heading("Fix", paper)
    if not mends:
        yield from paper.wrapped("no change to a declared object mends this by itself; see the runbook", "  ", "  ")
    for number, fix in enumerate(mends):
        yield from _fix(fix, paper, "or: " if number else "")
    if verdict.mendCheck == "does_not_clear":
        yield from paper.wrapped("checked against the declared state: this alone does not clear it", "  ", "  ~ ")
    if verdict.managedBy:
        owner = verdict.managedBy
        yield from (paper.style(line, YELLOW) for line in paper.wrapped(
            f"managed by {owner.tool}: {owner.where}. A change made by hand will be put back; change it there.", "    ", "  ! "))  # fmt: skip
    if stopgaps:
        yield from _heading("Until then", paper)
        for fix in stopgaps:
            yield from _fix(fix, paper, "")


def _fix(fix: Fix, paper: Paper, lead: str) -> Iterator[str]:
    risk = f" (risk: {fix.risk})" if fix.risk != "low" else ""
    yield from paper.wrapped(f"{lead}{fix.title}{risk}", "  ", "  ")
    for command in fix.commands:
        document = command.split("\n")
        margin = "" if len(document) > 1 else "    "
        for line in document:
            yield paper.style(margin + paper.plain(line), BOLD)
    for each in fix.unknown:
        yield from paper.wrapped(each, "      ", "    ")


def _others(findings: Sequence[Verdict], paper: Paper) -> Iterator[str]:
    if not findings:
        return
    yield from _heading("Also wrong here, independent of that", paper)
    for each in findings:
        yield from paper.wrapped(
            f"{_name(each.object)}: {each.title} ({each.cause})", "    ", paper.plain(f"  {MARKS[each.severity]} ")
        )


def _proof(evidence: Iterable[Evidence], paper: Paper) -> Iterator[str]:
    listed = list(evidence)
    if not listed:
        return
    yield from _heading("Evidence", paper)
    for each in listed:
        yield from paper.wrapped(each.text, "      ", f"  {each.id:<3} ")
        if each.command:
            yield paper.style("      " + paper.plain(each.command), DIM)


def _steps(report: Diagnosis | Scan, paper: Paper) -> Iterator[str]:
    yield from _heading("How it was found", paper)
    for step in report.steps:
        cost = f"{step.ms} ms, {step.tokens} tokens" if step.tokens else f"{step.ms} ms"
        yield from paper.wrapped(f"{step.n}. {step.hypothesis} → {step.finding} ({cost})", "     ", "  ")
        if step.command:
            yield paper.style("     " + paper.plain(step.command), DIM)
    usage = report.usage
    yield paper.style(
        f"  {usage.apiCalls} requests, {usage.apiBytes / 1024:.0f} KiB, {usage.wallMs} ms, model {paper.plain(usage.model)}",
        DIM,
    )


def _missing(missing: Sequence[str], paper: Paper, status: str) -> Iterator[str]:
    if not missing:
        return
    yield from _heading("What would tell" if status == "inconclusive" else "Not read", paper)
    for each in missing:
        yield from paper.wrapped(each, "    ", "  ")


def _scan(report: Scan, paper: Paper, verbose: int) -> Iterator[str]:
    if not report.findings:
        yield paper.style(paper.plain("✓ Nothing is wrong that could be seen"), BOLD)
    else:
        count = len(report.findings)
        yield paper.style(f"{count} root cause{'s' if count > 1 else ''}, worst first", BOLD)
    for each in report.findings:
        yield ""
        lead = paper.plain(f"{MARKS[each.severity]} {each.severity:<9}")
        yield from (paper.style(line, BOLD) if not number else line for number, line in
                    enumerate(paper.wrapped(f"{_name(each.object)}: {each.title}", " " * len(lead), lead)))  # fmt: skip
        yield " " * len(lead) + paper.style(f"{each.cause} ({each.confidence:.0%})", DIM)
        first = next((fix for fix in each.fix if fix.kind == "mend" and fix.commands), None)
        for command in first.commands if first else ():
            yield from (" " * len(lead) * ("\n" not in command) + paper.plain(line) for line in command.split("\n"))
    if report.suppressed:
        yield ""
        yield paper.style(f"{report.suppressed} suppressed by the ignore file", DIM)
    if verbose:
        yield from _proof(report.evidence, paper)
        yield from _steps(report, paper)
    yield from _missing(report.missing, paper, "")


def _answer(report: Answer, paper: Paper) -> Iterator[str]:
    table = report.answer
    yield from (paper.style(line, BOLD) for line in paper.wrapped(table.text))
    if table.columns:
        yield ""
        yield from columns([table.columns, *table.rows], paper)
    if table.command:
        yield ""
        yield paper.style(f"the same with kubectl: {paper.plain(table.command)}", DIM)


def columns(rows: Sequence[Sequence[str]], paper: Paper) -> Iterator[str]:
    """A table in columns; the widest cells are cut where the paper is too narrow."""
    cells = [[paper.plain(str(cell)).replace("\n", " ") for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in cells if i < len(row)) for i in range(len(cells[0]))]
    while sum(widths) + 3 * (len(widths) - 1) > paper.width and max(widths) > 12:
        widths[widths.index(max(widths))] -= 1
    dots = paper.plain("…")
    for number, row in enumerate(cells):
        cut = [
            cell if len(cell) <= width else cell[: width - len(dots)] + dots
            for cell, width in zip(row, widths, strict=False)
        ]
        line = "   ".join(cell.ljust(width) for cell, width in zip(cut, widths, strict=False)).rstrip()
        yield paper.style(line, DIM) if number == 0 else line


__all__ = ["Paper", "columns", "lines"]
