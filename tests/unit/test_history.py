"""Who manages an object, what sets revisions apart, and what changed when."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from kubectl_ai_intellect.kube.refs import ref
from kubectl_ai_intellect.kube.source import Object
from kubectl_ai_intellect.state.history import changed_before, changes, field_managers, managed_by, revisions
from tests.unit.states import state_of


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 1, 1, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("meta", "tool", "where"),
    [
        ({"labels": {"app.kubernetes.io/managed-by": "Helm"},
          "annotations": {"meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": "prod"}},
         "helm", "Helm release shop in namespace prod"),
        ({"annotations": {"argocd.argoproj.io/tracking-id": "store:apps/Deployment:prod/cart"}}, "argocd", "store"),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}},
         "flux", "Kustomization apps in namespace flux-system"),
        ({"labels": {"helm.toolkit.fluxcd.io/name": "cache", "app.kubernetes.io/managed-by": "Helm"},
          "annotations": {"meta.helm.sh/release-name": "cache"}}, "flux", "HelmRelease cache"),
        ({"ownerReferences": [{"apiVersion": "acid.zalan.do/v1", "kind": "postgresql", "name": "main", "controller": True}]},
         "operator", "postgresql.acid.zalan.do main"),
        ({"managedFields": [{"manager": "argocd-controller", "operation": "Apply"}]}, "argocd", "Argo CD"),
        ({"managedFields": [{"manager": "Terraform", "operation": "Update"}]}, "terraform", "Terraform"),
        ({"annotations": {"kubernetes.io/config.mirror": "abc"}}, "static-pod", "manifest file"),
    ],
)  # fmt: skip
def test_who_would_put_a_change_back(meta: dict[str, Any], tool: str, where: str) -> None:
    told = managed_by(Object(ref("Deployment", "prod", "cart"), {"metadata": {"name": "cart", **meta}}))
    assert told is not None
    assert told[0] == tool
    assert where in told[1]


@pytest.mark.parametrize(
    "meta",
    [
        {},
        {"labels": {"app.kubernetes.io/managed-by": "kubectl", "app.kubernetes.io/instance": "shop"}},
        {"ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "cart-1", "controller": True}]},
        {"managedFields": [{"manager": "argocd-controller", "subresource": "status"}, {"manager": "kubectl-edit"}]},
        {"ownerReferences": [{"apiVersion": "example.com/v1", "kind": "Team", "name": "a"}]},
    ],
)
def test_nobody_would(meta: dict[str, Any]) -> None:
    assert managed_by(Object(ref("Deployment", "prod", "cart"), {"metadata": {"name": "cart", **meta}})) is None


ROLLOUTS = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: cart
  namespace: shop
  uid: d1
  creationTimestamp: "2026-01-01T08:00:00Z"
  managedFields:
    - {manager: kubectl-set, operation: Update, time: "2026-01-01T11:00:00Z", fieldsV1: {"f:spec": {"f:template": {}}}}
    - {manager: kubectl, subresource: scale, operation: Update, time: "2026-01-01T11:30:00Z",
       fieldsV1: {"f:spec": {"f:replicas": {}}}}
    - {manager: kube-controller-manager, subresource: status, time: "2026-01-01T11:40:00Z",
       fieldsV1: {"f:status": {"f:replicas": {}}}}
spec:
  replicas: 1
  template: {spec: {volumes: [{name: c, configMap: {name: settings}}], containers: [{name: app, image: "cart:2"}]}}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata:
  name: cart-old
  namespace: shop
  uid: r1
  creationTimestamp: "2026-01-01T08:00:00Z"
  annotations: {deployment.kubernetes.io/revision: "1"}
  ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: cart, uid: d1, controller: true}]
spec:
  template:
    metadata: {labels: {app: cart, pod-template-hash: old}}
    spec:
      containers:
        - name: app
          image: cart:1
          env: [{name: DB_HOST, value: db}, {name: DB_PASSWORD, value: first}, {name: GONE, value: x}]
          readinessProbe: {httpGet: {path: /, port: 80}}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata:
  name: cart-new
  namespace: shop
  uid: r2
  creationTimestamp: "2026-01-01T11:00:01Z"
  annotations: {deployment.kubernetes.io/revision: "2"}
  ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: cart, uid: d1, controller: true}]
spec:
  template:
    metadata: {labels: {app: cart, pod-template-hash: new}}
    spec:
      containers:
        - name: app
          image: cart:2
          env: [{name: DB_HOST, value: "postgres://u:hunter2@db2/x"}, {name: DB_PASSWORD, value: second}]
          readinessProbe: {httpGet: {path: /ready, port: 80}}
          resources: {limits: {memory: 64Mi}}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
  namespace: shop
  creationTimestamp: "2026-01-01T08:00:00Z"
  managedFields:
    - {manager: kubectl-edit, operation: Update, time: "2026-01-01T11:55:00Z", fieldsV1: {"f:data": {"f:mode": {}}}}
"""


