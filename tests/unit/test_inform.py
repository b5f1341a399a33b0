"""Information questions over small States: the numbers are right, and what could not be read is said, not shown as none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubectl_ai_intellect import inform
from kubectl_ai_intellect.kube.command import parse
from kubectl_ai_intellect.kube.source import Fetched, Unread, list_of
from kubectl_ai_intellect.question import resolve, understand
from kubectl_ai_intellect.report import Table
from kubectl_ai_intellect.state.graph import State
from tests.unit.states import state_of


def pod(
    name: str,
    *,
    namespace: str = "shop",
    ready: bool = True,
    waiting: str = "",
    restarts: int = 0,
    node: str = "n1",
    owner: str = "",
) -> str:
    state = f"waiting: {{ reason: {waiting} }}" if waiting else 'running: { startedAt: "2026-01-01T10:00:00Z" }'
    last = (
        'lastState: { terminated: { reason: Error, exitCode: 3, finishedAt: "2026-01-01T11:50:00Z" } }'
        if restarts
        else ""
    )
    owned = (
        f"ownerReferences: [{{ apiVersion: apps/v1, kind: ReplicaSet, name: {owner}, controller: true, uid: r1 }}]"
        if owner
        else ""
    )
    return f"""
apiVersion: v1
kind: Pod
metadata:
  name: {name}
  namespace: {namespace}
  creationTimestamp: "2026-01-01T10:00:00Z"
  labels: {{ app: web }}
  {owned}
spec:
  nodeName: {node}
  containers:
  - name: app
    image: shop/web:2
    resources: {{ limits: {{ memory: 200Mi }} }}
    env: [{{ name: MODE, valueFrom: {{ configMapKeyRef: {{ name: settings, key: mode }} }} }}]
status:
  phase: Running
  conditions: [{{ type: Ready, status: "{ready}" }}]
  containerStatuses:
  - {{ name: app, ready: {str(ready).lower()}, restartCount: {restarts}, state: {{ {state} }}, {last} }}
---
"""


def replica_set(name: str, number: int, image: str, created: str) -> str:
    return f"""
apiVersion: apps/v1
kind: ReplicaSet
metadata:
  name: {name}
  namespace: shop
  uid: r{number}
  creationTimestamp: "{created}"
  annotations: {{ deployment.kubernetes.io/revision: "{number}" }}
  ownerReferences: [{{ apiVersion: apps/v1, kind: Deployment, name: web, controller: true, uid: d1 }}]
spec:
  template: {{ spec: {{ containers: [{{ name: app, image: "{image}" }}] }} }}
