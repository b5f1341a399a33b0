"""What is young or over is no symptom: pods on their way, roll-outs between two pods, deaths of long ago."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kubectl_ai_intellect.causes.symptoms import derive
from kubectl_ai_intellect.causes.symptoms.starting import under_way
from kubectl_ai_intellect.question.resolve import maker_of
from tests.unit.states import state_of

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: shop, uid: d1, generation: 1, creationTimestamp: "2026-01-01T00:00:00Z" }
spec: { replicas: 1, selector: { matchLabels: { app: web } }, template: { metadata: { labels: { app: web } } } }
status: { observedGeneration: 1, replicas: 1, unavailableReplicas: 1 }
---
apiVersion: apps/v1
kind: ReplicaSet
metadata:
  name: web-6c8f9d7b5d
  namespace: shop
  uid: r1
  creationTimestamp: "2026-01-01T00:00:00Z"
  ownerReferences: [{ apiVersion: apps/v1, kind: Deployment, name: web, uid: d1, controller: true }]
spec: { replicas: 1 }
"""


def pod(created: str, status: str) -> str:
    return f"""
---
apiVersion: v1
kind: Pod
metadata:
  name: web-6c8f9d7b5d-q8zkw
  namespace: shop
  uid: p1
  labels: {{ app: web }}
  creationTimestamp: "{created}"
  ownerReferences: [{{ apiVersion: apps/v1, kind: ReplicaSet, name: web-6c8f9d7b5d, uid: r1, controller: true }}]
spec: {{ nodeName: n1, containers: [{{ name: web, image: web:1 }}] }}
status: {status}
"""


def told(reason: str, message: str, at: str, kind: str = "Normal") -> str:
    return f"""
---
apiVersion: v1
kind: Event
metadata: {{ name: "{reason.lower()}", namespace: shop }}
involvedObject: {{ apiVersion: v1, kind: Pod, name: web-6c8f9d7b5d-q8zkw, namespace: shop, uid: p1 }}
type: {kind}
reason: {reason}
message: '{message}'
firstTimestamp: "{at}"
lastTimestamp: "{at}"
"""


CREATING = "{ phase: Pending, containerStatuses: [{ name: web, ready: false, restartCount: 0, state: { waiting: { reason: ContainerCreating } } }] }"
PULLING = 'Pulling image "registry.example.com/web:1"'


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def kinds(text: str, now: datetime = NOON) -> list[str]:
    state = state_of(DEPLOYMENT + text, now=now, complete=("Event", "Pod"))
    return sorted(each.kind for each in derive(state))


def test_a_pod_of_three_seconds_is_on_its_way() -> None:
    young = DEPLOYMENT + pod("2026-01-01T11:59:57Z", CREATING)
    assert kinds(pod("2026-01-01T11:59:57Z", CREATING)) == []
    assert [words for _, words in under_way(state_of(young))] == ["is being created, for 3 s"]


def test_a_pod_that_is_created_for_minutes_without_a_word_is_not() -> None:
    assert kinds(pod("2026-01-01T11:50:00Z", CREATING)) == ["pod-stuck-creating", "workload-short"]


def test_a_large_image_may_take_its_time_and_not_for_ever() -> None:
    old = pod("2026-01-01T11:50:00Z", CREATING)
    assert kinds(old + told("Pulling", PULLING, "2026-01-01T11:51:00Z")) == []
    assert "workload-short" in kinds(old + told("Pulling", PULLING, "2026-01-01T11:51:00Z"), NOON.replace(hour=13))


def test_a_young_pod_that_something_goes_wrong_with_is_broken() -> None:
    failed = told("FailedMount", "MountVolume.SetUp failed", "2026-01-01T11:59:58Z", "Warning")
    assert kinds(pod("2026-01-01T11:59:50Z", CREATING) + failed) == ["pod-stuck-creating", "workload-short"]


