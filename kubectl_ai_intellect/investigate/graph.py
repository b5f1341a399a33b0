"""The loop as a LangGraph graph: understand → read → hypothesise ⇄ probe → retrieve → analyse → conclude → explain.

With a model, analyse may lead back to probe. The verdict is told before the model explains it.

The graph's stream is the only feed of progress. Choosing between ambiguous targets is an interrupt of its own node, so
that asking and reading are never done twice.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from kubectl_ai_intellect.evidence.redact import redact
from kubectl_ai_intellect.investigate import engine
from kubectl_ai_intellect.investigate.answering import Answering
from kubectl_ai_intellect.investigate.desk import PROBES, Desk
from kubectl_ai_intellect.kube.refs import Ref, group_of
from kubectl_ai_intellect.report import Answer, Diagnosis, Report

for _name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
    os.environ.setdefault(_name, "1")

Choose = Callable[[list[str]], int | None]
Reveal = Callable[[Report], None]


class Work(TypedDict, total=False):
    """What a checkpoint holds: words and numbers, never objects."""

    question: str
    namespace: str
    target: list[str]
    answer: str
    candidates: list[list[str]]
    probes: int
    done: bool
    told: list[str]


@dataclass
class Loop:
    """The nodes, over one desk."""

    answering: Answering
    say: Callable[[str], None] = lambda text: None
    report: Report | None = None

    @property
    def desk(self) -> Desk:
        return self.answering.desk

    def understand(self, work: Work) -> Work:
        self.answering.understand()
        return {"told": [f"reading {self.answering.where()}"]}

    def read(self, work: Work) -> Work:
        start = time.monotonic()
        self.answering.read()
        if self.desk.state is None:  # declined: nothing had to be read
            return {"candidates": [], "done": True, "told": []}
        count = len(self.desk.known.all("Pod"))
        spent = int((time.monotonic() - start) * 1000)
        namespace = self.desk.scope.namespace
        scope = ["-n", namespace] if namespace else ["-A"]
        self.desk.note(
            "what is there",
            f"kubectl get pods,events,deployments,services {' '.join(scope)}",
            f"{count} pods read",
            spent,
        )
        candidates = [list(each) for each in self.answering.candidates]
        return {"candidates": candidates, "done": self.answering.table is not None, "told": [f"read {count} pods"]}

    def choose(self, work: Work) -> Work:
        """Ask which one is meant; without a terminal the worst is taken."""
        from langgraph.types import interrupt

        candidates = [Ref(*each) for each in work.get("candidates") or []]
        picked = interrupt({"candidates": [str(each) for each in candidates]})
        if isinstance(picked, int) and 0 <= picked < len(candidates):
            self.answering.aim(candidates[picked])
            return {"target": list(candidates[picked])}
        return {"target": []}

    def hypothesise(self, work: Work) -> Work:
        self.desk.think()
        return {"told": [self.desk.hypothesis()]}

    def probe(self, work: Work) -> Work:
        reads = self.answering.reads
        self.desk.probe(reads)
        return {"probes": work.get("probes", 0) + 1, "told": [f"{len(reads)} reads: {self.desk.hypothesis()}"]}

    def retrieve(self, work: Work) -> Work:
        if not self.answering.passages:
            self.answering.retrieve()
        thinker = self.answering.thinker
        return {
            "told": [f"asking {thinker.name}; Ctrl-C for the answer without it"]
            if thinker is not None and self.asks()
            else []
        }

    def asks(self) -> bool:
        """Whether there is a model, and something for it to decide."""
        thinker = self.answering.thinker
        if thinker is None or not thinker.asks:
            return False
        from kubectl_ai_intellect.investigate.modelled import undecided

        return undecided(self.answering)

    def analyse(self, work: Work) -> Work:
        """Let the model, if there is one, choose what the evidence leaves open, or what to read next."""
        if not self.asks():
            self.answering.reads = []
            return {"told": []}
        from kubectl_ai_intellect.investigate.modelled import consult

        self.answering.reads = consult(self.answering, PROBES - work.get("probes", 0))
        return {"told": [f"reading {read.kubectl()}" for read in self.answering.reads]}

    def explain(self, work: Work) -> Work:
        if self.report is not None and self.answering.thinker is not None:
            from kubectl_ai_intellect.investigate.modelled import explain

            self.report = explain(self.answering, self.report, self.say)
        return {"told": []}

    def conclude(self, work: Work) -> Work:
        self.report = self.answering.conclude()
        target = self.desk.scope.target or found_at(self.report)
        return {
            "done": True,
            "told": [],
            "namespace": self.desk.scope.namespace,
            "target": list(target) if target else [],
            "answer": answered(self.report),
        }

    def after_read(self, work: Work) -> str:
        if work.get("done"):
            return "conclude"
        return "choose" if len(work.get("candidates") or []) > 1 and self.answering.interactive else "hypothesise"

    def after_thought(self, work: Work) -> str:
        if work.get("probes", 0) >= PROBES or self.desk.out_of_time():
            return "retrieve"
        self.answering.reads = self.desk.next_reads()
        return "probe" if self.answering.reads else "retrieve"

    def after_analysis(self, work: Work) -> str:
        return "probe" if self.answering.reads else "conclude"


def found_at(report: Report) -> Ref | None:
    """The object of a verdict: what "it" means to a question that goes on."""
    at = report.verdict.object if isinstance(report, Diagnosis) else None
    return Ref(group_of(at.apiVersion), at.kind, at.namespace or "", at.name) if at is not None else None


def answered(report: Report) -> str:
    """A report in a line, for whoever asks on about it."""
    if isinstance(report, Diagnosis):
        verdict = report.verdict
        at = f" ({verdict.cause or verdict.status} at {verdict.object.short})" if verdict.object else ""
        return verdict.title + at
    return report.answer.text if isinstance(report, Answer) else ""


def build(loop: Loop, checkpointer: Any = None) -> Any:
    """The compiled graph."""
    engine.load()
    from langgraph.graph import END, START, StateGraph

    graph: Any = StateGraph(Work)
    for name in ("understand", "read", "choose", "hypothesise", "probe", "retrieve", "analyse", "conclude", "explain"):
        graph.add_node(name, getattr(loop, name))
    graph.add_edge(START, "understand")
    graph.add_edge("understand", "read")
    graph.add_conditional_edges("read", loop.after_read, ["choose", "hypothesise", "conclude"])
    graph.add_edge("choose", "hypothesise")
    graph.add_conditional_edges("hypothesise", loop.after_thought, ["probe", "retrieve"])
    graph.add_conditional_edges("probe", loop.after_thought, ["probe", "retrieve"])
    graph.add_edge("retrieve", "analyse")
    graph.add_conditional_edges("analyse", loop.after_analysis, ["probe", "conclude"])
    graph.add_edge("conclude", "explain")
    graph.add_edge("explain", END)
    return graph.compile(checkpointer=checkpointer)


def investigate(
    answering: Answering,
    *,
    thread: str,
    checkpointer: Any = None,
    progress: Callable[[str], None] = lambda text: None,
    choose: Choose = lambda options: None,
    resume: bool = False,
    reveal: Reveal = lambda report: None,
    say: Callable[[str], None] = lambda text: None,
) -> Report:
    """Run the loop to its end, telling progress from its stream and asking where it is interrupted.

    `reveal` is given the report as soon as it stands, `say` each sentence of the explanation that a model adds to it.
    `resume` takes up a thread that another process left waiting for a choice: what it had read is read anew.
    """
    loop = Loop(answering, say)
    graph = build(loop, checkpointer)
    config = {"configurable": {"thread_id": thread}, "recursion_limit": 60}
    inputs: Any = {
        "question": redact(answering.desk.question),
        "probes": 0,
        "namespace": answering.desk.scope.namespace,
    }
    if resume:
        from langgraph.types import Command

        answering.understand()
        answering.read()
        inputs = Command(resume=choose([str(each) for each in answering.candidates]))
    while True:
        options = None
        try:
            for name, update in _updates(graph, inputs, config, checkpointer is not None):
                if name == "__interrupt__":
                    options = update[0].value["candidates"]
                else:
                    _tell(loop, name, update or {}, progress, reveal)
        except KeyboardInterrupt:
            if loop.report is None or answering.thinker is None:
                raise
            from kubectl_ai_intellect.investigate.modelled import stopped

            return stopped(loop.report, answering.thinker)  # the answer is there: only its explanation was stopped
        except sqlite3.Error:
            if loop.report is None:  # only the keeping failed, never the answer
                return investigate(answering, thread=thread, progress=progress, choose=choose, reveal=reveal, say=say)
        if options is None:
            break
        from langgraph.types import Command

        inputs = Command(resume=choose(options))
    assert loop.report is not None, "the graph ends in a report"
    return loop.report


def _tell(loop: Loop, node: str, update: Mapping[str, Any], progress: Callable[[str], None], reveal: Reveal) -> None:
    """What a node has to say; the report itself, once it is concluded."""
    for text in update.get("told") or ():
        progress(text)
    if node == "conclude" and loop.report is not None:
        reveal(loop.report)
        if loop.answering.thinker is not None and loop.answering.thinker.explain:
            progress(f"asking {loop.answering.thinker.name} to explain")


def _updates(graph: Any, inputs: Any, config: Mapping[str, Any], durable: bool) -> Iterator[tuple[str, Any]]:
    options: dict[str, Any] = {"stream_mode": "updates"}
    if durable:
        options["durability"] = "exit"
    for update in graph.stream(inputs, config, **options):
        yield from update.items()


__all__ = ["Loop", "Work", "build", "investigate"]
