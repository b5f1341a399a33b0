"""`python -m tests.cluster.netpol --kubeconfig FILE [--nft PATH]`: enforce until ended, then leave nothing.

Runs inside the node's network namespace. Prints `enforcing` once the first ruleset is loaded, and a line for
every change after it.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from types import FrameType

from tests.cluster.netpol import nftables
from tests.cluster.netpol.rules import isolate, pods_of
from tests.cluster.netpol.watch import Mirror

SETTLE_S = 0.05
"""Changes come in bursts; one ruleset serves a burst."""


class Ended(Exception):
    """We were asked to stop."""


def _end(_signal: int, _frame: FrameType | None) -> None:
    raise Ended


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.netpol", description=__doc__)
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--nft", default="nft", help="the nft program")
    options = parser.parse_args(arguments)
    from kubernetes.config import new_client_from_config

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, _end)
    mirror = Mirror(new_client_from_config(options.kubeconfig))
    try:
        nftables.heed_bridged_traffic()
        mirror.start()
        _enforce(mirror, options.nft)
    except RuntimeError as problem:
        print(f"netpol: {problem}", file=sys.stderr)
        return 1
    except Ended:
        return 0
    finally:
        nftables.unload(options.nft)


def _enforce(mirror: Mirror, nft: str) -> None:
    loaded = ""
    while True:
        mirror.changed.wait()
        time.sleep(SETTLE_S)
        mirror.changed.clear()
        if not mirror.complete():
            continue
        pods = pods_of(mirror.objects("pods"))
        isolated = isolate(pods, mirror.objects("namespaces"), mirror.objects("policies"))
        text = nftables.ruleset(isolated)
        if text != loaded:
            nftables.load(text, nft)
            print("loaded" if loaded else "enforcing", f"{len(isolated)} isolated", flush=True)
            loaded = text


if __name__ == "__main__":
    sys.exit(main())
