"""What the local model costs: prompt tokens, prefix tokens read again, and our overhead over bare llama.cpp.

    python -m benchmarks.model [--shapes 0.6b,4b] [--runs 3] [--question] [--json FILE]

The models have random weights and real shapes (Qwen3-0.6B and Qwen3-4B), quantised to Q4_K_M by llama.cpp's own
quantiser: speed does not depend on what the weights say. They are made on first use and kept in the cache
(0.5 and 2.6 GB). Ours and bare llama.cpp take turns, and the best of each counts, since other work disturbs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from kubectl_ai_intellect.gateway import machine
from kubectl_ai_intellect.gateway.grammar import Fields, Grammar, Items, OneOf, Text, Whole
from kubectl_ai_intellect.gateway.llama.client import LlamaModel, LocalModel
from kubectl_ai_intellect.gateway.protocol import Part, Prompt

CONTEXT = 4096
WRITTEN = 96
CACHE = Path(os.environ.get("KUBECTL_INTELLECT_TEST_CACHE", Path.home() / ".cache" / "kubectl-intellect"))
STEP = Grammar(
    "step",
    Fields(
        (
            ("candidates", Items(OneOf(tuple(f"C{n}" for n in range(1, 10))), 3, 1)),
            ("probe", Whole(0, 9)),
            ("cites", Items(Whole(1, 30), 4)),
            ("because", Text(240)),
        )
    ),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison: the same tokens read and written by us and by llama.cpp alone."""

    case: str
    read: int
    written: int
    ours: float
    bare: float
    ours_cpu: float
    bare_cpu: float

    @property
    def ratio(self) -> float:
        return self.ours / self.bare

    @property
    def cpu_ratio(self) -> float:
        """Of processor time, the worker's and ours: what other work on the machine disturbs less."""
        return self.ours_cpu / self.bare_cpu


def prompt(facts: int = 8) -> Prompt:
    """About what one question sends: rules, candidates, facts."""
    rules = "".join(
        f"Rule {n}: cite the numbers of facts, conclude only what they show, ask for one probe at a time.\n"
        for n in range(8)
    )
    lines = "".join(
        f"E{n} Pod shop/cart-{n}: container app waiting, CrashLoopBackOff, restarts {n}, exit code 1.\n"
        for n in range(1, facts)
    )
    return Prompt(rules).ask("Question: why is cart failing?", Part(lines, evidence=True))


def model_file(name: str, words: bool = False) -> Path:
    """The random model of a real one's shape, made if it is not there yet; with words it reads prompts as a real one."""
    from tests.models import random_weights

    shape = {"0.6b": random_weights.QWEN3_06B, "4b": random_weights.QWEN3_4B, "small": random_weights.SMALL}[name]
    if words:
        shape = replace(shape, words=random_weights.READER.words)
    return random_weights.kept(CACHE / "models" / "random", f"qwen3-{name}" + "-words" * words, shape, "Q4_K_M")


def spec(path: Path, store: Path | None = None) -> LocalModel:
    return LocalModel(path.stem, path, path.name, CONTEXT, machine.cores(), store=store, timeout=1800)


def processor_seconds(pid: int) -> float:
    """What a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ours(path: Path, grammar: Grammar | None) -> tuple[float, float, dict[str, Any]]:
    """Seconds and processor seconds from the question to the last token, model loaded, nothing read yet."""
    model = LlamaModel(spec(path))
    try:
        model.complete(Prompt("Warm up."), None, 4)
        began, used = time.perf_counter(), processor_seconds(model.pid) + time.process_time()
        model.complete(prompt(), grammar, WRITTEN)
        seconds = time.perf_counter() - began
        return seconds, processor_seconds(model.pid) + time.process_time() - used, model.evaluated[-1]
    finally:
        model.close()


BARE = """
import ctypes, json, sys, time
import llama_cpp.llama_cpp as lib
from kubectl_ai_intellect.native import load_cpu_code
path, context, threads, read, written, batch = sys.argv[1], *map(int, sys.argv[2:])
silent = lib.llama_log_callback(lambda *_: None)
lib.llama_log_set(silent, ctypes.c_void_p(0))
load_cpu_code()
lib.llama_backend_init()
model = lib.llama_model_load_from_file(path.encode(), lib.llama_model_default_params())
params = lib.llama_context_default_params()
params.n_ctx, params.n_batch, params.n_ubatch = context, batch, batch
params.n_threads = params.n_threads_batch = threads
ctx = lib.llama_init_from_model(model, params)
sampler = lib.llama_sampler_init_greedy()

def decode(tokens):
    array = (ctypes.c_int32 * len(tokens))(*tokens)
    assert lib.llama_decode(ctx, lib.llama_batch_get_one(array, len(tokens))) == 0

