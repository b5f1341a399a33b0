"""How long one question takes, from the shell's point of view, and what it costs the cluster.

Asked of a synthetic cluster of 170 pods in 18 namespaces, which a player serves over TLS on loopback; with
`--kubeconfig FILE`, of a running cluster too. Every figure stands next to `kubectl get pods -A -o json` on the same
cluster, since absolute times say more about the machine than about us.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.town import FAULTY, town
from tests.player import Player
from tests.player.recorded import world_of

RUNS = 5


@dataclass(frozen=True)
class Ran:
    """One process, start to end."""

    wall: float
    first_words: float
    cpu: float
    peak_mib: float
    code: int
    output: str


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Ran:
    """Run it with a terminal on stderr, where progress is shown, and watch its memory."""
    terminal, its_end = os.openpty()
    with tempfile.TemporaryFile() as out:
        before = os.times()
        start = time.perf_counter()
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=its_end,
            env={**_usual(), **(environment or {})},
        )
        os.close(its_end)
        first: list[float] = []
        peak = [0.0]
        watchers = [threading.Thread(target=_listen, args=(terminal, start, first)),
                    threading.Thread(target=_weigh, args=(process, peak))]  # fmt: skip
        for each in watchers:
            each.start()
        code = process.wait()
        wall = time.perf_counter() - start
        after = os.times()
        for each in watchers:
            each.join()
        out.seek(0)
        text = out.read().decode(errors="replace")
    os.close(terminal)
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Ran(wall, first[0] if first else wall, cpu, peak[0], code, text)


def _usual() -> dict[str, str]:
    """The environment, with compiled modules kept as an installer leaves them (the first run, unmeasured, makes them)."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _listen(terminal: int, start: float, first: list[float]) -> None:
    """When the first words came; the rest is read so that nobody waits for us."""
    try:
        while os.read(terminal, 4096):
            first.append(time.perf_counter() - start)
    except OSError:
        return  # the other end is closed


def _weigh(process: subprocess.Popen[bytes], peak: list[float]) -> None:
    """The high-water mark of its memory: of its own, which what the system sums up at its end would not be."""
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        try:
            line = next((each for each in status.read_text().splitlines() if each.startswith("VmHWM")), "")
        except OSError:
            return
        if line:
            peak[0] = max(peak[0], int(line.split()[1]) / 1024)
        time.sleep(0.01)


def typical(runs: Sequence[Ran]) -> Ran:
    """The median of each figure."""

    def middle(name: str) -> float:
        return statistics.median(getattr(each, name) for each in runs)

    return Ran(middle("wall"), middle("first_words"), middle("cpu"), max(each.peak_mib for each in runs), runs[0].code,
               runs[0].output)  # fmt: skip


def intellect(kubeconfig: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "kubectl_ai_intellect", f"--kubeconfig={kubeconfig}", *words]


def compare(kubeconfig: Path, kubectl: str | None, questions: Mapping[str, Sequence[str]], runs: int = RUNS) -> None:
    """Print each question's figures next to kubectl's."""
    base = None
    if kubectl:
        listing = [kubectl, f"--kubeconfig={kubeconfig}", "get", "pods", "-A", "-o", "json"]
        base = typical([run(listing) for _ in range(runs)])
        show("kubectl get pods -A -o json", base, base, "")
    run(intellect(kubeconfig, "-o", "json", *next(iter(questions.values()))))
    for name, words in questions.items():
        ran = typical([run(intellect(kubeconfig, "-o", "json", *words)) for _ in range(runs)])
        if ran.code:
            print(f"  {name:<34} ended with {ran.code}")
            continue
        usage = json.loads(ran.output)["usage"]
        show(name, ran, base, f"{usage['apiCalls']:>4} requests {usage['apiBytes'] / 1024:>6.0f} KiB")


def show(name: str, ran: Ran, base: Ran | None, more: str) -> None:
    ratio = f"{ran.wall / base.wall:>5.1f}× kubectl" if base and base is not ran else " " * 15
    print(
        f"  {name:<34} {ran.wall:6.2f} s {ratio}  first words {ran.first_words:5.2f} s  "
        f"processor {ran.cpu:5.2f} s  peak {ran.peak_mib:4.0f} MiB  {more}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, help="a running cluster to measure on as well")
    parser.add_argument("--kubectl", default=shutil.which("kubectl"))
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--pods", type=int, default=170)
    parser.add_argument("--namespaces", type=int, default=18)
    given = parser.parse_args(arguments)
    namespace, name = FAULTY
    questions = {
        f"why is {name} not starting": ["-n", namespace, "--", f"why is {name} not starting"],
        f"deployment/{name}": ["-n", namespace, f"deployment/{name}"],
        "scan": ["-n", namespace, "scan"],
        "scan -A": ["-A", "scan"],
    }
    world, faults = world_of(town(given.pods, given.namespaces))
    with tempfile.TemporaryDirectory() as place, Player(world, Path(place), faults, namespace) as player:
        print(f"{given.pods} pods in {given.namespaces} namespaces, played; median of {given.runs} runs")
        compare(player.kubeconfig, given.kubectl, questions, given.runs)
        changing = [f"{each.method} {each.path}" for each in player.writes()]
        print(f"  requests that would have changed something: {', '.join(changing) or 'none'}")
    if given.kubeconfig:
        print(f"\na running cluster ({given.kubeconfig.name}); median of {given.runs} runs")
        compare(given.kubeconfig, given.kubectl, {"scan -A": ["-A", "scan"], "scan": ["scan"]}, given.runs)


if __name__ == "__main__":
    main()
