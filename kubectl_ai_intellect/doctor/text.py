"""The checks on a terminal: one line each; what is not well, with its price and its mend below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kubectl_ai_intellect.doctor.check import Check, Status
from kubectl_ai_intellect.render.terminal import DIM, Paper

COLORS: dict[Status, str] = {"ok": "32", "degraded": "33", "failed": "31"}


def lines(checks: Sequence[Check], paper: Paper) -> Iterator[str]:
    name = max((len(each.name) for each in checks), default=0)
    indent = " " * (name + 12)
    for each in checks:
        first = f"{each.name:<{name}}  {each.status:<10}"
        for number, line in enumerate(paper.wrapped(each.says, indent, first)):
            if number == 0:
                line = line.replace(each.status, paper.style(each.status, COLORS[each.status]), 1)
            yield line
        if each.costs:
            yield from (
                paper.style(line, DIM) for line in paper.wrapped(f"costs: {each.costs}", indent + "       ", indent)
            )
        if each.mend:
            yield from paper.wrapped(f"mend:  {each.mend}", indent + "       ", indent)
    yield ""
    counts = {state: sum(each.status == state for each in checks) for state in COLORS}
    yield ", ".join(f"{count} {state}" for state, count in counts.items() if count)


__all__ = ["lines"]