---
"""


WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: shop, uid: d1, creationTimestamp: "2025-12-30T10:00:00Z" }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
      - name: app
        image: shop/web:2
        env: [{ name: MODE, valueFrom: { configMapKeyRef: { name: settings, key: mode } } }]
status: { replicas: 2, readyReplicas: 1, updatedReplicas: 2, availableReplicas: 1 }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: settings, namespace: shop, creationTimestamp: "2025-12-30T10:00:00Z" }
data: { mode: fast }
---
apiVersion: v1
kind: Service
metadata: { name: front, namespace: shop }
spec: { selector: { app: web }, ports: [{ port: 80 }], clusterIP: 10.0.0.7 }
---
"""
SHOP = (
    WEB
    + replica_set("web-1", 1, "shop/web:1", "2025-12-30T10:00:00Z")
    + replica_set("web-2", 2, "shop/web:2", "2026-01-01T11:00:00Z")
    + pod("web-2-a", owner="web-2")
    + pod("web-2-b", owner="web-2", ready=False, waiting="CrashLoopBackOff", restarts=4, node="n2")
)
NODES = "".join(
    f"""
apiVersion: v1
kind: Node
metadata: {{ name: {name} }}
status:
  conditions: [{{ type: Ready, status: "{ready}" }}]
  allocatable: {{ cpu: "2", memory: 4Gi }}
  nodeInfo: {{ kubeletVersion: v1.31.2 }}
---
"""
    for name, ready in (("n1", "True"), ("n2", "False"))
)
RIGHTS = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: cleaner, namespace: shop }
rules: [{ apiGroups: [""], resources: [pods], verbs: [delete, get] }]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: { name: cleaners, namespace: shop }
roleRef: { kind: Role, name: cleaner, apiGroup: rbac.authorization.k8s.io }
subjects: [{ kind: ServiceAccount, name: janitor }, { kind: User, name: ann }]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: cluster-admin }
rules: [{ apiGroups: ["*"], resources: ["*"], verbs: ["*"] }]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: viewer }
rules: [{ apiGroups: [""], resources: [pods], verbs: [get, list] }, { apiGroups: [""], resources: [secrets], verbs: [get], resourceNames: [tls] }]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: admins }
roleRef: { kind: ClusterRole, name: cluster-admin, apiGroup: rbac.authorization.k8s.io }
subjects: [{ kind: Group, name: ops }]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: viewers }
roleRef: { kind: ClusterRole, name: viewer, apiGroup: rbac.authorization.k8s.io }
subjects: [{ kind: User, name: bob }]
---
"""
METRICS = """
apiVersion: metrics.k8s.io/v1beta1
kind: PodMetrics
metadata: { name: web-2-a, namespace: shop }
containers: [{ name: app, usage: { cpu: 250m, memory: 100Mi } }]
---
apiVersion: metrics.k8s.io/v1beta1
kind: PodMetrics
metadata: { name: web-2-b, namespace: shop }
containers: [{ name: app, usage: { cpu: 20000000n, memory: 150Mi } }]
---
"""
RBAC = ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")


def ask(state: State, text: str, namespace: str = "shop") -> Table:
    asked = understand(text)
    assert asked.intent == "information", text
    inform.needs(asked, namespace)
    return inform.answer(state, asked, resolve(state, asked, []), namespace)


@pytest.fixture
def shop() -> State:
    return state_of(SHOP + NODES, complete=("Node", "Secret", "ControllerRevision", "Namespace"))


def test_counts_and_lists_what_is_not_ready(shop: State) -> None:
    told = ask(shop, "how many pods are not ready")
    assert told.text == "1 of 2 pods in namespace shop is not ready"
    assert told.columns == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert told.rows == [["web-2-b", "0/1", "CrashLoopBackOff", "4 (10m ago)", "2h"]]
    assert told.command == "kubectl get pods -n shop"
    assert ask(shop, "how many nodes are not ready").text == "1 of 2 nodes in the cluster is not ready"
    assert ask(shop, "how many deployments are failing").rows[0][:2] == ["web", "1/2"]
    assert ask(shop, "how many pods are pending").text.startswith("0 of 2 pods")
    assert ask(shop, "how many pods does web have").text.startswith("2 pods of Deployment/web")


def test_a_ready_state_is_told_with_a_yes_or_no(shop: State) -> None:
    assert ask(shop, "is web ready?").text.startswith("no: 1 of 2 pods")
    healthy = state_of(pod("a") + pod("b"))
    assert ask(healthy, "are all pods ready").text.startswith("yes: 2 of 2 pods")


def test_namespaces_are_a_column_only_where_there_are_several() -> None:
    state = state_of(pod("a", namespace="one") + pod("b", namespace="two", ready=False, waiting="ErrImagePull"))
    told = ask(state, "list all pods and identify those with errors in each namespace", "")
    assert told.columns[0] == "NAMESPACE"
    assert "(two: 1)" in told.text
    assert [row[-1] for row in told.rows] == ["", "app: ErrImagePull"]


def test_images_and_limits_come_from_the_template(shop: State) -> None:
    told = ask(shop, "which image does web run")
    assert told.text == "Deployment/web runs shop/web:2"
    assert told.rows == [["Deployment/web", "app", "shop/web:2", "0/2 pods"]]
    assert ask(shop, "which containers have no limits").text.startswith("1 of 1 container")
    assert 'nothing is named "nosuch"' in ask(shop, "which image does nosuch run").text


def test_restarts_nodes_and_versions(shop: State) -> None:
    told = ask(shop, "which pods have the most restarts")
    assert (told.rows[0][0], told.rows[0][1]) == ("web-2-b", "4")
    assert "exit code 3" in told.rows[0][2]
    assert ask(shop, "where is web running").text == "2 pods of Deployment/web in namespace shop run on n1, n2"
    assert [row[0] for row in ask(shop, "which pods run on node n2").rows] == ["web-2-b"]
    assert "v1.31.2 (2)" in ask(shop, "which kubernetes version do we run").text


def test_who_can_names_subject_binding_and_role() -> None:
    state = state_of(RIGHTS, complete=RBAC)
    told = ask(state, "who can delete pods here")
    assert [row[:2] for row in told.rows] == [["Group", "ops"], ["ServiceAccount", "shop/janitor"], ["User", "ann"]]
    assert told.rows[1][3:] == ["RoleBinding/cleaners", "Role/cleaner"]
    assert told.text.startswith("3 subjects can delete pods in namespace shop")
    secrets = ask(state, "who can read secrets")
    assert ["User", "bob", "get", "ClusterRoleBinding/viewers", "ClusterRole/viewer", "tls"] in secrets.rows
    assert [row[1] for row in ask(state, "who can do everything").rows] == ["ops"]
    assert [row[1] for row in ask(state, "who can create deployments").rows] == ["ops"]
    assert [row[1] for row in ask(state, "who can delete pods", "").rows] == ["ops", "shop/janitor", "ann"]


def test_rights_that_could_not_be_read_are_said() -> None:
    told = ask(state_of("", forbidden=RBAC), "who can delete pods")
    assert told.status == "declined"
    assert "cannot list clusterroles: forbidden" in told.text
    part = state_of(RIGHTS, complete=("Role", "RoleBinding"), forbidden=("ClusterRoleBinding",))
    assert "cannot list clusterrolebindings: forbidden" in ask(part, "who can delete pods").text


def test_own_rights_are_what_the_api_server_says() -> None:
    reads = inform.needs(understand("can i delete pods"), "shop")
    assert [read.what for read in reads] == ["can-i"]
    state = state_of("").including([Fetched(reads[0], allowed=False)])
    assert ask(state, "can i delete pods").text == "no: you cannot delete pods in namespace shop"


def test_what_changed_names_the_rollout_and_respects_the_time(shop: State) -> None:
    told = ask(shop, "what changed in the last 2 hours")
    assert len(told.rows) == 1
    assert told.rows[0][2] == "Deployment/web"
    assert "shop/web:1 → shop/web:2" in told.rows[0][3]
    assert "the trouble that is there now began" in told.text
    assert len(ask(shop, "what changed").rows) > 1
    assert ask(shop, "what changed in the last 5 minutes").text.startswith("0 changes")
    assert ask(shop, "what changed with configmap settings in the last 5 hours").rows == []


def test_usage_is_summed_and_its_absence_explained(shop: State) -> None:
    state = state_of(SHOP + METRICS)
    told = ask(state, "which pods use the most memory")
    assert [row[:3] for row in told.rows] == [["web-2-b", "20m", "150Mi"], ["web-2-a", "250m", "100Mi"]]
    assert told.rows[0][4] == "75%"
    assert told.command == "kubectl top pod -n shop --sort-by=memory"
    gone = Unread(list_of("PodMetrics", "shop").of, "not-served")
    without = shop.including([Fetched(list_of("PodMetrics", "shop"), unread=gone)])
    assert "metrics-server" in ask(without, "which pods use the most cpu").text
    refused = shop.including([Fetched(list_of("PodMetrics", "shop"), unread=replace(gone, why="forbidden"))])
    assert "forbidden" in ask(refused, "which pods use the most cpu").text


def test_dependencies_run_both_ways(shop: State) -> None:
    needed = ask(shop, "what does deployment/web depend on")
    assert ["ConfigMap", "settings", "key mode", "yes"] in needed.rows
    assert ask(shop, "what uses configmap settings").text == "ConfigMap/settings is used by 1 object: Deployment/web"
    assert ["Deployment", "web", "serves it"] in ask(shop, "what uses service front").rows


def test_lists_show_the_columns_of_the_kind(shop: State) -> None:
    assert ask(shop, "list deployments").rows == [["web", "1/2", "2", "1", "2d"]]
    assert ask(shop, "list nodes").text == "2 nodes in the cluster; 1 is not ready: n2"
    assert ask(shop, "show configmaps").rows == [["settings", "1", "2d"]]
    assert ask(shop, "list services").rows[0][:5] == ["front", "ClusterIP", "10.0.0.7", "<none>", "80/TCP"]


def test_forbidden_and_unread_lists_are_never_none() -> None:
    closed = state_of("", forbidden=("Node",))
    told = ask(closed, "list nodes")
    assert (told.status, told.text) == ("declined", "cannot list nodes: forbidden")
    assert ask(State(closed.now), "how many pods are not ready").status == "declined"
    assert ask(State(closed.now), "show events").status == "declined"


def test_an_absent_name_is_not_found(shop: State) -> None:
    told = ask(shop, "what does deployment/wep-front depend on")
    assert told.status == "not_found"
    assert 'nothing named "wep-front" exists in namespace shop' in told.text


@pytest.mark.parametrize(
    "text",
    ["how many pods are not ready", "which image does web run", "list nodes", "which pods restarted", "show events",
     "where is web running", "what uses configmap settings", "what changed", "is web ready", "which pods have no limits"],
)  # fmt: skip
def test_commands_only_look(shop: State, text: str) -> None:
    assert parse(ask(shop, text).command), text
