"""Which of several predicates that the scheduler counts is the one to mend."""

from __future__ import annotations

import pytest

from kubectl_ai_intellect.causes.assess import assess
from kubectl_ai_intellect.causes.base import causes
from kubectl_ai_intellect.causes.fit import reasons
from kubectl_ai_intellect.causes.symptoms import derive
from tests.unit.states import state_of


def node(name: str, labels: str = "{}", spec: str = "{}", cpu: str = "4", ready: str = "True") -> str:
    return f"""
---
apiVersion: v1
kind: Node
metadata: {{ name: {name}, uid: n-{name}, labels: {labels} }}
spec: {spec}
status:
  allocatable: {{ cpu: "{cpu}", memory: 8Gi, pods: "110" }}
  conditions: [{{ type: Ready, status: "{ready}" }}]
"""


def pod(message: str, spec: str = "", cpu: str = "100m") -> str:
    return f"""
---
apiVersion: v1
kind: Pod
metadata: {{ name: cart, namespace: shop, uid: p1, creationTimestamp: "2026-01-01T11:50:00Z" }}
spec:
  containers: [{{ name: cart, image: cart:1, resources: {{ requests: {{ cpu: "{cpu}" }} }} }}]
  {spec}
status:
  phase: Pending
  conditions: [{{ type: PodScheduled, status: "False", reason: Unschedulable, message: "{message}" }}]
"""


CONTROL = node("cp", spec="{ taints: [{ key: node-role.kubernetes.io/control-plane, effect: NoSchedule }] }", cpu="64")
TAINTED = "{ taints: [{ key: dedicated, value: gpu, effect: NoSchedule }] }"
CORDON = "{ unschedulable: true, taints: [{ key: node.kubernetes.io/unschedulable, effect: NoSchedule }] }"
DOWN = "{ taints: [{ key: node.kubernetes.io/unreachable, effect: NoSchedule }] }"
COUNTS = "0/3 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 2 %s."


@pytest.mark.parametrize(
    ("cluster", "cause", "at"),
    [
        (CONTROL + node("a") + pod("", "nodeSelector: { disk: ssd }"), "scheduling/node-selector-mismatch", "cart"),
        (CONTROL + node("a") + pod(COUNTS % "Insufficient cpu", cpu="16"), "scheduling/insufficient-cpu", "cart"),
        (CONTROL + node("a", spec=TAINTED) + pod(""), "scheduling/taint-not-tolerated", "cart"),
        (CONTROL + node("a", spec=CORDON) + node("b", spec=DOWN, ready="Unknown") + pod(""), "scheduling/node-cordoned", "a"),
        (node("small", cpu="1") + node("big", spec=TAINTED, cpu="32") + pod("", cpu="8"), "scheduling/taint-not-tolerated", "cart"),
        (node("a", ready="False") + pod("no nodes available"), "scheduling/no-nodes", "cluster"),
        (node("a", "{ disk: ssd }", CORDON) + node("b") + pod("", "nodeSelector: { disk: ssd }"), "scheduling/node-cordoned", "a"),
    ],
)  # fmt: skip
def test_the_predicate_to_mend_is_named(cluster: str, cause: str, at: str) -> None:
    state = state_of(cluster)
    symptoms = [each for each in derive(state) if each.kind == "pod-unscheduled"]
    root = assess(state, symptoms, causes()).roots[0].finding
    assert (root.cause, root.object.name, root.strength) == (cause, at, "proved")


def test_a_pod_that_fits_has_no_scheduling_cause() -> None:
    state = state_of(node("a") + pod(""))
    found = assess(state, [each for each in derive(state) if each.kind == "pod-unscheduled"], causes())
    assert not found.roots


def test_a_selector_that_some_node_has_is_not_blamed() -> None:
    said = "0/2 nodes are available: 1 node(s) were unschedulable, 1 node(s) didn't match Pod's node affinity/selector."
    state = state_of(node("a", "{ disk: ssd }", CORDON) + node("b") + pod(said, "nodeSelector: { disk: ssd }"))
    found = assess(state, [each for each in derive(state) if each.kind == "pod-unscheduled"], causes())
    refuted = [each for each in found.considered if each.strength == "refuted"]
    assert [each.cause for each in refuted] == ["scheduling/node-selector-mismatch"]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "0/4 nodes are available: 1 node(s) had taint {node-role.kubernetes.io/master: }, that the pod didn't tolerate, "
            "3 node(s) didn't match Pod's node affinity/selector.",
            {"control-plane": 1, "selector": 3},
        ),
        (
            "0/2 nodes are available: 1 Insufficient nvidia.com/gpu, 1 Too many pods. preemption: 0/2 nodes are available: "
            "2 No preemption victims found for incoming pod.",
            {"short nvidia.com/gpu": 1, "pods": 1},
        ),
        ("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.", {"claims": 0}),
        ("0/2 nodes are available: 2 node(s) had volume node affinity conflict.", {"volume": 2}),
    ],
)
def test_the_scheduler_is_read(message: str, expected: dict[str, int]) -> None:
    assert reasons(message) == expected
