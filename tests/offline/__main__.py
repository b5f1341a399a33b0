"""`python -m tests.offline`: the main job with the cable cut, as a transcript."""

from __future__ import annotations

import shlex
import tempfile
from pathlib import Path

from tests.cluster.handle import launch
from tests.offline import job, shop

cluster = launch("controlplane")
try:
    with tempfile.TemporaryDirectory() as scratch:
        shop.opened(cluster)
        bundle = job.bundled(Path(scratch), shop.home(Path(scratch) / "connected", cluster))
        session = job.done(cluster.kubeconfig, shop.home(Path(scratch) / "isolated", cluster), bundle)
        print(f"# interfaces: {', '.join(session.interfaces)}; connections to the API server: {session.connections}")
        for step in session.steps:
            print(f"\n$ {shlex.join(step.words)}\n{step.out}{step.err}".rstrip())
            print(f"# exit code {step.code}, {step.seconds:.1f} s, tries for any other way: {step.unrouted}")
finally:
    cluster.down()
