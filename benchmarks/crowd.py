"""A question about one pod among 5,000 on 100 nodes: real API server, scheduler and controllers, simulated kubelets.

Stages the crowd on a control plane of its own (some minutes), then measures as `benchmarks.speed` does, next to
`kubectl get pods -A -o json` on the same cluster. Two fifths of the pods share one namespace, with one at fault.
`--dir` takes a control plane that stands already (`python -m tests.cluster up --controlplane --dir DIR`).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.speed import RUNS, compare
from tests.cluster.handle import Cluster, attach, launch

MANY = "many"
FAULTY = "cart"
SIZE = 50
"""Pods of one Deployment."""


def node(number: int) -> dict[str, Any]:
    room = {"cpu": "64", "memory": "256Gi", "pods": "110"}
    labels = {"type": "kwok", "kubernetes.io/hostname": f"crowd-{number}", "kubernetes.io/os": "linux"}
    meta = {"name": f"crowd-{number}", "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}}
    status = {"allocatable": room, "capacity": room}
    return {"apiVersion": "v1", "kind": "Node", "metadata": meta, "status": status}


def deployment(namespace: str, name: str, replicas: int, **pod: Any) -> list[dict[str, Any]]:
    """A Deployment and its Service."""
    labels = {"app": name}
    container = {"name": "app", "image": f"registry.example/{name}:1", "ports": [{"containerPort": 8080}],
                 "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}}}  # fmt: skip
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container], **pod}}
    meta = {"name": name, "namespace": namespace, "labels": labels}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    ports = {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]}
    return [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec},
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": ports},
    ]


def crowd(pods: int, namespaces: int) -> list[dict[str, Any]]:
    """Two fifths in one namespace, the rest evenly over the others; one pod wants a disk that no node has."""
    many = pods * 2 // 5
    each = (pods - many) // namespaces
    sizes = {MANY: many - 1, **{f"team-{n:02}": each for n in range(namespaces)}}
    made: list[dict[str, Any]] = []
    for namespace, size in sizes.items():
        made.append({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        for number, start in enumerate(range(0, size, SIZE)):
            made += deployment(namespace, f"shop-{number}", min(SIZE, size - start))
    return made + deployment(MANY, FAULTY, 1, nodeSelector={"disk": "ssd"})


def stage(cluster: Cluster, pods: int, nodes: int, namespaces: int, patience: float) -> int:
    """Apply it all and wait until every pod is where it will be; how many pods there are."""
    for part in ([node(number) for number in range(nodes)], crowd(pods, namespaces)):
        document = json.dumps({"apiVersion": "v1", "kind": "List", "items": part})
        cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=document, timeout=patience)
    ends = time.monotonic() + patience
    while True:
        listed = cluster.kubectl("get", "pods", "-A", "--no-headers", timeout=120).stdout.split("\n")
        running = sum(" Running " in line for line in listed)
        print(f"\r{running} of {pods} pods run", end="", flush=True)
        if running >= pods - namespaces - 1 or time.monotonic() > ends:  # the rest of a division is not made
            print()
            return running
        time.sleep(3)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crowd", description=__doc__)
    parser.add_argument("--pods", type=int, default=5000)
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--namespaces", type=int, default=12)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--patience", type=float, default=1800, help="seconds that staging may take")
    parser.add_argument("--dir", type=Path, help="a control plane that stands already")
    given = parser.parse_args(arguments)
    cluster = attach(given.dir.resolve()) if given.dir else launch("controlplane")
    try:
        running = stage(cluster, given.pods, given.nodes, given.namespaces, given.patience)
        faulty, well = (
            next(
                each["metadata"]["name"]
                for each in cluster.json("get", "pods", "-n", MANY, "-l", f"app={app}")["items"]
            )
            for app in (FAULTY, "shop-0")
        )
        questions = {
            "pod/… that is not scheduled": ["-n", MANY, f"pod/{faulty}"],
            "why is … not starting": ["-n", MANY, "--", f"why is {faulty} not starting"],
            "pod/… that is well": ["-n", MANY, f"pod/{well}"],
            f"what is wrong here ({given.pods * 2 // 5} pods)": ["-n", MANY, "--", "what is wrong here"],
            "scan of that namespace": ["-n", MANY, "scan"],
            "scan -A": ["-A", "scan"],
        }
        print(f"{running} pods on {given.nodes} nodes; median of {given.runs} runs")
        compare(cluster.kubeconfig, str(cluster.kubectl_path), questions, given.runs)
    finally:
        if not given.dir:
            cluster.down()


if __name__ == "__main__":
    main()
