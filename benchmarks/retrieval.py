"""How well the runbooks are found, how fast, and at what cost.

    python benchmarks/retrieval.py             the open half of the queries (for tuning)
    python benchmarks/retrieval.py --heldout   the held-out half (for the last run only)
    python benchmarks/retrieval.py --fit       the gate's weights, fitted on the open half
    python benchmarks/retrieval.py --cost      times, sizes and memory too; --documents N for a large corpus
    python benchmarks/retrieval.py --embedder lexical|sentence-transformers|FILE.gguf

The queries are in tests/knowledge/queries.yaml. Everything is built in a directory of its own. Beside wall time
stands processor time, which is what counts where other work shares the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from kubectl_ai_intellect.knowledge import building, library
from kubectl_ai_intellect.knowledge.embedders import choose
from kubectl_ai_intellect.knowledge.retrieval import Ranking, Searcher, open_searcher

QUERIES = Path(__file__).parents[1] / "tests" / "knowledge" / "queries.yaml"


class Query(NamedTuple):
    text: str
    accept: frozenset[str]
    kind: str


class Outcome(NamedTuple):
    query: Query
    ranking: Ranking

    @property
    def features(self) -> tuple[float, float]:
        return self.ranking.nearness, self.ranking.coverage


def queries(heldout: bool | None) -> tuple[list[Query], list[Query]]:
    """On-topic and off-topic queries of a half, or all."""
    raw = yaml.safe_load(QUERIES.read_text())
    chosen = [[row for row in raw[key] if heldout in (None, row["heldout"])] for key in ("on_topic", "off_topic")]
    on = [Query(row["text"], frozenset(row["accept"]), row["kind"]) for row in chosen[0]]
    off = [Query(row["text"], frozenset(), "off") for row in chosen[1]]
    return on, off


def run(searcher: Searcher, batch: list[Query]) -> list[Outcome]:
    return [Outcome(query, searcher.rank(query.text)) for query in batch]


def recall(searcher: Searcher, outcomes: list[Outcome], ranked: str, k: int) -> float:
    ids = [record.id for record in searcher.index.records]
    hits = [
        any(ids[document] in outcome.query.accept for document in getattr(outcome.ranking, ranked)[:k])
        for outcome in outcomes
    ]
    return statistics.fmean(hits) if hits else 0.0


def quality(searcher: Searcher, heldout: bool | None, misses: bool) -> dict[str, Any]:
    on, off = (run(searcher, batch) for batch in queries(heldout))
    known = {record.id for record in searcher.index.records}
    result: dict[str, Any] = {
        "queries": {"on_topic": len(on), "off_topic": len(off)},
        "queries_whose_runbooks_do_not_exist": sum(not (outcome.query.accept & known) for outcome in on),
    }
    for name, ranked in (("bm25", "lexical"), ("dense", "dense"), ("fused", "fused")):
        result[name] = {f"recall@{k}": round(recall(searcher, on, ranked, k), 4) for k in (1, 3)}
    for kind in ("typed", "event", "log"):
        some = [outcome for outcome in on if outcome.query.kind == kind]
        result[f"fused_{kind}"] = {f"recall@{k}": round(recall(searcher, some, "fused", k), 4) for k in (1, 3)}
    opened = statistics.fmean(outcome.ranking.open for outcome in on)
    shut = statistics.fmean(not outcome.ranking.open for outcome in off)
    result["gate"] = {"open_on_topic": round(opened, 4), "shut_off_topic": round(shut, 4)}
    if misses:
        print_misses(searcher, on, off)
    return result


def print_misses(searcher: Searcher, on: list[Outcome], off: list[Outcome]) -> None:
    ids = [record.id for record in searcher.index.records]
    for outcome in on:
        first = [ids[document] for document in outcome.ranking.fused[:3]]
        if not set(first) & outcome.query.accept:
            print("MISS", sorted(outcome.query.accept), "got", first, "|", outcome.query.text[:110])
        if not outcome.ranking.open:
            print("SHUT", [round(value, 2) for value in outcome.features], outcome.query.text[:110])
    for outcome in off:
        if outcome.ranking.open:
            first = ids[outcome.ranking.fused[0]]
            print("OPEN", [round(value, 2) for value in outcome.features], first, "|", outcome.query.text)


def fit(searcher: Searcher) -> dict[str, Any]:
    """Logistic regression by Newton's method on the open half, both classes weighted alike, then the bias."""
    on, off = (run(searcher, batch) for batch in queries(heldout=False))
    features = np.array([outcome.features for outcome in (*on, *off)])
    rows = np.column_stack([np.ones(len(features)), features])
    truth = np.array([1.0] * len(on) + [0.0] * len(off))
    weight = np.where(truth == 1, 0.5 / len(on), 0.5 / len(off)) * len(truth)
    beta = np.zeros(3)
    for _ in range(50):
        p = 1 / (1 + np.exp(-rows @ beta))
        hessian = (rows * (weight * p * (1 - p))[:, None]).T @ rows + 1e-2 * np.eye(3)
        beta += np.linalg.solve(hessian, rows.T @ (weight * (truth - p)) - 1e-2 * beta)
    levels = rows @ beta
    # The bias with the best worst case between the two aims (open on topic, shut off topic).
    cuts = np.sort(levels)
    score = [min(np.mean(levels[truth == 1] > c) / 0.95, np.mean(levels[truth == 0] <= c) / 0.9) for c in cuts]
    best = [cut for cut, value in zip(cuts, score, strict=True) if value >= max(score) - 1e-9]
    bias = beta[0] - float(np.median(best))
    return {"bias": round(bias, 3), "nearness": round(beta[1], 3), "coverage": round(beta[2], 3)}


