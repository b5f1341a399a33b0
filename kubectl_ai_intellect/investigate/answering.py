"""One question from its words to its report: what the graph's nodes do, each a step that can be called alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from kubectl_ai_intellect import inform
from kubectl_ai_intellect.causes.base import Fact, role
from kubectl_ai_intellect.investigate.conclude import Ledger, healthy, inconclusive, named, said, unmatched, verdict_of
from kubectl_ai_intellect.investigate.connected import shares_a_word
from kubectl_ai_intellect.investigate.desk import Desk
from kubectl_ai_intellect.investigate.scope import Scope, selected, under_way
from kubectl_ai_intellect.kube.refs import KNOWN, Ref, ref
from kubectl_ai_intellect.kube.source import Read, get_of, list_of
from kubectl_ai_intellect.question import Asked, Pasted, Resolution, maker_of, resolve, understand
from kubectl_ai_intellect.report import After, Answer, Diagnosis, Passage, Report, Table, Usage, Verdict
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import containers
from kubectl_ai_intellect.state.relations import WORKLOADS, workload_of

if TYPE_CHECKING:
    from kubectl_ai_intellect.causes.assess import Root
    from kubectl_ai_intellect.investigate.sessions import Earlier
    from kubectl_ai_intellect.investigate.thinking.thinker import Thinker

WITHOUT_NAMESPACE = frozenset(each.kind for each in KNOWN.values() if not each.namespaced)


@dataclass
class Answering:
    """The question, its desk, and what was made of it so far."""

    desk: Desk
    context: str
    namespace: str
    interactive: bool = False
    whole: bool = False  # -A, or the words ask about all namespaces
    pasted: Pasted = field(default_factory=Pasted)  # what came through the pipe
    asked: Asked | None = None
    resolution: Resolution | None = None
    candidates: tuple[Ref, ...] = ()
    reads: list[Read] = field(default_factory=list[Read])
    table: Table | None = None
    passages: list[Passage] = field(default_factory=list[Passage])
    gone: str = ""  # the pod that was named and is no more
    thinker: Thinker | None = None  # a model, where one is to be asked
    without: str = ""  # why a model that was meant is not asked
    confirming: Callable[[Diagnosis], None] | None = None  # the user's own runbook has its say before the end
    earlier: Earlier | None = None  # the investigation that this one goes on from
    fallback: Ref | None = None  # what that one was about: meant where the words name nothing that is there

    # -- the nodes' work -----------------------------------------------------------------------------------------

    def understand(self) -> None:
        self.asked = understand(self.desk.question)
        self.desk.words = self.asked.names
        if self.pasted:
            self.asked = self._take_in(self.asked)
            self.desk.pasted = " ".join(self.pasted.lines)
        if self.earlier is not None:
            self.asked = self._go_on(self.asked)
        if self.asked.namespace:
            self.desk.scope = replace(self.desk.scope, namespace=self.asked.namespace, target=None)
        elif self.asked.everywhere and self.desk.scope.target is None:
            self.desk.scope = replace(self.desk.scope, namespace="")

    def _go_on(self, asked: Asked) -> Asked:
        """A question that goes on: "it" and "that pod" are what the last one was about, unless it names another."""
        before = self.fallback
        if asked.names or asked.namespace or asked.everywhere or before is None:
            return asked
        self.desk.scope = replace(self.desk.scope, target=before)
        if asked.intent == "information":
            return replace(asked, names=(before.name,), kind=asked.kind or before.kind)
        return replace(asked, intent="diagnosis", reason="") if asked.intent == "decline" else asked

    def _fall_back(self, before: Ref) -> None:
        self.table, self.candidates = None, ()
        self._must_exist(before)
        if self.table is None:
            self.aim(before)

    def compared(self) -> list[Fact]:
        """What tells the ill from the well, where a question goes on."""
        if self.earlier is None or self.desk.state is None:
            return []
        from kubectl_ai_intellect.investigate.comparing import differences

        return differences(self.desk.known, self.desk.scope.target)

    def _take_in(self, asked: Asked) -> Asked:
        """Let what was piped in say what the words leave out: the object, the namespace, that something is wrong."""
        said, scope = self.pasted, self.desk.scope
        intent = "diagnosis" if asked.intent == "decline" else asked.intent
        asked = replace(asked, intent=intent, reason="" if intent == "diagnosis" else asked.reason)
        if scope.target is not None or asked.names or not said.refs:
            return asked
        namespace = asked.namespace or said.namespace or None
        if not said.single:
            return replace(asked, namespace=namespace)
        first = said.refs[0]
        if not first.namespace and first.kind not in WITHOUT_NAMESPACE:
            first = first._replace(namespace=asked.namespace or scope.namespace)
        if first.kind not in ("Pod", "Namespace"):  # a pod may have been replaced, and is looked for by its name
            self.desk.scope = replace(scope, target=first, namespace=first.namespace or scope.namespace)
            return replace(asked, namespace=None)
        return replace(asked, namespace=namespace or first.name, names=said.names, kind=asked.kind or first.kind)

    def read(self) -> None:
        """Read the scope, and find in it what the words mean."""
        asked = self.asked
        assert asked is not None, "understand comes first"
        if asked.intent in ("decline", "action"):
            self.table = Table(status="declined", text=asked.reason)
            return
        named = bool(asked.names) and asked.intent == "diagnosis" and not self.desk.scope.everywhere
        self.desk.state = self.desk.reader.start(self.desk.scope, narrow=named and self.desk.scope.target is None)
        self._namespace_exists()
        if asked.intent == "information":
            self._inform(asked)
            return
        if self.desk.scope.target is None:
            self._resolve(asked)
            if self.desk.scope.target is None and self.fallback is not None and not asked.namespace:
                self._fall_back(self.fallback)
        else:
            self._must_exist(self.desk.scope.target)
        if self.table is None:
            self.table = nothing_picked(self.desk.known, self.desk.scope)

    def _namespace_exists(self) -> None:
        namespace = self.desk.scope.namespace
        if namespace and self.desk.known.absent(ref("Namespace", "", namespace)):
            known = self.desk.reader.more(self.desk.known, [list_of("Namespace")])
            near = close(namespace, [each.ref for each in known.all("Namespace")])
            text = f'namespace "{namespace}" does not exist' + _offer(near)
            self.table = Table(
                status="not_found", text=text, near=[named(each) for each in near], command="kubectl get namespaces"
            )

    def _inform(self, asked: Asked) -> None:
        namespace = self.desk.scope.namespace
        self.desk.state = self.desk.reader.more(self.desk.known, inform.needs(asked, namespace))
        self.desk.think()
        self.resolution = resolve(self.desk.known, asked, self.desk.symptoms)
        if self.resolution.namespace and self.resolution.namespace != namespace:
            namespace = self.resolution.namespace
            self.desk.scope = replace(self.desk.scope, namespace=namespace)
            state = self.desk.reader.start(self.desk.scope)
            self.desk.state = self.desk.reader.more(state, inform.needs(asked, namespace))
            self.desk.think()
        self.table = inform.answer(self.desk.known, asked, self.resolution, namespace)

    def _resolve(self, asked: Asked) -> None:
        if self.table is not None:
            return
        self.desk.think()
        about = self.desk.focus if self.desk.scope.selector else self.desk.symptoms
        found = self.resolution = resolve(self.desk.known, asked, about)
        self.gone = found.gone
        if found.namespace and found.namespace != self.desk.scope.namespace:
            self.desk.scope = replace(self.desk.scope, namespace=found.namespace)
            self.desk.state = self.desk.reader.start(self.desk.scope)
            self.desk.think()
            found = self.resolution = resolve(self.desk.known, asked, self.desk.symptoms)
        if found.target is not None:
            self.aim(found.target)
        elif found.candidates:
            self.candidates = found.candidates
            if not self.interactive:
                self.aim(found.candidates[0])
        elif not self.desk.known.all("Pod", self.desk.scope.namespace or None).complete and asked.names:
            self._widen(asked)
        elif found.absent:
            self._not_found(found)

    def _widen(self, asked: Asked) -> None:
        """One page did not hold what the words name: ask for it by name, and read the rest only if that fails."""
        namespace = self.desk.scope.namespace
        for name in asked.names[:2]:
            state = self.desk.reader.more(self.desk.known, [get_of(ref("Pod", namespace, name))])
            if state.find(ref("Pod", namespace, name)) is not None:
                self.desk.state = state
                self.aim(ref("Pod", namespace, name))
                return
        self.desk.state = self.desk.reader.start(self.desk.scope)
        self.desk.think()
        found = self.resolution = resolve(self.desk.known, asked, self.desk.symptoms)
        if found.target is not None:
            self.aim(found.target)
        elif found.absent and self.desk.known.all("Pod", namespace or None).complete:
            self._not_found(found)

    def _not_found(self, found: Resolution) -> None:
        near = list(found.near)
        if not near:
            wider = self.desk.reader.more(self.desk.known, [list_of("Deployment"), list_of("Pod", limit="500")])
            near = close(found.absent, [each.ref for kind in ("Deployment", "Pod") for each in wider.all(kind)])
        where = f" in namespace {self.desk.scope.namespace}" if self.desk.scope.namespace else ""
        self.table = Table(status="not_found", text=f'nothing named "{found.absent}" exists{where}' + _offer(near),
                           near=[named(each) for each in near], command=f"kubectl get all -n {self.desk.scope.namespace}")  # fmt: skip

    def _must_exist(self, target: Ref) -> None:
        maker = maker_of(self.desk.known, target.name) if target.kind == "Pod" else None
        if self.table is None and maker is not None and self.desk.known.absent(target):
            self.gone = target.name
            self.aim(maker)
        elif self.table is None and self.desk.known.absent(target):
            everything = [each.ref for each in self.desk.known.all(target.kind, group=target.group)]
            near = close(target.name, everything)
            lost = self.desk.known.events_named(target)
            said = f"; it is gone, its last event was {lost[0].reason}: {lost[0].message}" if lost else ""
            where = f" in namespace {target.namespace}" if target.namespace else ""
            self.table = Table(status="not_found", text=f"{target.short} does not exist{where}{said}" + _offer(near),
                               near=[named(each) for each in near], command=get_of(target).kubectl())  # fmt: skip

    def _lost(self) -> list[str]:
        """What cannot be known any more, where the pod that was named is gone."""
        target = self.desk.scope.target
        if not self.gone or target is None:
            return []
        last = self.desk.known.events_named(ref("Pod", self.desk.scope.namespace, self.gone))
        left = f"its last event was {last[0].reason}: {said(last[0].message)}" if last else "no event of it is left"
        return [
            f"pod {said(self.gone)} is gone, its logs and state with it; {left}. {target.short} made it and is looked at"
        ]

    def aim(self, target: Ref) -> None:
        """Take this object for what the question is about."""
        namespace = target.namespace or self.desk.scope.namespace
        self.desk.scope = replace(self.desk.scope, namespace=namespace, target=target)
        if target.kind in ("Node", "Namespace"):
            self.desk.state = self.desk.known.including(self.desk.reader.start(self.desk.scope).fetched.values())
        self.desk.think()

    def retrieve(self) -> None:
        """Ask the runbooks where symptoms stay open; a known cause finds its runbook by id."""
        assessment = self.desk.assessment
        if assessment is None or assessment.roots or not (assessment.open or self.desk.focus or self.pasted.lines):
            return
        from kubectl_ai_intellect import knowledge

        facts = [f"{each.kind} {each.note}" for each in assessment.open[:5]] + list(self.pasted.lines)
        hits = knowledge.search(" ".join([self.desk.question, *facts]), k=3)
        self.passages = [
            Passage(runbook=hit.runbook_id, section=hit.section, text=hit.passage, score=hit.score) for hit in hits
        ]

    def conclude(self) -> Report:
        usage = Usage(apiCalls=self.desk.reader.requests, apiBytes=self.desk.reader.size,
                      wallMs=int((time.monotonic() - self.desk.began) * 1000))  # fmt: skip
        if self.thinker is not None:
            from kubectl_ai_intellect.investigate import modelled

            usage = modelled.usage(usage, self.thinker)
        namespace = self.desk.scope.namespace or "all namespaces"
        if self.table is not None:
            return Answer(
                question=self.desk.question, context=self.context, namespace=namespace, answer=self.table, usage=usage
            )
        ledger = Ledger(self.desk.known, self.thinker.numbers if self.thinker else {})
        verdict, others = self.verdicts(ledger)
        if self.thinker is not None and verdict.status != "healthy":
            ledger.cite_all(self.thinker.board.facts.values())  # all that it was shown may be cited
        compared = [said(f"{fact.text} [{ledger.cite(fact)}]") for fact in self.compared()]
        ledger.entries.sort(key=lambda each: int(each.id[1:]))
        report = Diagnosis(
            question=self.desk.question,
            context=self.context,
            namespace=namespace,
            verdict=verdict,
            findings=others,
            evidence=ledger.entries,
            steps=self.desk.steps,
            passages=self.passages,
            usage=usage,
            after=After(question=self.earlier.question, answer=self.earlier.answer, differences=compared)
            if self.earlier
            else None,
        )
        if self.confirming is not None and verdict.status != "healthy":
            self.confirming(report)
        return report

    # -- verdicts ------------------------------------------------------------------------------------------------

    def missing(self) -> list[str]:
        told = [*self._lost(), *self.desk.reader.unread.values()]
        if self.desk.out_of_time():
            told.append("the time given with --timeout ran out: this is the best answer so far")
        if self.thinker is not None:
            told += [each for each in (self.thinker.failed, self.thinker.refused) if each]
        return [*told, self.without] if self.without else told

    def ranked(self, ledger: Ledger, roots: Sequence[Root], missing: Sequence[str] = ()) -> list[tuple[Verdict, Root]]:
        """The roots as verdicts, the worst first; what only names a symptom comes last."""
        told = [(verdict_of(self.desk.known, root, ledger, missing), root) for root in roots]
        return sorted(told, key=lambda each: (role(each[0].cause or "") == "symptom", not self._meant(each[1]),
                                              _rank(each[0]), -each[1].value))  # fmt: skip

    def _meant(self, root: Root) -> bool:
        """Whether the question has a word of a name in the root or in what suffers from it."""
        if self.asked is None or self.desk.scope.target is not None:
            return False
        names = {root.finding.object.name, *(symptom.at.name for symptom in root.explains)}
        return any(shares_a_word(name, self.asked.names) for name in names)

    def leader(self) -> Root | None:
        """The root that is the answer so far."""
        roots = self.desk.assessment.roots if self.desk.assessment else ()
        return roots[0] if len(roots) == 1 else next((root for _, root in self.ranked(Ledger(self.desk.known), roots)), None)  # fmt: skip

    def verdicts(self, ledger: Ledger) -> tuple[Verdict, list[Verdict]]:
        """The verdict on what was asked, and the other independent roots in scope."""
        assessment = self.desk.assessment
        assert assessment is not None, "think comes first"
        missing = self.missing()
        first, roots = None, list(assessment.roots)
        if self.thinker is not None:
            from kubectl_ai_intellect.investigate.modelled import ahead

            first, roots = ahead(self, ledger, missing)
        ranked = [verdict for verdict, _ in self.ranked(ledger, roots, missing)]
        ranked = ranked if first is None else [first, *ranked]
        if ranked:
            if self.desk.beside:
                words = f"{self.where()} itself shows nothing wrong; something that belongs to it does. "
                ranked[0] = ranked[0].model_copy(update={"explanation": words + ranked[0].explanation})
            others = ranked[1:] + self._elsewhere(ledger, ranked)
            return ranked[0], others[:20]
        if self.desk.focus:
            pending = [read.kubectl() for read in self.desk.next_reads()[:3]]
            return inconclusive(assessment, ledger, missing, pending), self._elsewhere(ledger, [])
        if self.desk.reader.blind:
            return inconclusive(assessment, ledger, missing, []), self._elsewhere(ledger, [])
        if self.pasted.lines:
            return unmatched(self.pasted.lines, self.where(), missing), self._elsewhere(ledger, [])
        coming = under_way(self.desk.known, self.desk.scope)
        return healthy(self.where(), missing, assessment.advice, coming), self._elsewhere(ledger, [])

    def _elsewhere(self, ledger: Ledger, told: Sequence[Verdict]) -> list[Verdict]:
        """Roots of trouble in the namespace that the question was not about, told apart from the answer."""
        scope = self.desk.scope
        if scope.target is None or not scope.namespace:
            return []
        from kubectl_ai_intellect.causes.assess import assess
        from kubectl_ai_intellect.causes.base import causes
        from kubectl_ai_intellect.investigate.scope import focus

        wider = focus(self.desk.known, self.desk.symptoms, Scope(scope.namespace))
        mine = set(self.desk.focus)
        found = assess(self.desk.known, self.desk.symptoms, causes(), [each for each in wider if each not in mine])
        have = {(each.cause, each.object.name if each.object else "") for each in told}
        return [
            verdict_of(self.desk.known, root, ledger)
            for root in found.roots[:5]
            if (root.finding.cause, root.finding.object.name) not in have
            and root.finding.strength in ("proved", "likely")
        ]

    def where(self) -> str:
        scope = self.desk.scope
        if scope.target is not None:
            return f"{scope.target.short}" + (f" of namespace {scope.namespace}" if scope.namespace else "")
        if scope.selector:
            return f"what {scope.selector} picks in {scope.namespace or 'all namespaces'}"
        return f"namespace {scope.namespace}" if scope.namespace else "the cluster"


def nothing_picked(state: State, scope: Scope) -> Table | None:
    """What -l or -c asks for and is not there; None where it is."""
    where = f"-n {scope.namespace}" if scope.namespace else "-A"
    inside = f"in namespace {scope.namespace}" if scope.namespace else "in the cluster"
    picked = selected(state, scope) if scope.selector else []
    if scope.selector and not picked and state.all("Pod", scope.namespace or None).complete:
        return Table(status="not_found", text=f"nothing {inside} has the labels {scope.selector}",
                     command=f"kubectl get pods {where} --show-labels")  # fmt: skip
    if scope.container:
        pods = [each for each in state.all("Pod", scope.namespace or None) if _is_of(state, each.ref, scope, picked)]
        names = list(dict.fromkeys(one.name for pod in pods for one in containers(pod)))
        if names and scope.container not in names:
            about = scope.target.short if scope.target else inside
            return Table(status="not_found", text=f'no container "{scope.container}" {about}; it has {", ".join(names[:9])}'
                         if scope.target else f'no pod {inside} has a container "{scope.container}"',
                         command=f"kubectl get pods {where} -o custom-columns=POD:.metadata.name,CONTAINERS:.spec.containers[*].name")  # fmt: skip
    return None


def _is_of(state: State, pod: Ref, scope: Scope, picked: Sequence[Ref]) -> bool:
    """Whether a pod is the target, the target's, or among those picked."""
    if scope.target is not None and (scope.target.kind == "Pod" or scope.target.kind in WORKLOADS):
        return pod == scope.target or workload_of(state, pod) == scope.target
    return not scope.selector or pod in picked


def _rank(verdict: Verdict) -> int:
    return ("critical", "high", "medium", "low").index(verdict.severity)


def close(name: str, refs: Sequence[Ref]) -> list[Ref]:
    """Objects whose names are near to one that does not exist."""
    import difflib

    names = difflib.get_close_matches(name, [each.name for each in refs], n=3, cutoff=0.6)
    inside = [each.name for each in refs if name in each.name or each.name in name]
    wanted = list(dict.fromkeys([*names, *inside]))[:3]
    return [next(each for each in refs if each.name == one) for one in wanted]


def _offer(near: Sequence[Ref]) -> str:
    if not near:
        return ""
    listed = ", ".join(f"{each.short} (namespace {each.namespace})" if each.namespace else each.name for each in near)
    return f"; did you mean {listed}?"


__all__ = ["Answering", "close"]
