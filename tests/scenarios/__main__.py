"""Stage scenarios by hand.

    python -m tests.scenarios record            those without a recording, and those that changed since
    python -m tests.scenarios record image rbac/forbidden      an area, a scenario
    python -m tests.scenarios ask quota         see, ask, replay and heal; record nothing
    python -m tests.scenarios replay            ask the recordings that there are, with no cluster
    python -m tests.scenarios list              what there is, and which recordings are missing or stale

`--kubeconfig FILE` names a running cluster (a real node); without it, those needed are started.
`--root DIR` takes the scenarios of another directory, and keeps their recordings there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kubectl_ai_intellect.kube.case import save
from tests.cluster.handle import launch
from tests.scenarios.asking import ask_case
from tests.scenarios.cluster import Cluster
from tests.scenarios.judge import judge
from tests.scenarios.recorded import Recording, path_of, recordings
from tests.scenarios.recording import asked, record
from tests.scenarios.runner import Settled, Staging
from tests.scenarios.scenario import HERE, Scenario, find
from tests.scenarios.visit import visit


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.scenarios", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("do", choices=("record", "ask", "replay", "list"))
    parser.add_argument("names", nargs="*", help="areas or scenarios; default: all that need it")
    parser.add_argument("--kubeconfig", type=Path, help="a running cluster with a real node")
    parser.add_argument("--kubectl", default="kubectl")
    parser.add_argument("--root", type=Path, default=HERE, help="the directory of the scenarios; default: this one")
    parser.add_argument("--at-once", type=int, default=4)
    given = parser.parse_intermixed_args(arguments)
    chosen = [
        each
        for each in find(given.root)
        if not given.names or each.name in given.names or each.path.parent.name in given.names
    ]
    if given.do == "list":
        for each in chosen:
            print(f"{each.name:<48} {each.needs:<13} {_standing(each)}")
        return 0
    if given.do == "replay":
        return 1 if sum([_replayed(each) for each in recordings(chosen)]) else 0
    if given.do == "record" and not given.names:
        chosen = [each for each in chosen if _standing(each) != "recorded"]
    (given.root / "recordings").mkdir(exist_ok=True)
    work = _recorded if given.do == "record" else _asked
    failed = 0
    for needs in ("node", "controlplane"):
        wanted = [each for each in chosen if each.needs == needs]
        if wanted:
            with _cluster(needs, given) as cluster:
                failed += _all(cluster, wanted, work, given.at_once)
    return 1 if failed else 0


def _standing(scenario: Scenario) -> str:
    if not path_of(scenario).exists():
        return "no recording"
    return "stale" if Recording(scenario, path_of(scenario)).stale else "recorded"


@contextmanager
def _cluster(needs: str, given: argparse.Namespace) -> Iterator[Cluster]:
    """The one that is named, where it can stage this; else one of our own for as long as it takes."""
    if given.kubeconfig and needs == "node":
        yield Cluster(given.kubeconfig, given.kubectl)
        return
    running = launch("node" if needs == "node" else "controlplane")
    try:
        yield Cluster(running.kubeconfig, str(running.kubectl_path), running)
    finally:
        running.down()


def _all(cluster: Cluster, wanted: Sequence[Scenario], work: Callable[[Settled], list[str]], at_once: int) -> int:
    """How many failed; what was wrong with each is printed as it comes."""
    staging = Staging(cluster, wanted, work, at_once)
    failed = 0
    try:
        for each in wanted:
            try:
                wrong = staging.outcome(each.name)
            except Exception as problem:
                wrong = [f"{type(problem).__name__}: {problem}"]
            failed += _told(each.name, wrong)
    finally:
        staging.close()
    return failed


def _told(name: str, wrong: Sequence[str]) -> bool:
    print(f"{'WRONG' if wrong else 'right'} {name}", *wrong, sep="\n      ", flush=True)
    return bool(wrong)


def _replayed(recording: Recording) -> bool:
    return _told(recording.name, judge(ask_case(recording.case, recording.question), recording.expect))


def _recorded(settled: Settled) -> list[str]:
    """Keep the recording, whatever the product makes of it."""
    wrong: list[str] = []
    read = None
    try:
        report, read = asked(settled)
        wrong = [f"cluster: {line}" for line in judge(report, settled.expect)]
    except Exception as problem:
        wrong.append(f"cluster: {type(problem).__name__}: {problem}")
    case = record(settled, read)
    save(case, path_of(settled.scenario))
    path_of(settled.scenario).chmod(0o644)
    try:
        wrong += [f"recording: {line}" for line in judge(ask_case(case), settled.expect)]
    except Exception as problem:
        wrong.append(f"recording: {type(problem).__name__}: {problem}")
    return wrong


def _asked(settled: Settled) -> list[str]:
    outcome = visit(settled)
    parts = vars(outcome).items()
    return [f"{part}: {line}" for part, lines in parts for line in lines or ()]


if __name__ == "__main__":
    sys.exit(main())
