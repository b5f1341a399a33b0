"""A cluster that somebody else runs (kind, minikube, …), used in place of one of our own."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from tests.cluster.build import ensure_binaries
from tests.cluster.cache import Lacking
from tests.cluster.controlplane import MANIFESTS, USERS
from tests.cluster.handle import Cluster


def external(kubeconfig: Path, directory: Path) -> Cluster:
    """Its handle. The lesser users are the admin impersonating them, with the same rights as in ours."""
    if not kubeconfig.is_file():
        raise Lacking(f"INTELLECT_TEST_KUBECONFIG names {kubeconfig}, which is not there")
    found = shutil.which("kubectl")
    kubectl = Path(found) if found else ensure_binaries(["kubernetes"])["kubectl"]
    command = [str(kubectl), f"--kubeconfig={kubeconfig}"]
    config = json.loads(
        subprocess.check_output([*command, "config", "view", "--raw", "--minify", "--flatten", "-o", "json"])
    )
    subprocess.run(
        [*command, "apply", "--server-side", "-f", str(MANIFESTS / "users.yaml")],
        check=True,
        capture_output=True,
    )
    kubeconfigs = {"admin": kubeconfig}
    for user, (_, namespace) in USERS.items():
        if user == "admin":
            continue
        config["users"][0]["user"]["as"] = user
        config["contexts"][0]["context"]["namespace"] = namespace
        kubeconfigs[user] = directory / f"kubeconfig-{user}"
        kubeconfigs[user].write_text(json.dumps(config))
        kubeconfigs[user].chmod(0o600)
    return Cluster(kind="external", dir=directory, kubeconfig=kubeconfig, kubeconfigs=kubeconfigs, kubectl_path=kubectl)
