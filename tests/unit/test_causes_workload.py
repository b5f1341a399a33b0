"""Workloads, Jobs, autoscalers and budgets: each mechanism where it is, and silent where it only looks like it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kubectl_ai_intellect.causes.assess import examine
from kubectl_ai_intellect.causes.base import Finding, causes
from kubectl_ai_intellect.causes.commands import commands
from kubectl_ai_intellect.causes.schedule import missed
from kubectl_ai_intellect.causes.symptoms import derive
from kubectl_ai_intellect.state.graph import State
from tests.unit.states import state_of


def findings(state: State, id: str) -> list[Finding]:
    found = examine(state, derive(state), {id: causes()[id]})
    return [each for group in found.values() for each in group]


def one(state: State, id: str) -> Finding:
    found = [each for each in findings(state, id) if each.strength != "refuted"]
    assert found, f"{id} says nothing; symptoms: {[(each.kind, each.at.name, each.note) for each in derive(state)]}"
    return found[0]


def clears(state: State, found: Finding) -> bool:
    holds = causes()[found.cause].holds
    assert holds is not None
    return holds(state, found.object) and not holds(state.patched(*found.mends[0].patches), found.object)


DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop, uid: d1, generation: 2}
spec:
  replicas: 0
  selector: {matchLabels: {app: cart}}
  template:
    metadata: {labels: {app: cart}}
    spec: {containers: [{name: app, image: "cart:2"}]}
status: {observedGeneration: 2}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {selector: {app: cart}, ports: [{port: 80}]}
"""
SCALED_DOWN = """
---
apiVersion: v1
kind: Event
metadata: {name: e1, namespace: shop, uid: e1}
involvedObject: {apiVersion: apps/v1, kind: Deployment, name: cart, namespace: shop, uid: d1}
reason: ScalingReplicaSet
message: Scaled down replica set cart-6d5 from 3 to 0
type: Normal
lastTimestamp: "2026-01-01T11:45:00Z"
"""


def test_no_replicas_and_how_many_there_were() -> None:
    state = state_of(DEPLOYMENT + SCALED_DOWN)
    found = one(state, "workload/zero-replicas")
    assert found.strength == "proved"
    assert commands(state, found.mends[0].patches[0]) == ["kubectl scale deployment/cart --replicas=3 -n shop"]
    assert clears(state, found)


def test_replicas_that_are_wanted_are_no_finding() -> None:
    assert findings(state_of(DEPLOYMENT.replace("replicas: 0", "replicas: 1")), "workload/zero-replicas") == []


PAUSED = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop, uid: d1}
spec:
  replicas: 1
  paused: true
  template: {metadata: {labels: {app: cart}}, spec: {containers: [{name: app, image: "cart:2"}]}}
status: {availableReplicas: 1}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata:
  name: cart-1
  namespace: shop
  uid: r1
  annotations: {deployment.kubernetes.io/revision: "1"}
  ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: cart, uid: d1, controller: true}]
spec:
  template:
    metadata: {labels: {app: cart, pod-template-hash: "1"}}
    spec: {containers: [{name: app, image: "cart:1"}]}
"""


def test_a_paused_rollout_holds_a_change_back() -> None:
    state = state_of(PAUSED)
    found = one(state, "workload/paused")
    assert found.strength == "proved"
    assert "cart:1 → cart:2" in found.says
    assert commands(state, found.mends[0].patches[0]) == ["kubectl rollout resume deployment/cart -n shop"]
    assert clears(state, found)


def test_paused_with_nothing_waiting_is_hardly_a_fault() -> None:
    assert one(state_of(PAUSED.replace('"cart:1"', '"cart:2"')), "workload/paused").strength == "possible"


STATEFUL = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop, uid: s1}
spec:
  replicas: 2
  serviceName: db
  podManagementPolicy: OrderedReady
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: app, image: "db:2", ports: [{containerPort: 5432}]}]}
status: {currentRevision: db-1, updateRevision: db-2, updatedReplicas: 0}
---
apiVersion: v1
kind: Pod
metadata:
  name: db-0
  namespace: shop
  uid: p1
  creationTimestamp: "2026-01-01T11:00:00Z"
  labels: {app: db, controller-revision-hash: db-1}
  ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: db, uid: s1, controller: true}]
spec: {nodeName: n1, containers: [{name: app, image: "db:missing"}]}
status:
  phase: Pending
  conditions: [{type: Ready, status: "False", lastTransitionTime: "2026-01-01T11:00:00Z"}]
  containerStatuses:
    - {name: app, ready: false, restartCount: 0, state: {waiting: {reason: ImagePullBackOff}}}
"""


