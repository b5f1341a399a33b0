"""The desk of one investigation: what was asked, read and concluded so far. Lives beside the graph, not in it.

The graph's own state holds ids and numbers only, so that its checkpoints stay small; objects stay here.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from kubectl_ai_intellect.causes.assess import PROVED, Assessment, Root, assess, known, sources, wanted
from kubectl_ai_intellect.causes.base import Symptom, causes
from kubectl_ai_intellect.causes.symptoms import derive
from kubectl_ai_intellect.causes.symptoms.asked import hanging, missed, refusals_logged, refused, unmatched
from kubectl_ai_intellect.investigate.connected import connected
from kubectl_ai_intellect.investigate.further import further
from kubectl_ai_intellect.investigate.reading import Reader, neighbours_logs, quiet_logs
from kubectl_ai_intellect.investigate.scope import LATENT, Scope, focus, latent, resting
from kubectl_ai_intellect.kube.source import Read
from kubectl_ai_intellect.question.vocabulary import MISSED, TROUBLE, complains
from kubectl_ai_intellect.report import StepRecord
from kubectl_ai_intellect.state.graph import State

PROBES = 8
"""How many rounds of further reads an investigation may take."""
MADE_BY_OTHERS = (
    "config/secret-missing",
    "config/configmap-missing",
    "ingress/tls-secret-missing",
    "image/pull-secret-missing",
)
"""Causes whose missing object an operator often writes: then its custom resource says why it does not."""


@dataclass
class Desk:
    """Everything an investigation works on."""

    reader: Reader
    scope: Scope
    question: str
    deadline: float | None = None  # time.monotonic(), after which the best answer so far is given
    state: State | None = None
    symptoms: list[Symptom] = field(default_factory=list[Symptom])
    focus: list[Symptom] = field(default_factory=list[Symptom])
    assessment: Assessment | None = None
    asked: set[Read] = field(default_factory=set[Read])
    steps: list[StepRecord] = field(default_factory=list[StepRecord])
    looked_at_quiet: bool = False
    looked_around: bool = False
    looked_at_custom: bool = False
    looked_further: bool = False
    words: tuple[str, ...] = ()  # those of the question that may be part of a name
    pasted: str = ""  # the telling lines of what came through the pipe
    beside: bool = False  # the target shows nothing wrong, and what it hangs together with is looked at instead
    began: float = field(default_factory=time.monotonic)

    @property
    def known(self) -> State:
        assert self.state is not None, "nothing was read yet"
        return self.state

    def out_of_time(self) -> bool:
        return self.deadline is not None and time.monotonic() > self.deadline

    def think(self) -> None:
        """Derive symptoms and assess them with what is known now."""
        told = f"{self.question} {self.pasted} {refusals_logged(self.known)}"
        self.symptoms = derive(self.known)
        there = {(each.kind, each.at) for each in self.symptoms}
        asked = (
            *unmatched(self.known, self.question),
            *refused(self.known, told),
            *hanging(self.known, told),
            *(missed(self.known) if complains(self.question) else ()),
        )
        self.symptoms += [each for each in asked if (each.kind, each.at) not in there]
        if TROUBLE.search(self.question.lower()) is None:  # a log may grumble as long as nobody complains
            self.symptoms = [each for each in self.symptoms if each.kind != "log-failing"]
        self.focus = focus(self.known, self.symptoms, self.scope)
        self.beside = not self.focus and self._look_beside()
        self.assessment = assess(self.known, self.symptoms, causes(), self.focus)
        if not self.assessment.roots or self.scope.target is None:
            quiet = latent(self.symptoms, self.scope)
            second = assess(self.known, self.symptoms, causes(), quiet)
            enough = ("proved",) if self.assessment.roots else ("proved", "likely")
            have = {(root.finding.cause, root.finding.object) for root in self.assessment.roots}
            more = [root for root in second.roots if root.finding.strength in enough]
            more = [root for root in more if (root.finding.cause, root.finding.object) not in have]
            asleep = [root for root in more if self._asleep(root)]
            self.assessment = Assessment(
                (*self.assessment.roots, *(root for root in more if root not in asleep)),
                self.assessment.open,
                self.assessment.considered + second.considered,
                self.assessment.symptoms,
                (*self.assessment.advice, *second.advice, *(root.finding for root in asleep)),
            )

    def _look_beside(self) -> bool:
        """A target without symptoms: those of its kin and of what it calls; the latent ones only after all else."""
        if self.scope.target is None:
            self.focus = self._beneath() if self.looked_at_custom and complains(self.question) else []
            return False
        found = connected(self.known, self.symptoms, self.scope.target, self.words)
        loud = [each for each in found if each.kind not in LATENT]
        self.focus = loud or (found if self.looked_at_custom else [])
        if not self.focus and self.looked_at_custom and complains(self.question):
            # Somebody misses something, and what was named is well: then it is what else is wrong around it.
            self.focus = focus(self.known, self.symptoms, Scope(self.scope.namespace)) or self._beneath()
        return bool(self.focus)

    def _beneath(self) -> list[Symptom]:
        """What is wrong with the cluster under the scope: a component that is silent, a node that carries its pods."""
        hosts = {pod.spec.get("nodeName") for pod in self.known.all("Pod", self.scope.namespace or None)}
        return [
            each
            for each in self.symptoms
            if each.kind == "component-silent" or (each.kind == "node-not-ready" and each.at.name in hosts)
        ]

    def _asleep(self, root: Root) -> bool:
        """Whether it only rests, and nobody misses it: worth a word, and no fault."""
        rests = all(resting(self.known, symptom, self.scope) for symptom in root.explains)
        return rests and MISSED.search(self.question.lower()) is None

    def next_reads(self) -> list[Read]:
        """What would decide more: the reads of the mechanisms that are awake, then logs that nobody looked at."""
        near = self.focus or latent(self.symptoms, self.scope)
        if self.focus and self.scope.target is None:  # a log's word for being slow is decided by what is measured
            near = [*near, *(each for each in latent(self.symptoms, self.scope) if each.kind == "slow")]
        upstream = [step.symptom for root in (self.assessment.roots if self.assessment else ()) for step in root.chain]
        reads = wanted(self.known, dict.fromkeys([*near, *upstream]), causes())
        reads = [read for read in reads if read not in self.asked]
        if not reads and not self._proved():
            far = sources(self.known, self.symptoms, near)
            reads = [read for read in wanted(self.known, far, causes()) if read not in self.asked]
        # A whole scope may hold a second fault that only a log tells of; one object is decided once it is.
        if not reads and not self.looked_at_quiet and (self.scope.target is None or self.beside or not self._decided()):
            self.looked_at_quiet = True
            reads = [read for read in quiet_logs(self.known, self.scope) if read not in self.asked]
        if not reads and not self.looked_around and not self._decided():
            self.looked_around = True
            reads = [read for read in neighbours_logs(self.known, self.scope) if read not in self.asked]
        if not reads and not self.looked_further:
            self.looked_further = True
            unsaid = further(self.question, self.scope, not self._decided())
            reads = [read for read in unsaid if read not in self.asked and not known(self.known, read)]
        if not reads and not self.looked_at_custom and self.scope.namespace and self._custom_may_tell():
            self.looked_at_custom = True
            reads = [read for read in self.reader.custom(self.scope) if read not in self.asked]
            if not reads and self.scope.target is not None:
                self.think()  # now with what the target hangs together with
                return self.next_reads() if self.focus else []
        return reads

    def _custom_may_tell(self) -> bool:
        """Whether nothing is wrong so far, or something lacks what an operator may be about to make."""
        roots = self.assessment.roots if self.assessment else ()
        return any(root.finding.cause in MADE_BY_OTHERS for root in roots) or not (roots or self.focus)

    def _proved(self) -> bool:
        roots = self.assessment.roots if self.assessment else ()
        return bool(roots) and all(root.value >= PROVED for root in roots)

    def _decided(self) -> bool:
        return bool(self.assessment and any(root.value >= 6 for root in self.assessment.roots))

    def probe(self, reads: Sequence[Read]) -> None:
        """Read further, and note each kind of read as a step with the command that a person would type."""
        hypothesis = self.hypothesis()
        start = time.monotonic()
        before = len(self.symptoms)
        self.asked.update(reads)
        self.state = self.reader.more(self.known, reads)
        self.think()
        spent = int((time.monotonic() - start) * 1000)
        groups: dict[tuple[str, str], list[Read]] = {}
        for read in reads:
            groups.setdefault((read.what, read.of.kind), []).append(read)
        for group in groups.values():
            more = f" (and {len(group) - 1} like it)" if len(group) > 1 else ""
            outcome = self.hypothesis() + (
                f"; {len(self.symptoms) - before} new symptoms" if len(self.symptoms) > before else ""
            )
            self.note(hypothesis, group[0].kubectl() + more, outcome, spent)

    def note(self, hypothesis: str, command: str, finding: str, ms: int, tokens: int = 0) -> None:
        self.steps.append(StepRecord(n=len(self.steps) + 1, hypothesis=hypothesis, command=command, finding=finding,
                                     ms=ms, tokens=tokens))  # fmt: skip

    def hypothesis(self) -> str:
        """The leading hypothesis, in a few words."""
        if self.assessment is None:
            return "none yet"
        if self.assessment.roots:
            root = self.assessment.roots[0]
            return f"{root.finding.cause} at {root.finding.object.short} ({root.finding.strength})"
        return f"{len(self.focus)} symptoms unexplained" if self.focus else "nothing wrong so far"


__all__ = ["PROBES", "Desk"]
