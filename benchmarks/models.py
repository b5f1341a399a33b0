"""What a model is worth: top-1 with none, with SmolLM2, with one that knows the answer and with those that mean harm.

    python -m benchmarks.models [--smollm COUNT] [--no-tokens] [--json FILE]

Over the recordings of all scenarios: as they are (nearly all is proved, and no model is asked to decide), with events or
logs or both lost, and with the mechanism that explains the scenario taken away, as for a cause that no catalogue knows.
A model is counted where it is asked; elsewhere the answer is the one without it. An adversary's row is the worst that any
of them makes of each scenario. SmolLM2 is asked of a share, since it takes seconds for each.

Tokens are counted with SmolLM2's vocabulary: of the first request, and of what each later step adds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kubectl_ai_intellect.gateway import machine
from kubectl_ai_intellect.gateway.llama.client import LlamaModel, LocalModel
from kubectl_ai_intellect.gateway.protocol import Model, Prompt
from tests.models.adversary import Inventor, Liar, Reader, WellCited, WrongCandidate
from tests.models.asking import ask_with
from tests.models.cases import CHANGES, Told, diagnosed
from tests.models.oracle import Oracle
from tests.models.smollm import smollm
from tests.scenarios.judge import _is as is_object

DECIDING = (WrongCandidate, WellCited, Inventor, Liar)
PEERS = (7163, 1986)
"""Tokens of the first request of the two best-known peers."""


@dataclass(frozen=True)
class Right:
    """How far one answer is right."""

    cause: bool  # and object; or, with nothing to find, that nothing is wrong
    object: bool
    claimed: bool

    def worst(self, other: Right) -> Right:
        return min(self, other, key=lambda each: (each.cause, each.object, not each.claimed))


@dataclass
class Row:
    """All scenarios, told one way, answered by one model."""

    told: str
    model: str
    scenarios: int = 0
    asked: int = 0
    cause: int = 0
    object: int = 0
    open: int = 0

    def add(self, right: Right, asked: bool) -> None:
        self.scenarios += 1
        self.asked += asked
        self.cause += right.cause
        self.object += right.object
        self.open += not right.claimed


def judged(told: Told, report: dict[str, Any]) -> Right:
    expect, verdict = told.recording.expect, report.get("verdict") or {}
    claimed = verdict.get("status") == "root_cause"
    if expect["status"] != "root_cause":
        right = verdict.get("status") == expect["status"]
        return Right(right, right, claimed)
    at = claimed and is_object(verdict.get("object"), expect["object"])
    return Right(at and verdict.get("cause") in told.causes, at, claimed)


def asked(told: Told, model: Model | None) -> dict[str, Any]:
    with told.staged() as case:
        return ask_with(model, case, told.recording.question, explain=False)


def truth(told: Told) -> str:
    """What is wrong, as the mechanism says it where it is known."""
    return ask_with(None, told.recording.case, told.recording.question, explain=False)["verdict"]["title"]


def rows(tellings: Sequence[Told], name: str, local: LlamaModel | None, most: int) -> list[Row]:
    """One way of telling all scenarios: a row for each model."""
    found = {each: Row(name, each) for each in ("none", "oracle", "adversary", "SmolLM2")}
    base = Row(name, "none, of those that SmolLM2 was asked")
    for told in tellings:
        alone = judged(told, asked(told, None))
        oracle = Oracle(told.recording.expect, truth(told) if told.unknown else "")
        best = judged(told, asked(told, oracle))
        called = bool(oracle.prompts)
        worst = alone
        for make in DECIDING if called else ():
            worst = worst.worst(judged(told, asked(told, make())))
        found["none"].add(alone, False)
        found["oracle"].add(best if called else alone, called)
        found["adversary"].add(worst, called)
        if local is not None and called and found["SmolLM2"].asked < most:
            found["SmolLM2"].add(judged(told, asked(told, local)), True)
            base.add(alone, False)
    return [*found.values(), base] if found["SmolLM2"].scenarios else list(found.values())[:3]


class Counting(Reader):
    """Reads on as long as it may, counted in a real model's tokens."""

    def __init__(self, count: Callable[[Prompt], int]):
        super().__init__()
        self._count = count

    def count(self, prompt: Prompt) -> int:
        return self._count(prompt)


def tokens(local: LlamaModel) -> dict[str, Any]:
    """Of first requests and of later steps, over everything that is undecided."""
    firsts: list[int] = []
    steps: list[int] = []
    prefix = 0
    for change in CHANGES:
        for recording in diagnosed():
            model = Counting(local.count)
            asked(Told(recording, change), model)
            firsts += [local.count(prompt) for prompt in model.prompts[:1]]
            for later in model.prompts[1:]:  # the model's own last answer is no part of what is new
                steps.append(local.count(later) - local.count(Prompt(later.prefix, later.turns[:-1])))
            prefix = local.count(Prompt(model.prompts[0].prefix)) if model.prompts else prefix
    return {"prefix": prefix, "first": _spread(firsts), "step": _spread(steps), "peers": PEERS}


def _spread(values: Sequence[int]) -> dict[str, float]:
    found = sorted(values)
    return {"count": len(found), "median": statistics.median(found), "p95": found[len(found) * 95 // 100],
            "most": found[-1]} if found else {}  # fmt: skip


def tellings() -> list[tuple[str, list[Told]]]:
    everything = diagnosed()
    known = [(change, [Told(each, change) for each in everything]) for change in CHANGES]
    roots = [Told(each, unknown=True) for each in everything if each.expect["status"] == "root_cause"]
    return [*known, ("cause unknown", roots)]


def printed(row: Row) -> str:
    return (f"| {row.told} | {row.model} | {row.scenarios} | {row.asked} | {row.cause} | {row.object} | {row.open} |")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smollm", type=int, default=0, help="scenarios of each kind that SmolLM2 is asked")
    parser.add_argument("--no-tokens", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as store:
        spec = LocalModel("SmolLM2-135M", smollm(), "smollm", 4096, machine.cores(), store=Path(store), timeout=900)
        local = LlamaModel(spec) if options.smollm or not options.no_tokens else None
        print(
            "| told | model | scenarios | asked | cause and object | object | none claimed |\n|---|---|---|---|---|---|---|"
        )
        found: list[Row] = []
        for name, each in tellings():
            found += rows(each, name, local if options.smollm else None, options.smollm)
            print("\n".join(printed(row) for row in found if row.told == name), flush=True)
        counted = tokens(local) if local is not None and not options.no_tokens else {}
        if local is not None:
            local.close()
    if counted:
        print(f"\ntokens of a request: {json.dumps(counted)}")
    if options.json:
        text = json.dumps({"rows": [asdict(row) for row in found], "tokens": counted}, indent=1)
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