def run(read, written):
    lib.llama_memory_clear(lib.llama_get_memory(ctx), True)
    tokens = [97 + n % 26 for n in range(read)]
    began, used = time.perf_counter(), time.process_time()
    for start in range(0, read, batch):
        decode(tokens[start : start + batch])
    for _ in range(written):
        decode([lib.llama_sampler_sample(sampler, ctx, -1)])
    return time.perf_counter() - began, time.process_time() - used

run(4, 4)
print(json.dumps(run(read, written)))
"""


def bare(path: Path, read: int, written: int) -> tuple[float, float]:
    """The same work in a process with nothing in it but the binding's C functions."""
    argv = [str(path), *map(str, (CONTEXT, machine.cores(), read, written, 256))]
    environment = {**os.environ, "GOMP_SPINCOUNT": "1000", "GGML_NO_BACKTRACE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", BARE, *argv], check=True, capture_output=True, text=True, env=environment
    )
    seconds, processor = json.loads(done.stdout)
    return seconds, processor


def compared(case: str, path: Path, grammar: Grammar | None, runs: int) -> Row:
    mine: list[tuple[float, float]] = []
    theirs: list[tuple[float, float]] = []
    cost: dict[str, Any] = {}
    for _ in range(runs):
        seconds, processor, cost = ours(path, grammar)
        mine.append((seconds, processor))
        theirs.append(bare(path, cost["evaluated"], cost["written"]))
    best = [min(values) for pairs in (mine, theirs) for values in zip(*pairs, strict=True)]
    return Row(case, cost["evaluated"], cost["written"], best[0], best[2], best[1], best[3])


def question(path: Path, runs: int) -> Row:
    """A whole question of an undecided scenario, the cluster's reads and our reasoning included, next to llama.cpp alone."""
    from tests.models.asking import ask_with
    from tests.models.cases import CHANGES
    from tests.scenarios.recorded import recordings

    recording = next(each for each in recordings() if each.name == "app/auth-failed")
    case = CHANGES["logs forbidden"](recording.case)
    mine: list[tuple[float, float]] = []
    theirs: list[tuple[float, float]] = []
    read = written = 0
    ask_with(None, case, recording.question)  # what is imported once is no part of a question
    for _ in range(runs):
        model = LlamaModel(spec(path))
        model.complete(Prompt("Warm up."), None, 4)
        began, used = time.perf_counter(), processor_seconds(model.pid) + time.process_time()
        ask_with(model, case, recording.question)
        seconds = time.perf_counter() - began
        mine.append((seconds, processor_seconds(model.pid) + time.process_time() - used))
        read = sum(each["evaluated"] for each in model.evaluated[1:])
        written = sum(each.get("written", 0) for each in model.evaluated[1:])
        model.close()
        theirs.append(bare(path, read, written))
    best = [min(values) for pairs in (mine, theirs) for values in zip(*pairs, strict=True)]
    return Row("a question", read, written, best[0], best[2], best[1], best[3])


def prefixes(path: Path) -> dict[str, int]:
    """What a second process evaluates of a prompt whose prefix the first one left on disk."""
    with tempfile.TemporaryDirectory() as store:
        for _ in range(2):
            model = LlamaModel(spec(path, Path(store)))
            model.complete(prompt(), STEP, 8)
            cost = model.evaluated[-1]
            model.close()
    return {
        "prompt": cost["prompt"],
        "prefix": cost["prefix"],
        "prefix_restored": cost["restored"],
        "prefix_evaluated": cost["evaluated"] - (cost["prompt"] - cost["prefix"]),
    }


def show(name: str, case: str, row: Row) -> None:
    counts = f"{row.read} | {row.written} | {row.ours:.2f} | {row.bare:.2f}"
    print(f"| {name} | {case} | {counts} | {row.ratio:.2f} | {row.cpu_ratio:.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", default="0.6b,4b")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--question", action="store_true", help="whole questions too, with models made for it")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    cases: list[tuple[str, Grammar | None]] = [("free text", None), ("under the grammar", STEP)]
    rows: list[Row] = []
    counts: dict[str, dict[str, int]] = {}
    print("| model | case | read | written | ours s | bare s | ratio | processor time ratio |")
    print("|---|---|---|---|---|---|---|---|")
    for name in options.shapes.split(","):
        path = model_file(name)
        for case, grammar in cases:
            row = compared(f"{name} {case}", path, grammar, options.runs)
            rows.append(row)
            show(name, case, row)
        if options.question:
            rows.append(question(model_file(name, words=True), options.runs))
            show(name, "a question", rows[-1])
        counts[name] = prefixes(path)
        print(f"second process, {name}: {counts[name]}", flush=True)
    if options.json:
        found = {
            "cores": machine.cores(),
            "load": os.getloadavg()[0],
            "rows": [{**asdict(r), "ratio": r.ratio, "cpu_ratio": r.cpu_ratio} for r in rows],
            "prefix": counts,
        }
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
