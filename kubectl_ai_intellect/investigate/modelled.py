"""Where a model joins an investigation: what it is shown of the desk, and what becomes of its conclusion.

Loaded only where there is a model. The deterministic answer stands before a model is asked, and stands if it fails.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from kubectl_ai_intellect.causes.assess import Root
from kubectl_ai_intellect.causes.base import Finding, role
from kubectl_ai_intellect.investigate.conclude import Ledger, verdict_of
from kubectl_ai_intellect.investigate.thinking.concluding import as_stated, concluded, live_findings
from kubectl_ai_intellect.investigate.thinking.telling import explain as tell
from kubectl_ai_intellect.investigate.thinking.thinker import STOPPED, Picked, Stated, Thinker
from kubectl_ai_intellect.investigate.thinking.turns import View
from kubectl_ai_intellect.kube.source import Read
from kubectl_ai_intellect.report import Diagnosis, Report, Usage, Verdict

if TYPE_CHECKING:
    from kubectl_ai_intellect.investigate.answering import Answering


def undecided(answering: Answering) -> bool:
    """Whether there is anything for a model to decide: something is wrong, and nothing proves what."""
    desk = answering.desk
    if answering.table is not None or desk.assessment is None or desk.out_of_time():
        return False
    if not desk.assessment.roots:
        return bool(desk.focus)
    leader = answering.leader()
    return leader is not None and (leader.finding.strength != "proved" or role(leader.finding.cause) == "symptom")


def consult(answering: Answering, probes_left: int) -> list[Read]:
    """One decision of the model's: what it wants read, or nothing more."""
    thinker, desk = answering.thinker, answering.desk
    assert desk.assessment is not None, "the model joins after the first thought"
    assert thinker is not None, "and only where there is one"
    leader = answering.leader()
    live = live_findings(desk.assessment)
    if leader is not None:  # the surest first
        live.sort(key=lambda each: (each.cause, each.object) != (leader.finding.cause, leader.finding.object))
    view = View(
        state=desk.known,
        question=desk.question,
        target=desk.scope.target,
        leader=_rival(leader),
        live=live,
        proved=[root.finding for root in desk.assessment.roots if root.finding.strength == "proved"],
        open=desk.assessment.open,
        symptoms=desk.focus,
        probes_left=probes_left,
        passages=answering.passages,
        earlier=answering.earlier,
        compared=answering.compared(),
    )
    return thinker.consult(view)


def _rival(leader: Root | None) -> Finding | None:
    """What a model's choice must be better than; a mere symptom told as a cause is no rival."""
    return None if leader is None or role(leader.finding.cause) == "symptom" else leader.finding


def ahead(answering: Answering, ledger: Ledger, missing: Sequence[str]) -> tuple[Verdict | None, list[Root]]:
    """The verdict that the model's conclusion makes, and the roots that stand beside it."""
    assessment, thinker = answering.desk.assessment, answering.thinker
    assert assessment is not None, "the model joins after the first thought"
    assert thinker is not None, "and only where there is one"
    conclusion = thinker.conclusion
    if conclusion is None:
        return None, list(assessment.roots)
    first, others = concluded(answering.desk.known, assessment, answering.desk.focus, conclusion)
    if first is None:
        return None, others
    for name in conclusion.cites if isinstance(conclusion, Picked) else ():
        ledger.cite(thinker.board.facts[name])
    verdict = verdict_of(answering.desk.known, first, ledger, missing)
    return (as_stated(verdict, thinker.name) if isinstance(conclusion, Stated) else verdict), others


def explain(answering: Answering, report: Report, say: Callable[[str], None]) -> Report:
    """The report with the model's explanation, where one was asked for and holds."""
    thinker = answering.thinker
    if thinker is None or not isinstance(report, Diagnosis):
        return report
    failed = thinker.failed
    text = tell(thinker, report, answering.desk.known, say) if thinker.explain else ""
    verdict = report.verdict.model_copy(update={"explanation": text}) if text else report.verdict
    if thinker.failed and not failed:
        verdict = verdict.model_copy(update={"missing": [*verdict.missing, thinker.failed]})
    return report.model_copy(update={"verdict": verdict, "usage": usage(report.usage, thinker)})


def stopped(report: Report, thinker: Thinker) -> Report:
    """The report that was there when somebody had waited long enough for the model."""
    thinker.model.cancel()
    if not isinstance(report, Diagnosis) or thinker.failed in report.verdict.missing:
        return report
    thinker.failed = thinker.failed or STOPPED
    verdict = report.verdict.model_copy(update={"missing": [*report.verdict.missing, thinker.failed]})
    return report.model_copy(update={"verdict": verdict, "usage": usage(report.usage, thinker)})


def usage(counted: Usage, thinker: Thinker) -> Usage:
    spent = thinker.spent
    return counted.model_copy(
        update={
            "model": thinker.name,
            "promptTokens": spent.prompt_tokens,
            "cachedTokens": spent.cached_tokens,
            "completionTokens": spent.completion_tokens,
            "costUSD": round(spent.cost_usd or 0.0, 6),
        }
    )


__all__ = ["ahead", "consult", "explain", "stopped", "undecided", "usage"]
