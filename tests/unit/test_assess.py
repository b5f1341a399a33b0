"""From symptoms to roots: chains across objects, screening off, folding, and keeping unrelated faults apart."""

from __future__ import annotations

from kubectl_ai_intellect.causes.assess import assess, known
from kubectl_ai_intellect.causes.base import causes
from kubectl_ai_intellect.causes.symptoms import derive
from kubectl_ai_intellect.kube.refs import ref
from kubectl_ai_intellect.kube.source import get_of, list_of
from kubectl_ai_intellect.state.graph import State
from tests.unit.states import state_of


def workload(name: str, *, env: str = "", waiting: str = "", message: str = "", ready: bool = True) -> str:
    state = (
        f"waiting: {{reason: {waiting}, message: '{message}'}}"
        if waiting
        else "running: {startedAt: '2026-01-01T11:00:00Z'}"
    )
    return f"""
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: shop, uid: d-{name}, generation: 1}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: {name}}}}}
  template: {{metadata: {{labels: {{app: {name}}}}}, spec: {{containers: [{{name: app, image: "r/{name}:1", env: [{env}]}}]}}}}
status: {{observedGeneration: 1, replicas: 1, availableReplicas: {int(ready)}}}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {{name: {name}-1, namespace: shop, uid: r-{name}, ownerReferences: [{{apiVersion: apps/v1, kind: Deployment, name: {name}, uid: d-{name}, controller: true}}]}}
spec: {{replicas: 1}}
---
apiVersion: v1
kind: Pod
metadata: {{name: {name}-1-x, namespace: shop, uid: p-{name}, creationTimestamp: '2026-01-01T11:00:00Z', labels: {{app: {name}}},
  ownerReferences: [{{apiVersion: apps/v1, kind: ReplicaSet, name: {name}-1, uid: r-{name}, controller: true}}]}}
spec: {{nodeName: n1, containers: [{{name: app, image: "r/{name}:1", env: [{env}]}}]}}
status:
  phase: {"Running" if ready else "Pending"}
  conditions: [{{type: Ready, status: "{ready}"}}]
  containerStatuses: [{{name: app, ready: {str(ready).lower()}, restartCount: 0, containerID: x, state: {{{state}}}}}]
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: shop}}
spec: {{selector: {{app: {name}}}, ports: [{{port: 80}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}-s, namespace: shop, labels: {{kubernetes.io/service-name: {name}}}}}
endpoints: [{{conditions: {{ready: {str(ready).lower()}}}}}]
"""


SECRET = "{name: A, valueFrom: {secretKeyRef: {name: creds, key: password}}}"


def roots(state: State) -> list[tuple[str, str]]:
    found = assess(state, derive(state), causes())
    return [(root.finding.cause, root.finding.object.short) for root in found.roots]


def test_a_client_that_cannot_connect_is_blamed_on_the_backends_own_cause() -> None:
    state = state_of(
        workload("db", env=SECRET, waiting="CreateContainerConfigError", ready=False)
        + workload("web", env="{name: DB_URL, value: 'http://db:80'}"),
        logs={"web-1-x/app": "2026-01-01T11:59:00Z ERROR dial tcp db:80: connect: connection refused\n" * 3},
        complete=["Secret"],
    )
    found = assess(state, derive(state), causes())
    assert [(root.finding.cause, root.finding.object.short) for root in found.roots] == [
        ("config/secret-missing", "Deployment/db")
    ]
    assert {symptom.at.short for symptom in found.roots[0].explains} >= {"Pod/web-1-x", "Service/db", "Pod/db-1-x"}


def test_two_unrelated_faults_stay_two() -> None:
    state = state_of(
        workload("db", env=SECRET, waiting="CreateContainerConfigError", ready=False)
        + workload("shop", waiting="InvalidImageName", ready=False),
        complete=["Secret"],
    )
    assert set(roots(state)) == {("config/secret-missing", "Deployment/db"), ("image/invalid-name", "Deployment/shop")}


def test_what_nobody_looked_for_is_never_called_missing() -> None:
    state = state_of(
        workload("db", env=SECRET, waiting="CreateContainerConfigError", ready=False), forbidden=["Secret"]
    )
    found = assess(state, derive(state), causes())
    assert not any(root.finding.cause == "config/secret-missing" for root in found.roots)


def test_a_healthy_namespace_has_no_symptoms() -> None:
    assert derive(state_of(workload("web"))) == []


def test_a_whole_list_answers_for_narrower_reads() -> None:
    state = state_of("", complete=["Secret"])
    assert known(state, list_of("Secret", "shop"))
    assert known(state, get_of(ref("Secret", "shop", "nothing")))
    assert not known(state, list_of("ServiceAccount", "shop"))