def test_a_mended_template_does_not_reach_a_broken_pod() -> None:
    state = state_of(STATEFUL)
    found = one(state, "workload/ordinal-blocked")
    assert found.strength == "proved"
    assert "db-0" in found.says
    assert commands(state, found.mends[0].patches[0]) == ["kubectl delete pod/db-0 -n shop"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("podManagementPolicy: OrderedReady", "podManagementPolicy: Parallel"),
        ("updateRevision: db-2", "updateRevision: db-1"),
    ],
)
def test_a_broken_pod_of_the_newest_revision_is_its_own_fault(before: str, after: str) -> None:
    assert not [
        f
        for f in findings(state_of(STATEFUL.replace(before, after)), "workload/ordinal-blocked")
        if f.strength == "proved"
    ]


CLIENT = """
---
apiVersion: v1
kind: Pod
metadata: {name: api, namespace: shop, uid: p2}
spec: {nodeName: n1, containers: [{name: app, image: "api:1"}]}
status:
  phase: Running
  containerStatuses:
    - {name: app, ready: false, restartCount: 3, containerID: c, state: {running: {startedAt: "2026-01-01T11:00:00Z"}}}
"""
UNRESOLVED = {
    "api/app": 'psycopg2.OperationalError: could not translate host name "db-0.db" to address: Name or service not known\n'
}


def test_the_service_of_a_stateful_set_is_missing() -> None:
    state = state_of(STATEFUL + CLIENT, logs=UNRESOLVED)
    found = one(state, "workload/headless-service-missing")
    assert (found.strength, found.object.name) == ("proved", "db")
    printed = commands(state, found.mends[0].patches[0])[0]
    assert "clusterIP: None" in printed
    assert "5432" in printed
    assert clears(state, found)


def test_a_governing_service_that_is_there_is_no_finding() -> None:
    service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: db, namespace: shop}\nspec: {clusterIP: None}\n"
    assert findings(state_of(STATEFUL + CLIENT + service, logs=UNRESOLVED), "workload/headless-service-missing") == []


# -- Jobs ------------------------------------------------------------------------------------------------------------

JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: load, namespace: shop, uid: j1, creationTimestamp: "2026-01-01T11:00:00Z"}
spec:
  backoffLimit: 1
  activeDeadlineSeconds: 30
  template:
    spec: {restartPolicy: Never, containers: [{name: main, image: "load:1"}, {name: proxy, image: "proxy:1"}]}
status: {startTime: "2026-01-01T11:00:00Z", STATUS}
"""
POD = """
---
apiVersion: v1
kind: Pod
metadata:
  name: load-x
  namespace: shop
  uid: p1
  ownerReferences: [{apiVersion: batch/v1, kind: Job, name: load, uid: j1, controller: true}]
spec: {nodeName: n1, restartPolicy: Never, containers: [{name: main, image: "load:1"}, {name: proxy, image: "proxy:1"}]}
status:
  phase: Running
  containerStatuses:
    - {name: main, state: {terminated: {exitCode: CODE, finishedAt: "2026-01-01T11:01:00Z"}}}
    - {name: proxy, ready: true, state: {running: {startedAt: "2026-01-01T11:00:00Z"}}}
