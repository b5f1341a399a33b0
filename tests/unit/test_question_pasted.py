"""What is piped in: kubectl's output, alerts and logs say what the question is about."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kubectl_ai_intellect.question import read_pasted
from tests.scenarios.recorded import path_of
from tests.scenarios.scenario import find

DESCRIBED = """\
Name:                 cart-75494684b8-7t84q
Namespace:            shop
Priority:             0
Service Account:      default
Node:                 node-1/172.30.0.10
Status:               Running
Controlled By:  ReplicaSet/cart-75494684b8
Containers:
  cart:
    Image:         registry.example/cart:v1
    State:          Waiting
      Reason:       CrashLoopBackOff
Conditions:
  Type                        Status
  Ready                       False
"""
PODS = """\
NAMESPACE     NAME                              READY   STATUS              RESTARTS      AGE
shop          storefront-87748ccd8-fdwxr        1/1     Running             0             34s
shop          checkout-8695fbd5c5-fkcph         0/1     Error               1 (20s ago)   34s
pay           ledger-78f64697fd-xnnxm           0/1     Init:0/1            1 (15s ago)   28s
batch         import-29384-k2xvz                0/1     Completed           0             3m
"""
EVENTS = """\
LAST SEEN   TYPE      REASON      OBJECT                           MESSAGE
12s         Normal    Scheduled   pod/media-8574b86778-bh96v       Successfully assigned
9s          Warning   BackOff     pod/orders-api-5ccb96bbfb-q4hbl  Back-off restarting failed container
"""
DEPLOYMENT = """\
Name:                   web
Namespace:              shop
CreationTimestamp:      Sat, 21 Nov 2026 15:24:30 +0000
Selector:               app=web
Replicas:               2 desired | 2 updated | 2 total | 0 available | 2 unavailable
StrategyType:           RollingUpdate
Pod Template:
  Containers:
   web:
    Image:      registry.example/web:v1
"""


def alert(status: str, **labels: str) -> dict[str, object]:
    return {"status": status, "labels": {"alertname": "KubePodNotReady", **labels}, "annotations": {"summary": "x"}}


def shorts(text: str) -> list[str]:
    return [str(each) for each in read_pasted(text).refs]


@pytest.mark.parametrize(
    ("text", "refs"),
    [
        (DESCRIBED, ["Pod/cart-75494684b8-7t84q in shop"]),
        (DEPLOYMENT, ["Deployment/web in shop"]),
        (PODS, ["Pod/checkout-8695fbd5c5-fkcph in shop", "Pod/ledger-78f64697fd-xnnxm in pay"]),
        (EVENTS, ["Pod/orders-api-5ccb96bbfb-q4hbl"]),
        ("apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  namespace: shop\n", ["Service/web in shop"]),
        ("deployment.apps/web and pod/cart-0 are broken", ["Deployment/web", "Pod/cart-0"]),
    ],
)
def test_kubectl_output_names_its_objects(text: str, refs: list[str]) -> None:
    assert shorts(text) == refs


def test_an_alert_names_what_it_is_about_and_firing_ones_come_first() -> None:
    alerts = [alert("resolved", namespace="old", deployment="gone"), alert("firing", namespace="shop", pod="cart-0")]
    assert shorts(json.dumps({"version": "4", "alerts": alerts}))[0] == "Pod/cart-0 in shop"
    assert shorts(json.dumps({"data": {"alerts": alerts[1:]}})) == ["Pod/cart-0 in shop"]


def test_a_pod_that_is_gone_is_looked_for_by_its_workload() -> None:
    assert read_pasted(DESCRIBED).names == ("cart-75494684b8-7t84q", "cart")
    assert read_pasted(DESCRIBED).single
    assert not read_pasted(PODS).single


def test_a_log_is_digested_and_its_secrets_are_not_kept() -> None:
    said = read_pasted("starting\nERROR could not connect to postgres://app:hunter2@db:5432/x: connection refused\n")
    assert not said.refs
    assert said.lines[0].startswith("connection-refused: ")
    assert "hunter2" not in said.lines[0]


@pytest.mark.parametrize("text", ["", "\x00\xff\x1b[2J", "{", "[1, 2]", "apiVersion: [\nkind: x", "null", "Name:\n"])
def test_nonsense_is_survived(text: str) -> None:
    assert read_pasted(text).refs == ()


def recording(name: str) -> Path:
    return path_of(next(each for each in find() if each.name == name))


def run(*arguments: str, text: str | None) -> dict[str, object]:
    command = [sys.executable, "-m", "kubectl_ai_intellect", *arguments, "-o", "json"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_is_piped_in_aims_the_question() -> None:
    case = recording("service/selector-mismatch")
    whole = run("--from", str(case), "what is wrong", text="")
    name = whole["verdict"]["object"]["name"]  # type: ignore[index]
    aimed = run("--from", str(case), "-", text=f"kind: Service\napiVersion: v1\nmetadata:\n  name: {name}\n")
    assert aimed["question"] == "what is wrong here"
    assert aimed["verdict"]["cause"] == "service/selector-mismatch"  # type: ignore[index]


def test_a_pipe_that_nobody_writes_to_makes_nobody_wait() -> None:
    reading, writing = os.pipe()
    try:
        code = (
            "import time; from kubectl_ai_intellect.cli.stdin import Piped\n"
            "start = time.monotonic(); assert Piped().text() == ''; print(time.monotonic() - start < 5)"
        )
        begun = time.monotonic()
        done = subprocess.run([sys.executable, "-c", code], stdin=reading, capture_output=True, timeout=50, check=True)
        assert done.stdout.strip() == b"True"
        assert time.monotonic() - begun < 45
    finally:
        os.close(reading)
        os.close(writing)
