"""Random weights at the desk: whatever tokens come out of the real worker, the answer is whole and does no harm.

    python -m tests.models.chaos [--seeds 200] [--scenarios all] [--jobs 2]

Each seed is a model of its own; each scenario is told as recorded, with parts lost or with its mechanism taken away,
another way with each seed, so that the model has something to decide.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from kubectl_ai_intellect.gateway.llama.client import LlamaModel, LocalModel
from kubectl_ai_intellect.gateway.protocol import ModelError
from tests.models import random_weights
from tests.models.asking import ask_with
from tests.models.cases import Told, diagnosed
from tests.models.harm import harms
from tests.scenarios.recorded import Recording
from tests.scenarios.share import drawn

WAYS = (("as recorded", True), ("logs forbidden", False), ("events expired", False), ("neither", False))
CONTEXT = 2048
DISTURBANCES = {3: "cancel", 5: "kill"}
"""Of every seed's scenarios, the one during which the model is cancelled, and the one during which it is killed."""


@dataclass
class Tally:
    """What came of one seed's scenarios."""

    seed: int
    asked: int = 0
    decided: int = 0
    harms: list[str] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)


@cache
def _known() -> dict[str, Recording]:
    return {each.name: each for each in diagnosed()}


def told(seed: int, names: Sequence[str]) -> list[Told]:
    """The scenarios, each in the way that is this seed's for it."""
    known = _known()
    found: list[Told] = []
    for number, name in enumerate(names):
        change, unknown = WAYS[(seed + number) % len(WAYS)]
        unknown = unknown and known[name].expect["status"] == "root_cause"
        found.append(Told(known[name], change, unknown))
    return found


def run(seed: int, names: Sequence[str]) -> Tally:
    """One seed's model over these scenarios, cancelled once and killed once on the way."""
    tally = Tally(seed)
    with tempfile.TemporaryDirectory() as directory:
        path = random_weights.write(Path(directory) / "random.gguf", random_weights.READER, seed)
        store = Path(directory) / "prefixes"
        spec = LocalModel(f"random-{seed}", path, f"seed {seed}", CONTEXT, 1, store=store, timeout=120)
        model = LlamaModel(spec)
        for number, each in enumerate(told(seed, names)):
            disturbance = DISTURBANCES.get(number, "")
            one(model, each, disturbance, tally)
            if disturbance == "kill":
                model.close()
                model = LlamaModel(spec)
        model.close()
    return tally


@cache
def without_model(each: Told) -> dict[str, Any]:
    with each.staged() as case:
        return ask_with(None, case, each.recording.question)


def one(model: LlamaModel, each: Told, disturbance: str, tally: Tally) -> None:
    """One scenario; what a model may not do to its answer goes into the tally."""
    alone = without_model(each)
    with each.staged() as case:
        disturber = threading.Thread(target=_disturb, args=(model, disturbance), daemon=True)
        if disturbance:
            disturber.start()
        try:
            after = ask_with(model, case, each.recording.question)
        except (ModelError, ValueError, KeyError, AssertionError) as problem:
            tally.harms.append(f"seed {tally.seed}, {each.name}: no answer ({type(problem).__name__}: {problem})")
            return
        if disturbance:
            disturber.join()
    tally.asked += 1
    tally.decided += sum("weighs" in step["hypothesis"] for step in after["steps"])
    tally.outcomes[_outcome(alone, after)] += 1
    tally.harms += [f"seed {tally.seed}, {each.name}: {harm}" for harm in harms(alone, after)]


def _disturb(model: LlamaModel, how: str) -> None:
    """Cancel or kill in the midst of the first answer that the model writes."""
    deadline = time.monotonic() + 20
    while model._worker._asking < 0 and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.02)
    if how == "kill":
        os.kill(model.pid, signal.SIGKILL)
    else:
        model.cancel()


def _outcome(alone: dict[str, Any], after: dict[str, Any]) -> str:
    was, now = alone["verdict"], after["verdict"]
    if (was["status"], was["cause"], was["object"]) == (now["status"], now["cause"], now["object"]):
        return "the same verdict"
    return "a stated cause" if now["status"] == "root_cause" and now["cause"] is None else "another candidate"


def all_runs(seeds: Sequence[int], names: Sequence[str], jobs: int) -> list[Tally]:
    """Every seed over every scenario, in as many processes as asked for."""
    if jobs < 2:
        return [run(seed, names) for seed in seeds]
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(run, seeds, [names] * len(seeds)))


def some(count: int) -> list[str]:
    """As many scenarios, the same in every run; those with logs, in which most can be lost."""
    names = [each.name for each in diagnosed() if any(log.text for log in each.case.logs)]
    return sorted(drawn(names, count, "chaos"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--scenarios", default="all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    options = parser.parse_args()
    names = [each.name for each in diagnosed()] if options.scenarios == "all" else some(int(options.scenarios))
    began = time.monotonic()
    tallies = all_runs(range(options.first, options.first + options.seeds), names, options.jobs)
    outcomes = sum((each.outcomes for each in tallies), Counter())
    found = [harm for each in tallies for harm in each.harms]
    summary = {
        "seeds": len(tallies),
        "scenarios": len(names),
        "answers": sum(each.asked for each in tallies),
        "decisions": sum(each.decided for each in tallies),
        "outcomes": dict(outcomes),
        "harms": len(found),
        "seconds": round(time.monotonic() - began),
    }
    print(json.dumps(summary, indent=1))
    for harm in found[:50]:
        print(f"harm: {harm}", file=sys.stderr)
    raise SystemExit(1 if found else 0)


if __name__ == "__main__":
    main()