def test_revisions_tell_what_sets_them_apart_and_hide_secrets() -> None:
    newest, oldest = revisions(state_of(ROLLOUTS), ref("Deployment", "shop", "cart"))
    told = "\n".join(newest.differs)
    assert newest.number == 2
    assert "container app: image cart:1 → cart:2" in told
    assert "container app: readinessProbe.httpGet.path / → /ready" in told
    assert "env DB_HOST db → postgres://" in told
    assert "env GONE removed" in told
    assert "resources set to" in told
    assert "pod-template-hash" not in told
    assert not any(value in told for value in ("first", "second", "hunter2"))
    assert oldest.differs == ()


def test_a_revision_gone_back_to_dates_from_its_return() -> None:
    back = (
        ROLLOUTS.replace('revision: "1"', 'revision: "3"')
        + """
---
apiVersion: v1
kind: Event
metadata: {name: e1, namespace: shop, uid: e1}
involvedObject: {apiVersion: apps/v1, kind: Deployment, name: cart, namespace: shop, uid: d1}
reason: ScalingReplicaSet
message: Scaled up replica set cart-old from 0 to 1
type: Normal
lastTimestamp: "2026-01-01T11:45:00Z"
"""
    )
    newest = revisions(state_of(back), ref("Deployment", "shop", "cart"))[0]
    assert (newest.of.name, newest.at) == ("cart-old", at(11, 45))
    assert "container app: image cart:2 → cart:1" in newest.differs


def test_what_changed_is_told_latest_first_with_its_author() -> None:
    rows = changes(state_of(ROLLOUTS), since=at(10))
    assert [(row.at, row.object.name, row.by) for row in rows] == [
        (at(11, 55), "settings", "kubectl-edit"),
        (at(11, 30), "cart", "kubectl"),
        (datetime(2026, 1, 1, 11, 0, 1, tzinfo=UTC), "cart", "kubectl-set"),
    ]
    assert "data.mode" in rows[0].what
    assert "spec.replicas" in rows[1].what
    assert "image cart:1 → cart:2" in rows[2].what


def test_what_changed_includes_the_making_of_things_and_ends_at_the_namespace() -> None:
    state = state_of(ROLLOUTS)
    assert any(row.what == "created" for row in changes(state))
    assert changes(state, namespace="other") == []


def test_changes_before_trouble_reach_what_a_workload_mounts() -> None:
    state = state_of(ROLLOUTS)
    told = changed_before(state, ref("Deployment", "shop", "cart"), at(11, 57), minutes=10)
    assert [each.object.kind for each in told] == ["ConfigMap"]


def test_who_claims_a_field() -> None:
    found = state_of(ROLLOUTS).find(ref("Deployment", "shop", "cart"))
    assert found is not None
    assert field_managers(found, "spec", "replicas") == [("kubectl (scale)", at(11, 30))]
