"""What is done with a scenario while it stands: seen, asked about, recorded and asked again, healed.

Each staging is dear, so that all is done in one; what was wrong with each part is kept apart from the others.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from kubectl_ai_intellect.kube.case.model import Case, dumped, load, save
from tests.player import Player
from tests.player.recorded import world_of
from tests.scenarios.asking import Report, ask_case, ask_through_kubectl, root
from tests.scenarios.checks import checked
from tests.scenarios.cluster import Cluster, Kubectl
from tests.scenarios.judge import ails, apply_fix, judge, wait_healthy
from tests.scenarios.recording import asked, record
from tests.scenarios.runner import Settled

LARGEST = 300_000
"""Bytes that a case may take, gzipped."""
WRONG_MEND_S = 15
"""How long a wrong mend is given to prove that it heals after all."""

THROUGH_KUBECTL = (
    "healthy/shop",
    "image/not-found",
    "probe/readiness-wrong-port",
    "quota/memory-exceeded",
    "scheduling/node-selector-mismatch",
)
"""Asked with the installed command, in a process of its own; the others in this process, which is the same but cheap."""

WRONG_MENDS = {
    "probe/readiness-wrong-port": "kubectl rollout restart deployment/web -n {namespace}",
    "service/selector-mismatch": "kubectl delete pods --all -n {namespace} --grace-period=1",
    "image/not-found": "kubectl delete pods --all -n {namespace} --grace-period=1",
}
"""What people try first: none of it may pass for healing."""


@dataclass
class Outcome:
    """What was wrong, part by part; empty lists are what is hoped for, None was not tried."""

    seen: list[str] = field(default_factory=list[str])
    answer: list[str] = field(default_factory=list[str])
    recording: list[str] = field(default_factory=list[str])
    replay: list[str] = field(default_factory=list[str])
    checks: list[str] = field(default_factory=list[str])
    wrong_mend: list[str] | None = None
    healing: list[str] | None = None


def visit(settled: Settled) -> Outcome:
    """Everything, in one staging."""
    outcome = Outcome(settled.unseen(Kubectl(settled.cluster)))
    report: Report = {}
    read: Case | None = None

    def answer() -> list[str]:
        nonlocal report, read
        report, read = asked(settled)
        if settled.scenario.name in THROUGH_KUBECTL:
            report = ask_through_kubectl(settled.cluster, settled.namespace, settled.question)
        return judge(report, settled.expect)

    outcome.answer = told(answer)
    case = record(settled, read)
    outcome.recording = told(lambda: shown_again(settled, case))
    outcome.replay = told(lambda: answered_again(case, report))
    outcome.checks = told(lambda: checked(settled, report))
    if settled.expect.get("heals"):
        if settled.scenario.name in WRONG_MENDS:
            outcome.wrong_mend = told(lambda: tried_in_vain(settled))
        outcome.healing = told(lambda: healed(settled, report))
    return outcome


def told(part: Callable[[], list[str]]) -> list[str]:
    """What a part found wrong; where it broke down, that."""
    try:
        return part()
    except Exception as problem:
        return [f"{type(problem).__name__}: {problem}"]


def shown_again(settled: Settled, case: Case) -> list[str]:
    """Written, read and played to kubectl without the cluster, the recording shows what its asker saw of the fault."""
    who = settled.bound.asker
    hidden = settled.unseen(Kubectl(settled.cluster, who)) if who else []
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        file = directory / "case.json.gz"
        save(case, file)
        read = load(file)
        world, faults = world_of(read)
        with Player(world, directory, faults, settled.namespace) as player:
            shown = settled.unseen(Kubectl(Cluster(player.kubeconfig, settled.cluster.kubectl)))
        wrong = [each for each in shown if each not in hidden]
        if (size := file.stat().st_size) > LARGEST:
            wrong.append(f"the case takes {size} bytes")
        if dumped(read) != file.read_bytes():
            wrong.append("read and written again, the case has other bytes")
    return wrong


def answered_again(case: Case, report: Report) -> list[str]:
    """Asked of the recording, the question has the same answer as on the cluster."""
    live, again = root(report), root(ask_case(case))
    return [] if live == again else [f"on the cluster {live}, from the recording {again}"]


def tried_in_vain(settled: Settled) -> list[str]:
    """Empty where the wrong mend healed nothing."""
    command = WRONG_MENDS[settled.scenario.name].replace("{namespace}", settled.namespace)
    apply_fix(settled.cluster, {"verdict": {"fix": [{"kind": "mend", "commands": [command]}]}})
    return [] if wait_healthy(settled, WRONG_MEND_S) else [f"{command} passes for healing"]


def healed(settled: Settled, report: Report) -> list[str]:
    """The printed fix, run as printed, makes it well, and nothing was well before."""
    if not ails(settled):
        return ["nothing ails it before its mend"]
    apply_fix(settled.cluster, report, settled.expect.get("fill"))
    return wait_healthy(settled)


__all__ = ["THROUGH_KUBECTL", "WRONG_MENDS", "Outcome", "visit"]