def cost(wish: str, documents: int) -> dict[str, Any]:
    """Times of queries in a warm and in a fresh process, of building, and what it takes."""
    searcher = open_searcher(wish, full=True)
    on, _ = queries(None)
    times: list[float] = []
    before = time.process_time()
    for query in on[:150]:
        start = time.perf_counter()
        searcher.search(query.text)
        times.append(1000 * (time.perf_counter() - start))
    directory = searcher.index.directory
    return {
        "warm_ms": {
            "median": round(statistics.median(times), 1),
            "p95": round(sorted(times)[-8], 1),
            "cpu": round(1000 * (time.process_time() - before) / len(times), 1),
        },
        "cold_s": cold(wish),
        "index_MB": round(sum(path.stat().st_size for path in directory.iterdir()) / 1e6, 2),
        "passages": len(searcher.index.owners),
        "build": [build(wish, size) for size in (200, documents) if size],
    }


COLD = r"""
import re, sys, time
start, cpu = time.perf_counter(), time.process_time()
from kubectl_ai_intellect import knowledge
hits = knowledge.search("why is my pod OOMKilled", embedder=sys.argv[1])
spent = time.perf_counter() - start
cpu = time.process_time() - cpu
peak = re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read()).group(1)  # ru_maxrss is the parent's
print(spent, cpu, int(peak) / 1024, len(hits))
"""


def cold(wish: str) -> dict[str, Any]:
    """A first query in a new process, the interpreter's start apart, with compiled modules as after any install."""
    runs: list[tuple[float, float, float]] = []
    with tempfile.TemporaryDirectory() as compiled:
        settings = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        settings["PYTHONPYCACHEPREFIX"] = compiled
        for _ in range(8):
            command = [sys.executable, "-c", COLD, wish]
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=settings)
            assert not done.stderr, done.stderr
            spent, cpu, memory, hits = done.stdout.split()
            assert int(hits), "the cold query found nothing"
            runs.append((float(spent), float(cpu), float(memory)))
    runs = runs[1:]  # the first one compiles
    return {
        "median": round(statistics.median(run[0] for run in runs), 3),
        "best": round(min(run[0] for run in runs), 3),
        "cpu": round(statistics.median(run[1] for run in runs), 3),
        "memory_MiB": round(statistics.median(run[2] for run in runs)),
    }


def build(wish: str, size: int) -> dict[str, Any]:
    """Index a corpus of so many Markdown notes of the user's, about 120 words each, beside nothing else."""
    words = sorted({word for query in queries(None)[0] for word in query.text.split() if word.isalpha()})
    chance = random.Random(size)
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(size):
            text = " ".join(chance.choices(words, k=120))
            (Path(scratch) / f"note-{number}.md").write_text(f"# Note {number}\n\n{text}\n")
        home = Path(scratch) / ".home"
        before = os.environ["XDG_DATA_HOME"]
        os.environ["XDG_DATA_HOME"] = str(home)
        shipped, ready = library.shipped_sources, library.shipped_index
        library.shipped_sources = tuple  # type: ignore[assignment]
        library.shipped_index = lambda: Path(scratch) / "none"  # type: ignore[assignment]
        try:
            return _timed_build(wish, Path(scratch), size)
        finally:
            library.shipped_sources, library.shipped_index = shipped, ready
            os.environ["XDG_DATA_HOME"] = before


def _timed_build(wish: str, home: Path, size: int) -> dict[str, Any]:
    library.add(home)
    embedder, note = choose(wish)
    start, before = time.perf_counter(), time.process_time()
    index, report = building.update(embedder)
    built, used = time.perf_counter() - start, time.process_time() - before
    (home / "one-more.md").write_text("# One more\n\nThe pager goes to the storage team.\n")
    start = time.perf_counter()
    index, more = building.update(embedder)
    added = time.perf_counter() - start
    searcher = Searcher(index, embedder, note)
    times: list[float] = []
    for query in queries(None)[0][:50]:
        start = time.perf_counter()
        searcher.search(query.text)
        times.append(1000 * (time.perf_counter() - start))
    return {
        "documents": report.embedded,
        "passages": len(index.owners),
        "build_s": round(built, 2),
        "build_cpu_s": round(used, 2),
        "one_more_s": round(added, 2),
        "one_more_embedded": more.embedded,
        "index_MB": round(sum(path.stat().st_size for path in index.directory.iterdir()) / 1e6, 2),
        "warm_ms": round(statistics.median(times), 1),
        "peak_MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the search of runbooks.")
    parser.add_argument("--embedder", default="")
    parser.add_argument("--heldout", action="store_true", help="the half that is kept for the last run")
    parser.add_argument("--fit", action="store_true", help="fit the gate on the open half")
    parser.add_argument("--misses", action="store_true", help="print what was missed (open half only)")
    parser.add_argument("--home", help="keep the index in this directory from run to run")
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--documents", type=int, default=0, help="size of the large corpus for --cost")
    options = parser.parse_args()
    if options.heldout and options.misses:
        parser.error("the held-out half is not looked into")
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["XDG_DATA_HOME"] = options.home or scratch
        searcher = open_searcher(options.embedder, full=True)
        result: dict[str, Any] = {"embedder": searcher.embedder.name, "note": searcher.note}
        result["half"] = "heldout" if options.heldout else "open"
        result |= quality(searcher, options.heldout, options.misses)
        if options.fit:
            result["fit"] = fit(searcher)
        if options.cost:
            result["cost"] = cost(options.embedder, options.documents)
        print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
