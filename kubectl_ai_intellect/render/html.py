"""Reports as one self-contained page to hand to a colleague: verdict, chain, fix, timeline, evidence; no outside resource."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from html import escape

from kubectl_ai_intellect.evidence.redact import clean
from kubectl_ai_intellect.report import Answer, Diagnosis, Evidence, Fix, ObjectRef, Report, Scan, Verdict

STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#57606a;--line:#d0d7de;--back:#fff;--box:#f6f8fa;--mark:#0550ae}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9da7b1;--line:#3d444d;--back:#0d1117;--box:#161b22;--mark:#6cb6ff}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--back);max-width:60rem;margin:0 auto;padding:1rem}
h1{font-size:1.4rem;line-height:1.3;margin:.3rem 0}h2{font-size:1.05rem;margin:1.6rem 0 .4rem;color:var(--mark)}
.soft{color:var(--soft)}.verdict{border-left:.4rem solid var(--mark);padding:.2rem 1rem;background:var(--box)}
pre{background:var(--box);border:1px solid var(--line);border-radius:.3rem;padding:.6rem;white-space:pre-wrap;overflow-wrap:anywhere;margin:.3rem 0}
table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid var(--line);padding:.3rem .5rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}
svg text{fill:var(--ink);font:14px system-ui,sans-serif}svg rect{fill:var(--box);stroke:var(--line)}svg path{stroke:var(--soft);fill:none}
svg .root rect{stroke:var(--mark);stroke-width:2}ol.time{list-style:none;padding:0;border-left:2px solid var(--line)}
ol.time li{padding:.2rem 0 .2rem 1rem}.sev{font-weight:bold}@media print{body{max-width:none}}
"""


def html(report: Report) -> str:
    """The page."""
    title = text(getattr(report, "question", "") or "scan")
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    head = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}"><title>{title}</title><style>{STYLE}</style></head>'
    )
    return f"{head}<body>{''.join(_body(report))}</body></html>"


def text(value: str) -> str:
    """Text of others, harmless in a page."""
    return escape(clean(value), quote=True)


def _body(report: Report) -> Iterator[str]:
    yield f'<p class="soft">context {text(report.context)}, namespace {text(report.namespace)}: {text(report.question)}</p>'
    if isinstance(report, Answer):
        yield f"<h1>{text(report.answer.text)}</h1>"
        yield _table(report.answer.columns, report.answer.rows)
    elif isinstance(report, Scan):
        yield f"<h1>{len(report.findings)} root causes</h1>"
        for each in report.findings:
            yield from _verdict(each)
        yield from _evidence(report.evidence)
    else:
        yield from _diagnosis(report)


def _diagnosis(report: Diagnosis) -> Iterator[str]:
    yield from _verdict(report.verdict)
    if report.findings:
        yield "<h2>Also wrong here, independent of that</h2><ul>"
        yield from (f"<li>{_name(each.object)}: {text(each.title)}</li>" for each in report.findings)
        yield "</ul>"
    yield from _timeline(report.evidence)
    yield from _evidence(report.evidence)


def _verdict(verdict: Verdict) -> Iterator[str]:
    yield f'<div class="verdict"><h1>{text(verdict.title)}</h1>'
    if verdict.status == "root_cause":
        yield f'<p><span class="sev">{verdict.severity}</span>: <code>{text(verdict.cause or "")}</code> at {_name(verdict.object)}, '
        yield f"{verdict.confidence:.0%} sure</p>"
    if verdict.affects:
        yield f"<p>Suffers: {', '.join(_name(each) for each in verdict.affects)}</p>"
    yield f"<p>{text(verdict.explanation)}</p></div>"
    if verdict.chain:
        yield "<h2>Why</h2>"
        yield _drawn(verdict)
    if verdict.fix:
        yield "<h2>Fix</h2>"
    for fix in verdict.fix:
        yield from _fix(fix)
    if verdict.managedBy:
        yield f"<p><b>Managed by {text(verdict.managedBy.tool)}</b> ({text(verdict.managedBy.where)}): change it there.</p>"
    if verdict.missing:
        yield "<h2>Not read</h2><ul>" + "".join(f"<li>{text(each)}</li>" for each in verdict.missing) + "</ul>"


def _fix(fix: Fix) -> Iterator[str]:
    kind = "" if fix.kind == "mend" else "Until then: "
    yield f"<p>{kind}{text(fix.title)} <span class=soft>(risk: {fix.risk})</span></p>"
    for command in fix.commands:
        shown = "\n".join(text(line) for line in command.split("\n"))
        yield f"<pre>{shown}</pre>"
    for each in fix.unknown:
        yield f'<p class="soft">{text(each)}</p>'


def _drawn(verdict: Verdict) -> str:
    """The chain from what is seen down to the root, as boxes."""
    parts: list[str] = []
    top = 0
    for number, step in enumerate(verdict.chain):
        words = _folded(f"{step.because}" + (f" [{', '.join(step.evidence)}]" if step.evidence else ""))
        height = 34 + 19 * len(words)
        kind = ' class="root"' if number == len(verdict.chain) - 1 else ""
        rows = "".join(f'<text x="14" y="{top + 44 + 19 * i}">{text(line)}</text>' for i, line in enumerate(words))
        parts.append(
            f'<g{kind}><rect x="1" y="{top + 1}" width="698" height="{height}" rx="6"/>'
            f'<text x="14" y="{top + 23}" font-weight="bold">{_name(step.object)}</text>{rows}</g>'
        )
        if number < len(verdict.chain) - 1:
            parts.append(f'<path d="M350 {top + height + 1} v20 m-5 -6 l5 6 l5 -6"/>')
        top += height + 24
    return (
        f'<svg role="img" aria-label="the chain of causes" viewBox="0 0 700 {top}" width="100%">{"".join(parts)}</svg>'
    )


def _folded(words: str) -> list[str]:
    import textwrap

    return textwrap.wrap(clean(words), 92)[:5] or [""]


def _timeline(evidence: list[Evidence]) -> Iterator[str]:
    dated = sorted((each for each in evidence if each.at), key=lambda each: each.at or "")
    if not dated:
        return
    yield '<h2>When</h2><ol class="time">'
    for each in dated:
        moment = datetime.fromisoformat(each.at or "").strftime("%Y-%m-%d %H:%M:%S")
        yield f'<li><span class="soft">{moment}</span> {_name(each.object)}: {text(each.text)} [{each.id}]</li>'
    yield "</ol>"


def _evidence(evidence: list[Evidence]) -> Iterator[str]:
    if evidence:
        yield "<h2>Evidence</h2><table><tr><th></th><th>what was read</th></tr>"
        for each in evidence:
            yield f"<tr><td>{each.id}</td><td>{text(each.text)}<pre>{text(each.command)}</pre></td></tr>"
        yield "</table>"


def _table(heads: list[str], rows: list[list[str]]) -> str:
    if not heads:
        return ""
    top = "".join(f"<th>{text(each)}</th>" for each in heads)
    body = "".join("<tr>" + "".join(f"<td>{text(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"


def _name(each: ObjectRef | None) -> str:
    return f"{text(each.kind)}/{text(each.name)}" if each else ""


__all__ = ["html"]