def test_a_pod_whose_containers_are_ready_and_which_is_not_has_stopped_starting() -> None:
    """What the node controller leaves behind of a node that is silent: the kubelet's last word, and Ready gone."""
    ready = (
        "{ phase: Running, conditions: [{ type: Ready, status: 'False' }, { type: ContainersReady, status: 'True', "
        "lastTransitionTime: '%s' }], containerStatuses: [{ name: web, ready: true, restartCount: 0, "
        "state: { running: { startedAt: '2026-01-01T09:00:01Z' } } }] }"
    )
    assert "workload-short" in kinds(pod("2026-01-01T09:00:00Z", ready % "2026-01-01T09:00:05Z"))
    assert kinds(pod("2026-01-01T11:59:50Z", ready % "2026-01-01T11:59:58Z")) == []


DIED = "lastState: { terminated: { exitCode: 137, reason: OOMKilled, finishedAt: '%s' } }"


@pytest.mark.parametrize(
    ("state", "died", "seen"),
    [
        ("waiting: { reason: CreateContainerConfigError }", "2026-01-01T11:55:00Z", False),
        ("waiting: { reason: CrashLoopBackOff }", "2026-01-01T11:55:00Z", True),
        ("running: { startedAt: '2026-01-01T09:00:01Z' }", "2026-01-01T09:00:00Z", False),
        ("running: { startedAt: '2026-01-01T11:55:01Z' }", "2026-01-01T11:55:00Z", True),
    ],
)
def test_a_death_counts_while_it_is_what_keeps_the_container_down(state: str, died: str, seen: bool) -> None:
    status = (
        "{ phase: Running, containerStatuses: [{ name: web, ready: false, restartCount: 3, "
        f"state: {{ {state} }}, {DIED % died} }}] }}"
    )
    assert ("container-killed-memory" in kinds(pod("2026-01-01T08:00:00Z", status))) is seen


EVICTED = "{ phase: Failed, reason: Evicted, message: 'The node was low on resource: memory.' }"


def test_an_evicted_pod_that_was_replaced_lies_behind() -> None:
    new = pod("2026-01-01T11:00:00Z", "{ phase: Running, conditions: [{ type: Ready, status: 'True' }] }")
    new = new.replace("q8zkw", "x2x4q").replace("uid: p1", "uid: p2")
    assert "pod-left-behind" in kinds(pod("2026-01-01T10:00:00Z", EVICTED) + new)
    assert "pod-evicted" in kinds(pod("2026-01-01T10:00:00Z", EVICTED))


@pytest.mark.parametrize(
    ("name", "maker"),
    [
        ("web-7d9c8b6f5c-x2x4q", "web"),
        ("web-6c8f9d7b5d-zz9zz", "web"),
        ("web-x2x4q", None),
        ("web-canary-production", None),
        ("other-7d9c8b6f5c-x2x4q", None),
    ],
)
def test_who_made_a_pod_that_is_gone(name: str, maker: str | None) -> None:
    found = maker_of(state_of(DEPLOYMENT), name)
    assert (found.name if found else None) == maker


JOB = """
apiVersion: batch/v1
kind: Job
metadata: { name: import, namespace: shop, uid: j1, creationTimestamp: "2026-01-01T11:00:00Z" }
spec: { backoffLimit: 4 }
status: { startTime: "2026-01-01T11:00:00Z", conditions: [{ type: %s, status: "True" }] }
---
apiVersion: v1
kind: Pod
metadata:
  name: import-x2x4q
  namespace: shop
  uid: p1
  creationTimestamp: "2026-01-01T11:00:00Z"
  ownerReferences: [{ apiVersion: batch/v1, kind: Job, name: import, uid: j1, controller: true }]
spec: { nodeName: n1, restartPolicy: Never, containers: [{ name: import, image: import:1 }] }
status:
  phase: Failed
  containerStatuses:
    - { name: import, ready: false, restartCount: 0, state: { terminated: { exitCode: 1, reason: Error } } }
"""


def test_a_try_that_failed_is_history_once_its_job_is_complete() -> None:
    assert [each.kind for each in derive(state_of(JOB % "Complete"))] == []
    assert "container-restarting" in {each.kind for each in derive(state_of(JOB % "Failed"))}