"""


def job(status: str) -> str:
    return JOB.replace("STATUS", status)


def failed(reason: str) -> str:
    return job(f'failed: 2, conditions: [{{type: Failed, status: "True", reason: {reason}, message: said}}]')


def test_a_job_that_gave_up_and_one_whose_time_was_over() -> None:
    assert one(state_of(failed("BackoffLimitExceeded")), "job/backoff-limit").object.name == "load"
    assert findings(state_of(failed("BackoffLimitExceeded")), "job/deadline-exceeded") == []
    state = state_of(failed("DeadlineExceeded"))
    found = one(state, "job/deadline-exceeded")
    assert found.strength == "proved"
    assert findings(state, "job/backoff-limit") == []
    printed = commands(state, found.mends[0].patches[0])[0]
    assert printed.startswith("kubectl replace --force")
    assert "activeDeadlineSeconds: <SECONDS>" in printed


def test_a_sidecar_keeps_a_job_from_ending() -> None:
    state = state_of(job("active: 1") + POD.replace("CODE", "0"))
    found = one(state, "workload/sidecar-blocks-completion")
    assert found.strength == "proved"
    assert clears(state, found)
    printed = commands(state, found.mends[0].patches[0])[0]
    assert "initContainers:" in printed
    assert "restartPolicy: Always" in printed


def test_work_that_is_not_done_is_not_blocked_by_a_sidecar() -> None:
    assert findings(state_of(job("active: 1") + POD.replace("CODE", "1")), "workload/sidecar-blocks-completion") == []


CRON = """
apiVersion: batch/v1
kind: CronJob
metadata: {name: load, namespace: shop, uid: c1}
spec: {schedule: "*/5 * * * *", suspend: SUSPEND, concurrencyPolicy: Forbid, jobTemplate: {spec: {template: {spec: {}}}}}
status: {lastScheduleTime: "LAST", active: [{kind: Job, name: load-1, namespace: shop}]}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: load-1
  namespace: shop
  uid: j1
  creationTimestamp: "LAST"
  ownerReferences: [{apiVersion: batch/v1, kind: CronJob, name: load, uid: c1, controller: true}]
status: {active: 1, startTime: "LAST"}
"""


def cron(suspend: str, last: str) -> State:
    return state_of(CRON.replace("SUSPEND", suspend).replace("LAST", last))


def test_a_suspended_cron_job() -> None:
    state = cron("true", "2026-01-01T10:00:00Z")
    found = one(state, "cronjob/suspended")
    assert clears(state, found)
    assert findings(state, "cronjob/blocked") == []


def test_a_job_that_does_not_end_blocks_its_schedule() -> None:
    found = one(cron("false", "2026-01-01T11:00:00Z"), "cronjob/blocked")
    assert found.strength == "proved"
    assert "load-1" in found.says


def test_a_job_of_just_now_blocks_nothing() -> None:
    assert findings(cron("false", "2026-01-01T11:58:00Z"), "cronjob/blocked") == []


@pytest.mark.parametrize(
    ("schedule", "zone", "due"),
    [
        ("*/5 * * * *", "", datetime(2026, 1, 1, 10, 5, tzinfo=UTC)),
        ("30 11 * * 1-5", "", datetime(2026, 1, 1, 11, 30, tzinfo=UTC)),
        ("@hourly", "", datetime(2026, 1, 1, 11, 0, tzinfo=UTC)),
        ("30 12 * * *", "Europe/Berlin", datetime(2026, 1, 1, 11, 30, tzinfo=UTC)),
        ("0 11 * * sun", "", None),
        ("0 13 * * *", "", None),
        ("not a schedule", "", None),
        ("0 11 13 * thu", "", datetime(2026, 1, 1, 11, 0, tzinfo=UTC)),
    ],
)
def test_times_that_passed(schedule: str, zone: str, due: datetime | None) -> None:
    last, now = datetime(2026, 1, 1, 10, 0, tzinfo=UTC), datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
    assert missed(schedule, last, now, zone) == due


# -- autoscalers and budgets -----------------------------------------------------------------------------------------

SCALER = """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: cart, namespace: shop}
spec:
  maxReplicas: 3
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: TARGET}
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]
status:
  currentReplicas: 3
  desiredReplicas: 3
  currentMetrics: [{type: Resource, resource: {name: cpu, current: {averageUtilization: 90}}}]
  conditions: [CONDITION]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: carts, namespace: shop, uid: d1}
