"""How long the packaged plugin takes to start, beside `kubectl version --client` on the same machine.

    python -m plugin.bundle.timing [--program FILE] [--kubectl FILE] [--rounds 15]

Both are run in turn, so that a busy machine slows both; the fastest and the median of each are compared.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "build/bundle/frozen/kubectl-intellect/kubectl-intellect"


def seconds(command: list[str], home: str) -> tuple[float, float]:
    """Wall and processor time of one run."""
    before = os.times()
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={"PATH": "/usr/bin:/bin", "HOME": home})
    wall = time.perf_counter() - began
    after = os.times()
    busy = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, busy


def main() -> None:
    parser = argparse.ArgumentParser(description="Start time of the packaged plugin beside kubectl's.")
    parser.add_argument("--program", type=Path, default=PROGRAM)
    parser.add_argument("--kubectl", default=shutil.which("kubectl"))
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    if not options.kubectl:
        raise SystemExit("no kubectl on PATH; name one with --kubectl")
    commands = {
        "kubectl version --client": [options.kubectl, "version", "--client"],
        "kubectl-intellect --version": [str(options.program), "--version"],
        "kubectl-intellect --help": [str(options.program), "--help"],
        "kubectl-intellect demo crash": [str(options.program), "demo", "crash"],
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    with tempfile.TemporaryDirectory() as home:
        for _ in range(options.rounds + 1):
            for name, command in commands.items():
                taken[name].append(seconds(command, home))
    least, middle, busy = (
        {name: measure(runs[1:]) for name, runs in taken.items()}  # the first run reads from disk
        for measure in (
            lambda runs: min(wall for wall, _ in runs),
            lambda runs: statistics.median(wall for wall, _ in runs),
            lambda runs: statistics.median(cpu for _, cpu in runs),
        )
    )
    first = next(iter(commands))
    for name in commands:
        print(
            f"{name:32} fastest {least[name] * 1000:6.0f} ms ({least[name] / least[first]:.1f}x)"
            f"  median {middle[name] * 1000:6.0f} ms ({middle[name] / middle[first]:.1f}x)"
            f"  processor {busy[name] * 1000:6.0f} ms ({busy[name] / busy[first]:.1f}x)"
        )


if __name__ == "__main__":
    main()
