"""The test cluster by hand: `python -m tests.cluster up|down|status|build|prune`."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from tests.cluster.build import ALL_GROUPS, entry_name
from tests.cluster.build import main as build
from tests.cluster.cache import Lacking, clock, prune, say
from tests.cluster.handle import Cluster, StartFailed, attach, launch
from tests.cluster.processes import Failed
from tests.cluster.toolchain import find_go

DEFAULT_DIRECTORY = Path(tempfile.gettempdir()) / f"intellect-cluster-{os.getuid()}"


def main() -> int:
    """Parse, do, and say in one line what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    orders = parser.add_subparsers(dest="order", required=True)
    for name, text in (
        ("up", "start a cluster and leave it running"),
        ("down", "take it down"),
        ("status", "say what runs"),
    ):
        order = orders.add_parser(name, help=text, description=text)
        order.add_argument("--dir", type=Path, default=DEFAULT_DIRECTORY, help="where it lives (%(default)s)")
        if name == "up":
            tier = order.add_mutually_exclusive_group()
            tier.add_argument("--node", action="store_true", help="with a real node (the default; needs root)")
            tier.add_argument("--controlplane", action="store_true", help="with simulated nodes (no root)")
    text = "remove what earlier versions left in the cache (stop their clusters first)"
    orders.add_parser("prune", help=text, description=text)
    order = orders.add_parser("build", help="build the programs into the cache")
    order.add_argument("group", nargs="*")
    options = parser.parse_args()
    try:
        return _do(options)
    except (Lacking, StartFailed, Failed) as problem:
        print(problem, file=sys.stderr)
        return 1


def _do(options: argparse.Namespace) -> int:
    if options.order == "build":
        return build(options.group)
    if options.order == "prune":
        go = find_go()
        for name in prune(entry_name(group, go) for group in ALL_GROUPS):
            print(f"removed {name}")
        return 0
    directory: Path = options.dir.resolve()
    if options.order == "up":
        return _up(directory, controlplane=options.controlplane)
    cluster = attach(directory)
    if options.order == "down":
        cluster.down()
        say(f"the cluster in {directory} is gone")
    else:
        _show(cluster)
    return 0


def _up(directory: Path, *, controlplane: bool) -> int:
    took = clock()
    cluster = launch("controlplane" if controlplane else "node", directory, stays=True)
    say(f"ready after {took()}; take it down with: python -m tests.cluster down --dir {directory}")
    say(f"export KUBECONFIG={cluster.kubeconfig}; kubectl is {cluster.kubectl_path}")
    print(cluster.kubeconfig)
    return 0


def _show(cluster: Cluster) -> None:
    print(f"{cluster.kind} in {cluster.dir}, owner process {cluster.warden}")
    for user, path in cluster.kubeconfigs.items():
        print(f"  {user:12} {path}")
    for program, pid in cluster.programs().items():
        print(f"  {program:24} {pid}")


if __name__ == "__main__":
    raise SystemExit(main())