spec:
  replicas: 1
  template: {spec: {containers: [{name: app, image: "cart:1", resources: {RESOURCES}}]}}
status: {availableReplicas: 1}
"""


def scaler(target: str = "carts", condition: str = "", resources: str = "", complete: tuple[str, ...] = ()) -> State:
    text = SCALER.replace("TARGET", target).replace("CONDITION", condition).replace("RESOURCES", resources)
    return state_of(text, complete=complete)


BLIND = ('{type: ScalingActive, status: "False", reason: FailedGetResourceMetric, message: "the HPA was unable to compute the '
         'replica count: failed to get cpu utilization: MESSAGE"}')  # fmt: skip
UNREQUESTED = BLIND.replace("MESSAGE", "missing request for cpu in container app of Pod carts-1")
UNSERVED = BLIND.replace("MESSAGE", "unable to fetch metrics from resource metrics API: the server could not find the "
                         "requested resource (get pods.metrics.k8s.io)")  # fmt: skip
NO_SCALE = ('{type: AbleToScale, status: "False", reason: FailedGetScale, message: "the HPA controller was unable to get the '
            "target's current scale: deployments.apps \\\"cart\\\" not found\"}")  # fmt: skip


def test_an_autoscaler_without_its_target_is_offered_the_near_name() -> None:
    state = scaler("cart", NO_SCALE)
    found = one(state, "hpa/target-missing")
    assert found.strength == "proved"
    assert clears(state, found)
    assert '"value":"carts"' in commands(state, found.mends[0].patches[0])[0]
    assert findings(scaler("carts", BLIND), "hpa/target-missing") == []


def test_requests_that_an_autoscaler_needs() -> None:
    state = scaler(condition=UNREQUESTED)
    found = one(state, "hpa/no-requests")
    assert (found.object.kind, found.strength) == ("Deployment", "proved")
    assert clears(state, found)
    assert findings(state, "hpa/no-metrics") == []


def test_limits_stand_in_for_requests() -> None:
    assert findings(scaler(condition=UNREQUESTED, resources="limits: {cpu: 1}"), "hpa/no-requests") == []


def test_no_metrics_api() -> None:
    state = scaler(condition=UNSERVED, resources="requests: {cpu: 1}", complete=("APIService",))
    assert one(state, "hpa/no-metrics").strength == "proved"
    assert findings(state, "hpa/no-requests") == []


def test_an_autoscaler_at_its_maximum_and_what_it_would_take() -> None:
    state = scaler(
        condition='{type: ScalingLimited, status: "True", reason: TooManyReplicas, message: more than the maximum}'
    )
    found = one(state, "hpa/at-maximum")
    assert found.mends[0].patches[0].edits[0].value == 6
    assert clears(state, found)
    calm = scaler(
        condition='{type: ScalingLimited, status: "True", reason: TooFewReplicas, message: fewer than the minimum}'
    )
    assert findings(calm, "hpa/at-maximum") == []


BUDGET = """
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: cart, namespace: shop}
spec: {minAvailable: 2, selector: {matchLabels: {app: cart}}}
status: {disruptionsAllowed: 0, expectedPods: 2, currentHealthy: HEALTHY, desiredHealthy: 2}
---
apiVersion: v1
kind: Pod
metadata: {name: cart-1, namespace: shop, labels: {app: cart}}
spec: {nodeName: n1, containers: []}
status: {phase: Running, conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Node
metadata: {name: n1}
spec: {unschedulable: DRAIN}
status: {conditions: [{type: Ready, status: "True"}]}
"""


def budget(drain: str, healthy: str = "2") -> State:
    return state_of(BUDGET.replace("DRAIN", drain).replace("HEALTHY", healthy))


def test_a_budget_that_blocks_a_drain() -> None:
    state = budget("true")
    found = one(state, "pdb/blocks-eviction")
    assert found.strength == "proved"
    assert clears(state, found)


def test_a_full_budget_with_no_drain_waiting_is_no_fault() -> None:
    state = budget("false")
    assert findings(state, "pdb/blocks-eviction") == []
    assert not [each for each in derive(state) if each.kind == "eviction-blocked"]
